"""Real TLS clients against the box: OpenSSL, GnuTLS, swaks and Postfix's posttls-finger, on 25, 587 and 465."""

import hashlib
import os
import re
import socket
import ssl
import subprocess
import time

import pytest

from cryptography import x509
from lab import client, net, pki

HOST = "mail.office.example"
ANNA = "anna@office.example"


# TLS is the same code on every board: all on posix, which has the sanitizers, and each kind of client on the others.
pytestmark = pytest.mark.boards("posix")
on_virt_too = pytest.mark.boards("posix", "virt")
on_all = pytest.mark.boards("posix", "virt", "mps2-an500")


@pytest.fixture(scope="module", params=["ecdsa", "rsa"])
def box(make_box, board, request):
    box = make_box(board=board, cert=pki.good_ca(request.param).issue(HOST, kind=request.param),
                   settings={"net.address": f"{net.PREFIX}.0.{40 if request.param == 'rsa' else 41}/16"})
    box.kind = request.param
    yield box
    box.stop()


@pytest.fixture(scope="module")
def roots(folder):
    path = f"{folder}/client-roots.pem"
    with open(path, "w") as f:
        f.write(pki.trusted_roots())
    return path


def run(*command, stdin="", timeout=120, env=None):
    done = subprocess.run(command, env={**os.environ, **(env or {})}, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=timeout)
    return done.stdout


PORTS = {25: ["-starttls", "smtp"], 587: ["-starttls", "smtp"], 465: []}


def s_client(box, roots, port, *options, stdin="QUIT\n"):
    return run("openssl", "s_client", "-connect", f"{box.ip}:{port}", *PORTS[port], "-CAfile", roots, "-verify_hostname", HOST, "-servername", HOST,
               "-showcerts", "-crlf", "-ign_eof", *options, stdin=stdin)


@on_virt_too
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("port", PORTS)
def test_openssl(box, roots, port, version):
    out = s_client(box, roots, port, {"TLSv1.2": "-tls1_2", "TLSv1.3": "-tls1_3"}[version])
    assert "Verify return code: 0 (ok)" in out, out
    assert re.search(rf"Protocol *: {version}|New, {version}", out)
    assert out.count("BEGIN CERTIFICATE") == 2, "leaf and intermediate"
    assert "TLS session ticket" not in out and "Post-Handshake New Session Ticket" not in out
    assert "221" in out
    assert ("Server public key is 2048 bit" in out) == (box.kind == "rsa")


@pytest.mark.boards("mps2-an500")
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_openssl_and_the_small_board(box, roots, version):
    test_openssl(box, roots, 25, version)


@on_all
@pytest.mark.parametrize("priority", ["NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3"])
@pytest.mark.parametrize("port", [25, 465])
def test_gnutls(box, roots, port, priority):
    out = run("gnutls-cli", "--x509cafile", roots, "--verify-hostname", HOST, "--sni-hostname", HOST, "--priority", priority, "--port", str(port),
              *(["--starttls-proto=smtp"] if port != 465 else []), box.ip, stdin="EHLO client.example\r\nQUIT\r\n")
    assert "The certificate is trusted" in out, out
    assert "Got a certificate list of 2 certificates" in out
    assert "221" in out


@on_all
@pytest.mark.parametrize("options,port", [(["--tls"], 25), (["--tls"], 587), (["--tlsc"], 465), (["--tls", "--tls-protocol", "tlsv1_2"], 25)])
def test_swaks_sends_a_mail(box, office, roots, options, port):
    tag = f"swaks-{box.board}-{box.kind}-{port}-{len(options)}"
    out = run("swaks", "--server", box.ip, "--port", str(port), *options, "--tls-ca-path", roots, "--tls-verify",
              "--local-interface", net.OFFICE, "--helo", "client.example", "--from", "someone@office.example", "--to", ANNA, "--header", f"Subject: {tag}")
    assert "queued as" in out, out
    trace = office.wait_for(f"Subject: {tag}").decode()
    assert "using TLSv1.2" in trace if len(options) > 1 else "TLSv1.3" in trace


@on_all
@pytest.mark.parametrize("protocols", [">=TLSv1.2", "TLSv1.2"])
def test_posttls_finger_finds_a_verified_server(box, office, roots, protocols):
    out = run("posttls-finger", "-c", "-l", "secure", "-F", roots, "-p", protocols, f"[{box.ip}]:25", HOST, env={"MAIL_CONFIG": office.conf})
    assert "Verified TLS connection established" in out, out


@on_virt_too
@pytest.mark.parametrize("port", [25, 465])
def test_an_old_client_fails_with_a_named_cause(box, port):
    at = f"10.77.7.{port % 200}"
    context = client.unverified()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    s = client.Raw(box, source=at, port=port, greeting=port == 25)
    if port == 25:
        assert s.ask("EHLO client.example")[0] == 250
        assert s.ask("STARTTLS")[0] == 220
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        context.wrap_socket(s.sock)
    s.close()
    box.wait_log(rf"close .*peer={at} rc=tls .*cause=no-common-version")


class Chopped:
    """A client's handshake through a memory BIO, so that its bytes can be cut as one likes."""

    def __init__(self, box, at):
        self.raw = client.Raw(box, source=at)
        assert self.raw.ask("EHLO client.example")[0] == 250
        assert self.raw.ask("STARTTLS")[0] == 220
        self.raw.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = client.unverified().wrap_bio(self.incoming, self.outgoing, server_hostname=HOST)

    def finish(self, cut):
        """Shakes hands, with cut(bytes) giving the pieces to send; gives the version."""
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.send(cut)
                self.incoming.write(self.raw.sock.recv(65536))
        self.tls.write(b"EHLO client.example\r\n")
        self.send(cut)
        while True:
            try:
                assert self.tls.read(1000).startswith(b"250")
                break
            except ssl.SSLWantReadError:
                self.incoming.write(self.raw.sock.recv(65536))
        self.raw.close()
        return self.tls.version()

    def send(self, cut):
        for piece in cut(self.outgoing.read()):
            self.raw.sock.sendall(piece)
            if len(piece) == 1:
                time.sleep(0.0005)


def bytewise(data):
    return [data[i:i + 1] for i in range(len(data))]


def across_records(data):
    """A handshake message cut into many records, as a large ClientHello is."""
    if data[:1] != b"\x16":
        return [data]
    length = int.from_bytes(data[3:5], "big")
    body, rest = data[5:5 + length], data[5 + length:]
    return [b"".join(data[:3] + len(body[i:i + 37]).to_bytes(2, "big") + body[i:i + 37] for i in range(0, length, 37)) + rest]


@on_virt_too
@pytest.mark.parametrize("cut", [bytewise, across_records])
def test_a_hello_in_pieces(box, cut):
    assert Chopped(box, "10.77.7.30").finish(cut) == "TLSv1.3"


def test_any_sni_is_served_and_logged_names_do_no_harm(box):
    for name in (HOST, "other.example", "x" * 60 + ".example", None):
        s = client.Raw(box, source="10.77.7.31")
        assert s.ask("EHLO client.example")[0] == 250
        assert s.ask("STARTTLS")[0] == 220
        sock = client.unverified().wrap_socket(s.sock, server_hostname=name)
        cert = x509.load_der_x509_certificate(sock.getpeercert(True))
        assert cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName) == [HOST]
        sock.close()


# --- The box's own certificate

def shown(box, at="10.77.7.40"):
    """SHA-256 of the certificate that a client is shown."""
    s = client.Raw(box, source=at)
    assert s.ask("EHLO client.example")[0] == 250
    s.starttls()
    digest = hashlib.sha256(s.sock.getpeercert(True)).hexdigest()
    s.close()
    return digest


def paste(box, text):
    box.type("cert import\r")
    box.read_until("one dot")
    for line in text.splitlines() + ["."]:
        box.type(line + "\r")
    return box.read_until("\n" + "postern> ")


@pytest.fixture(scope="module")
def bare_box(make_box, board):
    box = make_box(board=board, settings={"net.address": f"{net.PREFIX}.0.42/16"})
    yield box
    box.stop()


def test_first_boot_makes_a_certificate_and_keeps_it(bare_box):
    info = bare_box.json("cert info")
    assert info["self_signed"] and HOST in info["names"]
    assert shown(bare_box) == info["sha256"]
    assert "self-signed" in bare_box.console("status")
    bare_box.restart()
    assert shown(bare_box) == info["sha256"]


def test_import_takes_effect_without_dropping_a_session(bare_box, office):
    tag = f"import-{bare_box.board}"
    before = shown(bare_box)
    s = client.Raw(bare_box, source="10.77.7.41")
    assert s.ask("EHLO client.example")[0] == 250
    s.starttls()
    assert s.ask("EHLO client.example")[0] == 250
    for kind in ("ecdsa", "rsa"):
        chain, key = pki.good_ca(kind).issue(HOST, kind=kind)
        assert "the certificate is in use" in paste(bare_box, key + chain)
        info = bare_box.json("cert info")
        assert not info["self_signed"] and info["chain"] == 2
        assert shown(bare_box) == info["sha256"] != before
    assert s.ask("MAIL FROM:<someone@sender.example>")[0] == 250
    assert s.ask(f"RCPT TO:<{ANNA}>")[0] == 250
    assert s.ask("DATA")[0] == 354
    assert s.ask(client.mail(tag).encode() + b".\r\n")[0] == 250
    s.close()
    office.wait_for(f"Subject: {tag}")
    bare_box.restart()
    assert shown(bare_box) == info["sha256"], "it is kept"


@pytest.mark.parametrize("fault", ["no key", "other key", "garbage", "empty", "cut"])
def test_a_bad_import_changes_nothing_and_says_why(bare_box, fault):
    before = shown(bare_box)
    chain, key = pki.good_ca().issue(HOST)
    text = {"no key": chain, "other key": chain + pki.good_ca().issue(HOST)[1], "garbage": "hello\nworld", "empty": "",
            "cut": key + chain[:300]}[fault]
    out = paste(bare_box, text)
    assert re.search(r"error: \w+", out), out
    assert shown(bare_box) == before


@on_all
def test_nothing_crashed(box):
    assert "Sanitizer" not in box.errors()
    assert box.json("status")["reset"] == "power-on"


def test_nothing_crashed_without_a_certificate(bare_box):
    test_nothing_crashed(bare_box)
