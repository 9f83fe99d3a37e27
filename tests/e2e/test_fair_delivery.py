"""A dead or tarpitting domain holds up nobody but its own mail, and is asked ever more seldom; when it is back its mail goes at once."""

import time

import pytest

from lab import client, net
from lab.fakemx import MailServers
from lab.postfix import Postfix
from lab.wait import until

MAILS = 12
NARROW_MAILS = 40
TARPIT_S = 120


@pytest.fixture(scope="module")
def box(make_box, office):
    with make_box(settings={"net.address": f"{net.PREFIX}.0.45/16"}) as box:
        yield box


def send(box, domain, n):
    return client.send(box, "anna@office.example", f"bob@{domain}", client.mail(f"{domain}-{n}"), source=net.OFFICE).split()[-1]


@pytest.fixture
def server(names):
    with MailServers(names, starttls="none") as servers:
        yield servers


def test_tarpits_leave_sessions_for_others(box, server):
    tarpits = [server(f"tarpit{i}.example", delay=TARPIT_S) for i in range(3)]
    good = server("quick.example")
    for n in range(MAILS):
        for mx in tarpits:
            send(box, mx.host[3:], n)
    until(lambda: sum(mx.sessions for mx in tarpits) >= 3)
    began = time.time()
    for n in range(5):
        send(box, "quick.example", n)
    good.wait_for(5)
    took = time.time() - began
    print(f"\n5 mails past 3 tarpits with {3 * MAILS} mails waiting for them: {took:.1f} s")
    assert took < TARPIT_S / 4
    assert [mx.sessions for mx in tarpits] == [1, 1, 1]
    queue = until(lambda: [q for q in [box.queue()] if len(q) == 3 * MAILS], told=lambda: box.console("queue"))[0]  # good's are settled
    sending = [q["id"] for q in queue if q["state"] == "sending"]
    assert len(sending) == 3 and "error: the mail is being sent right now" in box.console(f"queue retry {sending[0]}")
    told = box.console("queue retry")
    assert f"{3 * MAILS - 3} mails will be tried now" in told and "3 more: being tried just now" in told


def test_a_dead_domain_is_asked_ever_more_seldom_and_flows_when_it_is_back(box, names, server):
    domain, ip = "dead.example", net.address(net.fresh_ip())
    names.mail_domain(domain, f"mx.{domain}", ip)
    ids = [send(box, domain, n) for n in range(MAILS)]
    box.wait_log(rf"backs-off domain={domain}")
    time.sleep(2)
    log = box.log(400)
    assert log.count(f"no-connection id=") >= 2 and sum(f"mx=mx.{domain}" in line and "no-connection" in line for line in log.splitlines()) == 2
    waiting = [q for q in box.json("queue")["queue"] if q["id"] in ids]
    assert len(waiting) == MAILS and not [q for q in waiting if "never" in q["state"]]
    later = send(box, domain, MAILS)
    time.sleep(1)
    assert f"no-connection id={later}" not in box.log(400)
    mx = server(host=f"mx.{domain}", ip=ip)
    box.retry_until(lambda: len(mx.mails) >= MAILS + 1)
    assert len({m["body"].split(b"Subject: ")[1].split(b"\r\n")[0] for m in mx.mails}) == MAILS + 1


@pytest.mark.parametrize("limit", [1, 2])
def test_a_servers_limit_of_connections_is_no_failure(box, names, folder, limit):
    domain, ip = f"narrow{limit}.example", net.address(net.fresh_ip())
    mx = Postfix(f"{folder}/narrow-{box.board}-{limit}", ip, f"mx.{domain}", [domain],
                 extra={"smtpd_client_connection_count_limit": str(limit), "smtpd_client_event_limit_exceptions": ""}).start()
    names.mail_domain(domain, mx.host, ip)
    try:
        for n in range(NARROW_MAILS):
            send(box, domain, n)
        until(lambda: len(mx.files()) == NARROW_MAILS, 30, lambda: f"{len(mx.files())} of {NARROW_MAILS}")
        assert "backs-off domain=" + domain not in box.log(400)
    finally:
        mx.stop()


def test_a_server_that_breaks_off_twice_is_asked_again_within_seconds(box, server):
    mx = server("shaky.example")
    send(box, "shaky.example", 0)
    mx.wait_for(1, timeout=10)
    time.sleep(2)  # the session that waited for a next mail has ended
    mx.cut = "MAIL"
    cut = send(box, "shaky.example", 1)
    box.wait_log(rf"waits id={cut} recipients=1 attempts=2 next_s=[4-8]\b")
    mx.cut = None
    mx.wait_for(2, timeout=15)


def test_a_domain_without_a_server_to_ask_has_the_usual_pause(box, names):
    names.add(*(f"nobody.example. MX {n} mx{n}.nobody.example." for n in (10, 20)))
    mail = send(box, "nobody.example", 0)
    box.wait_log(rf"waits id={mail} recipients=1 attempts=1 next_s=[67]\d\b")
