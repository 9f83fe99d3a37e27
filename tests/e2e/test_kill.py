"""The promise: what was answered with 250 is never lost. The box is killed at random moments under load, started again, and held against the
ledger of its own replies. kill -9 is a power cut that leaves the flash file as it is; cuts that tear and drop operations are swept on the
simulated flash (tests/powercut). Mail from outside goes straight through to the office's server, and what that has not taken was not answered 250.

POSTERN_KILLS gives the number of kills; the default is a handful. A hundred and more are done under load from sixteen senders."""

import json
import os
import random
import subprocess
import threading
import time
from pathlib import Path

import pytest

from lab import client, net, pki
from lab.fakemx import FakeMx
from lab.wait import until

KILLS = int(os.environ.get("POSTERN_KILLS", "5"))
SENDERS = 8 if KILLS < 100 else 16


class Ledger:
    """What the box was told and what it answered."""

    def __init__(self):
        self.lock, self.taken, self.sent, self.kills, self.stopping = threading.Lock(), set(), 0, 0, False

    def sender(self, box, n, network, to):
        rng, source, patience = random.Random(n), f"{network}{10 + n}", 3
        net.address(source)
        while not self.stopping:
            with self.lock:
                self.sent += 1
                name = f"m{self.sent}x"
            size, kills = rng.choice([200, 2000, 6000, 40000]), self.kills
            try:
                client.send(box, "anna@office.example", to, client.mail(name, "y" * 70 + "\r\n" + "z" * size), source=source,
                            tls=rng.random() < 0.3, timeout=patience)
                with self.lock:
                    self.taken.add(name)
            except Exception as e:
                if isinstance(e, TimeoutError) and kills == self.kills:  # it lives, and is slow
                    patience = min(2 * patience, 30)
                time.sleep(0.05)


@pytest.fixture
def sink(names, board):
    mx = FakeMx(f"{net.PREFIX}.5.{1 if board == 'posix' else 2}", "mx.ledger.example", cert=pki.good_ca().issue("mx.ledger.example"))
    names.mail_domain("ledger.example", "mx.ledger.example", mx.ip)
    yield mx
    mx.stop()


def names_in(mails):
    return [m["body"].split(b"Subject: ", 1)[1].split(b"\r\n", 1)[0].decode() for m in mails]


@pytest.mark.parametrize("way", ["stored", "through"])
def test_nothing_answered_250_is_lost_over_kills(make_box, board, sink, way):
    rng = random.Random(7)
    through, kills = way == "through", KILLS if way == "stored" else (KILLS + 1) // 2
    box = make_box(board=board, settings={"net.address": f"{net.PREFIX}.0.{20 if board == 'posix' else 21}/16",
                                          **({"mail.inside": f"{sink.ip}:25"} if through else {})})
    ledger = Ledger()
    sender = (net.CLIENTS, "anna@office.example") if through else (net.OFFICE[:-1], "bob@ledger.example")
    threads = [threading.Thread(target=ledger.sender, args=(box, n, *sender), daemon=True) for n in range(SENDERS)]
    for t in threads:
        t.start()
    passed, least = 0, 10 if board == "posix" else 1
    for _ in range(kills):
        before, began = len(ledger.taken), time.monotonic()
        wanted = before + rng.randint(0, SENDERS)
        until(lambda: len(ledger.taken) >= before + least and (len(ledger.taken) >= wanted or time.monotonic() > began + 15), every=0.05)
        time.sleep(rng.uniform(0, 1))
        passed += box.json("stats", timeout=120)["counters"]["cut_through"] if through else 0
        ledger.kills += 1
        box.restart()
        ledger.kills += 1
    time.sleep(1)
    ledger.stopping = True
    for t in threads:
        t.join(20)
    box.console("queue retry")
    end = time.time() + max(120, kills)
    while time.time() < end and box.json("queue", timeout=120)["count"]:
        box.console("queue retry")
        time.sleep(0.5)
    left = box.json("queue", timeout=120)["count"]
    arrived = names_in(sink.mails)
    lost = ledger.taken - set(arrived)
    twice = len(arrived) - len(set(arrived))
    print(f"\n{board}: {kills} kills, {len(ledger.taken)} mails answered 250, {len(lost)} lost, {left} still queued, {twice} delivered twice, "
          f"{passed} straight through")
    assert len(ledger.taken) >= least * kills
    assert passed > 0 or not through
    assert not lost and not left, f'{sorted(lost)}: {box.log(400)[-6000:]}'
    assert twice <= (kills + 1) * 6 * (2 if through else 1)  # at most what was under way at a kill: one a session
    assert "Sanitizer" not in box.errors()
    box.stop()


def rescued(box, ident):
    """What the host tool makes of a dead box's flash."""
    out = Path(box.folder) / f"rescued-{ident}"
    tool = Path(__file__).resolve().parents[2] / "build/tools/postern-image"
    said = subprocess.run([tool, "rescue", box.flash, "-o", out], capture_output=True, text=True, timeout=60)
    assert said.returncode == 0 and "1 queued mail, 0 of them damaged" in said.stdout, said
    return (out / f"{ident}.eml").read_bytes(), json.loads((out / f"{ident}.json").read_text())


@pytest.mark.boards("posix", "virt", "mps2-an500")
def test_the_queue_survives_and_says_why_after_a_kill(make_box, board, names):
    n = ("posix", "virt", "mps2-an500").index(board)
    dead = net.address(f"{net.PREFIX}.5.{11 + n}")
    domain = f"dead-{board}.example"
    names.mail_domain(domain, f"mx.{domain}", dead)
    box = make_box(board=board, settings={"net.address": f"{net.PREFIX}.0.{22 + n}/16"})
    body = client.mail("kept", "\r\n".join(f"line {i}" for i in range(3000)))
    ident = client.send(box, "anna@office.example", f"bob@{domain}", body, source=net.OFFICE).split()[-1]
    box.wait_log(rf"waits id={ident}")
    box.kill()
    mail, envelope = rescued(box, ident)
    assert mail.endswith(body.encode()) and mail.startswith(b"Received: ") and not envelope["damaged"]
    assert envelope["sender"] == "anna@office.example" and envelope["attempts"] >= 1
    assert [r["address"] for r in envelope["recipients"]] == [f"bob@{domain}"] and "could not be reached" in envelope["recipients"][0]["reply"]
    box.start()
    entry = box.json("queue")["queue"][0]
    assert entry["id"] == ident and "could not be reached" in entry["reason"] and entry["attempts"] >= 1
    mx = FakeMx(dead, f"mx.{domain}", starttls="none")
    box.order(f"queue retry {ident}")
    got = mx.wait_for()["body"]
    assert got.endswith(body.rstrip("\r\n").encode())
    mx.stop()
    box.stop()
