"""Mail from outside goes straight through to the office's server: its replies are the sender's, nothing is stored, and whatever breaks on the
way loses nothing that was answered 250."""

import itertools
import random
import smtplib
import threading
import time

import pytest

from lab import client, net, pki
from lab.fakemx import FakeMx
from lab.postfix import Postfix
from lab.wait import until

_addresses = itertools.count(1)
BOARDS = {"posix": 1, "virt": 2, "mps2-an500": 3}
ALL = pytest.mark.boards("posix", "virt", "mps2-an500")
POSIX = pytest.mark.boards("posix")


@pytest.fixture(scope="module")
def inside(folder, names):
    """Real Postfix that refuses by recipient, by content, and for now."""
    path = f"{folder}/filter"
    people = "inline:{ {nobody@office.example = 550 5.1.1 no such person here}, {grey@office.example = 450 4.2.0 greylisted, come back} }"
    server = Postfix(path, f"{net.PREFIX}.1.31", "inside.office.example", ["office.example"], cert=pki.self_signed("inside.office.example"),
                     extra={"smtpd_recipient_restrictions": f"check_recipient_access {people}, permit_mynetworks, reject",
                            "header_checks": f"regexp:{path}/header_checks", "smtpd_authorized_xclient_hosts": f"{net.PREFIX}.0.0/16"})
    with open(f"{path}/header_checks", "w") as f:
        f.write("/^Subject:.*cheap watches/ REJECT 5.7.1 we have watches\n")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def box(make_box, board, inside):
    box = make_box(board=board, settings={"net.address": f"{net.PREFIX}.0.{140 + BOARDS[board]}/16", "mail.inside": f"{inside.ip}:25",
                                          "mail.inside_tls": "pin", "mail.inside_client": "xclient", "mail.cut_through": "on"})
    yield box
    assert "Sanitizer" not in box.errors()
    box.stop()


def counted(box, name):
    return box.json("stats")["counters"][name]


def session(box, **kw):
    s = client.Raw(box, **kw)
    s.ask("EHLO client.example")
    return s


def text_of(reply):
    return f"{reply[0]} {reply[1][0]}"


def talk(s, subject, to="anna@office.example", sender="someone@sender.example", options=""):
    """One transaction; the reply that decided it."""
    for line in (f"MAIL FROM:<{sender}>{options}", f"RCPT TO:<{to}>", "DATA"):
        reply = s.ask(line)
        if reply[0] >= 400:
            return text_of(reply)
    return text_of(s.ask(client.mail(subject).encode() + b".\r\n"))


@ALL
def test_a_mail_passes_and_nothing_is_stored(box, inside):
    stored, delivered = box.json("stats")["spool"]["commits"], counted(box, "delivered")
    reply = client.send(box, "someone@sender.example", "anna@office.example", client.mail(f"through-{box.board}", ".dots\r\n..\r\nstay"))
    assert "queued as" in reply
    box.wait_log(r"passed sid=\d+ id=\w+ user=- from=<someone@sender.example> to=<anna@office.example> .*code=250")
    got = inside.wait_for(f"Subject: through-{box.board}")
    assert b"\n.dots\n..\nstay\n" in got
    trace = got.split(b"Received: ")
    assert b"using TLSv1" in trace[1] and f"[{net.CLIENTS}1]".encode() in trace[1], trace[1]
    assert b"(Postern)" in trace[2] and f"[{net.CLIENTS}1]".encode() in trace[2]
    assert box.json("queue")["count"] == 0 and box.json("stats")["spool"]["commits"] == stored
    assert counted(box, "cut_through") >= 1 and counted(box, "cut_through_spooled") == 0 and counted(box, "delivered") == delivered + 1
    assert "cut-through on" in box.console("status") and box.json("status")["cut_through"] == "on"
    assert "anna@office.example" in box.console("trace anna@office.example")


@ALL
def test_each_recipient_has_the_office_servers_answer(box, inside):
    s = session(box)
    assert s.ask("MAIL FROM:<someone@sender.example>")[0] == 250
    assert text_of(s.ask("RCPT TO:<nobody@office.example>")).startswith("550 5.1.1 <nobody@office.example>: Recipient address rejected: no such")
    assert text_of(s.ask("RCPT TO:<grey@office.example>")).startswith("450 4.2.0 ")
    assert s.ask("RCPT TO:<anna@office.example>")[0] == 250
    assert s.ask("RCPT TO:<else@elsewhere.example>")[0] == 550
    assert s.ask("DATA")[0] == 354
    assert s.ask(client.mail(f"mixed-{box.board}").encode() + b".\r\n")[0] == 250
    s.close()
    got = inside.wait_for(f"Subject: mixed-{box.board}")
    assert b"\nX-Original-To: anna@office.example" in b"\n" + got or b"for <anna@office.example>" in got
    assert box.json("queue")["count"] == 0


@ALL
def test_a_filter_inside_refuses_at_the_source(box):
    with pytest.raises(smtplib.SMTPDataError) as e:
        client.send(box, "someone@sender.example", "anna@office.example", client.mail("cheap watches"))
    assert e.value.smtp_code == 550 and b"5.7.1 we have watches" in e.value.smtp_error
    box.wait_log(r"refused sid=.* to=<anna@office.example> .*code=550 text=\"we have watches")
    assert box.json("queue")["count"] == 0 and counted(box, "bounced") == 0


def test_mails_of_one_session_share_a_connection(box, inside):
    def connections():
        log = inside.log()
        ended = log.count("disconnect from")
        return log.count("connect from") - ended, ended

    before = until(lambda: [ended for begun, ended in [connections()] if begun == ended])[0]  # those of the tests before are over
    s = session(box)
    for i in range(3):
        assert talk(s, f"row-{i}-{box.board}").startswith("250 ")
        if i == 1:
            assert talk(s, "x", to="nobody@office.example").startswith("550 5.1.1")
            assert s.ask("RSET")[0] == 250
    s.close()
    until(lambda: inside.log().count("disconnect from") > before)
    time.sleep(0.3)
    assert inside.log().count("disconnect from") == before + 1


# --- an office server that misbehaves ---

@pytest.fixture(scope="module")
def plain_box(make_box, board):
    """Its office server is whatever a test puts at .1.(40 + n)."""
    box = make_box(board=board, settings={"net.address": f"{net.PREFIX}.0.{144 + BOARDS[board]}/16", "mail.inside": f"{fake_ip(board)}:25",
                                          "mail.cut_through": "on", "mail.domains": "office.example,branch.example",
                                          "mail.route.branch.example": f"{net.PREFIX}.1.{60 + BOARDS[board]}:25"})
    yield box
    assert "Sanitizer" not in box.errors()
    box.stop()


def fake_ip(board):
    return f"{net.PREFIX}.1.{40 + BOARDS[board]}"


@pytest.fixture
def fake(plain_box):
    """Starts the scripted office server; the box forgets that it could not be reached."""
    servers = []

    def make(**kw):
        servers.append(FakeMx(kw.pop("ip", fake_ip(plain_box.board)), "fake.office.example", starttls="none", **kw))
        plain_box.console("queue retry")
        return servers[-1]

    yield make
    for s in servers:
        s.stop()
    plain_box.console("queue retry")
    until(lambda: not [plain_box.drop(q["id"]) for q in plain_box.queue()])


@POSIX
@pytest.mark.parametrize("code", ["451 4.7.1", "550 5.7.1", "452"])
@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "END"])
def test_a_refusal_at_each_step_is_the_senders(plain_box, fake, step, code):
    server = fake(replies={step: f"{code} not \x07you"})
    s = session(plain_box)
    want = code if " " in code else f"{code} 4.0.0"
    assert talk(s, "no") == f"{want} not \\x07you"
    server.replies = {}
    s.ask("RSET")
    assert talk(s, "yes").startswith("250 ")
    s.close()
    server.wait_for(1)
    assert len(server.mails) == 1 and plain_box.json("queue")["count"] == 0


@POSIX
@pytest.mark.parametrize("how", ["cut", "421"])
@pytest.mark.parametrize("step", ["greeting", "EHLO", "MAIL", "RCPT", "DATA"])
def test_a_break_before_the_message_is_the_spools(plain_box, fake, step, how):
    server = fake(cut=step) if how == "cut" else fake(replies={step: "421 4.3.2 not now"})
    s = session(plain_box)
    subject = f"{how}-{step}"
    assert "queued as" in talk(s, subject)
    assert talk(s, "next").startswith("250 2.0.0 queued as")  # at once, without asking
    s.close()
    assert plain_box.json("status")["cut_through"] == "waits"
    server.cut, server.replies = None, {}
    plain_box.retry_until(lambda: not plain_box.queue())
    assert sum(f"Subject: {subject}\r".encode() in m["body"] for m in server.mails) == 1


@POSIX
@pytest.mark.parametrize("step", ["BODY", "END", "ANSWER", "421"])
def test_a_break_in_the_message_is_tried_again_by_the_sender(plain_box, fake, step):
    server = fake(cut=step) if step != "421" else fake(replies={"END": "421 4.3.2 not now"})
    s = session(plain_box)
    assert talk(s, "again", options=" SIZE=100").startswith("451 4.4.2 ")
    server.cut, server.replies = None, {}
    assert plain_box.json("queue")["count"] == 0
    plain_box.console("queue retry")
    assert talk(s, "again").startswith("250 ")
    s.close()
    server.wait_for(2 if step == "ANSWER" else 1)
    assert len(server.mails) == (2 if step == "ANSWER" else 1)  # the office's server had it, its answer did not come


@POSIX
def test_what_the_sender_breaks_off_never_arrives(plain_box, fake):
    server = fake()
    s = session(plain_box)
    s.ask("MAIL FROM:<someone@sender.example>")
    s.ask("RCPT TO:<anna@office.example>")
    s.ask("DATA")
    s.say(b"Subject: half\r\n\r\n" + b"x" * 70 + b"\r\n")
    time.sleep(0.3)
    before = plain_box.log(400)
    s.close()
    plain_box.wait_log("not-taken", since=before)
    s = session(plain_box)
    for bad in (b"Received: x\r\n" * 101 + b"\r\nloop\r\n.\r\n", b"bare\nlf\r\n.\r\n"):
        s.ask("MAIL FROM:<someone@sender.example>")
        s.ask("RCPT TO:<anna@office.example>")
        s.ask("DATA")
        assert s.ask(bad)[0] in (554, 550)
    s.close()
    s = session(plain_box)
    assert talk(s, "whole").startswith("250 ")
    s.close()
    server.wait_for()
    assert len(server.mails) == 1


@POSIX
def test_an_answer_before_the_end_is_the_senders(plain_box, fake):
    server = fake(replies={"DATA": "354 go\r\n552 5.3.4 too much for us"})
    s = session(plain_box)
    assert talk(s, "long").startswith("552 5.3.4 too much")
    s.close()
    assert not server.mails


@POSIX
def test_what_the_server_lacks_is_the_spools(plain_box, fake):
    server = fake()
    s = session(plain_box)
    assert "queued as" in talk(s, "utf8", options=" SMTPUTF8")
    assert "queued as" not in talk(s, "eight", options=" BODY=8BITMIME")
    s.ask("MAIL FROM:<anna@office.example> ENVID=QQ")
    s.ask("RCPT TO:<anna@office.example> NOTIFY=SUCCESS")
    s.ask("DATA")
    assert "queued as" in text_of(s.ask(client.mail("told").encode() + b".\r\n"))
    s.close()
    server.wait_for(4)  # and the report that it was relayed
    plain_box.is_empty()
    server.extensions = ["DSN"]
    s = session(plain_box)
    s.ask("MAIL FROM:<anna@office.example> ENVID=QQ RET=HDRS")
    s.ask("RCPT TO:<anna@office.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x@y.example")
    s.ask("DATA")
    assert "queued as" not in text_of(s.ask(client.mail("told").encode() + b".\r\n"))
    s.close()
    server.wait_for(5)
    assert server.mails[-1]["from"].endswith("RET=HDRS ENVID=QQ")
    assert server.mails[-1]["to"] == ["RCPT TO:<anna@office.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x@y.example"]


@POSIX
def test_recipients_of_different_servers_are_the_spools(plain_box, fake):
    office, branch = fake(), fake(ip=f"{net.PREFIX}.1.{60 + BOARDS[plain_box.board]}")
    office.replies = {"RCPT": ["250 2.1.5 ok", "550 5.1.1 nobody here"]}
    s = session(plain_box)
    assert s.ask("MAIL FROM:<someone@sender.example>")[0] == 250
    assert s.ask("RCPT TO:<anna@office.example>")[0] == 250
    assert s.ask("RCPT TO:<none@office.example>")[0] == 550
    assert s.ask("RCPT TO:<bob@branch.example>")[0] == 250
    assert s.ask("RCPT TO:<carl@office.example>")[0] == 250
    assert s.ask("DATA")[0] == 354
    assert "queued as" in text_of(s.ask(client.mail("both").encode() + b".\r\n"))
    assert talk(s, "after").startswith("250 ")
    s.close()
    office.wait_for(2)
    branch.wait_for()
    plain_box.is_empty()
    assert sorted(t for m in office.mails for t in m["to"]) == ["RCPT TO:<anna@office.example>"] * 2 + ["RCPT TO:<carl@office.example>"]
    assert branch.mails[0]["to"] == ["RCPT TO:<bob@branch.example>"] and len(branch.mails) == 1


@POSIX
def test_a_held_domain_is_kept_though_its_server_answers(plain_box, fake):
    office = fake()
    assert "with all that comes for office.example" in plain_box.console("queue hold office.example")
    s = session(plain_box)
    ident = talk(s, "kept").rpartition(" queued as ")[2]
    assert plain_box.console("queue hold branch.example").startswith("0 mails")
    assert talk(s, "more") != ident
    plain_box.wait_log(rf"waits id={ident} .* why=held")
    assert not office.mails and {q["state"] for q in plain_box.json("queue")["queue"]} == {"held"}
    assert plain_box.console("queue release office.example") == "2 mails released"
    plain_box.console("queue release branch.example")
    office.wait_for(2)
    plain_box.is_empty()
    assert "queued as" not in talk(s, "through")
    s.close()


@POSIX
def test_a_box_that_is_its_own_next_hop_ends_the_circle(plain_box, fake, names):
    own = plain_box.json("show net.address")["settings"][0]["value"].split("/")[0]
    assert "mail.inside is the box's own address" in plain_box.console(f"set mail.inside {own}") + plain_box.console("commit")
    plain_box.console("discard")
    names.host("circle.office.example", own)
    plain_box.set(mail__inside="circle.office.example")
    s = session(plain_box)
    assert talk(s, "circle").startswith("451 4.4.6 the box talks to itself")
    s.close()
    client.send(plain_box, "anna@office.example", "bob@office.example", client.mail("circle"), source=net.OFFICE, tls=False)
    plain_box.wait_log(r"deferred .*the box talks to itself")
    queue = plain_box.json("queue")
    assert queue["count"] == 1 and "the box talks to itself" in queue["queue"][0]["reason"]
    fake()
    plain_box.set(mail__inside=f"{fake_ip(plain_box.board)}:25")
    plain_box.console("queue retry")
    plain_box.retry_until(lambda: not plain_box.queue())


def test_with_the_server_down_nobody_waits_and_then_it_passes_again(plain_box, fake):
    box = plain_box
    s = session(box)
    assert "queued as" in talk(s, "down-0")
    since = time.time()
    for i in range(5):
        assert "queued as" in talk(s, f"down-{i + 1}")
    assert time.time() - since < 15
    server = fake()
    box.retry_until(lambda: len(server.mails) >= 6)
    box.is_empty()
    assert talk(s, "up") == "250 2.0.0 queued"
    s.close()
    server.wait_for(7)
    assert len(server.mails) == 7


@POSIX
def test_switched_off_it_stores_and_forwards(plain_box, fake):
    server = fake(replies={"RCPT": "550 5.1.1 no"})
    plain_box.set(mail__cut_through="off")
    s, before = session(plain_box), plain_box.log(400)
    assert "queued as" in talk(s, "stored", sender="")
    s.close()
    plain_box.wait_log("bounced .*domain=office.example", since=before)
    plain_box.set(mail__cut_through="on")
    assert server.sessions == 1


def test_a_ledger_over_a_server_that_breaks_everywhere(plain_box, fake):
    """Senders that try again until they hear 250: all of it arrives, and twice only where the office's server had it already."""
    server, rng, box = fake(), random.Random(5), plain_box
    taken, done, lock = [], threading.Event(), threading.Lock()

    def sender(n):
        source, i = f"{net.CLIENTS}{100 + n}", 0
        net.address(source)
        while not done.is_set():
            i += 1
            time.sleep(0.02)
            for _ in range(20):
                try:
                    client.send(box, "someone@sender.example", "anna@office.example", client.mail(f"l{n}-{i}x", "y" * 3000), source=source,
                                tls=False, timeout=60)
                    with lock:
                        taken.append(f"l{n}-{i}x")
                    break
                except (OSError, smtplib.SMTPException):
                    time.sleep(0.05)

    threads = [threading.Thread(target=sender, args=(n,), daemon=True) for n in range(3)]
    for t in threads:
        t.start()
    end = time.time() + 60
    for i in itertools.count():
        if i >= 6 and (len(taken) > 10 or time.time() > end):
            break
        server.cut = rng.choice(["greeting", "MAIL", "RCPT", "DATA", "BODY", "END", "ANSWER"])
        time.sleep(0.15)
        server.cut = None
        box.console("queue retry")
        time.sleep(0.4)
    done.set()
    for t in threads:
        t.join(60)
    box.retry_until(lambda: not box.queue())
    arrived = [m["body"].split(b"Subject: ", 1)[1].split(b"\r\n", 1)[0].decode() for m in server.mails]
    twice = len(arrived) - len(set(arrived))
    print(f"\n{box.board}: {len(taken)} answered 250, {counted(box, 'cut_through')} passed, {counted(box, 'cut_through_spooled')} spooled, "
          f"{counted(box, 'cut_through_broken')} broken, {twice} twice")
    assert len(taken) > 10 and not set(taken) - set(arrived)
    assert twice <= server.unanswered
