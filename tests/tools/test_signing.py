"""postern-image keys, keyring, sign, verify, list: signed by our tool, checked by OpenSSL (python-cryptography) and the other way round."""

import base64
import hashlib
import json
import os
import re
import stat
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "build/tools/postern-image"
LIST_TOOL = ROOT / "build/tools/postern-list"
ROOTS = ROOT / "tests/vectors/roots/three.pem"
PUBLISHED, EXPIRES = 1589995512, 1591205112
NOW, LATER = "2020-05-25T00:00:00Z", "2090-01-01T00:00:00Z"
MANIFEST, LINE, HEAD, SIGNATURE = 64, 56, 16, 104


def run(*args, code=0, env=None):
    result = subprocess.run([TOOL, *map(str, args)], capture_output=True, text=True, timeout=60, env={**os.environ, **(env or {})})
    assert result.returncode == code, (args, result.stdout[-2000:], result.stderr[-2000:])
    return result.stdout + result.stderr


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("signing") / "keys"
    run("keys", "--dir", folder)
    return folder


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("list")
    policies = {f"d{i}.example": {"mode": "enforce", "mxs": [f"mx.d{i}.example"]} for i in range(20)}
    (folder / "policy.json").write_text(json.dumps({"timestamp": PUBLISHED, "expires": EXPIRES, "version": "0.1", "policies": policies}))
    subprocess.run([LIST_TOOL, "compile", folder / "policy.json", "-o", folder / "list"], check=True, stdout=subprocess.DEVNULL)
    return folder / "list"


@pytest.fixture
def image(tmp_path, compiled):
    path = tmp_path / "list.img"
    run("list", "--list", compiled, "--roots", ROOTS, "--unsigned", "-o", path)
    return path


def verify(path, keys, *args, now=NOW):
    keyring = keys if keys.is_file() else keys / "keyring.img"
    result = subprocess.run([TOOL, "verify", path, "--keyring", keyring, "--now", now, *map(str, args)], capture_output=True, text=True)
    last = result.stdout.splitlines()[-1]
    assert result.returncode == (0 if last.startswith("accepted: ") else 1), result
    return last.split(":")[1].strip()


def private(path):
    return serialization.load_pem_private_key(path.read_bytes(), None)


def point(key):
    return key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def signatures(data):
    """(key id, signature in DER) of each, and the bytes that are signed."""
    manifest = data[:MANIFEST + LINE * struct.unpack_from("<I", data, 56)[0]]
    room = data[len(manifest):]
    assert room[:4] == b"PSIG" and struct.unpack_from("<I", room, 4) == (zlib.crc32(manifest),)
    found = []
    for n in range(struct.unpack_from("<I", room, 8)[0]):
        line = room[HEAD + SIGNATURE * n:HEAD + SIGNATURE * (n + 1)]
        assert struct.unpack_from("<II", line) == (1, 0)
        r, s = int.from_bytes(line[40:72], "big"), int.from_bytes(line[72:], "big")
        found.append((line[8:40], utils.encode_dss_signature(r, s)))
    return found, manifest


def test_keys_are_private_and_kept(keys):
    names = sorted(p.name for p in keys.iterdir())
    assert names == ["firmware-1.key", "keyring.img", "list-1.key", "root-1.key", "root-2.key", "root-3.key"]
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    before = {p.name: p.read_bytes() for p in keys.iterdir()}
    for name in names:
        if name.endswith(".key"):
            assert stat.S_IMODE((keys / name).stat().st_mode) == 0o600
            assert private(keys / name).curve.name == "secp256r1"
    assert len({before[n] for n in names}) == 6
    run("keys", "--dir", keys)
    assert before == {p.name: p.read_bytes() for p in keys.iterdir()}
    assert "never written over" in run("keys", "--new", keys / "list-1.key", code=1)
    assert before["list-1.key"] == (keys / "list-1.key").read_bytes()


def test_a_torn_folder_is_named(tmp_path):
    folder = tmp_path / "keys"
    run("keys", "--dir", folder)
    (folder / "keyring.img").unlink()
    (folder / "list-1.key").unlink()
    kept = (folder / "root-1.key").read_bytes()
    run("keys", "--dir", folder)  # keys without a keyring: nothing was built on them yet
    assert (folder / "root-1.key").read_bytes() == kept
    (folder / "root-2.key").unlink()
    assert "root-2.key is missing" in run("keys", "--dir", folder, code=1)
    assert not (folder / "root-2.key").exists()


def test_the_keyring_names_the_keys(keys):
    data = (keys / "keyring.img").read_bytes()
    found, manifest = signatures(data)
    at, size = struct.unpack_from("<QQ", data, MANIFEST + 8)
    section = data[at:at + size]
    assert at + size == len(data) and hashlib.sha256(section).digest() == data[MANIFEST + 24:MANIFEST + 56]
    assert struct.unpack_from("<4sHHQ", section) == (b"PKEY", 1, 5, 1)
    assert struct.unpack_from("<BBHBBHBBHI", section, 16) == (2, 0, 0b00111, 1, 0, 0b01000, 1, 0, 0b10000, 0)
    names = ["root-1", "root-2", "root-3", "list-1", "firmware-1"]
    assert section[32:] == b"".join(point(private(keys / f"{n}.key"))[1:] for n in names)
    assert [key_id for key_id, _ in found] == [hashlib.sha256(point(private(keys / f"root-{n}.key"))).digest() for n in (1, 2, 3)]
    for n, (_, signature) in enumerate(found, 1):
        private(keys / f"root-{n}.key").public_key().verify(signature, manifest, ec.ECDSA(hashes.SHA256()))


def test_openssl_accepts_our_signature_and_we_its(keys, image):
    unsigned = image.read_bytes()
    assert verify(image, keys) == "unsigned"
    run("sign", image, "--keys", keys)
    signed = image.read_bytes()
    (key_id, signature), = signatures(signed)[0]
    key = private(keys / "list-1.key")
    key.public_key().verify(signature, signatures(signed)[1], ec.ECDSA(hashes.SHA256()))
    with pytest.raises(InvalidSignature):
        key.public_key().verify(signature, signatures(signed)[1] + b"x", ec.ECDSA(hashes.SHA256()))
    assert verify(image, keys) == "accepted"
    r, s = utils.decode_dss_signature(key.sign(signatures(unsigned)[1], ec.ECDSA(hashes.SHA256())))
    room = len(signatures(unsigned)[1])
    theirs = bytearray(unsigned)
    theirs[room + 8] = 1
    theirs[room + HEAD:room + HEAD + SIGNATURE] = struct.pack("<II", 1, 0) + key_id + r.to_bytes(32, "big") + s.to_bytes(32, "big")
    image.write_bytes(theirs)
    assert verify(image, keys) == "accepted"
    assert theirs != signed


def test_the_same_input_gives_the_same_bytes(keys, tmp_path, compiled):
    for name in ("a", "b"):
        run("list", "--list", compiled, "--roots", ROOTS, "--keys", keys, "-o", tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_folder_of_keys_is_taken_from_the_environment(keys, tmp_path, compiled):
    run("list", "--list", compiled, "-o", tmp_path / "a", env={"POSTERN_KEYS": str(keys)})
    assert verify(tmp_path / "a", keys) == "accepted"
    words = run("list", "--list", compiled, "-o", tmp_path / "b", env={"POSTERN_KEYS": str(tmp_path)}, code=1)
    assert "list-1.key is missing" in words and not (tmp_path / "b").exists()


@pytest.mark.parametrize("form", [["-traditional"], [], ["-pubout"]])
def test_openssls_keys_can_be_used(keys, tmp_path, image, form):
    pem = tmp_path / "key.pem"
    if form:
        subprocess.run(["openssl", "ec", "-in", keys / "list-1.key", "-out", pem, *[o for o in form if o == "-pubout"]], check=True, capture_output=True)
    else:
        subprocess.run(["openssl", "pkcs8", "-topk8", "-nocrypt", "-in", keys / "list-1.key", "-out", pem], check=True)
    if form == ["-pubout"]:
        assert "only the public half" in run("sign", image, "--key", pem, code=1)
        return
    run("sign", image, "--key", pem)
    assert verify(image, keys) == "accepted"


def test_what_is_no_key_is_named(keys, tmp_path, image):
    before = image.read_bytes()
    bad = tmp_path / "bad.key"
    subprocess.run(["openssl", "ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out", bad], check=True)
    assert "not a key for P-256" in run("sign", image, "--key", bad, code=1)
    good = (keys / "list-1.key").read_bytes()
    key, other = private(keys / "list-1.key"), private(keys / "root-1.key")
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    mixed = der.replace(point(key), point(other))
    bad.write_text("-----BEGIN PRIVATE KEY-----\n" + base64.encodebytes(mixed).decode() + "-----END PRIVATE KEY-----\n")
    assert "not a key for P-256" in run("sign", image, "--key", bad, code=1)
    bad.write_bytes(good[:-60])
    assert "not a key for P-256" in run("sign", image, "--key", bad, code=1)
    assert "No such file" in run("sign", image, "--key", tmp_path / "none", code=1)
    run("sign", image, "--key", keys / "list-1.key", "-o", tmp_path / "signed")
    assert "has signed the image already" in run("sign", tmp_path / "signed", "--key", keys / "list-1.key", code=1)
    assert image.read_bytes() == before


def test_what_a_box_would_say(keys, tmp_path, compiled, image):
    run("sign", image, "--key", keys / "list-1.key")
    assert verify(image, keys, "--in-use", PUBLISHED - 1) == "accepted"
    assert verify(image, keys, "--in-use", PUBLISHED) == "same-version"
    assert verify(image, keys, "--in-use", PUBLISHED + 1) == "rollback"
    assert verify(image, keys, now="2020-06-04T00:00:00Z") == "expired"
    assert verify(image, keys, now="2020-05-01T00:00:00Z") == "from-future"
    whole = image.read_bytes()
    for damaged in (whole[:-1], whole + b"\0", whole[:500], b"", b"PIMG"):
        image.write_bytes(damaged)
        assert verify(image, keys) == "damaged"
    image.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert verify(image, keys) == "section-differs"
    run("list", "--list", compiled, "--board", "virt", "--keys", keys, "-o", image)
    assert verify(image, keys, "--board", "virt") == verify(image, keys) == "accepted"
    assert verify(image, keys, "--board", "posix") == "wrong-board"
    run("list", "--list", compiled, "--unsigned", "-o", image)
    run("sign", image, "--key", keys / "firmware-1.key")
    assert verify(image, keys) == "wrong-role"
    run("keys", "--new", tmp_path / "stranger.key")
    run("list", "--list", compiled, "--unsigned", "-o", image)
    run("sign", image, "--key", tmp_path / "stranger.key")
    assert verify(image, keys) == "unknown-signer"


def test_a_version_ahead_of_its_date_is_not_made(tmp_path, compiled, keys):
    words = run("list", "--list", compiled, "--version", PUBLISHED + 90000, "--keys", keys, "-o", tmp_path / "a", code=1)
    assert "boxes would refuse it" in words
    run("list", "--list", compiled, "--version", PUBLISHED + 90000, "--created", "2020-05-22T00:00:00Z", "--keys", keys, "-o", tmp_path / "a")
    assert verify(tmp_path / "a", keys) == "accepted"


def test_rotation(keys, tmp_path, compiled, image):
    """root-1 and the list key are lost; a new one of each takes their place."""
    for name in ("root-4", "list-2"):
        run("keys", "--new", tmp_path / f"{name}.key")
    stays = ["--root", keys / "root-2.key", "--root", keys / "root-3.key", "--firmware", keys / "firmware-1.key"]
    new = tmp_path / "keyring-2.img"

    def make(*extra):
        run("keyring", "--after", keys / "keyring.img", *stays, "--root", tmp_path / "root-4.key", "--list", tmp_path / "list-2.key",
            *extra, "-o", new)

    make()
    assert verify(new, keys, now=LATER) == "unsigned"
    run("sign", new, "--key", keys / "root-2.key")
    assert verify(new, keys, now=LATER) == "too-few-old-roots"
    run("sign", new, "--key", tmp_path / "root-4.key")
    assert verify(new, keys, now=LATER) == "too-few-old-roots"
    run("sign", new, "--key", keys / "root-1.key")
    assert verify(new, keys, now=LATER) == "accepted"
    make()
    run("sign", new, "--key", keys / "root-1.key", "--key", keys / "root-2.key")
    assert verify(new, keys, now=LATER) == "too-few-new-roots"
    run("sign", new, "--key", keys / "root-3.key")
    assert verify(new, keys, now=LATER) == "accepted"
    assert verify(keys / "keyring.img", new, now=LATER) == "rollback"
    run("sign", image, "--key", keys / "list-1.key")
    assert (verify(image, keys), verify(image, new)) == ("accepted", "unknown-signer")
    run("sign", image, "--key", tmp_path / "list-2.key")
    assert verify(image, new) == "accepted"
    make("--expires", "2020-01-01T00:00:00Z", "--threshold", "list=1")
    run("sign", new, "--key", keys / "root-2.key", "--key", keys / "root-3.key")
    assert verify(new, keys, now=LATER) == "expired"


def test_faulty_keyrings_are_not_made(keys, tmp_path):
    out = ["-o", tmp_path / "out"]
    root, signer = ["--root", keys / "root-1.key"], ["--list", keys / "list-1.key"]
    assert "one role" in run("keyring", *root, "--list", keys / "root-1.key", *out, code=1)
    assert "names root keys" in run("keyring", *signer, *out, code=1)
    assert "2 root keys have to sign, but there are 1" in run("keyring", *root, "--threshold", "root=2", *out, code=1)
    assert "1 firmware keys" in run("keyring", *root, "--threshold", "firmware=1", *out, code=1)
    for text in ("root", "root=", "root=0", "roots=1", "=1", "list=1x"):
        assert "write root=N" in run("keyring", *root, "--threshold", text, *out, code=1)
    assert "not a keyring image" in run("keyring", *root, "--after", ROOTS, *out, code=1)
    run("keyring", *out, code=2)
    assert not (tmp_path / "out").exists()


def test_the_embedded_keyring_is_that_of_the_keys(keys, tmp_path):
    embed = ROOT / "toolchain/embed-keyring"
    out = tmp_path / "keyring.c"
    subprocess.run([embed, keys / "keyring.img", out], check=True)
    found = bytes(int(b, 16) for b in re.findall(r"0x([0-9a-f]{2}),", out.read_text()))
    assert found == (keys / "keyring.img").read_bytes()[-352:]
    written = out.stat().st_mtime_ns
    subprocess.run([embed, keys / "keyring.img", out], check=True)
    assert out.stat().st_mtime_ns == written
    damaged = tmp_path / "damaged"
    damaged.write_bytes((keys / "keyring.img").read_bytes()[:-1])
    assert subprocess.run([embed, damaged, out], capture_output=True, text=True).returncode == 1
