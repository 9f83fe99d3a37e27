"""Real Postfix at both ends of the box: it sends in and out, hears what the other end said, and takes the next MX when a box is gone."""

import smtplib
import socketserver
import threading

import pytest

from lab import client, net, pki, postfix
from lab.wait import until

pytestmark = pytest.mark.boards("posix")
MAILS = 20
INSIDE, REMOTE = f"{net.PREFIX}.1.60", f"{net.REMOTE}60"
USER = f"{net.PREFIX}.1.62"
SECOND = f"{net.PREFIX}.0.60"  # another box


class Greylist(socketserver.ThreadingTCPServer):
    """A policy service of Postfix: who begins with 'grey' has to come twice."""

    daemon_threads = True

    def __init__(self, ip):
        super().__init__((net.address(ip), 10023), Questions)
        self.came = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def restriction(self):
        return f"check_policy_service inet:{self.server_address[0]}:{self.server_address[1]}"


class Questions(socketserver.StreamRequestHandler):
    def handle(self):
        asked = {}
        for line in self.rfile:
            name, _, value = line.decode().rstrip("\n").partition("=")
            if name:
                asked[name] = value
                continue
            rcpt, asked = asked["recipient"], {}
            first = rcpt.startswith("grey") and rcpt not in self.server.came
            self.server.came.append(rcpt)
            self.wfile.write(b"action=450 4.2.0 greylisted, come back\n\n" if first else b"action=dunno\n\n")


@pytest.fixture(scope="module")
def greylist():
    server = Greylist(f"{net.PREFIX}.1.61")
    yield server
    server.shutdown()


def start_postfix(folder, ip, host, domains, greylist, **extra):
    nobody = ", ".join(f"{{nobody@{d} = 550 5.1.1 no such person here}}" for d in domains)
    server = postfix.Postfix(f"{folder}/{host}", ip, host, domains, cert=pki.good_ca("rsa").issue(host, kind="rsa"), resolver=net.DNS, extra={
        "smtpd_recipient_restrictions": f"check_client_access inline:{{ {USER}=OK }}, check_recipient_access inline:{{ {nobody} }}, {greylist.restriction()}",
        "smtp_tls_security_level": "encrypt", **extra})
    return server.start()


@pytest.fixture(scope="module")
def inside(folder, greylist):
    server = start_postfix(folder, INSIDE, "server.office.example", ["office.example", "shared.example"], greylist, relayhost=f"[{net.BOX}]")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def remote(folder, names, greylist):
    """It finds the box by the MX records of the office's domain, as all the world does."""
    names.mail_domain("sends.example", "mx.sends.example", REMOTE)
    server = start_postfix(folder, REMOTE, "mx.sends.example", ["sends.example"], greylist, smtp_connect_timeout="2s")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def box(make_box, board, names):
    with make_box(board=board, rtc="2026-06-01T12:00:00Z", cert=pki.good_ca().issue("mail.office.example"), settings={
            "mail.inside": f"{INSIDE}:25", "mail.domains": "office.example,shared.example", "mail.retry_first": "3600",
            "mail.retry_longest": "86400"}) as box:
        yield box


def inject(server, sender, recipients):
    """One mail for each, as a user of that server would send it."""
    with smtplib.SMTP(server.ip, 25, source_address=(net.address(USER), 0)) as s:
        for to in recipients:
            assert s.sendmail(sender, to, client.mail(f"to-{to.split('@')[0]}", "x" * 70)) == {}


def arrived(server):
    """How often each mail came, by its recipient's name."""
    subjects = [str(postfix.parse(m)["Subject"]) for m in server.messages()]
    return {s.removeprefix("to-"): subjects.count(s) for s in subjects if s.startswith("to-")}


def come(sender, receiver, recipients, box):
    """Waits until all of them have their mail. The sender's queue is flushed meanwhile: more sessions than one address may hold are refused."""
    names = {to.split("@")[0] for to in recipients}
    until(lambda: sender.flush() or names <= set(arrived(receiver)), every=1,
          told=lambda: f"{names - set(arrived(receiver))}\n{sender.log()[-2000:]}{box.log(50)}{box.console('queue')}")


def numbered(name, domain):
    return [f"{name}{n}@{domain}" for n in range(MAILS)]


def test_out_through_the_box(box, inside, remote):
    inject(inside, "anna@office.example", numbered("out", "sends.example"))
    come(inside, remote, numbered("out", "sends.example"), box)
    assert set(arrived(remote).values()) == {1}
    assert box.is_empty()


def test_in_through_the_box(box, inside, remote):
    inject(remote, "bob@sends.example", numbered("in", "office.example"))
    come(remote, inside, numbered("in", "office.example"), box)
    assert set(arrived(inside).values()) == {1}
    one = postfix.parse(inside.wait_for("Subject: to-in0\n"))
    assert any("by mail.office.example (Postern) with ESMTPS" in r.replace("\n", "").replace("\t", " ") for r in one.get_all("Received"))


def test_a_refusal_at_either_end_comes_to_the_sender(box, inside, remote):
    """Inwards the sender's own server hears it at RCPT and reports it; outwards the box reports it."""
    inject(remote, "bob@sends.example", ["nobody@office.example"])
    report = postfix.parse(remote.wait_for("nobody@office.example"))
    assert "multipart/report" == report.get_content_type() and "Undelivered" in report["Subject"] and "(Postern)" not in report["From"]
    assert b"550 5.1.1" in report.as_bytes() and b"no such person here" in report.as_bytes()
    inject(inside, "anna@office.example", ["nobody@sends.example"])
    report = postfix.parse(inside.wait_for("nobody@sends.example"))
    _, status, _ = report.iter_parts()
    _, recipient = status.get_payload()
    assert recipient["Status"] == "5.1.1" and recipient["Diagnostic-Code"].startswith("smtp; 550 5.1.1") and "no such person here" in recipient["Diagnostic-Code"]


def test_greylisting_at_either_end_delays_and_no_more(box, inside, remote, greylist):
    inject(remote, "bob@sends.example", ["grey-in@office.example"])
    until(lambda: "450 4.2.0" in remote.log(), told=lambda: remote.log()[-2000:])
    assert "grey-in" not in arrived(inside)
    come(remote, inside, ["grey-in@office.example"], box)
    inject(inside, "anna@office.example", ["grey-out@sends.example"])
    box.wait_log(r"deferred .*code=450 status=4.2.0 .*greylisted, come back")
    assert "grey-out" not in arrived(remote)
    box.retry_until(lambda: "grey-out" in arrived(remote))
    assert [greylist.came.count(to) for to in ("grey-in@office.example", "grey-out@sends.example")] == [2, 2]


def test_two_boxes_before_one_server(box, make_box, names, inside, remote):
    """They share nothing but the MX records: with one gone the other takes over, and what the first had in flash comes when it is back."""
    names.host("mx1.shared.example", net.BOX)
    names.host("mx2.shared.example", SECOND)
    names.add("shared.example. MX 10 mx1.shared.example.", "shared.example. MX 20 mx2.shared.example.")
    second = make_box(rtc="2026-06-01T12:00:00Z", settings={**box.settings, "net.address": f"{SECOND}/16", "host.name": "mx2.shared.example"})
    box.set(mail__cut_through="off")
    box.console("queue hold shared.example")  # so that its flash has mail when it goes
    first, later = numbered("first", "shared.example"), numbered("later", "shared.example")
    inject(remote, "bob@sends.example", first)
    until(lambda: box.json("queue")["count"] >= 3, told=lambda: remote.log()[-2000:], every=0.02)
    box.kill()
    inject(remote, "bob@sends.example", later)
    come(remote, inside, later, second)
    assert not set(arrived(inside)) >= {to.split("@")[0] for to in first} and second.is_empty()
    box.start()
    box.console("queue release shared.example")
    come(remote, inside, first, box)
    assert sum(arrived(inside).values()) - len(arrived(inside)) <= 8  # replies that the cut took: at most one a session comes twice
    second.stop()
