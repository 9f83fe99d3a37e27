"""Lists that the box fetches by itself from a web server: a good one, and everything that a bad one or the way to it can do."""

import datetime
import itertools
import os
import random
import re
import struct

import pytest

from lab import listimage, net, pki
from lab.wait import until
from lab.web import Nginx, Web, date, etag

RTC = "2026-06-01T12:00:00Z"
NOW = 1780315200  # the same
_boxes = itertools.count(70)
_published = itertools.count(1)


def names_of(seed, count):
    """Names that do not compress away, so that an image takes several requests."""
    r = random.Random(seed)
    return [f"{r.randrange(16 ** 12):012x}.example" for _ in range(count)]


def policy(minute, domains):
    """A list published in that minute of 2 May: a later one is a newer version."""
    return listimage.policy(domains, f"2026-05-02T{minute // 60:02}:{minute % 60:02}:00+00:00", "2026-12-31T00:00:00+00:00")


@pytest.fixture(scope="module")
def publish(folder):
    """Makes the next newer list image; its version and bytes."""

    def make(count=2000):
        n = next(_published)
        path = listimage.image(folder, f"published{n}", policy(n, names_of(n, count) + [f"v{n}.example"]))
        with open(path, "rb") as f:
            content = f.read()
        return struct.unpack_from("<Q", content, 24)[0], content

    return make


@pytest.fixture(scope="module")
def server(names):
    web = Web(net.fresh_ip(), "lists.example")
    for name in ("lists.example", "cdn.example"):
        names.host(name, web.ip, reverse=False)
    yield web
    web.stop()


@pytest.fixture(scope="module")
def good_certificate():
    return pki.good_ca().issue("lists.example", "cdn.example")


@pytest.fixture
def web(server, good_certificate):
    """The lists' server, well-behaved and without a file."""
    server.use(good_certificate)
    server.files, server.requests, server.now, server.content = {}, [], NOW, b""
    return server


def boot(make_box, board="posix", **settings):
    return make_box(board=board, rtc=RTC, policy=policy(0, ["first.example"]),
                    settings={"net.address": f"{net.PREFIX}.0.{next(_boxes)}/16", **settings})


@pytest.fixture(scope="module")
def shared_box(make_box, names):
    """One box for all that need no fresh one: each poll ends before the next begins."""
    box = boot(make_box)
    yield box
    assert "Sanitizer" not in box.errors()


def poll(box, url="https://lists.example/list.bin", timeout=120):
    """Has the box fetch now; the log line of how that ended."""
    before = box.log(400)
    if url == box.settings.get("list.url"):
        assert "error" not in box.console("list update")
    else:
        box.set(list__url=url)  # a new address is asked at once
        box.settings["list.url"] = url
    return box.wait_log(r".*errand name=list.*", timeout, since=before)


def version(box):
    return box.json("list info")["version"]


def domains(box):
    return box.json("status")["list"]["domains"]


@pytest.mark.boards("posix", "virt", "mps2-an500")
def test_a_newer_list_is_fetched_once(board, make_box, web, publish):
    _, content = publish(500)
    web.files["/list.bin"] = content
    box = boot(make_box, board)
    assert domains(box) == 1
    assert "rc=ok" in poll(box, timeout=120)
    assert domains(box) == 501
    assert [r.headers.get("if-range") for r in web.requests][-1] == etag(content)
    assert web.requests[0].headers["range"].startswith("bytes=0-") and "if-none-match" not in web.requests[0].headers
    assert web.requests[0].headers["user-agent"].startswith("Postern/")
    asked = len(web.requests)
    assert "rc=ok" in poll(box, timeout=120)
    assert [r.headers.get("if-none-match") for r in web.requests[asked:]] == [etag(content)]  # one request, answered by 304
    box.restart()
    assert domains(box) == 501
    assert "rc=ok" in poll(box, timeout=120)
    assert [r.headers.get("if-none-match") for r in web.requests[asked + 1:]] == [etag(content)]
    box.stop()


# --- nginx, and a delta ---


@pytest.fixture
def nginx(names):
    """A folder that the real thing serves at real.example."""
    server = Nginx(net.fresh_ip(), "real.example")
    names.host(server.name, server.ip, reverse=False)
    yield server
    server.stop()


def test_from_nginx_first_all_then_a_delta(nginx, make_box):
    names, url = names_of(1, 2000), "https://real.example/list.bin"
    first = listimage.image(nginx.folder, "first", policy(1, names))
    second = listimage.image(nginx.folder, "second", policy(2, names[:1000] + names[1001:] + ["zz-added.example", names[0] + "a"]), previous=first)
    nginx.put("list.bin", first)
    box = boot(make_box)
    assert "rc=ok" in poll(box, url) and domains(box) == 2000
    assert "rc=ok" in poll(box, url)
    assert nginx.requests()[-1] == "GET /list.bin 304"
    old, asked = version(box), len(nginx.requests())
    nginx.put("list.bin", second)
    nginx.put(f"list.bin.from-{old}", listimage.delta(first, second, f"{nginx.folder}/delta"))
    assert "rc=ok" in poll(box, url) and domains(box) == 2001
    assert nginx.requests()[asked:] == ["GET /list.bin 206", f"GET /list.bin.from-{old} 200"]
    assert os.path.getsize(f"{nginx.folder}/delta") < 2000 < 20000 < os.path.getsize(second)
    assert "zz-added.example" in box.console("list find zz-added") and names[1000] not in box.console(f"list find {names[1000]}")
    assert "rc=ok" in poll(box, url)
    assert nginx.requests()[-1] == "GET /list.bin 304"
    box.stop()


# --- a server that means well, in ways of its own ---


def plain(web, connection, request):
    """No ranges, no tags, all of it each time."""
    return web.answer(connection, 200, web.content)


def chunked(web, connection, request):
    head = f"HTTP/1.1 200 OK\r\nDate: {date(NOW)}\r\nTransfer-Encoding: chunked\r\n\r\n"
    pieces = [web.content[i:i + 999] for i in range(0, len(web.content), 999)]
    body = b"".join(b"%x;x=y\r\n%s\r\n" % (len(p), p) for p in pieces)
    connection.sendall(head.encode() + body + b"0\r\nTrailer: x\r\n\r\n")
    return True


def until_the_end(web, connection, request):
    connection.sendall(f"HTTP/1.0 200 OK\r\nDate: {date(NOW)}\r\n\r\n".encode() + web.content)
    return False


def by_date_alone(web, connection, request):
    """No entity tag, a Last-Modified; and a part less than was asked for."""
    if request.headers.get("if-modified-since") == date(NOW - 999):
        connection.sendall(f"HTTP/1.1 304 x\r\nDate: {date(NOW)}\r\n\r\n".encode())
        return True
    first = request.range_from()[0]
    part = web.content[first:first + 5000]
    return web.answer(connection, 206, part, Last_Modified=date(NOW - 999),
                      Content_Range=f"bytes {first}-{first + len(part) - 1}/{len(web.content)}")


def breaks(web, connection, request):
    """Each answer to a range ends somewhere on its way, without an end of TLS."""
    first = request.range_from()[0]
    part = web.content[first:]
    head = f"HTTP/1.1 206 x\r\nDate: {date(NOW)}\r\nETag: {etag(web.content)}\r\nContent-Length: {len(part)}\r\n" \
           f"Content-Range: bytes {first}-{len(web.content) - 1}/{len(web.content)}\r\n\r\n"
    connection.sendall(head.encode() + part[:9000])
    if len(part) > 9000:
        connection.close()
        return False
    return True


def moved(web, connection, request):
    if request.path == "/list.bin":
        return web.answer(connection, 302, b"over there", Location="https://cdn.example/a/../files/list.bin?x#y")
    return web.static(connection, request, web.content)


@pytest.mark.parametrize("rule", [plain, chunked, until_the_end, by_date_alone, breaks, moved])
def test_every_good_way_leads_to_the_list(rule, shared_box, web, publish):
    _, web.content = publish()
    web.files = {"/list.bin": rule, "/files/list.bin?x": rule}
    before = domains(shared_box)
    line = poll(shared_box)
    assert "rc=ok" in line, line
    assert domains(shared_box) == 2001 and before in (1, 2001)
    if rule is breaks:
        starts = [r.range_from()[0] for r in web.requests if "if-range" in r.headers]
        assert len(starts) >= 2 and starts == sorted(set(starts)) and starts[-1] >= 9000
    if rule is by_date_alone:
        assert "rc=ok" in poll(shared_box)
        assert web.requests[-1].headers["if-modified-since"] == date(NOW - 999)


def test_a_file_that_changes_meanwhile_is_taken_whole(shared_box, web, publish):
    (_, first), (newest, second) = publish(), publish()

    def rule(web, connection, request):
        if "if-range" not in request.headers and request.range_from():
            return web.static(connection, request, first)
        return web.static(connection, request, second)

    web.files["/list.bin"] = rule
    assert "rc=ok" in poll(shared_box)
    assert f"version={newest}" in shared_box.wait_log(rf"update source=\S+ version={newest}")
    assert "rc=ok" in poll(shared_box)


# --- what a server, or somebody on the way, can do wrong ---


def status(code, **fields):
    return lambda web, connection, request: web.answer(connection, code, b"<html>", **fields)


def raw(text, body=b"", keep=False):
    """These very bytes, then the end of the connection."""

    def rule(web, connection, request):
        connection.sendall(text.replace("\n", "\r\n").encode() + body)
        return keep

    return rule


def ranged(change):
    """A good answer to a range, with a change to (first, content): what is said, and what is sent."""

    def rule(web, connection, request):
        first = (request.range_from() or (0, None))[0]
        said, content = change(first, web.content)
        return web.answer(connection, 206, content[first:], Content_Range=said, ETag='"x"')

    return rule


def good_head_then(rule):
    """The manifest is what it should be; the rest goes wrong."""

    def both(web, connection, request):
        if "if-range" in request.headers or (request.range_from() or (0, 0))[1] is None:
            return rule(web, connection, request)
        return web.static(connection, request, web.content)

    return both


def flip(content, at):
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1:]


OK = "HTTP/1.1 200 OK\n"
BAD = {
    "404": (status(404), "the server answered 404"),
    "500": (status(500), "the server answered 500"),
    "204": (status(204), "the server answered 204"),
    "416": (status(416, Content_Range="bytes */5"), "the server answered 416"),
    "no HTTP": (raw("220 mail.example ESMTP\n"), "no HTTP/1 answer"),
    "HTTP/2": (raw("HTTP/2 200\n\n"), "no HTTP/1 answer"),
    "two lengths": (raw(OK + "Content-Length: 5\nContent-Length: 6\n\nhello"), "two Content-Lengths"),
    "length and coding": (raw(OK + "Content-Length: 5\nTransfer-Encoding: chunked\n\n0\n\n"), "both Content-Length and Transfer-Encoding"),
    "folded": (raw(OK + "X: y\n z\n\n"), "folded"),
    "bare LF": (lambda w, c, r: c.sendall(b"HTTP/1.1 200 OK\n\n") and False, "does not end in CRLF"),
    "compressed": (raw(OK + "Content-Encoding: gzip\nContent-Length: 5\n\nhello"), "compressed"),
    "bad chunk": (raw(OK + "Transfer-Encoding: chunked\n\n5\nhello\nxyz\n"), "chunk"),
    "endless head": (raw(OK + "X: y\n" * 200), "header is too large"),
    "cut in the head": (raw(OK + "Content-Length: 5\n"), "ended before the answer did"),
    "an HTML page": (raw(OK + "Content-Length: 300\n\n", b"<html>" * 50), "this is not an image"),
    "empty": (raw(OK + "Content-Length: 0\n\n"), "ends before the list does"),
    "to http": (status(301, Location="http://lists.example/list.bin"), "from https to http"),
    "in a circle": (status(302, Location="/list.bin"), "in a circle"),
    "to nowhere": (status(307, Location="gopher://x/"), "not to an address"),
    "wrong place": (good_head_then(ranged(lambda f, c: (f"bytes {f + 1}-{len(c) - 1}/{len(c)}", c[1:] + b"x"))), "Content-Range"),
    "other size": (good_head_then(ranged(lambda f, c: (f"bytes {f}-{len(c)}/{len(c) + 1}", c + b"x"))), "Content-Range"),
    "unknown size, too much": (good_head_then(ranged(lambda f, c: (f"bytes {f}-{len(c) + 9}/*", c + b"0123456789"))), "more bytes than the image"),
    "a flipped bit": (good_head_then(ranged(lambda f, c: (f"bytes {f}-{len(c) - 1}/{len(c)}", flip(c, len(c) - 3)))), "does not check"),
    "a flipped bit in the manifest": (ranged(lambda f, c: (f"bytes {f}-{len(c) - 1}/{len(c)}", flip(c, 70))), "manifest is damaged"),
}


@pytest.fixture(scope="module")
def newer(publish):
    return publish()[1]


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_named_and_changes_nothing(case, shared_box, web, newer):
    rule, words = BAD[case]
    web.content = newer
    web.files["/list.bin"] = rule
    before = version(shared_box)
    line = poll(shared_box)
    assert "rc=ok" not in line and words in line, line
    assert version(shared_box) == before


def test_after_all_that_the_box_takes_a_good_list(shared_box, web, newer):
    web.files["/list.bin"] = newer
    before = version(shared_box)
    assert "rc=ok" in poll(shared_box)
    assert version(shared_box) > before
    assert "list-poll" not in [a["name"] for a in shared_box.json("status")["alerts"]]


def certificate(case):
    if case == "expired":
        return pki.good_ca().issue("lists.example", end=datetime.datetime(2026, 5, 31))
    if case == "not yet valid":
        return pki.good_ca().issue("lists.example", start=datetime.datetime(2026, 6, 2))
    if case == "wrong name":
        return pki.good_ca().issue("other.example")
    return pki.self_signed("lists.example") if case == "self-signed" else pki.strange_ca().issue("lists.example")


@pytest.mark.parametrize("case, words", [("expired", "expired"), ("not yet valid", "not valid yet"), ("wrong name", "name"),
                                         ("self-signed", "self-signed"), ("strange", "root")])
def test_nothing_is_asked_without_a_valid_certificate(case, words, shared_box, web):
    web.use(certificate(case))
    web.files["/list.bin"] = b"x"
    line = poll(shared_box)
    assert "rc=unreachable" in line and words in line, line
    assert web.requests == []


@pytest.mark.parametrize("code, after, least", [(429, "7200", 5400), (503, date(NOW + 36000), 27000), (503, "99999999", 100000), (503, "soon", 45)])
def test_a_server_that_asks_for_time_gets_it(code, after, least, shared_box, web):
    web.files["/list.bin"] = status(code, Retry_After=after)
    shared_box.set(list__roots="public")
    line = poll(shared_box)
    wait = int(re.search(r"next_s=(\d+)", line).group(1))
    assert f"answered {code}" in line and least <= wait <= 48 * 3600, line


def test_back_off_and_alert_and_both_survive_a_restart(make_box, web):
    web.files["/list.bin"] = status(500)
    box = boot(make_box)
    waits = [int(re.search(r"next_s=(\d+)", poll(box)).group(1)) for _ in range(3)]
    assert 45 <= waits[0] <= 60 and 450 <= waits[1] <= 600 and 4500 <= waits[2] <= 6000, waits
    assert "list-poll" in [a["name"] for a in box.json("status")["alerts"]]
    box.restart()
    line = poll(box)
    assert "failures=4" in line and int(re.search(r"next_s=(\d+)", line).group(1)) >= 32400
    box.stop()


def test_it_asks_again_by_itself(make_box, web, publish):
    """Twice a day less the jitter, of which each time has its own, and what was due while the box was off is made up for."""
    _, content = publish()
    web.files["/list.bin"] = content
    box = boot(make_box)
    waits = [int(re.search(r"rc=ok .*next_s=(\d+)", poll(box)).group(1)) for _ in range(4)]
    assert len(set(waits)) > 1 and all(9 * 3600 - 1 <= w <= 12 * 3600 for w in waits), waits
    asked = len(web.requests)
    box.kill()
    box.rtc = "2026-06-02T00:30:00Z"
    box.start()
    until(lambda: len(web.requests) > asked, timeout=120, told=lambda: box.log(50))
    assert web.requests[-1].headers["if-none-match"] == etag(content)
    box.wait_log(r"errand name=list rc=ok failures=0 next_s=\d+")
    box.stop()


def test_a_broken_delta_costs_only_itself(shared_box, web, publish):
    _, content = publish()
    web.files["/list.bin"] = content
    now = version(shared_box)
    web.files[f"/list.bin.from-{now}"] = b"no delta" * 20
    assert "rc=ok" in poll(shared_box)
    assert f"/list.bin.from-{now}" in web.paths() and version(shared_box) > now
    shared_box.wait_log(r"delta url=\S+ good=0 why=\"this is not an image\"")


def test_the_office_ca_vouches_when_it_is_told_to(make_box, web, publish):
    ca = pki.CA("Office")
    _, content = publish()
    web.use(ca.issue("lists.example"))
    web.files["/list.bin"] = content
    box = boot(make_box)
    box.type("cert import-ca\r")
    box.read_until("one dot")
    assert "error" not in box.console(ca.root_pem + ".")
    assert "rc=ok" not in poll(box)
    box.set(list__roots="inside")
    assert "rc=ok" in poll(box)
    box.stop()
