"""Every end-to-end run has a network namespace, a DNS server and an office server of its own."""

import os
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from lab import net  # noqa: E402

net.enter()

from lab import dns, pki, postfix  # noqa: E402
from lab.box import Box  # noqa: E402
from lab.fakemx import MailServers  # noqa: E402


@pytest.fixture(scope="session")
def folder():
    path = tempfile.mkdtemp(prefix="postern-e2e-")
    os.chmod(path, 0o755)
    yield path
    if not os.environ.get("POSTERN_KEEP"):
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def names(folder):
    """The lab's DNS server."""
    server = dns.Dns(f"{folder}/dns")
    server.host("client.example", net.CLIENTS + "1")
    server.host("mail.office.example", net.BOX)
    server.add("office.example. MX 10 mail.office.example.")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def office(folder, names):
    """The office's mail server: real Postfix with STARTTLS."""
    server = postfix.Postfix(f"{folder}/office", net.OFFICE, "server.office.example", ["office.example"],
                             cert=pki.self_signed("server.office.example"), relay_through=net.BOX)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def make_box(folder, names):
    """A function that starts a box; all are stopped at the end."""
    boxes = []

    def make(**kw):
        box = Box(f"{folder}/box{len(boxes) + 1}", **kw)
        boxes.append(box)
        return box.start()

    yield make
    for box in boxes:
        box.stop()


def pytest_configure(config):
    config.addinivalue_line("markers", "boards(name...): the boards that a test runs on, by default posix and virt")


def pytest_generate_tests(metafunc):
    """A test that has to do with a board runs on those of its marker, its own before its file's; POSTERN_BOARDS overrides all markers.
    What has boards of its own is left alone."""
    fixture = metafunc._arg2fixturedefs.get("board", ())
    own = any(d.params for d in fixture) or any("board" in m.args[0] for m in metafunc.definition.iter_markers("parametrize"))
    if "board" in metafunc.fixturenames and not own:
        marker = metafunc.definition.get_closest_marker("boards")
        chosen = os.environ.get("POSTERN_BOARDS")
        boards = [sys.intern(b) for b in chosen.split(",")] if chosen else marker.args if marker else ("posix", "virt")
        metafunc.parametrize("board", boards, indirect=True, scope="module")


def pytest_collection_modifyitems(items):
    """One board of a file after the other: pytest alone groups them by their place in each test's own list."""
    order = ["posix", "virt", "mps2-an500"]

    def place(item):
        board = item.callspec.params.get("board") if hasattr(item, "callspec") else None
        return order.index(board) if board in order else 0

    files = list(dict.fromkeys(item.path for item in items))
    items.sort(key=lambda item: (files.index(item.path), place(item)))


@pytest.fixture(scope="module")
def board(request):
    return request.param


@pytest.fixture
def remote_ip():
    """A fresh address for a remote mail server."""
    return net.address(net.fresh_ip())


@pytest.fixture
def server(names):
    """server(DOMAIN...): a mail server of others, in good order."""
    with MailServers(names, authority=pki.good_ca()) as servers:
        yield servers
