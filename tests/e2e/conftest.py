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


@pytest.fixture(params=os.environ.get("POSTERN_BOARDS", "posix,virt").split(","), scope="module")
def board(request):
    return request.param


@pytest.fixture
def remote_ip(_counter=[0]):
    """A fresh address for a remote mail server."""
    _counter[0] += 1
    return net.address(f"{net.REMOTE}{_counter[0]}")
