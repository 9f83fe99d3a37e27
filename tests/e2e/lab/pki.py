"""Certificate authorities and certificates for every case: good, expired, wrong name, other root, RSA and ECDSA, with intermediates."""

import datetime
import functools

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LONG_AGO = datetime.datetime(2019, 1, 1)
FAR = datetime.datetime(2045, 1, 1)


def new_key(kind="ecdsa"):
    """kind: "ecdsa" (P-256), "p521", "rsa" (2048 bits) or "rsa-4096"."""
    if kind == "p521":
        return ec.generate_private_key(ec.SECP521R1())
    if kind == "ecdsa":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=int(kind.partition("-")[2] or 2048))


def _name(cn):
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Lab"), x509.NameAttribute(NameOID.COMMON_NAME, cn)])


def _build(subject, issuer, public, signer, ca, names=(), start=LONG_AGO, end=FAR):
    b = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public)
         .serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(end)
         .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True))
    if ca:
        b = b.add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), critical=True)
    else:
        b = b.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    if names:
        b = b.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    return b.sign(signer, hashes.SHA256())


def pem(cert):
    return cert.public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


class CA:
    """A root with one intermediate."""

    def __init__(self, cn, kind="ecdsa"):
        self.root_key, self.mid_key = new_key(kind), new_key(kind)
        root, mid = _name(cn + " Root"), _name(cn + " Intermediate")
        self.mid_name = mid
        self.root = _build(root, root, self.root_key.public_key(), self.root_key, True)
        self.mid = _build(mid, root, self.mid_key.public_key(), self.root_key, True)

    def issue(self, *names, kind="ecdsa", start=LONG_AGO, end=FAR, with_intermediate=True, cn=None, key=None):
        """(chain PEM, key PEM) for the given dNSNames; with a new key if none is given."""
        key = key or new_key(kind)
        leaf = _build(_name(cn or (names[0] if names else "nameless")), self.mid_name, key.public_key(), self.mid_key, False, names, start, end)
        return pem(leaf) + (pem(self.mid) if with_intermediate else ""), key_pem(key)

    @property
    def root_pem(self):
        return pem(self.root)


def self_signed(*names, kind="ecdsa", key=None):
    key = key or new_key(kind)
    name = _name(names[0])
    return pem(_build(name, name, key.public_key(), key, False, names)), key_pem(key)


@functools.lru_cache(maxsize=None)
def _good_ca(kind):
    return CA(f"Lab {kind}", kind)


def good_ca(kind="ecdsa"):
    """The authority whose root the box trusts."""
    return _good_ca(kind)


@functools.lru_cache(maxsize=None)
def strange_ca():
    return CA("Stranger")


def trusted_roots():
    return good_ca("ecdsa").root_pem + good_ca("rsa").root_pem
