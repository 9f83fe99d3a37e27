"""The console as an operator or a script meets it: every command, every kind of wrong input, keys, and what stays after a power cut."""

import json
import os
import time

import pytest

from lab import client, net, pki
from lab.fakemx import FakeMx
from lab.wait import until

PROMPT = "postern> "
LINE_MAX = 1200
PASSWORD = "open-sesame-4711"
POLICY = {
    "timestamp": "2026-05-20T00:00:00+00:00", "expires": "2026-07-01T00:00:00+00:00", "version": "0.1", "author": "the lab",
    "policy-aliases": {},
    "policies": {"listed.example": {"mode": "enforce", "mxs": ["mx.listed.example"]},
                 "tested.example": {"mode": "testing", "mxs": [".tested.example"]}},
}
SHOWS = ["status", "show", "show mail.", "policy listed.example", "policy unlisted.example", "queue", "list", "list info", "list find listed",
         "cert", "cert info", "dns", "dns mail.office.example", "dns office.example MX", "dns records", "dns check", "log", "log 5", "trace cert", "stats", "time"]


pytestmark = pytest.mark.boards("posix", "virt", "mps2-an500")  # the console is where boards differ most above the drivers


@pytest.fixture(scope="module")
def box(make_box, board, office):
    box = make_box(board=board, policy=POLICY, rtc="2026-06-01T12:00:00Z", cert=pki.good_ca("ecdsa").issue("mail.office.example"))
    yield box
    assert "Sanitizer" not in box.errors()
    box.stop()


def fails(box, line):
    """The error that the line brings: exactly one line."""
    out = box.console(line)
    assert out.startswith("error: ") and "\n" not in out, f"{line!r}: {out!r}"
    return out


def typed(box, keys):
    """What the terminal gets up to the next prompt, byte for byte."""
    box.type(keys)
    return box.read_until("\r\n" + PROMPT)


# --- Commands


def test_the_banner_holds_no_escape_byte(make_box, board):
    box = make_box(board=board)
    try:
        box.kill()
        box.start()
        assert "\x1b" not in box.seen
        assert "\x1b" not in typed(box, "help\rstat\tshow\b\bow\r")
    finally:
        box.stop()


def test_help_names_every_command_and_explains_each(box):
    names = [line.split()[0] for line in box.console("help").splitlines() if not line.startswith("'")]
    for name in ("help", "status", "show", "set", "unset", "commit", "discard", "policy", "queue", "list", "cert", "dns", "log", "trace",
                 "stats", "time", "reboot", "factory-reset"):
        assert name in names
        assert box.console(f"help {name}").startswith(name)
    assert "default: 300" in box.console("help mail.retry_first")
    assert "next hop" in box.console("help mail.route.partner.example")
    fails(box, "help nothing")


@pytest.mark.parametrize("command", SHOWS)
def test_what_shows_something_also_does_as_one_line_of_json(box, command):
    text = box.console(command)
    assert text and "error:" not in text
    out = box.console(command + " json")
    assert "\n" not in out
    assert isinstance(json.loads(out), dict)


def test_status_tells_how_the_box_is(box):
    s = box.json("status")
    assert s["host_name"] == "mail.office.example" and s["board"] == box.board and s["addresses"] == [net.BOX]
    assert s["certificate"] == {"present": True, "self_signed": False, "not_after": "2045-01-01T00:00:00Z"}
    assert s["list"]["domains"] == 2 and not s["list"]["expired"] and s["reset"] == "power-on"
    assert s["time"].startswith("2026-06-01T12:")
    text = box.console("status")
    assert "mail.office.example" in text and net.BOX in text and "2 domains (1 enforce, 1 testing)" in text


def test_policy_gives_its_reasons(box):
    listed = box.json("policy listed.example")
    assert (listed["source"], listed["demand"], listed["testing"]) == ("list", "verified", False)
    assert listed["mx"] == ["mx.listed.example"] and listed["reasons"]
    assert box.json("policy tested.example")["testing"] is True
    free = box.json("policy nowhere.example")
    assert free["demand"] == "none" and free["list"] == "absent"
    assert box.json("policy LISTED.example.")["domain"] == "listed.example"


def test_list_finds_names(box):
    assert box.json("list find STED")["found"] == ["listed.example", "tested.example"]
    assert "enforce  listed.example" in box.console("list find listed")
    assert box.console("list find nothing-like-that") == "0 found"


def test_dns_asks_the_resolver(box):
    assert box.json("dns office.example MX")["records"] == ["10 mail.office.example"]
    assert box.json("dns mail.office.example A")["records"] == [net.BOX]
    assert box.json("dns no-such-name.example")["outcome"] == "no such name"
    assert box.json("dns")["resolvers"] == [f"{net.DNS}:53"]


@pytest.mark.boards("posix")
def test_an_address_is_no_name(box, names):
    reverse = ".".join(reversed(net.BOX.split("."))) + ".in-addr.arpa"
    names.add(f"{reverse}. PTR mail.office.example.")
    found = box.json(f"dns {net.BOX}")
    assert (found["name"], found["records"]) == (reverse, ["mail.office.example"])
    assert box.json("dns 2001:db8::1")["name"].endswith(".8.b.d.0.1.0.0.2.ip6.arpa")
    assert "that is an address" in fails(box, "policy 10.0.0.1") and "that is an address" in fails(box, "queue hold 10.0.0.1")
    assert box.console("policy [10.0.0.1]").startswith("mail to [10.0.0.1] goes to that address, which must show: ")
    assert box.json("policy [ipv6:2001:DB8::1]")["domain"] == "[IPv6:2001:db8::1]"


def test_records_to_publish(box, names):
    """As lines of a zone file; what the box cannot know is a comment there."""
    pin = box.json("cert info")["spki_sha256"]
    lines = ["; mail.office.example. A (the public address that leads here)", "office.example. MX 10 mail.office.example.",
             f"_25._tcp.mail.office.example. TLSA 3 1 1 {pin}"]
    shown = box.console("dns records").split("\n")
    assert shown[:3] == lines and all(" TLSA 3 1 1 " in line for line in shown[3:])  # the next key's, if one has been made
    checked = box.console("dns check").split("\n")
    assert checked[:3] == [f"{lines[0]} ; found: {net.BOX}", f"{lines[1]} ; live", f"{lines[2]} ; missing"]
    names.add(f"_25._tcp.mail.office.example. TLSA 3 1 1 {'00' * 32}")
    assert box.console("dns check").split("\n")[2] == f"{lines[2]} ; another: 3 1 1 {'00' * 32}"
    names.add(f"_25._tcp.mail.office.example. TLSA 3 1 1 {pin}", f"_25._tcp.mail.office.example. TLSA 3 1 1 {'ff' * 32}")
    records = box.json("dns check")["records"]
    assert [r["state"] for r in records[:3]] == ["found", "live", "live"]
    assert records[0] == {"owner": "mail.office.example", "type": "A", "data": "", "state": "found", "shown": net.BOX}
    assert box.json("dns records")["records"][1]["state"] == ""
    names.forget("_25._tcp.mail.office.example. ")
    names.add()


@pytest.mark.boards("posix")
def test_records_of_a_box_with_public_addresses(make_box, names, board):
    gateway, ip, ip6 = net.address("198.51.100.1"), "198.51.100.7", f"{net.PREFIX6}::7:7"
    names.add("mx.public.example. A 198.51.100.8", "public.example. MX 10 other.example.", "second.example. MX 20 mx.public.example.",
              f"mx.public.example. AAAA {ip6}", "7.100.51.198.in-addr.arpa. PTR mx.public.example.")
    box = make_box(settings={"host.name": "mx.public.example", "net.address": f"{ip}/16", "net.gateway": gateway, "net.address6": f"{ip6}/64",
                             "mail.domains": "public.example,second.example", "acme.names": "mta-sts.public.example"})
    try:
        until(lambda: "AAAA" in box.console("dns records"))  # it makes sure first that nobody else has that address
        states = {f"{r['owner']} {r['type']} {r['data']}": r["state"] for r in box.json("dns check")["records"] if r["type"] != "TLSA"}
        reverse = next(k for k in states if k.endswith("ip6.arpa PTR mx.public.example"))
        assert states == {
            f"mx.public.example A {ip}": "another", f"mta-sts.public.example A {ip}": "missing", f"mx.public.example AAAA {ip6}": "live",
            f"mta-sts.public.example AAAA {ip6}": "missing", "7.100.51.198.in-addr.arpa PTR mx.public.example": "live", reverse: "missing",
            "public.example MX mx.public.example": "another", "second.example MX mx.public.example": "live"}
        box.set(net__dns=f"{net.PREFIX}.0.54")  # where nobody answers
        started = time.time()
        assert {r["state"] for r in box.json("dns check")["records"]} == {"no answer"}
        assert time.time() - started < 20  # one is asked, which takes five seconds, not all
    finally:
        box.stop()


def test_time_can_be_set_and_is_kept_within_reason(box):
    try:
        box.console("time set 2026-06-02T00:00:00Z")
        assert box.json("time")["now"].startswith("2026-06-02T00:00:")
        assert box.json("time")["source"] == "operator"
        for wrong in ("yesterday", "2026-13-01T00:00:00Z", "2026-06-02", "1969-01-01T00:00:00Z", "9999-01-01T00:00:00Z"):
            fails(box, f"time set {wrong}")
    finally:
        box.console("time set 2026-06-01T12:00:00Z")


def test_log_and_trace_pick_lines(box):
    assert len(box.console("log 3").splitlines()) == 3
    assert box.json("log 2")["lines"] == box.console("log 2").splitlines()
    assert box.console("log 0") == ""
    assert "cert use" in box.console("trace mail.office.example")


# --- Settings


def test_a_change_waits_for_commit_and_can_be_discarded(box):
    assert box.console("set mail.life_days 3") == ""
    assert "* mail.life_days 3" in box.console("show mail.life")
    assert box.json("show mail.life_days")["settings"] == [{"key": "mail.life_days", "value": "3", "default": False, "staged": True}]
    assert box.console("discard") == "1 change forgotten"
    assert box.console("show mail.life_days") == "mail.life_days 5"
    box.console("set mail.life_days 4")
    box.console("set mail.route.Partner.Example 10.77.2.9")
    assert box.console("commit") == "2 changes in use"
    assert box.console("show mail.route") == "mail.route.partner.example 10.77.2.9:25"
    box.console("unset mail.life_days")
    assert "* mail.life_days (unset)" in box.console("show mail.life")
    box.console("unset mail.route.partner.example")
    assert box.console("commit") == "2 changes in use"
    assert box.console("show mail.life_days") == "mail.life_days 5"
    assert box.console("commit") == "nothing is staged"


@pytest.mark.parametrize("line", [
    "nonsense", "STATUS", "set", "set host.name", "set no.such.key 1", "set host.name two words", "set host.name -x.example",
    "set host.name " + "a" * 64 + ".example", "set host.name " + "abcdefgh." * 29 + "example", "set net.address 192.0.2.300/24",
    "set net.address 192.0.2.1", "set net.address 192.0.2.1/33", "set net.address6 192.0.2.1/24", "set net.gateway gateway",
    "set mail.trusted 0.0.0.0/0", "set mail.balancers ::/0", "set mail.trusted 10.0.0.0/8,", "set mail.trusted 10.0.0.0/8,10.1.0.0/99",
    "set mail.inside server:0", "set mail.inside server:65536",
    "set mail.inside_tls maybe", "set mail.retry_first 59", "set mail.retry_first many", "set mail.size_max 1K", "set mail.postmaster nobody",
    "set mail.exception.x.example tomorrow", "set mail.route. 10.0.0.1", "set mail.route.a..b 10.0.0.1", "set net.dns resolver.example",
    "set mail.smarthost_user " + "u" * 256, "set mail.domains " + ",".join(f"d{i}.example" for i in range(95)), "unset", "unset no.such.key",
    "unset mail.route.x.example", "unset host.name now", "show no.such", "commit now", "discard it", "status now", "policy",
    "policy a..b", "policy a.example b.example", "policy 10.0.0.1", "policy [10.0.0.300]", "queue show", "queue show 99", "queue show zz", "queue retry 99", "queue retry json", "queue drop 99 yes",
    "queue hold", "queue hold a..b", "queue hold all", "queue hold 10.77.2.98", "queue release all", "queue empty", "list find",
    "list find " + "a" * 254, "list find " + "a" * 254 + " json", "list empty", "cert unpin", "cert unpin x.example", "cert burn", "dns a..b",
    "dns a.example HINFO", "log some", "log -1", "log 99999999999", "trace", "time set", "time set now", "time get", "reboot now",
    "factory-reset everything", "factory-reset all now", "stats more", "help me please", "x" * (LINE_MAX + 1), "x" * 5000,
    "set mail.smarthost_user caf\xe9".encode("latin-1"), "set mail.smarthost_user a\x9b31m", "\xff\xfe".encode("latin-1")])
def test_wrong_input_gets_one_line_of_error(box, line):
    if isinstance(line, bytes):
        box.process.stdin.write(line)
        line = ""
    fails(box, line)
    assert box.console("discard") == "0 changes forgotten"


@pytest.mark.boards("posix")
@pytest.mark.parametrize("line", [
    "cert info x", "cert renew yes yes", "cert renew new-key x", "cert revoke stolen x", "cert account deactivate x", "cert account roll-over yes",
    "cert import extra", "cert import json", "cert import-ca json", "cert unpin a b", "cert x", "queue show 1 x", "queue retry 1 x",
    "queue drop 1 x", "queue drop 1 yes yes", "queue hold a.example b.example", "queue release x.example json", "queue x", "list info x",
    "list find a b", "list update json", "list receive json", "list receive 9 x", "list x", "dns records A", "dns check x", "dns a.example A x",
    "time x", "time set 2026-06-01T12:00:00Z json", "reboot yes yes", "reboot json", "factory-reset yes all", "factory-reset all all",
    "status json json", "commit yes", "discard json"])
def test_a_word_too_many_is_a_usage_error(box, line):
    """Nothing is done, asked or waited for: what is typed next is a command again."""
    told = fails(box, line)
    assert told.startswith(f"error: usage: {line.split()[0]}") and not told.endswith(" "), told
    assert box.console("discard") == "0 changes forgotten"


@pytest.mark.boards("posix")
@pytest.mark.parametrize("line", ["cert account deactivate", "cert renew new-key"])
def test_without_a_directory_nobody_is_asked_whether_he_is_sure(box, line):
    assert "acme.directory is not set" in fails(box, line)


@pytest.mark.parametrize("changes, words", [
    (["mail.retry_first 3600", "mail.retry_longest 300"], ["mail.retry_first", "mail.retry_longest"]),
    (["net.address 192.0.2.7/24", "mail.inside 192.0.2.9,192.0.2.7:25"], ["mail.inside", "net.address"]),
    (["net.address 192.0.2.7/24", "mail.smarthost 192.0.2.7"], ["mail.smarthost", "net.address"]),
    (["host.name own.example", "web.forward.own.example 192.0.2.9"], ["web.forward", "host.name"]),
    (["acme.eab_key !!"], ["acme.eab_key"]),
    (["mail.exception.x.example 2020-01-01T00:00:00Z"], ["mail.exception.x.example", "over"])])
def test_settings_that_do_not_fit_are_refused_together(box, changes, words):
    for change in changes:
        assert box.console(f"set {change}") == ""
    told = fails(box, "commit")
    assert all(word in told for word in words), told
    assert box.console("discard") == f"{len(changes)} change{'' if len(changes) == 1 else 's'} forgotten"


def test_control_bytes_never_reach_a_value(box):
    box.type("set mail.smarthost_user a\x00b\x07c\x0ed\x1fe\r")
    box.read_until("\n" + PROMPT)
    assert box.json("show mail.smarthost_user")["settings"][0]["value"] == "abcde"
    box.console("discard")


def test_values_of_the_largest_size_are_kept(box):
    domains = ",".join(f"domain-number-{i:03}.example" for i in range(38))
    box.set(mail__domains="office.example," + domains)
    assert box.json("show mail.domains")["settings"][0]["value"] == "office.example," + domains
    box.set(mail__domains="office.example")


def test_secrets_are_never_shown(box):
    box.set(mail__smarthost_user="office", mail__smarthost_password=PASSWORD)
    seen = typed(box, "\x1b[A\x1b[A\x1b[A\x15\r")
    for command in ("show", "show json", "show mail.smarthost_password", "log 400", "trace smarthost", "status", "stats json"):
        seen += box.console(command)
    assert PASSWORD not in seen
    assert "mail.smarthost_password ******" in seen
    box.console("unset mail.smarthost_password")
    box.console("unset mail.smarthost_user")
    box.console("commit")


# --- Keys


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_each_line_end_ends_one_line(box, end):
    assert typed(box, "list find listed" + end) == "list find listed\r\nenforce  listed.example\r\n1 found\r\n" + PROMPT
    assert typed(box, end) == "\r\n" + PROMPT


def test_input_is_echoed_as_it_is_typed(box):
    for c in "queue":
        box.type(c)
        assert box.read_until(c) == c
    assert typed(box, "\r") == "\r\nthe queue is empty\r\n" + PROMPT


def test_many_lines_at_once_are_all_run(box):
    box.type("".join(f"set mail.route.r{i}.example 10.0.0.{i}\r\n" for i in range(1, 31)) + "discard\r\n")
    out = box.read_until("30 changes forgotten")
    assert "error:" not in out
    box.read_until(PROMPT)


def test_tab_completes_words_and_shows_the_choice(box):
    assert "last reset" in typed(box, "statu\t\r")
    assert typed(box, "show mail.size\t\r").startswith("show mail.size_max ")
    assert "retry" in typed(box, "queue ret\t\r")
    assert typed(box, "help fact\t\r").startswith("help factory-reset ")
    box.type("show mail.inside\t")
    shown = box.read_until(PROMPT + "show mail.inside")
    assert shown.endswith("mail.inside  mail.inside_tls  mail.inside_client  \r\n" + PROMPT + "show mail.inside")
    assert "mail.inside_tls off" in typed(box, "_t\t\r")


def test_editing_and_history(box):
    assert "0 found" in typed(box, "lst find zzz\x1b[H\x1b[Ci\r")
    assert "0 found" in typed(box, "\x1b[A\r")
    assert "0 found" in typed(box, "\x10\r")
    assert "no such command: x" in typed(box, "anything at all\x15x\r")
    assert typed(box, "factory-reset\x03").endswith("^C\r\n" + PROMPT)


def test_log_lines_never_intrude(box, office):
    box.type("queue")
    box.read_until("queue")
    client.send(box, "someone@sender.example", "anna@office.example", client.mail(f"quiet-{box.board}"))
    office.wait_for(f"quiet-{box.board}")
    time.sleep(0.5)
    assert typed(box, " json\r").replace(" json", "", 1).startswith('\r\n{"queue":')
    assert "queued" in box.log()


# --- The queue


def test_the_queue_can_be_looked_at_held_and_dropped(box, names, remote_ip):
    names.mail_domain("listed.example", "mx.listed.example", remote_ip)
    stripper = FakeMx(remote_ip, "mx.listed.example", starttls="none")
    box.is_empty()
    client.send(box, "anna@office.example", ["bob@listed.example", "eve@listed.example"], client.mail("waits"), source=net.OFFICE)
    box.wait_log(r"delivery waits id=")
    entry = box.json("queue")["queue"][0]
    assert (entry["state"], entry["recipients"], entry["waiting"], entry["domain"]) == ("waiting", 2, 2, "listed.example")
    assert "offers no STARTTLS" in entry["reason"]
    ident = entry["id"]
    text = box.console(f"queue show {ident}")
    assert "<bob@listed.example> waiting" in text and "policy for listed.example" in text
    shown = box.json(f"queue show {ident.lower()}")
    assert shown["id"] == ident and [r["address"] for r in shown["recipients"]] == ["bob@listed.example", "eve@listed.example"]
    assert box.console("queue hold listed.example") == "1 mail held until you release them, with all that comes for listed.example"
    assert box.json("queue")["queue"][0]["state"] == "held"
    assert box.console("queue release listed.example") == "1 mail released"
    box.wait_log(rf"waits id={ident} recipients=2 attempts=2")
    assert ident in box.console(f"trace {ident}")
    assert "1 mail" in box.console("status")

    box.type(f"queue drop {ident}\r")
    box.read_until("(yes/no) ")
    assert "nothing was done" in typed(box, "no\r")
    box.type(f"queue drop {ident}\r")
    box.read_until("(yes/no) ")
    assert "nothing was done" in typed(box, "\x03")
    assert box.json("queue")["count"] == 1
    assert box.console(f"queue drop {ident} yes") == "dropped"
    assert box.json("queue") == {"queue": [], "shown": 0, "count": 0}
    stripper.stop()


@pytest.mark.boards("posix")
def test_mail_to_an_address_can_be_held(box, remote_ip):
    """Nobody listens there."""
    hop = f"[{remote_ip}]"
    ident = client.send(box, "anna@office.example", f"bob@{hop}", client.mail("literal"), source=net.OFFICE).split()[-1]
    box.wait_log(rf"delivery waits id={ident}")
    assert box.console(f"queue hold {hop}") == f"1 mail held until you release them, with all that comes for {hop}"
    assert box.console("show mail.hold").startswith(f"mail.hold.{hop} by 'queue hold' ")
    assert [q["state"] for q in box.json("queue")["queue"]] == ["held"]
    assert box.console(f"queue release {hop}") == "1 mail released"
    assert box.order(f"queue drop {ident} yes") == "dropped" and box.json("queue")["count"] == 0


def test_more_mail_than_the_window_is_all_shown_counted_and_moved(box, names, remote_ip):
    """64 places in RAM, 100 mails; nobody listens where they go."""
    if box.board != "mps2-an500":  # no marker: pytest would put a test for one board before the others of that board
        pytest.skip("a larger window")
    names.add("dead.example. MX 10 mx.dead.example.", f"mx.dead.example. A {remote_ip}", "held.example. MX 10 mx.dead.example.")
    s = client.Raw(box, source=net.OFFICE)
    s.ask("EHLO client.example")
    sent = []
    for n in range(100):
        for line in ("MAIL FROM:<anna@office.example>", f"RCPT TO:<bob{n}@{'held' if n % 10 == 9 else 'dead'}.example>", "DATA"):
            assert s.ask(line)[0] in (250, 354)
        sent.append(s.ask(client.mail(f"m{n}").encode() + b".\r\n")[1][0].split()[-1])
    s.close()
    queue = box.json("queue", timeout=60)
    assert [q["id"] for q in queue["queue"]] == sent and queue["shown"] == queue["count"] == 100
    assert [q["domain"] for q in queue["queue"][8:11]] == ["dead.example", "held.example", "dead.example"]
    shown = [line for line in box.console("queue", timeout=60).split("\n") if not line.startswith(" ")]
    assert [line.split()[0] for line in shown] == sent
    assert all(box.json(f"queue show {i}")["recipients"][0]["address"].startswith(f"bob{n}@") for n, i in enumerate(sent) if n % 9 == 0)
    one = sent[50]
    assert box.console(f"queue hold {one}") == "1 mail held until you release them"
    assert box.console("queue hold held.example") == "10 mails held until you release them, with all that comes for held.example"
    assert "all mail for 1 domain is held" in box.console("status") and box.json("status")["queue"]["held_domains"] == 1
    assert [q["id"] for q in box.json("queue", timeout=60)["queue"] if q["state"] == "held"] == sorted(sent[9::10] + [one])
    told = box.console("queue retry", timeout=60).split("\n")
    assert sum(int(line.split()[0]) for line in told) == 100 and told[-1] == "11 more: held or damaged"
    assert box.console(f"queue release {sent[99]}").startswith("it stays: all mail for held.example is held; 'queue release held.example'")
    assert box.console("queue release dead.example", timeout=60) == "90 mails released"
    assert box.console("queue release held.example", timeout=60) == "10 mails released"
    assert not [q for q in box.json("queue", timeout=60)["queue"] if q["state"] == "held"]
    for i in sent:
        assert box.order(f"queue drop {i} yes") == "dropped"
    assert box.json("queue")["count"] == 0


# --- Power cuts and restarts: these come last, as they stop the box


def test_settings_outlive_a_power_cut(box):
    box.set(mail__life_days="7")
    box.console("set mail.life_days 9")
    box.restart()
    assert box.console("show mail.life_days") == "mail.life_days 7"
    assert box.console("show mail.") .count("*") == 0
    assert box.json("status")["reset"] == "power-on"


def test_reboot_asks_first_and_tells_why_it_started(box):
    box.type("reboot\r")
    box.read_until("(yes/no) ")
    assert "nothing was done" in typed(box, "n\r")
    box.type("reboot yes\r")
    box.read_until("restarting")
    box.read_until(PROMPT, 60)
    assert box.json("status")["reset"] == "requested"
    assert "last reset: requested" in box.console("status")
    assert box.console("show mail.life_days") == "mail.life_days 7"


def test_factory_reset_forgets_settings(box):
    box.type("factory-reset\r")
    box.read_until("(yes/no) ")
    assert "nothing was done" in typed(box, "\r")
    assert box.console("show host.name") == "host.name mail.office.example"
    box.type("factory-reset yes\r")
    box.read_until("erased, restarting")
    box.read_until(PROMPT, 60)
    assert box.json("show host.name")["settings"][0] == {"key": "host.name", "value": "", "default": True, "staged": False}
    assert box.json("status")["list"]["domains"] == 2
