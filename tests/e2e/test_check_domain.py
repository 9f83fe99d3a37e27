"""`check DOMAIN`: what mail to a domain would meet, found out without any."""

import time

import pytest

from lab import client, net, pki
from lab.fakemx import MailServers

on_all = pytest.mark.boards("posix", "virt", "mps2-an500")  # the slot's memory and the console's, and its input
RTC = "2026-06-01T12:00:00Z"
LISTED = ("good", "stripped", "filler", "wrong-name", "untrusted", "elsewhere")
POLICY = {"timestamp": "2026-05-20T00:00:00+00:00", "expires": "2026-07-01T00:00:00+00:00", "version": "0.1", "author": "lab",
          "policy-aliases": {}, "policies": {f"{d}.enforce.example": {"mode": "enforce", "mxs": [f"mx.{d}.enforce.example"]} for d in LISTED}}


@pytest.fixture(scope="module")
def box(make_box, board):
    with make_box(board=board, policy=POLICY, rtc=RTC) as box:
        yield box


@pytest.fixture
def server(names):
    with MailServers(names) as servers:
        yield servers
    for mx in servers.started:  # no mail, and an orderly end of every session that came so far
        assert not any(c.split(" ")[0] in ("MAIL", "RCPT", "DATA") for c in mx.commands), mx.commands


def check(box, domain):
    found = box.json(f"check {domain}", timeout=60)
    assert found["domain"] == domain and found["complete"]
    return found


def only_try(found):
    (host,) = found["hosts"]
    (one,) = host["tries"]
    return one


def untouched(box):
    counters = box.json("stats")["counters"]
    return {k: v for k, v in counters.items() if k.startswith(("out_", "policy_", "deliver", "defer", "bounce"))}


@on_all
def test_what_the_list_demands_and_the_server_shows(box, server):
    before = untouched(box)
    mx = server("good.enforce.example", cert=pki.good_ca().issue("mx.good.enforce.example"))
    found = check(box, "good.enforce.example")
    one = only_try(found)
    assert (found["source"], found["demand"], found["result"], found["through"]) == ("list", "verified", "verified", "mx.good.enforce.example")
    assert one["goes"] and one["verified"] and one["starttls"] and one["tls"] == "TLSv1.3" and one["cause"] is None and one["cipher"].startswith("TLS_")
    assert one["address"] == mx.ip and mx.host in one["greeting"] and mx.host in one["names"]
    assert mx.commands[-1] == "QUIT" and mx.commands.count("QUIT") == mx.sessions == 1
    text = box.console("check good.enforce.example", timeout=60)
    for part in ("must show: TLS with a certificate", "preload list", "mx.good.enforce.example, port 25, preference 10", f"[{mx.ip}]", "TLSv1.3 TLS_",
                 "mail to good.enforce.example goes through mx.good.enforce.example: verified"):
        assert part in text, text
    assert untouched(box) == before


@pytest.mark.boards("posix")
@pytest.mark.parametrize("name,kw,cause,words", [
    ("stripped", lambda h: {"starttls": "none"}, None, "offers no STARTTLS"),
    ("filler", lambda h: {"starttls": "xxxxxxxx"}, None, "seems to strip it"),
    ("wrong-name", lambda h: {"cert": pki.good_ca().issue("mx.else.example")}, "wrong-name", "(wrong-name; "),
    ("untrusted", lambda h: {"cert": pki.strange_ca().issue(h)}, "untrusted-root", "root is not one that this box trusts"),
])
def test_a_promise_that_is_broken_holds_the_mail(box, server, name, kw, cause, words):
    """And the same server may have mail for a domain that promised nothing."""
    before = untouched(box)
    domain, free = f"{name}.enforce.example", f"{name}.unlisted.example"
    mx = server(domain, **kw(f"mx.{domain}"))
    found = check(box, domain)
    one = only_try(found)
    assert found["result"] == "waits" and found["through"] is None and "held back, nothing was sent to" in found["why"] and words in found["why"]
    assert not one["goes"] and words in one["reasons"][0] and one.get("cause") == cause and one["starttls"] == (cause is not None)
    assert f"mail to {domain} waits: held back" in box.console(f"check {domain}", timeout=60)
    assert "QUIT" == mx.commands[-1]
    other = server(free, **kw(f"mx.{free}"))
    found = check(box, free)
    assert found["result"] == ("encrypted" if cause else "plaintext") and found["source"] == "opportunistic" and only_try(found)["goes"]
    assert f"{free} goes through mx.{free}: {found['result']}" in box.console(f"check {free}", timeout=60)
    assert other.commands[-1] == "QUIT" and untouched(box) == before


def test_domains_that_take_nothing(box, names, server):
    before = untouched(box)
    dead = net.address(net.fresh_ip())
    names.add("null.example. MX 0 .")
    names.mail_domain("dead.example", "mx.dead.example", dead)
    elsewhere = server("elsewhere.enforce.example", host="mx.attacker.example")
    for domain, result, words in (("null.example", "bounces", "takes no mail (null MX)"), ("nowhere.example", "bounces", "does not exist"),
                                  ("dead.example", "waits", f"mx.dead.example [{dead}"),
                                  ("elsewhere.enforce.example", "waits", "does not name the mail server mx.attacker.example")):
        found = check(box, domain)
        assert found["result"] == result and words in found["why"] and found["through"] is None, found
        assert f"mail to {domain} {result}: {found['why']}" in box.console(f"check {domain}")
        assert len(found["hosts"]) == (domain[:4] in ("dead", "else"))
    assert elsewhere.sessions == 0
    # a failed look is no failure of the hop: mail is tried at once
    assert check(box, "dead.example")["hosts"][0]["left_alone_s"] == 0 and untouched(box) == before


@on_all
def test_hosts_in_their_order_and_a_second_connection(box, names, server):
    first = server("order.example", host="mx1.order.example", replies={"greeting": "421 4.3.2 too busy"})
    good = server("unused.example", host="mx2.order.example", starttls="break", cert=pki.good_ca().issue("mx2.order.example"))
    names.forget("mx3.order.example. ")
    names.add("order.example. MX 20 mx2.order.example.", "order.example. MX 30 mx3.order.example.", f"mx3.order.example. A {net.address(net.fresh_ip())}")
    found = check(box, "order.example")
    assert [h["host"] for h in found["hosts"]] == ["mx1.order.example", "mx2.order.example", "mx3.order.example"]
    assert [len(h["tries"]) for h in found["hosts"]] == [1, 2, 1] and found["result"] == "plaintext" and found["through"] == "mx2.order.example"
    busy, (broken, plain), dead = (h["tries"] for h in found["hosts"])
    assert "too busy" in busy[0]["reasons"][0] and not broken["goes"] and plain["goes"] and "second connection" in plain["reasons"][0]
    assert not dead[0]["goes"] and "could not be reached" in dead[0]["reasons"][0]
    assert good.sessions == 2 and first.sessions == 1


@on_all
def test_ctrl_c_ends_it(box, server):
    server("slow.example", delay=15)
    began = time.time()
    box.type("check slow.example\r")
    box.read_until("preference 10")
    box.type("\x03")
    assert "error: stopped" in box.read_until("\npostern> ")
    box.type("check slow.example json\r")
    box.read_until('"tries":[')
    box.type("\x03")
    assert '"complete":false,"result":null' in box.read_until("\npostern> ") and time.time() - began < 10


def test_one_of_our_own_domains(box, office):
    found = check(box, "office.example")
    assert found["next_hop"] == "inside" and found["result"] == "encrypted" and found["hosts"][0]["host"] == net.OFFICE
    assert "'check' alone looks at this box's own name" in box.console("check office.example", timeout=60)


def test_what_is_no_domain(box):
    for word in ("192.0.2.1", "2001:db8::1", "[192.0.2.1]", "a..b", "-/x", "x" * 64 + ".example", ".".join(["x" * 60] * 5), "user@example.com", "a b"):
        out = box.console(f"check {word}")
        assert out.startswith("error: ") and "\n" not in out, out
    assert "mail to xn--bcher-kva.example bounces" in box.console("check bücher.example")


@pytest.mark.boards("posix")
def test_what_delivery_does_about_it(box, names):
    """A domain that is held, and one whose servers did not answer: both are asked all the same, and it is said."""
    names.mail_domain("gone.example", "mx.gone.example", net.address(net.fresh_ip()))
    box.console("queue hold gone.example")
    assert check(box, "gone.example")["held"] is not None and "but it is held" in box.console("check gone.example")
    box.console("queue release gone.example")
    ident = client.send(box, "anna@office.example", "bob@gone.example", client.mail("x"), source=net.OFFICE).split()[-1]
    box.wait_log(rf"waits id={ident}")
    box.console("queue retry")
    box.wait_log(r"backs-off domain=gone.example")
    found = check(box, "gone.example")
    assert 0 < found["hosts"][0]["left_alone_s"] <= 90 and found["result"] == "waits"
    assert "delivery leaves it alone for" in box.console("check gone.example")
    box.console(f"queue drop {ident} yes")
