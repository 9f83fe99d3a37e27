"""The queue's ways: one session for many mails, a dead mail server passed over."""

import pytest

from lab import client, net, pki
from lab.wait import until

pytestmark = pytest.mark.boards("posix")


@pytest.fixture(scope="module")
def box(make_box, board, office):
    with make_box(board=board, settings={"net.address": f"{net.PREFIX}.0.46/16", "mail.sessions_per_hop": "1"}) as box:
        yield box


def send(box, domain, name="bob", **kw):
    return client.send(box, "anna@office.example", f"{name}@{domain}", client.mail(f"to-{name}"), source=net.OFFICE, tls=False, **kw).split()[-1]


def subjects(mx):
    return sorted(m["body"].split(b"Subject: ")[1].split(b"\r\n")[0].decode() for m in mx.mails)


def send_held_back(box, mx, domains, count):
    """count mails that wait together, and then go."""
    mx.replies["greeting"] = "450 4.3.2 not yet"
    ids = [send(box, domains[n % len(domains)], f"n{n}") for n in range(2)]
    box.wait_log(rf"backs-off domain={domains[0]}")
    ids += [send(box, domains[n % len(domains)], f"n{n}") for n in range(2, count)]
    until(lambda: all(q["attempts"] and q["state"] == "waiting" for q in box.queue() if q["id"] in ids), told=lambda: box.console("queue"))
    mx.replies.pop("greeting")
    mx.sessions = 0
    box.console("queue retry")
    return ids


def test_one_session_for_the_mails_of_one_host(box, server):
    mx = server("many.example")
    send_held_back(box, mx, ["many.example"], 20)
    mx.wait_for(20)
    assert subjects(mx) == sorted(f"to-n{n}" for n in range(20)), "each once"
    assert mx.sessions == 1 and mx.tls_mails == 20


def test_a_session_has_an_end(box, server):
    mx = server("endless.example")
    send_held_back(box, mx, ["endless.example"], 60)
    mx.wait_for(60)
    assert mx.sessions == 2, "50 mails, and 10"


def attempts_at(box, host):
    return sum("no-connection" in line and f"mx={host}" in line for line in box.log(400).splitlines())


def test_two_domains_of_one_host_share_its_health(box, names, server):
    """Two that found it dead are enough for both; when it is back the mail of both goes."""
    dead = net.address(net.fresh_ip())
    for domain in ("one.shared.example", "two.shared.example"):
        names.mail_domain(domain, "mx.shared.example", dead)
    for n, domain in enumerate(("one", "one", "two")):
        box.wait_log(rf"waits id={send(box, f'{domain}.shared.example', f'n{n}')}")
    assert attempts_at(box, "mx.shared.example") == 2
    mx = server("one.shared.example", host="mx.shared.example", ip=dead)
    box.console("queue retry")
    mx.wait_for(3)
    assert subjects(mx) == ["to-n0", "to-n1", "to-n2"]


@pytest.mark.parametrize("how", ["421", "cut", "after RCPT"])
def test_a_session_that_ends_between_two_mails_costs_nothing(box, server, how):
    domain = f"ends-{how.split()[0]}.example"
    mx = server(domain)
    mx.replies["MAIL"] = ["250 2.1.0 ok", "421 4.3.2 enough for today"] if how == "421" else "250 2.1.0 ok"
    if how == "after RCPT":
        mx.replies["RCPT"] = ["250 2.1.5 ok", "421 4.7.0 too many"]
    if how == "cut":
        mx.hang_up_after = 1
    ids = send_held_back(box, mx, [domain], 4)
    mx.wait_for(4)
    assert subjects(mx) == [f"to-n{n}" for n in range(4)], "each once"
    assert mx.sessions == (4 if how == "cut" else 2)
    for ident in ids:
        box.wait_log(rf"delivered id={ident}")
    assert box.log(400).count(f"backs-off domain={domain}") == 1, "that of the beginning"


def test_a_refused_mail_leaves_the_session_clean(box, server):
    mx = server("picky.example")
    mx.replies["RCPT"] = ["250 2.1.5 ok", "450 4.2.1 not him now", "250 2.1.5 ok"]
    send_held_back(box, mx, ["picky.example"], 3)
    mx.wait_for(2)
    assert mx.sessions == 1
    assert mx.commands.count("RSET") == 1
    assert [len(m["to"]) for m in mx.mails] == [1, 1]


def test_a_dead_mail_server_is_passed_over_while_another_is_there(box, names, server):
    mx = server("half.example")
    names.host("dead.half.example", net.address(net.fresh_ip()))
    names.add("half.example. MX 5 dead.half.example.")
    for n in range(5):
        send(box, "half.example", f"n{n}")
        mx.wait_for(n + 1)
    assert attempts_at(box, "dead.half.example") == 2, "asked twice, then passed over"


def test_a_held_domain_keeps_what_comes_later_through_a_restart(box, office, server):
    mx, other = server("kept.example"), server("free.example")
    box.console("set mail.life_days 3")
    assert box.console("queue hold kept.example") == "0 mails held until you release them, with all that comes for kept.example"
    first = send(box, "kept.example", "n0")
    both = client.send(box, "anna@office.example", ["n1@kept.example", "n1@free.example"], client.mail("to-n1"), source=net.OFFICE, tls=False).split()[-1]
    other.wait_for()
    box.wait_log(rf"waits id={first} .* why=held")
    box.wait_log(rf"waits id={both}")
    box.restart()
    assert "by 'queue hold'" in box.console("show mail.hold") and "mail.life_days 5" in box.console("show mail.life_days"), "not what was staged"
    later = send(box, "kept.example", "n2")
    box.wait_log(rf"waits id={later} .* why=held")
    assert {q["id"]: q["state"] for q in box.json("queue")["queue"] if q["domain"] == "kept.example"} == {i: "held" for i in (first, both, later)}
    assert "mail for kept.example is held" in box.console(f"queue show {later}")
    before = box.log(400)
    box.console("queue retry")
    for ident in (first, both, later):
        box.wait_log(rf"waits id={ident} .* why=held", since=before)
    assert mx.sessions == 0
    assert box.console("queue release kept.example") == "3 mails released"
    mx.wait_for(3)
    assert subjects(mx) == ["to-n0", "to-n1", "to-n2"] and len(other.mails) == 1
    assert "kept" not in box.console("show mail.hold")
    assert "error" in box.console("queue hold [10.77.0.300]")
