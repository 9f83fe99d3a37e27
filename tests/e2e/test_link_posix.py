"""The network floor (net/lwip_*.c, net/stream.c) on the posix board's TAP, against Linux's own stack, without the firmware:
build/tests/programs/link_echo serves and asks. Sanitized, so that memory errors end it."""

import contextlib
import os
import random
import select
import signal
import socket
import struct
import subprocess
import threading
import time
import zlib

import pytest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("POSTERN_BUILD", os.path.join(ROOT, "build"))
HOST, BOX = "10.78.0.1", "10.78.0.2"
HOST6, BOX6 = "fd78::1", "fd78::2"
ECHO, COUNT, REFUSE, NEVER, LINES, SOURCE, BUSY, SLOW, AWAY = 7, 9, 11, 15, 17, 19, 21, 23, 13
SLOTS = 24  # sessions that link_echo serves at once
RST_ON_CLOSE = struct.pack("ii", 1, 0)


def sh(*args):
    return subprocess.run(args, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout


class Echo:
    """One link_echo on a TAP device of this process's network namespace."""

    def __init__(self, tap, *arguments, v4=None, v6=None):
        self.tap, self.seen = tap, b""
        sh("ip", "tuntap", "add", "dev", tap, "mode", "tap")
        with open(f"/proc/sys/net/ipv6/conf/{tap}/accept_dad", "w") as f:
            f.write("0")
        if v4:
            sh("ip", "addr", "add", v4, "dev", tap)
        if v6:
            sh("ip", "addr", "add", v6, "dev", tap, "nodad")
        sh("ip", "link", "set", tap, "up")
        self.process = subprocess.Popen([f"{BUILD}/tests/programs/link_echo", tap, *arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.until(b"ready\n")

    def until(self, text, seconds=60):
        end = time.monotonic() + seconds
        while text not in self.seen:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            assert data, f"no {text!r} in {self.seen[-3000:]!r}"
            self.seen += data
        at = self.seen.index(text) + len(text)
        found, self.seen = self.seen[:at], self.seen[at:]
        return found

    def send(self, command):
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, command):
        """The one line that answers a command."""
        self.send(command)
        self.until(command.split()[0].encode() + b" ")
        return dict_of(self.until(b"\n").decode())

    def free_slots(self):
        return int(self.ask("pool")["free"][0])

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        sh("ip", "link", "del", self.tap)


def dict_of(text):
    """"a=1 b=2 b=3" as {"a": ["1"], "b": ["2", "3"]}."""
    found = {}
    for word in text.split():
        key, _, value = word.partition("=")
        found.setdefault(key, []).append(value)
    return found


def wait_for(check, seconds=60, what="it"):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, f"{what} did not come true in {seconds} s"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def box():
    echo = Echo("lnk0", f"{BOX}/24", HOST, f"{BOX6}/64", HOST6, v4=f"{HOST}/24", v6=f"{HOST6}/64")
    wait_for(lambda: BOX6 in echo.ask("status").get("ip6", []), what="the IPv6 address")
    yield echo
    alive = echo.process.poll() is None
    echo.stop()
    assert alive, echo.seen.decode("latin-1")


@pytest.fixture(autouse=True)
def all_slots_come_back(request):
    """No test leaves a session behind, whatever it did to it."""
    yield
    if "box" in request.fixturenames:
        echo = request.getfixturevalue("box")
        wait_for(lambda: echo.free_slots() == SLOTS, 120, "all slots free")


@pytest.fixture(params=[BOX, BOX6], ids=["ipv4", "ipv6"])
def address(request):
    return request.param


def connect(port, to=BOX, timeout=60):
    return socket.create_connection((to, port), timeout=timeout)


def read_all(s):
    parts = []
    while data := s.recv(65536):
        parts.append(data)
    return b"".join(parts)


def generated(n):
    """What the source service sends."""
    value, out = 1, bytearray()
    for _ in range(n):
        value = (value * 1664525 + 1013904223) & 0xFFFFFFFF
        out.append(value >> 24)
    return bytes(out)


def test_echo(box, address):
    with connect(ECHO, address) as s:
        s.sendall(b"hello over there")
        assert s.recv(100) == b"hello over there"


def test_ten_megabytes_arrive_whole(box, address):
    data = random.Random(1).randbytes(10_000_000)
    with connect(COUNT, address) as s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        assert read_all(s) == b"%d %08x\r\n" % (len(data), zlib.crc32(data))


def test_ten_megabytes_leave_whole(box, address):
    with connect(SOURCE, address) as s:
        s.sendall(b"10000000\r\n")
        got = read_all(s)
    assert len(got) == 10_000_000
    assert got[:300_000] == generated(300_000)
    assert zlib.crc32(got) == zlib.crc32(generated(10_000_000))


def test_both_ways_at_once(box, address):
    data = random.Random(2).randbytes(2_000_000)
    with connect(ECHO, address) as s:
        def send():
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        got = read_all(s)
        sender.join()
    assert got == data


def test_byte_at_a_time(box, address):
    with connect(LINES, address) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"a line of 21 letters.\r\nQUIT\r\n":
            s.send(bytes([byte]))
            time.sleep(0.005)
        assert read_all(s) == b"250 21 0\r\n221 bye\r\n"


def test_lines(box):
    with connect(LINES) as s:
        s.sendall(b"one\r\nbare\n" + b"x" * 5000 + b"\r\n\r\nQUIT\r\n")
        assert read_all(s) == b"250 3 0\r\n250 4 1\r\n500 too long\r\n250 0 0\r\n221 bye\r\n"


def test_pipelined_replies_leave_together(box):
    with connect(LINES) as s:
        s.sendall(b"a\r\n" * 20)
        wait_for(lambda: len(s.recv(4096, socket.MSG_PEEK)) >= 180, what="the last reply")
        assert s.recv(4096) == b"250 1 0\r\n" * 20


def test_half_close(box, address):
    with connect(ECHO, address) as s:
        s.sendall(b"last words")
        s.shutdown(socket.SHUT_WR)
        assert read_all(s) == b"last words"


def test_all_slots_at_once(box, address):
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(connect(ECHO, address)) for _ in range(SLOTS)]
        for i, s in enumerate(peers):
            s.sendall(b"%d" % i)
        for i, s in enumerate(peers):
            assert s.recv(10) == b"%d" % i
        assert box.free_slots() == 0


def test_many_connections_in_a_row(box):
    """More than there are pcbs: TIME_WAIT on the box's side must not shut the door."""
    for i in range(400):
        with connect(BUSY) as s:
            assert read_all(s) == b"421 busy\r\n", i


@pytest.mark.parametrize("port", [BUSY, AWAY])
def test_last_reply_reaches_a_peer_that_talks_on(box, address, port):
    """The box says 421 and closes while the peer has sent, and still sends, what nobody reads."""
    with connect(port, address) as s:
        s.sendall(b"x" * 20000)
        time.sleep(0.3)
        s.sendall(b"y" * 1000)
        assert read_all(s) == b"421 busy\r\n"


def test_reply_reaches_a_peer_that_spoke_and_ended_first(box, address):
    """Data and the end, in one segment, wait when the box turns the connection away: no reset may take the reply."""
    for _ in range(5):
        with connect(AWAY, address) as s:
            s.send(b"EHLO x\r\n", socket.MSG_MORE)
            s.shutdown(socket.SHUT_WR)
            assert read_all(s) == b"421 busy\r\n"


@pytest.mark.parametrize("port", [BUSY, AWAY])
def test_flood_after_the_close_is_cut(box, port):
    with connect(port) as s, pytest.raises((ConnectionResetError, BrokenPipeError)):
        for _ in range(3000):
            s.sendall(b"z" * 1000)


def test_peers_that_reset(box, address):
    for i in range(60):
        s = connect(ECHO, address)
        if i % 3:
            s.sendall(b"x" * 3000)
        if i % 3 == 2:
            time.sleep(0.01)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_ON_CLOSE)
        s.close()
    with connect(ECHO, address) as s:
        s.sendall(b"still there")
        assert s.recv(100) == b"still there"


def test_reset_under_output(box):
    for _ in range(30):
        s = connect(SOURCE)
        s.sendall(b"5000000\r\n")
        s.recv(1000)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_ON_CLOSE)
        s.close()


def test_waiting_connections_that_reset_leave_the_backlog(box):
    for _ in range(30):
        peers = [connect(NEVER) for _ in range(8)]
        for i, s in enumerate(peers):
            if i % 2:
                s.sendall(b"impatient")
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_ON_CLOSE)
            s.close()


def test_full_backlog_drops_syns(box):
    """A client beyond the backlog is not refused: it gets in when there is room."""
    peers = [connect(NEVER) for _ in range(8)]
    late = socket.socket()
    late.settimeout(0.5)
    with pytest.raises(TimeoutError):
        late.connect((BOX, NEVER))
    late.close()
    late = socket.socket()
    late.settimeout(60)
    peers[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_ON_CLOSE)
    peers.pop(0).close()
    late.connect((BOX, NEVER))
    for s in [late, *peers]:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_ON_CLOSE)
        s.close()


def test_data_and_end_before_the_accept(box):
    """All slots are taken; what a waiting client sent, and its end, are there when its turn comes."""
    with contextlib.ExitStack() as stack:
        holders = [stack.enter_context(connect(ECHO)) for _ in range(SLOTS)]
        wait_for(lambda: box.free_slots() == 0)
        early = stack.enter_context(connect(LINES))
        early.sendall(b"early\r\nQUIT\r\n")
        ended = stack.enter_context(connect(LINES))
        ended.shutdown(socket.SHUT_WR)
        both = stack.enter_context(connect(COUNT))
        both.sendall(b"123456789")
        both.shutdown(socket.SHUT_WR)
        time.sleep(0.3)
        for s in holders:
            s.close()
        assert read_all(early) == b"250 5 0\r\n221 bye\r\n"
        assert read_all(ended) == b""
        assert read_all(both) == b"9 cbf43926\r\n"


def test_talkers_that_nobody_serves_leave_room(box):
    """Every session is taken and every backlog is full of clients that have sent something: these must not hold all of the
    frames that the box can receive, else it hears nobody."""
    with contextlib.ExitStack() as stack:
        holders = [stack.enter_context(connect(ECHO)) for _ in range(SLOTS)]
        wait_for(lambda: box.free_slots() == 0)
        talkers = []
        for port in (ECHO, COUNT, LINES, SOURCE, BUSY, SLOW, NEVER):
            for _ in range(8):
                s = stack.enter_context(connect(port))
                s.sendall(b"QUIT\r\n" * 200)
                talkers.append(s)
        time.sleep(1)
        holders[0].sendall(b"served")
        assert holders[0].recv(10) == b"served"
        for s in talkers:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_ON_CLOSE)


def test_a_flood_of_fragments_takes_no_room(box):
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for i in range(150):
        packet = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28, i % 3 + 1, 0x2000 | (i // 3 + 1), 64, 17, 0,
                             socket.inet_aton("10.78.0.200"), socket.inet_aton(BOX)) + bytes(8)
        raw.sendto(packet, (BOX, 0))
    raw.close()
    raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 44)  # a bare fragment header
    for i in range(150):
        raw.sendto(struct.pack(">BBHI", 17, 0, (i // 3 + 1) << 3 | 1, i % 3) + bytes(8), (BOX6, 0))
    raw.close()
    with connect(ECHO) as s:
        s.sendall(b"heard")
        assert s.recv(10) == b"heard"


def test_filter_resets(box, address):
    with pytest.raises(ConnectionResetError), connect(REFUSE, address) as s:
        s.recv(10)


def test_closed_port_is_refused(box, address):
    with pytest.raises(ConnectionRefusedError):
        connect(4242, address)


def test_window_is_the_back_pressure(box):
    """A slow reader stops the sender; the others go on."""
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        s.settimeout(60)
        s.connect((BOX, SLOW))
        s.settimeout(0.5)
        sent = 0
        with pytest.raises(TimeoutError):
            while True:
                sent += s.send(b"x" * 4096)
        assert sent < 400_000
        with connect(ECHO) as other:
            other.sendall(b"quick")
            assert other.recv(10) == b"quick"
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_ON_CLOSE)


def test_half_open_flood_leaves_room(box):
    """Many forged SYNs whose SYN-ACK nobody answers: an honest client still gets in, and the box out to a new neighbour."""
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for i in range(300):
        raw.sendto(forged_syn(f"10.78.0.{100 + i % 100}", BOX, 20000 + i, ECHO), (BOX, 0))
    raw.close()
    start = time.monotonic()
    with connect(ECHO) as s:
        s.sendall(b"honest")
        assert s.recv(10) == b"honest"
    sh("ip", "addr", "add", "10.78.0.50/24", "dev", box.tap)
    s, thread = sntp_server(lambda question: sntp_answer(question, 2), "10.78.0.50")
    time.sleep(1)  # the unanswered are tried again
    assert box.ask(f"sntp 10.78.0.50 {s.getsockname()[1]}")["rc"] == ["ok"]
    thread.join()
    s.close()
    assert time.monotonic() - start < 30


def checksum(data):
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def forged_syn(source, target, source_port, port):
    src, dst = socket.inet_aton(source), socket.inet_aton(target)
    tcp = struct.pack(">HHIIBBHHH", source_port, port, random.getrandbits(32), 0, 5 << 4, 2, 8192, 0, 0)
    tcp = tcp[:16] + struct.pack(">H", checksum(src + dst + struct.pack(">BBH", 0, 6, len(tcp)) + tcp)) + tcp[18:]
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, src, dst) + tcp


@pytest.mark.parametrize("size,answered", [(1000, True), (5000, False)], ids=["whole", "fragments"])
@pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
def test_fragments_are_not_put_together(box, v6, size, answered):
    """A ping in one packet is answered, one that comes in four fragments is not."""
    kind = 128 if v6 else 8
    family, protocol = (socket.AF_INET6, socket.IPPROTO_ICMPV6) if v6 else (socket.AF_INET, socket.IPPROTO_ICMP)
    ping = struct.pack(">BBHHH", kind, 0, 0, 77, size) + random.Random(4).randbytes(size)
    if not v6:
        ping = ping[:2] + struct.pack(">H", checksum(ping)) + ping[4:]
    with socket.socket(family, socket.SOCK_RAW, protocol) as s:
        s.settimeout(60 if answered else 2)
        s.sendto(ping, (BOX6 if v6 else BOX, 0))
        try:
            while True:
                got = s.recv(9000)[0 if v6 else 20:]
                if got[0] == (129 if v6 else 0) and got[4:8] == ping[4:8]:
                    break
        except TimeoutError:
            got = None
    assert (got is not None) == answered
    assert not answered or got[8:] == ping[8:]


def test_garbage_segments_do_no_harm(box):
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    dice = random.Random(3)
    for _ in range(2000):
        packet = bytearray(forged_syn("10.78.0.200", BOX, dice.randrange(1, 65536), ECHO) + dice.randbytes(dice.randrange(60)))
        for _ in range(dice.randrange(1, 6)):
            packet[dice.randrange(20, len(packet))] = dice.randrange(256)
        raw.sendto(bytes(packet), (BOX, 0))
    raw.close()
    with connect(ECHO) as s:
        s.sendall(b"unmoved")
        assert s.recv(10) == b"unmoved"


# The box as a client.


def listener(family=socket.AF_INET, address=HOST):
    s = socket.socket(family)
    s.bind((address, 0))
    s.listen(5)
    s.settimeout(60)
    return s


@pytest.mark.parametrize("family,address", [(socket.AF_INET, HOST), (socket.AF_INET6, HOST6)], ids=["ipv4", "ipv6"])
def test_connect_out(box, family, address):
    with listener(family, address) as server:
        box.send(f"connect {address} {server.getsockname()[1]} 5000")
        peer, (from_address, *_) = server.accept()
        assert from_address in (BOX, BOX6)
        with peer:
            assert peer.recv(100) == b"hello\r\n"
            peer.sendall(b"world\r\n")
            assert b"connect rc=ok reply=world\n" in box.until(b"\n")
            assert peer.recv(10) == b""


def test_connect_refused(box):
    with listener() as server:
        port = server.getsockname()[1]
    assert box.ask(f"connect {HOST} {port} 5000")["rc"] == ["refused"]
    assert box.ask(f"connect {HOST6} {port} 5000")["rc"] == ["refused"]


def test_connect_times_out(box):
    start = time.monotonic()
    assert box.ask("connect 10.78.0.99 25 1500")["rc"] == ["timeout"]
    assert 1 < time.monotonic() - start < 12


def test_peer_resets_or_ends_early(box):
    with listener() as server:
        box.send(f"connect {HOST} {server.getsockname()[1]} 5000")
        peer, _ = server.accept()
        peer.recv(100)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_ON_CLOSE)
        peer.close()
        assert b"connect rc=reset" in box.until(b"\n")
        box.send(f"connect {HOST} {server.getsockname()[1]} 5000")
        peer, _ = server.accept()
        peer.recv(100)
        peer.close()
        assert b"connect rc=closed" in box.until(b"\n")


def test_initial_sequence_numbers_differ(box):
    """RFC 6528: another port, another unrelated number."""
    seen = []
    sniff = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
    sniff.bind((box.tap, 0))
    sniff.settimeout(60)
    for _ in range(5):
        with connect(ECHO) as s:
            port = s.getsockname()[1]
            while True:
                frame = sniff.recv(2000)
                if frame[23] == 6 and frame[26:30] == socket.inet_aton(BOX) and frame[47] & 0x12 == 0x12:
                    if struct.unpack(">H", frame[36:38])[0] == port:
                        seen.append(struct.unpack(">I", frame[38:42])[0])
                        break
    sniff.close()
    gaps = [(b - a) % 2**32 for a, b in zip(seen, seen[1:])]
    assert all(2**20 < gap < 2**32 - 2**20 for gap in gaps), gaps


def test_carrier_goes_and_comes(box):
    assert box.ask("status")["up"] == ["1"]
    sh("ip", "link", "set", box.tap, "down")
    wait_for(lambda: box.ask("status")["up"] == ["0"], what="carrier down")
    assert box.ask(f"connect {HOST} 25 5000")["rc"] == ["unreachable"]
    sh("ip", "link", "set", box.tap, "up")
    sh("ip", "addr", "replace", f"{HOST6}/64", "dev", box.tap, "nodad")  # Linux drops it with the link
    wait_for(lambda: BOX6 in box.ask("status").get("ip6", []), what="carrier up, and the address again")
    for address in (BOX, BOX6):
        with connect(ECHO, address) as s:
            s.sendall(b"back")
            assert s.recv(10) == b"back"


def sntp_server(answer, address=HOST):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, 0))
    s.settimeout(60)

    def serve():
        with contextlib.suppress(TimeoutError):
            question, peer = s.recvfrom(100)
            s.sendto(answer(question), peer)

    thread = threading.Thread(target=serve)
    thread.start()
    return s, thread


def sntp_answer(question, stratum):
    """2020-05-20T17:00:00Z"""
    return struct.pack(">BBbbIII8s8s8sII", 0x24, stratum, 0, 0, 0, 0, 0, b"", question[40:48], b"", 3798982800, 0)


@pytest.mark.parametrize("stratum,expected", [(2, "ok"), (0, "refused")])
def test_sntp(box, stratum, expected):
    s, thread = sntp_server(lambda question: sntp_answer(question, stratum))
    got = box.ask(f"sntp {HOST} {s.getsockname()[1]}")
    thread.join()
    s.close()
    assert got["rc"] == [expected]
    assert got["time"] == (["1589994000"] if expected == "ok" else ["0"])


def test_idle_costs_next_to_nothing(box):
    def ticks():
        with open(f"/proc/{box.process.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    before = ticks()
    time.sleep(3)
    assert ticks() - before < 0.05 * 3 * os.sysconf("SC_CLK_TCK")


# Addresses from the network.


class DhcpServer(threading.Thread):
    """Gives one lease (RFC 2131), with two resolvers and a time server."""

    OFFER, ACK = 2, 5

    def __init__(self, tap):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, tap.encode())
        self.socket.bind(("", 67))
        self.hostnames, self.asked = [], set()
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            while question := self.socket.recv(2000):  # nothing: stopped
                self.answer(question)

    def answer(self, question):
        options, at = {}, 240
        while question[at] != 255:
            if question[at] == 0:
                at += 1
                continue
            options[question[at]] = question[at + 2:at + 2 + question[at + 1]]
            at += 2 + question[at + 1]
        self.hostnames.append(options.get(12))
        self.asked.update(options.get(55, b""))
        kind = self.OFFER if options[53] == b"\x01" else self.ACK
        ip = socket.inet_aton
        reply = struct.pack(">BBBBIHH4s4s4s4s", 2, 1, 6, 0, struct.unpack(">I", question[4:8])[0], 0, 0x8000, b"",
                            ip("10.79.0.33"), ip("10.79.0.1"), b"") + question[28:236] + question[236:240]
        reply += bytes([53, 1, kind, 54, 4]) + ip("10.79.0.1") + bytes([51, 4, 0, 0, 14, 16, 1, 4]) + ip("255.255.240.0")
        reply += bytes([3, 4]) + ip("10.79.0.1") + bytes([6, 8]) + ip("10.79.0.53") + ip("10.79.0.54")
        reply += bytes([42, 4]) + ip("10.79.0.123") + b"\xff"
        self.socket.sendto(reply, ("255.255.255.255", 68))

    def stop(self):
        """Gives the port back: one server a namespace may have it."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes the thread, and says that there is no peer
        self.join()
        self.socket.close()


def test_dhcp():
    echo = server = None
    try:
        echo = Echo("lnk1", "dhcp", "off", v4="10.79.0.1/20")
        server = DhcpServer("lnk1")
        wait_for(lambda: "ip" in echo.ask("status"), what="the lease")
        status = echo.ask("status")
        assert (status["ip"], status["bits"], status["gateway"]) == (["10.79.0.33"], ["20"], ["10.79.0.1"])
        assert status["resolver"] == ["10.79.0.53", "10.79.0.54"]
        assert status["ntp"] == ["10.79.0.123"]
        assert b"echo" in server.hostnames and 42 in server.asked
        with connect(ECHO, "10.79.0.33") as s:
            s.sendall(b"leased")
            assert s.recv(10) == b"leased"
    finally:
        if server:
            server.stop()
        if echo:
            echo.stop()


def router_advertisement(tap, prefix, resolver):
    pack6 = lambda a: socket.inet_pton(socket.AF_INET6, a)  # noqa: E731
    message = struct.pack(">BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
    message += struct.pack(">BBBBIII16s", 3, 4, 64, 0xC0, 86400, 14400, 0, pack6(prefix))
    message += struct.pack(">BBHI16s", 25, 3, 0, 1200, pack6(resolver))
    s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex(tap))
    s.sendto(message, ("ff02::1", 0, 0, socket.if_nametoindex(tap)))
    s.close()


def test_router_advertisement():
    echo = None
    try:
        echo = Echo("lnk2", "10.80.0.2/24", "10.80.0.1", "auto", v4="10.80.0.1/24", v6="fd80::1/64")
        global_address = []

        def configured():
            with contextlib.suppress(OSError):  # until Linux has a link-local address there
                router_advertisement("lnk2", "fd80::", "fd80::53")
            status = echo.ask("status")
            global_address[:] = [a for a in status.get("ip6", []) if a.startswith("fd80:")]
            return global_address and "fd80::53" in status.get("resolver", [])

        wait_for(configured, 60, "the address and the resolver")
        assert echo.ask("status")["ip6"][0] == global_address[0]
        with connect(ECHO, global_address[0]) as s:
            s.sendall(b"by prefix")
            assert s.recv(10) == b"by prefix"
        with listener(socket.AF_INET6, "fd80::1") as server:
            echo.send(f"connect fd80::1 {server.getsockname()[1]} 5000")
            peer, (source, *_) = server.accept()
            assert source == global_address[0]
            peer.close()
    finally:
        if echo:
            echo.stop()


def test_no_route_is_told_at_once():
    """IPv6 without an address of its own, or with a link-local one alone, reaches nobody."""
    echo = None
    try:
        echo = Echo("lnk3", "10.81.0.2/24", "10.81.0.1", "auto", v4="10.81.0.1/24")
        time.sleep(2)
        assert echo.ask("connect 2001:db8::1 25 5000")["rc"] == ["unreachable"]
        echo.stop()
        echo = Echo("lnk3", "10.81.0.2/24", "10.81.0.1", "off", v4="10.81.0.1/24")
        assert echo.ask("connect 2001:db8::1 25 5000")["rc"] == ["unreachable"]
    finally:
        if echo:
            echo.stop()
