"""The box in its network: what it believes of time servers, how it gets its addresses, and that it rests when there is nothing to do."""

import datetime
import itertools
import os
import socket
import subprocess
import time

import pytest

from lab import client, net, pki, postfix
from lab.fakemx import MailServers
from lab.ntp import Ntp
from lab.wait import until

_boxes = itertools.count(40)
RTC = "2026-06-01T12:00:00Z"
NO_RTC = "2000-01-01T00:00:00Z"  # what a clock with an empty battery says
DOMAIN = "bank.example"
POLICY = {"timestamp": "2026-05-20T00:00:00+00:00", "expires": "2026-07-01T00:00:00+00:00", "version": "0.1", "author": "lab",
          "policy-aliases": {}, "policies": {DOMAIN: {"mode": "enforce", "mxs": [f"mx.{DOMAIN}"]}}}


def unix(text):
    return int(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())


def alerts(box):
    return [a["name"] for a in box.json("status")["alerts"]]


def out(box, to):
    return client.send(box, "anna@office.example", to, client.mail("out"), source=net.OFFICE, tls=False).split()[-1]


@pytest.fixture
def start(make_box):
    """A box of its own for the test, asking the time server at once."""
    boxes = []

    def make(ntp=None, **kw):
        settings = {"net.address": f"{net.PREFIX}.0.{next(_boxes)}/16", "net.ntp": ntp.ip if ntp else "", **kw.pop("settings", {})}
        box = make_box(settings={k: v or None for k, v in settings.items()}, **kw)
        boxes.append(box)
        return box

    yield make
    for box in boxes:
        assert "Sanitizer" not in box.errors()
        box.stop()


@pytest.fixture
def ntp():
    servers = []

    def make(time_text, ip=None, **kw):
        servers.append(Ntp(ip or net.fresh_ip(), unix(time_text), **kw))
        return servers[-1]

    yield make
    for s in servers:
        s.stop()


@pytest.fixture
def mail_server(names):
    """mail_server(DOMAIN): a server without STARTTLS that gets the domain's mail."""
    with MailServers(names, starttls="none") as servers:
        yield servers


@pytest.fixture
def stripped(mail_server):
    """The listed domain's server as an attacker shows it."""
    return mail_server(DOMAIN)


# --- time ---


def test_a_lying_time_server_ends_neither_the_list_nor_an_exception(start, ntp, stripped):
    server = ntp("2031-01-01T00:00:00Z")
    box = start(server, rtc=RTC, policy=POLICY, settings={f"mail.exception.{DOMAIN}": "2026-06-02T00:00:00Z for the test"})
    box.wait_log(r"sntp host=\S+ rc=ok")
    assert box.json("status")["time_source"] == "sntp" and box.json("status")["time"].startswith("2031-01-01")
    assert "time-disagrees" in alerts(box)
    assert not box.json("status")["list"]["expired"] and "list-expired" not in alerts(box)
    assert box.json(f"policy {DOMAIN}")["source"] == "exception"
    out(box, f"bob@{DOMAIN}")
    stripped.wait_for()
    box.console(f"unset mail.exception.{DOMAIN}")
    box.console("commit")
    assert box.json(f"policy {DOMAIN}")["demand"] == "verified"
    box.wait_log(rf"waits id={out(box, f'bob@{DOMAIN}')}")
    assert len(stripped.mails) == 1
    box.restart()
    box.wait_log(r"sntp host=\S+ rc=ok")
    assert box.json(f"policy {DOMAIN}")["demand"] == "verified"


DAY_OF_LIFE = {"mail.life_days": "1", "mail.retry_first": "3600", "mail.retry_longest": "86400", "mail.delay_warning": "0"}
LEAST_TRIES = 4  # of half that life: before them no clock whatever gives a mail back


def try_again(box, ident, attempts):
    """Tries until that many attempts have been made."""
    box.console(f"queue retry {ident}")  # what the clock made due goes at once; refused if it does already
    while (made := box.tries(ident)) < attempts:
        box.order(f"queue retry {ident}")
        assert box.tries(ident) == made + 1


@pytest.mark.parametrize("lie", ["2026-06-07T12:00:00Z", "2056-06-01T00:00:00Z", "2026-05-20T12:00:00Z"], ids=["6 days", "30 years", "back"])
def test_a_lying_time_server_sends_no_mail_back(start, ntp, mail_server, lie):
    """Neither a mail of before the lie nor one of its time, whether the lie or the truth tells its age."""
    mx = mail_server("slow.example", replies={"MAIL": "451 4.3.2 not now"})
    server = ntp(lie)
    box = start(rtc=RTC, settings=DAY_OF_LIFE)
    before = out(box, "bob@slow.example")
    box.wait_log(rf"waits id={before}")
    box.set(net__ntp=server.ip)
    box.wait_log(r"sntp host=\S+ rc=ok")
    assert box.json("status")["time"][:13] == lie[:13]
    during = out(box, "bob@slow.example")
    try_again(box, before, LEAST_TRIES)
    try_again(box, during, 2)
    server.unix_s = unix(RTC)
    box.restart()
    box.wait_log(r"sntp host=\S+ rc=ok")
    assert {q["id"] for q in box.json("queue")["queue"]} == {before, during}
    assert box.json("stats")["counters"]["bounced"] == 0
    mx.replies = {}
    box.retry_until(lambda: len(mx.mails) == 2)


def test_a_lying_time_server_and_no_other_clock(start, ntp, mail_server):
    """A box that knows the time from its time server alone gives back what it has tried for long, and nothing else."""
    mx = mail_server("slow.example", replies={"MAIL": "451 4.3.2 not now"})
    server = ntp(RTC)
    box = start(server, rtc=NO_RTC, settings=DAY_OF_LIFE)
    box.wait_log(r"sntp host=\S+ rc=ok")
    ident = out(box, "bob@slow.example")
    box.wait_log(rf"waits id={ident}")
    server.unix_s = unix("2056-06-01T00:00:00Z")
    box.restart()
    box.wait_log(r"sntp host=\S+ rc=ok")
    try_again(box, ident, LEAST_TRIES - 1)
    server.unix_s = unix(RTC)
    box.restart()
    mx.replies = {}
    mx.wait_for()  # put off until 2056, it is due as soon as the clock is right again


def test_a_mail_is_given_up_after_its_life(start, mail_server, office):
    mail_server("never.example", replies={"MAIL": "451 4.3.2 not now"})
    box = start(rtc=RTC, settings=DAY_OF_LIFE)
    ident = out(box, "bob@never.example")
    box.wait_log(rf"waits id={ident}")
    box.console("time set 2026-06-03T00:00:00Z")
    try_again(box, ident, LEAST_TRIES - 1)
    box.order(f"queue retry {ident}")
    box.wait_log(rf"bounced id={ident} .*status=5.4.7")
    report = office.wait_for("bob@never.example").decode()
    assert "given up after 1 day;" in report and "not now" in report


def test_what_a_policy_held_back_for_a_life_says_why_and_what_to_do(start, stripped, office):
    box = start(rtc=RTC, policy=POLICY, settings=DAY_OF_LIFE)
    ident = out(box, f"bob@{DOMAIN}")
    box.wait_log(rf"waits id={ident}")
    box.console("time set 2026-06-03T00:00:00Z")
    try_again(box, ident, LEAST_TRIES - 1)
    box.order(f"queue retry {ident}")
    box.wait_log(rf"bounced id={ident} .*status=5.7.5")
    words, status, _ = postfix.parse(office.wait_for(f"bob@{DOMAIN}")).iter_parts()
    said = " ".join(words.get_content().split())
    for part in (f"<bob@{DOMAIN}>", "given up after 1 day", f"held back, nothing was sent to mx.{DOMAIN}: mx.{DOMAIN} offers no STARTTLS",
                 "That domain has promised encryption that its server did not show", "who runs this gateway may make an exception"):
        assert part in said, said
    _, to = status.get_payload()
    assert (to["Action"], to["Status"], to["Final-Recipient"]) == ("failed", "5.7.5", f"rfc822; bob@{DOMAIN}")
    assert not stripped.mails and not any(c.startswith("MAIL") for c in stripped.commands)


def test_a_time_server_below_the_floor_is_refused(start, ntp):
    server = ntp("2026-05-01T00:00:00Z")
    box = start(server, rtc=NO_RTC)
    box.wait_log(r"sntp host=\S+ rc=ok")  # nothing was known before
    assert box.json("status")["time"].startswith("2026-05-01")
    box.console(f"time set {RTC}")
    assert box.json("status")["time_source"] == "operator" and box.json("status")["time"].startswith("2026-06-01T12:00")
    box.restart()  # its clock says 2000 again
    box.wait_log(rf"floor={unix(RTC)}")
    box.wait_log(r"sntp host=\S+ rc=refused")
    assert {"time-disagrees", "no-time"} <= set(alerts(box))
    assert box.json("status")["time_source"] == "floor"
    box.console("time set 2026-06-03T00:00:00Z")
    assert not {"time-disagrees", "no-time"} & set(alerts(box))


def test_the_operator_may_set_the_clock_back(start):
    box = start(rtc=RTC)
    for said in ("2027-01-01T00:00:00Z", "2026-05-31T00:00:00Z"):
        assert "error" not in box.console(f"time set {said}")
        assert box.json("status")["time"].startswith(said[:13])
    assert "error:" in box.console("time set yesterday")
    assert "error:" in box.console("time set 1999-01-01T00:00:00Z")
    box.rtc = NO_RTC
    box.restart()
    box.wait_log(rf"floor={unix('2026-05-31T00:00:00Z')}")


def test_a_list_expires_by_the_floor_without_any_clock(start):
    box = start(rtc=NO_RTC, policy=POLICY)
    assert "no-time" in alerts(box) and box.json(f"policy {DOMAIN}")["demand"] == "verified"
    box.console("time set 2026-07-02T00:00:00Z")
    box.restart()
    assert box.json("status")["time_source"] == "floor"
    assert "list-expired" in alerts(box) and box.json(f"policy {DOMAIN}")["demand"] == "none"


def test_an_unsynchronised_time_server_is_not_believed(start, ntp):
    bad, good = ntp("2031-01-01T00:00:00Z", stratum=16), ntp("2026-06-01T12:30:00Z")
    box = start(rtc=RTC, settings={"net.ntp": f"{bad.ip},{good.ip}"})
    box.wait_log(rf"sntp host={good.ip} rc=ok")
    assert bad.asked and box.json("status")["time"].startswith("2026-06-01T12:30")


# --- addresses ---

LAN6 = f"{net.PREFIX6}:6"  # a /64 of the bridge


@pytest.fixture
def router(folder, names):
    """dnsmasq as the office's router: DHCP with gateway, resolver and time server; router advertisements with a resolver."""
    conf = f"{folder}/dnsmasq.conf"
    net.sh("ip", "addr", "replace", f"{LAN6}::1/64", "dev", net.BRIDGE, "nodad")
    with open(conf, "w") as f:
        f.write(f"""port=0
interface={net.BRIDGE}
bind-interfaces
dhcp-authoritative
no-ping
dhcp-range={net.PREFIX}.60.10,{net.PREFIX}.60.200,255.255.0.0,10m
dhcp-option=option:router,{net.GATEWAY}
dhcp-option=option:dns-server,{net.DNS}
dhcp-option=option:ntp-server,{net.PREFIX}.60.1
enable-ra
dhcp-range={LAN6}::,ra-only,64,10m
dhcp-option=option6:dns-server,[{LAN6}::53]
ra-param={net.BRIDGE},4,600
dhcp-leasefile={folder}/dnsmasq.leases
""")
    log = open(f"{folder}/dnsmasq.log", "w")
    process = subprocess.Popen(["dnsmasq", "--keep-in-foreground", "--log-facility=-", "--user=root", "--pid-file=", f"--conf-file={conf}"], stdout=log, stderr=log)
    time.sleep(0.5)
    assert process.poll() is None, open(f"{folder}/dnsmasq.log").read()
    yield process
    process.terminate()
    process.wait()


def addresses(box, want):
    def got():
        return [a for a in box.json("status")["addresses"] if a.startswith(want)]

    return until(got, told=lambda: f"no {want}: {box.console('status')}")[0]


@pytest.mark.boards("posix", "virt", "mps2-an500")
def test_dhcp_gives_address_gateway_resolver_and_time(start, router, ntp, mail_server, board):
    ntp("2026-06-01T12:30:00Z", ip=f"{net.PREFIX}.60.1")
    mx = mail_server(f"dhcp-{board}.example")
    box = start(board=board, rtc=RTC, settings={"net.address": "dhcp", "net.gateway": "", "net.dns": ""})
    box.ip = addresses(box, f"{net.PREFIX}.60.")
    box.wait_log(rf"resolvers list={net.DNS}:53")
    assert net.DNS in box.console("dns")
    out(box, f"bob@dhcp-{board}.example")
    mx.wait_for()
    box.wait_log(rf"sntp host={net.PREFIX}.60.1 rc=ok")
    assert box.json("status")["time"].startswith("2026-06-01T12:30")


@pytest.mark.boards("posix", "virt", "mps2-an500")
def test_router_advertisements_give_an_ipv6_address(start, router, names, board):
    box = start(board=board, settings={"net.address6": "auto", "net.dns": ""})
    ip = addresses(box, LAN6)
    box.wait_log(rf"resolvers list=\S*\[{LAN6}::53\]")
    with socket.create_connection((ip, 25), 60) as s:
        assert s.recv(100).startswith(b"220 ")


# --- rest ---


def ticks(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_an_idle_box_rests(start, board):
    box = start(board=board)
    time.sleep(4)  # boot and the first look around

    def used_in_5_s():
        before = ticks(box.process.pid)
        time.sleep(5)
        return (ticks(box.process.pid) - before) / os.sysconf("SC_CLK_TCK")

    used = []
    until(lambda: used.append(used_in_5_s()) or used[-1] < 0.25, 40, lambda: f"{used} CPU seconds, each in 5 seconds of nothing to do")
