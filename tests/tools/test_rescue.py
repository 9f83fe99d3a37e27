"""postern-image rescue: the mail of a dead box. The flash is written here by firmware/SPOOL.md and not by our code."""

import email
import json
import random
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "build/tools/postern-image"
KIB, MIB = 1024, 1024 * 1024
BOARDS = {  # flash, where the spool begins, its segments
    "virt": (64 * MIB, 72 * 256 * KIB, 256 * KIB),
    "mps2-an500": (16 * MIB, (32 + 2 * 256 + 128) * 4 * KIB, 64 * KIB),
    "small segments": (18 * MIB, (32 + 2 * 256 + 128) * 4 * KIB, 32 * KIB),
}
ENVELOPE, RECIPIENT, BODY, COMMIT, OUTCOME, DEFER, HOLD, SETASIDE, SETTLED = range(1, 10)
WAITING, DELIVERED, BOUNCED, DROPPED = range(4)
NOON = 1800000000
TEXT = b"From: <a@sender.example>\r\nTo: <b@office.example>\r\nSubject: n\r\n\r\n" + b"a line of text\r\n" * 300


def crc(data, seed=0):
    return zlib.crc32(data, seed)


class Spool:
    """A spool as a box leaves it. Records go to the segment that was opened last."""

    def __init__(self, board="virt"):
        size, self.at, self.segment_bytes = BOARDS[board]
        self.flash, self.salt, self.seq, self.segment, self.places = bytearray(b"\xff" * size), 0x51A7, 0, -1, {}
        self.open()

    def open(self, skip=0):
        self.segment += 1 + skip
        self.seq += 1
        base = self.at + self.segment * self.segment_bytes
        wear = b"PSw\1" + struct.pack("<IIII", 3, 1, 1, 1) + bytes(8)
        opening = b"PSo\1" + struct.pack("<IIIIII", self.seq, self.salt, 1, 1, 3, 0)
        self.flash[base:base + 32] = wear + struct.pack("<I", crc(wear))
        for copy in (32, 64):
            self.flash[base + copy:base + copy + 32] = opening + struct.pack("<I", crc(opening))
        self.base, self.off = base, 96

    def record(self, kind, mail, payload, index=0, serial=0, source=0):
        if self.off + 32 + len(payload) + 36 > self.segment_bytes:
            self.open()
        head = struct.pack("<BBHIIIIII", 0xA7, kind, len(payload) + 4, mail, index, 1, source, serial, 0)
        whole = head + struct.pack("<I", crc(head, self.salt ^ self.seq)) + struct.pack("<I", crc(payload) or 0xFFFFFFFF) + payload
        where = self.base + self.off
        self.flash[where:where + len(whole)] = whole
        self.off += (len(whole) + 31) // 32 * 32
        self.places[kind, mail, index, serial] = (where, len(whole))

    def envelope(self, mail, sender=b"a@sender.example", flags=0, ret=0, envid=b"", helo=b"client.example"):
        peer = bytes([192, 0, 2, 7]) + bytes(12)
        self.record(ENVELOPE, mail, struct.pack("<qBBBB16sHHBBH", NOON, flags, 0, ret, 4, peer, 2525, len(sender), len(envid), len(helo), 0)
                    + sender + envid + helo)

    def recipient(self, mail, index, address=b"b@office.example", notify=0, orcpt=b""):
        domain = address.split(b"@")[1]
        self.record(RECIPIENT, mail, struct.pack("<BBHHH", notify, len(domain), len(address), len(orcpt), 0) + address + domain + orcpt, index)

    def body(self, mail, text, piece=1000):
        for at in range(0, len(text), piece):
            self.record(BODY, mail, text[at:at + piece], at)

    def commit(self, mail, text, recipients=1, held=0):
        self.record(COMMIT, mail, struct.pack("<IIHBBqII", 1, 96, recipients, 0, held, NOON, len(text), crc(text)))

    def mail(self, mail, text=TEXT, recipients=(b"b@office.example",), **envelope):
        self.envelope(mail, **envelope)
        for i, r in enumerate(recipients):
            self.recipient(mail, i, r)
        self.body(mail, text)
        self.commit(mail, text, len(recipients))

    def status(self, kind, mail, serial, index=0, waiting=1, state=0, code=0, enhanced=(0, 0, 0), text=b"", attempts=1, flags=0):
        self.record(kind, mail, struct.pack("<IIHHqBBH3BBq", 0, 0, waiting, attempts, NOON + 600, flags, state, code, *enhanced, 0, NOON + 60)
                    + text, index, serial)

    def kill(self, *place):
        at, length = self.places[place]
        self.flash[at + 32:at + length] = bytes(length - 32)

    def flip(self, *place, byte=40):
        self.flash[self.places[place][0] + byte] ^= 0x10


class Rescued:
    def __init__(self, tmp_path, flash, *options, code=0):
        image, self.folder = tmp_path / "data.img", tmp_path / "mail"
        image.write_bytes(flash)
        self.run = subprocess.run([TOOL, "rescue", image, *options, "-o", self.folder], capture_output=True, text=True, timeout=60)
        assert self.run.returncode == code, (self.run.stdout, self.run.stderr)
        assert image.read_bytes() == flash
        self.files = sorted(p.name for p in self.folder.iterdir()) if self.folder.exists() else []
        self.json = {int(p.stem, 16): json.loads(p.read_text()) for p in self.folder.glob("*.json")} if self.files else {}

    def body(self, mail):
        return (self.folder / f"{mail:08X}.eml").read_bytes()


@pytest.mark.parametrize("board", BOARDS)
def test_whole_mails_come_out_byte_for_byte(tmp_path, board):
    s, texts = Spool(board), {}
    for n in range(1, 60):
        texts[n] = TEXT + b"%d\r\n" % n * n * 20
        s.mail(n, texts[n])
    got = Rescued(tmp_path, s.flash)
    assert s.segment > 0 and got.files == sorted(f"{n:08X}.{e}" for n in texts for e in ("eml", "json"))
    assert {n: got.body(n) for n in texts} == texts
    assert "59 queued mails, 0 of them damaged" in got.run.stdout and not got.run.stderr
    assert email.message_from_bytes(got.body(7))["Subject"] == "n"
    assert (got.folder.stat().st_mode & 0o777) == 0o700


def test_the_envelope_is_told(tmp_path):
    s = Spool()
    s.envelope(9, flags=0b1111, ret=ord("H"), envid=b"QQ314159")
    s.recipient(9, 0, b"b@office.example", notify=2 | 4, orcpt=b"rfc822;b@old.example")
    s.recipient(9, 1, "jürgen@büro.example".encode())
    s.body(9, TEXT)
    s.commit(9, TEXT, 2)
    got = Rescued(tmp_path, s.flash).json[9]
    assert got == {
        "id": "00000009", "sender": "a@sender.example", "received": "2027-01-15T08:00:00Z", "origin": "outside", "client": "192.0.2.7",
        "helo": "client.example", "8bitmime": True, "smtputf8": True, "requiretls": True, "tls_optional": True, "ret": "HDRS",
        "envid": "QQ314159", "bytes": len(TEXT), "missing_bytes": 0, "attempts": 0, "damaged": [],
        "recipients": [{"address": "b@office.example", "state": "waiting", "notify": ["SUCCESS", "FAILURE"], "orcpt": "rfc822;b@old.example"},
                       {"address": "jürgen@büro.example", "state": "waiting"}]}


def test_what_is_no_utf8_is_marked_and_the_rest_is_kept(tmp_path):
    s = Spool()
    s.mail(1, recipients=("jürgen@büro.example".encode(),))
    s.status(OUTCOME, 1, 1, code=451, enhanced=(4, 0, 0), text=b"\xfc \"sp\xc3\xa4ter\"\\\x01")
    assert Rescued(tmp_path, s.flash).json[1]["recipients"][0]["reply"] == "\ufffd \"später\"\\\x01"


def test_a_bounce_has_no_sender(tmp_path):
    s = Spool()
    s.mail(1, sender=b"")
    assert Rescued(tmp_path, s.flash).json[1]["sender"] == ""


def test_the_newest_outcome_counts(tmp_path):
    s = Spool()
    s.mail(5, recipients=(b"one@office.example", b"two@office.example", b"three@office.example"))
    s.status(OUTCOME, 5, 1, index=1, waiting=3, code=451, enhanced=(4, 7, 1), text=b"later, says mx.office.example")
    s.status(OUTCOME, 5, 2, index=0, waiting=2, state=DELIVERED, code=250, enhanced=(2, 0, 0))
    s.status(OUTCOME, 5, 4, index=1, waiting=1, state=BOUNCED, code=550, enhanced=(5, 1, 1), text=b"no")
    s.status(DEFER, 5, 5, waiting=1, attempts=7)
    s.status(HOLD, 5, 6, waiting=1, attempts=7, flags=1)
    got = Rescued(tmp_path, s.flash)
    m = got.json[5]
    assert [(r["state"], r.get("code"), r.get("enhanced"), r.get("reply")) for r in m["recipients"]] == [
        ("delivered", 250, "2.0.0", None), ("bounced", 550, "5.1.1", "no"), ("waiting", None, None, None)]
    assert m["attempts"] == 7 and m["held"] and m["next_try"] == "2027-01-15T08:10:00Z"
    assert "1 of 3 recipients wait" in got.run.stdout and "held" in got.run.stdout


def test_what_was_settled_stays_settled(tmp_path):
    s = Spool()
    s.mail(1)
    s.mail(2)
    s.mail(3)
    s.mail(4)
    s.status(OUTCOME, 1, 1, waiting=0, state=DELIVERED, code=250)
    s.status(SETTLED, 1, 2, waiting=0)
    for kind, serial in ((ENVELOPE, 0), (RECIPIENT, 0), (OUTCOME, 1)):
        s.kill(kind, 1, 0, serial)  # a cut while it is wiped
    s.status(OUTCOME, 2, 1, waiting=0, state=DELIVERED, code=250)
    s.status(OUTCOME, 3, 1, waiting=0, state=BOUNCED, code=550)  # its bounce may not have been written
    got = Rescued(tmp_path, s.flash)
    assert sorted(got.json) == [3, 4] and "2 more had been settled" in got.run.stdout


def test_what_was_never_accepted_is_written_on_demand(tmp_path):
    s = Spool()
    s.mail(1)
    s.envelope(2)
    s.recipient(2, 0)
    s.body(2, TEXT)
    got = Rescued(tmp_path, s.flash)
    assert sorted(got.json) == [1] and "1 more had never been accepted; --unfinished writes them, too" in got.run.stdout
    (tmp_path / "again").mkdir()
    got = Rescued(tmp_path / "again", s.flash, "--unfinished")
    assert sorted(got.json) == [1, 2] and got.body(2) == TEXT
    assert got.json[2]["damaged"] == ["never accepted: its sender was not told so"]


@pytest.mark.parametrize("kind,index,damage", [
    (ENVELOPE, 0, "sender and options"), (RECIPIENT, 0, "recipients"), (BODY, 1000, "the message differs from what was accepted"),
    (COMMIT, 0, "the record of its acceptance")])
def test_a_flipped_bit_costs_no_more_than_its_record(tmp_path, kind, index, damage):
    s = Spool()
    for n in (1, 2, 3):
        s.mail(n)
    s.flip(kind, 2, index, 0)
    got = Rescued(tmp_path, s.flash, code=1)
    assert {n: got.json[n]["damaged"] for n in got.json} == {1: [], 2: [damage], 3: []}
    assert "3 queued mails, 1 of them damaged" in got.run.stdout
    whole = got.body(2)
    assert len(whole) == len(TEXT) and sum(a != b for a, b in zip(whole, TEXT)) == (kind == BODY)
    if kind == ENVELOPE:
        assert got.json[2]["sender"] is None
    if kind == RECIPIENT:
        assert got.json[2]["recipients"] == [{"address": None, "state": "waiting"}]


def test_a_lost_header_of_a_body_record_leaves_a_known_hole(tmp_path):
    s = Spool()
    s.mail(1)
    s.flip(BODY, 1, 2000, 0, byte=9)
    got = Rescued(tmp_path, s.flash, code=1)
    assert got.json[1]["missing_bytes"] == 1000 and "parts of the message are missing" in got.json[1]["damaged"]
    assert got.body(1) == TEXT[:2000] + TEXT[3000:] and "bytes of the log cannot be read" in got.run.stdout


def test_a_lost_commit_of_a_mail_with_a_status_is_no_loss(tmp_path):
    s = Spool()
    for n in (1, 2, 3):
        s.mail(n)
        s.status(DEFER, n, 1, attempts=2)
        s.flip(COMMIT, n, 0, 0, byte=9)
    s.flip(BODY, 2, 1000, 0)
    s.flip(BODY, 3, 1000, 0, byte=9)
    got = Rescued(tmp_path, s.flash, code=1)
    assert got.body(1) == TEXT and got.json[1]["attempts"] == 2
    assert "the message differs from what was accepted" in got.json[2]["damaged"] and got.json[3]["missing_bytes"] == 1000


def test_the_newest_status_tells_whether_it_is_held(tmp_path):
    s = Spool()
    s.mail(1)
    s.status(HOLD, 1, 1, flags=1)
    s.status(HOLD, 1, 2, flags=0)
    s.mail(2)
    s.status(HOLD, 2, 1, flags=1)
    s.status(DEFER, 2, 2, attempts=4)
    got = Rescued(tmp_path, s.flash)
    assert "held" not in got.json[1] and "held" not in got.json[2] and got.json[2]["attempts"] == 4


@pytest.mark.parametrize("copy", (32, 64))
def test_one_rotten_opening_is_not_the_end_of_a_segment(tmp_path, copy):
    s = Spool()
    s.mail(1)
    s.flash[s.base + copy + 8] ^= 1
    assert Rescued(tmp_path, s.flash).body(1) == TEXT


def test_copies_fill_in_for_what_has_rotted(tmp_path):
    s = Spool()
    s.mail(1)
    s.flip(BODY, 1, 1000, 0)
    first = s.seq
    s.open()
    s.record(BODY, 1, TEXT[1000:2000], 1000, source=first)
    s.record(ENVELOPE, 2, b"", 0, source=first)  # too short to be one
    got = Rescued(tmp_path, s.flash)
    assert got.body(1) == TEXT and got.json[1]["damaged"] == []


def test_half_of_a_copy_does_not_hide_what_it_was_copied_from(tmp_path):
    s = Spool()
    s.open()
    s.mail(1)
    source = s.seq
    s.segment = -1
    s.open()  # where the scan begins
    s.record(BODY, 1, TEXT[1000:1600], 1000, source=source)
    got = Rescued(tmp_path, s.flash)
    assert got.body(1) == TEXT and got.json[1]["damaged"] == []


def test_retired_segments_are_gone(tmp_path):
    s = Spool()
    s.mail(1)
    s.flash[s.base + 32:s.base + 96] = bytes(64)
    s.open()
    s.mail(2)
    assert sorted(Rescued(tmp_path, s.flash).json) == [2]


def test_what_is_no_flash_is_refused(tmp_path):
    for content in (b"", b"\xff" * MIB, bytes(64 * MIB), b"\xff" * 64 * MIB):
        got = Rescued(tmp_path, content, code=1)
        assert got.run.stderr.startswith("error: ") and "no spool" in got.run.stderr and not got.folder.exists()
    missing = subprocess.run([TOOL, "rescue", tmp_path / "none", "-o", tmp_path / "x"], capture_output=True, text=True)
    assert missing.returncode == 1 and "none" in missing.stderr
    assert subprocess.run([TOOL, "rescue", tmp_path / "none"], capture_output=True).returncode == 2


def test_nothing_is_written_over(tmp_path):
    s = Spool()
    s.mail(1)
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail" / "mine").write_text("mine")
    got = Rescued(tmp_path, s.flash, code=1)
    assert "not empty" in got.run.stderr and got.files == ["mine"]


def test_each_bad_unit_is_reported_and_costs_one_mail_at_most(tmp_path):
    """Each unit of a mail in a copy of its own, as zeros, ones, or anything, between two good mails."""
    s, dice, bad, units = Spool("small segments"), random.Random(7), {}, 0
    text = TEXT[:300]
    s.mail(1, text)
    s.open()
    for n in range(1, 400):
        if s.off > s.segment_bytes // 2:
            s.open()
        start = s.off
        s.mail(2 * n, text)
        units = (s.off - start) // 32
        s.mail(2 * n + 1, text)
        if n > 3 * units:
            break
        bad[2 * n] = s.base + start + 32 * ((n - 1) // 3), (bytes(32), b"\xff" * 32, dice.randbytes(32))[n % 3]
    for at, unit in bad.values():
        s.flash[at:at + 32] = unit
    got = Rescued(tmp_path, s.flash, code=1)
    assert len(bad) == 3 * units > 40
    good = [n for n in range(1, 2 * len(bad) + 2) if n not in bad]
    assert all(got.json[n]["damaged"] == [] and got.body(n) == text for n in good)
    unfinished = [n for n in bad if n not in got.json]
    assert f"{len(unfinished)} more had never been accepted" in got.run.stdout and len(unfinished) <= 9  # the COMMIT is gone
    whole = [n for n in bad if n in got.json and not got.json[n]["damaged"]]
    assert all(got.body(n) == text for n in whole) and len(whole) <= len(bad) // 6  # padding alone was hit
    said = [n for n in bad if n in got.json and got.json[n]["damaged"]]
    assert f"{len(said)} of them damaged" in got.run.stdout and len(said) > len(bad) // 2
    assert "bytes of the log cannot be read" in got.run.stdout


def test_rot_all_over_never_stops_it(tmp_path):
    s = Spool("small segments")
    for n in range(1, 30):
        s.mail(n)
        s.status(OUTCOME, n, 1, code=451, enhanced=(4, 0, 0), text=b"later")
    dice = random.Random(11)
    used = s.at, s.base + s.off
    flash = bytearray(s.flash)
    for _ in range(60):
        flash[dice.randrange(*used)] ^= 1 << dice.randrange(8)
    got = Rescued(tmp_path, flash, code=1)
    whole = [n for n, m in got.json.items() if not m["damaged"]]
    assert whole and all(got.body(n) == TEXT for n in whole) and len(got.json) > 20
