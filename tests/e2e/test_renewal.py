"""The box gets its own certificate and renews it: the firmware whole, with pebble, which checks its challenges over the lab's network, and with a
scripted authority for what pebble lacks. RENEWAL_DAYS=731: also two years of renewals, ten minutes."""

import datetime
import itertools
import os
import re
import socket
import ssl
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from lab import acme, ca, client, net

_boxes = itertools.count(110)
_hosts = itertools.count(1)
DAY_S = 86400
LIFE_S = 45 * DAY_S


def now(shift_s=0):
    return (datetime.datetime.utcnow() + datetime.timedelta(seconds=shift_s)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(scope="module")
def authority(names):
    """Pebble; its name leads to it."""
    with ca.Pebble(life_s=LIFE_S) as pebble:
        names.host(ca.NAME, pebble.ip, reverse=False)
        yield pebble


@pytest.fixture
def start(make_box, names):
    """A function that boots a box with a name of its own; it ends with the test."""
    boxes = []

    def boot(board="posix", extra=(), **settings):
        name, ip = f"mx{next(_hosts)}.office.example", f"{net.PREFIX}.0.{next(_boxes)}"
        for host in (name, *(f"{e}.{name}" for e in extra)):
            names.host(host, ip, reverse=False)
        box = make_box(board=board, rtc=now(), settings={"host.name": name, "net.address": f"{ip}/16", **settings})
        box.name = name
        boxes.append(box)
        return box

    yield boot
    for box in boxes:
        assert "Sanitizer" not in box.errors()
        box.stop()


def shown(box, port=465):
    """The leaf that the box shows."""
    with socket.create_connection((box.ip, port), 20) as sock, client.unverified().wrap_socket(sock, server_hostname=box.name) as tls:
        return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True))


def pin(certificate):
    digest = hashes.Hash(hashes.SHA256())
    digest.update(certificate.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
    return digest.finalize().hex()


def names_of(certificate):
    return sorted(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName))


def wait_issued(box, old=None, timeout=60):
    """Until another certificate than old (or than a self-signed one) is in use."""
    end = time.time() + timeout
    while True:
        info = box.json("cert info")
        if info["origin"] == "acme" and info["sha256"] != old and not info["renewal"]["running"]:
            return info
        assert time.time() < end, box.log(100)
        time.sleep(0.2)


def renew(box, *words):
    old = box.json("cert info")["sha256"]
    assert "asked for" in box.console(" ".join(("cert renew", *words)))
    return wait_issued(box, old)


def wait_failed(box, pattern, timeout=60):
    """The job's account of a try that failed."""
    end = time.time() + timeout
    while True:
        renewal = box.json("cert info")["renewal"]
        if not renewal["running"] and re.search(pattern, renewal["failure"] or ""):
            return renewal
        assert time.time() < end, box.log(100)
        time.sleep(0.2)


def unix(text):
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc).timestamp()


def verified(box, root, name=None):
    """A client that trusts the authority's root alone is content."""
    context = ssl.create_default_context(cadata=root)
    with socket.create_connection((box.ip, 465), 20) as sock, context.wrap_socket(sock, server_hostname=name or box.name) as tls:
        return tls.version()


@pytest.mark.boards("posix", "virt", "mps2-an500")
def test_first_issue_and_renewal(board, start, authority):
    box = start(board, extra=["mta-sts"])
    first = pin(shown(box))
    assert "(self-signed)" in box.console("cert info") and "acme.directory is not set" in box.console("cert info")
    box.set(acme__names=f"mta-sts.{box.name}", acme__directory=authority.url)
    info = wait_issued(box, timeout=120)
    leaf = shown(box)
    assert names_of(leaf) == sorted([box.name, f"mta-sts.{box.name}"])
    assert pin(leaf) == first  # the key stays, and so does a TLSA record
    assert verified(box, authority.root()) and verified(box, authority.root(), f"mta-sts.{box.name}")
    assert (info["origin"], info["self_signed"], info["renewal"]["failures"], info["renewal"]["failure"]) == ("acme", False, 0, None)
    assert info["renewal"]["why"] == "a third of its life is left then" and info["account"].startswith("https://ca.example")
    assert info["next_spki_sha256"] and info["next_spki_sha256"] != first
    assert "cert-self-signed" not in str(box.json("status")["alerts"])
    box.restart()
    assert shown(box).serial_number == leaf.serial_number
    with socket.create_connection((box.ip, 25), 20) as session:  # a renewal disturbs nobody
        assert session.recv(500).startswith(b"220")
        renew(box)
        session.sendall(b"NOOP\r\n")
        assert session.recv(500).startswith(b"250")
    renewed = shown(box)
    assert renewed.serial_number != leaf.serial_number and pin(renewed) == first
    errand = next(t for t in box.json("stats")["tasks"] if t["name"] == "errand")
    assert errand["stack_used"] < errand["stack_bytes"] * 0.85, errand
    text = box.log(400)
    assert "BEGIN" not in text and "account url=" not in text  # the account is known already
    box.stop()


def test_a_choosy_authority(start, names):
    """Half of the nonces are refused, checks take their time, and an account has to be bound to another: the error says so until it is."""
    with ca.Pebble(name="bound.example", bind=True, PEBBLE_WFE_NONCEREJECT="50", PEBBLE_VA_NOSLEEP="0", PEBBLE_VA_SLEEPTIME="2") as pebble:
        names.host(pebble.name, pebble.ip, reverse=False)
        box = start()
        box.set(acme__contact="admin@office.example", acme__directory=pebble.url)
        renewal = wait_failed(box, "external account binding")
        assert renewal["failures"] == 1 and renewal["put_off"] and unix(renewal["next"]) <= time.time() + 61
        box.set(acme__eab_kid="kid-1", acme__eab_key=ca.MAC_KEY_TEXT)  # is tried at once
        wait_issued(box)
        assert "******" in box.console("show acme.eab_key") and ca.MAC_KEY_TEXT not in box.log(400)


def test_an_account_that_the_authority_lost(start, names):
    with ca.Pebble(name="forgetful.example") as pebble:
        names.host(pebble.name, pebble.ip, reverse=False)
        box = start()
        box.set(acme__challenge="tls-alpn-01", acme__directory=pebble.url)
        account = wait_issued(box)["account"]
        box.console("cert account roll-over")
        box.wait_log("cert account now=another-key")
        pebble.stop()
        pebble.start()
        assert renew(box)["account"] != account


def test_a_challenge_that_fails_says_why(start, authority, names):
    box = start()
    names.forget(f"{box.name}. A ")
    names.host(box.name, net.address(f"{net.PREFIX}.54.1"), reverse=False)  # nobody answers there
    box.set(acme__directory=authority.url)
    renewal = wait_failed(box, "refused|connection")
    assert "invalid" in renewal["failure"]
    text = box.console("cert info")
    assert "self-signed" in text and "failure " in text and "1 in a row" in text and "put off after a failure" in text
    names.forget(f"{box.name}. A ")
    names.host(box.name, box.ip, reverse=False)
    renew(box)
    assert "failure " not in box.console("cert info")


# --- what pebble lacks ---


@pytest.fixture
def scripted(names):
    """An authority whose clock is that of the box."""
    server = acme.Authority(net.address(f"{net.PREFIX}.53.{next(_hosts) + 100}"), "scripted.example", now=lambda: time.time() + server.shift)
    server.shift, server.life_s = 0, LIFE_S
    names.forget("scripted.example. ")
    names.host("scripted.example", server.ip, reverse=False)
    yield server
    server.stop()


def move(box, server, to_unix):
    """The box's clock and the authority's jump."""
    server.shift = to_unix - time.time()
    box.console("time set " + datetime.datetime.utcfromtimestamp(to_unix).strftime("%Y-%m-%dT%H:%M:%SZ"))


def first_issue(start, server):
    box = start()
    server.addresses[box.name] = box.ip
    box.set(acme__directory=server.directory)
    wait_issued(box)
    return box


def test_the_authoritys_window(start, scripted):
    """It moves, it is shown with its page, and when it is past there is a renewal that names what it replaces; once that is refused, none that does."""
    box = first_issue(start, scripted)
    old = box.json("cert info")["sha256"]
    begin = time.time() + 20 * DAY_S
    scripted.window = lambda cert: (begin, begin + DAY_S)
    move(box, scripted, time.time() + DAY_S + 3600)
    box.wait_log("cert window ")
    info = box.json("cert info")["renewal"]
    assert info["why"] == "the authority's window" and begin - 1 <= unix(info["next"]) <= begin + DAY_S + 1
    assert "https://status.example/renew" in box.console("cert info")
    scripted.window = lambda cert: (time.time() - 9 * DAY_S, time.time() - 8 * DAY_S)
    move(box, scripted, time.time() + 3 * DAY_S)
    old = wait_issued(box, old)["sha256"]
    assert scripted.orders[-1]["replaces"] == scripted.certificates[0]["id"]
    scripted.faults["order"] = acme.once(acme.problem(409, "alreadyReplaced", "it has its successor"))
    assert renew(box)["sha256"] != old
    assert scripted.orders[-1]["replaces"] is None and box.json("cert info")["renewal"]["failures"] == 0


def test_a_rate_limit_is_obeyed(start, scripted):
    box = first_issue(start, scripted)
    scripted.faults["order"] = acme.problem(429, "rateLimited", "too many certificates for these names", Retry_After=2 * DAY_S)
    box.console("cert renew")
    renewal = wait_failed(box, "too many certificates for these names")
    assert "rateLimited" in renewal["failure"] and 2 * DAY_S - 60 < unix(renewal["next"]) - time.time() < 2 * DAY_S + 60
    assert "as the server asks" in box.console("cert info")
    asked = scripted.asked["order"]
    box.restart()
    box.console("cert renew")  # not even then
    time.sleep(2)
    assert scripted.asked["order"] == asked and not scripted.revoked
    del scripted.faults["order"]
    old = box.json("cert info")["sha256"]
    move(box, scripted, time.time() + 2 * DAY_S + 60)
    wait_issued(box, old)


def test_another_key_and_a_revocation(start, scripted):
    box = first_issue(start, scripted)
    first = box.json("cert info")
    assert renew(box, "new-key", "yes")["spki_sha256"] == first["next_spki_sha256"]
    second = box.json("cert info")
    serial = shown(box).serial_number
    assert "asked for" in box.console("cert revoke stolen yes")
    third = wait_issued(box, second["sha256"])
    assert scripted.revoked == {serial: 1} and third["spki_sha256"] == second["next_spki_sha256"] != third["next_spki_sha256"]
    assert "error" in box.console("cert import-ca extra words here") and not box.json("status")["alerts"]


def test_the_account_is_rolled_over_and_closed(start, scripted):
    """Also when the answer is lost: nothing is done twice, and the certificate stays what it is."""
    box = first_issue(start, scripted)
    before, first_key = box.json("cert info"), set(scripted.accounts)
    scripted.faults["key"] = acme.cut(0)
    assert "asked for" in box.console("cert account roll-over")
    wait_failed(box, "closed|ended|connection")
    second_key = set(scripted.accounts)
    assert len(second_key) == 1 and second_key != first_key
    box.restart()
    box.console("cert account roll-over")
    box.wait_log("cert account now=another-key")
    assert scripted.asked["key"] == 1 and set(scripted.accounts) == second_key
    info = box.json("cert info")
    assert (info["account"], info["sha256"], info["renewal"]["failure"]) == (before["account"], before["sha256"], None)
    assert renew(box)["account"] == before["account"]
    assert "nothing was done" in box.console("cert account deactivate\rno")
    assert all("error" in box.console(f"cert account {words}") for words in ("", "close", "deactivate now", "roll-over now"))
    scripted.faults["acct"] = acme.cut(0)
    assert "asked for" in box.console("cert account deactivate yes")
    wait_failed(box, "closed|ended|connection")
    box.console("cert account deactivate yes")
    box.wait_log("cert account now=closed")
    assert box.json("cert info")["account"] is None and [a["status"] for a in scripted.accounts.values()] == ["deactivated"]
    assert renew(box)["account"] not in (None, before["account"])


def test_a_record_in_the_dns_serves_where_no_port_can_be_reached(start, scripted, names):
    """It is shown, looked for before the authority is, and stays for the renewals."""
    box = start(**{"acme.challenge": "dns-persist-01"})
    box.set(acme__directory=scripted.directory)
    wait_failed(box, "the TXT record that 'cert info' shows is not in the DNS yet")
    assert not scripted.asked["c"]
    record = box.json("cert info")["record"]
    assert record.startswith(f"{scripted.name}; accounturi={scripted.base}/")
    owner = f"_validation-persist.{box.name}"
    assert f'publish  {owner} TXT "{record}"' in box.console("cert info")
    assert f'{owner}. TXT "{record}" ; missing' in box.console("dns check")
    names.add(f'{owner}. TXT "{record}0"', f'{owner}. TXT "another.example; accounturi=https://another.example/1"')
    scripted.txt[owner] = {record}
    box.console("cert renew")
    box.wait_log(r"cert failed number=2 ")
    assert not scripted.asked["c"]  # that was another account's
    names.add(f'{owner}. TXT "{record}; persistUntil=4102444800"')
    assert f'{owner}. TXT "{record}" ; live' in box.console("dns check")
    info = renew(box)
    assert scripted.asked["c"] == 1 and info["names"] == box.name
    renew(box)
    assert box.json("cert info")["record"] == record


@pytest.mark.skipif("RENEWAL_DAYS" not in os.environ, reason="a long form")
@pytest.mark.parametrize("life_s, outage_s", [(LIFE_S, 7 * DAY_S), (160 * 3600, 48 * 3600)])
def test_years_of_renewals(start, scripted, life_s, outage_s):
    """The clock jumps from one appointment to the next; now and then the authority is away. Nothing lapses, and there is no storm."""
    days, scripted.life_s = int(os.environ["RENEWAL_DAYS"]), life_s
    scripted.faults["renewal"] = acme.problem(404, "malformed", "no windows here")
    box = first_issue(start, scripted)
    begin = at = time.time()
    tries, issues, away_until = [], 0, 0
    while at < begin + days * DAY_S:
        info = box.json("cert info")
        at = max(unix(info["renewal"]["next"]), at) + 1
        if not away_until and issues % 4 == 1:
            away_until = at + outage_s
        away = at < away_until
        scripted.faults["order"] = acme.instead(503) if away else acme.changed(lambda answer: None)
        asked = scripted.asked["order"]
        move(box, scripted, at)
        end = time.time() + 60
        while scripted.asked["order"] == asked or box.json("cert info")["renewal"]["running"]:
            assert time.time() < end, box.log(60)
            time.sleep(0.1)
        tries.append(at)
        assert unix(info["not_after"]) > at  # it never lapses
        if not away:
            away_until, issues = 0, issues + 1
            assert box.json("cert info")["sha256"] != info["sha256"], box.log(60)
    most = max(sum(t <= other < t + 3 * 3600 for other in tries) for t in tries)
    print(f"{days} days of {life_s // 3600} h: {issues} certificates, {len(tries)} tries, at most {most} in 3 h, {len(scripted.requests)} requests")
    assert issues <= days * DAY_S / (life_s * 0.4) + 2 and most <= 10
