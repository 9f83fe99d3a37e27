"""The ACME client's dialogue with pebble, which checks challenges over the lab's network."""

import base64
import contextlib
import http.server
import itertools
import json
import os
import socket
import subprocess
import tempfile
import threading
import time

import pytest
from cryptography import x509

from lab import net, pki
from lab.box import BUILD

NAME = "ca.example"
_addresses = itertools.count(1)
MAC_KEY = "an authority's mac key, which it gave on a page of its own"


def wait_port(ip, port, process):
    end = time.time() + 15
    while socket.socket().connect_ex((ip, port)):
        assert time.time() < end and process.poll() is None
        time.sleep(0.05)


@contextlib.contextmanager
def pebble(**env):
    """Pebble at its own address, checking http-01 on port 80."""
    ip = net.address(f"{net.PREFIX}.52.{next(_addresses)}")
    with tempfile.TemporaryDirectory() as folder:
        for name, text in zip(("chain.pem", "key.pem"), pki.good_ca().issue(NAME)):
            with open(f"{folder}/{name}", "w") as f:
                f.write(text)
        config = {"listenAddress": f"{ip}:14000", "managementListenAddress": f"{ip}:15000", "certificate": f"{folder}/chain.pem",
                  "privateKey": f"{folder}/key.pem", "httpPort": 80, "tlsPort": 443, "ocspResponderURL": "",
                  "externalAccountBindingRequired": env.pop("bind", False),
                  "externalAccountMACKeys": {"kid-1": base64.urlsafe_b64encode(MAC_KEY.encode()).decode().rstrip("=")}}
        with open(f"{folder}/config", "w") as f:
            json.dump({"pebble": config}, f)
        with open(f"{folder}/root.pem", "w") as f:
            f.write(pki.good_ca().root_pem)
        process = subprocess.Popen(["pebble", "-config", f"{folder}/config", "-dnsserver", f"{net.DNS}:53", "-strict"],
                                   env={**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0", "PEBBLE_WFE_NONCEREJECT": "0", **env},
                                   stdout=open(f"{folder}/log", "w"), stderr=subprocess.STDOUT)
        try:
            wait_port(ip, 14000, process)
            yield ip, folder
        finally:
            process.terminate()
            process.wait()


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
    """Runs the dialogue; its verdict, the chain's certificates, and the challenges it met."""
    ip, folder = where
    process = subprocess.Popen([f"{BUILD}/tests/programs/acme_issue", ip, "14000", f"{folder}/root.pem", f"https://{NAME}:14000/dir", *args],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    lines, met = [], []
    Tokens.known.clear()
    for line in process.stdout:
        if line.startswith("prepare "):
            _, kind, identifier, token, authorization = line.split()
            met.append((kind, identifier))
            if answer:
                Tokens.known[f"/.well-known/acme-challenge/{token}"] = authorization
            process.stdin.write("go\n")
            process.stdin.flush()
        elif not line.startswith("done "):
            lines.append(line)
    assert process.wait() == 0
    chain = "".join(lines[:-1])
    end = "-----END CERTIFICATE-----\n"
    certificates = [x509.load_pem_x509_certificate((part + end).encode()) for part in chain.split(end) if part.strip()]
    return json.loads(lines[-1]), certificates, met


def test_a_certificate_for_several_names(office_names):
    with pebble() as where:
        verdict, chain, met = issue(where, *office_names)
    assert verdict["rc"] == "ok", verdict
    assert sorted(i for _, i in met) == sorted(office_names)
    san = chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert sorted(san.get_values_for_type(x509.DNSName)) == sorted(office_names) and len(chain) >= 2
    assert verdict["connections"] == 1  # all over one kept connection


def test_rejected_nonces_are_tried_again(office_names):
    with pebble(PEBBLE_WFE_NONCEREJECT="50") as where:
        verdict, chain, _ = issue(where, office_names[0])
    assert verdict["rc"] == "ok" and chain, verdict


def test_an_account_bound_to_another(office_names):
    with pebble(bind=True) as where:
        assert "external account binding" in issue(where, office_names[0])[0]["why"]
        verdict, chain, _ = issue(where, office_names[0], "--bind", "kid-1", MAC_KEY)
        assert verdict["rc"] == "ok" and chain, verdict
        wrong, _, _ = issue(where, office_names[0], "--bind", "kid-1", "another key that is long enough, but not the one")
        assert wrong["rc"] == "refused" and wrong["problem"], wrong


def test_the_same_key_is_the_same_account(office_names, folder):
    with open(f"{folder}/account.key", "w") as f:
        f.write(pki.key_pem(pki.new_key()))
    with pebble(PEBBLE_AUTHZREUSE="100") as where:
        first, _, met = issue(where, office_names[0], "--key", f"{folder}/account.key")
        second, chain, again = issue(where, office_names[0], "--key", f"{folder}/account.key")
    assert first["account"] == second["account"] and chain and met and not again  # what was shown once is not asked again


def test_a_challenge_that_fails_says_why(office_names):
    with pebble() as where:
        verdict, chain, met = issue(where, office_names[0], answer=False)
    assert verdict["rc"] == "refused" and not chain and met
    assert "invalid" in verdict["why"] and ("404" in verdict["why"] or "expected" in verdict["why"]), verdict


def test_what_the_server_will_not_do(office_names):
    with pebble() as where:
        verdict, _, _ = issue(where, "nowhere.acme.example")
        assert verdict["rc"] == "refused" and "nowhere.acme.example" in verdict["why"], verdict
        verdict, _, _ = issue(where, office_names[0], "--type", "dns-account-99")
        assert verdict["rc"] == "unsupported", verdict
