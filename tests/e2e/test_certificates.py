"""Certificates put in over the console: the box's own, and the office's authority."""

import datetime
import socket
import ssl

import pytest

from lab import client, net, pki
from lab.fakemx import FakeMx

PROMPT = "postern> "


@pytest.fixture(scope="module")
def box(make_box, board, names):
    names.host("server.office.example", net.OFFICE)
    box = make_box(board=board, rtc="2026-06-01T12:00:00Z", settings={"mail.inside": "server.office.example:25", "mail.inside_tls": "ca"})
    yield box
    assert "Sanitizer" not in box.errors()
    box.stop()


def paste(box, command, text):
    """What the box says after the paste. The terminal sends a line at a time."""
    box.type(command + "\r")
    box.read_until("one dot\r\n")
    for line in text.splitlines() + ["."]:
        box.type(line + "\r")
    out = box.read_until(PROMPT).replace("\r", "")
    return out[: -len(PROMPT)].strip("\n")


def shown_chain(box):
    """What the box shows to a client: (name of the leaf, the leaf's DER)."""
    with socket.create_connection((box.ip, 465), 60) as sock, client.unverified().wrap_socket(sock, server_hostname="mail.office.example") as tls:
        return tls.getpeercert(binary_form=True)


def test_own_certificate_with_words_and_key_first(box):
    """As acme clients leave it: an RSA key of 2048 bits, leaf, intermediate; with words around."""
    chain, key = pki.good_ca("rsa").issue("mail.office.example", kind="rsa")
    assert len(chain + key) > 3000
    text = "Bag Attributes\n    friendlyName: mail\n" + key + "subject=/CN=mail\n" + chain
    assert paste(box, "cert import", text) == "the certificate is in use"
    leaf = ssl.PEM_cert_to_DER_cert(chain[: chain.index("-----END") + 25])
    assert shown_chain(box) == leaf
    info = box.json("cert info")
    assert (info["chain"], info["self_signed"], info["names"]) == (2, False, "mail.office.example")
    box.restart()
    assert shown_chain(box) == leaf


def test_what_is_no_pair_changes_nothing(box):
    before = shown_chain(box)
    chain, key = pki.good_ca("ecdsa").issue("mail.office.example")
    other = pki.key_pem(pki.new_key())
    assert paste(box, "cert import", "hello") == "error: there is no certificate in it"
    assert paste(box, "cert import", chain) == "error: there is no private key in it"
    assert paste(box, "cert import", key) == "error: there is no certificate in it"
    assert paste(box, "cert import", chain + other).startswith("error: ")
    assert paste(box, "cert import", chain[:-30] + key).startswith("error: ")
    assert paste(box, "cert import", (chain + key) * 10).startswith("error: it is longer than ")
    assert shown_chain(box) == before


def test_what_others_will_hold_against_it(box):
    """It is the operator's to judge, so it is put in; but not without a word."""
    good, strange, year = pki.good_ca("ecdsa"), pki.strange_ca(), datetime.datetime(2026, 1, 1)
    cases = [(good.issue("other.example"), ["does not name host.name mail.office.example"]),
             (good.issue("mail.office.example", end=year), ["expired at 2026-01-01T00:00:00Z"]),
             (good.issue("mail.office.example", start=year.replace(year=2027)), ["not valid before 2027-01-01T00:00:00Z"]),
             (good.issue("mail.office.example", with_intermediate=False), ["issued by CN=Lab ecdsa Intermediate, O=Lab", "put in that intermediate"]),
             (strange.issue("other.example", end=year), ["expired", "does not name", "issued by CN=Stranger Root"]),
             (pki.self_signed("mail.office.example"), [])]
    for (chain, key), words in cases:
        said = paste(box, "cert import", chain + key).split("\n")
        assert said[0] == "the certificate is in use" and all(line.startswith("but it ") for line in said[1:])
        assert len(said) - 1 == len({w for w in words if not w.startswith("put in")}) and all(w in "\n".join(said) for w in words), said
    chain, key = good.issue("mail.office.example")
    extra = pki.good_ca("rsa").issue("mail.office.example")[0]
    assert "certificate 3 of the chain is not the issuer of certificate 2" in paste(box, "cert import", chain + extra + key)
    leaf, _, intermediate = chain.partition("-----END CERTIFICATE-----\n")
    assert "error: " in paste(box, "cert import", intermediate + leaf + "-----END CERTIFICATE-----\n" + key)
    assert paste(box, "cert import", chain + good.root_pem + key) == "the certificate is in use"  # a root too many does no harm


def test_a_paste_that_is_given_up_leaves_the_memory_free(box):
    for _ in range(2):
        box.type("cert import\r")
        box.read_until("one dot\r\n")
        box.type("-----BEGIN\r\x03")
        assert "error: given up (^C)" in box.read_until(PROMPT)
    chain, key = pki.good_ca("ecdsa").issue("mail.office.example")
    assert paste(box, "cert import", chain + key) == "the certificate is in use"


def test_office_authority(box):
    """mail.inside_tls=ca: only what the office's own authority has signed gets mail; a new authority takes the old one's place."""
    ca, other = pki.CA("Office"), pki.CA("Old Office", "rsa")
    office = FakeMx(net.OFFICE, "office", cert=ca.issue("server.office.example"))
    try:
        assert "error" not in paste(box, "cert import-ca", other.root_pem + pki.good_ca("rsa").root_pem)
        client.send(box, "a@sender.example", "anna@office.example", client.mail("held"))
        box.wait_log(r"verdict .*untrusted-root|held back")
        assert not office.mails
        assert paste(box, "cert import-ca", "some words\n" + ca.root_pem) == "the office's CA is in use"
        box.retry_until(lambda: any(b"held" in m["body"] for m in office.mails))
        assert office.tls_mails == 1 and office.plain_mails == 0
    finally:
        office.stop()


def test_what_is_no_authority(box):
    assert paste(box, "cert import-ca", "hello") == "error: there is no certificate in it"
    assert paste(box, "cert import-ca", pki.good_ca("rsa").root_pem * 5) == "error: a certificate in it cannot be read, or there are more than 4"
    broken = pki.good_ca("rsa").root_pem.replace("\n", "\nA", 1)
    assert paste(box, "cert import-ca", broken) == "error: a certificate in it cannot be read, or there are more than 4"
