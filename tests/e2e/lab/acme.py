"""An ACME authority whose every answer a test can script: what pebble lacks, and what no authority should do. It checks signatures, nonces and
addresses of all requests for real, asks for challenges as an outsider would, and certifies with a CA of its own."""

import base64
import collections
import datetime
import hashlib
import http.client
import ipaddress
import json
import os
import socket
import ssl
import time

from cryptography import exceptions, x509
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import ExtendedKeyUsageOID

from . import pki, web

ERROR = "urn:ietf:params:acme:error:"
ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")


def b64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def thumbprint(jwk):
    return b64(hashlib.sha256(json.dumps(jwk, sort_keys=True, separators=(",", ":")).encode()).digest())


def rfc3339(unix_s):
    return datetime.datetime.fromtimestamp(unix_s, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Problem(Exception):
    def __init__(self, status, kind, detail="", more=None, **fields):
        self.answer = Answer(status, {"type": ERROR + kind, "detail": detail, **(more or {})}, "application/problem+json", **fields)


class Answer:
    """body: bytes, or what becomes JSON. fields: Retry_After=5."""

    def __init__(self, status, body=b"", kind="application/json", **fields):
        self.status, self.fields = status, {"Content-Type": kind, **{k.replace("_", "-"): v for k, v in fields.items()}}
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()

    def head(self, length=True):
        lines = [f"HTTP/1.1 {self.status} x", *(f"{k}: {v}" for k, v in self.fields.items())]
        return "\r\n".join(lines + [f"Content-Length: {len(self.body)}"] * length + ["", ""]).encode()


# What may go wrong with an answer: a function of the connection and of make(), which does what the request asks and gives the answer that would
# be sent. True: the connection goes on.

def send(connection, answer, to_head=False):
    answer.fields.setdefault("Date", web.date(time.time()))
    connection.sendall(answer.head() + (b"" if to_head else answer.body))
    return True


def instead(status, body=b"", kind="application/json", **fields):
    """Another answer; the request is not looked at."""
    return lambda connection, make: send(connection, Answer(status, body, kind, **fields))


def problem(status, kind, detail="", more=None, **fields):
    return lambda connection, make: send(connection, Problem(status, kind, detail, more, **fields).answer)


def changed(change):
    """The right answer, after change(answer)."""
    def act(connection, make):
        answer = make()
        change(answer)
        return send(connection, answer)
    return act


def members(**new):
    """The right answer with other members; None takes one out."""
    def change(answer):
        body = {**json.loads(answer.body), **new}
        answer.body = json.dumps({k: v for k, v in body.items() if v is not None}).encode()
    return changed(change)


def body(replace):
    def change(answer):
        answer.body = replace(answer.body)
    return changed(change)


def kind(content_type):
    return changed(lambda answer: answer.fields.update({"Content-Type": content_type}))


def cut(after=None):
    """The connection ends: None: before the request is looked at; else behind so many bytes of the answer."""
    def act(connection, make):
        if after is not None:
            answer = make()
            connection.sendall((answer.head() + answer.body)[:after])
        connection.shutdown(socket.SHUT_RDWR)
        return False
    return act


def later(skip, act):
    """So many requests are answered as they should be, before it goes wrong."""
    left = [skip]

    def wait(connection, make):
        left[0] -= 1
        return act(connection, make) if left[0] < 0 else send(connection, make())
    return wait


def once(act):
    """Only the first request meets it."""
    left = [1]

    def one(connection, make):
        left[0] -= 1
        return act(connection, make) if left[0] == 0 else send(connection, make())
    return one


def raw(text):
    """These bytes, and the end of the connection."""
    def act(connection, make):
        connection.sendall(text)
        return False
    return act


def chunked(write):
    """write(body) gives the body as it goes out under Transfer-Encoding: chunked."""
    def act(connection, make):
        answer = make()
        answer.fields["Transfer-Encoding"] = "chunked"
        connection.sendall(answer.head(length=False) + write(answer.body))
        return True
    return act


def chunks(content, size=7):
    pieces = [content[i:i + size] for i in range(0, len(content), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


def drip(pause_s, count=1, head=False):
    """So few bytes at a time; of the head too, or of the body alone."""
    def act(connection, make):
        answer = make()
        whole, at = answer.head() + answer.body, 0 if head else len(answer.head())
        connection.sendall(whole[:at])
        while at < len(whole):
            connection.sendall(whole[at:at + count])
            at += count
            time.sleep(pause_s)
        return True
    return act


def silence(seconds):
    def act(connection, make):
        time.sleep(seconds)
        return False
    return act


class Authority(web.Web):
    """Endpoints have names: dir, nonce, account, acct, order (new), o, z, c, f, cert, key, revoke, renewal. faults: endpoint -> what goes wrong
    there, for as long as it stands there."""

    def __init__(self, ip, name, now=None, port=443):
        self.ca = pki.CA(f"Authority {ip}")
        self.cross = pki.CA(f"Cross {ip}")
        self.faults, self.script, self.scripted, self.asked = {}, [], False, collections.Counter()
        self.nonces, self.accounts, self.orders, self.authorizations = set(), {}, [], []
        self.certificates, self.replaced, self.revoked, self.refusals = [], set(), {}, []
        # what a test may change
        self.life_s = 90 * 86400
        self.profiles = {}  # name -> life in seconds
        self.challenges = ["http-01", "tls-alpn-01", "dns-01", "dns-persist-01"]
        self.addresses = {}  # name -> where its challenges are asked for
        self.txt = {}  # name -> TXT records, a set
        self.pending = 0  # how often an authorization is said to be pending before it is looked at
        self.processing = 0  # the same of an order
        self.retry_after = None  # with these
        self.reuse_authorizations = self.reuse_orders = False
        self.mac_keys = {}  # binding is required if there are any
        self.window = lambda cert: (cert["start"] + cert["life"] * 2 / 3, cert["start"] + cert["life"] * 2 / 3 + 3600)
        self.suggest_after = 6 * 3600
        super().__init__(ip, name, now=now, port=port)
        self.base = f"https://{name}" + (f":{port}" if port != 443 else "")
        self.directory = self.base + "/dir"

    # --- HTTP ---

    def _one(self, connection):
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(4096)
            if not piece:
                return False
            data += piece
        head, content = data.split(b"\r\n\r\n", 1)
        request = web.Request(head)
        while len(content) < int(request.headers.get("content-length", 0)):
            piece = connection.recv(4096)
            if not piece:
                return False
            content += piece
        self.requests.append(request)
        endpoint = request.path.split("?")[0].split("/")[1]
        if endpoint == "dir" and self.scripted:
            self.faults = self.script.pop(0) if self.script else {}
        self.asked[endpoint] += 1
        fault = self.faults.get(endpoint)
        make = lambda: self.answer_to(request, endpoint, content)  # noqa: E731
        return fault(connection, make) if fault else send(connection, make(), request.method == "HEAD")

    def play(self, script):
        """These faults, one dict a dialogue; then good behaviour."""
        self.script, self.scripted = list(script), True

    def answer_to(self, request, endpoint, content):
        parts = request.path.split("?")[0].strip("/").split("/")
        try:
            if request.method in ("GET", "HEAD") and endpoint in ("dir", "nonce", "renewal"):
                answer = getattr(self, f"get_{endpoint}")(*parts[1:])
            elif request.method == "POST" and hasattr(self, f"post_{endpoint}"):
                jws = self.open_jws(content, self.base + request.path, request.headers)
                answer = getattr(self, f"post_{endpoint}")(jws, *parts[1:])
            else:
                raise Problem(404, "malformed", f"nothing at {request.path}")
        except Problem as p:
            answer = p.answer
            self.refusals.append(json.loads(answer.body))
        if endpoint != "dir":
            answer.fields["Replay-Nonce"] = self.new_nonce()
        answer.fields.update({"Date": web.date(self.unix()), "Link": f'<{self.directory}>;rel="index"' +
                              (", " + answer.fields["Link"] if "Link" in answer.fields else "")})
        return answer

    def new_nonce(self):
        nonce = b64(os.urandom(16))
        self.nonces.add(nonce)
        return nonce

    # --- signatures ---

    def verify(self, jwk, jws):
        x, y = (int.from_bytes(unb64(jwk[c]), "big") for c in "xy")
        if jwk["kty"] != "EC" or jwk["crv"] != "P-256" or len(unb64(jws["signature"])) != 64:
            raise Problem(400, "badPublicKey", "not P-256")
        raw = unb64(jws["signature"])
        der = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        try:
            ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key().verify(
                der, f"{jws['protected']}.{jws['payload']}".encode(), ec.ECDSA(hashes.SHA256()))
        except exceptions.InvalidSignature:
            raise Problem(403, "malformed", "the signature is wrong") from None

    def open_jws(self, content, url, headers):
        if headers.get("content-type") != "application/jose+json":
            raise Problem(415, "malformed", "not application/jose+json")
        jws = json.loads(content)
        protected = json.loads(unb64(jws["protected"]))
        if protected["nonce"] not in self.nonces:
            raise Problem(400, "badNonce", "the nonce is none of ours")
        self.nonces.remove(protected["nonce"])
        if protected["alg"] != "ES256" or protected["url"] != url or ("jwk" in protected) == ("kid" in protected):
            raise Problem(403, "unauthorized", "the header is wrong")
        account = None
        if "kid" in protected:
            account = next((a for a in self.accounts.values() if a["url"] == protected["kid"]), None)
            if account is None:
                raise Problem(400, "accountDoesNotExist", f"no account {protected['kid']}")
            if account["status"] != "valid":
                raise Problem(401, "unauthorized", f"the account is {account['status']}")
        key = account["jwk"] if account else protected["jwk"]
        self.verify(key, jws)
        payload = unb64(jws["payload"])
        return {"account": account, "jwk": key, "payload": json.loads(payload) if payload else None}

    # --- directory, account ---

    def get_dir(self):
        meta = {"profiles": {p: "https://docs.example/" + p for p in self.profiles}, "externalAccountRequired": bool(self.mac_keys)}
        names = {"newNonce": "nonce", "newAccount": "account", "newOrder": "order", "revokeCert": "revoke", "keyChange": "key", "renewalInfo": "renewal"}
        return Answer(200, {**{k: f"{self.base}/{v}" for k, v in names.items()}, "meta": meta, "x": "https://community.example/unknown"})

    def get_nonce(self):
        return Answer(200, b"", Cache_Control="no-store")

    def check_binding(self, jws):
        binding = jws["payload"].get("externalAccountBinding")
        if not binding:
            raise Problem(403, "externalAccountRequired", "bind this account to yours")
        protected = json.loads(unb64(binding["protected"]))
        mac = hmac.HMAC(self.mac_keys.get(protected["kid"], b"?"), hashes.SHA256())
        mac.update(f"{binding['protected']}.{binding['payload']}".encode())
        try:
            mac.verify(unb64(binding["signature"]))
        except exceptions.InvalidSignature:
            raise Problem(403, "unauthorized", "the binding is wrong") from None
        if json.loads(unb64(binding["payload"])) != jws["jwk"] or protected["url"] != self.base + "/account":
            raise Problem(403, "unauthorized", "the binding is another's")

    def post_account(self, jws):
        known = self.accounts.get(thumbprint(jws["jwk"]))
        if known:
            if known["status"] != "valid":
                raise Problem(401, "unauthorized", f"the account is {known['status']}")
            return Answer(200, {"status": "valid"}, Location=known["url"])
        if jws["payload"].get("onlyReturnExisting"):
            raise Problem(400, "accountDoesNotExist", "no account with this key")
        if not jws["payload"].get("termsOfServiceAgreed"):
            raise Problem(403, "userActionRequired", "agree to the terms")
        if self.mac_keys:
            self.check_binding(jws)
        account = {"url": f"{self.base}/acct/{b64(os.urandom(6))}", "jwk": jws["jwk"], "status": "valid", "contact": jws["payload"].get("contact", [])}
        self.accounts[thumbprint(jws["jwk"])] = account
        return Answer(201, {"status": "valid"}, Location=account["url"])

    def post_acct(self, jws, _):
        if (jws["payload"] or {}).get("status") == "deactivated":
            jws["account"]["status"] = "deactivated"
        return Answer(200, {"status": jws["account"]["status"]})

    def post_key(self, jws):
        inner = jws["payload"]
        protected, payload = json.loads(unb64(inner["protected"])), json.loads(unb64(inner["payload"]))
        if protected["url"] != self.base + "/key" or "nonce" in protected or payload != {"account": jws["account"]["url"], "oldKey": jws["jwk"]}:
            raise Problem(400, "malformed", "this changes another key")
        self.verify(protected["jwk"], inner)
        new = thumbprint(protected["jwk"])
        if new in self.accounts:
            raise Problem(409, "malformed", "the new key has an account", Location=self.accounts[new]["url"])
        del self.accounts[thumbprint(jws["jwk"])]
        self.accounts[new] = {**jws["account"], "jwk": protected["jwk"]}
        return Answer(200, {"status": "valid"})

    # --- orders ---

    def view(self, order):
        keep = {k: order[k] for k in ("status", "identifiers", "finalize", "profile", "replaces", "error") if order.get(k)}
        answer = Answer(200, {**keep, "authorizations": [z["url"] for z in order["zs"]], "expires": rfc3339(self.unix() + 3600),
                              **({"certificate": f"{self.base}/cert/{order['cert']['n']}"} if order.get("cert") else {})}, Location=order["url"])
        return answer

    def new_authorization(self, account, identifier):
        for z in self.authorizations:
            if self.reuse_authorizations and z["account"] is account and z["identifier"] == identifier and z["status"] == "valid":
                return z
        n = len(self.authorizations)
        kinds = [k for k in self.challenges if identifier["type"] == "dns" or not k.startswith("dns-")]
        z = {"url": f"{self.base}/z/{n}", "account": account, "identifier": identifier, "status": "pending", "polls": self.pending, "challenges": [
            {"type": k, "url": f"{self.base}/c/{n}/{k}", "status": "pending",
             **({"issuer-domain-names": [self.name]} if k == "dns-persist-01" else {"token": b64(os.urandom(24))})} for k in kinds]}
        self.authorizations.append(z)
        return z

    def post_order(self, jws):
        p, account = jws["payload"], jws["account"]
        if p.get("profile") and p["profile"] not in self.profiles and self.profiles:
            raise Problem(400, "invalidProfile", f"no profile {p['profile']}")
        if p.get("replaces"):
            if p["replaces"] not in {c["id"] for c in self.certificates}:
                raise Problem(404, "malformed", "the certificate to be replaced is unknown")
            if p["replaces"] in self.replaced:
                raise Problem(409, "alreadyReplaced", "that certificate has its successor")
        for order in self.orders:
            if self.reuse_orders and order["account"] is account and order["identifiers"] == p["identifiers"] and order["status"] in ("pending", "ready"):
                return self.view(order)
        n = len(self.orders)
        order = {"url": f"{self.base}/o/{n}", "account": account, "identifiers": p["identifiers"], "status": "pending", "finalize": f"{self.base}/f/{n}",
                 "replaces": p.get("replaces"), "profile": p.get("profile") if self.profiles else None, "polls": self.processing,
                 "zs": [self.new_authorization(account, i) for i in p["identifiers"]]}
        self.orders.append(order)
        self.advance(order)
        answer = self.view(order)
        answer.status = 201
        return answer

    def advance(self, order):
        if order["status"] == "pending" and all(z["status"] == "valid" for z in order["zs"]):
            order["status"] = "ready"
        if order["status"] == "pending" and any(z["status"] == "invalid" for z in order["zs"]):
            order["status"] = "invalid"
        if order["status"] == "processing":
            order["polls"] -= 1
            if order["polls"] < 0:
                order["status"], order["cert"] = "valid", self.certify(order)

    def own(self, jws, things, n):
        if not n.isdigit() or int(n) >= len(things) or things[int(n)]["account"]["url"] != jws["account"]["url"]:
            raise Problem(404, "malformed", "there is none")
        return things[int(n)]

    def wait_fields(self, status):
        return {"Retry_After": self.retry_after} if self.retry_after is not None and status in ("pending", "processing") else {}

    def post_o(self, jws, n):
        order = self.own(jws, self.orders, n)
        self.advance(order)
        answer = self.view(order)
        answer.fields.update({k.replace("_", "-"): v for k, v in self.wait_fields(order["status"]).items()})
        return answer

    def post_f(self, jws, n):
        order = self.own(jws, self.orders, n)
        if order["status"] != "ready":
            raise Problem(403, "orderNotReady", f"the order is {order['status']}")
        csr = x509.load_der_x509_csr(unb64(jws["payload"]["csr"]))
        san = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        asked = sorted(san.get_values_for_type(x509.DNSName) + [str(i) for i in san.get_values_for_type(x509.IPAddress)])
        if not csr.is_signature_valid or asked != sorted(i["value"] for i in order["identifiers"]):
            raise Problem(400, "badCSR", f"the request is for {asked}")
        order.update(csr=csr, status="processing")
        return self.post_o(jws, n)

    # --- challenges ---

    def post_z(self, jws, n):
        z = self.own(jws, self.authorizations, n)
        started = next((c for c in z["challenges"] if c["status"] == "processing"), None)
        if started:
            z["polls"] -= 1
            if z["polls"] < 0:
                self.judge(z, started)
        return Answer(200, {k: z[k] for k in ("status", "identifier", "challenges")}, **self.wait_fields(z["status"]))

    def post_c(self, jws, n, kind):  # noqa: F811
        z = self.own(jws, self.authorizations, n)
        challenge = next(c for c in z["challenges"] if c["type"] == kind)
        if z["status"] != "pending" or jws["payload"] != {}:
            raise Problem(400, "malformed", f"the authorization is {z['status']}")
        challenge["status"] = "processing"
        return Answer(200, challenge, Link=f'<{z["url"]}>;rel="up"')

    def judge(self, z, challenge):
        name = z["identifier"]["value"]
        proof = f"{challenge.get('token')}.{thumbprint(z['account']['jwk'])}"
        try:
            wrong = getattr(self, "check_" + challenge["type"].replace("-", "_"))(name, challenge, proof, z["account"])
        except (OSError, http.client.HTTPException) as e:
            wrong = f"{name}: {e}"
        z["status"] = challenge["status"] = "invalid" if wrong else "valid"
        if wrong:
            challenge["error"] = {"type": ERROR + "unauthorized", "detail": wrong, "status": 403}

    def check_http_01(self, name, challenge, proof, account):
        connection = http.client.HTTPConnection(self.addresses.get(name, name), 80, timeout=5)
        connection.request("GET", "/.well-known/acme-challenge/" + challenge["token"], headers={"Host": name})
        answer = connection.getresponse()
        text = answer.read(1000).decode(errors="replace").strip()
        connection.close()
        return None if answer.status == 200 and text == proof else f"{name} answered {answer.status}, {text[:60]!r} instead of {proof!r}"

    def check_tls_alpn_01(self, name, challenge, proof, account):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["acme-tls/1"])
        try:
            sni = ipaddress.ip_address(name).reverse_pointer
        except ValueError:
            sni = name
        with socket.create_connection((self.addresses.get(name, name), 443), 5) as raw, context.wrap_socket(raw, server_hostname=sni) as tls:
            if tls.selected_alpn_protocol() != "acme-tls/1":
                return f"{name} does not speak acme-tls/1"
            cert = x509.load_der_x509_certificate(tls.getpeercert(True))
        want = b"\x04\x20" + hashlib.sha256(proof.encode()).digest()
        found = [e for e in cert.extensions if e.oid == ACME_IDENTIFIER]
        return None if found and found[0].critical and found[0].value.value == want else f"{name} shows another certificate"

    def check_dns_01(self, name, challenge, proof, account):
        want = b64(hashlib.sha256(proof.encode()).digest())
        return None if want in self.txt.get("_acme-challenge." + name, ()) else f"no TXT record with {want}"

    def check_dns_persist_01(self, name, challenge, proof, account):
        want = f"{self.name}; accounturi={account['url']}"
        return None if want in self.txt.get("_validation-persist." + name, ()) else f"no TXT record with {want}"

    # --- certificates ---

    def certify(self, order):
        now, key = self.unix(), order["csr"].public_key()
        life = self.profiles.get(order.get("profile"), self.life_s)
        names = [x509.DNSName(i["value"]) if i["type"] == "dns" else x509.IPAddress(ipaddress.ip_address(i["value"])) for i in order["identifiers"]]
        start = datetime.datetime.utcfromtimestamp(int(now) - 60)
        cert = (x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(self.ca.mid_name).public_key(key)
                .serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(start + datetime.timedelta(seconds=life))
                .add_extension(x509.SubjectAlternativeName(names), critical=True)
                .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
                .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.ca.mid_key.public_key()), critical=False)
                .sign(self.ca.mid_key, hashes.SHA256()))
        number = cert.serial_number
        aki = cert.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        serial = number.to_bytes(number.bit_length() // 8 + 1, "big")
        record = {"n": len(self.certificates), "cert": cert, "id": f"{b64(aki)}.{b64(serial)}", "start": now, "life": life,
                  "key": key, "account": order["account"], "profile": order.get("profile")}
        self.certificates.append(record)
        if order.get("replaces"):
            self.replaced.add(order["replaces"])
        return record

    def chains(self, record):
        """The usual one, and one whose intermediate another root has signed."""
        crossed = pki._build(self.ca.mid_name, self.cross.root.subject, self.ca.mid_key.public_key(), self.cross.root_key, True)
        return [pki.pem(record["cert"]) + pki.pem(mid) for mid in (self.ca.mid, crossed)]

    def post_cert(self, jws, n, alternate="0"):
        record = self.own(jws, self.certificates, n)
        chains = self.chains(record)
        if int(alternate) >= len(chains):
            raise Problem(404, "malformed", "no such chain")
        links = ", ".join(f'<{self.base}/cert/{n}/{i}>;rel="alternate"' for i in range(len(chains)) if i != int(alternate))
        return Answer(200, chains[int(alternate)].encode(), "application/pem-certificate-chain", Link=links)

    def post_revoke(self, jws):
        cert = x509.load_der_x509_certificate(unb64(jws["payload"]["certificate"]))
        record = next((c for c in self.certificates if c["cert"] == cert), None)
        if record is None:
            raise Problem(404, "malformed", "that certificate is not ours")
        numbers = record["key"].public_numbers()
        own = thumbprint({"crv": "P-256", "kty": "EC", "x": b64(numbers.x.to_bytes(32, "big")), "y": b64(numbers.y.to_bytes(32, "big"))})
        if jws["account"]["url"] != record["account"]["url"] if jws["account"] else thumbprint(jws["jwk"]) != own:
            raise Problem(403, "unauthorized", "that certificate is another's")
        if cert.serial_number in self.revoked:
            raise Problem(400, "alreadyRevoked", "that certificate is revoked")
        self.revoked[cert.serial_number] = jws["payload"].get("reason")
        return Answer(200)

    def get_renewal(self, identifier):
        record = next((c for c in self.certificates if c["id"] == identifier), None)
        if record is None:
            raise Problem(404, "malformed", "no such certificate")
        start, end = self.window(record)
        return Answer(200, {"suggestedWindow": {"start": rfc3339(start), "end": rfc3339(end)}, "explanationURL": "https://status.example/renew"},
                      Retry_After=self.suggest_after)

    def lose_accounts(self):
        self.accounts.clear()
