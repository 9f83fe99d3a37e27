"""The resolver through the box's own network (lwIP on a TAP device) against a real DNS server; those that misbehave are played
on sockets."""

import ipaddress
import json
import socket
import subprocess
import threading
import time

import dns.flags
import dns.message
import dns.rrset
import pytest
from lab import net
from lab.box import BUILD

PROGRAM = f"{BUILD}/tests/programs/dns_lookup"
LOOKER = f"{net.PREFIX}.8.1"


@pytest.fixture(scope="module")
def ask(names):
    """A function: questions as (type, name) to answers, and the counters after them."""
    names.host("a.dns.test", f"{net.PREFIX}.5.1")
    names.add("a.dns.test. AAAA 2001:db8::1", "dns.test. MX 10 mx1.dns.test.", "dns.test. MX 20 mx2.dns.test.",
              "null.dns.test. MX 0 .", "www.dns.test. CNAME alias.dns.test.", "alias.dns.test. CNAME a.dns.test.",
              "loop1.dns.test. CNAME loop2.dns.test.", "loop2.dns.test. CNAME loop1.dns.test.",
              '_mta-sts.dns.test. TXT "v=STSv1; " "id=1"', "_25._tcp.a.dns.test. TLSA 3 1 1 " + "ab" * 32)
    names.add(*(f'big.dns.test. TXT "{i:02} {"x" * 240}"' for i in range(12)))
    names.add(*(f"many.dns.test. A {net.PREFIX}.6.{i}" for i in range(1, 90)))
    tap = net.tap("tapdns")

    def run(*questions, resolvers=net.DNS):
        words = [word for question in questions for word in question]
        done = subprocess.run([PROGRAM, tap, f"{LOOKER}/16", resolvers, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return lines[:-1], lines[-1]

    yield run
    net.tap_gone(tap)


def test_records_of_each_type(ask):
    reverse = ipaddress.ip_address(f"{net.PREFIX}.5.1").reverse_pointer
    answers, _ = ask(("A", "a.dns.test"), ("AAAA", "a.dns.test"), ("MX", "dns.test"), ("MX", "null.dns.test"),
                     ("TXT", "_mta-sts.dns.test"), ("TLSA", "_25._tcp.a.dns.test"), ("PTR", reverse), ("CNAME", "www.dns.test"))
    assert [a["rc"] for a in answers] == ["ok"] * 8
    data = [sorted(a["data"]) for a in answers]
    assert data == [[f"{net.PREFIX}.5.1"], ["2001:db8::1"], ["10 mx1.dns.test", "20 mx2.dns.test"], ["0 "], ["v=STSv1; id=1"],
                    ["030101" + "ab" * 32], ["a.dns.test"], ["alias.dns.test"]]
    assert all(a["ttl"] == 5 for a in answers)


def test_aliases_nothing_and_the_cache(ask):
    answers, counters = ask(("A", "www.dns.test"), ("A", "none.dns.test"), ("TXT", "a.dns.test"), ("A", "www.dns.test"),
                            ("A", "none.dns.test"), ("A", "loop1.dns.test"))
    assert answers[0]["data"] == [f"{net.PREFIX}.5.1"] and answers[0]["name"] == "a.dns.test"
    assert [a["outcome"] for a in answers[:5]] == ["found", "nxdomain", "nodata", "found", "nxdomain"]
    assert answers[5]["rc"] == "protocol"
    assert counters["cache_hits"] == 2


def test_large_answers_come_over_tcp(ask):
    answers, counters = ask(("TXT", "big.dns.test"), ("A", "many.dns.test"))
    assert answers[0]["rc"] == "ok" and answers[0]["truncated"] and len(answers[0]["data"]) == 8
    assert answers[1]["truncated"] and len(answers[1]["data"]) == 24
    assert counters["tcp_fallbacks"] == 2


class Played:
    """A resolver that answers each query with what reply(query) gives, in wire format; None: silence."""

    def __init__(self, ip, reply):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((net.address(ip), 53))
        self.reply, self.asked = reply, []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                wire, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            query = dns.message.from_wire(wire)
            self.asked.append((query, peer[1]))
            for answer in self.reply(query) or ():
                self.socket.sendto(answer, peer)

    def close(self):
        self.socket.close()


def good(query, address="192.0.2.9", ident=None):
    response = dns.message.make_response(query)
    response.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "A", address))
    if ident is not None:
        response.id = ident
    return response.to_wire()


def failing(query):
    response = dns.message.make_response(query)
    response.set_rcode(2)
    return [response.to_wire()]


PLAYED = f"{net.PREFIX}.0.54"


@pytest.fixture
def played():
    running = []

    def play(last, reply):
        server = Played(f"{net.PREFIX}.0.{last}", reply)
        running.append(server)
        return server

    yield play
    for server in running:
        server.close()


def test_queries_are_hard_to_guess(ask, played):
    server = played(54, lambda query: [good(query)])
    ask(*(("A", f"n{i}.guess.test") for i in range(20)), resolvers=PLAYED)
    ids, ports = {query.id for query, _ in server.asked}, {port for _, port in server.asked}
    assert len(server.asked) == 20 and len(ids) >= 19 and len(ports) >= 19
    for query, _ in server.asked:
        assert query.flags & dns.flags.CD and query.ednsflags & dns.flags.DO and not query.flags & dns.flags.AD


def test_silence_and_errors_lead_to_the_next(ask, played):
    played(55, lambda query: None)
    played(56, failing)
    played(57, lambda query: [good(query)])
    start = time.time()
    resolvers = ",".join(f"{net.PREFIX}.0.{n}" for n in (55, 56, 57))
    answers, counters = ask(("A", "x.next.test"), ("A", "y.next.test"), resolvers=resolvers)
    assert [a["data"] for a in answers] == [["192.0.2.9"]] * 2
    assert counters["timeouts"] == 1 and counters["servfails"] == 1 and time.time() - start < 15


def test_forged_answers_don_t_count(ask, played):
    other = dns.message.make_query("evil.test", "A")

    def reply(query):
        other.id = query.id
        return [good(query, "192.0.2.66", query.id ^ 1), good(other, "192.0.2.66"), b"\x00" * 5]

    played(58, reply)
    played(59, lambda query: [good(query)])
    answers, _ = ask(("A", "x.forged.test"), resolvers=f"{net.PREFIX}.0.58,{net.PREFIX}.0.59")
    assert answers[0]["data"] == ["192.0.2.9"]


def test_nobody_answers(ask):
    """An address that nobody has."""
    start = time.time()
    answers, _ = ask(("A", "x.nobody.test"), resolvers=f"{net.PREFIX}.7.7")
    assert answers[0]["rc"] == "timeout"
    assert 8 < time.time() - start < 45


def test_a_closed_port_does_not_hold_up(ask, played):
    net.address(f"{net.PREFIX}.0.60")  # answers with ICMP port unreachable
    played(61, lambda query: [good(query)])
    answers, _ = ask(("A", "x.closed.test"), resolvers=f"{net.PREFIX}.0.60,{net.PREFIX}.0.61")
    assert answers[0]["data"] == ["192.0.2.9"]
