# SPDX-License-Identifier: MIT
"""Transcripts of what redis answers (commands/README.txt), and a redis-server
to make them.
"""
import codecs
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from service import Wire, decode, free_port, wait_until

FOLDER = Path(__file__).with_name("commands")
REDIS = shutil.which("redis-server")


def arguments(text):
    """'SET "a\\n" {y*3}' -> [b"SET", b"a\\n", b"yyy"]"""
    found = []
    for quoted, plain in re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', text):
        plain = re.sub(r"\{(.)\*(\d+)\}", lambda m: m[1] * int(m[2]), plain)
        found.append(plain.encode() or
                     codecs.escape_decode(quoted.encode())[0])
    return found


def raw_reply(wire):
    """The bytes of the next reply."""
    while True:
        used = decode(wire.buffer)[1]
        if used:
            raw = bytes(wire.buffer[:used])
            del wire.buffer[:used]
            return raw
        if not wire.receive_once():
            raise EOFError("the connection was closed")


def facts(commands):
    return [[sorted(fact) if isinstance(fact, list) else fact
             for fact in command[:7]] for command in commands]


def pairs(reply):
    if isinstance(reply, dict):
        return sorted(reply.items())
    return sorted(zip(reply[0::2], reply[1::2]))


# What counts of a reply.
VIEWS = {
    "": repr,
    "read": repr,
    "any": lambda raw: raw[:1].decode(),
    "sorted": lambda raw: repr(sorted(decode(raw)[0], key=repr)),
    "pairs": lambda raw: repr(pairs(decode(raw)[0])),
    "facts": lambda raw: repr(facts(decode(raw)[0])),
}


class Step:
    """One command and the replies it must get in RESP 2 and 3."""

    def __init__(self, line):
        self.line = line
        self.replies = []
        on, directive, self.text = re.fullmatch(
            r"(?:(\d)> ?)?(?:@(\w+) ?)?(.*)", line).groups()
        self.on = int(on or 1)
        self.directive = directive or ""

    def reply(self, proto):
        return self.replies[0 if len(self.replies) == 1 else proto - 2]

    def run(self, wires):
        if self.directive == "sleep":
            time.sleep(float(self.text))
            return ""
        wire = wires[self.on]
        if self.directive != "read":
            wire.send(*arguments(self.text))
        if self.directive == "send":
            return ""
        return VIEWS[self.directive](raw_reply(wire))


class Scenario:
    def __init__(self, name):
        self.name = name
        self.steps = []


def read_transcript(family):
    """(the lines before the first scenario, scenarios)"""
    head, scenarios = [], []
    for line in (FOLDER / f"{family}.txt").read_text().splitlines():
        if line.startswith("== "):
            scenarios.append(Scenario(line[3:]))
        elif not scenarios:
            head.append(line)
        elif line.startswith("  "):
            scenarios[-1].steps[-1].replies.append(line[2:])
        elif line:
            scenarios[-1].steps.append(Step(line))
    return head, scenarios


class Wires(dict):
    """Connections of one server, opened when first used."""

    def __init__(self, server, proto):
        super().__init__()
        self.server, self.proto = server, proto

    def __missing__(self, number):
        self[number] = wire = self.server.raw()
        wire.call("HELLO", self.proto)
        return wire

    def close(self):
        for wire in self.values():
            wire.close()


def play(scenario, server, proto):
    """What each step gets."""
    wires = Wires(server, proto)
    try:
        wires[1].call("FLUSHALL")
        return [step.run(wires) for step in scenario.steps]
    finally:
        wires.close()


class Redis:
    """A redis-server of one's own."""

    def __init__(self, *options):
        self.port = free_port()
        self.directory = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen(
            [REDIS, "--port", str(self.port), "--save", "", "--appendonly",
             "no", "--enable-debug-command", "yes",
             "--dir", self.directory.name, *options],
            stdout=subprocess.DEVNULL)
        wait_until(self.answers, "redis-server answers")

    def answers(self):
        try:
            with self.raw() as wire:
                return wire.call("PING") == b"PONG"
        except OSError:
            return False

    def raw(self):
        return Wire(("127.0.0.1", self.port))

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.directory.cleanup()


def record(families):
    """Write what a redis-server answers into these transcripts."""
    server = Redis()
    try:
        for family in families:
            head, scenarios = read_transcript(family)
            for scenario in scenarios:
                played = zip(scenario.steps, play(scenario, server, 2),
                             play(scenario, server, 3))
                for step, reply2, reply3 in played:
                    step.replies = [r for r in dict.fromkeys((reply2, reply3))
                                    if r]
            write_transcript(family, head, scenarios)
    finally:
        server.stop()


def write_transcript(family, head, scenarios):
    with open(FOLDER / f"{family}.txt", "w", encoding="utf-8") as out:
        print(*head, sep="\n", end="", file=out)
        for scenario in scenarios:
            print(f"\n== {scenario.name}", file=out)
            for step in scenario.steps:
                print(step.line, *(f"  {r}" for r in step.replies), sep="\n",
                      file=out)
