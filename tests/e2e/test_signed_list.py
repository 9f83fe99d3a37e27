"""Who may give a box its lists: what is wrongly signed is refused at boot and on arrival, and keys can be changed while the box runs."""

import itertools
import os
import struct
import subprocess

import pytest

from lab import listimage, net
from lab import box as lab_box
from lab.box import PROMPT

_addresses = itertools.count(140)
RTC = "2026-06-01T12:00:00Z"
PUBLISHED, NEWER, EXPIRES = "2026-05-20T00:00:00+00:00", "2026-05-27T00:00:00+00:00", "2026-06-19T00:00:00+00:00"
OLD = listimage.policy(["old.example"], PUBLISHED, EXPIRES)
KEYS = os.environ.get("POSTERN_KEYS", f"{lab_box.BUILD}/keys")
SLOT_A = {"posix": 4 * 256 * 1024, "virt": 4 * 256 * 1024, "mps2-an500": 32 * 4096}


@pytest.fixture
def prepare(folder, names):
    """A box with a list in slot A that is not started yet."""
    made = []

    def make(board="posix"):
        box = lab_box.Box(f"{folder}/signed{next(_addresses)}", board=board, policy=OLD, rtc=RTC,
                          settings={"net.address": f"{net.PREFIX}.0.{next(_addresses)}/16"})
        made.append(box)
        return box

    yield make
    for box in made:
        assert "Sanitizer" not in box.errors()
        box.stop()


def tool(*args):
    return lab_box.tool("postern-image", *args)


def receive(box, path):
    box.type("list receive\r")
    box.read_until("gives up\r\n")
    box.type(listimage.text(path))
    return box.read_until(PROMPT, 60).replace("\r", "")[: -len(PROMPT)].rstrip("\n")


def alerts(box):
    return {a["name"]: a["text"] for a in box.json("status")["alerts"]}


def in_slot_a(box, change):
    with open(box.flash, "r+b") as f:
        f.seek(SLOT_A[box.board])
        data = bytearray(f.read(64 * 1024))
        change(data)
        f.seek(SLOT_A[box.board])
        f.write(data)


def signature_at(data):
    return 64 + 56 * struct.unpack_from("<I", data, 56)[0] + 16


def flip(place):
    def change(data):
        data[place(data)] ^= 1
    return change


def unsign(data):
    struct.pack_into("<I", data, signature_at(data) - 8, 0)


def other_key(data):
    data[signature_at(data) + 8] ^= 1


@pytest.mark.parametrize("change, words", [
    (flip(lambda d: signature_at(d) + 50), "a signature does not fit"),
    (unsign, "it is not signed"),
    (other_key, "no key that this box trusts has signed it"),
])
def test_a_wrongly_signed_slot_is_not_used(prepare, change, words):
    box = prepare()
    in_slot_a(box, change)
    box.start()
    said = alerts(box)
    assert f"the list in slot A is refused: {words}" in said["list-refused"] and "no CA roots are in use" in said["list-refused"]
    assert "list-none" in said
    assert box.json("policy old.example")["list"] == "no-list"
    info = box.json("list info")
    assert (info["slot"], info["roots"], info["anchors"], info["signer"]) == ("-", 0, 0, "")
    assert "list         none" in box.console("status")


@pytest.mark.parametrize("small", ["virt", "mps2-an500"])
def test_boards_refuse_it_too_and_take_a_good_one(prepare, folder, small):
    box = prepare(small)
    in_slot_a(box, unsign)
    box.start()
    assert "it is not signed" in alerts(box)["list-refused"]
    good = listimage.image(folder, f"good-{small}", listimage.policy(["new.example"], NEWER, EXPIRES))
    assert "is in use: 1 domains" in receive(box, good)
    assert "list-refused" not in alerts(box) and "list-none" not in alerts(box)
    info = box.json("list info")
    assert (info["anchors"], info["signatures"], info["keyring"]) == (2, 1, 1) and info["roots"] > 0
    box.restart()
    assert box.json("policy new.example")["list"] == "found"


def test_an_attackers_list_is_refused_on_arrival(prepare, folder):
    box = prepare().start()
    tool("keys", "--dir", f"{folder}/attacker")
    listimage.image(folder, "bait", listimage.policy(["old.example"], NEWER, EXPIRES))
    bait = f"{folder}/bait"
    for signing, words in [(["--unsigned"], "it is not signed"), (["--keys", f"{folder}/attacker"], "no key that this box trusts")]:
        tool("list", "--list", f"{folder}/bait.list", "--roots", f"{folder}/bait.pem", *signing, "-o", bait)
        assert f"error: this list is refused: {words}" in receive(box, bait)
    tool("list", "--list", f"{folder}/bait.list", "--unsigned", "-o", bait)
    tool("sign", bait, "--key", f"{KEYS}/firmware-1.key")
    assert "not for this kind of image" in receive(box, bait)
    assert "no key that this box trusts" in receive(box, f"{folder}/attacker/keyring.img").replace("fewer root keys", "?")
    assert box.json("list info")["slot"] == "A" and box.json("list info")["keyring"] == 1


def test_keys_change_while_the_box_runs(prepare, folder):
    """The list key is lost. What it signed goes with it, and the new key's lists are taken; a restart and factory-reset change nothing."""
    box = prepare().start()
    key_id = box.json("list info")["signer"]
    assert len(key_id) == 16 and f"signed by key {key_id} (1 of 1 needed); keyring 1" in box.console("list info")
    new_key, keyring = f"{folder}/list-2.key", f"{folder}/keyring-2.img"
    tool("keys", "--new", new_key)
    roots = [a for n in (1, 2, 3) for a in ("--root", f"{KEYS}/root-{n}.key")]
    tool("keyring", "--after", f"{KEYS}/keyring.img", *roots, "--list", new_key, "--firmware", f"{KEYS}/firmware-1.key", "-o", keyring)
    tool("sign", keyring, "--key", f"{KEYS}/root-1.key")
    box.console("time set 2090-01-01T00:00:00Z")  # keys are made now, which is later than this box's day
    assert "error: this keyring is refused: fewer root keys of the keyring in force" in receive(box, keyring)
    tool("sign", keyring, "--key", f"{KEYS}/root-3.key")
    assert receive(box, keyring) == "keyring version 2 is in force"
    assert "no key that this box trusts has signed it" in alerts(box)["list-refused"]
    box.restart()
    assert box.json("list info")["keyring"] == 2 and box.json("list info")["slot"] == "-"
    box.console(f"time set {RTC}")
    listimage.image(folder, "rotated", listimage.policy(["new.example"], NEWER, EXPIRES))
    signed = f"{folder}/rotated.image"
    assert "no key that this box trusts" in receive(box, signed)
    tool("list", "--list", f"{folder}/rotated.list", "--roots", f"{folder}/rotated.pem", "--unsigned", "-o", signed)
    tool("sign", signed, "--key", new_key)
    assert "is in use: 1 domains" in receive(box, signed)
    assert box.json("list info")["signer"] != key_id
    box.type("factory-reset yes\r")
    box.read_until("erased, restarting")
    box.read_until(PROMPT, 60)
    info = box.json("list info")
    assert (info["keyring"], info["domains"]) == (2, 1)
    assert "mail.office" not in box.console("show host.name")
