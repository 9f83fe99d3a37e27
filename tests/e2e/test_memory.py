"""The boards' plan of memory against the worst that sessions do: long chains and keys, every command, reports, many recipients. What
`stats` shows afterwards must fit with room to spare, and is left in build/<board>/peaks.json for `make size`."""

import hashlib
import json
import os
import smtplib
import socket
import ssl

import pytest

from lab import client, net, pki
from lab.box import BUILD, ROOT
from lab.fakemx import FakeMx
from lab.wait import until
from test_certificates import paste, shown_chain

RTC = "2026-06-01T12:00:00Z"
RECIPIENTS = 8  # more than a batch
LONG = ".".join(["x" * 60] * 3)
CASES = ("ecdsa", "p521", "rsa", "rsa-4096")
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
COMMANDS = ["help", "status", "status json", "show", "show json", "policy {listed}", "policy {listed} json", "queue", "queue json", "list",
            "list find example", "cert", "cert info json", "check", "check {listed}", "check {listed} json", "dns", "dns check",
            "dns check json", "dns {listed} MX", "dns {listed} MX json", "log 400", "trace deliver", "stats", "time",
            "set mail.postmaster postmaster@office.example", "commit", "set host.name other.office.example", "commit",
            "set host.name mail.office.example", "commit", "queue retry", "nonsense", "dns " + "y" * 63 + ".example A"]


@pytest.fixture(scope="module", params=["virt", "mps2-an500"])
def box(request, make_box, names, authorities):
    names.host("server.office.example", net.OFFICE)
    policies = {domain(kind, version): {"mode": "enforce", "mxs": [f"mx.{domain(kind, version)}"]} for kind in CASES for version in VERSIONS}
    policy = {"timestamp": "2026-05-20T00:00:00+00:00", "expires": "2026-07-01T00:00:00+00:00", "version": "0.1", "author": "lab",
              "policy-aliases": {}, "policies": policies}
    box = make_box(board=request.param, rtc=RTC, policy=policy, roots="".join(ca.root_pem for ca in authorities.values()),
                   settings={"mail.inside": "server.office.example:25", "web.forward.forwarded.office.example": "server.office.example"})
    yield box
    box.stop()


@pytest.fixture(scope="module")
def authorities():
    return {kind: pki.CA(f"Root {kind}", kind) for kind in CASES}


@pytest.fixture(scope="module")
def leaf_keys():
    """One a kind: a new one of RSA-4096 takes seconds."""
    return {kind: pki.new_key(kind) for kind in CASES}


def domain(kind, version):
    return f"{kind}.v{version.replace('.', '-')}.{LONG}.example"


def send(box, version, sender, recipients, source=None):
    context = client.unverified()
    context.minimum_version = context.maximum_version = VERSIONS[version]
    with smtplib.SMTP(box.ip, 25, local_hostname="z" * 60 + ".client.example", timeout=60, source_address=(net.address(source or net.CLIENTS + "1"), 0)) as s:
        s.starttls(context=context)
        s.sendmail(sender, recipients, client.mail("memory"), ["BODY=8BITMIME", "ENVID=" + "e" * 90],
                   ["NOTIFY=SUCCESS,FAILURE,DELAY", "ORCPT=rfc822;" + "o" * 200 + "@example"])


def browse(box, version):
    """Web sessions run in the same slots."""
    context = client.unverified()
    context.minimum_version = context.maximum_version = VERSIONS[version]
    fields = b"Host: mail.office.example\r\nX: " + b"x" * 1400 + b"\r\n\r\n"
    with context.wrap_socket(net_socket(box, 443), server_hostname="mail.office.example") as s:
        s.sendall(b"GET / HTTP/1.1\r\n" + fields)
        assert s.recv(100).startswith(b"HTTP/1.1 404")
    with net_socket(box, 80) as s:
        s.sendall(b"GET / HTTP/1.1\r\n" + fields.replace(b"mail", b"forwarded"))
        assert s.recv(100).startswith(b"HTTP/1.1 502")


def net_socket(box, port):
    return socket.create_connection((box.ip, port), 60, source_address=(net.address(net.CLIENTS + "2"), 0))


@pytest.mark.parametrize("kind", CASES)
def test_incoming_handshakes(box, authorities, leaf_keys, kind):
    office = FakeMx(net.OFFICE, "server.office.example", cert=pki.self_signed("server.office.example", key=leaf_keys[kind]))
    try:
        chain, key = authorities[kind].issue("mail.office.example", key=leaf_keys[kind])
        assert paste(box, "cert import", chain + key) == "the certificate is in use"
        assert box.json("check", timeout=60)["outside"]["result"] == "inner"  # both ends of a handshake
        for version in VERSIONS:
            before = len(office.mails)
            browse(box, version)
            send(box, version, "s" * 60 + "@sender.example", [f"{'r' * 60}{i}@office.example" for i in range(RECIPIENTS)])
            until(lambda: sum(len(m["to"]) for m in office.mails[before:]) == RECIPIENTS, 120, lambda: "the mail did not arrive")
        box.is_empty(120)
        shown_chain(box)
    finally:
        office.stop()


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("version", VERSIONS)
def test_outgoing_handshakes_and_reports(box, names, authorities, leaf_keys, remote_ip, kind, version):
    to = domain(kind, version)
    names.mail_domain(to, f"mx.{to}", remote_ip)
    office = FakeMx(net.OFFICE, "server.office.example", cert=pki.self_signed("server.office.example"))
    mx = FakeMx(remote_ip, f"mx.{to}", cert=authorities[kind].issue(f"mx.{to}", *[f"mx{i}.{to}" for i in range(10)], key=leaf_keys[kind]),
                tls=VERSIONS[version], extensions=["PIPELINING", "SIZE 10000000", "8BITMIME"], replies={"RCPT": ["250 ok", "550 5.1.1 " + "n" * 400]})
    try:
        send(box, "1.3", "anna@office.example", [f"{'b' * 60}@{to}", f"{'c' * 60}@{to}", f"{'d' * 60}@{to}"], source=net.OFFICE)
        until(lambda: mx.tls_mails >= 1, 120, lambda: "the mail did not go out")
        until(lambda: any(b"multipart/report" in m["body"] for m in office.mails), 120, lambda: "no report came back")
        box.is_empty(120)  # what is left would find the server gone, and the next test's would wait
        assert mx.plain_mails == 0
    finally:
        mx.stop()
        office.stop()


def test_every_command(box):
    for command in COMMANDS:
        box.console(command.format(listed=domain("rsa", "1.2")))


def test_all_sessions_at_once(box):
    """What each of them holds for a handshake, and what one step borrows, is there for all."""
    clients = []
    for i in range(box.json("status")["sessions_max"]):
        s = smtplib.SMTP(box.ip, 25, timeout=60, source_address=(net.address(f"{net.CLIENTS}{i + 10}"), 0))
        s.starttls(context=client.unverified())
        clients.append(s)
    for s in clients:
        assert s.ehlo()[0] == 250
    one_more = client.Raw(box, source=f"{net.CLIENTS}90", greeting=False)  # an idle one gives way, or it is told to come again
    assert one_more.line()[:3] in ("220", "421")
    one_more.close()
    for s in clients:
        s.close()


def most_percent(board, kind):
    """What toolchain/budgets allows."""
    with open(f"{ROOT}/toolchain/budgets") as f:
        return next(int(row[2]) for row in (line.split("#")[0].split() for line in f) if row[:2] == [board, kind])


def test_it_all_fitted(box):
    stats = box.json("stats")
    peaks = {"stack": {}, "tls": {}}  # name: [peak, bytes]
    for name, peak, size in [(t["name"], t["stack_used"], t["stack_bytes"]) for t in stats["tasks"]] + \
            [(n, p["stack_peak"], p["stack_bytes"]) for n, p in stats["memory"].items() if "stack_peak" in p]:
        peaks["stack"][name] = max([peak, size], peaks["stack"].get(name, [0, size]))
    for name, pool in stats["memory"].items():
        peaks["tls"][name] = [pool["tls_peak"], pool["tls_bytes"]]
        assert pool["tls_refused"] == 0, (name, pool)
    with open(f"{BUILD}/{box.board}/postern.elf", "rb") as f:
        peaks.update(run=os.path.relpath(__file__, ROOT), elf_sha256=hashlib.sha256(f.read()).hexdigest())
    with open(f"{BUILD}/{box.board}/peaks.json", "w") as f:
        json.dump(peaks, f)
    for kind in ("stack", "tls"):
        for name, (peak, size) in peaks[kind].items():
            assert 0 < peak * 100 <= most_percent(box.board, kind) * size or name == "identity", (kind, name, peak, size)
