"""The box's own certificate by an authority that is scripted, for what pebble lacks: windows, profiles, addresses, limits, lost answers. RENEWAL_DAYS=731:
also two years of renewals, ten minutes."""

import datetime
import itertools
import os
import threading
import time

import pytest
from cryptography import x509

from lab import acme, net, pki
from lab.wait import until
from test_certificates import paste
from test_renewal import DAY_S, LIFE_S, PORTS, chains, renew, shown, start, unix, verified, wait_failed, wait_issued  # noqa: F401

_hosts = itertools.count(1)


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
    for line in (r'cert rest why="acme.directory is not set"', r'cert try number=1 why="\w[^"]+"', r'cert wait until=\d{4}-\S+Z why="\w[^"]+" failures=0'):
        box.wait_log(line)
    old = box.json("cert info")["sha256"]
    begin = time.time() + 20 * DAY_S
    scripted.window = lambda cert: (begin, begin + DAY_S)
    move(box, scripted, time.time() + DAY_S + 3600)
    box.wait_log("cert window ")
    info = box.json("cert info")["renewal"]
    assert info["why"] == "the authority's window" and begin - 1 <= unix(info["next"]) <= begin + DAY_S + 1
    assert "https://status.example/renew" in box.console("cert info")
    box.wait_log(r'cert wait until=\S+Z why="the authority.s window')
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


# What goes wrong at which step. A try goes on with the order that the one before has left, so these go by the dialogue's order, too.
MISDEEDS = [("dir", acme.cut()), ("dir", acme.instead(200, b" " * 100000)), ("dir", acme.instead(302, Location="/dir")), ("order", acme.cut()),
            ("order", acme.instead(200, b'{"a":' * 40 + b"1" + b"}" * 40)), *((step, acme.cut()) for step in ("o", "z", "c", "f")), ("f", acme.cut(100)),
            ("cert", acme.cut()), ("cert", acme.instead(200, b"no certificate", "text/plain"))]


def test_what_no_authority_should_do(start, scripted):
    """The box says what happened each time, keeps the pair that it has, and gets another once the authority behaves."""
    box = first_issue(start, scripted)
    old, causes = box.json("cert info"), []
    for number, (step, misdeed) in enumerate(MISDEEDS, 1):
        scripted.faults = {step: misdeed}
        box.console("cert renew")
        end = time.time() + 120
        while True:
            info = box.json("cert info")
            assert info["sha256"] == old["sha256"], (step, box.log(60))
            if info["renewal"]["failures"] == number and not info["renewal"]["running"]:
                break
            assert time.time() < end, (step, box.log(60))
            time.sleep(0.1)
        causes.append((step, info["renewal"]["failure"]))
    print(causes)
    assert shown(box).serial_number == scripted.certificates[0]["cert"].serial_number
    assert any("no new certificate after" in a for a in map(str, box.json("status")["alerts"]))
    scripted.faults = {}
    info = renew(box)
    assert info["renewal"]["failures"] == 0 and quiet(box)


def quiet(box):
    """No alert, but that the authority's root is not one that others trust."""
    return {a["name"] for a in box.json("status")["alerts"]} <= {"outside"}


def test_another_key_and_a_revocation(start, scripted):
    box = first_issue(start, scripted)
    first = box.json("cert info")
    assert renew(box, "new-key", "yes")["spki_sha256"] == first["next_spki_sha256"]
    second = box.json("cert info")
    serial = shown(box).serial_number
    assert "asked for" in box.console("cert revoke stolen yes")
    third = wait_issued(box, second["sha256"])
    assert scripted.revoked == {serial: 1} and third["spki_sha256"] == second["next_spki_sha256"] != third["next_spki_sha256"]
    assert "error" in box.console("cert import-ca extra words here") and quiet(box)


def test_profiles_addresses_and_chains(start, scripted):
    """Six days for a name and an address, by the chain that is wished for; then 398 days: what has changed is asked for at once. A profile or
    chain that the authority does not have keeps nobody from a certificate."""
    scripted.profiles = {"shortlived": 160 * 3600, "classic": 398 * DAY_S}
    box = start()
    scripted.addresses[box.name] = box.ip
    box.set(acme__names=box.ip, acme__profile="shortlived", acme__chain=f"Cross {scripted.ip} Root", acme__directory=scripted.directory)
    short = wait_issued(box)
    assert unix(short["not_after"]) - unix(short["not_before"]) == 160 * 3600 and short["renewal"]["why"] == "half of its life is left then"
    assert chains(box, scripted.ca.root_pem, scripted.cross.root_pem) == [False, True]
    assert verified(box, scripted.cross.root_pem, box.ip) and quiet(box)
    box.console("set acme.chain Nobody")
    box.set(acme__profile="classic")
    long = wait_issued(box, short["sha256"])
    assert unix(long["not_after"]) - unix(long["not_before"]) == 398 * DAY_S and long["renewal"]["why"] == "a third of its life is left then"
    assert chains(box, scripted.ca.root_pem, scripted.cross.root_pem) == [True, False]
    box.wait_log("acme order rc=ok .*dropped=4")
    box.set(acme__profile="nonesuch")
    assert wait_issued(box, long["sha256"])["renewal"]["failures"] == 0
    box.wait_log("acme order rc=ok .*dropped=6")


def test_an_own_pair_beside_an_authority(start, scripted):
    """It cannot be put in while the authority is asked, and is then left alone until the operator wants another."""
    box, answer = first_issue(start, scripted), threading.Event()
    own = pki.good_ca().issue(box.name)
    old = box.json("cert info")["sha256"]
    scripted.faults["order"] = lambda connection, make: answer.wait(60) and acme.send(connection, make())
    box.console("cert renew")
    until(lambda: scripted.asked["order"] == 2)
    for command in ("cert import", "cert import-ca"):
        assert "'cert info' says how far" in box.console(command)
    answer.set()
    wait_issued(box, old)
    assert paste(box, "cert import", "".join(own)) == "the certificate is in use"
    info, asked = box.json("cert info"), scripted.asked["order"]
    assert info["origin"] == "imported" and "put in by hand" in info["renewal"]["why"]
    move(box, scripted, unix(info["not_after"]) - 60)
    assert {shown(box, port).serial_number for port in PORTS} == {x509.load_pem_x509_certificate(own[0].encode()).serial_number}
    assert scripted.asked["order"] == asked
    move(box, scripted, time.time())
    assert "nothing was done" in box.console("cert renew\rno")
    box.console("cert renew yes")
    wait_issued(box)


@pytest.mark.skipif("RENEWAL_DAYS" not in os.environ, reason="a long form")
def test_a_paste_that_nobody_ends(start, scripted):
    """It keeps the memory that a renewal needs for three minutes at most."""
    box = first_issue(start, scripted)
    old = box.json("cert info")["sha256"]
    box.type("cert import\r")
    box.read_until("one dot\r\n")
    box.type("-----BEGIN CERTIFICATE-----\r")
    assert "error: given up (timeout)" in box.read_until("\npostern> ", 200)
    assert renew(box)["sha256"] != old


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
