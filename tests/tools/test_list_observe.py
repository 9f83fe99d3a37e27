"""postern-list observe against a real DNS server (nsd) and a scripted HTTPS server, over days that --now makes pass."""

import datetime
import json
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "build/tools/postern-list"

ENFORCE = {"mode": "enforce", "mxs": ["mx.example.com", ".example.net"]}
START = datetime.datetime(2026, 3, 1, 3, 0, tzinfo=datetime.timezone.utc)


def body(mode="enforce", mx=("mx.example.com", "*.example.net"), max_age=604800):
    return "".join([f"version: STSv1\nmode: {mode}\nmax_age: {max_age}\n", *(f"mx: {m}\n" for m in mx)]).encode()


class Certificates:
    def __init__(self, folder):
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Trial Root")])
        self.contexts, self.lock = {}, threading.Lock()
        root = self.build(self.name, self.key, 2020, 2040).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.pem = folder / "root.pem"
        self.pem.write_bytes(root.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def build(self, subject, key, first, last):
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key.public_key())
                .serial_number(x509.random_serial_number()).not_valid_before(datetime.datetime(first, 1, 1))
                .not_valid_after(datetime.datetime(last, 1, 1)))

    def context(self, host, last=2040):
        with self.lock:
            return self._context(host, last)

    def _context(self, host, last):
        if (host, last) not in self.contexts:
            key = ec.generate_private_key(ec.SECP256R1())
            cert = (self.build(x509.Name([]), key, 2020, last)
                    .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=True).sign(self.key, hashes.SHA256()))
            path = self.folder / f"{host}-{last}.pem"
            path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
                             + cert.public_bytes(serialization.Encoding.PEM))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(path)
            self.contexts[host, last] = context
        return self.contexts[host, last]


class PolicyServer:
    """HTTPS on a port of its own; a domain's script says which certificate it shows and what it answers."""

    def __init__(self, certificates):
        self.certificates = certificates
        self.scripts, self.asked, self.open, self.most = {}, [], 0, 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(plain,), daemon=True).start()

    def serve(self, plain):
        try:
            self.talk(plain)
        except (OSError, ValueError):  # ssl.SSLError is an OSError; a closed connection, a ValueError
            pass
        finally:
            plain.close()

    def talk(self, plain):
        plain.settimeout(20)
        asked = []

        def choose(connection, host, _):
            asked.append(host)
            script = self.scripts[host.removeprefix("mta-sts.")]
            connection.context = self.certificates.context(script.get("cert", host), script.get("last", 2040))

        outer = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # without a certificate: the name that is asked for brings its own
        outer.sni_callback = choose
        connection = outer.wrap_socket(plain, server_side=True)
        head = b""
        while b"\r\n\r\n" not in head:
            more = connection.recv(4096)
            if not more:
                return
            head += more
        domain = asked[0].removeprefix("mta-sts.")
        self.asked.append((domain, head.split(b"\r\n")[0].decode()))
        self.answer(connection, self.scripts[domain])
        connection.unwrap()

    def answer(self, connection, script):
        text = script.get("body", b"")
        type_ = script.get("type", "text/plain; charset=utf-8")
        if script.get("reset"):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
            return
        extra = f"Location: {script['location']}\r\n" if "location" in script else ""
        connection.sendall(f"HTTP/1.1 {script.get('status', '200 OK')}\r\nContent-Type: {type_}\r\n{extra}".encode())
        if script.get("endless"):
            connection.sendall(b"\r\n" + text)
            for _ in range(100):
                connection.sendall(b"x: " + b"y" * 4000 + b"\n")
        elif script.get("drip"):
            connection.sendall(f"Content-Length: {len(text)}\r\n\r\n".encode())
            for byte in text:
                connection.sendall(bytes([byte]))
                time.sleep(0.2)
        else:
            with self.lock:
                self.open += 1
                self.most = max(self.most, self.open)
            time.sleep(script.get("wait", 0))
            with self.lock:
                self.open -= 1
            connection.sendall(f"Content-Length: {len(text)}\r\n\r\n".encode() + text)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)  # else the thread in accept() keeps it open, and another may get its port
        self.listener.close()


class Names:
    """nsd on a port of its own: the zone example. with what is given, and a zone that answers SERVFAIL for ever."""

    def __init__(self, folder):
        self.folder, self.process = folder, None

    def serve(self, lines):
        """A new server with a new zone; somebody else may take the port before nsd does."""
        for _ in range(5):
            if self.start(lines):
                return
        raise RuntimeError((self.folder / "log").read_text())

    def start(self, lines):
        self.stop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        (self.folder / "zone").write_text("$ORIGIN example.\n$TTL 60\n@ SOA ns. hostmaster. 1 3600 600 86400 60\n@ NS ns.\n" + "\n".join(lines) + "\n")
        conf = self.folder / "nsd.conf"
        conf.write_text(f"""server:
  ip-address: 127.0.0.1@{self.port}
  username: ""
  zonesdir: "{self.folder}"
  database: ""
  pidfile: "{self.folder}/pid"
  xfrdfile: "{self.folder}/xfrd"
  zonelistfile: "{self.folder}/zonelist"
  xfrdir: "{self.folder}"
  logfile: "{self.folder}/log"
  server-count: 1
remote-control:
  control-enable: no
zone:
  name: example
  zonefile: zone
zone:
  name: broken.test
  zonefile: none
  request-xfr: 127.0.0.1@1 NOKEY
""")
        subprocess.run(["nsd-checkzone", "example", self.folder / "zone"], check=True, stdout=subprocess.DEVNULL)
        self.process = subprocess.Popen(["nsd", "-d", "-c", conf], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self.process.poll() is None:
            dig = subprocess.run(["dig", "+short", "+tries=1", "+time=1", f"@127.0.0.1", "-p", str(self.port), "example", "SOA"],
                                 capture_output=True, text=True)
            if "hostmaster" in dig.stdout:
                return True
            time.sleep(0.05)
        return False

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None


class Lossy:
    """The way to the name server, on which the first question is lost."""

    def __init__(self, port):
        self.upstream, self.lost, self.passed = ("127.0.0.1", port), 0, 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            question, peer = self.socket.recvfrom(4096)
            if not question:
                return
            if not self.lost:
                self.lost += 1
                continue
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
                way.settimeout(60)
                way.sendto(question, self.upstream)
                answer = way.recv(4096)
            self.passed += 1
            self.socket.sendto(answer, peer)

    def stop(self):
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"", ("127.0.0.1", self.port))


class World:
    def __init__(self, folder):
        self.folder = folder
        (folder / "pki").mkdir()
        (folder / "dns").mkdir()
        self.certificates = Certificates(folder / "pki")
        self.web = PolicyServer(self.certificates)
        self.names, self.lossy = Names(folder / "dns"), False
        self.records = {}
        self.list, self.state = folder / "policy.json", folder / "state.json"
        self.write_list({})

    def domain(self, name, id_="1", txt=None, address="127.0.0.1", mx=("mx", "mx2"), **script):
        label = name.removesuffix(".example")
        texts = [f"v=STSv1; id={id_};"] if txt is None else txt
        lines = [f'_mta-sts.{label} TXT {" ".join(chr(34) + part + chr(34) for part in (t if isinstance(t, tuple) else (t,)))}' for t in texts]
        if address:
            lines.append(f"mta-sts.{label} A {address}")
        lines += [f"{label} MX {i} {host if '.' in host else host + '.example.com.'}" for i, host in enumerate(mx)]
        self.records[name] = lines
        self.web.scripts[name] = {"body": body(), **script}
        self.changed = True

    def write_list(self, policies, aliases=None):
        self.list.write_text(json.dumps({"timestamp": "2026-02-01T00:00:00Z", "expires": "2026-02-15T00:00:00Z", "version": "0.1",
                                         "author": "Some \"One\"", "policy-aliases": aliases or {}, "policies": policies}))

    def observe(self, day=0, *options, code=0, hours=0, candidates=None):
        if self.changed:
            self.names.serve([line for lines in self.records.values() for line in lines])
            self.changed = False
        way = Lossy(self.names.port) if self.lossy else self.names
        now = (START + datetime.timedelta(days=day, hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")
        args = [TOOL, "observe", self.list, "-o", self.list, "--state", self.state, "--now", now, "--local-addresses",
                "--resolver", f"127.0.0.1:{way.port}", "--cacert", self.certificates.pem, "--connect-port", str(self.web.port)]
        if candidates is not None:
            (self.folder / "candidates").write_text("# asked for\n\n" + "\n".join(candidates) + "\n")
            args += ["--candidates", self.folder / "candidates"]
        result = subprocess.run([*map(str, args), *map(str, options)], capture_output=True, text=True, timeout=300)
        assert result.returncode == code, (result.returncode, result.stdout, result.stderr)
        self.report, self.errors = result.stdout, result.stderr
        if self.lossy:
            assert way.lost == 1 and way.passed >= 3
            way.stop()
        return json.loads(self.list.read_text())["policies"]

    def said(self, domain):
        lines = [line for line in self.report.splitlines() if f" {domain}: " in line]
        return lines[0] if lines else ""


@pytest.fixture
def world(tmp_path):
    w = World(tmp_path)
    w.changed = True
    yield w
    w.names.stop()
    w.web.close()


def test_added_after_days_running(world):
    world.domain("a.example")
    for day in range(14):
        assert world.observe(day, candidates=["A.example"]) == {}
        assert f"not added a.example: its enforce policy was valid for {day} of 14 days running" == world.said("a.example")
    assert world.observe(14, candidates=["a.example"]) == {"a.example": ENFORCE}
    assert world.said("a.example").startswith("added")
    top = json.loads(world.list.read_text())
    assert top["timestamp"] == "2026-03-15T03:00:00Z" and top["expires"] == "2026-03-29T03:00:00Z" and top["author"] == 'Some "One"'
    assert world.web.asked[0] == ("a.example", "GET /.well-known/mta-sts.txt HTTP/1.1")
    assert world.observe(15, candidates=["a.example"]) == {"a.example": ENFORCE}  # and is no candidate any more
    assert "0 added, 0 changed, 0 dropped, 1 kept" in world.report
    compiled = subprocess.run([TOOL, "compile", world.list, "-o", world.folder / "out.list"], capture_output=True, text=True)
    assert compiled.returncode == 0, compiled.stderr


@pytest.mark.parametrize("what", ["a day of testing", "a day without a record", "a broken day", "days that nobody looked at"])
def test_days_must_run_on(world, what):
    world.domain("a.example")
    for day in range(3):
        world.observe(day, "--days", "5", candidates=["a.example"])
    if what == "a day of testing":
        world.domain("a.example", body=body("testing"))
    elif what == "a day without a record":
        world.domain("a.example", txt=[])
    elif what == "a broken day":
        world.domain("a.example", body=b"<html>")
    first = 4
    if what == "days that nobody looked at":
        first = 6
    else:
        world.observe(3, "--days", "5", candidates=["a.example"])
        assert world.said("a.example").startswith("not added")
        world.domain("a.example")
    for day in range(first, first + 5):
        assert world.observe(day, "--days", "5", candidates=["a.example"]) == {}
    assert world.observe(first + 5, "--days", "5", candidates=["a.example"]) == {"a.example": ENFORCE}


def test_a_day_out_of_reach_does_not_break_the_run(world):
    world.domain("a.example")
    world.domain("b.example")
    for day in range(6):
        world.web.scripts["a.example"]["status"] = "503 Busy" if day == 2 else "200 OK"
        assert world.observe(day, "--days", "6", candidates=["a.example", "b.example"]) == {}
    assert set(world.observe(6, "--days", "6", candidates=["a.example", "b.example"])) == {"a.example", "b.example"}


def test_followed_entries(world):
    names = ("same", "new-id", "old-id", "none", "testing", "gone", "gone-long")
    for name in names:
        world.domain(f"{name}.example", body=body(max_age=(20 if name == "gone-long" else 1) * 86400))
    mine = {f"{n}.example": ENFORCE for n in names}
    world.write_list(mine)
    assert world.observe(0, "--follow", "all") == mine
    world.domain("new-id.example", id_="2", body=body(mx=["mx.example.com", "mx2.example.com"]))
    world.domain("old-id.example", body=body(mx=["mx2.example.com"]))
    world.domain("none.example", body=body("none", mx=[]))
    world.domain("testing.example", id_="x", body=body("testing"))
    world.domain("gone.example", txt=[])
    world.domain("gone-long.example", txt=[])
    got = world.observe(1)
    assert got == {
        "same.example": ENFORCE,
        "new-id.example": {"mode": "enforce", "mxs": ["mx.example.com", "mx2.example.com"]},
        "old-id.example": {"mode": "enforce", "mxs": ["mx2.example.com"]},
        "testing.example": {"mode": "testing", "mxs": ["mx.example.com", ".example.net"]},
        "gone.example": ENFORCE,
        "gone-long.example": ENFORCE,
    }
    assert world.said("same.example") == ""
    assert world.said("new-id.example") == "changed   new-id.example: -.example.net +mx2.example.com (id 2)"
    assert "under the same id 1" in world.said("old-id.example")
    assert world.said("none.example") == "dropped   none.example: its policy says mode none"
    assert "enforce->testing" in world.said("testing.example")
    assert world.said("gone.example").startswith("kept") and "there is none" in world.said("gone.example")
    assert "gone.example" in world.observe(14)
    got = world.observe(15)
    assert "gone.example" not in got and "gone-long.example" in got
    assert world.said("gone.example").startswith("dropped") and "its last policy, of 2026-03-01T03:00:00Z, was for 1 days" in world.report
    assert "gone-long.example" in world.observe(20)
    assert "gone-long.example" not in world.observe(21)


def test_entries_by_hand_are_kept(world):
    world.domain("live.example", body=body("testing"))
    world.domain("none.example", body=body("none", mx=[]))
    world.domain("follows.example", body=body("testing"))
    mine = {"live.example": ENFORCE, "none.example": ENFORCE, "silent.example": ENFORCE, "follows.example": ENFORCE,
            "alias.example": {"policy-alias": "p"}}
    aliases = {"p": {"mode": "testing", "mxs": [".p.example"]}, "unused": ENFORCE}
    world.write_list(mine, aliases)
    follow = world.folder / "follow"
    follow.write_text("Follows.example # ours\n")
    got = world.observe(0, "--follow", follow)
    assert got == {**mine, "follows.example": {**ENFORCE, "mode": "testing"}}
    assert json.loads(world.list.read_text())["policy-aliases"] == aliases
    assert "written by hand; its MTA-STS policy differs: enforce->testing" in world.said("live.example")
    assert "written by hand; its MTA-STS policy says mode none" in world.said("none.example")
    assert world.said("silent.example") == ""
    follow.write_text("nobody.example\n")
    world.observe(1, "--follow", follow, code=1)
    assert "line 1: nobody.example: is not in the list" in world.errors


def test_excepted_domains_are_left_alone(world):
    for name in ("a", "b", "c"):
        world.domain(f"{name}.example", body=body(mx=["*.example.org"]), mx=["other.example.org."])
    world.write_list({"a.example": ENFORCE, "b.example": ENFORCE})
    world.observe(0, "--follow", "all")
    world.write_list({"a.example": ENFORCE, "b.example": ENFORCE})
    (world.folder / "except").write_text("a.example\nc.example\n")
    got = world.observe(1, "--days", "0", "--except", world.folder / "except", candidates=["c.example"])
    assert got == {"a.example": ENFORCE, "b.example": {"mode": "enforce", "mxs": [".example.org"]}}


FAILURES = {  # what the domain does -> how the report names it
    "missing record": ({"txt": []}, "record: TXT record of _mta-sts: there is none"),
    "another record": ({"txt": ["v=spf1 -all"]}, "record: TXT record of _mta-sts: none begins with v=STSv1;"),
    "several records": ({"txt": ["v=STSv1; id=1;", "v=STSv1; id=2;"]}, "record: 2 TXT records of _mta-sts begin with v=STSv1"),
    "broken record": ({"txt": ["v=STSv1;"]}, "record: the TXT record of _mta-sts breaks the grammar"),
    "no policy host": ({"address": None}, "address: mta-sts.{} has no address"),
    "expired certificate": ({"last": 2021}, "TLS: SSL certificate problem: certificate has expired"),
    "certificate for another name": ({"cert": "www.example"}, "TLS: SSL: no alternative certificate subject name matches"),
    "redirect": ({"status": "301 Moved", "location": "https://mta-sts.good.example/.well-known/mta-sts.txt"}, "HTTP: answered with redirect 301"),
    "not found": ({"status": "404 Not Found"}, "HTTP: answered with 404"),
    "busy": ({"status": "503 Busy"}, "for now, HTTP: answered with 503"),
    "web page": ({"type": "text/html"}, "HTTP: Content-Type is text/html, not text/plain"),
    "endless": ({"endless": True}, "HTTP: the file is longer than 65536 bytes"),
    "slow drip": ({"drip": True}, "for now, HTTP: Operation timed out"),
    "not a policy": ({"body": b"hello\n"}, "policy: a line is not a field, a colon and a value"),
    "no mx": ({"body": body(mx=[])}, "policy: there is no mx"),
    "no MX host allowed": ({"mx": ["mx.example.org.", "mx2.example.org."]}, "MX: mx.example.org, like the other MX hosts, is not one of"),
    "one MX host, not allowed": ({"mx": ["a.mx.example.net."]}, "MX: a.mx.example.net is not one of the policy's hosts"),
    "no mail": ({"mx": ["."]}, "MX: the null MX is not one of the policy's hosts"),
    "no MX record": ({"mx": []}, "MX: there is no MX record, and the domain itself is not one of"),
    "a whole top-level domain": ({"body": body(mx=["*.com", "mx.example.com"])}, "policy: a pattern of mx has one label"),
    "hangs up": ({"reset": True}, "for now, HTTP: "),
    "nobody listens": ({"address": "127.0.0.2"}, "for now, connection: "),
}


def test_each_failure_is_named_and_drops_nothing(world):
    listed = {}
    for i, (change, _) in enumerate(FAILURES.values()):
        world.domain(f"d{i}.example")
    world.domain("good.example")
    listed = {f"d{i}.example": ENFORCE for i in range(len(FAILURES))} | {"good.example": ENFORCE, "x.broken.test": ENFORCE}
    world.write_list(listed)
    world.observe(0, "--follow", "all")
    for i, (change, _) in enumerate(FAILURES.values()):
        world.domain(f"d{i}.example", **change)
    assert world.observe(1, "--timeout", "5") == listed
    for i, (name, (_, words)) in enumerate(FAILURES.items()):
        said = world.said(f"d{i}.example")
        assert said.startswith("kept ") and words.format(f"d{i}.example") in said, (name, said)
    assert "for now, record: TXT record of _mta-sts: DNS server returned general failure" in world.said("x.broken.test")
    assert world.said("good.example") == ""
    asked = [domain for domain, _ in world.web.asked]
    redirected = list(FAILURES).index("redirect")
    assert asked.count(f"d{redirected}.example") == 2 and asked.count("good.example") == 2  # the redirect was not followed


def test_only_the_dns_ends_an_entry(world):
    """However long it lasts, what is broken or out of reach drops nothing; only a record that is gone ends with its policy."""
    listed = {f"{name}.example": ENFORCE for name in ("broken", "busy", "none", "gone")}
    for name in listed:
        world.domain(name)
    world.write_list(listed)
    world.observe(0, "--follow", "all")
    world.domain("broken.example", body=b"<html>")
    world.domain("busy.example", status="503 Busy")
    world.domain("none.example", status="404 Not Found")
    world.domain("gone.example", txt=[])
    assert set(world.observe(400)) == {"broken.example", "busy.example", "none.example"}


def test_the_domain_itself_takes_its_mail(world):
    world.domain("a.example", mx=[], body=body(mx=["a.example"]))
    assert set(world.observe(0, "--days", "0", candidates=["a.example"])) == {"a.example"}


def test_a_record_in_parts(world):
    world.domain("a.example", txt=[("v=STSv1; i", "d=ab;"), "other"])
    world.write_list({"a.example": {**ENFORCE, "mode": "testing"}})
    assert world.observe(0, "--follow", "all") == {"a.example": ENFORCE}
    assert "(id ab)" in world.said("a.example")


def test_a_lost_question_is_asked_again(world):
    world.lossy = True
    world.domain("a.example")
    assert set(world.observe(0, "--days", "0", candidates=["a.example"])) == {"a.example"}


def test_polite_to_one_address(world):
    for i in range(12):
        world.domain(f"d{i}.example", wait=0.1)
    world.observe(0, candidates=[f"d{i}.example" for i in range(12)])
    assert len(world.web.asked) == 12 and world.web.most <= 2
    assert "12 valid" in world.report


def test_local_addresses_are_not_asked(world):
    world.domain("a.example")
    world.names.serve(world.records["a.example"])
    args = [TOOL, "observe", world.list, "-o", world.folder / "new.json", "--state", world.state, "--now", "2026-03-01T00:00:00Z",
            "--resolver", f"127.0.0.1:{world.names.port}", "--candidates", world.folder / "c"]
    (world.folder / "c").write_text("a.example\n")
    result = subprocess.run(args, capture_output=True, text=True, timeout=60)
    assert "address: mta-sts.a.example has local addresses only" in result.stdout
    assert world.web.asked == []


def test_nothing_is_written_when_nothing_can_be_seen(world):
    world.write_list({"x.broken.test": ENFORCE})
    before = world.list.read_text()
    world.observe(0, code=1)
    assert "no domain could be observed" in world.errors
    assert world.list.read_text() == before and not world.state.exists()


def test_time_goes_forward_only(world):
    world.domain("a.example")
    world.observe(5, candidates=["a.example"])
    before = world.list.read_text()
    world.observe(4, code=1, candidates=["a.example"])
    assert "the clock stands before the last observation" in world.errors
    world.state.unlink()
    world.observe(4, code=1, candidates=["a.example"])
    assert "the clock stands before the list's timestamp" in world.errors
    assert world.list.read_text() == before


def test_faults_of_the_operator(world):
    world.observe(0, code=1, candidates=["a b"])
    assert "candidates: line 3: a b: not a mail domain" in world.errors
    world.observe(0, "--days", "x", code=2)
    assert "x: not a number" in world.errors
    world.state.write_text('{"version": "2"}')
    world.observe(0, code=1)
    assert "not the version that this tool reads" in world.errors
    for text in ('{"version": "1", "domains": {"a.example": {"last-valid": "yesterday"}}}', '{"version": "1", "domains": []}', "{", "[]"):
        world.state.write_text(text)
        world.observe(0, code=1, candidates=["a.example"])
        assert f"{world.state}: " in world.errors, world.errors
    world.state.unlink()
    world.list.write_text(json.dumps({"timestamp": 1, "policies": {"a.example": {"mode": "x"}}}))
    result = subprocess.run([TOOL, "observe", world.list, "-o", world.list, "--state", world.state], capture_output=True, text=True)
    assert result.returncode == 1 and 'a.example: mode "x"' in result.stderr
    assert subprocess.run([TOOL, "observe"], capture_output=True).returncode == 2


def test_many_domains(world):
    names = [f"d{i}.example" for i in range(150)]
    for name in names:
        world.domain(name)
    got = world.observe(0, "--days", "0", "--per-address", "20", "--parallel", "40", candidates=names)
    assert set(got) == set(names), world.report
    assert shutil.which("nsd") and "150 added" in world.report
