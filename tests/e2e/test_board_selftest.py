"""Each board proves hal/'s contracts by itself (tests/board/selftest.c), then goes down in every way that a box can, and says
afterwards why it was reset. QEMU brings its own network; the posix box has a TAP device in a namespace of its own."""

import os
import re
import select
import signal
import subprocess
import time

import pytest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("POSTERN_BUILD", os.path.join(ROOT, "build"))
BOARDS = ("posix", "virt", "mps2-an500")
FLASH_BYTES = {"posix": 64 << 20, "virt": 64 << 20, "mps2-an500": 16 << 20}
QEMU = ["-nodefaults", "-display", "none", "-serial", "stdio"]
START_S = 60

# What each board must have checked: a check that is never reached must not count as passed.
CHECKS = """board-init clock-forward clock-sleep rtc-read entropy unaligned-access errno list-open list-find list-stack flash-geometry flash-boots
flash-erase flash-program flash-program-alone flash-read-unaligned flash-no-reprogram flash-refusal-changes-nothing
flash-zeros flash-bounds flash-erase-alignment flash-program-alignment flash-busy flash-order flash-order-data flash-idle
flash-read-while-busy flash-whole-after-reads ethernet-init ethernet-mac ethernet-link ethernet-arp ethernet-ping
ethernet-too-long ethernet-small-buffer""".split()
CHECKS_OF = {"posix": ["rtc-write", "rtc-restore"], "virt": ["rtc-write", "rtc-restore"], "mps2-an500": []}


def command(board, folder):
    if board == "posix":
        tap = "ip tuntap add dev tap0 mode tap && ip addr add 10.0.2.2/24 dev tap0 && ip link set tap0 up"
        return ["unshare", "--net", "sh", "-ec", f"{tap} && exec {BUILD}/posix/selftest --flash {folder}/data.img --tap tap0"]
    if board == "virt":
        return ["qemu-system-arm", "-M", "virt,highmem=off", "-cpu", "cortex-a7", "-m", "2M", *QEMU,
                "-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={BUILD}/virt/selftest.img",
                "-drive", f"if=pflash,unit=1,format=raw,file={folder}/data.img",
                "-global", "virtio-mmio.force-legacy=false", "-netdev", "user,id=n0", "-device", "virtio-net-device,netdev=n0",
                "-device", "virtio-rng-device", "-device", "i6300esb", "-watchdog-action", "reset"]
    return ["qemu-system-arm", "-M", "mps2-an500", *QEMU, "-semihosting-config", "enable=on,target=native",
            "-nic", "user,model=lan9118", "-kernel", f"{BUILD}/mps2-an500/selftest.elf"]


class Board:
    def __init__(self, name, folder):
        self.name, self.folder, self.seen = name, str(folder), ""
        with open(f"{folder}/data.img", "wb") as f:
            for _ in range(FLASH_BYTES[name] >> 20):
                f.write(b"\xff" * (1 << 20))
        self.start()

    def start(self):
        self.process = subprocess.Popen(command(self.name, self.folder), cwd=self.folder, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.seen = ""

    def send(self, line):
        self.process.stdin.write(line.encode() + b"\r")
        self.process.stdin.flush()

    def until(self, text, seconds=START_S):
        """Everything up to and with text, which is then used up."""
        end = time.monotonic() + seconds
        while text not in self.seen:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            assert data, f"{self.name}: no {text!r} in:\n{self.seen[-4000:]}"
            self.seen += data.decode("latin-1")
        at = self.seen.index(text) + len(text)
        found, self.seen = self.seen[:at], self.seen[at:]
        return found

    def down(self, word):
        """What is printed from the word that brings the box down until it is up again."""
        self.send(word)
        return self.until("READY")

    def cpu_s(self):
        with open(f"/proc/{self.process.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def reason(text):
    return re.search(r"reset reason (\S+)", text)[1]


def boots(text):
    return int(re.search(r"boots: (\d+)", text)[1])


@pytest.fixture(scope="module", params=BOARDS)
def board(request, tmp_path_factory):
    b = Board(request.param, tmp_path_factory.mktemp(request.param))
    b.first = b.until("READY")
    yield b
    b.kill()


def test_contracts(board):
    assert re.search(rf"SELFTEST {re.escape(board.name)}, reset reason power-on", board.first), board.first
    failed = re.findall(r"FAIL .*", board.first)
    assert not failed, failed
    passed = re.findall(r"PASS (\S+)", board.first)
    assert sorted(passed) == sorted(CHECKS + CHECKS_OF[board.name])


def test_console(board):
    line = "The quick brown fox: 0123456789 !\"#$%&'()*+,-./;<=>?@[\\]^_`{|}~"
    for n in range(20):
        board.send(f"echo {n} {line}")
    for n in range(20):
        board.until(f"echoed {n} {line}")


def test_idle_costs_no_cpu(board):
    before = board.cpu_s()
    time.sleep(4)
    assert board.cpu_s() - before < 0.2


def test_requested_reset(board):
    assert reason(board.down("reset")) == "requested"


def test_panic_shows_task_and_stack(board):
    text = board.down("panic-in-task")
    assert "panic: asked for" in text and reason(text) == "crash"
    assert re.search(r"task:? checks, stack \d+ of \d+ bytes used", text), text
    assert len(re.findall(r"^(?:stack: )?[0-9a-f]{8,}:(?: [0-9a-f]{8,})+", text, re.M)) >= 4, text
    text = board.down("panic")
    assert "main loop" in text and reason(text) == "crash"


def test_task_stack_overflow_names_the_task(board):
    text = board.down("overflow-task")
    assert "panic: task victim: stack overflow" in text and reason(text) == "crash"


# The word, what virt says and which fault register shows what, what mps2-an500 says. posix has signals.
FAULTS = [("null", r"data abort[\s\S]*dfar=00000000", r"cfsr=00000082[\s\S]*mmfar=00000000"),
          ("undefined", r"undefined instruction", r"cfsr=00010000"),
          ("run-data", r"prefetch abort[\s\S]*ifsr=0000000d", r"cfsr=00000001"),
          ("code-write", r"data abort[\s\S]*dfsr=0000080f", r"cfsr=00000082"),
          ("overflow-main", r"data abort[\s\S]*dfar=3f", r"mmfar=1f")]


@pytest.mark.parametrize("word,virt,mps2", FAULTS, ids=[f[0] for f in FAULTS])
def test_fault_is_shown(board, word, virt, mps2):
    text = board.down(word)
    assert reason(text) == "crash"
    if board.name == "posix":
        assert re.search(r"crash: signal \d+", text) and "main loop" in text, text
        return
    registers = re.search(r"r0=[0-9a-f]{8}[\s\S]*sp=[0-9a-f]{8} lr=[0-9a-f]{8} pc=[0-9a-f]{8} psr=[0-9a-f]{8}", text)
    assert registers, text
    assert re.search(r"panic: .*" + virt if board.name == "virt" else r"panic: hard fault[\s\S]*" + mps2, text), text


def test_watchdog_bites_a_hanging_loop(board):
    start = time.monotonic()
    text = board.down("hang")
    assert reason(text) == "watchdog"
    assert "the main loop hangs" in text
    if board.name != "posix":
        assert re.search(r"pc=(?!00000000)[0-9a-f]{8} psr=", text) and "main loop" in text, text
    assert 5 < time.monotonic() - start < 120


@pytest.mark.parametrize("board", ["virt"], indirect=True)
def test_watchdog_bites_without_help(board):
    """Also when the exception that shows the hang is masked, which only virt's processor can."""
    text = board.down("hang-deaf")
    assert reason(text) == "watchdog" and "panic" not in text


def test_flash_survives_resets_and_kill(board):
    count = boots(board.down("reset"))
    assert count > 1
    board.kill()
    board.start()
    text = board.until("READY")
    assert boots(text) == count + 1 and reason(text) == "power-on"
