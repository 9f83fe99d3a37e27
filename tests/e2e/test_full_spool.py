"""A full spool refuses with 452 and loses nothing: what was answered with 250 is delivered once the next hop is there again, a bounce can still
be written, and new mail is taken as soon as there is room."""

import hashlib
import itertools
import smtplib
import time

import pytest

from lab import client, net
from lab.fakemx import FakeMx
from lab.wait import until

BIG = 9 * 1024 * 1024
_lines = ["".join(chr(65 + (i * 7 + k * k) % 26) for k in range(70)) + "\r\n" for i in range(64)]


NO_ROOM = ((452, "MAIL"), (452, "RCPT"))  # at RCPT where the office's server was asked first: with it the spool's room would not matter


def message(name, size):
    """A mail of about size bytes; no two of them have a line in the same place."""
    head = client.mail(name, text="").rstrip("\r\n") + "\r\n\r\n"
    shift = sum(name.encode())
    body = itertools.islice(itertools.cycle(_lines), shift % 64, shift % 64 + max(1, (size - len(head)) // 72))
    return (head + "".join(body)).encode()


def refused(call):
    """The code that a client's attempt is refused with, and the step; None when it was taken."""
    try:
        call()
    except smtplib.SMTPSenderRefused as e:
        return e.smtp_code, "MAIL"
    except smtplib.SMTPRecipientsRefused as e:
        return next(iter(e.recipients.values()))[0], "RCPT"
    except smtplib.SMTPDataError as e:
        return e.smtp_code, "END"
    return None


class Office:
    """The office's server with a switch, and the ledger of what it must get."""

    def __init__(self, ip):
        self.ip, self.mx, self.promised, self.numbers = net.address(ip), None, {}, itertools.count(1)

    def offer(self, box, size, declare):
        name = f"mail-{next(self.numbers)}-end"
        body = message(name, size)
        why = refused(lambda: client.send(box, "someone@sender.example", "anna@office.example", body, tls=False,
                                          options=[f"SIZE={len(body)}"] if declare else (), timeout=120))
        if why is None:
            self.promised[name] = hashlib.sha256(body.rstrip(b"\r\n")).digest()
        return why

    def open(self):
        self.mx = FakeMx(self.ip, "server.office.example", starttls="none")

    def arrived(self):
        got = {}
        for m in self.mx.mails:
            if b"report-type=delivery-status" in m["body"]:
                continue
            at = m["body"].find(b"From: <someone@sender.example>")
            if at >= 0:
                name = m["body"].split(b"Subject: ", 1)[1].split(b"\r\n", 1)[0].decode()
                assert name not in got, f"{name} came twice"
                got[name] = hashlib.sha256(m["body"][at:].rstrip(b"\r\n")).digest()
        return got

    def bounces(self):
        return [m for m in self.mx.mails if b"report-type=delivery-status" in m["body"]]


pytestmark = pytest.mark.boards("posix")  # virt takes two minutes: POSTERN_BOARDS=virt


def fill(box, office):
    """From room for large mails down to none at all. What is refused at each size, and where."""
    declared = None
    while declared is None:
        declared = office.offer(box, BIG, declare=True)
    undeclared = office.offer(box, BIG, declare=False)
    for size in (1_000_000, 100_000, 10_000):
        while office.offer(box, size, declare=True) is None:
            pass
    return declared, undeclared


def bdat(box, office, size):
    """A mail in two chunks without SIZE: the first reply that is not 250."""
    c = client.Raw(box, timeout=60)
    body = message("bdat-mail", size)
    c.ask("EHLO client.example")
    codes = [c.ask("MAIL FROM:<someone@sender.example>")[0], c.ask("RCPT TO:<anna@office.example>")[0]]
    for part, last in ((body[:size // 2], ""), (body[size // 2:], " LAST")):
        c.say(f"BDAT {len(part)}{last}\r\n".encode() + part)
        codes.append(c.reply()[0])
    assert c.ask("NOOP")[0] == 250 or codes[-1] == 421
    c.close()
    return next((x for x in codes if x != 250), None)


def alerts(box):
    return {a["name"]: a["text"] for a in box.json("status")["alerts"]}


def test_a_full_spool_says_452_and_loses_nothing(make_box, names, board):
    office = Office(f"{net.PREFIX}.6.1")
    hard = FakeMx(f"{net.PREFIX}.6.2", "mx.hard.example", starttls="none", replies={"RCPT": ["451 4.2.0 later", "550 5.1.1 nobody here"]})
    names.mail_domain("hard.example", "mx.hard.example", hard.ip)
    box = make_box(board=board, settings={"net.address": f"{net.PREFIX}.0.30/16", "mail.inside": f"{office.ip}:25", "mail.retry_first": "3600"})
    assert "spool-full" not in alerts(box)
    failing = client.send(box, "anna@office.example", "bob@hard.example", client.mail("will-bounce"), source=net.OFFICE).split()[-1]
    box.wait_log(rf"waits id={failing}")

    declared, undeclared = fill(box, office)
    assert declared in NO_ROOM and undeclared == (452, "END")
    assert bdat(box, office, BIG) == 452
    assert "room" in alerts(box)["spool-full"]
    assert "ATTENTION" in box.console("status")
    assert len(office.promised) >= 5

    # The reserve is there for outcomes and reports, and lasts: retries go on while the box is full.
    box.order(f"queue retry {failing}")
    assert "rc=ok" in box.wait_log(rf"report id=\S+ about={failing} action=failed \S+ rc=\S+")
    box.wait_log(rf"bounced id={failing}")
    assert refused(lambda: client.send(box, "someone@sender.example", "anna@office.example", message("x", BIG), tls=False))[0] == 452

    box.restart()
    assert office.offer(box, BIG, declare=True) in NO_ROOM
    assert "room" in alerts(box)["spool-full"]

    office.open()
    box.retry_until(lambda: len(office.arrived()) >= len(office.promised), 120, lambda: f"{sorted(office.arrived())} of {sorted(office.promised)}")
    assert office.arrived() == office.promised
    until(office.bounces, 60, lambda: "the bounce never came")
    assert b"will-bounce" in office.bounces()[0]["body"]
    box.is_empty()
    until(lambda: "spool-full" not in alerts(box), 60, lambda: box.console("status"))

    for _ in range(6):  # more than fit at a time: the space comes back again and again
        assert office.offer(box, BIG, declare=True) is None
        box.is_empty()
    until(lambda: office.arrived() == office.promised, 60, lambda: "not all arrived")
    assert "Sanitizer" not in box.errors()
    box.stop()
    office.mx.stop()
    hard.stop()


def test_a_damaged_mail_is_set_aside_and_the_others_go(make_box, board):
    office = Office(f"{net.PREFIX}.6.3")
    box = make_box(board=board, settings={"net.address": f"{net.PREFIX}.0.31/16", "mail.inside": f"{office.ip}:25"})
    ids = [client.send(box, "someone@sender.example", "anna@office.example", client.mail(f"mail-{i}-end", "text " * 2000), tls=False).split()[-1]
           for i in range(3)]
    for ident in ids:
        box.wait_log(rf"waits id={ident}")
    box.kill()
    with open(box.flash, "r+b") as f:
        at = f.read().index(b"Subject: mail-1-end")
        f.seek(at + 9)
        f.write(b"E")
    box.start()
    office.open()
    box.retry_until(lambda: [q["state"] for q in box.queue()] == ["damaged"], told=lambda: box.console("queue"))
    until(lambda: "spool-damaged" in alerts(box), 60, lambda: box.console("status"))
    assert sorted(office.arrived()) == ["mail-0-end", "mail-2-end"]
    out = box.console(f"queue drop {ids[1]} yes")
    assert out == "dropped", out
    assert not box.json("queue")["count"]
    until(lambda: "spool-damaged" not in alerts(box), 60, lambda: box.console("status"))
    box.stop()
    office.mx.stop()


def segments(path):
    with open(path, "rb") as f:
        flash = f.read()
    return [at for at in range(0, len(flash), 256 * 1024) if flash[at:at + 4] == b"PSw\1" and flash[at + 32:at + 96] == b"\xff" * 64]


def wear_out(path, count):
    """Marks so many segments that hold nothing, as the box does after an operation that failed in them."""
    unused = segments(path)
    with open(path, "r+b") as f:
        for at in unused[:count]:
            f.seek(at)
            f.write(bytes(32))


def test_worn_out_flash_is_told_before_its_end(make_box, board):
    box = make_box(board=board, settings={"net.address": f"{net.PREFIX}.0.32/16"})
    blocks = box.json("stats")["spool"]["blocks"]
    assert box.json("stats")["spool"]["blocks_bad"] == 0
    until(lambda: len(segments(box.flash)) == blocks, 60, lambda: f"{len(segments(box.flash))} of {blocks} segments have a label")
    for bad, told in ((blocks // 8 - 1, False), (blocks // 8, True)):
        box.kill()
        wear_out(box.flash, 1 if told else bad)
        box.start()
        if told:
            until(lambda: "flash" in alerts(box))
        else:
            time.sleep(1.1)  # it is looked at once a second
        assert box.json("stats")["spool"]["blocks_bad"] == bad
        assert (alerts(box).get("flash") == f"{bad} of the spool's {blocks} segments are worn out: the flash is near its end") == told
        assert ("flash" in alerts(box)) == told
    assert "ATTENTION" in box.console("status")
    box.wait_log("alert name=flash")
    box.stop()
