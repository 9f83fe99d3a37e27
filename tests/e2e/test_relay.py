"""A mail goes through in both directions, between real Postfix servers, and what was signed inside still verifies outside."""

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from lab import client, net, pki, postfix


@pytest.fixture(scope="module")
def box(make_box, board, office):
    box = make_box(board=board, cert=pki.good_ca().issue("mail.office.example"))
    yield box
    box.stop()


@pytest.fixture(scope="module")
def remote(folder, names, board):
    ip = f"{net.REMOTE}{200 if board == 'posix' else 201 if board == 'virt' else 202}"
    domain = f"remote-{board}.example"
    names.mail_domain(domain, f"mx.{domain}", ip)
    server = postfix.Postfix(f"{folder}/remote-{board}", ip, f"mx.{domain}", [domain], cert=pki.good_ca("rsa").issue(f"mx.{domain}", kind="rsa"))
    server.domain = domain
    server.start()
    yield server
    server.stop()


def test_from_outside_to_the_office_over_starttls(box, office):
    reply = client.send(box, "someone@sender.example", "anna@office.example", client.mail(f"in-{box.board}"))
    assert "queued as" in reply
    got = postfix.parse(office.wait_for(f"Subject: in-{box.board}"))
    trace = [r for r in got.get_all("Received") if "(Postern)" in r]
    assert len(trace) == 1
    assert "client.example" in trace[0] and net.CLIENTS + "1" in trace[0]
    assert "TLSv1.3" in trace[0] and "ESMTPS" in trace[0] and "for <anna@office.example>" in trace[0]


def test_from_outside_in_plaintext_says_so_in_its_trace(box, office):
    client.send(box, "someone@sender.example", "anna@office.example", client.mail(f"plain-{box.board}"), tls=False)
    got = postfix.parse(office.wait_for(f"Subject: plain-{box.board}"))
    trace = [r for r in got.get_all("Received") if "(Postern)" in r][0]
    assert "with ESMTP id" in trace and "TLS" not in trace


def test_from_the_office_to_elsewhere_over_verified_tls(box, office, remote):
    client.send(box, "anna@office.example", f"bob@{remote.domain}", client.mail(f"out-{box.board}"), source=net.OFFICE)
    got = remote.wait_for(f"Subject: out-{box.board}")
    assert b"using TLSv1.3" in got
    box.wait_log(r"delivered .*domain=" + remote.domain)
    assert box.json("stats")["counters"]["out_verified"] >= 1


def test_a_dkim_signature_survives(box, remote, names):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    import base64
    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)
    body = (f"From: <anna@office.example>\r\nTo: <bob@{remote.domain}>\r\nSubject: signed-{box.board}\r\nDate: Mon, 25 May 2020 10:00:00 +0000\r\n"
            "Message-ID: <1@office.example>\r\nX-Odd:   spaces   and\ttabs  \r\n\r\n.leading dot\r\n..two\r\n\r\ntrailing blanks   \r\n\r\n\r\n").encode()
    signature = dkim.sign(body, b"s1", b"office.example", private, canonicalize=(b"simple", b"simple"))
    client.send(box, "anna@office.example", f"bob@{remote.domain}", (signature + body).decode(), source=net.OFFICE)
    got = remote.wait_for(f"Subject: signed-{box.board}").replace(b"\n", b"\r\n")
    assert dkim.verify(got, dnsfunc=lambda *a, **k: record)


@pytest.mark.parametrize("name,text,options", [
    ("eight-bit", "Grüße aus der Küche\r\n", ["BODY=8BITMIME"]),
    ("utf8", "日本語\r\n", ["BODY=8BITMIME", "SMTPUTF8"]),
])
def test_eight_bit_and_utf8_pass_unchanged(box, remote, name, text, options):
    to = f"bob@{remote.domain}" if name != "utf8" else f"böb@{remote.domain}"
    raw = (f"From: <anna@office.example>\r\nSubject: {name}-{box.board}\r\nMIME-Version: 1.0\r\n"
           f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text}").encode()
    s = client.Raw(box, source=net.OFFICE)
    assert s.ask("EHLO client.example")[0] == 250
    assert s.ask(f"MAIL FROM:<anna@office.example> {' '.join(options)}")[0] == 250
    assert s.ask(f"RCPT TO:<{to}>".encode() + b"\r\n")[0] == 250
    assert s.ask("DATA")[0] == 354
    assert s.ask(raw + b".\r\n")[0] == 250
    s.close()
    assert text.strip().encode() in remote.wait_for(f"Subject: {name}-{box.board}")


def test_bdat_passes_byte_for_byte(box, office):
    raw = client.mail(f"bdat-{box.board}", "..dots stay\r\n.\r\nand a lone one").encode()
    s = client.Raw(box)
    assert s.ask("EHLO client.example")[0] == 250
    assert s.ask("MAIL FROM:<someone@sender.example>")[0] == 250
    assert s.ask("RCPT TO:<anna@office.example>")[0] == 250
    assert s.ask(f"BDAT {len(raw) - 7}\r\n".encode() + raw[:-7])[0] == 250
    assert s.ask(b"BDAT 7 LAST\r\n" + raw[-7:])[0] == 250
    s.close()
    got = office.wait_for(f"Subject: bdat-{box.board}").replace(b"\n", b"\r\n")
    assert got.endswith(raw)


def test_several_recipients_each_get_their_result(box, office, remote):
    s = client.Raw(box, source=net.OFFICE)
    s.ask("EHLO client.example")
    assert s.ask("MAIL FROM:<anna@office.example>")[0] == 250
    for to in ("anna@office.example", f"bob@{remote.domain}", f"carl@{remote.domain}"):
        assert s.ask(f"RCPT TO:<{to}>")[0] == 250
    assert s.ask("DATA")[0] == 354
    assert s.ask(client.mail(f"many-{box.board}").encode() + b".\r\n")[0] == 250
    office.wait_for(f"Subject: many-{box.board}")
    remote.wait_for(f"Subject: many-{box.board}")
    box.wait_log(r"delivered .*rcpt=2 ")


def test_the_queue_is_empty_and_nothing_crashed(box):
    box.is_empty()
    assert box.json("status")["reset"] == "power-on"
    assert "Sanitizer" not in box.errors()
