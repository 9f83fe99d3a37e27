"""Where a mail goes next: the office server, a smart host, a route, the MX hosts of the DNS; and what each must show before it gets one."""

import base64
import itertools
import json
import os
import time

import pytest

from lab import client, dns, net, pki
from lab.box import ROOT
from lab.fakemx import MailServers
from lab.wait import until

_smart_hosts = itertools.count(1)
USER, PASSWORD = "branch@isp.example", "correct horse battery"
SECRETS = (PASSWORD, base64.b64encode(PASSWORD.encode()).decode(), base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode())
REAL_LIST = os.path.join(ROOT, "..", "shared", "data", "policy-2020-05-20.json")
CHANGEABLE = ("mail.smarthost", "mail.smarthost_user", "mail.smarthost_password", "net.dns_zone.lan.example")


@pytest.fixture(scope="module")
def box(make_box, board):
    number = {"posix": 30, "virt": 31, "mps2-an500": 32}[board]
    with make_box(board=board, settings={"net.address": f"{net.PREFIX}.0.{number}/16", "mail.domains": "office.example,second.example"}) as box:
        yield box


@pytest.fixture
def posix(box):
    """For what is the same above every board."""
    if box.board != "posix":
        pytest.skip("the same code on every board: posix is enough")
    return box


@pytest.fixture
def server(names):
    """server(HOST): nobody's until the test tells the box or the DNS."""
    with MailServers(names) as servers:
        yield lambda host, **kw: servers(host=host, **kw)


def good(host):
    return {"cert": pki.good_ca().issue(host)}


def out(box, to, subject="out", **kw):
    """From the office to elsewhere; gives the queue id."""
    return client.send(box, "anna@office.example", to, client.mail(subject), source=net.OFFICE, tls=False, **kw).split()[-1]


def into(box, to="anna@office.example", subject="in"):
    return client.send(box, "someone@sender.example", to, client.mail(subject), tls=False).split()[-1]


def entry(box, ident):
    return [q for q in box.json("queue")["queue"] if q["id"] == ident]


def held(box, ident):
    box.wait_log(rf"waits id={ident}")
    reason = entry(box, ident)[0]["reason"]
    box.drop(ident)
    return reason


def alerts(box):
    return [a["name"] for a in box.json("status")["alerts"]]


def unset(box, *keys):
    for key in keys:
        box.console(f"unset {key}")
    assert "error" not in box.console("commit")


# --- the smart host ---


@pytest.fixture
def smart(box, names, server):
    """Sets the box to a smart host that this makes; all of it is unset afterwards."""

    def make(port=587, credentials=True, **kw):
        host = server(f"smart{next(_smart_hosts)}.isp.example", port=port, implicit=port == 465, login=(USER, PASSWORD), **kw)
        names.host(host.host, host.ip)
        box.set(mail__smarthost=f"{host.host}:{port}")
        if credentials:
            box.set(mail__smarthost_user=USER, mail__smarthost_password=PASSWORD)
        return host

    yield make
    unset(box, *CHANGEABLE)


@pytest.mark.parametrize("port,offered", [(587, "AUTH PLAIN LOGIN"), (465, "AUTH LOGIN")])
def test_a_smart_host_gets_all_mail_with_credentials_over_verified_tls(box, smart, port, offered):
    host = smart(port, **good("*.isp.example"), extensions=[offered])
    ident = out(box, "bob@anywhere.example")
    assert host.wait_for()["tls"] == "TLSv1.3"
    assert host.logins == [(USER, PASSWORD)]
    assert [c.split(" ")[0] for c in host.commands if c.startswith("AUTH")] == ["AUTH"]
    box.wait_log(rf"delivery verdict id={ident} .*mx={host.host} .*verified=1 demand=verified source=local")
    assert "only this first hop is assured" in box.console("status") and box.json("status")["first_hop_only"]
    assert f"only the way to {host.host}" in box.console("policy anywhere.example") and box.json("policy anywhere.example")["next_hop"] == "smarthost"


BAD_SMART = {
    "self-signed": (587, lambda: {"cert": pki.self_signed("*.isp.example")}),
    "strange-root": (465, lambda: {"cert": pki.strange_ca().issue("*.isp.example")}),
    "wrong-name": (587, lambda: good("smart.elsewhere.example")),
    "stripped": (587, lambda: {"starttls": "none"}),
    "refused": (587, lambda: {"starttls": "454", **good("*.isp.example")}),
    "injected": (587, lambda: {"starttls": "garbage", **good("*.isp.example")}),
}


@pytest.mark.parametrize("case", BAD_SMART)
def test_a_password_never_leaves_without_a_verified_certificate(posix, smart, case):
    port, kw = BAD_SMART[case]
    host = smart(port, extensions=["AUTH PLAIN LOGIN"], **kw())
    reason = held(posix, out(posix, "bob@anywhere.example"))
    assert "held back" in reason and host.host in reason
    assert not host.logins and not host.mails
    assert not [c for c in host.commands if c.split(" ")[0] in ("AUTH", "MAIL")]


@pytest.mark.parametrize("offered,word", [(["AUTH PLAIN"], "535"), (["AUTH CRAM-MD5"], "PLAIN"), ([], "PLAIN")])
def test_a_smart_host_that_refuses_us_keeps_the_mail_waiting(posix, smart, offered, word):
    host = smart(**good("*.isp.example"), extensions=offered)
    posix.set(mail__smarthost_password="wrong-one")
    ident = out(posix, "bob@anywhere.example")
    reason = held(posix, ident)
    assert word in reason or word in posix.log(60), reason
    assert not host.mails and not [c for c in host.commands if c.startswith("MAIL")]


def test_without_credentials_a_smart_host_is_opportunistic(posix, smart):
    host = smart(port=2525, credentials=False, starttls="none")
    out(posix, "bob@anywhere.example")
    assert host.wait_for()["tls"] is None and not host.logins


def test_the_office_domain_does_not_go_to_the_smart_host(posix, smart, server):
    host = smart(port=2525, credentials=False)
    inside = server("server.office.example")
    posix.set(mail__inside=f"{inside.ip}:25", mail__inside_tls="off")
    into(posix)
    inside.wait_for()
    assert host.sessions == 0


def test_the_password_is_shown_nowhere(posix, smart):
    host = smart(**good("*.isp.example"), extensions=["AUTH PLAIN"])
    out(posix, "bob@anywhere.example")
    host.wait_for()
    shown = [posix.console(c) for c in ("show", "show json", "show mail.smarthost", "log 400", "status", "status json", f"trace {host.host}")]
    for text in shown:
        assert not [s for s in SECRETS if s in text]
    assert "mail.smarthost_password" in shown[0]


# --- the office server ---


@pytest.fixture
def office_server(box, server):
    """office_server(MODE, host kw...): the office server with a fresh address and key, and the box set to it."""

    def make(tls, name=None, **kw):
        host = server("server.office.example", **kw)
        box.set(mail__inside=f"{name or host.ip}:25", mail__inside_tls=tls)
        return host

    return make


@pytest.mark.parametrize("how", ["plain", "self-signed", "breaks"])
def test_inside_off_takes_what_is_there(posix, office_server, how):
    kw = {"plain": {"starttls": "none"}, "self-signed": {"cert": pki.self_signed("x.example")},
          "breaks": {"starttls": "break"}}[how]
    host = office_server("off", **kw)
    into(posix)
    assert (host.wait_for()["tls"] is not None) == (how == "self-signed")


def test_inside_pin_keeps_to_the_key_first_seen(box, office_server, server):
    host = office_server("pin", cert=pki.self_signed("server.office.example"))
    into(box)
    host.wait_for()
    box.wait_log(rf"pinned host={host.ip} rc=ok")
    into(box)
    host.wait_for(2)
    host.stop()
    impostor = server("server.office.example", ip=host.ip, cert=pki.self_signed("server.office.example"))
    ident = into(box)
    box.wait_log(rf"waits id={ident}")
    assert not impostor.mails and not [c for c in impostor.commands if c.startswith("MAIL")]
    assert "held back" in entry(box, ident)[0]["reason"]
    assert "inside-pin" in alerts(box) and f"cert unpin {host.ip}" in box.console("status")
    assert "error:" not in box.console(f"cert unpin {host.ip}")
    box.order(f"queue retry {ident}")
    impostor.wait_for()
    box.wait_log(rf"delivered id={ident}")
    until(lambda: "inside-pin" not in alerts(box))


@pytest.mark.parametrize("how", ["stripped", "refused"])
def test_inside_pin_does_not_fall_back_to_plaintext(posix, office_server, how):
    host = office_server("pin", **({"starttls": "none"} if how == "stripped" else {"starttls": "454", **good("server.office.example")}))
    assert "held back" in held(posix, into(posix))
    assert not host.mails


def test_inside_ca_takes_the_imported_ca_alone(posix, names, office_server, server):
    host = office_server("ca", name="server.office.example", cert=pki.strange_ca().issue("server.office.example"))
    names.forget("server.office.example. A ")
    names.host("server.office.example", host.ip)
    assert "held back" in held(posix, into(posix))  # nothing imported yet
    posix.type("cert import-ca\r" + pki.strange_ca().root_pem.replace("\n", "\r") + ".\r")
    posix.read_until("the office's CA is in use")
    posix.read_until("\npostern> ")
    into(posix)
    assert host.wait_for()["tls"]
    host.stop()
    other = server("server.office.example", ip=host.ip, **good("server.office.example"))  # a public CA's word does not count here
    assert "held back" in held(posix, into(posix))
    assert not other.mails


def test_inside_ca_import_refuses_what_is_no_certificate(posix):
    posix.type("cert import-ca\rhello\r.\r")
    posix.read_until("error: there is no certificate in it")
    posix.read_until("\npostern> ")


@pytest.mark.parametrize("case", ["good", "strange", "wrong-name"])
def test_inside_public_wants_a_public_ca(posix, names, office_server, case):
    name = f"{case}.inside.example"
    cert = {"good": pki.good_ca().issue(name), "strange": pki.strange_ca().issue(name), "wrong-name": pki.good_ca().issue("x.example")}[case]
    host = office_server("public", name=name, cert=cert)
    names.host(name, host.ip)
    ident = into(posix)
    if case == "good":
        assert host.wait_for()["tls"]
        posix.wait_log(rf"verdict id=\w+ .*mx={name} .*verified=1 demand=verified")
    else:
        assert "held back" in held(posix, ident)
        assert not host.mails


@pytest.mark.parametrize("cut_through", ["on", "off"])
def test_several_office_servers_in_their_order(box, server, cut_through):
    first, second, dead = server("one.office.example"), server("two.office.example"), net.address(net.fresh_ip())
    box.set(mail__inside=f"{first.ip},{second.ip}", mail__inside_tls="off", mail__cut_through=cut_through)
    into(box)
    first.wait_for()
    box.set(mail__inside=f"{dead}:25,{second.ip}:25")
    ident = into(box)
    second.wait_for()
    box.wait_log(rf"delivered id={ident}" if cut_through == "off" else r"passed .*text=\"queued\"")
    unset(box, "mail.cut_through")
    assert len(first.mails) == 1 and "inside-down" not in alerts(box)


def test_an_office_server_that_is_down_raises_an_alert_until_it_is_back(box, server):
    ip = net.address(net.fresh_ip())
    box.set(mail__inside=ip, mail__inside_tls="off")
    ident = into(box)
    box.wait_log(rf"waits id={ident}")
    assert "inside-down" in alerts(box) and ip in box.console("status")
    assert "could not be reached" in entry(box, ident)[0]["reason"]
    back = server("server.office.example", ip=ip)
    box.order(f"queue retry {ident}")
    back.wait_for()
    box.wait_log(rf"delivered id={ident}")
    until(lambda: "inside-down" not in alerts(box))


def test_the_office_server_by_a_name_of_the_inside_zone(posix, folder, names, server):
    resolver = dns.Dns(f"{folder}/lan-dns", ip=net.fresh_ip())
    host, wrong = server("mail.lan.example"), server("mail.lan.example")
    resolver.host("mail.lan.example", host.ip)
    names.host("mail.lan.example", wrong.ip)  # what the outside world says of that name
    resolver.start()
    try:
        posix.set(net__dns_zone__lan__example=resolver.ip, mail__inside="mail.lan.example", mail__inside_tls="off")
        into(posix)
        host.wait_for()
        assert wrong.sessions == 0
    finally:
        resolver.stop()
        unset(posix, "net.dns_zone.lan.example")


def test_an_own_domain_never_goes_by_its_mx(posix, names, server):
    inside, elsewhere = server("server.office.example"), server("mx.attacker.example")
    names.mail_domain("second.example", "mx.attacker.example", elsewhere.ip)
    posix.set(mail__inside=inside.ip, mail__inside_tls="off")
    into(posix, "anna@second.example")
    inside.wait_for()
    out(posix, "anna@second.example")
    inside.wait_for(2)
    assert elsewhere.sessions == 0


# --- routes and literals ---


def test_a_route_goes_before_mx(box, names, server):
    routed, mx = server("branch.example", port=2500), server("mx.branch.example")
    names.mail_domain("branch.example", "mx.branch.example", mx.ip)
    box.set(mail__route__branch__example=f"{routed.ip}:2500")
    out(box, "bob@branch.example")
    routed.wait_for()
    assert mx.sessions == 0
    assert box.json("policy branch.example")["next_hop"] == "route"
    unset(box, "mail.route.branch.example")
    out(box, "bob@branch.example")
    mx.wait_for()


def test_an_address_literal_from_the_office(posix, server):
    host = server("literal.example")
    out(posix, f"bob@[{host.ip}]")
    assert f"bob@[{host.ip}]" in host.wait_for()["to"][0]


# --- MX ---


def test_equal_preferences_share_the_mail(posix, names, server):
    one, two = server("mx1.even.example"), server("mx2.even.example")
    names.host("mx1.even.example", one.ip)
    names.host("mx2.even.example", two.ip)
    names.add("even.example. MX 10 mx1.even.example.", "even.example. MX 10 mx2.even.example.")
    s = client.Raw(posix, source=net.OFFICE)
    s.ask("EHLO client.example")
    for i in range(40):
        assert s.ask("MAIL FROM:<anna@office.example>")[0] == 250
        assert s.ask("RCPT TO:<bob@even.example>")[0] == 250
        assert s.ask("DATA")[0] == 354
        assert s.ask(client.mail(f"even-{i}").encode() + b".\r\n")[0] == 250
    s.close()
    until(lambda: len(one.mails) + len(two.mails) == 40)
    assert 5 <= len(one.mails) <= 35  # outside this: one in 10 million with a fair coin


def test_preferences_are_kept_in_order(posix, names, server):
    busy = [server(f"mx{n}.steps.example", replies={"greeting": "421 4.3.2 busy"}) for n in (1, 2)]
    last = server("mx3.steps.example")
    for n, mx in ((30, last), (20, busy[1]), (10, busy[0])):
        names.host(mx.host, mx.ip)
        names.add(f"steps.example. MX {n} {mx.host}.")
    ident = out(posix, "bob@steps.example")
    last.wait_for()
    assert [b.sessions for b in busy] == [1, 1]
    ident = out(posix, "bob@steps.example")
    last.wait_for(2)
    busy[0].replies = {}
    posix.console("queue retry")  # who was busy twice would be passed over for a while
    ident = out(posix, "bob@steps.example")
    busy[0].wait_for()
    assert len(last.mails) == 2 and busy[1].sessions == 2 and ident


def test_mail_is_not_sent_to_ourselves_or_to_those_after_us(posix, names, server):
    first, after = server("mx1.backup.example", replies={"greeting": "421 4.3.2 busy"}), server("mx3.backup.example")
    for n, mx in ((10, first), (30, after)):
        names.host(mx.host, mx.ip)
        names.add(f"backup.example. MX {n} {mx.host}.")
    names.add("backup.example. MX 20 mail.office.example.", "loop.example. MX 10 mail.office.example.", "loop.example. MX 10 mx3.backup.example.")
    assert "busy" in held(posix, out(posix, "bob@backup.example"))
    assert first.sessions == 1 and after.sessions == 0
    assert "loop" in held(posix, out(posix, "bob@loop.example"))
    assert after.sessions == 0


def test_aliases_lead_to_the_mail_server(posix, names, server):
    host = server("real.alias.example")
    names.host("real.alias.example", host.ip)
    names.add("alias.example. CNAME alias2.example.", "alias2.example. CNAME alias3.example.", "alias3.example. MX 10 mx.alias3.example.",
              "mx.alias3.example. CNAME real.alias.example.")
    out(posix, "bob@alias.example")
    assert "bob@alias.example" in host.wait_for()["to"][0]


def test_the_next_address_of_a_host_is_tried(posix, names, server):
    host, dead = server("mx.many.example"), [net.address(net.fresh_ip()) for _ in range(3)]
    names.add("many.example. MX 10 mx.many.example.", *[f"mx.many.example. A {ip}" for ip in (*dead, host.ip)])
    out(posix, "bob@many.example")
    host.wait_for()
    assert dead[0] in posix.wait_log(r"no-connection .*mx=mx.many.example.*")


def test_a_large_answer_comes_over_tcp_and_its_best_mx_is_found(posix, names, server):
    label = "a-rather-long-name-for-a-mail-server-so-that-it-does-not-fit"
    worst = server("mx.large.example")
    best = server("best.large.example")
    names.host("best.large.example", best.ip)
    names.add(*(f"{label}-{n}.large.example. A {worst.ip}" for n in range(20)),
              *(f"large.example. MX {100 + n} {label}-{n}.large.example." for n in range(20)))
    names.add("large.example. MX 10 best.large.example.")  # the last of them
    before = posix.json("dns")["tcp_fallbacks"]
    out(posix, "bob@large.example")
    best.wait_for()
    assert worst.sessions == 0
    assert posix.json("dns")["tcp_fallbacks"] > before


def test_what_the_dns_said_holds_for_its_ttl(posix, names, server):
    """The second mail must go out within five seconds of the first, or the trial says nothing: then it is made again."""
    for n in itertools.count():
        assert n < 10, "the machine is too slow for this"
        domain = f"moves{n}.example"
        old, new = server(f"mx.{domain}"), server(f"mx.{domain}")
        names.mail_domain(domain, old.host, old.ip)
        began = time.monotonic()
        out(posix, f"bob@{domain}")
        old.wait_for()
        names.mail_domain(domain, new.host, new.ip)
        hits = posix.json("dns")["cache_hits"]
        out(posix, f"bob@{domain}")
        until(lambda: len(old.mails) + len(new.mails) == 2)
        if time.monotonic() - began < 4.5:
            break
    assert len(old.mails) == 2 and posix.json("dns")["cache_hits"] > hits
    time.sleep(5.5)
    out(posix, f"bob@{domain}")
    new.wait_for()
    assert len(old.mails) == 2


def test_the_second_resolver_answers_when_the_first_is_down(posix, names, server):
    host = server("mx.spare.example")
    names.mail_domain("spare.example", "mx.spare.example", host.ip)
    try:
        posix.set(net__dns=f"{net.PREFIX}.250.251,{net.DNS}")
        out(posix, "bob@spare.example")
        host.wait_for()
        assert posix.json("dns")["timeouts"] > 0
    finally:
        posix.set(net__dns=net.DNS)


# --- the list as it was published ---

REAL = pytest.mark.skipif(not os.path.exists(REAL_LIST), reason="the published list is not on this machine")
# domain: (its MX host in the lab, as its policy wants it, mode)
KINDS = {"comcast.net": ("mx1.comcast.net", "enforce"), "kubica.ch": ("mx1.burzum.ch", "enforce"),
         "gmail.com": ("alt1.gmail-smtp-in.l.google.com", "enforce"), "eff.org": ("mail2.eff.org", "testing"),
         "0xheap.org": ("mail.0xheap.org", "testing"), "hotmail.com": ("mx1.olc.protection.outlook.com", "testing")}


@pytest.fixture(scope="module")
def listed(make_box, board):
    if board != "posix":
        pytest.skip("posix is enough")
    with make_box(policy=os.path.abspath(REAL_LIST), rtc="2020-05-25T00:00:00Z", settings={"net.address": f"{net.PREFIX}.0.33/16"}) as box:
        yield box


@pytest.fixture(scope="module")
def expired(make_box, board):
    if board != "posix":
        pytest.skip("posix is enough")
    box = make_box(policy=os.path.abspath(REAL_LIST), rtc="2020-07-01T00:00:00Z", settings={"net.address": f"{net.PREFIX}.0.34/16"})
    yield box
    box.stop()


@REAL
def test_the_published_list_is_whole(listed):
    info = listed.json("list info")
    policies = json.load(open(REAL_LIST))["policies"]
    assert info["domains"] == len(policies) == 926
    assert info["enforce"] == len([p for p in policies.values() if p.get("mode") == "enforce"])
    for domain in list(policies)[::60]:
        assert listed.json(f"policy {domain}")["source"] == "list"


@REAL
@pytest.mark.parametrize("domain", KINDS)
def test_published_and_well_done_goes_verified(listed, names, server, domain):
    host, mode = KINDS[domain]
    mx = server(host, **good(host))
    names.mail_domain(domain, host, mx.ip)
    out(listed, f"bob@{domain}")
    assert mx.wait_for()["tls"]
    listed.wait_log(rf"verdict .*domain={domain} .*verified=1 .*source=list")
    mx.stop()


@REAL
@pytest.mark.parametrize("domain", ["alainwolf.ch", "compucation.de", "4zal.net", "facebook.com", "apbox.de", "me.com"])
def test_published_and_stripped(listed, names, server, domain):
    host, mode = {"alainwolf.ch": ("pace.urown.net", "enforce"), "compucation.de": ("mail.compucation.de", "enforce"),
                  "4zal.net": ("mx.4zal.net", "enforce"), "facebook.com": ("smtpin.facebook.com", "testing"),
                  "apbox.de": ("srv.apbox.de", "testing"), "me.com": ("mx9.mail.icloud.com", "testing")}[domain]
    mx = server(host, starttls="none")
    names.mail_domain(domain, host, mx.ip)
    ident = out(listed, f"bob@{domain}")
    if mode == "enforce":
        reason = held(listed, ident)
        assert "held back" in reason and "STARTTLS" in reason and not mx.mails
    else:
        mx.wait_for()
        assert "policy_testing" in json.dumps(listed.json("stats")) and listed.json("stats")["counters"]["policy_testing"] >= 1


@REAL
def test_a_published_domain_with_an_mx_that_is_not_named(listed, names, server):
    mx = server("mx.burzum.ch.attacker.example", **good("mx.burzum.ch.attacker.example"))
    names.mail_domain("kubica.ch", mx.host, mx.ip)
    time.sleep(5.5)
    assert mx.host in held(listed, out(listed, "bob@kubica.ch"))
    assert mx.sessions == 0


@REAL
def test_the_published_list_after_its_time(expired, names, server):
    assert "list-expired" in alerts(expired) and expired.json("list info")["expired"]
    mx = server("mail.compucation.de", starttls="none")
    names.mail_domain("compucation.de", "mail.compucation.de", mx.ip)
    out(expired, "bob@compucation.de")
    mx.wait_for()
    assert expired.json("policy compucation.de")["demand"] == "none"
