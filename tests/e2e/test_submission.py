"""The office's own senders on 587 and 465: logins over TLS alone, what a wrong one costs, sender rules, and quotas whose excess is held."""

import base64
import select
import smtplib
import socket
import subprocess
import time

import pytest

from lab import client, net, pki
from lab.fakemx import FakeMx
from lab.wait import until

PASSWORD = "correct horse battery"
HOME = f"{net.CLIENTS}60"  # an address outside, as of somebody at home


@pytest.fixture(scope="module")
def box(make_box, board):
    box = make_box(board=board, settings={"net.address": f"{net.PREFIX}.0.{50 if board == 'posix' else 51}/16", "mail.user.anna": PASSWORD,
                                          "mail.user.printer": "another secret", "mail.user_senders.printer": "scan@office.example",
                                          "mail.quota_user": "5", "mail.quota_address": "2"})
    yield box
    assert "Sanitizer" not in box.errors()
    box.stop()


@pytest.fixture(scope="module")
def sink(names, board):
    ip = f"{net.PREFIX}.6.{11 if board == 'posix' else 12}"
    mx = FakeMx(ip, f"mx.sub-{board}.example", cert=pki.good_ca().issue(f"mx.sub-{board}.example"))
    mx.domain = f"sub-{board}.example"
    names.mail_domain(mx.domain, mx.host, mx.ip)
    yield mx
    mx.stop()


def connect(box, port=587, source=HOME, tls=True):
    source = (net.address(source), 0)
    if port == 465:
        s = smtplib.SMTP_SSL(box.ip, port, local_hostname="laptop.example", timeout=60, source_address=source, context=client.unverified())
    else:
        s = smtplib.SMTP(box.ip, port, local_hostname="laptop.example", timeout=60, source_address=source)
        if tls:
            s.starttls(context=client.unverified())
    s.ehlo()
    return s


def plain(user, password):
    return "AUTH PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode()).decode()


@pytest.mark.parametrize("port,mechanism", [(587, "PLAIN"), (465, "LOGIN")])
def test_a_user_sends_from_anywhere(box, sink, port, mechanism):
    n = len(sink.mails)
    with connect(box, port) as s:
        assert set(s.esmtp_features["auth"].split()) == {"PLAIN", "LOGIN"}
        assert s.mail("anna@office.example")[0] == 530
        s.user, s.password = "anna@office.example", PASSWORD
        s.auth(mechanism, s.auth_plain if mechanism == "PLAIN" else s.auth_login)
        s.sendmail("anna@office.example", f"bob@{sink.domain}", client.mail(f"from home {mechanism}"))
    got = sink.wait_for(n + 1)
    assert f"Subject: from home {mechanism}".encode() in got["body"]
    assert b"with ESMTPSA" in got["body"]
    box.wait_log(r"queued sid=\d+ id=\w+ user=anna")


def test_swaks_logs_in(box, sink):
    n = len(sink.mails)
    out = subprocess.run(["swaks", "--server", box.ip, "--port", "587", "--tls", "--auth", "PLAIN", "--auth-user", "anna", "--auth-password", PASSWORD,
                          "--from", "anna@office.example", "--to", f"bob@{sink.domain}", "--header", "Subject: by swaks"],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    assert out.returncode == 0, out.stdout
    assert b"Subject: by swaks" in sink.wait_for(n + 1)["body"]


def test_no_login_without_tls_or_on_port_25(box):
    with connect(box, tls=False) as s:
        assert "auth" not in s.esmtp_features
        assert s.docmd(plain("anna", PASSWORD))[0] == 538
    with connect(box, port=25) as s:
        assert "auth" not in s.esmtp_features
        assert s.docmd(plain("anna", PASSWORD))[0] == 502
        assert s.mail("anna@office.example")[0] == 250
        assert s.rcpt("bob@elsewhere.example")[0] == 550


def test_a_user_sends_only_as_allowed(box, sink):
    with connect(box) as s:
        s.login("printer", "another secret")
        assert s.mail("anna@office.example")[0] == 550
        assert s.mail("")[0] == 550
        assert s.mail("scan@office.example")[0] == 250
        assert s.rcpt(f"bob@{sink.domain}")[0] == 250
        s.rset()


def test_no_secret_is_shown(box):
    shown = box.console("show mail.user") + box.log(400) + box.console("show mail.user json")
    assert "******" in shown and PASSWORD not in shown and "pbkdf2" not in shown


def test_what_exceeds_the_quota_is_held_until_released(box, sink):
    with connect(box) as s:
        s.login("anna", PASSWORD)
        for i in range(8):
            assert s.sendmail("anna@office.example", f"bob@{sink.domain}", client.mail(f"burst {i}")) == {}
    held = [q for q in box.json("queue")["queue"] if q["state"] == "held"]
    assert 3 <= len(held) <= 6, "two or three of the five were used by the tests before"
    assert "quota" in [a["name"] for a in box.json("status")["alerts"]]
    box.restart()
    assert {q["id"] for q in box.json("queue")["queue"] if q["state"] == "held"} == {q["id"] for q in held}, "a hold outlives a restart"
    assert "error" not in box.console(f"queue release {held[0]['id']}")
    until(lambda: held[0]["id"] not in [q["id"] for q in box.queue()], told=lambda: box.console("queue"))
    assert "error" not in box.console(f"queue release {sink.domain}")
    box.is_empty()


def test_a_trusted_address_has_a_quota_of_its_own(box, sink):
    source = f"{net.PREFIX}.1.{77 if box.board == 'posix' else 78}"
    before = box.json("stats")["counters"]["over_quota"]
    for i in range(3):
        client.send(box, "anna@office.example", f"bob@{sink.domain}", client.mail(f"trusted {i}"), source=source)
    held = [q for q in box.json("queue")["queue"] if q["state"] == "held"]
    assert len(held) == 1 and box.json("stats")["counters"]["over_quota"] == before + 1
    assert f"address {source}" in [a["text"] for a in box.json("status")["alerts"] if a["name"] == "quota"][0]
    assert "error" not in box.console(f"queue release {held[0]['id']}")


def test_guessing_gets_slower_and_is_shut_out(box):
    """From one address alone: others go on."""
    if box.board != "posix":
        pytest.skip("the waits are the same code; once is enough")
    source, took, codes = f"{net.CLIENTS}66", [], []
    for _ in range(2):
        with connect(box, source=source) as s:
            for guess in range(3):
                t = time.time()
                codes.append(s.docmd(plain("anna" if guess else "nobody", "guess"))[0])
                took.append(time.time() - t)
    assert codes == [535] * 6
    assert took[0] < 3.9 < min(took[2:]), took  # it waits 1, 2 and then 4 s
    with connect(box, source=source) as s:
        t = time.time()
        code, text = s.docmd(plain("anna", PASSWORD))
        assert code == 421 and b"too many failed logins" in text and time.time() - t < 3
    with connect(box, source=HOME) as s:
        s.login("anna", PASSWORD)
    box.wait_log("login-shut-out")


def test_a_slow_hash_holds_nobody_up(box):
    """While passwords are hashed, another session's commands are answered."""
    other = client.Raw(box)
    other.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    other.ask("EHLO client.example")
    with connect(box) as s:
        s.putcmd(plain("anna", PASSWORD))
        answered = 0
        while not select.select([s.sock], [], [], 0)[0]:
            assert other.ask("NOOP")[0] == 250
            answered += 1
        assert s.getreply()[0] == 235
    other.close()
    assert answered >= 3
