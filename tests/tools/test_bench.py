"""The measurements themselves, in small: each program runs to its end and its figures are of what they say."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COUNT = 300
NAMES = 500


def made(count):
    return subprocess.run([ROOT / "tests/bench/make_policies", str(count)], check=True, stdout=subprocess.PIPE, text=True).stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    (folder / "names").write_text("".join(name + "\n" for name in json.loads(made(NAMES))["policies"]))
    (folder / "policy-1.json").write_text(made(COUNT))
    (folder / "policy-2.json").write_text(made(COUNT).replace("1700000000", "1700086400"))
    return folder


def run(folder, *command):
    subprocess.run([str(c) for c in command], check=True, timeout=120, stdout=subprocess.DEVNULL,
                   env={**os.environ, "POSTERN_FIGURES": str(folder / "figures.json"), "POSTERN_LISTS": str(folder)})
    return json.loads((folder / "figures.json").read_text())


def test_lists(folder):
    told = run(folder, ROOT / "tests/bench/lists", "--names", folder / "names", COUNT)
    assert set(told["list"]) == {"policy-1", "policy-2", "real names", f"made up, {COUNT}"}
    for row in told["list"].values():
        # A name takes fewer bits than its text, and less than other forms do; everything measured is there.
        assert 8 < row["names_bits"] < row["all_bits"] < row["gzip_bits"] < row["sqlite_bits"] and row["all_bits"] < row["cdb_bits"]
        assert row["names_bits"] < row["dafsa_bits"] < 8 * 40 and row["names_bits"] < row["marisa_bits"]
        assert 0 < row["hit_ns"] <= row["hit_99_ns"] <= row["hit_worst_ns"] and 0 < row["miss_ns"] <= row["miss_worst_ns"]
        assert 1 < row["hit_kinstr"] < 200 and row["hit_kinstr"] <= row["hit_worst_kinstr"] < 600
        assert 1 < row["miss_kinstr"] <= row["miss_worst_kinstr"] < 600
        assert 200 < row["stack_bytes"] < 1200 and 5000 < row["verify_kinstr"] < 60000
    assert told["list"]["real names"]["domains"] == NAMES
    assert 0 < told["delta"]["policy-1 to policy-2"]["patch_bytes"] < told["delta"]["policy-1 to policy-2"]["new_bytes"]
    assert 0 < told["delta"]["real names, 1 changed"]["patch_bytes"] < told["delta"]["real names, 10 changed"]["patch_bytes"]


def test_compile(folder):
    told = run(folder, ROOT / "tests/bench/compile", COUNT)["compile"][f"{COUNT} domains"]
    assert 0 < told["seconds"] < 20 and 1 < told["peak_mb"] < 60
    assert 0 < told["bytes"] < told["json_bytes"]
    table = subprocess.run([ROOT / "tests/bench/run", "table"], check=True, stdout=subprocess.PIPE, text=True,
                           env={**os.environ, "POSTERN_FIGURES": str(folder / "figures.json")}).stdout
    assert f"| made up, {COUNT} | {COUNT} |" in table and f"| {COUNT} domains |" in table
