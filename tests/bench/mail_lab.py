"""What the measurements of mail share: the lab of the end-to-end tests, the box in it as a Linux process, and a client that sends mails of 2 KB."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import figures

sys.path.insert(0, str(figures.ROOT / "tests/e2e"))

from lab import dns, net  # noqa: E402
from lab.box import Box  # noqa: E402

SIZE, SESSIONS = 2048, 5
SENDER = "anna@office.example"
TICK = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def lab():
    """A namespace of our own with its DNS, and a folder on the disk. SIGTERM ends it in order, too."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    net.enter()
    folder = tempfile.mkdtemp(prefix="postern-bench-", dir=figures.SCRATCH)
    os.chmod(folder, 0o755)
    try:
        names = dns.Dns(f"{folder}/dns")
        names.host("mail.office.example", net.BOX)
        names.start()
        try:
            yield folder, names
        finally:
            names.stop()
    finally:
        if not os.environ.get("POSTERN_KEEP"):
            shutil.rmtree(folder, ignore_errors=True)


def box(folder, **options):
    """A box that takes as much from the lab as it can."""
    os.environ["POSTERN_VARIANT"] = "posix"
    return Box(folder, "posix", settings={"mail.trusted": f"{net.PREFIX}.0.0/16", "mail.quota_address": "0", "mail.sessions_per_address": "100"},
               **options)


def send(address, way, count, each, recipient):
    subprocess.run([sys.executable, figures.ROOT / "tests/bench/source.py", address, way, str(SESSIONS), str(count), str(each), str(SIZE), SENDER,
                    recipient], check=True)


def stat_of(pid):
    """Parent and ticks of CPU: a process's own, and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[1]), sum(map(int, fields[11:15]))
