"""The box says what its resolvers lack: against nsd with a signed root and with an unsigned one, and resolvers that fail one way each."""

import os
import socket
import subprocess
import threading
import time

import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest
from lab import net
from lab.dns import Dns


class SignedRoot(Dns):
    """The root with keys and NSEC, as the real one."""

    def _write(self):
        super()._write()
        keys = [f for f in os.listdir(self.folder) if f.endswith(".private")]
        if not keys:
            for options in (["-k"], []):
                subprocess.run(["ldns-keygen", "-a", "ECDSAP256SHA256", *options, "."], cwd=self.folder, check=True, stdout=subprocess.PIPE)
            keys = [f for f in os.listdir(self.folder) if f.endswith(".private")]
        subprocess.run(["ldns-signzone", "-f", "signed.zone", "root.zone", *(k[:-len(".private")] for k in keys)], cwd=self.folder, check=True,
                       stdout=subprocess.PIPE)
        os.replace(f"{self.folder}/signed.zone", f"{self.folder}/root.zone")


class Bad:
    """Passes questions on to a good server over UDP, and spoils what comes back. TCP is refused, for nobody listens."""

    def __init__(self, ip, upstream, fault):
        self.ip, self.upstream, self.fault, self.asked = net.address(ip), upstream, fault, 0
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((ip, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _answer(self, query):
        if self.fault == "silent" or (self.fault == "types" and query.question[0].rdtype == dns.rdatatype.TLSA):
            return None
        if self.fault == "formerr" and query.edns >= 0:
            reply = dns.message.make_response(query)
            reply.use_edns(-1)
            reply.set_rcode(dns.rcode.FORMERR)
            return reply
        reply = dns.query.udp(query, self.upstream, timeout=60)
        if self.fault == "strip":
            for section in (reply.answer, reply.authority):
                section[:] = [r for r in section if r.rdtype not in (dns.rdatatype.RRSIG, dns.rdatatype.NSEC)]
        if self.fault == "denials" and reply.rcode() == dns.rcode.NXDOMAIN:
            reply.authority[:] = []
        return reply

    def _serve(self):
        while True:
            try:
                data, peer = self.sock.recvfrom(4096)
            except OSError:
                return
            self.asked += 1
            reply = self._answer(dns.message.from_wire(data))
            try:
                if reply:
                    self.sock.sendto(reply.to_wire(), peer)
            except OSError:
                return

    def stop(self):
        self.sock.close()


@pytest.fixture(scope="module")
def signed(folder):
    server = SignedRoot(f"{folder}/signed", f"{net.PREFIX}.0.54")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def box(make_box, names):
    box = make_box(settings={"net.address": f"{net.PREFIX}.0.40/16"})
    yield box
    assert "Sanitizer" not in box.errors()
    box.stop()


def results(box, timeout=60):
    """What each resolver lacks, once all are tested."""
    end = time.time() + timeout
    while True:
        found = box.json("status")["resolvers"]
        if found and all(r["tested"] for r in found):
            return {r["resolver"].split(":")[0]: r["result"] for r in found}
        assert time.time() < end, found
        time.sleep(0.3)


def test_a_resolver_without_signatures_is_named(box):
    assert results(box) == {net.DNS: "no DNSSEC signatures, no DNSSEC denials"}
    assert f"resolver     {net.DNS}" in box.console("status")
    assert "dns" not in [a["name"] for a in box.json("status")["alerts"]]


def test_each_fault_is_named(make_box, signed):
    faults = {"strip": "no DNSSEC signatures, no DNSSEC denials, no TCP", "denials": "no DNSSEC denials, no TCP", "types": "no TLSA type, no TCP"}
    bad = [Bad(f"{net.PREFIX}.0.{60 + i}", signed.ip, fault) for i, fault in enumerate(faults)]
    box = make_box(settings={"net.address": f"{net.PREFIX}.0.41/16", "net.dns": ",".join([signed.ip] + [b.ip for b in bad])})
    got = results(box)
    assert got[signed.ip] == "complete"
    for b in bad:
        assert got[b.ip] == faults[b.fault], b.fault
    box.wait_log(rf"resolver-test resolver={signed.ip}\S* result=\"complete\"")
    before = [b.asked for b in bad]
    time.sleep(2)
    assert [b.asked for b in bad] == before  # once, not for ever
    for b in bad:
        b.stop()
    box.stop()


def test_silence_is_an_alert_and_a_new_set_is_tested(make_box, signed):
    silent = Bad(f"{net.PREFIX}.0.65", signed.ip, "silent")
    old = Bad(f"{net.PREFIX}.0.66", signed.ip, "formerr")
    box = make_box(settings={"net.address": f"{net.PREFIX}.0.42/16", "net.dns": silent.ip})
    assert results(box)[silent.ip] == "NO ANSWER"
    assert "dns" in [a["name"] for a in box.json("status")["alerts"]]
    assert silent.asked <= 4
    box.set(net__dns=f"{old.ip},{signed.ip}")
    got = results(box)  # not before some time has passed since the first test
    assert got[signed.ip] == "complete"
    assert got[old.ip] == "no EDNS, no DNSSEC signatures, no DNSSEC denials, no TLSA type, no TCP"
    assert "dns" not in [a["name"] for a in box.json("status")["alerts"]]
    silent.stop()
    old.stop()
    box.stop()
