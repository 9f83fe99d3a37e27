"""Our TLS (build/tests/programs/tls_probe) against OpenSSL and GnuTLS, as client and as server: versions, kinds of keys and
signatures, suites, hello retry, tickets, large and split hellos, and the faults that our own server does not commit."""

import json
import socket
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROBE = ROOT / "build/tests/programs/tls_probe"
PKI = ROOT / "build/tests/pki"
HOST = "mx.example.test"
NOW = "1780272000"
ROOTS = ["--roots", str(PKI / "root-ec.pem"), "--roots", str(PKI / "root-rsa.pem")]
LINE = "hello from postern"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port, process):
    for _ in range(1200):
        if process.poll() is not None:
            raise AssertionError(f"{process.args[0]} ended early")
        # A look at the kernel's tables: a connection would be the one that the peer serves.
        for table in ("tcp", "tcp6"):
            for row in Path("/proc/net", table).read_text().splitlines()[1:]:
                local, _, state = row.split()[1:4]
                if local.endswith(f":{port:04X}") and state == "0A":
                    return
        time.sleep(0.05)
    raise AssertionError("the peer does not listen")


@contextmanager
def running(*command):
    process = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            pipe.close()


@contextmanager
def openssl_server(label, *options):
    port = free_port()
    command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-rev", "-cert", PKI / f"{label}.pem",
               "-key", PKI / f"{label}.key"]
    if (PKI / f"{label}.above.pem").stat().st_size > 0:
        command += ["-cert_chain", PKI / f"{label}.above.pem"]
    with running(*command, *options) as process:
        wait_for_port(port, process)
        yield port


@contextmanager
def gnutls_server(label, priority):
    port = free_port()
    with running("gnutls-serv", "--port", port, "--echo", "--x509certfile", PKI / f"{label}.pem", "--x509keyfile",
                 PKI / f"{label}.key", "--priority", priority, "--disable-client-cert") as process:
        wait_for_port(port, process)
        yield port


def probe_client(port, *options, name=HOST):
    """Returns (facts, the rest of what it printed)."""
    done = subprocess.run([str(PROBE), "client", str(port), "--name", name, "--now", NOW, *ROOTS, *options],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    first, _, rest = done.stdout.partition("\n")
    return json.loads(first), rest.strip()


@contextmanager
def probe_server(label, *options):
    """Yields (port, results): results() waits for the end and returns (facts, end)."""
    process = subprocess.Popen([str(PROBE), "server", str(PKI / f"{label}.pem"), str(PKI / f"{label}.key"), *options],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    port = int(process.stdout.readline().split()[1])

    def results():
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        lines = out.splitlines()
        return json.loads(lines[0]), json.loads(lines[1]) if len(lines) > 1 else None

    try:
        yield port, results
    finally:
        process.kill()
        process.communicate()


def expect_good(facts, version):
    assert (facts["rc"], facts["cause"]) == ("ok", "none")
    assert facts["established"] and facts["chain_valid"] and facts["name_matches"]
    assert facts["version"] == version


VERSIONS = {"TLSv1.2": "-tls1_2", "TLSv1.3": "-tls1_3"}
SUITES_12 = {
    "ec": ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"],
    "rsa": ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"],
}
SUITES_13 = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]

# --- Our client


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("label", ["ec", "rsa", "p384"])
def test_client_to_openssl(version, label):
    with openssl_server(label, VERSIONS[version]) as port:
        facts, answer = probe_client(port)
    expect_good(facts, version)
    assert answer == LINE[::-1]  # TLS 1.3: behind two session tickets


@pytest.mark.parametrize("sigalg", ["RSA-PSS+SHA256", "RSA-PSS+SHA384", "RSA-PSS+SHA512", "RSA+SHA256", "RSA+SHA512"])
def test_client_tls12_rsa_signatures(sigalg):
    with openssl_server("rsa", "-tls1_2", "-sigalgs", sigalg) as port:
        facts, answer = probe_client(port)
    expect_good(facts, "TLSv1.2")
    assert answer == LINE[::-1]


@pytest.mark.parametrize("sigalg", ["RSA-PSS+SHA256", "RSA-PSS+SHA384", "RSA-PSS+SHA512"])
def test_client_tls13_rsa_signatures(sigalg):
    with openssl_server("rsa", "-tls1_3", "-sigalgs", sigalg) as port:
        facts, _ = probe_client(port)
    expect_good(facts, "TLSv1.3")


@pytest.mark.parametrize("label,suite", [(label, s) for label in SUITES_12 for s in SUITES_12[label]])
def test_client_suites_tls12(label, suite):
    with openssl_server(label, "-tls1_2", "-cipher", suite) as port:
        facts, answer = probe_client(port)
    expect_good(facts, "TLSv1.2")
    iana = facts["suite"].removeprefix("TLS_").replace("_WITH", "").replace("AES_", "AES").replace("_", "-")
    assert iana.startswith(suite)
    assert answer == LINE[::-1]


@pytest.mark.parametrize("suite", SUITES_13)
def test_client_suites_tls13(suite):
    with openssl_server("ec", "-tls1_3", "-ciphersuites", suite) as port:
        facts, _ = probe_client(port)
    expect_good(facts, "TLSv1.3")
    assert facts["suite"] == suite


@pytest.mark.parametrize("group", ["X25519", "P-256", "P-384", "P-521"])
@pytest.mark.parametrize("version", VERSIONS)
def test_client_groups(version, group):
    """All but X25519 make TLS 1.3 retry the hello."""
    with openssl_server("ec", VERSIONS[version], "-groups", group) as port:
        facts, answer = probe_client(port)
    expect_good(facts, version)
    assert answer == LINE[::-1]


@pytest.mark.parametrize("signature", ["rsa_pss_rsae_sha256", "rsa_pss_rsae_sha384", "rsa_pss_rsae_sha512", "RSA+SHA256", "RSA+SHA512"])
def test_client_tls12_rsa_signatures(signature):
    with openssl_server("rsa", VERSIONS["TLSv1.2"], "-sigalgs", signature) as port:
        facts, _ = probe_client(port)
    expect_good(facts, "TLSv1.2")


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("label", ["ec", "rsa"])
def test_client_to_gnutls(version, label):
    with gnutls_server(label, "NORMAL:-VERS-ALL:+VERS-" + version.replace("TLSv", "TLS")) as port:
        facts, answer = probe_client(port)
    expect_good(facts, version)
    assert answer == LINE


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("label", ["long-rsa", "many-names"])
def test_client_takes_long_chains(version, label):
    """Four certificates with 4096-bit issuers; a hundred names: in 40 KiB, even with pointers of 64 bits."""
    with openssl_server(label, VERSIONS[version]) as port:
        facts, answer = probe_client(port)
    expect_good(facts, version)
    assert answer == LINE[::-1]


@pytest.mark.parametrize("version", VERSIONS)
def test_client_takes_a_chain_in_any_order(version):
    """With the root and a stranger among the intermediates."""
    with openssl_server("shuffled", VERSIONS[version]) as port:
        facts, _ = probe_client(port)
    expect_good(facts, version)


@pytest.mark.parametrize("version", VERSIONS)
def test_client_out_of_memory_has_a_name(version):
    with openssl_server("rsa", VERSIONS[version]) as port:
        facts, _ = probe_client(port, "--arena", "24576")
    assert (facts["rc"], facts["cause"], facts["kept_bytes"]) == ("no-memory", "no-memory", 0)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("label,cause", [("weak-key", "weak"), ("client-only", "bad-certificate"),
                                         ("self-signed", "self-signed"), ("missing-intermediate", "missing-intermediate"),
                                         ("untrusted-root", "untrusted-root"), ("expired", "expired"),
                                         ("bad-signature", "bad-certificate"), ("wrong-name", "wrong-name"),
                                         ("no-san", "wrong-name"), ("weak-sha1", "weak")])
def test_client_names_the_fault(version, label, cause):
    with openssl_server(label, VERSIONS[version], "-cipher", "DEFAULT:@SECLEVEL=0") as port:
        facts, answer = probe_client(port)
    assert facts["established"] and facts["cause"] == cause
    assert not (facts["chain_valid"] and facts["name_matches"])
    assert answer == LINE[::-1]


def test_client_finds_no_common_version():
    with openssl_server("rsa", "-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0") as port:
        facts, _ = probe_client(port)
    assert (facts["rc"], facts["cause"]) == ("tls", "no-common-version")


def test_client_finds_no_common_suite():
    with openssl_server("rsa", "-tls1_2", "-cipher", "AES128-SHA") as port:
        facts, _ = probe_client(port)
    assert (facts["rc"], facts["cause"]) == ("tls", "no-common-suite")


def test_client_tls13_only():
    with openssl_server("ec", "-tls1_2") as port:
        facts, _ = probe_client(port, "--tls13")
    assert facts["cause"] == "no-common-version"


def test_client_times_out():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        facts, _ = probe_client(silent.getsockname()[1], "--timeout", "500")
    assert (facts["rc"], facts["cause"]) == ("timeout", "timeout")


def test_client_sends_much():
    received = []

    def serve(listener):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(PKI / "ec.pem", PKI / "ec.key")
        with context.wrap_socket(listener.accept()[0], server_side=True) as peer:
            total = 0
            while total < 3_000_000:
                total += len(peer.recv(65536))
            received.append(total)
            peer.sendall(b"thanks\n")
            peer.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        facts, answer = probe_client(listener.getsockname()[1], "--flood", "3000000")
        thread.join()
    expect_good(facts, "TLSv1.3")
    assert answer == "thanks" and received


# --- Our server


def openssl_client(port, *options, line="abcdef"):
    """Runs s_client over one line; returns (exit code, all it printed)."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", HOST, "-verify_hostname", HOST,
               "-CAfile", str(PKI / "roots.pem"), "-verify_return_error", *options]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    process.stdin.write(line + "\n")
    process.stdin.flush()
    out = ""
    for got in process.stdout:
        out += got
        if got.strip() == line[::-1]:
            break
    process.stdin.write("Q\n")
    rest, _ = process.communicate(timeout=120)
    return process.returncode, out + rest


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("label", ["ec", "rsa", "p384"])
def test_server_for_openssl(version, label):
    with probe_server(label) as (port, results):
        code, out = openssl_client(port, VERSIONS[version])
        facts, end = results()
    assert code == 0 and "fedcba" in out and "Verify return code: 0" in out
    assert facts["version"] == version and facts["sni"] == HOST
    assert "Session Ticket arrived" not in out
    assert end == {"end": "closed", "late": "none"}


@pytest.mark.parametrize("options", [["-groups", "P-521:X25519"], ["-groups", "P-256"], ["-groups", "ffdhe2048:X25519"],
                                     ["-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"], ["-tls1_2", "-sigalgs", "RSA+SHA256"],
                                     ["-tls1_2", "-sigalgs", "RSA-PSS+SHA256:RSA+SHA256"]])
def test_server_takes_what_openssl_prefers(options):
    with probe_server("rsa") as (port, results):
        code, out = openssl_client(port, *options)
        facts, _ = results()
    assert code == 0 and "fedcba" in out and facts["established"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("label", ["ec", "rsa"])
def test_server_for_gnutls(version, label):
    with probe_server(label) as (port, results):
        done = subprocess.run(["gnutls-cli", "--port", str(port), "--sni-hostname", HOST, "--verify-hostname", HOST, "--x509cafile",
                               str(PKI / "roots.pem"), "--priority", "NORMAL:-VERS-ALL:+VERS-" + version.replace("TLSv", "TLS"),
                               "127.0.0.1"], input="abcdef\n", capture_output=True, text=True, timeout=120)
        facts, _ = results()
    assert done.returncode == 0 and "fedcba" in done.stdout, done.stdout + done.stderr
    assert facts["version"] == version


def many_protocols(bytes_wanted):
    return ",".join(f"protocol-number-{i:04d}" for i in range(bytes_wanted // 21))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("hello_bytes", [1800, 6000])
@pytest.mark.parametrize("fragment", [16384, 512])
def test_server_takes_large_and_split_hellos(version, hello_bytes, fragment):
    """A post-quantum hello exceeds one segment; some clients split it over records too."""
    with probe_server("ec") as (port, results):
        code, out = openssl_client(port, VERSIONS[version], "-alpn", many_protocols(hello_bytes), "-max_send_frag", str(fragment))
        facts, _ = results()
    assert facts["established"], facts
    assert code == 0 and "fedcba" in out


def test_server_takes_a_hello_byte_by_byte():
    context = ssl.create_default_context(cafile=PKI / "roots.pem")
    with probe_server("ec", "--write-max", "1") as (port, results):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname=HOST)
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    for byte in outgoing.read():
                        s.sendall(bytes([byte]))
                    incoming.write(s.recv(65536))
            tls.write(b"abc\n")
            s.sendall(outgoing.read())
            while incoming.pending == 0:
                incoming.write(s.recv(65536))
                try:
                    assert tls.read(100) in (b"cba\n",)
                    break
                except ssl.SSLWantReadError:
                    continue
        facts, end = results()
    assert facts["established"] and end["end"] in ("reset", "closed")


@pytest.mark.parametrize("first,cause", [(b"EHLO client.example\r\n", "not-tls"), (b"GET / HTTP/1.1\r\n\r\n", "not-tls"),
                                         (b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10" + b"x" * 37, "not-tls"),
                                         (b"", "closed"), (b"\x16\x03\x01", "closed"),
                                         (b"\x17\x03\x03\x00\x05hello", "protocol"), (b"\x16\x03\x01\xff\xff", "protocol")])
def test_server_says_what_went_wrong(first, cause):
    with probe_server("ec") as (port, results):
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.sendall(first)
            s.shutdown(socket.SHUT_WR)
            s.settimeout(60)
            while s.recv(1000):
                pass
        facts, _ = results()
    assert (facts["rc"], facts["cause"]) == ("tls", cause)


def test_server_names_a_peer_that_leaves_after_the_handshake():
    context = ssl.create_default_context(cafile=PKI / "roots.pem")
    with probe_server("ec") as (port, results):
        tls = context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname=HOST)
        tls.close()
        facts, end = results()
    assert facts["established"] and end["late"] == "closed-after-ticket"


@pytest.mark.parametrize("options,cause", [(["-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0"], "no-common-version"),
                                           (["-tls1_2", "-cipher", "AES128-SHA"], "no-common-suite"),
                                           (["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"], "no-common-suite")])
def test_server_has_nothing_in_common(options, cause):
    with probe_server("ec") as (port, results):
        openssl_client(port, *options)
        facts, _ = results()
    assert facts["cause"] == cause


def test_server_gets_an_alert():
    """A client that does not trust us says so: unknown_ca is 48. It keeps the connection, lest a reset overtakes the alert."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname=HOST)
    with probe_server("ec") as (port, results), socket.create_connection(("127.0.0.1", port)) as s:
        with pytest.raises(ssl.SSLCertVerificationError):
            while True:
                try:
                    tls.do_handshake()
                except ssl.SSLWantReadError:
                    s.sendall(outgoing.read())
                    incoming.write(s.recv(65536))
        s.sendall(outgoing.read())
        facts, _ = results()
    assert (facts["cause"], facts["alert"]) == ("alert", 48)
