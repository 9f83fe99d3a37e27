"""The firmware under test: on posix (sanitized build) with a TAP device, or in QEMU as virt or mps2-an500. Its console is driven as an
operator would drive it."""

import datetime
import json
import os
import re
import select
import subprocess
import time

from . import net, pki
from .wait import until

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
BUILD = os.environ.get("POSTERN_BUILD", os.path.join(ROOT, "build"))
PROMPT = "postern> "
DEFAULTS = {
    "host.name": "mail.office.example",
    "net.address": f"{net.BOX}/16",
    "net.gateway": net.GATEWAY,
    "net.address6": "off",
    "net.dns": net.DNS,
    "mail.domains": "office.example",
    "mail.inside": f"{net.OFFICE}:25",
    "mail.inside_tls": "off",
    "mail.trusted": net.OFFICE_NET,
    "mail.retry_first": "60",
}


def tool(name, *args):
    done = subprocess.run([f"{BUILD}/tools/{name}", *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(f"{name} {' '.join(args)}: {done.stdout}")
    return done.stdout


class Box:
    count = 0
    running = {}  # address: box

    def __init__(self, folder, board="posix", settings=None, policy=None, roots=None, rtc=None, cert=None):
        """policy: a policy.json's content as a dict, or the path of one; rtc: RFC 3339; cert: (chain, key) in PEM."""
        Box.count += 1
        self.folder, self.board, self.rtc = folder, board, rtc
        self.tap_name, self.mac = f"tap{Box.count}", f"52:54:00:77:{Box.count // 256:02x}:{Box.count % 256:02x}"
        self.process, self.seen = None, ""
        os.makedirs(folder, exist_ok=True)
        self.settings = {**DEFAULTS, **(settings or {})}
        self.ip = self.settings["net.address"].split("/")[0]
        self.flash = f"{folder}/data.img"
        self._make_flash(policy, roots if roots is not None else pki.trusted_roots(), cert)

    def _file(self, name, text):
        path = f"{self.folder}/{name}"
        with open(path, "w") as f:
            f.write(text)
        return path

    def _make_flash(self, policy, roots, cert):
        args = ["data", "--board", self.board, "--settings",
                self._file("settings", "".join(f"{k} {v}\n" for k, v in self.settings.items() if v is not None)),
                "--roots", self._file("roots.pem", roots), "-o", self.flash]
        if policy is not None:
            source = policy if isinstance(policy, str) else self._file("policy.json", json.dumps(policy))
            tool("postern-list", "compile", source, "-o", f"{self.folder}/list.bin")
            args += ["--list", f"{self.folder}/list.bin"]
        if cert:
            args += ["--cert", self._file("chain.pem", cert[0]), "--key", self._file("key.pem", cert[1])]
        tool("postern-image", *args)

    def command(self):
        if self.board == "posix":
            variant = os.environ.get("POSTERN_VARIANT", "posix-asan")
            return [f"{BUILD}/{variant}/postern", "--flash", self.flash, "--tap", self.tap_name] + (["--rtc", self.rtc] if self.rtc else [])
        common = ["qemu-system-arm", "-nodefaults", "-display", "none", "-monitor", "none", "-serial", "stdio"]
        if self.board == "mps2-an500":
            return common + ["-M", "mps2-an500", "-semihosting-config", "enable=on,target=native", "-kernel", f"{BUILD}/mps2-an500/postern.elf",
                             "-nic", f"tap,model=lan9118,ifname={self.tap_name},script=no,downscript=no,mac={self.mac}"]
        return common + ["-M", "virt,highmem=off", "-cpu", "cortex-a7", "-m", "2M",
                         "-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={BUILD}/virt/code.img",
                         "-drive", f"if=pflash,unit=1,format=raw,file={self.flash}",
                         "-global", "virtio-mmio.force-legacy=false",
                         "-netdev", f"tap,id=n0,ifname={self.tap_name},script=no,downscript=no",
                         "-device", f"virtio-net-device,netdev=n0,mac={self.mac}", "-device", "virtio-rng-device",
                         "-device", "i6300esb", "-watchdog-action", "reset"] + \
            (["-rtc", "base=" + self.rtc.rstrip("Z")] if self.rtc else [])

    def start(self, timeout=60):
        other = Box.running.setdefault(self.ip, self)
        assert other is self or self.ip == "dhcp", f"{self.folder} has the address of {other.folder}, which still runs"
        net.tap_gone(self.tap_name)
        net.tap(self.tap_name)
        self.stderr = open(f"{self.folder}/stderr", "a")
        env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1"}
        self.process = subprocess.Popen(self.command(), cwd=self.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.stderr, env=env)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.seen = ""
        self.read_until(PROMPT, timeout)
        if self.rtc and self.board == "mps2-an500":
            self.console(f"time set {self.rtc}")
        return self

    def kill(self):
        """kill -9: what a power cut is to the box."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self):
        self.kill()
        net.tap_gone(self.tap_name)
        if Box.running.get(self.ip) is self:
            del Box.running[self.ip]

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        """Its end, and no word of a sanitizer until then."""
        self.stop()
        assert "Sanitizer" not in self.errors(), self.errors()[-4000:]

    def restart(self):
        self.kill()
        return self.start()

    def errors(self):
        return open(f"{self.folder}/stderr").read()

    def read_until(self, needle, timeout=60):
        """Console output up to and with needle."""
        end = time.time() + timeout
        while needle not in self.seen:
            left = end - time.time()
            if left <= 0 or (self.process.poll() is not None and not select.select([self.process.stdout], [], [], 0)[0]):
                raise AssertionError(f"the console did not show {needle!r}; it showed:\n{self.seen[-3000:]}\nstderr:\n{self.errors()[-3000:]}")
            if select.select([self.process.stdout], [], [], min(left, 0.2))[0]:
                self.seen += (self.process.stdout.read() or b"").decode(errors="replace")
        at = self.seen.index(needle) + len(needle)
        text, self.seen = self.seen[:at], self.seen[at:]
        return text

    def type(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def console(self, line, timeout=60):
        """Types one command; gives what it printed, without echo and prompt."""
        self.type(line + "\r")
        text = self.read_until("\n" + PROMPT, timeout).replace("\r", "")
        text = text[: -len(PROMPT)]
        return text.split("\n", 1)[1].rstrip("\n") if "\n" in text else ""

    def json(self, line, timeout=60):
        text = self.console(line + " json", timeout)
        assert text.startswith(("{", "[")), f"{line}: {text}"
        return json.loads(text)

    def set(self, **values):
        """set(mail__domains='a,b') and commit."""
        for k, v in values.items():
            out = self.console(f"set {k.replace('__', '.')} {v}")
            assert "error:" not in out, out
        out = self.console("commit")
        assert "error:" not in out, out

    def log(self, lines=200):
        return self.console(f"log {lines}")

    def log_since(self, before):
        """What has been added to the log since it was before: the ring keeps some hundred lines, on the small board some twenty."""
        old, new = before.splitlines(), self.log(400).splitlines()
        kept = next((n for n in range(min(len(old), len(new)), 0, -1) if old[-n:] == new[:n]), 0)
        return "\n".join(new[kept:])

    def wait_log(self, pattern, timeout=60, since=""):
        """The first match; since: what log(400) gave, for what may stand in the log already."""
        return until(lambda: re.search(pattern, self.log_since(since)), timeout,
                     lambda: f"the log never showed {pattern}; it ends:\n{self.log(400)[-4000:]}", every=0.3).group(0)

    def queue(self):
        return self.json("queue")["queue"]

    def is_empty(self, timeout=60):
        """Waits until the queue is: a mail leaves it a moment after its last server has it, and after the log says so."""
        return until(lambda: not self.queue(), timeout, lambda: self.console("queue"))

    def retry_until(self, condition, timeout=60, told=None):
        """Orders all to be tried, again and again: an order passes over what is being tried just then, as things were before."""
        return until(lambda: self.console("queue retry") and condition(), timeout, told or (lambda: self.console("queue")), every=0.3)

    def order(self, line, timeout=60):
        """An order about one mail, repeated while that is being sent; any other error is one."""
        told = until(lambda: [t for t in [self.console(line)] if "the mail is being sent right now" not in t], timeout,
                     lambda: f"{line}: it is sent for ever")[0]
        assert "error" not in told, f"{line}: {told}"
        return told

    def tries(self, ident):
        """How many of the mail there were, once none is under way or due: after a leap of the clock there is one more, without any order."""
        def unix(text):
            return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() if text else 0

        def at_rest():
            shown, now = self.json(f"queue show {ident}"), unix(self.json("status")["time"])
            return shown["state"] == "waiting" and now < unix(shown["next_try"]) < now + 2 * 86400 and shown["attempts"]

        return until(at_rest, told=lambda: self.console(f"queue show {ident}"))

    def drop(self, ident):
        """The mail's end, whichever: it may bounce before it can be dropped."""
        until(lambda: "the mail is being sent right now" not in self.console(f"queue drop {ident} yes"))
        assert ident not in [q["id"] for q in self.queue()], self.console("queue")
