"""postern-list compile --signature: real keys and signatures by gpg, judged by gpgv."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "build/tools/postern-list"
DATA = Path(os.environ.get("POSTERN_TEST_DATA", ROOT / "../shared/data"))

LIST = {
    "timestamp": 1589995512,
    "expires": 1591205112,
    "version": "0.1",
    "author": "Somebody",
    "policies": {"a.example": {"mode": "enforce", "mxs": ["mx.a.example"]}},
}


class Keys:
    """A GnuPG home of its own, in a short path: gpg-agent's socket stands in it."""

    def __init__(self, home):
        self.home = Path(home)

    def gpg(self, *args):
        command = ["gpg", "--homedir", self.home, "--batch", "--yes", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "", *args]
        return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout

    def make(self, name, *options, expire="never"):
        self.gpg(*options, "--quick-generate-key", f"{name} <{name}@publisher.example>", "ed25519", "sign", expire)

    def export(self, name, path, *options):
        path.write_bytes(self.gpg(*options, "--export", f"{name}@publisher.example"))
        return path

    def sign(self, name, path, *options):
        out = path.with_name(f"{path.name}.{name}.asc")
        self.gpg(*options, "--local-user", f"{name}@publisher.example", "--armor", "--output", out, "--detach-sign", path)
        return out


@pytest.fixture(scope="module")
def keys():
    home = tempfile.mkdtemp(prefix="pgp-")
    k = Keys(home)
    k.make("signer")
    k.make("other")
    k.make("old", "--faked-system-time", "20200101T000000!", expire="30d")
    yield k
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"], timeout=60)
    shutil.rmtree(home)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(LIST))
    return path


def compile(source, signature, keyring, code=0, env=None):
    target = source.with_suffix(".list")
    args = [TOOL, "compile", source, "-o", target, "--signature", signature, "--keyring", keyring]
    result = subprocess.run(args, capture_output=True, text=True, timeout=60, env={**os.environ, **(env or {})})
    assert result.returncode == code, result.stderr
    assert target.exists() == (code == 0)
    return result


@pytest.mark.parametrize("options", [(), ("--armor",)], ids=["binary", "armored"])
def test_good(keys, source, tmp_path, options):
    result = compile(source, keys.sign("signer", source), keys.export("signer", tmp_path / "key", *options))
    assert "signed by signer <signer@publisher.example>, key " in result.stderr


def test_changed_by_one_byte(keys, source, tmp_path):
    signature, key = keys.sign("signer", source), keys.export("signer", tmp_path / "key")
    source.write_text(source.read_text().replace("mx.a", "mx.b"))
    assert "the file is not the one that was signed" in compile(source, signature, key, code=1).stderr


def test_unknown_key(keys, source, tmp_path):
    result = compile(source, keys.sign("signer", source), keys.export("other", tmp_path / "key"), code=1)
    assert "the key that signed is not in the keyring" in result.stderr


def test_expired_key(keys, source, tmp_path):
    signature = keys.sign("old", source, "--faked-system-time", "20200102T000000!")
    result = compile(source, signature, keys.export("old", tmp_path / "key"), code=1)
    assert "the key that signed has expired" in result.stderr


def test_expired_signature(keys, source, tmp_path):
    key = keys.export("signer", tmp_path / "key")
    signature = keys.sign("signer", source, "--default-sig-expire", "seconds=1")
    subprocess.run(["sleep", "2"], check=True)
    assert "the signature has expired" in compile(source, signature, key, code=1).stderr


def test_revoked_key(keys, source, tmp_path):
    keys.make("gone")
    signature = keys.sign("gone", source)
    fingerprint = next(l.split(":")[9] for l in keys.gpg("--with-colons", "--list-keys", "gone@publisher.example").decode().splitlines()
                       if l.startswith("fpr"))
    revocation = keys.home / "openpgp-revocs.d" / f"{fingerprint}.rev"
    revocation.write_text(revocation.read_text().replace(":-----BEGIN", "-----BEGIN"))
    keys.gpg("--import", revocation)
    result = compile(source, signature, keys.export("gone", tmp_path / "key"), code=1)
    assert "the key that signed was revoked" in result.stderr


def test_no_signature_in_the_file(keys, source, tmp_path):
    key, nothing = keys.export("signer", tmp_path / "key"), tmp_path / "nothing.asc"
    nothing.write_text("hello")
    assert "no signature that gpgv can read" in compile(source, nothing, key, code=1).stderr
    assert "No such file" in compile(source, tmp_path / "none.asc", key, code=1).stderr
    assert "No such file" in compile(source, nothing, tmp_path / "none.key", code=1).stderr
    assert "usage:" in subprocess.run([TOOL, "compile", source, "-o", tmp_path / "x", "--signature", nothing],
                                      capture_output=True, text=True).stderr


def test_no_key_in_the_keyring(keys, source, tmp_path):
    broken = tmp_path / "key"
    broken.write_text("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n!!!\n-----END PGP PUBLIC KEY BLOCK-----\n")
    assert "not a public key in ASCII armor" in compile(source, keys.sign("signer", source), broken, code=1).stderr


def test_without_gpgv(keys, source, tmp_path):
    empty = tmp_path / "bin"
    empty.mkdir()
    result = compile(source, keys.sign("signer", source), keys.export("signer", tmp_path / "key"), code=1, env={"PATH": str(empty)})
    assert "gpgv cannot be run" in result.stderr and "package gpgv" in result.stderr


def test_a_signature_with_a_dash_in_front(keys, source, tmp_path):
    signature = keys.sign("signer", source).rename(tmp_path / "-x.asc")
    key = keys.export("signer", tmp_path / "key")
    result = subprocess.run([TOOL, "compile", source, "-o", "out.list", "--signature", signature.name, "--keyring", key],
                            cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr


def test_what_is_checked_is_what_is_compiled(keys, source, tmp_path):
    """The file is changed while gpgv looks at it: a gpgv in front of the real one does that."""
    signature, key = keys.sign("signer", source), keys.export("signer", tmp_path / "key")
    folder = tmp_path / "bin"
    folder.mkdir()
    wrapper = folder / "gpgv"
    wrapper.write_text(f"#!/bin/sh\nsed -i s/mx.a.example/mx.evil.example/ {source}\nexec {shutil.which('gpgv')} \"$@\"\n")
    wrapper.chmod(0o755)
    compile(source, signature, key, env={"PATH": f"{folder}:{os.environ['PATH']}"})
    assert "evil" in source.read_text()
    shown = subprocess.run([TOOL, "show", source.with_suffix(".list")], capture_output=True, text=True).stdout
    assert "a.example enforce mx.a.example" in shown


@pytest.mark.skipif(not (DATA / "policy-2020-05-20.json.asc").exists(), reason="the published signature is not here")
def test_the_last_published_signature_is_read(keys, tmp_path):
    source = tmp_path / "policy.json"
    shutil.copy(DATA / "policy-2020-05-20.json", source)
    result = compile(source, DATA / "policy-2020-05-20.json.asc", keys.export("signer", tmp_path / "key"), code=1)
    assert "the key that signed is not in the keyring: 842AEA40C5BCD6E1" in result.stderr
