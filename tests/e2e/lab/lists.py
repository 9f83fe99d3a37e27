"""List images as a publisher would offer them: cut out of a data.img that the tool has made."""

import json
import struct

from . import box, pki

BLOCK = 4096


def policy(published, domains=("bank.example",), expires="2026-12-31T00:00:00Z"):
    """A policy.json; one that was published later is a newer version."""
    return {"timestamp": published.replace("Z", "+00:00"), "expires": expires.replace("Z", "+00:00"), "version": "0.1", "author": "lab",
            "policy-aliases": {}, "policies": {d: {"mode": "enforce", "mxs": [f"mx.{d}"]} for d in domains}}


def image(folder, content, roots=None):
    """(version, bytes) of the list image with these policies."""
    for name, text in (("policy.json", json.dumps(content)), ("roots.pem", pki.trusted_roots() if roots is None else roots)):
        with open(f"{folder}/{name}", "w") as f:
            f.write(text)
    box.tool("postern-list", "compile", f"{folder}/policy.json", "-o", f"{folder}/list.bin")
    box.tool("postern-image", "data", "--board", "mps2-an500", "--list", f"{folder}/list.bin", "--roots", f"{folder}/roots.pem", "-o",
             f"{folder}/publisher.img")
    with open(f"{folder}/publisher.img", "rb") as f:
        data = f.read()
    at = next(n for n in range(0, len(data), BLOCK) if data[n:n + 4] == b"PIMG")
    version, = struct.unpack_from("<Q", data, at + 24)
    size, = struct.unpack_from("<Q", data, at + 48)
    return version, data[at:at + size]
