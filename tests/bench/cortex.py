"""Instructions on a Cortex-M7, counted by QEMU: tests/bench/cortex/cost.c on mps2-an500 under a fixed -icount, where each instruction is
16 ns of virtual time. The same package gives the same figures on every machine."""

import hashlib
import re
import statistics
import struct
import subprocess
import tempfile
import threading
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

import figures

PROGRAM = figures.BENCH / "cortex.elf"
SHIFT = 4
MEMORY_AT, MEMORY_BYTES = 0x60000000, 16 << 20
FLASH_BYTES = 16 << 20
TIMEOUT_S = 300


def fits(target):
    return target.stat().st_size < MEMORY_BYTES - (1 << 20)


def package(target, names):
    """What cost.c reads: lengths, a key, a hash, its signature, the list, names."""
    key = ec.derive_private_key(int.from_bytes(hashlib.sha256(b"bench").digest(), "big"), ec.SECP256R1())
    digest = hashlib.sha256(target.read_bytes()).digest()
    r, s = utils.decode_dss_signature(key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()))))
    point = key.public_key().public_numbers()
    text = "".join(n + "\n" for n in names).encode()
    head = struct.pack("<II", target.stat().st_size, len(text)) + b"".join(v.to_bytes(32, "big") for v in (point.x, point.y)) + digest + \
        b"".join(v.to_bytes(32, "big") for v in (r, s))
    return head.ljust(256, b"\0") + target.read_bytes() + text


def lines_of(target, names, folder):
    Path(folder, "package").write_bytes(package(target, names))
    with open(Path(folder, "data.img"), "wb") as flash:
        flash.truncate(FLASH_BYTES)
    child = subprocess.Popen(["qemu-system-arm", "-M", "mps2-an500", "-nodefaults", "-display", "none", "-monitor", "none", "-serial", "stdio",
                              "-semihosting-config", "enable=on,target=native", "-nic", "user,model=lan9118,restrict=on", "-icount", f"shift={SHIFT}",
                              "-device", f"loader,file=package,addr={MEMORY_AT:#x},force-raw=on", "-kernel", str(PROGRAM)],
                             cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    guard = threading.Timer(TIMEOUT_S, child.kill)
    guard.start()
    try:
        for line in child.stdout:
            if line.strip() == "DONE":
                return
            yield line.strip()
        raise RuntimeError("cortex: the board stopped before it was done")
    finally:
        guard.cancel()
        child.kill()
        child.wait()


def measure(target, hits, misses):
    """Thousands of instructions of a lookup (median and worst of hits and of misses) and of a signature check, and bytes of stack."""
    got = {"found": [], "absent": []}
    told = {}
    with tempfile.TemporaryDirectory(dir=figures.SCRATCH) as folder:
        for line in lines_of(target, hits + misses, folder):
            word = re.fullmatch(r"(found|absent|nothing|verified|find-stack|verify-stack) (\d+)", line)
            if word is None:
                if line and not re.fullmatch(r"COST .*: ok", line):
                    raise RuntimeError(f"cortex: {line}")
            elif word[1] in got:
                got[word[1]].append(int(word[2]))
            else:
                told[word[1]] = int(word[2])
    if (len(got["found"]), len(got["absent"])) != (len(hits), len(misses)):
        raise RuntimeError(f"cortex: {len(got['found'])} found and {len(got['absent'])} not, of {len(hits)} and {len(misses)}")

    def thousands(us):
        return round((us - told["nothing"]) / (2 ** SHIFT / 1000) / 1000, 1)

    return {"hit_kinstr": thousands(statistics.median(got["found"])), "hit_worst_kinstr": thousands(max(got["found"])),
            "miss_kinstr": thousands(statistics.median(got["absent"])), "miss_worst_kinstr": thousands(max(got["absent"])),
            "stack_bytes": told["find-stack"], "verify_kinstr": thousands(told["verified"]), "verify_stack_bytes": told["verify-stack"]}
