"""postern-image delta and text, read here by policy/IMAGE.md's description and not by our code."""

import base64
import hashlib
import json
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "build/tools/postern-image"
LIST_TOOL = ROOT / "build/tools/postern-list"
ROOTS = ROOT / "tests/vectors/roots/three.pem"


def run(*args, code=0):
    result = subprocess.run([TOOL, *map(str, args)], capture_output=True, text=True, timeout=120)
    assert result.returncode == code, (args, result.stdout[-2000:], result.stderr[-2000:])
    assert not code or result.stdout + result.stderr
    return result


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    run("keys", "--dir", folder)
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory, keys):
    """Three lists in a row: 500 domains, one more, and half of them."""
    folder = tmp_path_factory.mktemp("images")
    paths = []
    for n, domains in enumerate((range(500), range(501), range(0, 500, 2))):
        policies = {f"d{i}.example": {"mode": "enforce", "mxs": [f"mx.d{i}.example", ".provider.example"]} for i in domains}
        source = {"timestamp": 1589995512 + n, "expires": 1591205112 + n, "version": "0.1", "policies": policies}
        (folder / "policy.json").write_text(json.dumps(source))
        subprocess.run([LIST_TOOL, "compile", folder / "policy.json", "-o", folder / "list"], check=True, stdout=subprocess.DEVNULL)
        paths.append(folder / f"{n}.img")
        run("list", "--list", folder / "list", "--roots", ROOTS, "--keys", keys, "-o", paths[-1])
    return paths


def manifest(image):
    sections, = struct.unpack_from("<I", image, 56)
    return image[: 64 + 56 * sections]


def section(image):
    """The one section of a delta, checked by its hash."""
    kind, offset, size = struct.unpack_from("<I4xQQ", image, 64)
    body = image[offset: offset + size]
    assert kind == 6 and offset + size == len(image) and hashlib.sha256(body).digest() == image[88:120]
    return body


def number(patch, at):
    value = shift = 0
    while True:
        value |= (patch[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if patch[at - 1] < 0x80:
            return value, at


def difference(patch, at):
    d, at = number(patch, at)
    return -(d + 1) // 2 if d & 1 else d // 2, at


def apply(base, patch):
    magic, form, zero, of, to, size = struct.unpack_from("<4sHH32s32sQ", patch)
    assert (magic, form, zero) == (b"PDLT", 2, 0) and of == hashlib.sha256(manifest(base)).digest()
    out, at, end, total = b"", 80, 0, 0
    while len(out) < size:
        n, at = number(patch, at)
        n, kind = n >> 2, n & 3
        if kind == 0:
            out, at = out + patch[at: at + n], at + n
        elif kind == 3:
            out += bytes(n)
        else:
            away, at = difference(patch, at)
            start, end = end + away, end + away + n
            assert 0 <= start and end <= len(base)
            piece = bytearray(base[start: end])
            if kind == 2:
                more, at = difference(patch, at)
                total += more
                for i in range(0, n - 3, 8):
                    piece[i: i + 4] = (int.from_bytes(piece[i: i + 4], "little") + total & 0xFFFFFFFF).to_bytes(4, "little")
            out += piece
    assert len(out) == size and at == len(patch) and to == hashlib.sha256(manifest(out)).digest()
    return out


def data_lines(text):
    return [line for line in text.splitlines() if not line.startswith("#")]


def decode(text):
    lines = data_lines(text)
    assert lines[0].startswith("begin postern-image ") and lines[-1] == f"end {len(lines) - 2}"
    image = b""
    for n, line in enumerate(lines[1:-1], 1):
        front, crc = line.rsplit(" ", 1)
        assert front.startswith(f"{n} ") and int(crc, 16) == zlib.crc32(front.encode()) and len(line) <= 120
        image += base64.b64decode(front.split(" ")[1], validate=True)
    assert len(image) == int(lines[0].split()[2])
    return image


@pytest.mark.parametrize("old, new", [(0, 1), (1, 2), (0, 2), (2, 0), (1, 1)])
def test_a_delta_makes_the_new_image(tmp_path, images, keys, old, new):
    out = tmp_path / "delta"
    said = run("delta", images[old], images[new], "--keys", keys, "-o", out).stdout
    base, target, delta = images[old].read_bytes(), images[new].read_bytes(), out.read_bytes()
    assert said == f"{len(delta)} bytes, the whole image {len(target)}\n"
    assert struct.unpack_from("<HH", delta, 4) == (1, 4) and delta[24:48] == target[24:48]  # kind; version, created, expires
    assert apply(base, section(delta)) == target
    assert run("verify", out, "--keyring", keys / "keyring.img", "--now", "2020-05-21T00:00:00Z")
    if old == new:
        assert len(section(delta)) < 80 + len(manifest(target)) + 16 + 104 + 40  # with room for its one signature


def test_a_list_that_follows_has_a_small_delta(tmp_path, keys):
    """By the image before, by the list in it; a copy of the JSON would not do once lists have followed each other."""
    policies = {f"{i * 2654435761 % 2**32:08x}.example": {"mode": "testing", "mxs": [f"mx{i % 9}.provider.example"]} for i in range(3000)}
    previous, before = None, None
    for n in range(4):
        policies[f"added-{n}.example"] = {"mode": "enforce", "mxs": [f"mx.added-{n}.example"]}
        (tmp_path / "policy.json").write_text(
            json.dumps({"timestamp": 1589995512 + n, "expires": 1591205112, "version": "0.1", "policies": policies}))
        listed, path = tmp_path / f"{n}.list", tmp_path / f"{n}.img"
        subprocess.run([LIST_TOOL, "compile", tmp_path / "policy.json", *(["--previous", previous] if previous else []), "-o", listed],
                       check=True, stdout=subprocess.DEVNULL)
        run("list", "--list", listed, "--roots", ROOTS, "--keys", keys, "-o", path)
        if before:
            run("delta", before, path, "--keys", keys, "-o", tmp_path / "delta")
            delta = (tmp_path / "delta").read_bytes()
            assert len(delta) < 1200 < 16000 < path.stat().st_size
            assert apply(before.read_bytes(), section(delta)) == path.read_bytes()
        before, previous = path, path if n % 2 else listed


def test_an_unsigned_delta(tmp_path, images, keys):
    run("delta", images[0], images[1], "--unsigned", "-o", tmp_path / "delta")
    run("verify", tmp_path / "delta", "--keyring", keys / "keyring.img", "--now", "2020-05-21T00:00:00Z", code=1)


def test_only_list_images_have_deltas(tmp_path, images, keys):
    run("delta", images[0], images[1], "--keys", keys, "-o", tmp_path / "delta")
    cut, junk = tmp_path / "cut", tmp_path / "junk"
    cut.write_bytes(images[1].read_bytes()[:-1])
    junk.write_bytes(b"x" * 2000)
    for bad in (cut, junk, keys / "keyring.img", tmp_path / "delta"):
        for pair in ((images[0], bad), (bad, images[0])):
            assert "not both list images" in run("delta", *pair, "--keys", keys, "-o", tmp_path / "out", code=1).stderr
            assert not (tmp_path / "out").exists()
    run("delta", images[0], tmp_path / "none", "--keys", keys, "-o", tmp_path / "out", code=1)
    run("delta", images[0], "-o", tmp_path / "out", code=2)


def test_text_is_the_image(tmp_path, images, keys):
    run("delta", images[0], images[2], "--keys", keys, "-o", tmp_path / "delta")
    for path in (images[0], tmp_path / "delta"):
        assert decode(run("text", path).stdout) == path.read_bytes()
    full, late = run("text", images[0]).stdout, run("text", images[0], "--from", 20).stdout
    assert f"'list receive {images[0].stat().st_size}'" in full.splitlines()[0]
    assert f"'list receive {images[2].stat().st_size}'" in run("text", tmp_path / "delta").stdout.splitlines()[0]  # what it makes
    assert data_lines(late) == data_lines(full)[:1] + data_lines(full)[20:]


def test_a_box_gets_time_where_it_works(images):
    """Behind the line that completes the manifest there are comments for a second; and not behind others of a full image."""
    lines = run("text", images[0]).stdout.splitlines()
    pauses = [i for i, line in enumerate(lines) if line.startswith("##")]
    assert pauses == list(range(pauses[0], pauses[0] + len(pauses))) and 11520 < sum(len(lines[i]) + 1 for i in pauses) < 20000
    assert int(lines[pauses[0] - 1].split()[0]) * 72 >= len(manifest(images[0].read_bytes())) + 848


def test_what_is_no_image_has_no_text(tmp_path, images):
    (tmp_path / "junk").write_bytes(b"x" * 2000)
    (tmp_path / "long").write_bytes(images[0].read_bytes() + b"\0")
    for bad in ("junk", "long", "none"):
        run("text", tmp_path / bad, code=1)
    run("text", images[0], "--from", "0", code=2)
    run("text", code=2)
