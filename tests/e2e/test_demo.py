"""What `make demo` shows, is so: it ends well and says what it should."""

import glob
import os
import subprocess
import tempfile

from lab.box import ROOT

SAYS = [
    "last reset: power-on",
    "(Postern) with ESMTPS",
    "verified=1 demand=verified source=list report=success-verified action=send",
    "offers no STARTTLS",
    "EHLO mail.office.example, QUIT.",
    "1 mail will be tried now",
    "3 in, 3 delivered (2 verified, 1 encrypted, 0 plain), 1 held back by policy",
    "Done.",
]


def test_the_demo_tells_its_story_and_cleans_up():
    with tempfile.TemporaryDirectory(prefix="postern-e2e-demo-") as folder:
        os.chmod(folder, 0o755)
        done = subprocess.run([f"{ROOT}/toolchain/demo"], env={**os.environ, "TMPDIR": folder}, timeout=400, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout
        said = " ".join(done.stdout.replace("|", " ").split())
        at = 0
        for words in SAYS:
            found = said.find(words, at)
            assert found >= 0, f"{words!r} is not in its place in:\n{done.stdout}"
            at = found
        assert glob.glob(f"{folder}/*") == []
