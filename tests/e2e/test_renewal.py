"""The box gets its own certificate and renews it: the firmware whole, with pebble, which checks its challenges over the lab's network. What pebble
lacks is in test_renewal_scripted.py."""

import contextlib
import datetime
import hashlib
import itertools
import json
import re
import socket
import ssl
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from lab import ca, client, net
from lab.box import BUILD

_boxes = itertools.count(110)
_hosts = itertools.count(1)
DAY_S = 86400
LIFE_S = 45 * DAY_S


def now(shift_s=0):
    return (datetime.datetime.utcnow() + datetime.timedelta(seconds=shift_s)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(scope="module")
def authority(names):
    """Pebble; its name leads to it."""
    with ca.Pebble(life_s=LIFE_S) as pebble:
        names.host(ca.NAME, pebble.ip, reverse=False)
        yield pebble


@pytest.fixture
def start(make_box, names):
    """A function that boots a box with a name of its own; it ends with the test."""
    boxes = []

    def boot(board="posix", extra=(), **settings):
        name, ip = f"mx{next(_hosts)}.office.example", f"{net.PREFIX}.0.{next(_boxes)}"
        for host in (name, *(f"{e}.{name}" for e in extra)):
            names.host(host, ip, reverse=False)
        box = make_box(board=board, rtc=now(), settings={"host.name": name, "net.address": f"{ip}/16", **settings})
        box.name = name
        boxes.append(box)
        return box

    yield boot
    for box in boxes:
        assert "Sanitizer" not in box.errors()
        box.stop()


PORTS = (25, 465, 587, 443)


@contextlib.contextmanager
def session(box, port, context, name):
    """Over TLS, by STARTTLS where the port wants that; SMTP's greeting is read."""
    with socket.create_connection((box.ip, port), 60) as sock:
        if port in (25, 587):
            assert sock.recv(500).startswith(b"220")
            sock.sendall(b"STARTTLS\r\n")
            assert sock.recv(500).startswith(b"220")
        with context.wrap_socket(sock, server_hostname=name) as tls:
            if port == 465:
                assert tls.recv(500).startswith(b"220")
            yield tls


def shown(box, port=465, name=""):
    """The leaf that the box shows to who asks for name, by default its own."""
    with session(box, port, client.unverified(), box.name if name == "" else name) as tls:
        return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True))


@contextlib.contextmanager
def undisturbed(box, ports):
    """Sessions that are open all the while, and work afterwards."""
    with contextlib.ExitStack() as stack:
        sessions = [(port, stack.enter_context(session(box, port, client.unverified(), box.name))) for port in ports]
        yield
        for port, tls in sessions:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: x.example\r\n\r\n" if port == 443 else b"NOOP\r\n")
            assert tls.recv(500).startswith(b"HTTP/1.1 404" if port == 443 else b"250"), port


def pin(certificate):
    digest = hashes.Hash(hashes.SHA256())
    digest.update(certificate.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
    return digest.finalize().hex()


def names_of(certificate):
    return sorted(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName))


def wait_issued(box, old=None, timeout=120):
    """Until another certificate than old (or than a self-signed one) is in use."""
    end = time.time() + timeout
    while True:
        info = box.json("cert info")
        if info["origin"] == "acme" and info["sha256"] != old and not info["renewal"]["running"]:
            return info
        assert time.time() < end, box.log(100)
        time.sleep(0.2)


def renew(box, *words):
    old = box.json("cert info")["sha256"]
    assert "asked for" in box.console(" ".join(("cert renew", *words)))
    return wait_issued(box, old)


def wait_failed(box, pattern, timeout=120):
    """The job's account of a try that failed."""
    end = time.time() + timeout
    while True:
        renewal = box.json("cert info")["renewal"]
        if not renewal["running"] and re.search(pattern, renewal["failure"] or ""):
            return renewal
        assert time.time() < end, box.log(100)
        time.sleep(0.2)


def unix(text):
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc).timestamp()


def verified(box, root, name=None):
    """A client that trusts the authority's root alone is content."""
    context = ssl.create_default_context(cadata=root)
    with socket.create_connection((box.ip, 465), 60) as sock, context.wrap_socket(sock, server_hostname=name or box.name) as tls:
        return tls.version()


def chains(box, *roots):
    """Which of these roots the chain that the box shows leads to."""
    def leads(root):
        try:
            return bool(verified(box, root))
        except ssl.SSLCertVerificationError:
            return False
    return [leads(root) for root in roots]


def requests_of(box):
    """Of the last order, directory and window included."""
    return int(re.findall(r"acme order rc=ok .*requests=(\d+)", box.log(400))[-1])


def keep_figures(board, requests, identity_peak):
    """For `make size`."""
    with open(f"{BUILD}/{board}/postern.elf", "rb") as f:
        figures = {"names": 2, "requests": requests, "identity_peak": identity_peak, "elf_sha256": hashlib.sha256(f.read()).hexdigest()}
    with open(f"{BUILD}/{board}/issue.json", "w") as f:
        json.dump(figures, f)


@pytest.mark.boards("posix", "virt", "mps2-an500")
def test_first_issue_and_renewal(board, start, authority):
    box = start(board, extra=["mta-sts"])
    first = pin(shown(box))
    assert "(self-signed)" in box.console("cert info") and "acme.directory is not set" in box.console("cert info")
    box.set(acme__names=f"mta-sts.{box.name}", acme__directory=authority.url)
    info, requests = wait_issued(box, timeout=120), [requests_of(box)]
    leaf = shown(box)
    assert names_of(leaf) == sorted([box.name, f"mta-sts.{box.name}"])
    assert pin(leaf) == first  # the key stays, and so does a TLSA record
    assert verified(box, authority.root()) and verified(box, authority.root(), f"mta-sts.{box.name}")
    assert (info["origin"], info["self_signed"], info["renewal"]["failures"], info["renewal"]["failure"]) == ("acme", False, 0, None)
    assert info["renewal"]["why"] == "a third of its life is left then" and info["account"].startswith("https://ca.example")
    assert info["next_spki_sha256"] and info["next_spki_sha256"] != first
    assert "cert-self-signed" not in str(box.json("status")["alerts"])
    identity_peak = box.json("stats")["memory"]["identity"]["tls_peak"]
    box.restart()
    assert shown(box).serial_number == leaf.serial_number
    with undisturbed(box, PORTS[:1] if board == "mps2-an500" else PORTS):  # it has three sessions, and one is for the authority's questions
        renew(box)
        requests.append(requests_of(box))
    renewed = shown(box)
    assert renewed.serial_number != leaf.serial_number and pin(renewed) == first
    names = (box.name, f"mta-sts.{box.name}", "unknown.example", None)
    for port, name in itertools.product(PORTS, names) if board == "posix" else itertools.zip_longest(PORTS, names):
        assert shown(box, port, name) == renewed, (port, name)
    box.console("cert account roll-over")
    box.wait_log("cert account now=another-key")
    errand = next(t for t in box.json("stats")["tasks"] if t["name"] == "errand")
    assert errand["stack_used"] < errand["stack_bytes"] * 0.85, errand
    text = box.log(400)
    assert "BEGIN" not in text and "account url=" not in text  # the account is known already
    assert requests[0] <= 18 and requests[1] < requests[0], requests
    if board != "posix":
        keep_figures(board, requests, max(identity_peak, box.json("stats")["memory"]["identity"]["tls_peak"]))
    box.stop()


def test_a_choosy_authority(start, names):
    """Half of the nonces are refused, checks take their time, and an account has to be bound to another: the error says so until it is. Of its
    chains the one that is wished for comes, and a name that was checked once is not checked again."""
    with ca.Pebble(name="bound.example", bind=True, PEBBLE_WFE_NONCEREJECT="50", PEBBLE_VA_NOSLEEP="0", PEBBLE_VA_SLEEPTIME="2",
                   PEBBLE_ALTERNATE_ROOTS="2", PEBBLE_AUTHZREUSE="100") as pebble:
        names.host(pebble.name, pebble.ip, reverse=False)
        box = start()
        box.set(acme__contact="admin@office.example", acme__directory=pebble.url)
        renewal = wait_failed(box, "external account binding")
        assert renewal["failures"] == 1 and renewal["put_off"] and unix(renewal["next"]) <= time.time() + 61
        box.set(acme__eab_kid="kid-1", acme__eab_key=ca.MAC_KEY_TEXT)  # is tried at once
        wait_issued(box)
        assert "******" in box.console("show acme.eab_key") and ca.MAC_KEY_TEXT not in box.log(400)
        assert chains(box, pebble.root(0), pebble.root(2)) == [True, False]
        box.set(acme__chain=x509.load_pem_x509_certificate(pebble.root(2).encode()).subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
        renew(box)
        assert chains(box, pebble.root(0), pebble.root(2)) == [False, True]
        assert len(re.findall("acme challenge ", box.log(400))) == 1


def test_an_account_that_the_authority_lost(start, names):
    with ca.Pebble(name="forgetful.example") as pebble:
        names.host(pebble.name, pebble.ip, reverse=False)
        box = start()
        box.set(acme__challenge="tls-alpn-01", acme__directory=pebble.url)
        account = wait_issued(box)["account"]
        pebble.stop()
        pebble.start()
        assert renew(box)["account"] != account


def test_a_challenge_that_fails_says_why(start, authority, names):
    box = start()
    names.forget(f"{box.name}. A ")
    names.host(box.name, net.address(f"{net.PREFIX}.54.1"), reverse=False)  # nobody answers there
    box.set(acme__directory=authority.url)
    renewal = wait_failed(box, "refused|connection")
    assert "invalid" in renewal["failure"]
    text = box.console("cert info")
    assert "self-signed" in text and "failure " in text and "1 in a row" in text and "put off after a failure" in text
    names.forget(f"{box.name}. A ")
    names.host(box.name, box.ip, reverse=False)
    renew(box)
    assert "failure " not in box.console("cert info")
