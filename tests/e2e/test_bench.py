"""The measurements of mail, in small: they run to their end, and their figures are of what they say."""

import json
import os
import subprocess

from lab.box import ROOT

COUNT = 20
QUEUE = 600  # more than the window of the queue in RAM holds
MAILS, DOMAINS, DEAD = 312, 24, 14  # seven of them say nothing: more than the box has sessions


def run(folder, program, *arguments):
    figures = f"{folder}/{program}.json"
    subprocess.run([f"{ROOT}/tests/bench/{program}", *map(str, arguments)], check=True, timeout=600, stdout=subprocess.DEVNULL,
                   env={**os.environ, "POSTERN_FIGURES": figures, "POSTERN_SETTLE_S": "0.1"})
    with open(figures) as f:
        return json.load(f)[program]


def test_mail_beside_postfix(tmp_path):
    told = run(tmp_path, "mail", COUNT)
    for who in ("postern", "postfix"):
        for way in ("plain in and out", "plain, a connection each", "STARTTLS in", "STARTTLS in, a connection each", "verified STARTTLS out"):
            row = told[way]
            assert row[f"{who} mails_a_second"] > 1 and 0 <= row[f"{who} cpu_s_a_1000"] < 60
            assert 1 <= row[f"{who} connections_out"] <= COUNT
            assert row[f"{who} handshakes_out"] == (row[f"{who} connections_out"] if way == "verified STARTTLS out" else 0)
        assert all(told[f"connection, {way}"][f"{who} a_second"] > 1 for way in ("plain", "STARTTLS"))


def test_boot_with_a_queue(tmp_path):
    told = run(tmp_path, "queue", 10, QUEUE)
    for row in told.values():
        assert 0 < row["boot_ms"] <= row["worst_boot_ms"] < 15000 and 300 < row["private_kb"] < 20000
    assert told[f"{QUEUE} mails"]["private_kb"] < told["10 mails"]["private_kb"] + 500


def test_dead_domains_hold_up_no_live_one(tmp_path):
    told = run(tmp_path, "fairness", MAILS, DOMAINS, DEAD, 9)
    beside_dead, alone = told[f"{DEAD} of {DOMAINS} dead"], told["none dead"]
    live = MAILS * (DOMAINS - DEAD) // DOMAINS
    for row in (beside_dead, alone):
        # What is missing waits for its retry: the mail that was cut, and all of that domain that waits with it. Held up, nearly all is missing.
        assert row["missing"] <= min(row["cuts"] * MAILS // DOMAINS, live // 2), row
        assert row["live_mails"] + row["missing"] == live
        assert row["worst_s"] < 75 and row["jain"] > 0.2, row
        assert row["lost"] == 0 and row["left"] == 0 and row["copies"] <= row["cuts"], row
    assert beside_dead["waiting"] >= MAILS * DEAD // DOMAINS
