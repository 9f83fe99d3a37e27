"""Ports 80 and 443: redirects, the box's own TLS, names that are passed on, and clients that mean no good."""

import datetime
import ipaddress
import os
import re
import select
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lab import acme, ca, client, net, pki
from lab.wait import until
from lab.web import Nginx, Web

OWN = "mail.office.example"
FORWARDED, OTHER = "www.office.example", "shop.office.example"
INSIDE, SILENT = net.PREFIX + ".1.80", net.PREFIX + ".1.81"
_source = [0]


def source():
    """An outside address that no other connection here uses."""
    _source[0] += 1
    return net.address(f"10.77.{40 + _source[0] // 250}.{_source[0] % 250 + 1}")


@pytest.fixture(scope="module")
def inside():
    """The office's own web servers, behind the box."""
    nginx = Nginx(INSIDE, FORWARDED)
    yield nginx
    nginx.stop()


@pytest.fixture(scope="module")
def box(make_box, board, office, inside):
    box = make_box(board=board, cert=pki.good_ca().issue(OWN), settings={
        f"web.forward.{FORWARDED}": f"{INSIDE}:443", f"web.forward.{OTHER}": f"{net.address(SILENT)}:8443"})
    yield box
    assert box.json("status")["reset"] == "power-on"
    assert "Sanitizer" not in box.errors()
    box.stop()


def connect(box, port=80, at=None, timeout=60):
    return socket.create_connection((box.ip, port), timeout, source_address=(at or source(), 0))


def rest(sock):
    """What still comes, up to the end."""
    got = b""
    while piece := sock.recv(65536):
        got += piece
    return got


def ask(box, request, port=80, at=None):
    """(status, fields, body) of the answer, after which the box ends the connection."""
    with connect(box, port, at) as s:
        s.sendall(request)
        return split(rest(s))


def split(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    assert first.startswith("HTTP/1.1 "), answer
    fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    assert (fields["connection"], fields["x-content-type-options"]) == ("close", "nosniff")
    return int(first.split()[1]), fields, body


def trusting():
    return ssl.create_default_context(cadata=pki.good_ca().root_pem)


# --- Port 80


def test_everything_leads_to_https(box):
    status, fields, body = ask(box, b"GET /a/b?c=d%20e HTTP/1.1\r\nHost: Mail.Office.Example:80\r\n\r\n")
    assert (status, fields["location"]) == (301, "https://Mail.Office.Example/a/b?c=d%20e")
    assert len(body) == int(fields["content-length"]) > 0
    status, fields, body = ask(box, b"HEAD / HTTP/1.0\r\nHost: " + OWN.encode() + b"\r\n\r\n")
    assert (status, fields["location"], body) == (301, f"https://{OWN}/", b"")
    status, fields, _ = ask(box, b"POST /form HTTP/1.1\r\nHost: " + OWN.encode() + b"\r\nContent-Length: 3\r\n\r\nabc")
    assert (status, fields["location"]) == (308, f"https://{OWN}/form"), "a form is to come again as one"
    status, fields, _ = ask(box, b"GET http://10.77.0.2/x HTTP/1.1\r\nHost: else.example\r\n\r\n")
    assert (status, fields["location"]) == (301, "https://10.77.0.2/x")
    status, fields, _ = ask(box, b"GET / HTTP/1.1\r\nHost: [2001:db8:77::2]\r\n\r\n")
    assert (status, fields["location"]) == (301, "https://[2001:db8:77::2]/")


def test_no_such_challenge(box):
    assert ask(box, b"GET /.well-known/acme-challenge/nothing HTTP/1.1\r\nHost: " + OWN.encode() + b"\r\n\r\n")[0] == 404
    assert ask(box, b"GET /.well-known/acme-challenge/ HTTP/1.1\r\nHost: " + OWN.encode() + b"\r\n\r\n")[0] == 404


@pytest.mark.boards("posix")
@pytest.mark.parametrize("request_, status", [
    (b"GET / HTTP/1.1\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n", 400), (b"\x16\x03\x01\x02\x00\x01", 400),
    (b"\x00" * 3000, 400), (b"GET /\r\n\r\n", 400), (b"GET / HTTP/2.0\r\n\r\n", 505), (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", 400), (b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a.example/../x\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431),
    (b"GET /" + b"a" * 40000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 431), (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 40000, 431),
    (b"GET /\r\nLocation: https://evil.example HTTP/1.1\r\nHost: a\r\n\r\n", 400)],
    ids=lambda value: repr(value)[:24])
def test_bad_requests_get_a_short_answer(box, request_, status):
    got, fields, body = ask(box, request_)
    assert got == status and len(body) < 100 and "location" not in fields


def test_pipelined_requests_get_one_answer(box):
    one = b"GET /1 HTTP/1.1\r\nHost: " + OWN.encode() + b"\r\n\r\n"
    status, fields, body = ask(box, one * 20)
    assert (status, fields["location"]) == (301, f"https://{OWN}/1") and b"HTTP" not in body


def test_a_head_in_drops(box):
    with connect(box) as s:
        for c in b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n":
            s.sendall(bytes([c]))
            time.sleep(0.01)
        assert split(rest(s))[0] == 301


@pytest.mark.boards("posix")
def test_who_says_nothing_is_never_served(box):
    """And leaves soon, before one whose request does not end."""
    slow, began = connect(box), time.time()
    slow.sendall(b"GET / HTTP/1.1\r\n")
    crowd = [connect(box, port) for port in (80, 443) for _ in range(6)]
    connected = time.time()
    until(lambda: open_sessions(box) == 1, 5)
    assert ask(box, b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")[0] == 301
    assert open_sessions(box) <= 1
    for s in crowd:
        with pytest.raises(ConnectionError):
            s.recv(1)
    assert time.time() - began > 2 and time.time() - connected < 30
    if time.time() - began < 9:
        assert not select.select([slow], [], [], 0)[0]
    assert split(rest(slow))[0] == 408
    assert 9 < time.time() - began < 45


# --- Port 443


def secure(box, name=OWN, context=None, alpn=None):
    context = context or trusting()
    if alpn:
        context.set_alpn_protocols(alpn)
    return context.wrap_socket(connect(box, 443), server_hostname=name)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_box_itself(box, version):
    context = trusting()
    context.maximum_version = context.minimum_version = version
    with secure(box, context=context, alpn=["h2", "http/1.1"]) as s:
        assert s.selected_alpn_protocol() == "http/1.1"
        s.sendall(b"GET / HTTP/1.1\r\nHost: " + OWN.encode() + b"\r\n\r\n")
        status, fields, body = split(rest(s))
        assert status == 404 and len(body) == int(fields["content-length"])


def test_other_clients_of_443(box):
    with secure(box) as s:
        s.sendall(b"nonsense\r\n\r\n")
        assert split(rest(s))[0] == 400
    with secure(box) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 5000)
        assert split(rest(s))[0] == 431
    assert ask(box, b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", port=443)[0] == 400
    for alpn in (["acme-tls/1"], ["h2"]):
        with pytest.raises(ssl.SSLError, match="no application protocol|NO_APPLICATION_PROTOCOL"):
            secure(box, alpn=alpn)


def hello_of(name, alpn=()):
    """A real client's hello, and the objects that sent it."""
    context = client.unverified()
    if alpn:
        context.set_alpn_protocols(alpn)
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(into, out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return out.read(), into, out, tls


def finish(s, into, out, tls):
    """Ends a handshake whose hello has gone out; the leaf that was shown."""
    while True:
        try:
            tls.do_handshake()
            s.sendall(out.read())
            return tls.getpeercert(binary_form=True)
        except ssl.SSLWantReadError:
            if out.pending:
                s.sendall(out.read())
            into.write(s.recv(65536))


def in_records(hello, size):
    body = hello[5:]
    return b"".join(b"\x16\x03\x01" + struct.pack(">H", len(body[i:i + size])) + body[i:i + size] for i in range(0, len(body), size))


@pytest.mark.parametrize("name", [OWN, FORWARDED])
def test_a_hello_in_pieces(box, inside, name):
    """Split over records, and sent byte by byte: it goes where it should, and the handshake ends well."""
    hello, *parts = hello_of(name)
    hello = in_records(hello, 100) if name == OWN else hello
    with connect(box, 443) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(hello), 7):
            s.sendall(hello[at:at + 7])
            time.sleep(0.002)
        leaf = ssl.DER_cert_to_PEM_cert(finish(s, *parts))
    with open(f"{(box if name == OWN else inside).folder}/chain.pem") as f:
        assert leaf.strip() in f.read()


# --- Names that are passed on


def get(box, path, name=FORWARDED, **kw):
    with secure(box, name) as s:
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        head, _, body = rest(s).partition(b"\r\n\r\n")
        return int(head.split()[1]), body


def test_a_name_goes_to_nginx_untouched(box, inside):
    blob = os.urandom(1_500_000)
    with open(f"{inside.folder}/www/blob-{box.board}", "wb") as f:
        f.write(blob)
    assert get(box, f"/blob-{box.board}") == (200, blob)
    assert get(box, "/nothing")[0] == 404
    out = subprocess.run(["openssl", "s_client", "-connect", f"{box.ip}:443", "-servername", FORWARDED.upper(), "-brief"], input=b"",
                         capture_output=True, timeout=60, check=False).stderr
    assert FORWARDED.encode() in out


def test_its_port_80_goes_there_too(box):
    """With unknown ACME tokens, for that server may have certificates of its own."""
    plain = Plain(INSIDE)
    try:
        for path in ("/", "/.well-known/acme-challenge/theirs"):
            request = f"GET {path} HTTP/1.1\r\nHost: {FORWARDED}\r\nX: \xff\r\n\r\n".encode("latin-1")
            with connect(box) as s:
                s.sendall(request)
                s.shutdown(socket.SHUT_WR)
                assert rest(s) == b"I got " + request
    finally:
        plain.stop()


class Plain:
    """Says what it got, when the client has ended."""

    def __init__(self, ip, port=80, slow=False):
        self.sock, self.slow, self.begun, self.ends = socket.create_server((net.address(ip), port)), slow, 0, []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                s, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        with s:
            try:
                got = b""
                while piece := s.recv(1000 if self.slow else 65536):
                    self.begun += not got
                    got += piece
                    if self.slow and len(got) < 40000:
                        time.sleep(0.01)
                self.ends.append(("end", len(got)))
                s.sendall(b"I got " + got)
            except OSError as e:
                self.ends.append((type(e).__name__, len(got)))

    def stop(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


def to_other(box, extra=b""):
    s = connect(box, 443)
    hello = hello_of(OTHER)[0]
    s.sendall(hello + extra)
    return s, hello


def test_both_ends_close_by_themselves(box):
    """A half-closed connection still carries the other direction, with every byte, whoever is the slower."""
    server = Plain(SILENT, 8443, slow=True)
    try:
        s, hello = to_other(box)
        blob = os.urandom(200_000)
        threading.Thread(target=lambda: (s.sendall(blob), s.shutdown(socket.SHUT_WR)), daemon=True).start()
        assert rest(s) == b"I got " + hello + blob
        s.close()
        assert server.ends == [("end", len(hello + blob))]
    finally:
        server.stop()


def test_a_reset_is_passed_on(box):
    server = Plain(SILENT, 8443)
    try:
        s, _ = to_other(box)
        until(lambda: server.begun)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
        assert until(lambda: server.ends)[0][0] == "ConnectionResetError"
    finally:
        server.stop()


def test_nobody_inside(box):
    """443 is reset, 80 says so; and the log names the host."""
    s, _ = to_other(box)
    with pytest.raises(ConnectionError):
        assert s.recv(1)
    status, _, body = ask(box, f"GET / HTTP/1.1\r\nHost: {OTHER}\r\n\r\n".encode())
    assert status == 502 and b"behind" in body
    box.wait_log(f"inside-unreachable host={SILENT} port=8443 rc=refused")


def test_the_setting_is_checked(box):
    for value in ("", "host:0", "host:x", "a b", "10.0.0.1:99999"):
        assert "error:" in box.console(f"set web.forward.x.example {value}")
    assert "error:" in box.console("set web.forward.not_a/name 10.0.0.1")
    box.console("discard")
    box.set(**{"web.forward.later.example": "10.77.1.80"})
    assert FORWARDED.encode() in get_leaf(box, "later.example"), "a setting takes effect at once"
    box.console("unset web.forward.later.example")
    box.console("commit")


def get_leaf(box, name):
    with client.unverified().wrap_socket(connect(box, 443), server_hostname=name) as s:
        return s.getpeercert(binary_form=True)


# --- Challenges, checked by a real authority


ACME_BOX = f"{net.PREFIX}.0.3"
ACME_NAME, ACME_SECOND = "mx.office.example", "web.office.example"


class Strict(acme.Authority):
    """Looks at a tls-alpn-01 certificate as RFC 8737 section 3 and RFC 8738 have it, and at what else the box shows meanwhile."""

    def check_tls_alpn_01(self, name, challenge, proof, account):
        sni, address = name, re.fullmatch(r"[0-9.]+", name)
        if address:
            sni = ipaddress.ip_address(name).reverse_pointer
        try:
            with secure(self.box, sni, client.unverified(), ["acme-tls/1"]) as s:
                assert s.selected_alpn_protocol() == "acme-tls/1"
                leaf = x509.load_der_x509_certificate(s.getpeercert(binary_form=True))
                assert rest(s) == b"", "the handshake is all"
            kind = x509.IPAddress(ipaddress.ip_address(name)) if address else x509.DNSName(name)
            assert leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value == x509.SubjectAlternativeName([kind])
            leaf.public_key().verify(leaf.signature, leaf.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
            assert isinstance(leaf.public_key().curve, ec.SECP256R1) and leaf.issuer == leaf.subject
            for other, alpn in ((OWN, ["acme-tls/1"]), (sni, ["h2"])):
                with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
                    secure(self.box, other, client.unverified(), alpn)
            with secure(self.box, sni, client.unverified(), ["http/1.1"] if not address else None) as s:
                assert s.getpeercert(binary_form=True) != leaf.public_bytes(serialization.Encoding.DER)
            self.strict.append(name)
        except Exception as e:  # it must not end the authority's thread
            return repr(e)
        return super().check_tls_alpn_01(name, challenge, proof, account)

    def check_http_01(self, name, challenge, proof, account):
        path = f"/.well-known/acme-challenge/{challenge['token']}"
        for method in ("GET", "HEAD"):
            status, fields, body = ask(self.box, f"{method} {path} HTTP/1.1\r\nHost: {name}:80\r\n\r\n".encode())
            if (status, fields["content-type"], body) != (200, "application/octet-stream", proof.encode() if method == "GET" else b""):
                return f"{method} gave {status} {fields} {body}"
        others = [ask(self.box, f"{method} {path}{more} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())[0]
                  for method, more, host in (("GET", "", "else.example"), ("GET", "x", name), ("GET", "?", name), ("POST", "", name))]
        if others != [404, 404, 404, 308]:
            return f"others got {others}"
        self.strict.append(name)
        return super().check_http_01(name, challenge, proof, account)


def acme_box(make_box, board, names, authority, **settings):
    names.host(ca.NAME, authority.ip, reverse=False)
    for name in (ACME_NAME, ACME_SECOND):
        names.host(name, ACME_BOX, reverse=False)
    rtc = datetime.datetime.utcnow().strftime("%Y-%m-%dT%H:%M:%SZ")
    return make_box(board=board, rtc=rtc, settings={"host.name": ACME_NAME, "net.address": f"{ACME_BOX}/16", **settings})


def renew(box, count):
    assert "asked for" in box.console("cert renew")
    return box.wait_log(r"cert issued .*(\n.*)*" * count, 120)


@pytest.mark.boards("posix")
def test_what_an_authority_sees(board, make_box, names):
    authority = Strict(f"{net.PREFIX}.52.101", ca.NAME)
    authority.addresses, authority.strict = {ACME_NAME: ACME_BOX}, []
    box = authority.box = acme_box(make_box, board, names, authority, **{"acme.directory": authority.directory, "acme.names": ACME_BOX})
    try:
        renew(box, 1)
        assert sorted(authority.strict) == [ACME_BOX, ACME_NAME]
        box.set(acme__challenge="tls-alpn-01")
        renew(box, 2)
        assert sorted(authority.strict) == [ACME_BOX] * 2 + [ACME_NAME] * 2
        with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
            secure(box, ACME_NAME, client.unverified(), ["acme-tls/1"])
        assert "Sanitizer" not in box.errors()
    finally:
        box.stop()
        authority.stop()


@pytest.mark.boards("virt")
def test_pebble_checks_both_ways(board, make_box, names):
    """The second name is passed on otherwise; its challenges are ours all the same."""
    with ca.Pebble() as pebble:
        box = acme_box(make_box, board, names, pebble, **{
            "acme.directory": pebble.url, "acme.names": ACME_SECOND, f"web.forward.{ACME_SECOND}": net.address(SILENT)})
        try:
            renew(box, 1)
            box.set(acme__challenge="tls-alpn-01")
            renew(box, 2)
            for kind in ("http-01", "tls-alpn-01"):
                for name in (ACME_NAME, ACME_SECOND):
                    assert f"cert challenge-shown type={kind} name={name}" in box.log(400)
            with secure(box, ACME_NAME, ssl.create_default_context(cadata=pebble.root())):
                pass
            assert "Sanitizer" not in box.errors()
        finally:
            box.stop()


# --- Mail goes first


def hold(box, at, stop):
    """Keeps web connections open in every way there is, from one address, and comes again when one ends."""
    openings = [b"GET / HT", b"\x16\x03\x01", hello_of(OWN)[0][:60], hello_of(OTHER)[0], hello_of(OWN)[0], b""]
    held = []
    while not stop.is_set():
        for n, opening in enumerate(openings):
            try:
                s = connect(box, 80 if opening.startswith(b"GET") else 443, at, timeout=0.5)
                s.sendall(opening)
                held.append(s)
            except OSError:
                pass
        stop.wait(0.5)
        for s in held[:-12]:
            s.close()
        del held[:-12]
    for s in held:
        s.close()


def open_sessions(box):
    return box.json("status")["sessions"]


def half_request(box, at=None):
    """A session that the web keeps for as long as a head may take, or until another needs its slot."""
    s = connect(box, at=at)
    s.sendall(b"GET / HTTP/1.1\r\n")
    return s


@pytest.mark.boards("posix")
def test_the_web_has_its_share_of_the_slots(box):
    crowd = [half_request(box, at) for at in (source(), source()) for _ in range(6)]
    until(lambda: open_sessions(box) == 8, 5)
    for _ in range(5):
        time.sleep(0.2)
        assert open_sessions(box) == 8
    for s in crowd:
        s.close()


@pytest.mark.boards("mps2-an500")
def test_a_slot_stays_free_for_mail(box):
    """There are three. When mail has two, a third mail session takes the web's; beside one mail session the web has one."""
    first, web, second = client.Raw(box), half_request(box), client.Raw(box)
    time.sleep(2.1)  # now any of them may give way, and the first has been idle for the longest
    third = client.Raw(box, source=source())
    for s in (first, second, third):
        assert s.ask("NOOP")[0] == 250
    for s in (web, second, third):
        s.close()
    until(lambda: open_sessions(box) == 1)
    web, late = half_request(box), connect(box, timeout=1)
    late.sendall(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
    with pytest.raises(TimeoutError):
        late.recv(1)
    second = client.Raw(box)
    until(lambda: open_sessions(box) == 3, 5)
    for s in (first, second, web, late):
        s.close()


@pytest.mark.boards("mps2-an500")
def test_mail_is_taken_while_the_web_is_besieged(box, office):
    server, stop = Plain(SILENT, 8443), threading.Event()
    crowd = [threading.Thread(target=hold, args=(box, source(), stop), daemon=True) for _ in range(12)]
    for t in crowd:
        t.start()
    try:
        time.sleep(2)
        longest = 0
        for n in range(6):
            started = time.time()
            client.send(box, "someone@sender.example", "anna@office.example", client.mail(f"besieged-{box.board}-{n}"), timeout=60)
            longest = max(longest, time.time() - started)
        print(f"{box.board}: the slowest of six mails took {longest:.1f} s")
        assert longest < 45
    finally:
        stop.set()
        for t in crowd:
            t.join()
        server.stop()
    office.wait_for(f"Subject: besieged-{box.board}-5")
    assert ask(box, b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")[0] == 301
