"""Whose address counts: behind a balancer (PROXY protocol version 2), and for an office server that filters by the sender (XCLIENT, PROXY)."""

import ipaddress
import struct

import pytest

from lab import client, net, pki
from lab.postfix import Postfix
from lab.wait import until

BALANCER = f"{net.CLIENTS}70"
STRANGER = "192.0.2.77"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def header(source, target="198.51.100.1", port=25, tlv=b""):
    a, b = ipaddress.ip_address(source), ipaddress.ip_address(target)
    body = a.packed + b.packed + struct.pack("!HH", 4321, port) + tlv
    return SIGNATURE + bytes([0x21, 0x11 if a.version == 4 else 0x21]) + struct.pack("!H", len(body)) + body


@pytest.fixture(scope="module")
def box(make_box):
    """The same code on every board: posix has the sanitizers."""
    box = make_box(settings={"net.address": f"{net.PREFIX}.0.60/16", "mail.balancers": f"{BALANCER}/32"})
    yield box
    assert "Sanitizer" not in box.errors()
    box.stop()


def send(session, subject, recipient="anna@office.example"):
    session.ask("EHLO client.example")
    assert session.ask("MAIL FROM:<someone@sender.example>")[0] == 250
    code, text = session.ask(f"RCPT TO:<{recipient}>")
    if code != 250:
        return code
    assert session.ask("DATA")[0] == 354
    session.say(client.mail(subject).encode() + b".\r\n")
    return session.reply()[0]


@pytest.mark.parametrize("source,shown", [(STRANGER, b"[192.0.2.77]"), ("2001:db8:1::7", b"[IPv6:2001:db8:1::7]"), ("::ffff:192.0.2.78", b"[192.0.2.78]")])
def test_the_client_behind_a_balancer_counts(box, office, source, shown):
    target = "2001:db8:1::25" if ":" in source else "198.51.100.1"
    s = client.Raw(box, source=BALANCER, early=header(source, target, tlv=b"\x04\0\2zz"))
    subject = f"balanced-{source.replace(':', '-')}x"
    assert send(s, subject) == 250
    s.close()
    got = office.wait_for(f"Subject: {subject}")
    assert shown in got and BALANCER.encode() not in got


def test_a_trusted_client_is_trusted_behind_it_and_a_stranger_is_not(box):
    for source, want in ((net.OFFICE, 250), (STRANGER, 550)):
        s = client.Raw(box, source=BALANCER, early=header(source))
        s.ask("EHLO client.example")
        s.ask("MAIL FROM:<anna@office.example>")
        assert s.ask("RCPT TO:<bob@elsewhere.example>")[0] == want
        s.close()


def test_starttls_and_submissions_work_behind_it(box):
    s = client.Raw(box, source=BALANCER, early=header(STRANGER))
    s.ask("EHLO client.example")
    s.starttls()
    assert s.ask("EHLO client.example")[0] == 250
    s.close()
    s = client.Raw(box, source=BALANCER, port=465, early=header(STRANGER, port=465), greeting=False)
    s.sock = client.unverified().wrap_socket(s.sock, server_hostname="mail.office.example")
    assert s.reply()[0] == 220
    s.close()


def test_a_health_check_is_the_balancer_itself(box):
    s = client.Raw(box, source=BALANCER, early=SIGNATURE + b"\x20\0\0\0")
    assert s.greeting[0] == 220
    s.close()
    box.wait_log(rf"open sid=\d+ peer={BALANCER} ")


@pytest.mark.parametrize("early", [b"EHLO client.example\r\n", b"PROXY TCP4 192.0.2.7 198.51.100.1 1 25\r\n", SIGNATURE + b"\x21\x11\0\x04abcd",
                                   SIGNATURE + b"\x21\x11\xff\xff"])
def test_a_balancer_without_a_right_header_is_cut(box, early):
    before = box.log(400)
    s = client.Raw(box, source=BALANCER, early=early, greeting=False)
    assert s.closed() and not s.buf
    box.wait_log("no-proxy-header", since=before)


def test_others_cannot_claim_an_address(box):
    s = client.Raw(box, source=f"{net.CLIENTS}71", early=header(net.OFFICE), greeting=False)
    assert s.closed()
    assert b"250" not in s.buf and b"220" not in s.buf


def test_sessions_of_one_client_are_bounded_behind_it_and_others_go_on(box):
    held = [client.Raw(box, source=BALANCER, early=header("192.0.2.90")) for _ in range(4)]
    s = client.Raw(box, source=BALANCER, early=header("192.0.2.90"), greeting=False)
    assert s.closed() and not s.buf
    s = client.Raw(box, source=BALANCER, early=header("192.0.2.91"))
    assert s.greeting[0] == 220
    for h in held + [s]:
        h.close()


@pytest.fixture(scope="module", params=["xclient", "proxy2"])
def filtering_office(request, folder, names):
    """An office server that is told who the client is: by XCLIENT, or by a PROXY header that it demands."""
    extra = {"smtpd_authorized_xclient_hosts": "10.77.0.0/16"} if request.param == "xclient" else {"smtpd_upstream_proxy_protocol": "haproxy"}
    server = Postfix(f"{folder}/office-{request.param}", f"{net.PREFIX}.1.{21 if request.param == 'xclient' else 22}", "filter.office.example",
                     ["office.example"], cert=pki.self_signed("filter.office.example"), extra=extra)
    server.how = request.param
    server.start()
    yield server
    server.stop()


def test_the_office_server_learns_the_senders_address(make_box, filtering_office):
    how = filtering_office.how
    box = make_box(settings={"net.address": f"{net.PREFIX}.0.{61 if how == 'xclient' else 62}/16", "mail.inside": f"{filtering_office.ip}:25",
                             "mail.inside_client": how})
    client.send(box, "someone@sender.example", "anna@office.example", client.mail(f"told-by-{how}"), source=f"{net.CLIENTS}73")
    got = filtering_office.wait_for(f"Subject: told-by-{how}")
    first = got[got.index(b"Received: "):].split(b"\nReceived: ")[0]
    assert f"[{net.CLIENTS}73]".encode() in first and b"filter.office.example" in first, first
    # its own mail is its own: a report to a sender inside
    client.send(box, "anna@office.example", "bob@no-such-domain.example", client.mail("lost"), source=net.OFFICE)
    report = filtering_office.wait_for("no-such-domain.example")
    assert f"[{box.ip}]".encode() in report
    box.stop()


def test_an_office_server_without_xclient_gets_its_mail(make_box, office):
    box = make_box(settings={"net.address": f"{net.PREFIX}.0.63/16", "mail.inside_client": "xclient"})
    client.send(box, "someone@sender.example", "anna@office.example", client.mail("no-xclient"))
    office.wait_for("Subject: no-xclient")
    until(lambda: "inside-client" in [a["name"] for a in box.json("status")["alerts"]])
    box.stop()
