"""What time the box believes it is: verified web servers against time servers, clocks and each other."""

import datetime
import itertools

import pytest

from lab import listimage, net, pki
from lab.ntp import Ntp
from lab.web import Web

_addresses = itertools.count(1)
_boxes = itertools.count(90)
RTC = "2026-06-01T12:00:00Z"
NO_RTC = "2000-01-01T00:00:00Z"  # what a clock with an empty battery says
DOMAIN = "bank.example"
POLICY = listimage.policy([DOMAIN], "2026-05-20T00:00:00+00:00", "2026-07-01T00:00:00+00:00")
DAY = 86400


def unix(text):
    return int(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())


def alerts(box):
    return [a["name"] for a in box.json("status")["alerts"]]


def certificate(name, end=datetime.datetime(2026, 7, 10)):
    """One of these days: valid for weeks around RTC."""
    return pki.good_ca().issue(name, start=datetime.datetime(2026, 5, 1), end=end)


@pytest.fixture
def stage(make_box, names):
    """Makes servers and boxes for one test; the first is the list's host, the second the ACME directory's."""
    things = []

    def web(name, says):
        ip = f"{net.PREFIX}.51.{next(_addresses)}"
        w = Web(ip, name, now=unix(says), cert=certificate(name))
        names.forget(f"{name}. A ")
        names.host(name, ip, reverse=False)
        things.append(w)
        return w

    def box(rtc, ntp=None, hosts=()):
        settings = {"net.address": f"{net.PREFIX}.0.{next(_boxes)}/16"}
        if ntp:
            things.append(Ntp(f"{net.PREFIX}.51.{next(_addresses)}", unix(ntp)))
            settings["net.ntp"] = things[-1].ip
        b = make_box(rtc=rtc, policy=POLICY, settings=settings)
        things.append(b)
        if ntp:
            b.wait_log(r"sntp host=\S+ rc=")
        for key, host in zip(("list.url", "acme.directory"), hosts):
            b.console(f"set {key} https://{host.name}/x")
        b.console("commit")
        for key, _ in zip(("list.url", "acme.directory"), hosts):
            b.wait_log(rf"time https host={key}")
        return b

    yield web, box
    for t in things:
        t.stop()


def expired(box):
    return box.json("status")["list"]["expired"]


def test_one_verified_server_against_a_lying_time_server(stage):
    web, start = stage
    box = start(NO_RTC, ntp="2031-01-01T00:00:00Z", hosts=[web("one.example", RTC)])
    box.wait_log(r"by-server host=one.example .*cause=expired")  # to a clock of 2031 every certificate has expired
    now = box.json("time")
    assert now["source"] == "https" and now["now"].startswith("2026-06-01T12") and now["trusted"].startswith("2026-06-01T12")
    assert not expired(box) and box.json(f"policy {DOMAIN}")["demand"] == "verified"
    box.restart()  # knows no time but the floor, which is as late as an honest answer made it
    assert box.json("time")["source"] in ("floor", "sntp") and box.json("time")["trusted"] == "2026-06-01T11:50:00Z"
    assert not expired(box)


def test_a_box_without_any_clock_learns_the_time(stage):
    web, start = stage
    box = start(NO_RTC, hosts=[web("two.example", "2026-07-02T00:00:00Z")])
    assert "no-time" not in alerts(box)
    assert box.json("time")["source"] == "https" and expired(box)
    assert box.json("time")["witnesses"][0]["name"] == "list host"
    text = box.console("time")
    assert "list host says 2026-07-02T00:00:" in text and "(https)" in text


def test_an_expired_certificate_cannot_tell_the_time(stage):
    web, start = stage
    server = web("three.example", "2026-08-01T00:00:00Z")
    box = start(NO_RTC)
    box.set(list__url="https://three.example/x")
    box.wait_log(r"errand name=list rc=unreachable .*expired")
    assert box.json("time")["source"] == "none" and [r.method for r in server.requests] == ["HEAD"]


def test_one_host_alone_does_not_move_a_running_clock(stage):
    web, start = stage
    box = start(RTC, hosts=[web("four.example", "2026-07-02T00:00:00Z")])
    assert "time-hosts" in alerts(box) and not expired(box)
    assert box.json("time")["trusted"].startswith("2026-06-01T12")
    box.restart()
    assert box.json("time")["trusted"].startswith("2026-06-01T12")


def test_two_hosts_that_agree_correct_the_clock(stage):
    web, start = stage
    box = start(RTC, hosts=[web("five.example", "2026-07-02T00:00:00Z"), web("six.example", "2026-07-02T00:04:00Z")])
    assert box.json("time")["source"] == "https" and box.json("time")["trusted"].startswith("2026-07-02T00:0")
    assert "time-hosts" not in alerts(box)
    box.wait_log(r"list-expired")
    assert expired(box)


@pytest.mark.parametrize("rtc", [RTC, NO_RTC])
def test_two_hosts_that_differ_change_nothing(stage, rtc):
    web, start = stage
    box = start(rtc, hosts=[web("seven.example", "2026-07-02T00:00:00Z"), web("eight.example", RTC)])
    assert "time-hosts" in alerts(box) and not expired(box)
    assert box.json("time")["source"] == ("rtc" if rtc == RTC else "none")
    assert [w["heard"] for w in box.json("time")["witnesses"]] == [True, True]


def test_the_operator_outranks_both(stage):
    web, start = stage
    box = start(NO_RTC)
    box.console(f"time set {RTC}")
    hosts = [web("nine.example", "2026-07-02T00:00:00Z"), web("ten.example", "2026-07-02T00:00:00Z")]
    box.set(list__url=f"https://{hosts[0].name}/", acme__directory=f"https://{hosts[1].name}/")
    box.wait_log(r"time https host=acme.directory")
    assert box.json("time")["source"] == "operator" and not expired(box) and "time-hosts" in alerts(box)
    box.console("time set 2026-06-20T00:00:00Z")
    assert "time-hosts" not in alerts(box)


def test_nobody_sets_the_clock_below_the_floor(stage):
    web, start = stage
    box = start(NO_RTC)
    box.console("time set 2026-06-20T00:00:00Z")
    box.restart()
    web("eleven.example", RTC)
    box.set(list__url="https://eleven.example/x")
    box.wait_log(r"time https host=list.url .*taken=refused")
    assert "time-hosts" in alerts(box)
    assert box.json("time")["source"] == "floor" and box.json("time")["trusted"] == "2026-06-20T00:00:00Z"


def test_a_certificate_that_had_expired_by_the_floor_is_over(stage):
    web, start = stage
    box = start(NO_RTC)
    box.console("time set 2026-06-20T00:00:00Z")
    box.restart()
    server = web("twelve.example", RTC)
    server.use(certificate("twelve.example", end=datetime.datetime(2026, 6, 10)))  # good at the Date that its holder makes up
    box.set(list__url="https://twelve.example/x")
    box.wait_log(r"errand name=list rc=unreachable .*expired")
    assert [r.method for r in server.requests] == ["HEAD"] and box.json("time")["source"] == "floor"
