"""postern-image data: the flash of a box, read here by the formats' descriptions and not by our code."""

import hashlib
import json
import os
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "build/tools/postern-image"
LIST_TOOL = ROOT / "build/tools/postern-list"
ROOTS = ROOT / "tests/vectors/roots/three.pem"
SYSTEM_ROOTS = Path("/etc/ssl/certs/ca-certificates.crt")

KIB, MIB = 1024, 1024 * 1024
BOARDS = {  # size, block, blocks of settings, of a list slot
    "virt": (64 * MIB, 256 * KIB, 4, 32),
    "posix": (64 * MIB, 256 * KIB, 4, 32),
    "mps2-an500": (16 * MIB, 4 * KIB, 32, 256),
}
SETTINGS = """\
# a comment, and an empty line

host.name mx.office.example
mail.domains office.example,example.org
mail.inside 192.0.2.10:25
mail.exception.partner.example 2030-01-01T00:00:00Z they change providers
"""


def run(*args, code=0):
    result = subprocess.run([TOOL, *map(str, args)], capture_output=True, text=True, timeout=120)
    assert result.returncode == code, (args, result.stdout[-2000:], result.stderr[-2000:])
    return result


def make(tmp_path, *args, board="posix", settings=None, code=0):
    out = tmp_path / "data.img"
    if settings is not None:
        (tmp_path / "settings").write_bytes(settings if isinstance(settings, bytes) else settings.encode())
        args = (*args, "--settings", tmp_path / "settings")
    result = run("data", "--board", board, *args, "-o", out, code=code)
    assert out.exists() == (code == 0)
    if code == 0:
        return out.read_bytes()
    assert result.stderr.startswith("error: ") and len(result.stderr.splitlines()) == 1, result.stderr
    return result.stderr


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("list")
    policies = {f"d{i}.example": {"mode": "enforce", "mxs": [f"mx.d{i}.example"]} for i in range(50)}
    source = {"timestamp": 1589995512, "expires": 1591205112, "version": "0.1", "policies": policies}
    (folder / "policy.json").write_text(json.dumps(source))
    subprocess.run([LIST_TOOL, "compile", folder / "policy.json", "-o", folder / "list"], check=True, stdout=subprocess.DEVNULL)
    return folder / "list"


def areas(board, data):
    size, block, settings, slot = BOARDS[board]
    assert len(data) == size
    cut = [0, settings * block, (settings + slot) * block, (settings + 2 * slot) * block, size]
    return [data[a:b] for a, b in zip(cut, cut[1:])]


def is_erased(data):
    return data.count(0xFF) == len(data)


def read_image(slot):
    magic, form, kind, board, version, created, expires, size, count, room = struct.unpack_from("<4sHH16sQqqQII", slot)
    assert (magic, form, kind, board.rstrip(b"\0")) == (b"PIMG", 1, 1, b"any")
    manifest = slot[:64 + 56 * count]
    signature = slot[len(manifest):len(manifest) + room]
    assert signature[:4] == b"PSIG"
    assert struct.unpack_from("<II", signature, 4) == (zlib.crc32(manifest), 1)
    sections, end = {}, len(manifest) + room
    for n in range(count):
        kind, zero, offset, length = struct.unpack_from("<IIQQ", manifest, 64 + 56 * n)
        body = slot[offset:offset + length]
        assert zero == 0 and offset >= end and hashlib.sha256(body).digest() == manifest[64 + 56 * n + 24:64 + 56 * (n + 1)]
        sections[kind], end = body, offset + length
    assert end == size and is_erased(slot[(size + 3) // 4 * 4:])
    return version, created, expires, sections


@pytest.mark.parametrize("board", BOARDS)
def test_a_whole_image(tmp_path, compiled, board):
    data = make(tmp_path, "--list", compiled, "--roots", ROOTS, board=board, settings=SETTINGS)
    settings, slot_a, slot_b, rest = areas(board, data)
    version, created, expires, sections = read_image(slot_a)
    assert (version, created, expires) == (1589995512, 1589995512, 1591205112)
    assert sections[1] == compiled.read_bytes()
    assert sections[2][:4] == b"PRTS" and struct.unpack_from("<I", sections[2], 8) == (3,)
    assert sections[3][:4] == b"PANC" and [struct.unpack_from("<H", sections[3], at) for at in (8, 44)] == [(20326,), (38696,)]
    assert is_erased(slot_b) and is_erased(rest)
    for key, value in [
        (b"set/host.name", b"mx.office.example"),
        (b"set/mail.domains", b"office.example,example.org"),
        (b"set/mail.exception.partner.example", b"2030-01-01T00:00:00Z they change providers"),
    ]:
        assert key in settings and value in settings
    assert data == make(tmp_path, "--list", compiled, "--roots", ROOTS, board=board, settings=SETTINGS)


def test_parts_may_be_left_out(tmp_path, compiled):
    _, slot_a, slot_b, rest = areas("posix", make(tmp_path))
    assert is_erased(slot_a) and is_erased(slot_b) and is_erased(rest)
    _, slot_a, _, _ = areas("posix", make(tmp_path, "--roots", ROOTS))
    version, _, expires, sections = read_image(slot_a)
    assert (version, expires, set(sections)) == (1, 0, {2, 3})
    _, slot_a, _, _ = areas("posix", make(tmp_path, "--list", compiled))
    assert set(read_image(slot_a)[3]) == {1, 3}


@pytest.mark.skipif(not SYSTEM_ROOTS.exists(), reason="ca-certificates is not installed")
@pytest.mark.parametrize("board", BOARDS)
def test_the_systems_roots_fit(tmp_path, board):
    _, slot_a, _, _ = areas(board, make(tmp_path, "--roots", SYSTEM_ROOTS, board=board))
    section = read_image(slot_a)[3][2]
    assert struct.unpack_from("<I", section, 8)[0] > 100


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    for name in ("one", "two"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650",
             "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem", "-subj", "/CN=x",
             "-addext", "subjectAltName=DNS:mx.office.example"],
            check=True, stderr=subprocess.DEVNULL,
        )
    return folder


def test_own_certificate(tmp_path, pair):
    data = make(tmp_path, "--key", pair / "one.key", "--cert", pair / "one.pem", settings=SETTINGS)
    settings = areas("posix", data)[0]
    assert b"tls/key.0" in settings and (pair / "one.key").read_bytes() in settings
    assert b"tls/chain.0" in settings and (pair / "one.pem").read_bytes() in settings
    words = make_fails(tmp_path, "--key", pair / "two.key", "--cert", pair / "one.pem")
    assert "one.pem with" in words
    make_fails(tmp_path, "--key", pair / "one.pem", "--cert", pair / "one.pem")
    make_fails(tmp_path, "--key", pair / "one.key", "--cert", pair / "none.pem", exact=False)


def make_fails(tmp_path, *args, settings=None, board="posix", exact=True):
    (tmp_path / "data.img").unlink(missing_ok=True)
    if exact:
        return make(tmp_path, *args, settings=settings, board=board, code=1)
    return run("data", "--board", board, *args, "-o", tmp_path / "data.img", code=1).stderr


@pytest.mark.parametrize(
    "text, words",
    [
        ("host.name", "line 1: a line is KEY VALUE"),
        ("\n# x\nno.such.key 5\n", "line 3: no such setting: no.such.key"),
        ("net.address 300.1.1.1/8\n", "line 1: net.address"),
        ("mail.retry_first 5\n", "line 1: mail.retry_first"),
        ("host.name a.example\nhost.name b.example\n", "line 2: this setting was given before"),
        ("* host.name a.example\n", "line 1: the star marks a change that was not committed"),
        ("mail.smarthost_password ******\n", "line 1: the stars stand for a secret"),
        (b"host.name mx\x00.example\n", "line 1: host.name"),
        ("mail.exception.not_a+domain 2030-01-01T00:00:00Z\n", "line 1: mail.exception.not_a+domain"),
    ],
)
def test_faulty_settings_are_named(tmp_path, text, words):
    assert words in make_fails(tmp_path, settings=text)


def test_many_settings(tmp_path):
    lines = [f"mail.route.d{i}.example 192.0.2.1:25" for i in range(150)]
    settings = areas("posix", make(tmp_path, settings="\r\n".join(lines)))[0]
    for i in range(150):
        assert f"set/mail.route.d{i}.example".encode() in settings
    lines = [f"mail.route.d{i}.example 192.0.2.1:25" for i in range(2000)]
    assert "settings" in make_fails(tmp_path, settings="\n".join(lines))


def test_faulty_files_are_named(tmp_path, compiled):
    broken = tmp_path / "broken"
    broken.write_bytes(compiled.read_bytes()[:-1])
    assert "broken: the list is damaged" in make_fails(tmp_path, "--list", broken)
    assert "three.pem: not a list" in make_fails(tmp_path, "--list", ROOTS)
    assert "no PEM certificate" in make_fails(tmp_path, "--roots", compiled)
    assert "no such board" in make_fails(tmp_path, board="toaster")
    assert "No such file" in make_fails(tmp_path, "--roots", tmp_path / "none", exact=False)
    assert "No such file" in make_fails(tmp_path, "--settings", tmp_path / "none", exact=False)


def test_usage():
    assert "usage:" in run(code=2).stderr
    assert "usage:" in run("data", "--board", "virt", code=2).stderr
    assert "usage:" in run("data", "--board", "virt", "-o", "x", "--key", "k", code=2).stderr
    assert "usage:" in run("help").stdout
