"""Reports to senders (RFC 3461, 3464): each field as Python's email package reads it, taken in by real Postfix."""

import datetime
import email.utils

import pytest

from lab import client, net, pki, postfix

pytestmark = pytest.mark.boards("posix")


@pytest.fixture(scope="module")
def box(make_box, board, office):
    with make_box(board=board, rtc="2026-06-01T08:00:00Z",
                  settings={"net.address": f"{net.PREFIX}.0.47/16", "mail.postmaster": "chief@office.example", "mail.retry_first": "3600",
                            "mail.retry_longest": "86400"}) as box:
        yield box


def send(box, domain, sender="anna@office.example", options=(), rcpt_options=(), body="Hello.", name="bob"):
    return client.send(box, sender, f"{name}@{domain}", client.mail(f"about-{domain}", text=body), source=net.OFFICE, tls=False,
                       options=list(options), rcpt_options=list(rcpt_options)).split()[-1]


def reports_about(box, ident, action):
    return [line for line in box.log(400).splitlines() if f"about={ident} action={action}" in line]


def read(raw):
    report = postfix.parse(raw)
    assert report.get_content_type() == "multipart/report" and report.get_param("report-type") == "delivery-status"
    assert report["Auto-Submitted"] == "auto-replied" and report["Return-Path"] == "<>"
    words, fields, original = report.iter_parts()
    assert fields.get_content_type() == "message/delivery-status"
    mail, *recipients = fields.get_payload()
    assert mail["Reporting-MTA"] == "dns; mail.office.example" and email.utils.parsedate(mail["Arrival-Date"])
    assert not report.defects and not words.defects and not fields.defects and not original.defects
    return report, words.get_content(), mail, recipients, original


def test_what_the_sender_gave_comes_back_decoded(box, office, server):
    server("asked.example", replies={"RCPT": "550 5.1.1 nobody of that name"})
    ident = send(box, "asked.example", options=["RET=HDRS", "ENVID=job+2B7"], rcpt_options=["NOTIFY=FAILURE", "ORCPT=rfc822;b+2Bob@asked.example"],
                 body="a secret body")
    report, words, mail, (to,), original = read(office.wait_for("b+ob@asked.example"))
    assert mail["Original-Envelope-Id"] == "job+7"
    assert to["Original-Recipient"] == "rfc822;b+ob@asked.example"
    assert to["Final-Recipient"] == "rfc822; bob@asked.example" and to["Action"] == "failed" and to["Status"] == "5.1.1"
    assert to["Remote-MTA"] == "dns; mx.asked.example" and to["Diagnostic-Code"] == "smtp; 550 5.1.1 nobody of that name"
    assert email.utils.parsedate(to["Last-Attempt-Date"])
    assert "mx.asked.example: at RCPT the server said: 550 5.1.1 nobody of that name" in words
    assert "check the address for typing errors" in words and "Nothing further will be tried" in words
    assert original.get_content_type() == "text/rfc822-headers" and "Subject: about-asked.example" in original.get_content()
    assert "a secret body" not in report.as_string()
    assert report["Subject"] == "Your mail could not be delivered" and report["To"] == "anna@office.example"
    assert len(reports_about(box, ident, "failed")) == 1


def test_the_whole_mail_comes_back_where_asked(box, office, server):
    server("whole.example", replies={"END": "552 5.3.4 too big for us"})
    client.send(box, "anna@office.example", "bob@whole.example", client.mail("whole", text="gr\u00fcn ist die Wiese").encode(), source=net.OFFICE,
                tls=False, options=["RET=FULL", "BODY=8BITMIME"])
    _, words, _, (to,), original = read(office.wait_for(b"bob@whole.example"))
    assert original.get_content_type() == "message/rfc822" and "The whole of your mail" in words
    assert original.get_content()["Subject"] == "whole"
    assert "gr\u00fcn ist die Wiese".encode() in office.wait_for(b"bob@whole.example")
    assert to["Status"] == "5.3.4" and "send less at a time" in words


@pytest.mark.parametrize("notify", ["NEVER", "SUCCESS", "DELAY"])
def test_no_report_where_none_was_asked(box, server, notify):
    server(f"quiet-{notify.lower()}.example", replies={"RCPT": "550 5.1.1 nobody"})
    ident = send(box, f"quiet-{notify.lower()}.example", rcpt_options=[f"NOTIFY={notify}"])
    box.wait_log(rf"bounced id={ident}")
    assert not reports_about(box, ident, "failed")


def test_success_is_told_once_by_the_last_that_knows_how(box, office, server):
    server("plain.example")
    able = server("able.example", extensions=["DSN"])
    ident = send(box, "plain.example", rcpt_options=["NOTIFY=SUCCESS,FAILURE"], options=["RET=FULL"])
    _, words, _, (to,), original = read(office.wait_for("bob@plain.example"))
    assert to["Action"] == "relayed" and to["Status"].startswith("2.") and to["Remote-MTA"] == "dns; mx.plain.example"
    assert original.get_content_type() == "text/rfc822-headers", "RET is about failures"
    assert len(reports_about(box, ident, "relayed")) == 1
    ident = send(box, "able.example", rcpt_options=["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;x+2By@able.example"], options=["RET=HDRS", "ENVID=q1"])
    able.wait_for()
    box.wait_log(rf"delivered id={ident}")
    assert not reports_about(box, ident, "relayed")
    assert any("RET=HDRS ENVID=q1" in c for c in able.commands)
    assert any("NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+2By@able.example" in c for c in able.commands)


def test_a_report_that_fails_goes_to_the_postmaster_and_no_further(box, office, server):
    def doubled():
        return box.json("stats")["counters"]["double_bounces"]

    server("gone.example", replies={"RCPT": "550 5.1.1 nobody"})
    before = doubled()
    ident = send(box, "gone.example", sender="")
    report, _, _, (to,), _ = read(office.wait_for("bob@gone.example"))
    assert report["To"] == "chief@office.example" and to["Action"] == "failed"
    assert len(reports_about(box, ident, "failed")) == 1
    box.set(mail__postmaster="chief@gone.example")
    ident = send(box, "gone.example", sender="", name="carl")
    box.wait_log(rf"about={ident} action=failed")
    own = box.wait_log(rf"report id=\w+ about={ident}").split("id=")[1].split()[0]
    box.wait_log(rf"bounced id={own}")
    assert not reports_about(box, own, "failed"), "never a report about a report to the postmaster"
    assert doubled() == before + 3
    box.set(mail__postmaster="chief@office.example")


def clock(box, hours):
    now = datetime.datetime(2026, 6, 1, 8, tzinfo=datetime.timezone.utc) + datetime.timedelta(hours=hours)
    assert "error" not in box.console(f"time set {now:%Y-%m-%dT%H:%M:%SZ}")


def tried_again(box, ident):
    """Once more, by this order or because the clock has made it due: then the order may be refused."""
    box.console(f"queue retry {ident}")
    box.tries(ident)


def test_a_delay_is_told_once_and_its_end_too(box, office, server, names):
    """From inside: without being asked, unless NOTIFY says otherwise; to a null sender and to outside: not."""
    mx = server("later.example", replies={"RCPT": "450 4.2.1 later"})
    clock(box, 0)
    told = send(box, "later.example", name="told", options=["ENVID=slow"])
    asked = send(box, "later.example", name="asked", rcpt_options=["NOTIFY=DELAY"])
    never = [send(box, "later.example", name="failure", rcpt_options=["NOTIFY=FAILURE"]),
             send(box, "later.example", name="never", rcpt_options=["NOTIFY=NEVER"]), send(box, "later.example", name="null", sender="")]
    everyone = [told, asked, *never]
    for ident in everyone:
        box.wait_log(rf"waits id={ident}")
    clock(box, 3)
    tried_again(box, told)
    assert not reports_about(box, told, "delayed"), "not before the fourth hour"
    clock(box, 5)
    for _ in range(2):
        for ident in everyone:
            tried_again(box, ident)
    assert [len(reports_about(box, i, "delayed")) for i in everyone] == [1, 1, 0, 0, 0]
    report, words, mail, (to,), original = read(office.wait_for("told@later.example"))
    assert report["Subject"] == "Your mail is delayed" and mail["Original-Envelope-Id"] == "slow"
    assert to["Action"] == "delayed" and to["Status"] == "4.2.1" and to["Diagnostic-Code"] == "smtp; 450 4.2.1 later"
    assert email.utils.parsedate_to_datetime(to["Will-Retry-Until"]).day == 6
    assert "need not send it again" in words and original.get_content_type() == "text/rfc822-headers"
    for _ in range(8):
        tried_again(box, told)
    clock(box, 24 * 5 + 1)
    box.console(f"queue retry {told}")  # refused if the clock's new time has brought it about already
    box.wait_log(rf"bounced id={told}")
    _, words, _, (to,), _ = read(office.wait_for("given up after 5 days"))
    assert to["Action"] == "failed" and to["Status"] == "5.4.7" and to["Diagnostic-Code"] == "smtp; 450 4.2.1 later"
    assert to["Remote-MTA"] == "dns; mx.later.example" and "other means" in words
    for ident in everyone[1:]:
        box.drop(ident)
    assert not mx.mails
