"""The box looks at its own public name: by its own address and through a router, in front of which everything goes wrong once."""

import hashlib
import socket
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from lab import net, pki
from lab.fakemx import FakeMx
from lab.wait import until
from lab.web import Web
from test_certificates import paste

NAME = "mail.office.example"
pytestmark = pytest.mark.boards("posix")
OWN = "198.51.100.2"  # the box's, public
ROUTER = "203.0.113.5"  # public, and somebody else's as far as the box knows
POLICY = "version: STSv1\nmode: {}\nmx: {}\nmax_age: 86400\n"


class Router:
    """A NAT that leads port 25 of a public address to the box, also from inside, and may spoil what passes."""

    def __init__(self, box, ip=ROUTER, rewrite=None):
        self.box, self.rewrite = box, rewrite or (lambda data: data)
        self.listener = socket.create_server((net.address(ip), 25))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection((self.box.ip, 25), 60, source_address=(net.address(net.CLIENTS + "9"), 0))
            for pair in ((near, far, bytes), (far, near, self.rewrite)):
                threading.Thread(target=self._pass, args=pair, daemon=True).start()

    @staticmethod
    def _pass(source, sink, change):
        try:
            while data := source.recv(65536):
                sink.sendall(change(data))
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture(scope="module")
def pair():
    return pki.good_ca().issue(NAME)


@pytest.fixture(scope="module")
def box(make_box, board, names, pair):
    net.address("198.51.100.1")
    box = make_box(board=board, rtc="2026-06-01T12:00:00Z", cert=pair,
                   settings={"net.address": f"{OWN}/24", "net.gateway": "198.51.100.1", "mail.domains": "office.example"})
    yield box
    assert "Sanitizer" not in box.errors()
    box.stop()
    point(names)


def point(names, *ips, mx=NAME, more=()):
    """What the DNS says of the box from now on."""
    names.forget(f"{NAME}. ", "office.example. ", "_mta-sts.", "_25.", "mta-sts.")
    names.add(*(f"{NAME}. {'AAAA' if ':' in ip else 'A'} {ip}" for ip in ips or (net.BOX,)), f"office.example. MX 10 {mx}.", *more)
    time.sleep(0.1)  # the server's old process may still have a question in hand


def look(box):
    """The result of a look, its words, and the alerts that are up then."""
    found = box.json("check", timeout=60)["outside"]
    alerts = {a["name"]: a["text"] for a in box.json("status")["alerts"]}
    assert found["result"] == "busy" or ("outside" in alerts) == (found["result"] in ("name", "handshake", "stripped", "certificate", "stranger", "elsewhere", "mx", "no-address")
                                     or found["result"] == "chain" and "cert-self-signed" not in alerts)
    assert "outside" not in alerts or found["result"] == "busy" or alerts["outside"] == found["words"]
    return found["result"], found["words"], alerts


def counters(box):
    return {k: v for k, v in box.json("stats")["counters"].items() if k in ("sessions_refused", "sessions_gave_way", "tls_in_failed")}


@pytest.mark.boards("posix", "virt")
def test_it_meets_itself(box, names):
    before, seen = counters(box), box.json("stats")["counters"]["sessions_in"]
    point(names, OWN)
    result, words, alerts = look(box)
    assert (result, words) == ("fine", f"{NAME} [{OWN}]: seen from outside all is well") and "outside" not in alerts
    assert counters(box) == before and box.json("stats")["counters"]["sessions_in"] == seen + 1
    assert f"outside      {words}" in box.console("status")
    assert words in box.console("cert info") and 60000 < box.json("cert info")["outside"]["next_s"] <= 86400


def test_the_dns_names_something_else(box, names):
    point(names, OWN, mx="mx.elsewhere.example")
    assert look(box)[:2] == ("mx", "office.example: no MX record names this box: its mail goes elsewhere. Mend the DNS, or host.name")
    assert box.json("cert info")["outside"]["next_s"] <= 3600
    names.forget(f"{NAME}. ")
    names.add("office.example. MX 20 mail.office.example.")  # one of several will do
    assert look(box)[0] == "no-address"
    point(names, net.address(ROUTER))  # where nobody is, and the box has a public address of its own
    assert look(box)[:2] == ("elsewhere", f"{NAME} [{ROUTER}]: that is not this box's address: mend the DNS record")
    for ips in ((OWN, ROUTER), (ROUTER, OWN)):  # one bad address is enough, in whatever order, and the worst of all counts
        point(names, *ips)
        assert look(box)[0] == "elsewhere"
    point(names, ROUTER, mx="mx.elsewhere.example")
    assert look(box)[0] == "mx"
    point(names, OWN)
    assert look(box)[0] == "fine"


def test_a_certificate_that_does_not_hold(box, names, pair):
    import datetime
    good, year = pki.good_ca(), datetime.datetime(2026, 1, 1)
    point(names, OWN)
    for (chain, key), result, words in [
            (good.issue("other.example"), "name", "the certificate does not name it (other.example)"),
            (good.issue(NAME, end=year), "chain", "the certificate has expired"),
            (good.issue(NAME, with_intermediate=False), "chain", "without the intermediate"),
            (pki.strange_ca().issue(NAME), "chain", "root is not one that this box trusts"),
            (pki.self_signed(NAME), "chain", "self-signed"),
            (pair, "fine", "all is well")]:
        assert "error" not in paste(box, "cert import", chain + key)
        found = look(box)
        assert found[0] == result and words in found[1], found


def test_through_a_router(make_box, names, pair):
    """The box has an inner address, and its name leads to a router's."""
    box = make_box(cert=pair, rtc="2026-06-01T12:00:00Z")
    point(names, ROUTER)
    net.address(ROUTER)
    result, words, alerts = look(box)
    assert result == "unreached" and "could not be checked from inside" in words and "no fault" in words and "outside" not in alerts
    point(names, "203.0.113.99")
    assert look(box)[:2] == ("unreached", words.replace(ROUTER, "203.0.113.99").replace("refused", "timeout"))
    point(names, ROUTER)
    with Router(box):
        assert look(box)[0] == "fine"
    for text in (b"250-XXXXXXXX\r\n", b""):
        with Router(box, rewrite=lambda data, text=text: data.replace(b"250-STARTTLS\r\n", text)):
            result, words, _ = look(box)
            assert result == "stripped" and "SMTP inspection" in words
    with Router(box, rewrite=lambda data: b"hello\r\n" * 9 if data[:1] == b"\x16" else data):
        assert look(box)[0] == "handshake"
    for host, cert, result, detail in (("other.example", None, "stranger", "(other.example ESMTP)"),
                                       (NAME, pki.good_ca().issue(NAME, "www.office.example"), "certificate", f"({NAME},www.office.example)"),
                                       (NAME, None, "stripped", "")):
        other = FakeMx(ROUTER, host, cert=cert, starttls="offer" if cert else "none")
        found = look(box)
        assert found[0] == result and detail in found[1]
        other.stop()
    other = FakeMx(ROUTER, NAME, replies={"greeting": "421 4.3.2 too busy"})
    assert look(box)[0] == "busy" and "outside" in look(box)[2]  # which says nothing about what was found before
    other.stop()
    assert look(box)[0] == "unreached" and "outside" not in look(box)[2]
    point(names, net.BOX)
    assert look(box)[0] == "inner"
    assert "Sanitizer" not in box.errors()
    box.stop()


def test_mail_goes_first(box, names):
    """With one slot left the box does not take it from mail."""
    point(names, OWN)
    assert look(box)[0] == "fine"
    slots = box.json("status")["sessions_max"]
    held = []
    for i in range(slots - 1):
        s = socket.create_connection((box.ip, 25), 60, source_address=(net.address(f"{net.CLIENTS}{100 + i}"), 0))
        assert s.recv(100).startswith(b"220")
        held.append(s)
    before = box.json("stats")["counters"]["sessions_in"]
    assert look(box)[0] == "busy" and box.json("cert info")["outside"]["next_s"] <= 600
    assert box.json("stats")["counters"]["sessions_in"] == before and counters(box)["sessions_gave_way"] == 0
    for s in held:
        s.close()
    until(lambda: not box.json("status")["sessions"])
    assert look(box)[0] == "fine"


def hashes(pair):
    leaf = x509.load_pem_x509_certificate(pair[0].encode())
    key = leaf.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(key).hexdigest(), hashlib.sha256(leaf.public_bytes(serialization.Encoding.DER)).hexdigest()


def test_tlsa_records_that_do_not_fit(box, names, pair):
    key, leaf = hashes(pair)
    tlsa, old, anchor = f"_25._tcp.{NAME}. TLSA ", "3 1 1 " + "ab" * 32, "2 1 1 " + "cd" * 32
    for records, words in [((old,), "no TLSA record fits the key in use"), ((f"3 1 1 {key}",), None), ((f"3 1 1 {key}", old), "neither the key in use nor"),
                           ((f"3 0 1 {leaf}", anchor), None), ((old, "3 0 1 " + "ef" * 32), "no TLSA record fits"), ((), None)]:
        point(names, OWN, more=[tlsa + r for r in records])
        text = look(box)[2].get("tlsa")
        assert (text is None) == (words is None), text
        assert not words or (words in text and text.endswith("(unvalidated)") and f"_25._tcp.{NAME}" in text)


def test_an_mta_sts_policy_that_does_not_fit(box, names, pair):
    web = Web(f"{net.REMOTE}200", "mta-sts.office.example")
    record = "_mta-sts.office.example. TXT \"v=STSv1; id=1;\""
    here = (f"mta-sts.office.example. A {web.ip}", record)

    def alert(text, *, more=here):
        web.files["/.well-known/mta-sts.txt"] = text.encode()
        point(names, OWN, more=more)
        return look(box)[2].get("mta-sts")

    assert "does not list this box as mx" in alert(POLICY.format("enforce", "mx.other.example"))
    assert alert(POLICY.format("enforce", "*.office.example")) is None
    assert "does not list" in alert(POLICY.format("testing", "office.example"))
    assert alert(POLICY.format("none", "x.example")) is None
    assert "keeps mail away: there is no max_age" in alert("version: STSv1\nmode: testing\nmx: mail.office.example\n")
    web.files.clear()  # what cannot be asked clears nothing, and raises nothing
    point(names, OWN, more=here)
    assert "there is no max_age" in look(box)[2]["mta-sts"]
    assert alert("", more=()) is None
    web.files.clear()
    point(names, OWN, more=here)
    assert "mta-sts" not in look(box)[2]
    assert "breaks the rules" in alert("", more=("_mta-sts.office.example. TXT \"v=STSv1; id=-;\"",))
    chain, key = pki.strange_ca().issue(NAME)
    paste(box, "cert import", chain + key)
    assert "this box's certificate does not hold" in alert(POLICY.format("enforce", NAME))
    assert alert(POLICY.format("testing", NAME)) is None
    point(names, net.address(ROUTER), more=here)  # nor where it cannot meet itself
    web.files["/.well-known/mta-sts.txt"] = POLICY.format("enforce", NAME).encode()
    assert "this box's certificate does not hold" in look(box)[2]["mta-sts"]
    chain, key = pki.self_signed(NAME)
    paste(box, "cert import", chain + key)
    assert "this box's certificate does not hold" in alert(POLICY.format("enforce", NAME))
    paste(box, "cert import", pair[0] + pair[1])
    assert alert(POLICY.format("enforce", NAME)) is None
    web.stop()


def test_it_looks_by_itself_when_something_changed(box, names, pair):
    point(names, OWN)
    assert look(box)[0] == "fine"
    point(names, OWN, mx="mx.elsewhere.example")
    looked, before = box.json("cert info")["outside"]["checked"], box.log(400)
    box.set(mail__domains="office.example,second.example")
    box.wait_log(r"outside result=mx", timeout=120, since=before)
    assert box.json("cert info")["outside"]["checked"] >= looked
    looks = box.log(400).count("outside result=mx")
    assert "error" not in paste(box, "cert import", "".join(pki.good_ca().issue(NAME)))
    until(lambda: box.log(400).count("outside result=mx") > looks, timeout=120, told=lambda: box.log(50))
    box.set(mail__domains="office.example")
    point(names, OWN)
    assert look(box)[0] == "fine"
