"""Clients that cheat, flood, stall and talk nonsense. The box answers as it should, logs why, and goes on serving others."""

import errno
import ipaddress
import os
import re
import socket
import struct
import subprocess
import threading
import time

import pytest

from lab import client, net
from lab.wait import until

ANNA = "anna@office.example"
NORMALISED = "10.77.8."
SPOOFED = "10.77.12."
_source = [100]


def source():
    """An outside address that no other session here uses."""
    _source[0] += 1
    return f"10.77.{9 + _source[0] // 250}.{_source[0] % 250 + 1}"


# All on posix, whose sanitizers see more; on the others what leans on their memory, their timers and their drivers.
pytestmark = pytest.mark.boards("posix")
on_virt_too = pytest.mark.boards("posix", "virt")
on_all = pytest.mark.boards("posix", "virt", "mps2-an500")


@pytest.fixture(scope="module")
def box(make_box, board, office):
    box = make_box(board=board, settings={"mail.normalise": NORMALISED + "0/24", "mail.size_max": "1000000",
                                               "net.address6": f"{net.BOX6}/64"})
    box.ip6 = net.BOX6
    yield box
    box.stop()


def in_mail(box, at=None, recipients=(ANNA,), mail_from="someone@sender.example", greet="EHLO client.example"):
    """A session that has said RCPT."""
    s = client.Raw(box, source=at or source())
    assert s.ask(greet)[0] == 250
    assert s.ask(f"MAIL FROM:<{mail_from}>")[0] == 250
    for r in recipients:
        assert s.ask(f"RCPT TO:<{r}>")[0] == 250
    return s


def in_data(box, at=None, **kw):
    s = in_mail(box, at, **kw)
    assert s.ask("DATA")[0] == 354
    return s


def wait_end(box, s, rc, timeout=60):
    """The log's last line about the session of s, whose address no other session has."""
    return box.wait_log(rf"close sid=\d+ peer={re.escape(s.source)} rc={rc}\b.*", timeout)


def ended(box, s, rc):
    """After its reply the box ends the session: it says nothing to what still comes, and logs rc."""
    s.sock.shutdown(socket.SHUT_WR)
    assert s.closed() and s.buf == b""
    s.close()
    return wait_end(box, s, rc)


def still_serves(box, office, tag, timeout=60):
    client.send(box, "someone@sender.example", ANNA, client.mail(tag), source=source(), tls=False, timeout=timeout)
    office.wait_for(f"Subject: {tag}")


# --- Smuggling: what some server could take for the end of a mail

REFUSED_ENDS = [b"\n.\n", b"\n.\r\n", b"\n.\r", b"\r.\r", b"\r.\n", b"\r.\r\n", b"\r\n.\r", b"\r\n.\n", b"\n\n.\n\n", b"\n\n.\r\n", b"\r\r.\r\r",
                b"\r\n.\r\r\n", b"\r\r\n.\r\n", b"\r\r\n.\r\r\n", b"\r\n\x00.\r\n", b"\r\n.\x00\r\n", b"\n.\x00\n", b"\r\n\n.\r\n", b"\r\n.\n.\r\n",
                b"\n\r.\n\r", b"\r\n\r.\r\n", b"\r\n.\r.\r\n"]
PLAIN_DATA = [b"\r\n..\r\n", b"\r\n .\r\n", b"\r\n. \r\n", b"\r\n.\t\r\n", b"\r\n.\x0b\r\n", b"\r\n.\x0c\r\n", b"\r\n.\x1a\r\n", b"\xc2\x85.\xc2\x85",
              b"\xe2\x80\xa8.\xe2\x80\xa8", b"\r\n\xef\xbc\x8e\r\n", b"\x85.\x85", b"\x1a.\x1a", b"\r\n...\r\n", b"\r\n.\x08\r\n", b"\x0b.\x0b"]
SECOND = b"MAIL FROM:<forged@bank.example>\r\nRCPT TO:<anna@office.example>\r\nDATA\r\nSubject: forged-%s\r\n\r\nforged\r\n.\r\n"


def smuggle(tag, end):
    tag = tag.encode()
    return b"Subject: outer-%s\r\nMessage-ID: <%s@sender.example>\r\n\r\nouter" % (tag, tag) + end + SECOND % tag


def subjects(office, tag):
    """Subjects of the delivered mails of a smuggling attempt, as their headers say them."""
    heads = [m.replace(b"\r\n", b"\n").split(b"\n\n", 1)[0] for m in office.messages()]
    return [w for h in heads for w in re.findall(rb"(?m)^Subject: ((?:outer|forged)-" + tag.encode() + rb")$", h)]


_smuggled = {}  # board: {tag: how many mails are to arrive}


def smuggled(box, tag, arrive):
    sent = _smuggled.setdefault(box.board, {})
    sent[tag] = sent.get(tag, 0) + arrive
    return tag


@on_virt_too
@pytest.mark.parametrize("n", range(len(REFUSED_ENDS)))
def test_a_false_end_of_data_is_refused_and_nothing_comes_through(box, office, n):
    s = in_data(box)
    s.say(smuggle(smuggled(box, f"refused{n}-{box.board}", 0), REFUSED_ENDS[n]))
    code, lines = s.reply()
    assert (code, lines[0][:5]) == (550, "5.6.0")
    ended(box, s, "protocol")


# Refused for its bare CR, but its last five bytes are CRLF.CRLF: where bare line ends are mended, it ends the mail as it should. A NUL is
# refused under both rules.
REAL_END = b"\r\r\n.\r\n"
MENDED = [n for n, end in enumerate(REFUSED_ENDS) if b"\x00" not in end and end != REAL_END]


@on_virt_too
@pytest.mark.parametrize("n", MENDED)
def test_a_network_that_is_mended_gets_one_mail_through_as_one(box, office, n):
    tag = smuggled(box, f"mended{n}-{box.board}", 1)
    s = in_data(box, at=f"{NORMALISED}{n + 1}")
    s.say(smuggle(tag, REFUSED_ENDS[n]) + b"QUIT\r\n")
    assert s.reply()[0] == 250
    assert s.reply()[0] == 221
    s.close()
    got = office.wait_for(f"Subject: outer-{tag}")
    assert b"Subject: forged-" + tag.encode() in got, "the second dialogue is text of the first mail"
    assert b"MAIL FROM:<forged@bank.example>" in got


@on_virt_too
def test_a_printer_that_ends_its_lines_twice_is_understood(box, office):
    """A CR put before each LF of a text that had CRLFs: the mail's end follows a bare CR, and no other end will come."""
    tag = smuggled(box, f"printer-{box.board}", 1)
    s = in_data(box, at=f"{NORMALISED}100")
    s.say(client.mail(f"outer-{tag}", "first\r\r\nsecond\r").encode() + b".\r\n")
    assert s.reply()[0] == 250
    assert s.ask("QUIT")[0] == 221
    s.close()
    assert b"second" in office.wait_for(f"Subject: outer-{tag}")


@on_virt_too
@pytest.mark.parametrize("n", range(len(PLAIN_DATA)))
def test_what_only_looks_like_an_end_is_text(box, office, n):
    tag = smuggled(box, f"text{n}-{box.board}", 1)
    s = in_data(box)
    s.say(smuggle(tag, PLAIN_DATA[n]) + b"QUIT\r\n")
    assert s.reply()[0] == 250
    assert s.reply()[0] == 221
    s.close()
    got = office.wait_for(f"Subject: outer-{tag}").replace(b"\r\n", b"\n")
    text = PLAIN_DATA[n].replace(b"\r\n", b"\n")
    assert b"outer" + (text.replace(b"\n.", b"\n") if text.startswith(b"\n.") else text) + b"MAIL FROM:" in got


@on_virt_too
@pytest.mark.parametrize("end", REFUSED_ENDS[:6], ids=repr)
def test_bdat_does_not_carry_bare_line_ends(box, end):
    body = smuggle(smuggled(box, f"bdat-{box.board}", 0), end)
    s = in_mail(box)
    s.say(b"BDAT %d LAST\r\n" % len(body) + body)
    assert s.reply()[0] == 550
    ended(box, s, "protocol")


@on_virt_too
def test_an_end_of_data_inside_bdat_is_text(box, office):
    tag = smuggled(box, f"bdattext-{box.board}", 1)
    body = smuggle(tag, b"\r\n.\r\n")
    s = in_mail(box)
    assert s.ask(b"BDAT %d LAST\r\n" % len(body) + body)[0] == 250
    s.close()
    assert b"Subject: forged-" + tag.encode() in office.wait_for(f"Subject: outer-{tag}")


@pytest.mark.boards("mps2-an500")
def test_smuggling_on_the_small_board(box, office):
    for n in range(0, len(REFUSED_ENDS), 2):
        test_a_false_end_of_data_is_refused_and_nothing_comes_through(box, office, n)
    for n in MENDED[::4]:
        test_a_network_that_is_mended_gets_one_mail_through_as_one(box, office, n)
    test_bdat_does_not_carry_bare_line_ends(box, REFUSED_ENDS[0])
    test_an_end_of_data_inside_bdat_is_text(box, office)


@on_all
def test_no_smuggled_mail_ever_came_out(box, office):
    still_serves(box, office, f"after-smuggling-{box.board}")
    sent = _smuggled[box.board]
    assert len(sent) > 10
    for tag, arrive in sent.items():
        assert subjects(office, tag) == [b"outer-" + tag.encode()] * arrive, tag
    assert not any(b"Return-Path: <forged@bank.example>" in m for m in office.messages())


# --- Commands

@on_all
@pytest.mark.parametrize("line", [b"EHLO client.example\n", b"MAIL FROM:<a@b.example>\n", b"NOOP\nNOOP\r\n", b"NOOP\n"], ids=repr)
def test_a_bare_lf_in_a_command_gets_500_at_once(box, line):
    s = client.Raw(box, source=source())
    s.say(line)
    assert s.reply() == (500, ["5.5.2 a line must end in CRLF, not in a bare LF"])
    s.close()


@on_all
def test_commands_after_starttls_do_not_survive_the_handshake(box):
    s = client.Raw(box, source=source())
    assert s.ask("EHLO client.example")[0] == 250
    s.say(b"STARTTLS\r\nRSET\r\nMAIL FROM:<injected@evil.example>\r\n")
    code, lines = s.reply()
    assert code == 554 and "STARTTLS" in lines[0]
    ended(box, s, "protocol")


@on_all
def test_state_before_starttls_does_not_survive_the_handshake(box):
    s = in_mail(box)
    s.starttls()
    assert s.ask(f"RCPT TO:<{ANNA}>")[0] == 503
    assert s.ask("MAIL FROM:<a@b.example>")[0] == 503, "EHLO has to come again"
    code, lines = s.ask("EHLO client.example")
    assert code == 250 and "STARTTLS" not in lines
    assert s.ask("STARTTLS")[0] == 503
    s.close()


@on_all
def test_plaintext_sent_right_behind_the_220_breaks_the_handshake(box):
    s = client.Raw(box, source=source())
    assert s.ask("EHLO client.example")[0] == 250
    assert s.ask("STARTTLS")[0] == 220
    s.say(b"MAIL FROM:<injected@evil.example>\r\n")
    assert s.closed()
    assert b"250" not in s.buf
    assert "cause=not-tls" in wait_end(box, s, "tls")
    s.close()


@on_virt_too
def test_garbage_gets_an_answer_each_then_an_end(box):
    s = client.Raw(box, source=source())
    s.say(os.urandom(4096).replace(b"\r", b"x").replace(b"\n", b"\r\n") + b"\r\n" + b"\x00\xff\x80 %n%s\r\n" * 40)
    codes = []
    while not codes or codes[-1] != 421:
        codes.append(s.reply()[0])
    assert set(codes[:-1]) == {500} and len(codes) <= 30
    ended(box, s, "protocol")


@pytest.mark.parametrize("line", ["GET / HTTP/1.1", "POST /api HTTP/1.1", "CONNECT mail:25 HTTP/1.1"])
def test_http_is_shown_the_door(box, line):
    s = client.Raw(box, source=source())
    s.say(line + "\r\nHost: mail.office.example\r\n\r\n")
    assert s.reply()[0] == 554
    ended(box, s, "protocol")


@on_all
def test_a_megabyte_line_is_one_error(box):
    s = client.Raw(box, source=source())
    s.say(b"NOOP " + b"x" * 1_000_000 + b"\r\nNOOP\r\n")
    assert s.reply() == (500, ["5.5.2 line too long"])
    assert s.reply()[0] == 250
    s.close()


@on_all
def test_a_megabyte_line_without_an_end_holds_nothing(box, office):
    s = client.Raw(box, source=source())
    for _ in range(16):
        s.say(b"A" * 65536)
    still_serves(box, office, f"beside-endless-line-{box.board}")
    s.close()
    wait_end(box, s, "closed")


@on_virt_too
def test_a_megabyte_line_in_data_passes_or_is_refused_whole(box, office):
    tag = f"longline-{box.board}"
    s = in_data(box)
    s.say(client.mail(tag, "y" * 900_000).encode() + b".\r\n")
    assert s.reply()[0] == 250
    s.close()
    got = office.wait_for(f"Subject: {tag}", timeout=60)
    assert got.replace(b"\n ", b"").replace(b"\n", b"").count(b"y") >= 900_000, "Postfix folds long lines, and loses none of them"


@on_all
def test_ten_thousand_recipients(box):
    s = client.Raw(box, source=source())
    assert s.ask("EHLO client.example")[0] == 250
    assert s.ask("MAIL FROM:<someone@sender.example>")[0] == 250

    def pump():
        try:
            for n in range(101):
                s.sock.sendall(b"".join(b"RCPT TO:<u%d@office.example>\r\n" % (n * 100 + i) for i in range(100)))
        except OSError:
            pass

    threading.Thread(target=pump, daemon=True).start()
    codes = []
    while not codes or codes[-1] != 421:
        codes.append(s.reply()[0])
    taken, put_off = codes.count(250), codes.count(452)
    assert (taken, put_off, len(codes)) == (1000, 9000, 10001), "what the spool holds for one mail, then 'later', then enough"
    ended(box, s, "protocol")


@on_virt_too
def test_byte_at_a_time(box, office):
    tag = f"bytewise-{box.board}"
    s = client.Raw(box, source=source())
    s.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def slowly(text):
        for b in text:
            s.sock.sendall(bytes([b]))
            time.sleep(0.0005)

    for text, code in ((b"EHLO client.example\r\n", 250), (b"MAIL FROM:<someone@sender.example>\r\n", 250), (f"RCPT TO:<{ANNA}>\r\n".encode(), 250),
                       (b"DATA\r\n", 354), (client.mail(tag).encode() + b".\r\n", 250), (b"QUIT\r\n", 221)):
        slowly(text)
        assert s.reply()[0] == code
    s.close()
    office.wait_for(f"Subject: {tag}")


@on_virt_too
def test_an_early_talker_is_sent_away(box):
    s = client.Raw(box, source=source(), early=b"EHLO client.example\r\nMAIL FROM:<a@b.example>\r\n")
    assert s.greeting == (554, ["5.5.0 you spoke before the greeting"])
    ended(box, s, "protocol")


@pytest.mark.parametrize("command,code", [("NOOP", 250), ("RSET", 250), ("VRFY anna", 252), ("HELP", 214), ("EHLO client.example", 250)])
def test_endless_chatter_ends(box, command, code):
    s = client.Raw(box, source=source())
    assert s.ask("EHLO client.example")[0] == 250
    s.say((command + "\r\n").encode() * 60)
    codes = []
    while not codes or codes[-1] != 421:
        codes.append(s.reply()[0])
    assert set(codes[:-1]) == {code} and 20 <= len(codes) <= 60
    ended(box, s, "protocol")


# --- Who may send to whom

NO_RELAY = [
    "<bob@elsewhere.example>", "<bob%elsewhere.example@office.example>", "<elsewhere.example!bob@office.example>",
    "<bob@elsewhere.example@office.example>", "<@office.example:bob@elsewhere.example>", "<@office.example,@b.example:bob@elsewhere.example>",
    "<\"bob@elsewhere.example\"@office.example>", "<\"bob%elsewhere.example\"@office.example>", "<\"elsewhere.example!bob\"@office.example>",
    "<\"bob@elsewhere.example\">", "<bob%elsewhere.example>", "<elsewhere.example!bob>", "<bob@ELSEWHERE.example.>", "<bob@[10.77.2.1]>", "<bob@[10.77.0.2]>",
    "<bob@[IPv6:2001:db8:77::2]>", "<bob@[127.0.0.1]>", "<bob@localhost>", "<bob@office.example.elsewhere.example>", "<bob@sub.office.example>",
    "<bob@notoffice.example>", "<bob@office.example@elsewhere.example>", "<bob@office.example%elsewhere.example>", "<bob@office.exampl\u0435>",
    "<bob\\@elsewhere.example@office.example>", "<bob%elsewhere.example%office.example>", "<a!b!bob%elsewhere.example@OFFICE.example.>", "<bob@office.example\x00.elsewhere.example>",
    "bob@elsewhere.example", "<bob@elsewhere.example> ORCPT=rfc822;anna@office.example", "<abuse@elsewhere.example>", "<postmaster@elsewhere.example>",
    "<postmaster%elsewhere.example@office.example>", "<@elsewhere.example:anna@office.example,bob@elsewhere.example>", "<>", "<@office.example>", "<bob@>", "<bob@.office.example>",
    "<bob@office.example..>", "<bob@ office.example>", "<bob:elsewhere.example@office.example>",
]


@pytest.mark.parametrize("sender", ["someone@sender.example", ANNA, "", "anna@[10.77.0.2]"])
def test_no_open_relay_in_any_spelling(box, sender):
    at, found = source(), []
    for rcpt in NO_RELAY:
        s = client.Raw(box, source=at)
        assert s.ask("EHLO client.example")[0] == 250
        s.ask(f"MAIL FROM:<{sender}> SMTPUTF8" if rcpt.isascii() is False else f"MAIL FROM:<{sender}>")
        code, lines = s.ask(f"RCPT TO:{rcpt}".encode() + b"\r\n")
        if not 500 <= code < 600 or lines[0][0] != "5":
            found.append((rcpt, code, lines))
        s.say("QUIT")
        assert s.closed()
        s.close()
    assert found == []


@pytest.mark.parametrize("rcpt,stored", [
    ("<postmaster>", "postmaster@office.example"), ("<PostMaster>", "postmaster@office.example"),
    ("<postmaster@office.example>", None), ("<ABUSE@OFFICE.EXAMPLE>", None), ("<abuse@office.example>", None), ("<anna@office.example.>", None),
    ("<@relay.example:anna@office.example>", None), ("<\"anna\"@Office.Example>", None), ("<\"a b\"@office.example>", None), ("<anna+tag@office.example>", None),
])
def test_what_is_ours_is_taken(box, rcpt, stored):
    s = client.Raw(box, source=source())
    assert s.ask("EHLO client.example")[0] == 250
    assert s.ask("MAIL FROM:<someone@sender.example>")[0] == 250
    assert s.ask(f"RCPT TO:{rcpt}")[0] == 250
    s.close()


def test_bare_postmaster_arrives(box, office):
    tag = f"postmaster-{box.board}"
    s = in_data(box, recipients=["postmaster"])
    assert s.ask(client.mail(tag).encode() + b".\r\n")[0] == 250
    s.close()
    assert b"for <postmaster@office.example>" in office.wait_for(f"Subject: {tag}")


@pytest.mark.parametrize("port", [587, 465])
def test_submission_is_for_the_inside_alone(box, port):
    def mail_from(at):
        s = client.Raw(box, source=at, port=port, greeting=port == 587)
        if port == 465:
            s.sock = client.unverified().wrap_socket(s.sock)
            assert s.reply()[0] == 220
        assert s.ask("EHLO client.example")[0] == 250
        answer = s.ask(f"MAIL FROM:<{ANNA}>")
        rcpt = s.ask("RCPT TO:<bob@elsewhere.example>")[0]
        s.close()
        return answer[0], answer[1][0][:5], rcpt

    assert mail_from(source()) == (550, "5.7.1", 503)
    assert mail_from(net.OFFICE) == (250, "2.1.0", 250)


def test_a_reverse_name_counts_only_if_it_leads_back(box, office, names):
    """Whoever holds an address may give it any name in the DNS."""
    liar, honest = source(), source()
    names.add(f"{ipaddress.ip_address(liar).reverse_pointer}. PTR mail.bank.example.")
    names.host("honest.sender.example", honest)
    for at, tag in ((liar, f"liar-{box.board}"), (honest, f"honest-{box.board}")):
        client.send(box, "someone@sender.example", ANNA, client.mail(tag), source=at, tls=False)
    lied = office.wait_for(f"Subject: liar-{box.board}").decode()
    assert f"[{liar}]" in lied and "bank.example" not in lied
    assert f"honest.sender.example [{honest}]" in office.wait_for(f"Subject: honest-{box.board}").decode()


# --- Loops and sizes

@on_virt_too
def test_a_mail_that_goes_in_circles_is_refused(box):
    trace = b"".join(b"Received: from h%d.example by h%d.example; Mon, 25 May 2020 10:00:00 +0000\r\n" % (i, i + 1) for i in range(101))
    s = in_data(box)
    s.say(trace + client.mail("loop").encode() + b".\r\n")
    code, lines = s.reply()
    assert code == 554 and lines[0].startswith("5.4.6")
    assert s.ask("NOOP")[0] == 250
    s.close()
    assert "mails=0" in wait_end(box, s, "closed")
    box.wait_log("not-taken sid=.* rc=refused")


def test_a_hundred_hops_pass_and_received_in_the_body_does_not_count(box, office):
    trace = "".join(f"Received: from h{i}.example by h{i + 1}.example; Mon, 25 May 2020 10:00:00 +0000\r\n" for i in range(100))
    s = in_data(box)
    s.say((trace + client.mail(f"hops-{box.board}", trace * 2)).encode() + b".\r\n")
    assert s.reply()[0] == 250
    s.close()


@on_virt_too
def test_size_is_held(box):
    s = client.Raw(box, source=source())
    assert "SIZE 1000000" in s.ask("EHLO client.example")[1]
    code, lines = s.ask("MAIL FROM:<someone@sender.example> SIZE=1000001")
    assert code == 552 and lines[0].startswith("5.3.4")
    assert s.ask("MAIL FROM:<someone@sender.example> SIZE=99999999999999999999999")[0] in (501, 552)
    assert s.ask("MAIL FROM:<someone@sender.example> SIZE=1000000")[0] == 250
    assert s.ask(f"RCPT TO:<{ANNA}>")[0] == 250
    assert s.ask("DATA")[0] == 354
    s.say(client.mail("big").encode() + (b"z" * 78 + b"\r\n") * 12600 + b".\r\n")
    code, lines = s.reply()
    assert code == 552 and lines[0].startswith("5.3.4")
    assert s.ask("NOOP")[0] == 250
    s.close()


# --- Time, and peers that vanish

def vanish(box):
    """Sessions whose peer is gone without a word: the address is taken away from this side."""
    ip = source()
    sessions = [in_mail(box, ip) for _ in range(3)]
    net.sh("ip", "addr", "del", f"{ip}/16", "dev", net.BRIDGE)
    net._given.discard(ip)
    return ip, sessions


def syn_packet(src, dst, sport, dport):
    tcp = struct.pack("!HHIIBBHHH", sport, dport, sport * 7919, 0, 5 << 4, 2, 65535, 0, 0)
    pseudo = socket.inet_aton(src) + socket.inet_aton(dst) + struct.pack("!BBH", 0, 6, len(tcp))
    total = sum(struct.unpack(f"!{(len(pseudo) + len(tcp)) // 2}H", pseudo + tcp))
    total = (total & 0xffff) + (total >> 16)
    checksum = ~((total & 0xffff) + (total >> 16)) & 0xffff
    tcp = tcp[:16] + struct.pack("!H", checksum) + tcp[18:]
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, socket.inet_aton(src), socket.inet_aton(dst)) + tcp


@on_all
def test_half_open_connections_and_vanished_peers_block_nobody(box, office):
    ip, gone = vanish(box)
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    started = time.time()
    for i in range(600):
        raw.sendto(syn_packet(f"{SPOOFED}{i % 250 + 1}", box.ip, 20000 + i, 25), (box.ip, 0))
        if i % 200 == 199:
            still_serves(box, office, f"beside-syns{i}-{box.board}")
    raw.close()
    assert time.time() - started < 60
    for s in gone:
        s.close()


def test_slow_data_ends_and_another_mail_passes_meanwhile(box, office):
    """Below the least rate: some bytes a second, for ever."""
    started = time.time()
    slow, silent = in_data(box), in_data(box)
    ended = []

    def dribble():
        try:
            while not ended:
                slow.sock.sendall(b"x\r\n")
                time.sleep(0.5)
        except OSError:
            pass

    threading.Thread(target=dribble, daemon=True).start()
    still_serves(box, office, f"beside-slow-{box.board}")
    code, lines = slow.reply()
    ended.append(True)
    assert code == 421 and lines == ["4.4.2 the data came too slowly"]
    assert 15 < time.time() - started < 90
    assert silent.reply()[0] == 421
    wait_end(box, slow, "too-slow")
    slow.close()
    silent.close()


@on_all
def test_a_port_that_comes_again_is_served_at_once(box):
    """The box ended the last connection from it, and remembers that for a while: many clients behind one NAT soon use a port again."""
    def again():
        """None until our end of the one before is acknowledged, and the port free on this side."""
        try:
            return client.Raw(box, source=at, source_port=40001)
        except OSError as e:
            if e.errno not in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
                raise
            return None

    at, took = source(), []
    for _ in range(10):
        started = time.time()
        s = until(again, every=0.01)
        took.append(time.time() - started)
        assert s.ask("QUIT")[0] == 221
        assert s.closed()
        s.close()
        time.sleep(0.05)  # in which Linux's sequence numbers leave the window of the one before
    assert sorted(took)[5] < 0.9, took  # a SYN that is not answered comes again after a second


# --- Floods

@on_virt_too
def test_one_address_holds_no_more_than_its_share(box):
    at = source()
    held = [client.Raw(box, source=at) for _ in range(4)]
    with pytest.raises((ConnectionError, OSError)):
        client.Raw(box, source=at)
    other = client.Raw(box, source=source())
    other.close()
    held[0].ask("QUIT")
    held[0].close()
    end = time.time() + 60
    while True:
        try:
            held[0] = client.Raw(box, source=at)
            break
        except OSError:
            assert time.time() < end, "a place that was given back is not given out"
            time.sleep(0.1)
    for s in held:
        s.close()


def test_a_whole_ipv6_network_counts_as_one_address(box):
    """Its owner picks addresses in it as he likes."""
    held = [client.Raw(box, source=f"{net.PREFIX6}::9:{n}") for n in range(1, 5)]
    with pytest.raises((ConnectionError, OSError)):
        client.Raw(box, source=f"{net.PREFIX6}::9:5")
    client.Raw(box, source=source()).close()
    for s in held:
        s.close()


def test_who_gave_way_does_not_come_straight_back(box):
    slots = int(re.search(r"sessions +\d+ of (\d+) open", box.console("status")).group(1))
    held = [client.Raw(box, source=source()) for _ in range(slots)]
    time.sleep(2.5)  # none may be pushed out earlier
    held.append(client.Raw(box, source=source()))
    assert held[0].reply()[0] == 421, "the idlest gives way to a newcomer"
    with pytest.raises((ConnectionError, OSError)):
        client.Raw(box, source=held[0].source, timeout=3)
    held.append(client.Raw(box, source=source()))
    for s in held:
        s.close()


CHAT, HANDSHAKE = 5, 6  # after phases 0 to 4: so many steps of a mail


class Besieger(threading.Thread):
    """Holds a session open as long as the box lets it, and comes again at once."""

    def __init__(self, box, ip, phase, stop):
        super().__init__(daemon=True)
        self.box, self.ip, self.phase, self.stop_event, self.got = box, ip, phase, stop, 0

    def run(self):
        while not self.stop_event.is_set():
            try:
                self.hold()
            except (OSError, AssertionError, ValueError):
                pass
            self.stop_event.wait(0.2)

    def hold(self):
        s = client.Raw(self.box, source=self.ip, timeout=5)
        try:
            self.got += 1
            steps = ["EHLO b.example", "MAIL FROM:<b@b.example>", f"RCPT TO:<{ANNA}>", "DATA"][: self.phase]
            for step in ["EHLO b.example", "STARTTLS"] if self.phase == HANDSHAKE else [] if self.phase == CHAT else steps:
                assert s.ask(step)[0] in (220, 250, 354)
            while not self.stop_event.is_set():
                if self.phase == 4:
                    s.sock.sendall(b"z" * 198 + b"\r\n")
                elif self.phase == CHAT:
                    assert s.ask("NOOP")[0] == 250
                s.sock.settimeout(1)
                try:
                    if not s.sock.recv(1000):
                        return
                except socket.timeout:
                    pass
        finally:
            s.close()


class Sender(threading.Thread):
    """An honest server that has begun its mail before the siege, and sends it in bursts, fast enough but with longer pauses than idle
    sessions may make."""

    def __init__(self, box, tag, bursts):
        super().__init__(daemon=True)
        self.session, self.tag, self.bursts, self.answer = in_data(box), tag, bursts, None
        self.session.sock.settimeout(60)

    def run(self):
        try:
            self.session.say(client.mail(self.tag).encode())
            for _ in range(self.bursts):
                self.session.say((b"y" * 78 + b"\r\n") * 1000)
                time.sleep(3)
            self.answer = self.session.ask(b".\r\n")[0]
        except (OSError, ConnectionError) as e:
            self.answer = repr(e)
        self.session.close()


def besiege(box, office, phases):
    """A hundred addresses hold what they get, each in one of the phases, and an honest mail passes within a minute."""
    tag = f"honest-{'-'.join(map(str, phases))}-{box.board}"
    sender = Sender(box, f"begun-{tag}", 4)
    sender.start()
    gave_way, stop = box.json("stats")["counters"]["sessions_gave_way"], threading.Event()
    crowd = [Besieger(box, net.address(f"10.77.{20 + len(phases) + phases[0]}.{i + 1}"), phases[i % len(phases)], stop) for i in range(100)]
    for b in crowd:
        b.start()
    time.sleep(3)
    started, tries = time.time(), 0
    while True:
        try:
            tries += 1
            client.send(box, "someone@sender.example", ANNA, client.mail(tag), timeout=20)
            break
        except Exception as e:  # any failure is what a mail server would try again after
            assert time.time() - started < 60, f"no honest mail in 60 s; last: {e}; the log ends:\n{box.log(60)}"
            time.sleep(1)
    took = time.time() - started
    sender.join(90)
    stop.set()
    for b in crowd:
        b.join(15)
    print(f"{box.board} {phases}: honest mail took {took:.1f} s in {tries} tries")
    assert took < 60
    office.wait_for(f"Subject: {tag}")
    assert sender.answer == 250, "a mail that was under way has been pushed out"
    office.wait_for(f"Subject: begun-{tag}")
    assert sum(b.got > 0 for b in crowd) > 14
    assert box.json("stats")["counters"]["sessions_gave_way"] > gave_way, "the slots were not all taken"


@on_all
def test_nothing_crashed(box):
    assert box.json("status")["reset"] == "power-on"
    assert "Sanitizer" not in box.errors()
