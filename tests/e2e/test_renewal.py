"""The box gets its own certificate from pebble and renews it: the firmware whole, its challenges checked over the lab's network."""

import datetime
import itertools
import re
import ssl
import socket
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from lab import ca, client, net, pki

_boxes = itertools.count(110)
_hosts = itertools.count(1)
LIFE_S = 45 * 86400


def now(shift_s=0):
    return (datetime.datetime.utcnow() + datetime.timedelta(seconds=shift_s)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(scope="module")
def authority(names):
    """Pebble; its name leads to it."""
    with ca.Pebble(life_s=LIFE_S, PEBBLE_VA_ALWAYS_VALID="1") as pebble:
        names.host(ca.NAME, pebble.ip, reverse=False)
        yield pebble


@pytest.fixture
def start(make_box, names):
    """A function that boots a box with a name of its own; it ends with the test."""
    boxes = []

    def boot(board="posix", extra=(), **settings):
        name, ip = f"mx{next(_hosts)}.office.example", f"{net.PREFIX}.0.{next(_boxes)}"
        for host in (name, *extra):
            names.host(host, ip, reverse=False)
        box = make_box(board=board, rtc=now(), settings={"host.name": name, "net.address": f"{ip}/16", **settings})
        box.name = name
        boxes.append(box)
        return box

    yield boot
    for box in boxes:
        assert "Sanitizer" not in box.errors()
        box.stop()


def shown(box, port=465):
    """The leaf that the box shows."""
    with socket.create_connection((box.ip, port), 20) as sock, client.unverified().wrap_socket(sock, server_hostname=box.name) as tls:
        return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True))


def pin(certificate):
    digest = hashes.Hash(hashes.SHA256())
    digest.update(certificate.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
    return digest.finalize().hex()


def names_of(certificate):
    return sorted(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName))


def wait_issued(box, before=0, timeout=60):
    """Until so many issues and one more are in the log."""
    end = time.time() + timeout
    while True:
        text = box.log(400)
        if len(re.findall(r"cert issued ", text)) > before:
            return
        assert time.time() < end, text
        time.sleep(0.3)


def verified(box, root, name=None):
    """A client that trusts the authority's root alone is content."""
    context = ssl.create_default_context(cadata=root)
    with socket.create_connection((box.ip, 465), 20) as sock, context.wrap_socket(sock, server_hostname=name or box.name) as tls:
        return tls.version()


@pytest.mark.boards("posix", "virt", "mps2-an500")
def test_first_issue_and_renewal(board, start, authority):
    box = start(board, extra=["mta-sts.office.example"])
    first = pin(shown(box))
    assert "(self-signed)" in box.console("cert info") and "acme.directory is not set" in box.console("cert info")
    box.set(acme__names="mta-sts.office.example", acme__directory=authority.url)
    wait_issued(box, timeout=120)
    leaf = shown(box)
    assert names_of(leaf) == sorted([box.name, "mta-sts.office.example"])
    assert pin(leaf) == first  # the key stays, and so does a TLSA record
    assert verified(box, authority.root()) and verified(box, authority.root(), "mta-sts.office.example")
    info = box.json("cert info")
    assert (info["origin"], info["self_signed"], info["renewal"]["failures"], info["renewal"]["failure"]) == ("acme", False, 0, None)
    assert info["renewal"]["why"] == "a third of its life is left then" and info["account"].startswith("https://ca.example")
    assert info["next_spki_sha256"] and info["next_spki_sha256"] != first
    assert "cert-self-signed" not in str(box.json("status")["alerts"])
    box.restart()
    assert shown(box).serial_number == leaf.serial_number
    with socket.create_connection((box.ip, 25), 20) as session:  # a renewal disturbs nobody
        assert session.recv(500).startswith(b"220")
        assert "asked for" in box.console("cert renew")
        wait_issued(box, timeout=120)
        session.sendall(b"NOOP\r\n")
        assert session.recv(500).startswith(b"250")
    renewed = shown(box)
    assert renewed.serial_number != leaf.serial_number and pin(renewed) == first
    text = box.log(400)
    assert "BEGIN" not in text and "account url=" not in text  # the account is known already
    box.stop()
