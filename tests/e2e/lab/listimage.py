"""List images as files: what a publisher signs and a box takes."""

import json

from . import box, pki


def policy(domains, published, expires):
    """A policy.json's content: every domain enforces, by mx.<domain>."""
    return {"timestamp": published, "expires": expires, "version": "0.1", "author": "lab", "policy-aliases": {},
            "policies": {d: {"mode": "enforce", "mxs": [f"mx.{d}"]} for d in domains}}


def image(folder, name, content, roots=None, previous=None):
    """Gives the path of the image. For a delta to be small, roots must be those of the image before and previous that image."""
    source, pem, listed, path = (f"{folder}/{name}.{s}" for s in ("json", "pem", "list", "image"))
    with open(source, "w") as f:
        json.dump(content, f)
    with open(pem, "w") as f:
        f.write(roots if roots is not None else pki.trusted_roots())
    box.tool("postern-list", "compile", source, *(["--previous", previous] if previous else []), "-o", listed)
    box.tool("postern-image", "list", "--list", listed, "--roots", pem, "-o", path)
    return path


def text(path, *args):
    return box.tool("postern-image", "text", path, *args)


def delta(old, new, out):
    box.tool("postern-image", "delta", old, new, "-o", out)
    return out
