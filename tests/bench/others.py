"""The same list in forms that others use: bytes of each, made here and now by their own tools. `all` forms hold each domain's policy as text,
`names` forms the names alone (DAFSA: and a digit, in Chromium's encoding)."""

import gzip
import json
import shutil
import sqlite3
import subprocess
from pathlib import Path

DAFSA_MOST = 200000  # its offsets have 21 bits, and its builder is in Python


def policy_text(policy):
    return json.dumps(policy, separators=(",", ":"))


def gzip_json(source, folder):
    packed = Path(folder) / "list.json.gz"
    with open(source, "rb") as text, gzip.GzipFile(packed, "wb", 9, mtime=0) as out:
        shutil.copyfileobj(text, out)
    return packed.stat().st_size


def sqlite(entries, folder):
    path = Path(folder) / "list.sqlite"
    path.unlink(missing_ok=True)
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode = off")
    db.execute("CREATE TABLE list (domain TEXT PRIMARY KEY, policy TEXT) WITHOUT ROWID")
    db.executemany("INSERT INTO list VALUES (?, ?)", entries)
    db.commit()
    db.execute("VACUUM")
    db.close()
    return path.stat().st_size


def cdb(entries, folder):
    """What postmap makes of the same map."""
    path = Path(folder) / "list.cdb"
    child = subprocess.Popen(["cdb", "-c", "-m", path], stdin=subprocess.PIPE, text=True)
    with child.stdin:
        for domain, policy in entries:
            child.stdin.write(f"{domain} {policy}\n")
    if child.wait() != 0:
        raise RuntimeError("cdb failed")
    return path.stat().st_size


def write_names(names, path):
    with open(path, "w") as out:
        for name in names:
            out.write(name + "\n")


def marisa(names, folder):
    """The smaller one of two: names as written, and from the top-level domain down."""
    least = None
    for form in (lambda n: n, lambda n: ".".join(reversed(n.split(".")))):
        text, path = Path(folder) / "marisa.txt", Path(folder) / "list.marisa"
        write_names(sorted(map(form, names)), text)
        subprocess.run(["marisa-build", "-o", path, text], check=True, capture_output=True)
        size = path.stat().st_size
        least = size if least is None or size < least else least
    return least


def dafsa(names, folder):
    text, path = Path(folder) / "dafsa.txt", Path(folder) / "list.dafsa"
    write_names(names, text)
    subprocess.run(["psl-make-dafsa", "--output-format=binary", "--encoding=ascii", text, path], check=True, stdout=subprocess.DEVNULL)
    return path.stat().st_size


def sizes(source, entries, folder):
    """Bytes by name. entries(): an iterable of domain and policy, from its start each time."""
    pairs = [(domain, policy_text(policy)) for domain, policy in entries()]
    pairs.sort()
    names = [domain for domain, _ in pairs]
    told = {"gzip": gzip_json(source, folder), "sqlite": sqlite(pairs, folder), "cdb": cdb(pairs, folder), "marisa": marisa(names, folder)}
    if len(names) <= DAFSA_MOST:
        told["dafsa"] = dafsa(names, folder)
    return told
