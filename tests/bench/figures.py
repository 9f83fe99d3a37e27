"""What the measurements share: where things are, and how figures are kept. Each program prints its lines as it goes and adds its figures
to one JSON file, which tests/bench/run makes tables of."""

import json
import os
import resource
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("POSTERN_BUILD", ROOT / "build"))
TOOLS = BUILD / "tools"
BENCH = BUILD / "bench"
LISTS = Path(os.environ.get("POSTERN_LISTS", ROOT.parent / "shared/data"))
FILE = Path(os.environ.get("POSTERN_FIGURES", BENCH / "figures.json"))
SCRATCH = "/var/tmp"  # a file system that keeps what it is told


def run(*command, **options):
    return subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def make_policies(target, *arguments):
    """A policy.json with made-up policies; arguments as of the program."""
    with open(target, "w") as out:
        subprocess.run([ROOT / "tests/bench/make_policies", *arguments], stdout=out, check=True)
    return target


def measured(*command, **options):
    """Runs a command; seconds, seconds of CPU and MB at most. A child's peak begins with the size of what forked it: callers stay small."""
    begin = time.monotonic()
    child = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, **options)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise RuntimeError(f"{command[0]}: exit code {child.returncode}")
    return {"seconds": round(time.monotonic() - begin, 2), "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
            "peak_mb": round(usage.ru_maxrss / 1024, 1)}


def own_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def read():
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def keep(section, name, values):
    """Adds figures; those of an earlier run with the same name are replaced."""
    all_figures = read()
    all_figures.setdefault(section, {}).setdefault(name, {}).update(values)
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(all_figures, indent=1) + "\n")
    print(f"{section}: {name}: " + ", ".join(f"{k} {v}" for k, v in values.items()), flush=True)


def table(head, rows):
    """Lines of a Markdown table."""
    lines = [head, ["---"] * len(head)] + rows
    return ["| " + " | ".join("" if c is None else str(c) for c in line) + " |" for line in lines]
