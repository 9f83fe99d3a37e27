"""The ACME client's dialogue with an authority that is scripted: what pebble lacks (renewal info, profiles, addresses, persistent records, keys that
change) and what no authority should do. It survives all, says what happened, and has its certificate once the server behaves."""

import http.server
import itertools
import json
import threading

import pytest
from cryptography import x509

from lab import acme, net, pki
from lab.acme import body, changed, chunked, chunks, cut, drip, instead, later, members, once, problem, raw, silence
from lab.acme_client import Dialogue

CA = "authority.example"
HOST, OTHER = "mail.hostile.example", "mta-sts.hostile.example"
_addresses = itertools.count(10)


class Tokens(http.server.BaseHTTPRequestHandler):
    known = {}

    def do_GET(self):
        answer = self.known.get(self.path)
        self.send_response(200 if answer else 404)
        self.end_headers()
        self.wfile.write((answer or "nothing here").encode())

    def log_message(self, *args):
        pass


def show(kind, identifier, token, proof):
    Tokens.known[f"/.well-known/acme-challenge/{token}"] = proof


@pytest.fixture(scope="module")
def office_ip():
    """A web server that answers challenges."""
    ip = net.address(f"{net.PREFIX}.53.1")
    server = http.server.ThreadingHTTPServer((ip, 80), Tokens)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield ip
    server.shutdown()
    server.server_close()


@pytest.fixture
def ca(office_ip):
    server = acme.Authority(net.address(f"{net.PREFIX}.53.{next(_addresses)}"), CA)
    server.addresses = {HOST: office_ip, OTHER: office_ip}
    yield server
    server.stop()


@pytest.fixture
def keep(tmp_path):
    """Writes a text to a file of its own and gives the path."""
    def write(text):
        path = tmp_path / f"file{next(_addresses)}"
        path.write_text(text)
        return str(path)
    return write


@pytest.fixture
def ask(ca, keep):
    """Runs a dialogue with the authority."""
    root = keep(pki.good_ca().root_pem)

    def run(*args, prepare=show):
        return Dialogue(ca.ip, 443, root, ca.directory, *args, prepare=prepare)
    return run


def names_of(cert):
    san = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return san.get_values_for_type(x509.DNSName) + [str(i) for i in san.get_values_for_type(x509.IPAddress)]


def new_key(keep):
    return keep(pki.key_pem(pki.new_key()))


def test_a_good_authority(ca, ask, office_ip):
    ca.pending, ca.processing = 1, 1
    got = ask(HOST, OTHER, office_ip, "--hurry", "10")
    assert got.verdict["rc"] == "ok", got.verdict
    assert sorted(names_of(got.chain[0])) == sorted([HOST, OTHER, office_ip]) and len(got.chain) == 2
    assert got.verdict["order"] == "" and got.verdict["dropped"] == 0 and not ca.refusals
    assert got.verdict["requests"] <= 24


def test_the_next_one_replaces_the_last(ca, ask, keep):
    key = new_key(keep)
    first = ask(HOST, "--key", key)
    certificate = ca.certificates[0]
    assert ask("--do", "id", keep(first.pem)).pem.strip() == certificate["id"]
    ca.suggest_after = 7200
    info = ask("--key", key, "--do", "info", certificate["id"]).verdict
    assert info["rc"] == "ok" and (info["start"], info["again"]) == (int(certificate["start"] + 60 * 86400), 7200), info
    assert info["end"] == info["start"] + 3600 and info["explanation"] == "https://status.example/renew"
    again = ask(HOST, "--key", key, "--replaces", certificate["id"], "--account", first.verdict["account"])
    assert again.verdict["rc"] == "ok" and not again.verdict["dropped"] and ca.replaced == {certificate["id"]}
    for old in certificate["id"], "AAAA.AAAA":  # replaced already (409), unknown (404)
        more = ask(HOST, "--key", key, "--replaces", old)
        assert more.verdict["rc"] == "ok" and more.verdict["dropped"] == 1, more.verdict
    assert [r["type"].split(":")[-1] for r in ca.refusals] == ["alreadyReplaced", "malformed"]


WINDOWS = [("sound", "2027-01-01T00:00:00Z", "2027-01-02T00:00:00+01:00", "ok"), ("past", "2001-01-01T00:00:00Z", "2001-01-02T00:00:00Z", "ok"),
           ("empty", "2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "protocol"), ("reversed", "2027-01-02T00:00:00Z", "2027-01-01T00:00:00Z", "protocol"),
           ("no time", "tomorrow", "2027-01-01T00:00:00Z", "protocol"), ("number", 1e300, "2027-01-01T00:00:00Z", "protocol")]


def test_renewal_info_that_is_odd(ca, ask):
    asked = {}
    for name, start, end, rc in WINDOWS:
        ca.faults = {"renewal": acme.instead(200, {"suggestedWindow": {"start": start, "end": end}, "explanationURL": "javascript:alert(1)"}, Retry_After=1)}
        asked[name] = ask("--do", "info", "AA.BB").verdict
        assert asked[name]["rc"] == rc and asked[name]["explanation"] == "", (name, asked[name])
    assert asked["sound"]["end"] - asked["sound"]["start"] == 23 * 3600 and asked["sound"]["again"] == 60
    ca.faults = {"renewal": acme.problem(500, "serverInternal", "out of order", Retry_After=10**12)}
    broken = ask("--do", "info", "AA.BB").verdict
    assert broken["rc"] == "refused" and "out of order" in broken["why"] and broken["again"] == 86400
    ca.faults = {"dir": acme.members(renewalInfo=None)}
    assert ask("--do", "info", "AA.BB").verdict["rc"] == "unsupported"


def test_profiles_and_lives(ca, ask):
    ca.profiles = {"shortlived": 6 * 86400, "classic": 398 * 86400}
    for profile, days in (("shortlived", 6), ("classic", 398)):
        got = ask(HOST, "--profile", profile)
        assert got.verdict["rc"] == "ok" and not got.verdict["dropped"], got.verdict
        assert (got.chain[0].not_valid_after - got.chain[0].not_valid_before).days == days
    unknown = ask(HOST, "--profile", "nonesuch")
    assert unknown.verdict["rc"] == "ok" and unknown.verdict["dropped"] == 2, unknown.verdict
    ca.profiles = {}  # a server that has none and says nothing
    assert ask(HOST, "--profile", "classic").verdict["dropped"] == 2


def test_chains_by_their_issuer(ca, ask):
    cross = f"Cross {ca.ip} Root"
    got = ask(HOST, "--issuer", cross)
    assert cross in got.chain[-1].issuer.rfc4514_string() and not got.verdict["dropped"], got.verdict
    usual = ask(HOST, "--issuer", f"Authority {ca.ip} Root")
    assert cross not in usual.chain[-1].issuer.rfc4514_string() and not usual.verdict["dropped"]
    none = ask(HOST, "--issuer", "Nobody")
    assert none.verdict["rc"] == "ok" and none.verdict["dropped"] == 4 and none.chain[-1].issuer == usual.chain[-1].issuer


def test_records_in_the_dns(ca, ask):
    def publish(kind, name, _, record):
        ca.txt.setdefault(name, set()).add(record)
    for kind in "dns-01", "dns-persist-01":
        got = ask(HOST, "--type", kind, prepare=publish)
        assert got.verdict["rc"] == "ok" and len(got.met) == 1, got.verdict
    assert f"{CA}; accounturi={got.verdict['account']}" in ca.txt[f"_validation-persist.{HOST}"]
    missing = ask(HOST, "--type", "dns-01", prepare=None)
    assert missing.verdict["rc"] == "refused" and "no TXT record" in missing.verdict["why"]


def test_challenges_of_several_types(ca, ask, office_ip):
    ca.challenges = ["dns-persist-01", "http-01"]  # for an address http-01 alone

    def prepare(kind, identifier, token, proof):
        show(kind, identifier, token, proof)
        ca.txt.setdefault(identifier, set()).add(proof)
    got = ask(HOST, office_ip, "--type", "tls-alpn-01", "--type", "dns-persist-01", "--type", "http-01", prepare=prepare)
    assert got.verdict["rc"] == "ok" and sorted(kind for kind, _ in got.met) == ["dns-persist-01", "http-01"], got.verdict
    ca.challenges = ["dns-01"]
    assert ask(HOST).verdict["rc"] == "unsupported"


def test_what_was_done_is_not_done_again(ca, ask, keep):
    key = new_key(keep)
    ca.reuse_authorizations = True
    first, second = ask(HOST, "--key", key), ask(HOST, OTHER, "--key", key)
    assert first.verdict["account"] == second.verdict["account"] and second.met == [("http-01", OTHER)]
    ca.play([{"f": acme.cut()}, {"cert": acme.cut(100)}])  # the order is gone on with where it broke, with the same key
    got = ask(HOST, OTHER, "--key", key, "--tries", "3")
    assert [v["rc"] for v in got.verdicts][-1] == "ok" and len(ca.orders) == 3 and len(got.verdicts) == 3, got.verdicts
    assert got.verdicts[0]["order"] == got.verdicts[1]["order"] == ca.orders[2]["url"] and not got.met


def test_an_account_that_is_lost(ca, ask, keep):
    key = new_key(keep)
    first = ask(HOST, "--key", key).verdict
    ca.lose_accounts()
    again = ask(HOST, "--key", key, "--account", first["account"], "--order", f"{ca.base}/o/0")
    assert again.verdict["rc"] == "ok" and again.verdict["account"] != first["account"]
    ca.accounts[next(iter(ca.accounts))]["status"] = "revoked"
    refused = ask(HOST, "--key", key, "--account", again.verdict["account"]).verdict
    assert refused["rc"] == "refused" and refused["problem"] == "unauthorized" and "revoked" in refused["why"]


def test_another_account_key(ca, ask, keep):
    old, new, third = (new_key(keep) for _ in range(3))
    account = ask(HOST, "--key", old).verdict["account"]
    assert ask("--key", old, "--do", "change-key", new).verdict["rc"] == "ok"
    assert ask("--key", new, "--do", "find", "-").verdict["account"] == account
    gone = ask("--key", old, "--do", "find", "-").verdict
    assert gone["rc"] == "refused" and gone["problem"] == "accountDoesNotExist"
    ask(HOST, "--key", third)
    taken = ask("--key", third, "--do", "change-key", new).verdict
    assert taken["rc"] == "refused" and "has an account" in taken["why"]
    assert ask("--key", new, "--do", "deactivate", "-").verdict["rc"] == "ok"
    closed = ask(HOST, "--key", new).verdict
    assert closed["rc"] == "refused" and "deactivated" in closed["why"]


def test_revocation(ca, ask, keep):
    key, certificate_key = new_key(keep), new_key(keep)
    chains = [keep(ask(HOST, "--key", key, "--certificate-key", certificate_key).pem) for _ in range(2)]
    stranger = ask("--key", new_key(keep), "--certificate-key", new_key(keep), "--do", "revoke-by-key", chains[0]).verdict
    assert stranger["rc"] == "refused" and "another" in stranger["why"] and not ca.revoked
    for _ in range(2):  # what is revoked already is fine
        assert ask("--key", key, "--do", "revoke", chains[0]).verdict["rc"] == "ok"
    assert ask("--certificate-key", certificate_key, "--do", "revoke-by-key", chains[1]).verdict["rc"] == "ok"
    assert ca.revoked == {c["cert"].serial_number: 1 for c in ca.certificates}


def test_an_account_bound_to_another(ca, ask):
    ca.mac_keys = {"kid-1": b"a key of the authority's"}
    assert "external account binding" in ask(HOST).verdict["why"]
    assert ask(HOST, "--bind", "kid-1", "a key of the authority's").verdict["rc"] == "ok"
    wrong = ask(HOST, "--bind", "kid-1", "another key").verdict
    assert wrong["rc"] == "refused" and "the binding is wrong" in wrong["why"]


EVIL = "https://authority.example/"
LONG = EVIL + "x" * 300
DEEP = b'{"a":' * 40 + b"1" + b"}" * 40
TWICE = body(lambda b: b.replace(b"{", b'{"newNonce":"https://authority.example/other",', 1))


def location(value):
    def change(answer):
        answer.fields.pop("Location", None)
        if value is not None:
            answer.fields["Location"] = value
    return changed(change)


def order(**new):
    """What the order says, and that we should come again later than we have patience for."""
    def change(answer):
        answer.body = json.dumps({**json.loads(answer.body), **new}).encode()
        answer.fields["Retry-After"] = 500
    return changed(change)


def limited(after):
    return problem(429, "rateLimited", "too many of them", Retry_After=after)


# What goes wrong, and what the client says of it.
HOSTILE = [
    ("dir", instead(404, b"<html>", "text/html"), "refused", "answered 404"),
    ("dir", instead(200, b"<html>Please log in</html>", "text/html"), "protocol", "not JSON"),
    ("dir", instead(200, b""), "protocol", "not JSON"),
    ("dir", instead(200, DEEP), "protocol", "not JSON"),
    ("dir", instead(200, b"[" * 6000), "protocol", "not JSON"),
    ("dir", instead(200, b" " * 100000), "too-long", "larger than allowed"),
    ("dir", body(lambda b: b[:-1]), "protocol", "not JSON"),
    ("dir", body(lambda b: b + b"x"), "protocol", "not JSON"),
    ("dir", TWICE, "protocol", '"newNonce"'),
    ("dir", members(newNonce=None), "protocol", '"newNonce"'),
    ("dir", members(newNonce="http://authority.example/nonce"), "protocol", '"newNonce"'),
    ("dir", members(newAccount="https://user@authority.example/"), "protocol", '"newAccount"'),
    ("dir", members(newOrder=10**400), "protocol", '"newOrder"'),
    ("dir", members(revokeCert=LONG), "protocol", '"revokeCert"'),
    ("dir", members(**{n: EVIL + n + "y" * 200 for n in ("newNonce", "newAccount", "newOrder", "keyChange", "revokeCert", "renewalInfo")}), "too-long",
     "too long for this box"),
    ("dir", instead(302, Location="/dir"), "protocol", "circle"),
    ("dir", instead(302, Location="http://authority.example/dir"), "refused", "https to http"),
    ("dir", instead(302, Location="//"), "protocol", "not to an address"),
    ("dir", instead(503, b"", Retry_After=600), "refused", "answered 503"),
    ("dir", raw(b"SSH-2.0-OpenSSH_9\r\n"), "protocol", ""),
    ("dir", raw(b"HTTP/1.1 200 x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"), "protocol", "two Content-Lengths"),
    ("dir", raw(b"HTTP/1.1 200 x\r\nContent-Length: 99999999999999999999\r\n\r\n{}"), "protocol", "Content-Length is no number"),
    ("dir", raw(b"HTTP/1.1 200 x\r\n" + b"X: y\r\n" * 200 + b"\r\n"), "too-long", ""),
    ("dir", raw(b"HTTP/1.1 100 x\r\n\r\n" * 20), "protocol", ""),
    ("dir", raw(b"HTTP/1.1 200 x\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"), "unsupported", ""),
    ("dir", chunked(lambda b: b"ffffffffffffffff\r\n" + b), "protocol", "chunk"),
    ("dir", chunked(lambda b: b"-5\r\n" + b), "protocol", "chunk"),
    ("dir", chunked(lambda b: chunks(b).replace(b"\r\n", b"\n")), "protocol", ""),
    ("dir", chunked(lambda b: chunks(b).replace(b"7\r\n", b"3\r\n", 1)), "protocol", "chunk"),
    ("dir", chunked(lambda b: chunks(b" " * 20000)), "too-long", "larger than allowed"),
    ("nonce", instead(200), "protocol", '"nonce"'),
    ("nonce", instead(200, Replay_Nonce='a"b'), "invalid", "signed"),
    ("nonce", instead(200, Replay_Nonce="n" * 400), "protocol", '"nonce"'),
    ("nonce", instead(500), "protocol", '"nonce"'),
    ("account", instead(302, Location="https://evil.example/"), "refused", "answered 302"),
    ("account", problem(400, "badNonce"), "refused", "badNonce"),
    ("account", problem(403, "userActionRequired", "agree to the \x1b[2J new terms"), "refused", r"agree to the \x1b[2J new terms"),
    ("account", instead(500, b"{}" * 9000), "too-long", "larger than allowed"),
    ("account", instead(429, b"slow down", "text/plain", Retry_After="Fri, 31 Dec 2100 23:59:59 GMT"), "refused", "answered 429"),
    ("account", location(None), "protocol", '"account"'),
    ("account", location("http://authority.example/acct/1"), "protocol", '"account"'),
    ("account", location("https://authority.example/\"x"), "protocol", '"account"'),
    ("account", location(LONG), "protocol", '"account"'),
    ("account", body(lambda b: b[:-1]), "protocol", "not JSON"),
    ("order", problem(400, "rejectedIdentifier", "some names will not do", {"subproblems": [
        {"type": acme.ERROR + "caa", "detail": "CAA forbids it", "identifier": {"type": "dns", "value": HOST}}, 5, {"detail": 7}]}),
     "refused", f"(rejectedIdentifier): some names will not do; {HOST}: CAA forbids it"),
    ("order", problem(400, "x" * 200, "y" * 3000), "refused", "yyyy"),
    ("order", limited(3600), "refused", "(rateLimited): too many of them"),
    ("order", limited(1), "refused", "(rateLimited)"),
    ("order", limited("-5"), "refused", "(rateLimited)"),
    ("order", limited("99999999999999999999999"), "refused", "(rateLimited)"),
    ("order", location(None), "protocol", '"order"'),
    ("o", members(status=None), "protocol", '"status"'),
    ("o", members(status="dancing"), "refused", "invalid"),
    ("o", members(authorizations=None), "protocol", '"authorizations"'),
    ("o", order(authorizations=[]), "timeout", "the order is pending"),
    ("o", members(authorizations=[5]), "protocol", '"authorizations"'),
    ("o", members(authorizations=["ftp://authority.example/"]), "protocol", '"authorizations"'),
    ("o", order(authorizations=EVIL + "z/0"), "timeout", "the order is pending"),
    ("z", members(identifier={"type": "dns", "value": "victim.example"}), "protocol", "none of our names"),
    ("z", members(identifier=HOST), "protocol", "none of our names"),
    ("z", members(challenges={}), "unsupported", "no challenge"),
    ("z", members(challenges=[{"type": "http-01", "url": EVIL + "c", "token": "../../etc/passwd"}]), "protocol", '"token"'),
    ("z", members(challenges=[{"type": "http-01", "url": EVIL + "c", "token": "t" * 2000}]), "protocol", '"token"'),
    ("z", members(challenges=[{"type": "http-01", "url": "http://authority.example/c", "token": "t"}]), "protocol", '"url"'),
    ("z", members(challenges=[{"type": "http-01", "url": EVIL + "nowhere", "token": "t"}] * 20), "refused", "nothing at"),
    ("z", later(1, members(status="invalid", challenges=[{"type": "http-01", "error": {"type": acme.ERROR + "connection", "detail": "no route"}}])),
     "refused", "the authorization is invalid (connection): no route"),
    ("c", problem(400, "malformed", "not now"), "refused", "not now"),
    ("c", instead(200, b"nonsense"), "protocol", "not JSON"),
    ("f", problem(400, "badCSR", "this key is weak"), "refused", "(badCSR): this key is weak"),
    ("f", problem(500, "serverInternal", "oops"), "refused", "(serverInternal): oops"),
    ("f", members(status="invalid", error={"type": acme.ERROR + "caa", "detail": "CAA forbids it"}), "refused",
     "the order is invalid (caa): CAA forbids it"),
    ("f", members(certificate=None), "protocol", '"certificate"'),
    ("cert", instead(200, b"<html>", "text/html"), "protocol", '"certificate"'),
    ("cert", body(lambda b: b[:len(b) // 2]), "protocol", '"certificate"'),
    ("cert", body(lambda b: b + b.replace(b"CERTIFICATE", b"PRIVATE KEY")), "protocol", '"certificate"'),
    ("cert", body(lambda b: b * 30), "too-long", "larger than allowed"),
    ("cert", instead(404), "refused", "answered 404"),
    ("f", order(status="processing"), "timeout", "the order is processing"),
]
STEPS = ["dir", "nonce", "account", "order", "o", "z", "c", "f", "cert"]


def test_what_no_authority_should_do(ca, ask):
    ca.play([{where: act} for where, act, _, _ in HOSTILE])
    got = ask(HOST, "--tries", str(len(HOSTILE) + 5), "--hurry", "20")
    wrong = [(where, rc, words, verdict["rc"], verdict["why"]) for (where, _, rc, words), verdict in zip(HOSTILE, got.verdicts)
             if verdict["rc"] != rc or words not in verdict["why"] or not verdict["why"].isprintable() or not 3 < len(verdict["why"]) < 256]
    assert not wrong, "\n".join(map(str, wrong))
    assert len(got.verdicts) == len(HOSTILE) + 1 and got.verdict["rc"] == "ok" and got.chain, got.verdicts[-1]


@pytest.mark.parametrize("step", STEPS)
def test_connections_that_end(ca, ask, step):
    """Before the request is looked at; after it, without an answer, within the answer's head, and within its body."""
    ca.play([{step: cut(after)} for after in (None, 0, 40, 280)])
    got = ask(HOST, "--tries", "6")
    for verdict in got.verdicts[:-1]:
        assert verdict["rc"] in ("closed", "reset", "tls") and "broke" in verdict["why"], verdict
    assert len(got.verdicts) > 2 and got.verdict["rc"] == "ok" and got.chain
    # what was begun is gone on with
    assert len(ca.accounts) == 1 and len(ca.orders) <= (4 if step == "order" else 1) and len(ca.certificates) == 1


def test_slow_servers(ca, ask):
    """25 seconds of theirs are one of ours."""
    slow = [("dir", drip(0.1, head=True), "timeout", "in time"), ("dir", silence(2), "timeout", "in time"), ("account", silence(2), "timeout", "in time"),
            ("dir", drip(0.1), "too-slow", "too slowly"), ("cert", drip(0.1, 5), "too-slow", "too slowly")]
    ca.play([{where: act} for where, act, _, _ in slow])
    got = ask(HOST, "--tries", "7", "--hurry", "25")
    assert [v["rc"] for v in got.verdicts] == [rc for _, _, rc, _ in slow] + ["ok"], got.verdicts
    assert all(words in v["why"] for (_, _, _, words), v in zip(slow, got.verdicts))


def test_waits_that_are_asked_for(ca, ask):
    ca.pending = ca.processing = 2
    ca.retry_after = 3
    ca.faults = {"order": once(limited(2)), "f": once(problem(503, "serverInternal", "busy", Retry_After=1)), "z": once(instead(503, Retry_After=0))}
    got = ask(HOST, "--hurry", "10")
    assert got.verdict["rc"] == "ok", got.verdict
    ca.faults = {"o": later(3, problem(503, "serverInternal", "come back tomorrow", Retry_After=86400))}
    away = ask(HOST, "--hurry", "10").verdict
    assert away["rc"] == "refused" and away["retry_after"] == 86400 and away["order"], away  # and the order can be gone on with
    ca.faults, ca.retry_after = {}, 999
    late = ask(HOST, "--hurry", "10").verdict
    assert late["rc"] == "timeout" and late["retry_after"] == 999 and late["order"], late
    ca.faults = {"account": problem(429, "rateLimited", "no", Retry_After=acme.web.date(ca.unix() + 5000))}
    assert 4990 <= ask(HOST, "--hurry", "10").verdict["retry_after"] <= 5000


def test_odd_but_good(ca, ask):
    """Content types that lie, chunks, answers in drops, and a directory elsewhere."""
    ca.faults = {step: acme.kind("image/png") for step in STEPS if step != "nonce"}
    assert ask(HOST).verdict["rc"] == "ok"
    ca.faults = {step: chunked(lambda b: chunks(b).replace(b"0\r\n\r\n", b"0;x=y\r\nTrailer: 1\r\n\r\n")) for step in STEPS if step != "nonce"}
    assert ask(HOST).verdict["rc"] == "ok"
    ca.faults = {"cert": drip(0.001, 9, head=True), "dir": once(instead(301, Location="/dir?again"))}
    assert ask(HOST).verdict["rc"] == "ok"


def test_alternates_that_are_none(ca, ask):
    def links(text):
        return changed(lambda answer: answer.fields.update(Link=text))
    for text in ("<", "<>;rel=alternate", '<http://authority.example/x>;rel="alternate"', "</cert/0/1>;rel=alternate, <x", ";rel=alternate",
                 '</cert/99>;rel="alternate"', ", ".join(f'</cert/0/{n}>;rel="alternate"' for n in range(9))):
        ca.faults = {"cert": links(text)}
        got = ask(HOST, "--issuer", "Nobody")
        assert got.verdict["rc"] == "ok" and got.chain and got.verdict["dropped"] == 4 and got.verdict["requests"] < 25, (text, got.verdict)
