# SPDX-License-Identifier: MIT
"""What the parts of the bench share: tables, percentiles, a redis-server.

QUICK=1 in the environment makes every part small: to see that it runs.
"""
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))
from service import Wire, free_port  # noqa: E402

QUICK = bool(os.environ.get("QUICK"))

MIB = 1 << 20
GIB = 1 << 30


# ---- what is printed ----

def say(*lines):
    print(*lines, sep="\n", flush=True)


def table(head, rows):
    say("| " + " | ".join(head) + " |", "|" + "---|" * len(head))
    for row in rows:
        say("| " + " | ".join(str(cell) for cell in row) + " |")
    say("")


def percentile(values, percent):
    """The smallest value that so many percent of them do not exceed."""
    return sorted(values)[-(-len(values) * percent // 100) - 1]


def milliseconds(microseconds):
    return f"{microseconds / 1e3:.2f}"


# ---- programs ----

def output_of(*command):
    return subprocess.run([str(word) for word in command], check=True,
                          stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE).stdout


def on_core(core):
    """The words that keep a program on a core, where there is a choice."""
    return ["taskset", "-c", core] if os.cpu_count() > 1 else []


class Redis:
    """A redis-server of one's own."""

    def __init__(self, directory, *settings, wrapper=()):
        self.directory = directory
        self.settings = settings
        self.wrapper = wrapper
        self.port = free_port()
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [*self.wrapper, "redis-server", "--port", str(self.port),
             "--bind", "127.0.0.1", "--save", "", "--dir",
             str(self.directory), *self.settings],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        return self

    def answering(self):
        """A Wire to it, once it has loaded its data."""
        while True:
            try:
                wire = Wire(("127.0.0.1", self.port))
            except ConnectionError:
                assert self.process.poll() is None, "redis-server ended"
                time.sleep(0.0005)
                continue
            while True:
                wire.send("GET", "bench:key")
                if "LOADING" not in str(wire.read()):
                    return wire
                time.sleep(0.0005)

    def raw(self):
        return Wire(("127.0.0.1", self.port))

    def kill(self):
        self.process.kill()
        self.process.wait()


# ---- data ----

VALUE_BYTES = MIB


def fill(wire, bytes_wanted):
    """Large values until that much is stored, or there is no more room."""
    value = os.urandom(VALUE_BYTES)
    wire.call("SET", "bench:key", "x")
    for number in range(bytes_wanted // VALUE_BYTES):
        wire.send("SET", f"bench:{number}", value)
        if "OOM" in str(wire.read()):
            return number * VALUE_BYTES
    return bytes_wanted


def fill_keys(wire, count):
    """So many keys with values of 64 bytes."""
    for first in range(0, count, 1000):
        pairs = ((f"bench:{number}", "x" * 64)
                 for number in range(first, min(first + 1000, count)))
        wire.call("MSET", *(part for pair in pairs for part in pair))
