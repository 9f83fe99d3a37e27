"""Many sessions at once, very large mails unchanged in both directions, and IPv6."""

import hashlib
import socket
import ssl
import threading
import time

import pytest

from lab import client, net, pki
from lab.fakemx import FakeMx
from lab.wait import until

SIZE = 20 * 1000 * 1000


@pytest.fixture(scope="module")
def box(make_box, board, office, names):
    ip6 = f"{net.PREFIX6}::{2 if board == 'posix' else 3}"
    box = make_box(board=board, settings={"net.address": f"{net.PREFIX}.0.{30 if board == 'posix' else 31}/16",
                                          "net.address6": f"{ip6}/64", "mail.size_max": "22M"})
    box.ip6 = ip6
    yield box
    assert "Sanitizer" not in box.errors()
    box.stop()


@pytest.fixture
def sink(names, board):
    mx = FakeMx(f"{net.PREFIX}.6.{1 if board == 'posix' else 2}", f"mx.big-{board}.example", cert=pki.good_ca().issue(f"mx.big-{board}.example"))
    mx.domain = f"big-{board}.example"
    names.mail_domain(mx.domain, mx.host, mx.ip)
    yield mx
    mx.stop()


def test_twenty_sessions_at_once(box, office):
    done, lock = [], threading.Lock()

    def sender(n):
        for i in range(3):
            end = time.time() + 120
            while time.time() < end:
                try:
                    client.send(box, "someone@sender.example", "anna@office.example", client.mail(f"s{n}-{i}-{box.board}x"),
                                source=f"{net.CLIENTS}{100 + n}", tls=n % 2 == 0)
                    break
                except OSError:  # a 421, a reset: what a real sender tries again
                    time.sleep(0.5)
            else:
                continue
            with lock:
                done.append(f"s{n}-{i}-{box.board}x")

    threads = [threading.Thread(target=sender, args=(n,)) for n in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(300)
    assert len(done) == 60
    for name in done:
        office.wait_for(f"Subject: {name}")


def test_twenty_megabytes_pass_unchanged_both_ways(box, office, sink):
    line = b"0123456789abcdefghijklmnopqrstuvwxyz" * 2 + b"\r\n"
    body = client.mail(f"big-{box.board}").encode() + line * (SIZE // len(line))
    client.send(box, "someone@sender.example", "anna@office.example", body, timeout=120)
    got = office.wait_for(f"Subject: big-{box.board}", timeout=120).replace(b"\n", b"\r\n")
    assert hashlib.sha256(got[got.index(b"From: <"):]).digest() == hashlib.sha256(body).digest()
    client.send(box, "anna@office.example", f"bob@{sink.domain}", body, source=net.OFFICE, timeout=120)
    sent = sink.wait_for(timeout=120)["body"]
    assert hashlib.sha256(sent[sent.index(b"From: <"):] + b"\r\n").digest() == hashlib.sha256(body).digest()


def test_over_the_limit_is_refused_at_mail(box):
    s = client.Raw(box)
    s.ask("EHLO client.example")
    assert s.ask("MAIL FROM:<someone@sender.example> SIZE=30000000")[0] == 552
    s.close()


def test_mail_comes_in_over_ipv6(box, office):
    v6 = type("V6", (), {"ip": box.ip6})
    end = time.time() + 60
    while True:
        try:
            client.send(v6, "someone@sender.example", "anna@office.example", client.mail(f"six-{box.board}"),
                        source=f"{net.PREFIX6}::9:{1 if box.board == 'posix' else 2}")
            break
        except OSError:
            assert time.time() < end
            time.sleep(0.5)
    assert b"[IPv6:2001:db8:77::9:" in office.wait_for(f"Subject: six-{box.board}")


def test_mail_goes_out_over_ipv6_only_with_a_matching_ptr(box, names):
    domain, host = f"six-{box.board}.example", f"mx.six-{box.board}.example"
    mx = FakeMx(f"{net.REMOTE6}{1 if box.board == 'posix' else 2}", host, cert=pki.good_ca().issue(host))
    names.host(host, mx.ip)
    names.add(f"{domain}. MX 10 {host}.")
    socket.create_connection((box.ip6, 25), 60).close()  # its address is up
    ident = client.send(box, "anna@office.example", f"bob@{domain}", client.mail("out6"), source=net.OFFICE).split()[-1]
    box.wait_log(rf"waits id={ident}")
    box.wait_log("ipv6-sending fit=0 why=no-matching-ptr")
    assert "PTR" in [q for q in box.json("queue")["queue"] if q["id"] == ident][0]["reason"]
    names.host(f"box-{box.board}.office.example", box.ip6)
    time.sleep(6)
    box.console("set net.address6 off")  # a change of addresses looks the PTR up anew
    box.console("commit")
    box.set(net__address6=f"{box.ip6}/64")
    until(lambda: box.ip6 in box.json("status")["addresses"])
    box.retry_until(lambda: mx.mails)
    mx.stop()


def test_an_own_certificate_is_put_in_and_used_at_once(box, folder):
    """Pasted on the console; a session that is open goes on, the next one sees the new chain, verified as an outsider would."""
    chain, key = pki.good_ca().issue("mail.office.example")
    before = client.Raw(box)
    assert box.json("cert")["self_signed"]
    box.type("cert import\r")
    box.read_until("one dot")
    box.type((chain + key).replace("\n", "\r") + ".\r")
    assert "in use" in box.read_until("postern> ")
    info = box.json("cert")
    assert not info["self_signed"] and info["chain"] == 2
    assert before.ask("NOOP")[0] == 250
    before.close()
    roots = f"{folder}/roots-{box.board}.pem"
    with open(roots, "w") as f:
        f.write(pki.trusted_roots())
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context(cafile=roots)
        context.minimum_version = context.maximum_version = version
        s = client.Raw(box)
        s.ask("EHLO client.example")
        s.starttls(context)
        assert s.ask("EHLO client.example")[0] == 250
        s.close()
    box.restart()
    assert not box.json("cert")["self_signed"]


def test_a_certificate_that_does_not_fit_is_refused_with_words(box):
    chain, _ = pki.good_ca().issue("mail.office.example")
    _, other_key = pki.good_ca().issue("mail.office.example")
    box.type("cert import\r")
    box.read_until("one dot")
    box.type((chain + other_key).replace("\n", "\r") + ".\r")
    assert "error: " in box.read_until("postern> ")
