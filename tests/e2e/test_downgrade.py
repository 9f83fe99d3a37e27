"""What was promised is demanded, what was not stays opportunistic: each policy against each thing an attacker or a careless administrator
can do to STARTTLS."""

import datetime
import ssl
import time

import pytest

from lab import client, net, pki
from lab.fakemx import MailServers

PAST = datetime.datetime(2020, 1, 1)
RTC = "2026-06-01T12:00:00Z"


def policy(expires):
    """Every name under *.enforce.example and *.testing.example that the cases use, listed."""
    policies = {}
    for mode in ("enforce", "testing"):
        for case in CASES:
            policies[f"{case}.{mode}.example"] = {"mode": mode, "mxs": [f"mx.{case}.{mode}.example"]}
    return {"timestamp": "2026-05-20T00:00:00+00:00", "expires": expires, "version": "0.1", "author": "lab", "policy-aliases": {},
            "policies": policies}


# what the server does: FakeMx keywords given its host name; and what shows in the reason for holding the mail
CASES = {
    "good": (lambda h: {"cert": pki.good_ca().issue(h)}, None),
    "good-rsa": (lambda h: {"cert": pki.good_ca("rsa").issue(h, kind="rsa")}, None),
    "good-tls12": (lambda h: {"cert": pki.good_ca().issue(h), "tls": ssl.TLSVersion.TLSv1_2}, None),
    "good-rsa-tls12": (lambda h: {"cert": pki.good_ca("rsa").issue(h, kind="rsa"), "tls": ssl.TLSVersion.TLSv1_2}, None),
    "wildcard": (lambda h: {"cert": pki.good_ca().issue("*." + h.split(".", 1)[1])}, None),
    "stripped": (lambda h: {"starttls": "none"}, "STARTTLS"),
    "xxxxxxxx": (lambda h: {"starttls": "xxxxxxxx"}, "STARTTLS"),
    "refused": (lambda h: {"starttls": "454", "cert": pki.good_ca().issue(h)}, "STARTTLS"),
    "injected": (lambda h: {"starttls": "garbage", "cert": pki.good_ca().issue(h)}, ""),
    "breaks": (lambda h: {"starttls": "break", "cert": pki.good_ca().issue(h)}, ""),
    "wrong-name": (lambda h: {"cert": pki.good_ca().issue("mx.elsewhere.example")}, "name"),
    "cn-only": (lambda h: {"cert": pki.good_ca().issue(cn=h)}, "name"),
    "untrusted": (lambda h: {"cert": pki.strange_ca().issue(h)}, "root"),
    "self-signed": (lambda h: {"cert": pki.self_signed(h)}, "self"),
    "expired-cert": (lambda h: {"cert": pki.good_ca().issue(h, end=PAST)}, "expired"),
    "no-intermediate": (lambda h: {"cert": pki.good_ca().issue(h, with_intermediate=False)}, "intermediate"),
}
GOOD = [c for c, (_, why) in CASES.items() if why is None]
BAD = [c for c in CASES if c not in GOOD]


@pytest.fixture(scope="module")
def box(make_box):
    with make_box(policy=policy("2026-07-01T00:00:00+00:00"), rtc=RTC) as box:
        yield box


@pytest.fixture(scope="module")
def late_box(make_box):
    """The same list, its life over."""
    box = make_box(policy=policy("2026-05-30T00:00:00+00:00"), rtc=RTC, settings={"net.address": f"{net.PREFIX}.0.3/16"})
    yield box
    box.stop()


@pytest.fixture
def servers(names):
    with MailServers(names) as servers:
        yield servers


@pytest.fixture
def server(servers):
    """server(DOMAIN, CASE): the domain's, as the case has it."""

    def make(domain, case, host=None):
        host = host or f"mx.{domain}"
        return servers(domain, host=host, **CASES[case][0](host))

    return make


def wait_ttl(box):
    """Until the box's cache has forgotten what the DNS said before."""
    time.sleep(6)


def send(box, domain):
    return client.send(box, "anna@office.example", f"bob@{domain}", client.mail(f"to-{domain}"), source=net.OFFICE).split()[-1]


def held(box, ident):
    """Waits until the mail was tried and put off; gives its reason."""
    box.wait_log(rf"waits id={ident}")
    reason = [q for q in box.json("queue")["queue"] if q["id"] == ident][0]["reason"]
    box.drop(ident)
    return reason


@pytest.mark.parametrize("case", GOOD)
@pytest.mark.parametrize("mode", ["enforce", "testing"])
def test_listed_and_well_done_goes_verified(box, server, mode, case):
    domain = f"{case}.{mode}.example"
    mx = server(domain, case)
    send(box, domain)
    assert mx.wait_for()["tls"] == ("TLSv1.2" if "tls12" in case else "TLSv1.3")
    assert box.wait_log(rf"delivery verdict .*domain={domain} .*verified=1 demand=verified source=list")


@pytest.mark.parametrize("case", BAD)
def test_enforced_and_not_shown_waits_with_its_reason(box, server, case):
    domain = f"{case}.enforce.example"
    mx = server(domain, case)
    reason = held(box, send(box, domain))
    assert not mx.mails and not any(c.startswith("MAIL") for c in mx.commands)
    assert "held back" in reason and CASES[case][1].lower() in reason.lower(), reason


@pytest.mark.parametrize("case", BAD)
def test_testing_lets_it_go_and_notes_the_failure(box, server, case):
    domain = f"{case}.testing.example"
    mx = server(domain, case)
    before = box.json("stats")["counters"]["policy_testing"]
    send(box, domain)
    mx.wait_for()
    assert box.json("stats")["counters"]["policy_testing"] > before


@pytest.mark.parametrize("case", ["good", "stripped", "wrong-name", "untrusted", "injected", "breaks"])
def test_after_the_list_expired_mail_goes_and_the_operator_is_told(late_box, server, case):
    domain = f"{case}.enforce.example"
    mx = server(domain, case)
    send(late_box, domain)
    mx.wait_for()
    status = late_box.json("status")
    assert "list-expired" in [a["name"] for a in status["alerts"]] and status["list"]["expired"]
    assert "ATTENTION" in late_box.console("status")
    assert late_box.json(f"policy {domain}")["demand"] == "none"


@pytest.mark.parametrize("case", ["good", "self-signed", "untrusted", "wrong-name", "expired-cert", "stripped", "xxxxxxxx", "refused", "injected",
                                  "breaks"])
def test_unlisted_stays_opportunistic(box, server, case):
    domain = f"{case}.unlisted.example"
    mx = server(domain, case)
    send(box, domain)
    mail = mx.wait_for()
    encrypted = case not in ("stripped", "xxxxxxxx", "refused", "injected", "breaks")
    assert (mail["tls"] is not None) == encrypted
    if case in ("injected", "breaks"):
        assert mx.sessions == 2  # plaintext only on a new connection


def test_an_mx_that_the_list_does_not_name_gets_nothing(box, server, names):
    domain = "good.enforce.example"
    mx = server(domain, "good", host="mx.attacker.example")
    wait_ttl(box)
    reason = held(box, send(box, domain))
    assert mx.sessions == 0
    assert "mx.attacker.example" in reason


def test_a_backup_mx_that_keeps_the_promise_is_used(box, servers, server, names):
    domain = "wildcard.enforce.example"
    bad = servers(host="mx2.elsewhere.example", starttls="none")
    good = server(domain, "wildcard")
    names.host("mx2.elsewhere.example", bad.ip)
    names.add(f"{domain}. MX 5 mx2.elsewhere.example.")
    wait_ttl(box)
    send(box, domain)
    good.wait_for()
    assert not bad.mails


def test_an_exception_ends_by_itself(box, server):
    domain = "stripped.enforce.example"
    mx = server(domain, "stripped")
    box.set(**{f"mail__exception__{domain.replace('.', '__')}": "2026-06-02T00:00:00Z they are mending it"})
    send(box, domain)
    mx.wait_for()
    assert "they are mending it" in box.console(f"policy {domain}")
    box.console("time set 2026-06-02T00:00:01Z")
    held(box, send(box, domain))
    box.console(f"time set {RTC}")


def test_policy_says_why_in_words(box):
    text = box.console("policy good.enforce.example")
    for part in ("good.enforce.example", "preload list", "2026-05-20", "2026-07-01", "enforce", "mx.good.enforce.example"):
        assert part in text
    assert "error:" in box.console("policy not_a/domain")
