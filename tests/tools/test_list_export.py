"""postern-list export --postfix, read by Postfix's own programs; and the help pages."""

import datetime
import json
import os
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "build/tools/postern-list"
FINGER = shutil.which("posttls-finger", path="/usr/sbin:/usr/bin")
POSTMAP = shutil.which("postmap", path="/usr/sbin:/usr/bin")

LIST = {
    "timestamp": "2026-03-01T00:00:00Z", "expires": "2026-03-15T00:00:00Z", "version": "0.1", "author": "Somebody",
    "policies": {
        "a.example": {"mode": "enforce", "mxs": ["mx.example.net", ".example.org"]},
        "b.example": {"mode": "testing", "mxs": ["mx.example.net"]},
        "bücher.example": {"mode": "enforce", "mxs": [f"mx{i}.{'long-' * 8}name.example" for i in range(16)]},
    },
}


@pytest.fixture
def table(tmp_path):
    source, path = tmp_path / "policy.json", tmp_path / "preload"
    source.write_text(json.dumps(LIST))
    path.write_text(subprocess.run([TOOL, "export", "--postfix", source], capture_output=True, text=True, check=True).stdout)
    (tmp_path / "main.cf").write_text("compatibility_level = 3.6\n")
    return path


@pytest.mark.parametrize("kind", ["texthash", "hash"])
def test_postmap_reads_it(table, kind):
    if kind == "hash":
        subprocess.run([POSTMAP, "-c", table.parent, f"hash:{table}"], check=True)

    def ask(name):
        return subprocess.run([POSTMAP, "-c", table.parent, "-q", name, f"{kind}:{table}"], capture_output=True, text=True)

    assert ask("a.example").stdout.strip() == "secure match=mx.example.net:.example.org"
    assert ask("A.Example").stdout.strip() == "secure match=mx.example.net:.example.org"
    mxs = ":".join(LIST["policies"]["bücher.example"]["mxs"])
    assert ask("xn--bcher-kva.example").stdout.strip() == f"secure match={mxs}"
    for name in ("b.example", "c.example", "example"):  # testing, not listed, above
        assert ask(name).returncode == 1 and ask(name).stdout == ""
    assert ask("a.example").stderr == ""


def certificate(folder, host):
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    cert = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(datetime.datetime(2020, 1, 1))
            .not_valid_after(datetime.datetime(2040, 1, 1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False).sign(key, hashes.SHA256()))
    path = folder / f"{host}.pem"
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
                     + cert.public_bytes(serialization.Encoding.PEM))
    return path


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def test_patterns_match_as_on_the_list(table, tmp_path):
    """What Postfix makes of the patterns of a.example, asked of its own TLS client."""
    line = next(line for line in table.read_text().splitlines() if line.startswith("a.example"))
    patterns = line.split("match=")[1].split(":")
    verified = {}
    for host in ("mx.example.net", "other.example.net", "mx.example.org", "example.org", "two.labels.example.org"):
        pem = certificate(tmp_path, host)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        port = free_port()
        server = Controller(object(), hostname="127.0.0.1", port=port, tls_context=context)
        server.start()
        said = subprocess.run([FINGER, "-c", "-l", "secure", "-F", pem, f"[127.0.0.1]:{port}", *patterns], capture_output=True, text=True,
                              timeout=120, env={**os.environ, "MAIL_CONFIG": str(tmp_path)}).stdout
        server.stop()
        verified[host] = "Verified TLS connection established" in said
    assert verified == {"mx.example.net": True, "other.example.net": False, "mx.example.org": True, "example.org": False,
                        "two.labels.example.org": True}  # any number of labels: the difference that the table's head names
    assert "match any number of labels" in table.read_text().splitlines()[2]


def test_help(tmp_path):
    def help(*args):
        return subprocess.run([TOOL, "help", *args], capture_output=True, text=True)

    overview = help()
    assert overview.returncode == 0
    for command in ("compile", "show", "find", "stats", "verify", "diff", "export", "observe"):
        assert f"  {command} " in overview.stdout
        page = help(command)
        assert page.returncode == 0 and page.stdout.startswith(f"postern-list {command} ")
    assert help("nothing").returncode == 2
    assert subprocess.run([TOOL, "observe", "--help"], capture_output=True, text=True).stdout.startswith("usage: postern-list observe")
    alone = tmp_path / "postern-list"
    shutil.copy(TOOL, alone)
    result = subprocess.run([alone, "observe", "x"], capture_output=True, text=True)
    assert result.returncode == 1 and "postern-observe: No such file" in result.stderr
