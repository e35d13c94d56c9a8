# SPDX-License-Identifier: MIT
"""reforkctl top, driven in a terminal of its own."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from service import BUILD

PATIENCE_S = 15

LEAVES_SCREEN = b"\x1b[?1049l"
BARS = "▁▂▃▄▅▆▇█"


class Terminal:
    """A program in a pty, and all that it wrote there."""

    def __init__(self, argv, columns=80, lines=24, **environment):
        self.master, slave = pty.openpty()
        self.resize(columns, lines)
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.output = b""
        self.process = subprocess.Popen(
            [str(arg) for arg in argv], stdin=slave, stdout=slave,
            stderr=slave, start_new_session=True,
            env={**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8",
                 **environment})

    def resize(self, columns, lines):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ,
                    struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, keys):
        os.write(self.master, keys)

    def read(self, seconds):
        if select.select([self.master], [], [], seconds)[0]:
            self.output += os.read(self.master, 65536)

    def text(self):
        """What was written, without its escape sequences."""
        plain = re.sub(rb"\x1b(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>])", b" ",
                       self.output)
        return plain.decode(errors="replace")

    def wait_for(self, pattern):
        deadline = time.monotonic() + PATIENCE_S
        while not re.search(pattern, self.text()):
            assert time.monotonic() < deadline, (pattern, self.text())
            self.read(0.05)

    def see(self, pattern):
        """wait_for() on a screen that is painted as a whole: else only what
        has changed is written."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self.forget()
            self.press(b"\x0c")
            for _ in range(4):
                self.read(0.05)
            if re.search(pattern, self.text()):
                return
            assert time.monotonic() < deadline, (pattern, self.text())

    def settle(self):
        """Until it has nothing more to write."""
        deadline = time.monotonic() + PATIENCE_S
        before = None
        while before != len(self.output):
            assert time.monotonic() < deadline, "it goes on writing"
            before = len(self.output)
            self.read(0.3)

    def forget(self):
        self.output = b""

    def wait_end(self):
        deadline = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            assert time.monotonic() < deadline, "it does not end"
            self.read(0.05)
        self.read(0.05)
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.slave)
        os.close(self.master)


@pytest.fixture
def top(service):
    made = []

    def start(**options):
        kv = service()
        argv = [BUILD / "reforkctl", "-S", kv.control_socket(), "top",
                "--every", "100ms"]
        made.append(Terminal(argv, **options))
        return kv, made[-1]

    yield start
    for terminal in made:
        terminal.close()


def test_it_shows_the_service_and_ends_with_q(top):
    kv, terminal = top()
    terminal.wait_for("refork " + kv.name)
    for words in ("requests/s", "recovery", "crashes", "received/s", "sent/s",
                  "q quit", "every 0.1 s"):
        terminal.wait_for(words)
    terminal.press(b"q")
    assert terminal.wait_end() == 0
    assert LEAVES_SCREEN in terminal.output
    assert termios.tcgetattr(terminal.slave) == terminal.before


def test_traffic_and_crashes_rise_in_sparks(top):
    kv, terminal = top()
    terminal.wait_for("requests/s")
    with kv.raw() as wire:
        deadline = time.monotonic() + PATIENCE_S
        while not re.search(f"[{BARS}]", terminal.text()):
            assert time.monotonic() < deadline
            wire.call("SET", "key", "value")
            terminal.read(0.01)
        os.kill(kv.status()["business_pid"], signal.SIGSEGV)
        terminal.wait_for("SIGSEGV")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT,
                                    signal.SIGHUP])
def test_a_signal_gives_the_terminal_back(top, number):
    kv, terminal = top()
    terminal.wait_for("q quit")
    terminal.process.send_signal(number)
    terminal.wait_end()
    assert LEAVES_SCREEN in terminal.output
    assert termios.tcgetattr(terminal.slave) == terminal.before


def test_keys_change_its_pace_and_pause_it(top):
    kv, terminal = top()
    terminal.wait_for("every 0.1 s")
    terminal.press(b"-")
    terminal.see("every 0.2 s ")
    terminal.press(b"+")
    terminal.see("every 0.1 s ")
    terminal.press(b"p")
    terminal.see("every 0.1 s, paused")
    terminal.settle()
    terminal.forget()
    time.sleep(0.5)
    terminal.read(0)
    assert terminal.output == b""
    terminal.press(b"p")
    terminal.see("every 0.1 s ")


@pytest.mark.parametrize("columns, lines", [(80, 24), (20, 5), (300, 80),
                                            (1, 1)])
def test_any_size_will_do(top, columns, lines):
    kv, terminal = top(columns=columns, lines=lines)
    for _ in range(5):
        terminal.read(0.1)
    terminal.resize(100, 30)
    os.kill(terminal.process.pid, signal.SIGWINCH)
    terminal.see("q quit")
    terminal.press(b"q")
    assert terminal.wait_end() == 0


def test_without_utf_8_the_sparks_are_ascii(top):
    kv, terminal = top(LC_ALL="C")
    terminal.wait_for("requests/s")
    with kv.raw() as wire:
        wire.pipeline([("SET", "key", "value")] * 1000)
    terminal.see(r"received/s +[\d.]+ .iB +[@#.:=+*-]")
    assert not re.search(f"[{BARS}]", terminal.text())


def test_it_outlives_the_daemon_and_says_so(top):
    kv, terminal = top()
    terminal.wait_for("q quit")
    kv.stop()
    terminal.see("no answer: ")
    terminal.press(b"q")
    assert terminal.wait_end() == 0


def test_without_a_terminal_it_is_one_look(service):
    kv = service()
    told = kv.control("top").stdout
    assert told.startswith("Not a terminal: one look.\n")
    assert "requests/s" in told and "\x1b" not in told


@pytest.mark.parametrize("environment, colored", [({"NO_COLOR": "1"}, False),
                                                  ({"NO_COLOR": ""}, True)])
def test_colour_is_left_out_when_it_is_not_wanted(
        service, environment, colored):
    kv = service()
    terminal = Terminal([BUILD / "reforkctl", "-S", kv.control_socket()],
                        **environment)
    assert terminal.wait_end() == 0
    terminal.wait_for(kv.name)
    assert (b"\x1b[32m" in terminal.output) == colored
    terminal.close()
