"""What remote servers answer becomes what happens to the mail: 4yz waits, 5yz goes back to its sender, a cut connection loses nothing."""

import pytest

from lab import client, net, pki, postfix
from lab.wait import until

STEPS = ["greeting", "EHLO", "MAIL", "RCPT", "DATA", "END"]


# The same code above every board: some of it on virt, for its timers and its network.
pytestmark = pytest.mark.boards("posix")
on_virt_too = pytest.mark.boards("posix", "virt")


@pytest.fixture(scope="module")
def box(make_box, board, office):
    with make_box(board=board, settings={"net.address": f"{net.PREFIX}.0.4/16"}) as box:
        yield box


def send(box, domain, **kw):
    return client.send(box, "anna@office.example", f"bob@{domain}", client.mail(f"to-{domain}"), source=net.OFFICE, **kw).split()[-1]


def gone(box, ident):
    return until(lambda: not entry(box, ident), told=lambda: f"{ident} is still in the queue")


def entry(box, ident):
    return [q for q in box.json("queue")["queue"] if q["id"] == ident]


@pytest.mark.parametrize("step", STEPS)
def test_a_temporary_refusal_waits_and_then_goes(box, server, step):
    domain = f"soft-{step.lower()}.example"
    mx = server(domain, replies={step: ["451 4.3.2 come back later"]})
    ident = send(box, domain)
    box.wait_log(rf"waits id={ident}")
    assert "come back later" in entry(box, ident)[0]["reason"]
    assert not mx.mails
    box.order(f"queue retry {ident}")
    assert b"Subject: to-" in mx.wait_for()["body"]
    box.wait_log(rf"delivered id={ident}")
    assert gone(box, ident)


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "END"])
def test_a_permanent_refusal_goes_back_to_the_sender(box, office, server, step):
    domain = f"hard-{step.lower()}.example"
    mx = server(domain, replies={step: "550 5.7.1 not you"})
    ident = send(box, domain)
    box.wait_log(rf"bounced id={ident}")
    report = postfix.parse(office.wait_for(f"bob@{domain}"))
    assert report.get_content_type() == "multipart/report" and report.get_param("report-type") == "delivery-status"
    words, fields, header = report.iter_parts()
    assert f"bob@{domain}" in words.get_content() and "not you" in words.get_content()
    status = fields.get_payload()
    assert status[0]["Reporting-MTA"] == "dns; mail.office.example"
    assert status[1]["Action"] == "failed" and status[1]["Status"] == "5.7.1"
    assert status[1]["Final-Recipient"] == f"rfc822; bob@{domain}"
    assert "550" in status[1]["Diagnostic-Code"]
    assert f"Subject: to-{domain}" in header.get_content()
    assert report["Auto-Submitted"] == "auto-replied"
    assert gone(box, ident) and not mx.mails


@pytest.mark.parametrize("step", ["greeting", "EHLO"])
def test_a_server_that_turns_us_away_waits(box, server, step):
    domain = f"away-{step.lower()}.example"
    server(domain, replies={step: "554 5.7.1 no service"})
    ident = send(box, domain)
    box.wait_log(rf"waits id={ident}")
    assert "no service" in entry(box, ident)[0]["reason"]
    box.drop(ident)


@on_virt_too
@pytest.mark.parametrize("step", STEPS + ["BODY"])
def test_a_cut_connection_loses_nothing(box, server, step):
    domain = f"cut-{step.lower()}-{box.board}.example"
    mx = server(domain, cut=step)
    ident = send(box, domain)
    box.wait_log(rf"waits id={ident}")
    mx.cut = None
    box.order(f"queue retry {ident}")
    mx.wait_for()
    box.wait_log(rf"delivered id={ident}")


def test_the_next_mx_is_tried(box, names, server):
    domain = "two.example"
    second = server(domain)
    first = server(host="mx1.two.example", replies={"greeting": "421 4.3.2 busy"})
    names.host("mx1.two.example", first.ip)
    names.add("two.example. MX 5 mx1.two.example.")
    send(box, domain)
    second.wait_for()
    assert first.sessions == 1


NO_REPLIES = {
    "without end": ("EHLO", b"250-x\r\n" * 5000 + b"250 x\r\n"),
    "a wrong hyphen": ("MAIL", b"250+fine\r\n"),
    "no code": ("RCPT", b"hello there\r\n"),
    "injected by a bare LF": ("RCPT", b"250 fine\n250 injected\r\n"),
    "mixed": ("END", b"250-fine\r\n550 not fine\r\n"),
    "a line without end": ("END", b"250 " + b"x" * 5_000_000 + b"\r\n"),
    "no answer's code": ("END", b"199 hm\r\n"),
}


@pytest.mark.parametrize("what", NO_REPLIES)
def test_what_is_no_reply_never_counts_as_one(box, server, what):
    step, reply = NO_REPLIES[what]
    domain = f"{what.replace(' ', '-').replace(chr(39), '')}-{step.lower()}-{box.board}.example"
    mx = server(domain, replies={step: [reply] * 2})
    ident = send(box, domain)
    box.wait_log(rf"waits id={ident}")
    assert "broke the protocol" in entry(box, ident)[0]["reason"] or "it may arrive twice" in entry(box, ident)[0]["reason"]
    mx.replies = {}
    box.order(f"queue retry {ident}")
    mx.wait_for()
    box.wait_log(rf"delivered id={ident}")


@on_virt_too
def test_each_recipient_has_its_own_result(box, office, server):
    domain = f"mixed-{box.board}.example"
    mx = server(domain, replies={"RCPT": ["250 2.1.5 ok", "550 5.1.1 nobody here", "450 4.2.1 try later"]})
    s = client.Raw(box, source=net.OFFICE)
    s.ask("EHLO client.example")
    s.ask("MAIL FROM:<anna@office.example>")
    for name in ("one", "two", "three"):
        assert s.ask(f"RCPT TO:<{name}@{domain}>")[0] == 250
    s.ask("DATA")
    ident = s.ask(client.mail("to-mixed").encode() + b".\r\n")[1][0].split()[-1]
    s.close()
    mx.wait_for()
    box.wait_log(rf"waits id={ident} recipients=1")
    states = {r["address"].split("@")[0]: r["state"] for r in box.json(f"queue show {ident}")["recipients"]}
    assert states == {"one": "delivered", "two": "bounced", "three": "waiting"}
    office.wait_for(f"two@{domain}")
    box.order(f"queue retry {ident}")
    assert "three@" in mx.wait_for(2)["to"][0]


@pytest.mark.parametrize("record,word", [("nullmx.example. MX 0 .", "takes no mail"), (None, "does not exist")])
def test_a_domain_without_mail_bounces(box, office, names, record, word):
    domain = "nullmx.example" if record else "nowhere-at-all.example"
    if record:
        names.add(record)
    send(box, domain)
    assert word in postfix.parse(office.wait_for(f"<bob@{domain}>")).as_string()


def test_no_mx_means_the_domain_itself(box, names, server):
    mx = server(host="bare.example", starttls="none")
    names.host("bare.example", mx.ip)
    send(box, "bare.example")
    mx.wait_for()


def test_dns_that_does_not_answer_waits(box, names):
    names.add("broken.example. NS ns.broken.example.", f"ns.broken.example. A {net.PREFIX}.250.250")
    ident = send(box, "host.broken.example")
    box.wait_log(rf"waits id={ident}", timeout=60)
    assert "DNS" in entry(box, ident)[0]["reason"]
    box.drop(ident)
