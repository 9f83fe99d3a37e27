#!/usr/bin/python3
"""Make the certificates of the TLS tests: good ones, and one of each fault that a cause is named for.

usage: make_pki.py FOLDER

Writes NAME.pem (the chain as a server sends it), NAME.above.pem (the same without the leaf), NAME.key, root-*.pem (what
a client holds). All are valid from 2020 to 2040, but for those whose fault is time.
"""

import datetime
import ipaddress
import ssl
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOST = "mx.example.test"
START = datetime.datetime(2020, 1, 1)
END = datetime.datetime(2040, 1, 1)
PAST = datetime.datetime(2021, 1, 1)
FUTURE = datetime.datetime(2039, 1, 1)
ISSUED = datetime.datetime(2026, 6, 1)  # PAIR_NOW


class Party:
    """A key with its certificate and the parties above it."""

    def __init__(self, key, cert, chain):
        self.key, self.cert, self.chain = key, cert, chain


def ec_key():
    return ec.generate_private_key(ec.SECP256R1())


def rsa_key(bits=2048):
    return rsa.generate_private_key(65537, bits)


def name(common, organisation="Postern Tests"):
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )


def builder(subject, issuer, key, start, end):
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )


def with_key_ids(build, key, signing_key):
    """What lets a client tell two issuers of one name apart without trying their keys."""
    return build.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False).add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False
    )


def authority(common, key, above=None, start=START, end=END, path_length=None, ids=True):
    subject = name(common)
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    build = (
        builder(subject, above.cert.subject if above else subject, key, start, end)
        .add_extension(x509.BasicConstraints(True, path_length), critical=True)
        .add_extension(usage, critical=True)
    )
    signing_key = above.key if above else key
    if ids:
        build = with_key_ids(build, key, signing_key)
    cert = build.sign(signing_key, hashes.SHA256())
    return Party(key, cert, [cert] + (above.chain if above else []))


def leaf(above, key, names=(HOST,), common=HOST, start=START, end=END, digest=hashes.SHA256(), usage="server",
         ids=True):
    subject = name(common)
    build = builder(subject, above.cert.subject if above else subject, key, start, end)
    build = build.add_extension(x509.BasicConstraints(False, None), critical=True)
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if usage == "server" else ExtendedKeyUsageOID.CLIENT_AUTH
    build = build.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    if names:
        build = build.add_extension(x509.SubjectAlternativeName([n if isinstance(n, x509.GeneralName) else x509.DNSName(n) for n in names]), critical=False)
    signing_key = above.key if above else key
    if ids:
        build = with_key_ids(build, key, signing_key)
    cert = build.sign(signing_key, digest)
    return Party(key, cert, [cert] + (above.chain if above else []))


def pem(certs):
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certs)


def key_pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def forged(party):
    """The same certificate with one bit of its signature turned."""
    der = bytearray(party.cert.public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    return x509.load_der_x509_certificate(bytes(der))


def unreadable(party):
    """The same certificate with a kind of key that nobody knows."""
    return party.cert.public_bytes(serialization.Encoding.DER).replace(b"\x2a\x86\x48\xce\x3d\x02\x01", b"\x2a\x86\x48\xce\x3d\x02\x7f")


def make(folder):
    def write(label, party, certs=None):
        certs = party.chain[:-1] if certs is None else certs
        (folder / f"{label}.pem").write_bytes(pem(certs))
        (folder / f"{label}.above.pem").write_bytes(pem(certs[1:]))
        (folder / f"{label}.key").write_bytes(key_pem(party.key))

    def write_root(label, party):
        (folder / f"{label}.pem").write_bytes(pem([party.cert]))

    root_ec = authority("Test Root EC", ec_key())
    root_rsa = authority("Test Root RSA", rsa_key())
    int_ec = authority("Test Intermediate EC", ec_key(), root_ec, path_length=0)
    int_rsa = authority("Test Intermediate RSA", rsa_key(), root_rsa)
    write_root("root-ec", root_ec)
    write_root("root-rsa", root_rsa)
    (folder / "roots.pem").write_bytes(pem([root_ec.cert, root_rsa.cert]))

    names = (HOST, "*.wild.example.test")
    good_ec = leaf(int_ec, ec_key(), names)
    write("ec", good_ec)
    write("rsa", leaf(int_rsa, rsa_key(), names))
    write("ec-second", leaf(int_ec, ec_key(), ("second.example.test",)))
    write("p384", leaf(int_ec, ec.generate_private_key(ec.SECP384R1())))
    write("with-root", good_ec, good_ec.chain)

    own = leaf(None, ec_key())
    write("self-signed", own, [own.cert])
    write("missing-intermediate", good_ec, [good_ec.cert])
    other_root = authority("Root That Nobody Holds", ec_key())
    stranger = leaf(authority("Its Intermediate", ec_key(), other_root), ec_key())
    write("untrusted-root", stranger, stranger.chain)
    write("untrusted-unsent", stranger)
    impostor_root = authority("Test Root EC", ec_key())
    impostor = leaf(impostor_root, ec_key())
    write("impostor", impostor, [impostor.cert])
    write("impostor-sent", impostor, impostor.chain)

    write("expired", leaf(int_ec, ec_key(), end=PAST))
    write("future", leaf(int_ec, ec_key(), start=FUTURE))
    write("expired-intermediate", leaf(authority("Old Intermediate", ec_key(), root_ec, end=PAST), ec_key()))
    old_root = authority("Test Root Expired", ec_key(), end=PAST)
    write_root("root-expired", old_root)
    write("expired-root", leaf(old_root, ec_key()))

    # Whether the roots, and the leaf, name their keys.
    for label, ids, leaf_ids in (("twin", True, True), ("bare-twin", False, False), ("half-twin", True, False),
                                 ("other-half-twin", False, True)):
        key = ec_key()
        twin = authority("Test Root " + label, key, ids=ids)
        write_root(f"root-{label}-old", authority("Test Root " + label, key, end=PAST, ids=ids))
        write_root(f"root-{label}-new", twin)
        write_root(f"root-{label}-future", authority("Test Root " + label, key, start=FUTURE, ids=ids))
        write_root(f"root-{label}-other", authority("Test Root " + label, ec_key(), ids=ids))
        (folder / f"root-{label}-unreadable.pem").write_text(ssl.DER_cert_to_PEM_cert(unreadable(twin)))
        write(label, leaf(twin, ec_key(), ids=leaf_ids))

    write("wrong-name", leaf(int_ec, ec_key(), ("other.example.test", "*.example.org")))
    write("kinds-of-names", leaf(int_ec, ec_key(), (
        x509.UniformResourceIdentifier("https://uri.example.test"), x509.RFC822Name("post@mail.example.test"), HOST,
        x509.IPAddress(ipaddress.ip_address("192.0.2.1")), x509.IPAddress(ipaddress.ip_address("2001:db8::1")))))
    # The bytes of 97.46.98.99, as other kinds of names.
    write("like-address", leaf(int_ec, ec_key(), ("a.bc", x509.UniformResourceIdentifier("a.bc"))))
    write("some-names", leaf(int_ec, ec_key(), [f"mail-{i}.customers.example.test" for i in range(40)] + [HOST]))
    write("no-san", leaf(int_ec, ec_key(), ()))
    write("weak-key", leaf(int_rsa, rsa_key(1024)))
    write("huge-key", leaf(int_rsa, rsa_key(4104)))
    write("weak-issuer", leaf(authority("Weak Intermediate", rsa_key(1024), root_rsa), ec_key()))
    write("weak-sha1", leaf(int_rsa, rsa_key(), digest=hashes.SHA1()))
    write("weak-sha1-direct", leaf(root_rsa, rsa_key(), digest=hashes.SHA1()))
    unheld = authority("Its Intermediate", rsa_key(), other_root)
    weak_stranger = leaf(unheld, rsa_key(), digest=hashes.SHA1())
    write("weak-stranger", weak_stranger, [weak_stranger.cert])
    write("client-only", leaf(int_ec, ec_key(), usage="client"))
    bad = leaf(int_ec, ec_key())
    write("bad-signature", bad, [forged(bad)] + bad.chain[1:-1])

    top = authority("Test Long 1", rsa_key(4096), root_rsa)
    middle = authority("Test Long 2", rsa_key(4096), top)
    write("long-rsa", leaf(authority("Test Long 3", rsa_key(4096), middle), rsa_key(), names))
    shuffled = leaf(authority("Test Last", ec_key(), authority("Test Middle", ec_key(), authority("Test First", ec_key(), root_ec))), ec_key())
    chain = shuffled.chain
    write("shuffled", shuffled, [chain[0], chain[3], chain[4], good_ec.chain[1], chain[2], chain[1]])
    write("many-names", leaf(int_rsa, rsa_key(), [f"mail-{i}.customers.example.test" for i in range(99)] + [HOST]))

    # What an authority issues to one box: a pair of its own, two certificates for that key, one for the next.
    first, following = ec_key(), ec_key()
    own = leaf(None, first, ("mail.office.example",))
    write("issued-0", own, [own.cert])
    for label, key, day, days in (("issued-1", first, 0, 45), ("issued-2", first, 30, 45), ("issued-3", following, 31, 45)):
        start = ISSUED + datetime.timedelta(days=day)
        write(label, leaf(int_ec, key, ("mail.office.example",), start=start, end=start + datetime.timedelta(days=days)))


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    make(target)
