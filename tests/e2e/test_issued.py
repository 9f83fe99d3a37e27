"""What others make of the box with the certificate that pebble has issued: OpenSSL, GnuTLS and Postfix verify it, and testssl.sh finds nothing above
LOW, but for the certificate's own, which pebble answers for. TESTSSL=1: all that it looks at, on three ports, six minutes; else protocols and some
vulnerabilities, on one."""

import json
import os
import subprocess

import pytest

from lab import ca
from test_renewal import now, wait_issued

pytestmark = pytest.mark.boards("posix")

HOST = "finger.office.example"
IP = "10.77.0.90"
PORTS = {25: ["--starttls", "smtp"], 465: [], 443: []}  # and their options
QUICK = ["--protocols", "--renegotiation", "--crime", "--tls-fallback"]
HARMLESS = {"DEBUG", "INFO", "OK", "LOW"}


@pytest.fixture(scope="module")
def box(make_box, board, names, folder):
    with ca.Pebble(name="testssl.example") as pebble:
        names.host(pebble.name, pebble.ip, reverse=False)
        names.host(HOST, IP, reverse=False)
        box = make_box(board=board, rtc=now(), settings={"host.name": HOST, "net.address": f"{IP}/16"})
        box.set(acme__directory=pebble.url)
        box.root = f"{folder}/pebble-root.pem"
        with open(box.root, "w") as f:
            f.write(pebble.root())
        wait_issued(box)
    yield box
    assert "Sanitizer" not in box.errors()
    box.stop()


def run(*command, stdin="", **env):
    return subprocess.run(command, env={**os.environ, **env}, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          timeout=120, check=False).stdout


@pytest.mark.parametrize("port", [*PORTS, 587])
def test_it_is_verified(box, office, port):
    starttls = port in (25, 587)
    out = run("openssl", "s_client", "-connect", f"{box.ip}:{port}", "-CAfile", box.root, "-verify_hostname", HOST, "-servername", HOST, "-verify_return_error",
              *(["-starttls", "smtp"] if starttls else []), stdin="QUIT\n")
    assert "Verify return code: 0 (ok)" in out, out
    out = run("gnutls-cli", "--x509cafile", box.root, "--verify-hostname", HOST, "--sni-hostname", HOST, "--port", str(port),
              *(["--starttls-proto=smtp"] if starttls else []), box.ip, stdin="QUIT\r\n")
    assert "The certificate is trusted" in out, out
    if starttls:
        out = run("posttls-finger", "-c", "-l", "secure", "-F", box.root, f"[{box.ip}]:{port}", HOST, MAIL_CONFIG=office.conf)
        assert "Verified TLS connection established" in out, out
        out = run("posttls-finger", "-c", "-l", "secure", "-F", box.root, f"[{box.ip}]:{port}", "another.example", MAIL_CONFIG=office.conf)
        assert "Verified" not in out, out


def findings(box, port, *options, timeout=900):
    path = f"{box.folder}/testssl-{port}.json"
    done = subprocess.run(["testssl", *options, *PORTS[port], "--add-ca", box.root, "--ip", box.ip, "--nodns", "none", "--quiet",
                           "--warnings", "off", "--color", "0", "--jsonfile", path, f"{HOST}:{port}"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=timeout)
    with open(path) as f:
        found = json.load(f)
    return found, done.stdout


def judge(box, port, *options):
    found, text = findings(box, port, *options)
    print(text)
    bad = [f for f in found if f["severity"] not in HARMLESS and not f["id"].startswith("cert_") and f["id"] != "engine_problem"]  # OpenSSL's own
    assert not bad, "\n".join(f"{f['id']} {f['severity']}: {f['finding']}" for f in bad)
    return {f["id"]: f["finding"] for f in found}


@pytest.mark.parametrize("port", PORTS if "TESTSSL" in os.environ else [25])
def test_nothing_above_low(box, port):
    got = judge(box, port, *([] if "TESTSSL" in os.environ else QUICK))
    assert got["TLS1_2"] and got["TLS1_3"] and "not offered" in got["TLS1_1"] and "not offered" in got["SSLv3"]
    assert len(got) > (60 if "TESTSSL" in os.environ else 10)
