"""How a newer list gets into a box without a network, what a power cut on the way leaves, and what ends a list's life."""

import datetime
import hashlib
import itertools
import os
import random
import time

import pytest

from lab import listimage, net
from lab.box import PROMPT, tool
from lab.ntp import Ntp

_boxes = itertools.count(100)
PUBLISHED, EXPIRES = "2026-05-20T00:00:00+00:00", "2026-06-19T00:00:00+00:00"
NEWER, NEWER_EXPIRES = "2026-05-27T00:00:00+00:00", "2026-06-26T00:00:00+00:00"
NEWEST = "2026-05-30T00:00:00+00:00"
RTC = "2026-06-01T12:00:00Z"
OLD_NAMES = ["old.example", "both.example"] + [f"filler{i}-{hashlib.sha256(bytes([i % 256, i // 256])).hexdigest()[:10]}.example" for i in range(300)]
NEW_NAMES = ["new.example", "both.example"] + [f"filler{i}-{hashlib.sha256(bytes([i % 256, i // 256])).hexdigest()[:10]}.example" for i in range(300)]
OLD = listimage.policy(OLD_NAMES, PUBLISHED, EXPIRES)
NEW = listimage.policy(NEW_NAMES, NEWER, NEWER_EXPIRES)


def unix(text):
    return int(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())


def alerts(box):
    return {a["name"]: a["text"] for a in box.json("status")["alerts"]}


def listed(box, domain):
    return box.json(f"policy {domain}")["list"] == "found"


@pytest.fixture
def start(make_box):
    boxes = []

    def make(ntp=None, policy=OLD, rtc=RTC, board="posix"):
        settings = {"net.address": f"{net.PREFIX}.0.{next(_boxes)}/16", "net.ntp": ntp.ip if ntp else None}
        box = make_box(settings=settings, policy=policy, rtc=rtc, board=board)
        boxes.append(box)
        return box

    yield make
    for box in boxes:
        assert "Sanitizer" not in box.errors()
        box.stop()


@pytest.fixture(scope="session")
def images(folder):
    class Images:
        old = listimage.image(folder, "old", OLD)
        new = listimage.image(folder, "new", NEW)
        newest = listimage.image(folder, "newest", listimage.policy(NEW_NAMES + ["newest.example"], NEWEST, NEWER_EXPIRES))
        delta = listimage.delta(old, new, f"{folder}/delta.image")

    return Images


def ready(box, size=""):
    box.type(f"list receive {size}\r")
    box.read_until("gives up\r\n")


def answer(box, timeout=60):
    """What the box says until it stands at its prompt again."""
    return box.read_until(PROMPT, timeout).replace("\r", "")[: -len(PROMPT)].rstrip("\n")


def receive(box, text, size="", end="\n"):
    """Pastes all of it at once."""
    ready(box, size)
    box.type(text.replace("\n", end))
    return answer(box)


# --- list receive ---


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_a_list_comes_in_over_the_serial_line(start, images, end):
    box = start()
    assert listed(box, "old.example") and not listed(box, "new.example")
    assert box.json("list info")["slot"] == "A" and box.json("list info")["source"] == ""
    said = receive(box, listimage.text(images.new), os.path.getsize(images.new), end)
    assert said == f"version {unix(NEWER)} is in use: 302 domains"
    for _ in range(2):
        assert listed(box, "new.example") and not listed(box, "old.example")
        info = box.json("list info")
        assert (info["slot"], info["version"], info["source"], info["domains"]) == ("B", unix(NEWER), "serial", 302)
        assert info["received"].startswith(RTC[:13]) and info["age_s"] == pytest.approx(unix(RTC) - unix(NEWER), abs=60)
        assert "came by serial at 2026-06-01T12:" in box.console("list info")
        box.restart()


def test_a_delta_comes_in_over_the_serial_line(start, images):
    box = start()
    assert os.path.getsize(images.delta) < os.path.getsize(images.new) * 0.8
    said = receive(box, listimage.text(images.delta))
    assert said == f"version {unix(NEWER)} is in use: 302 domains"
    assert listed(box, "new.example") and box.json("list info")["last"]["good"]
    with open(box.flash, "rb") as flash, open(images.new, "rb") as new:
        flash.seek(36 * 256 * 1024)
        assert flash.read(os.path.getsize(images.new)) == new.read()  # byte for byte the full image
    assert "error: this delta is for another list than the one in use" not in said
    other = listimage.delta(images.old, images.newest, images.delta + "2")
    assert "error: this delta is for another list" in receive(box, listimage.text(other))
    assert box.json("list info")["version"] == unix(NEWER)


def test_lost_and_damaged_lines_are_sent_again(start, images):
    box = start()
    lines = listimage.text(images.new).splitlines()
    data = [i for i, line in enumerate(lines) if line[0].isdigit()]
    ready(box)
    broken = lines[: data[9]] + [lines[data[9]].replace("A", "B", 1)] + lines[data[10]: data[40]]  # line 10 damaged
    box.type("\n".join(broken) + "\n")
    box.read_until("error: a line came damaged; send the lines from number 10 on again\r\n")
    rest = listimage.text(images.new, "--from", "10").splitlines()
    at = rest.index(lines[data[29]])
    box.type("\n".join(rest[:at] + rest[at + 1:]) + "\n")  # line 30 lost
    box.read_until("error: a line is missing; send the lines from number 30 on again\r\n")
    box.type("\n# a remark\n" + listimage.text(images.new).strip().replace("\n", "\n\n") + "\n")  # all once more: what came already is passed over
    assert answer(box) == f"version {unix(NEWER)} is in use: 302 domains"
    assert listed(box, "new.example")


def test_what_is_refused_says_why_and_is_not_read_as_commands(start, images):
    box = start()
    text = listimage.text(images.new)
    assert receive(box, listimage.text(images.old)) == f"error: version {unix(PUBLISHED)} is in use already"
    assert box.json("list info")["last"]["words"] == f"version {unix(PUBLISHED)} is in use already"
    assert receive(box, text, 100) == f"error: room was made for 100 bytes; say 'list receive {os.path.getsize(images.new)}'"
    assert receive(box, text.split("\n", 2)[2]) == "error: the line that begins with 'begin' is missing"
    assert receive(box, "hello\nabort\n") == "error: that is no line of an image; send the lines from number 1 on again\nerror: given up"
    assert "the slot is not that large" in box.console(f"list receive {1 << 40}")
    assert "usage" in box.console("list receive many")
    ready(box)
    box.type("\n".join(text.splitlines()[:30]) + "\n\x03")
    assert answer(box) == "error: given up (^C)"
    assert box.json("list info")["transfer"]["state"] == "idle"
    assert listed(box, "old.example") and box.json("list info")["slot"] == "A"
    assert "in use: 302" in receive(box, text)
    assert receive(box, listimage.text(images.old)).startswith(f"error: version {unix(PUBLISHED)} is older")


def test_a_list_needs_the_keys_that_the_box_trusts(start, images, folder):
    box = start()
    tool("postern-image", "keys", "--dir", f"{folder}/stranger")
    listed_by = {"--unsigned": [], "stranger": ["--keys", f"{folder}/stranger"]}
    for name, signing in listed_by.items():
        out = f"{folder}/{name}.image"
        tool("postern-image", "list", "--list", f"{folder}/new.list", "--roots", f"{folder}/new.pem", "-o", out,
             *(signing or ["--unsigned"]))
        assert receive(box, listimage.text(out)).startswith("error: this list is refused: ")
        tool("postern-image", "delta", images.old, images.new, "-o", out, *(signing or ["--unsigned"]))
        assert receive(box, listimage.text(out)).startswith("error: this delta is refused: ")
    assert listed(box, "old.example") and box.json("list info")["slot"] == "A"
    box.restart()
    assert listed(box, "old.example") and "list-refused" not in alerts(box)


def test_a_manifest_is_judged_before_the_rest_has_come(start, images, folder):
    box = start()
    ready(box)
    lines = [line for line in listimage.text(images.old).splitlines() if line[0] != "#"]
    box.type("\n".join(lines[:17]) + "\n")  # some 1100 bytes of many
    assert answer(box) == f"error: version {unix(PUBLISHED)} is in use already"


def test_the_list_is_searched_while_another_comes_in(start, images):
    box = start()
    assert len(box.json("list find filler1")["found"]) == 111
    assert box.json("list find .old.example")["found"] == ["old.example"]
    assert box.json("list find .example")["complete"] is False  # 200 of 302 are shown
    assert box.console("list find nothing-like-that") == "0 found"
    receive(box, listimage.text(images.new))
    assert box.json("list find .new.example")["found"] == ["new.example"]


def test_a_fetch_without_a_place_to_fetch_from(start):
    assert start().console("list update").startswith("error: ")


# --- on the reference board, and cut ---


@pytest.mark.parametrize("which", ["virt", "mps2-an500"])
def test_over_the_serial_line_of_the_board(start, images, which):
    box = start(board=which)
    said = receive(box, listimage.text(images.new), os.path.getsize(images.new))
    assert said == f"version {unix(NEWER)} is in use: 302 domains"
    assert listed(box, "new.example")
    said = receive(box, listimage.text(listimage.delta(images.new, images.newest, images.delta + "3")))
    assert "is in use: 303 domains" in said and listed(box, "newest.example")
    box.restart()
    assert (box.json("list info")["slot"], box.json("list info")["domains"]) == ("A", 303)
    stacks = {t["name"]: t for t in box.json("stats")["tasks"]}
    assert stacks["console"]["stack_used"] < stacks["console"]["stack_bytes"] * 0.9


def test_killed_within_an_update(start, images):
    box, rng = start(board="virt"), random.Random(5)
    lines = listimage.text(images.new).splitlines()
    for cut in range(4):
        ready(box)
        upto = len(lines) if cut == 3 else rng.randrange(30, len(lines))
        box.type("\n".join(lines[:upto]) + "\n")
        time.sleep(rng.uniform(0.0, 0.6) if cut < 3 else 0.05)
        box.restart()
        info = box.json("list info")
        assert (info["slot"], info["domains"]) in (("A", 302), ("B", 302)) and info["roots"] > 0
        assert listed(box, "old.example") == (info["slot"] == "A") and listed(box, "new.example") == (info["slot"] == "B")
        assert "list-none" not in alerts(box)
        if info["slot"] == "B":
            break
    else:
        assert "is in use: 302" in receive(box, "\n".join(lines) + "\n")
    assert listed(box, "new.example") and "list-damaged" not in alerts(box)


# --- life ---


@pytest.fixture
def ntp():
    servers = []

    def make(said):
        servers.append(Ntp(net.address(f"{net.PREFIX}.41.{len(servers) + 1}"), unix(said)))
        return servers[-1]

    yield make
    for s in servers:
        s.stop()


def test_two_thirds_of_a_life_are_told_and_its_end(start, images):
    box = start(rtc="2026-06-08T00:00:00Z")  # 19 of 30 days
    assert not {"list-ageing", "list-expired"} & set(alerts(box)) and box.json("list info")["life"] == "fresh"
    box.console("time set 2026-06-10T00:00:00Z")
    assert "ends at 2026-06-19T00:00:00Z (9 days left)" in alerts(box)["list-ageing"] and "list-expired" not in alerts(box)
    assert box.json("list info")["life"] == "ageing" and "over two thirds" in box.console("list info")
    box.wait_log("alert name=list-ageing")
    box.console("time set 2026-06-19T00:00:01Z")
    assert "list-expired" in alerts(box) and "list-ageing" not in alerts(box) and box.json("list info")["life"] == "expired"
    assert box.json("policy both.example")["demand"] == "none" and "EXPIRED since" in box.console("list info")
    box.console("time set 2026-06-01T00:00:00Z")
    receive(box, listimage.text(images.new))
    box.console("time set 2026-06-15T00:00:00Z")
    assert not {"list-ageing", "list-expired"} & set(alerts(box)) and box.json("policy both.example")["demand"] == "verified"


def test_a_time_server_from_the_future_ends_no_list(start, ntp):
    box = start(ntp("2031-01-01T00:00:00Z"))
    box.wait_log(r"sntp host=\S+ rc=ok")
    box.wait_log("alert name=time-disagrees")
    assert box.json("status")["time"].startswith("2031") and not box.json("list info")["expired"]
    assert box.json("policy both.example")["demand"] == "verified"
    box.console("list info")
    box.restart()
    box.wait_log(r"sntp host=\S+ rc=ok")
    assert "list-expired" not in alerts(box) and box.json("policy both.example")["demand"] == "verified"
    box.console(f"time set {RTC}")
    assert "list-ageing" not in alerts(box)


def test_a_time_server_from_the_past_keeps_no_list_alive(start, ntp):
    box = start(ntp("2026-05-21T00:00:00Z"), rtc="2026-06-20T00:00:00Z")
    box.wait_log(r"sntp host=\S+ rc=ok")
    assert box.json("status")["time"].startswith("2026-05-21") and "time-disagrees" in alerts(box)
    assert box.json("list info")["expired"] and box.json("policy both.example")["demand"] == "none"
    box.restart()
    box.wait_log(r"sntp host=\S+ rc=ok")
    assert "list-expired" in alerts(box) and box.json("policy both.example")["demand"] == "none"
    box.console("time set 2026-06-01T00:00:00Z")  # the operator's word is good either way
    assert not box.json("list info")["expired"] and box.json("policy both.example")["demand"] == "verified"
