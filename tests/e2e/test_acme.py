"""The ACME client's dialogue with pebble, which checks challenges over the lab's network."""

import contextlib
import http.server
import itertools
import ssl
import threading
import urllib.request

import pytest
from cryptography import x509

from lab import ca, net, pki
from lab.acme_client import Dialogue
from lab.ca import MAC_KEY, NAME

_keys = itertools.count(1)


@contextlib.contextmanager
def pebble(**options):
    with ca.Pebble(**options) as server:
        yield server.ip, server.folder


class Tokens(http.server.BaseHTTPRequestHandler):
    known = {}

    def do_GET(self):
        answer = self.known.get(self.path)
        self.send_response(200 if answer else 404)
        self.end_headers()
        self.wfile.write((answer or "").encode())

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def office_names(names):
    """Three names of one web server that answers challenges."""
    ip = net.address(f"{net.PREFIX}.52.200")
    server = http.server.ThreadingHTTPServer((ip, 80), Tokens)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hosts = ["mail.acme.example", "mta-sts.acme.example", "www.acme.example"]
    for host in hosts:
        names.host(host, ip, reverse=False)
    yield hosts
    server.shutdown()
    server.server_close()


def issue(where, *args, answer=True):
    """Runs the dialogue."""
    ip, folder = where
    Tokens.known.clear()

    def prepare(kind, identifier, token, proof):
        if answer:
            Tokens.known[f"/.well-known/acme-challenge/{token}"] = proof
    return Dialogue(ip, 14000, f"{folder}/root.pem", f"https://{NAME}:14000/dir", *args, "--hurry", "5", prepare=prepare)


@pytest.fixture
def account_key(folder):
    path = f"{folder}/account{next(_keys)}.key"
    with open(path, "w") as f:
        f.write(pki.key_pem(pki.new_key()))
    return path


def test_a_certificate_for_several_names(office_names):
    with pebble() as where:
        got = issue(where, *office_names)
    assert got.verdict["rc"] == "ok", got.verdict
    assert sorted(i for _, i in got.met) == sorted(office_names)
    san = got.chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert sorted(san.get_values_for_type(x509.DNSName)) == sorted(office_names) and len(got.chain) >= 2
    assert got.verdict["connections"] == 1  # all over one kept connection


def test_rejected_nonces_and_sleeps(office_names):
    with pebble(PEBBLE_WFE_NONCEREJECT="50", PEBBLE_VA_NOSLEEP="0", PEBBLE_VA_SLEEPTIME="2") as where:
        got = issue(where, office_names[0])
    assert got.verdict["rc"] == "ok" and got.chain, got.verdict


def test_an_account_bound_to_another(office_names):
    with pebble(bind=True) as where:
        assert "external account binding" in issue(where, office_names[0]).verdict["why"]
        got = issue(where, office_names[0], "--bind", "kid-1", MAC_KEY)
        assert got.verdict["rc"] == "ok" and got.chain, got.verdict
        wrong = issue(where, office_names[0], "--bind", "kid-1", "another key that is long enough, but not the one").verdict
        assert wrong["rc"] == "refused" and wrong["problem"], wrong


def test_an_account_from_key_to_end(office_names, account_key, folder):
    """Known by its key; what was shown once is not asked again; another key; a revocation; closed."""
    new = f"{folder}/new.key"
    with open(new, "w") as f:
        f.write(pki.key_pem(pki.new_key()))
    with pebble(PEBBLE_AUTHZREUSE="100") as where:
        first, second = (issue(where, office_names[0], "--key", account_key) for _ in range(2))
        assert first.verdict["account"] == second.verdict["account"] and second.chain and first.met and not second.met
        with open(f"{folder}/revoke.pem", "w") as f:
            f.write(first.pem)
        assert issue(where, "--key", account_key, "--do", "revoke", f"{folder}/revoke.pem").verdict["rc"] == "ok"
        assert issue(where, "--key", account_key, "--do", "change-key", new).verdict["rc"] == "ok"
        assert issue(where, "--key", new, "--do", "find", "-").verdict["account"] == first.verdict["account"]
        assert issue(where, "--key", account_key, "--do", "find", "-").verdict["problem"] == "accountDoesNotExist"
        assert issue(where, "--key", new, "--do", "deactivate", "-").verdict["rc"] == "ok"
        assert issue(where, office_names[0], "--key", new).verdict["rc"] == "refused"


def test_an_account_that_the_server_lost(office_names, account_key):
    with pebble() as where:
        lost = issue(where, office_names[0], "--key", account_key).verdict["account"]
    with pebble() as where:
        got = issue(where, office_names[0], "--key", account_key, "--account", lost)
        assert got.verdict["rc"] == "ok" and got.chain and got.verdict["account"] != lost, got.verdict


def test_the_chain_that_is_wished_for(office_names):
    with pebble(PEBBLE_ALTERNATE_ROOTS="2") as where:
        context = ssl.create_default_context(cafile=f"{where[1]}/root.pem")
        context.check_hostname = False
        for n in (2, 0):
            with urllib.request.urlopen(f"https://{where[0]}:15000/roots/{n}", context=context) as f:
                root = x509.load_pem_x509_certificate(f.read())
            name = root.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
            got = issue(where, office_names[0], "--issuer", name)
            assert got.chain[-1].issuer == root.subject and not got.verdict["dropped"], got.verdict


def test_a_challenge_that_fails_says_why(office_names):
    with pebble() as where:
        got = issue(where, office_names[0], answer=False)
    assert got.verdict["rc"] == "refused" and not got.chain and got.met
    assert "invalid (unauthorized)" in got.verdict["why"] and ("404" in got.verdict["why"] or "expected" in got.verdict["why"]), got.verdict


def test_what_the_server_will_not_do(office_names):
    with pebble() as where:
        verdict = issue(where, "nowhere.acme.example").verdict
        assert verdict["rc"] == "refused" and "nowhere.acme.example" in verdict["why"], verdict
        verdict = issue(where, office_names[0], "--type", "dns-account-99").verdict
        assert verdict["rc"] == "unsupported", verdict
