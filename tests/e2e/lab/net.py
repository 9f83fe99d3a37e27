"""The namespace, its bridge, and who lives where."""

import ctypes
import itertools
import os
import subprocess

CLONE_NEWNET = 0x40000000

PREFIX = "10.77"
PREFIX6 = "2001:db8:77"
GATEWAY = f"{PREFIX}.0.1"
BOX = f"{PREFIX}.0.2"  # the first box; further ones count on
BOX6 = f"{PREFIX6}::2"
DNS = f"{PREFIX}.0.53"
OFFICE = f"{PREFIX}.1.1"  # the office's mail server; its network is trusted
OFFICE_NET = f"{PREFIX}.1.0/24"
REMOTE = f"{PREFIX}.2."  # mail servers of others: REMOTE + "1", ...
REMOTE6 = f"{PREFIX6}::2:"
CLIENTS = f"{PREFIX}.9."  # addresses that outside clients come from
BRIDGE = "br0"


def sh(*args, **kw):
    return subprocess.run(args, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw).stdout


def enter():
    """Moves this process into a new network namespace with loopback and a bridge."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWNET): this needs root")
    sh("ip", "link", "set", "lo", "up")
    # An address of its own: else a bridge takes one of its ports' and changes it when a box goes, and the other boxes talk to nobody.
    sh("ip", "link", "add", BRIDGE, "address", "52:54:00:77:ff:ff", "type", "bridge")
    with open(f"/proc/sys/net/ipv6/conf/{BRIDGE}/accept_dad", "w") as f:
        f.write("0")
    sh("ip", "link", "set", BRIDGE, "up")
    sh("ip", "addr", "add", f"{GATEWAY}/16", "dev", BRIDGE)
    sh("ip", "addr", "add", f"{PREFIX6}::1/32", "dev", BRIDGE, "nodad")


_given = {GATEWAY}
_fresh = itertools.count()


def address(ip):
    """Makes ip an address of this side; the same twice is fine."""
    if ip not in _given:
        _given.add(ip)
        if ":" in ip:
            sh("ip", "addr", "add", f"{ip}/32", "dev", BRIDGE, "nodad")
        else:
            sh("ip", "addr", "add", f"{ip}/16", "dev", BRIDGE)
    return ip


def fresh_ip():
    """An address that nobody has had, nor has yet."""
    n = next(_fresh)
    return f"{PREFIX}.{100 + n // 250}.{n % 250 + 1}"


def tap(name):
    """A TAP device on the bridge, for a box."""
    sh("ip", "tuntap", "add", "dev", name, "mode", "tap")
    sh("ip", "link", "set", name, "master", BRIDGE, "up")
    return name


def tap_gone(name):
    """The bridge's neighbours are forgotten: the next box may have the address of this one, and another MAC address."""
    subprocess.run(["ip", "link", "del", name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    sh("ip", "neigh", "flush", "dev", BRIDGE)


if os.geteuid() != 0:
    raise SystemExit("the lab needs root, for network namespaces")
