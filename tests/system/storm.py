#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The kill storm: clients that know every answer, while the server dies.

    storm.py [--kills N] [--seed S] [--connections C]

Each connection owns its keys, so it can say in advance what each of its
requests must answer, byte for byte: a lost, doubled, half-made or reordered
request shows up as a wrong value. A few counters are incremented by all: the
values handed out must be 1..N, each exactly once, in rising order per
connection.

Meanwhile the business child is killed at random moments, 2 to 50 ms after
the service was last seen to answer: from outside by signals, and from inside
by DEBUG requests, which die twice and must be answered with -CRASHED. One
kill follows the next only after a request sent in between was answered, so
no innocent request is hit twice.

Random choices come from the seed alone; their timing does not.
"""
import argparse
import os
import random
import select
import signal
import sys
import tempfile
import time
from collections import Counter, deque

from service import PATIENCE_S, ReplyError, Service, encode

SHARED_COUNTERS = 3
BIG_BYTES = 400_000     # does not fit the ring: takes the large area
KILL_AFTER_MS = (2, 50)

SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGSEGV": signal.SIGSEGV,
           "SIGABRT": signal.SIGABRT}
# Each of these kills the process that runs it, and the one that retries it.
POISONS = {"DEBUG SEGFAULT": ("DEBUG", "SEGFAULT"),
           "DEBUG ABORT": ("DEBUG", "ABORT"),
           "DEBUG OOPS-IN-TX": ("DEBUG", "OOPS-IN-TX")}
KILLS = list(SIGNALS) * 2 + list(POISONS)


class Player:
    """One connection: its random choices, and what it knows of its keys."""

    def __init__(self, service, number, seed, handed_out):
        self.random = random.Random(f"{seed}/{number}")
        self.prefix = f"c{number}"
        self.wire = service.raw(unix=number % 2 == 1)
        self.strings = {}
        self.numbers = {}
        self.handed_out = handed_out    # shared counter -> its values
        self.last_shared = Counter()
        self.expected = deque()         # (request, expected or a check)
        self.sent_at = 0.0
        self.longest_pause_s = 0.0
        self.answered = 0

    # -- what is asked, and what the answer must be --

    def set(self):
        key = self.string_key()
        size = self.random.choice((1, 8, 64, 64, 300, 5000))
        if self.random.random() < 0.002:
            size = BIG_BYTES
        value = self.random.randbytes(size)
        self.strings[key] = value
        return ("SET", key, value), b"OK"

    def get(self):
        key = self.string_key()
        return ("GET", key), self.strings.get(key)

    def append(self):
        key = self.string_key()
        tail = self.random.randbytes(self.random.randrange(1, 40))
        self.strings[key] = self.strings.get(key, b"") + tail
        return ("APPEND", key, tail), len(self.strings[key])

    def delete(self):
        keys = {self.string_key() for _ in range(self.random.randrange(1, 4))}
        gone = [key for key in keys if self.strings.pop(key, None) is not None]
        return ("DEL", *sorted(keys)), len(gone)

    def mset(self):
        pairs = {self.string_key(): self.random.randbytes(20)
                 for _ in range(self.random.randrange(1, 5))}
        self.strings.update(pairs)
        return ("MSET", *(part for pair in pairs.items() for part in pair)), \
            b"OK"

    def increment(self):
        key = f"{self.prefix}:n{self.random.randrange(4)}"
        self.numbers[key] = self.numbers.get(key, 0) + 1
        return ("INCR", key), self.numbers[key]

    def increment_shared(self):
        name = f"shared:{self.random.randrange(SHARED_COUNTERS)}"

        def check(value):
            assert isinstance(value, int), value
            assert value > self.last_shared[name], \
                f"{name} went back: {self.last_shared[name]} -> {value}"
            self.last_shared[name] = value
            self.handed_out[name].append(value)
        return ("INCR", name), check

    def string_key(self):
        return f"{self.prefix}:s{self.random.randrange(60)}"

    CHOICES = [set, set, get, get, append, append, delete, mset, increment,
               increment, increment_shared, increment_shared]

    # -- the conversation --

    def send_batch(self):
        size = self.random.choice((1, 1, 1, 4, 16, 100))
        data = []
        for _ in range(size):
            request, expected = self.random.choice(self.CHOICES)(self)
            data.append(encode(*request))
            self.expected.append((request, expected))
        self.sent_at = time.monotonic()
        self.wire.send_raw(b"".join(data))

    def on_readable(self):
        """Compare what has arrived. Returns the number of replies."""
        if not self.wire.receive_once():
            raise AssertionError(f"{self.prefix}: the connection was dropped")
        count = 0
        while found := self.wire.try_read():
            assert self.expected, \
                f"{self.prefix}: a reply to nothing: {found[0]!r}"
            request, expected = self.expected.popleft()
            compare(request, expected, found[0])
            count += 1
        pause = time.monotonic() - self.sent_at
        self.longest_pause_s = max(self.longest_pause_s, pause)
        self.answered += count
        return count


def compare(request, expected, reply):
    if callable(expected):
        expected(reply)
        return
    assert type(reply) is type(expected) and reply == expected, \
        f"{shorten(request)} answered {shorten(reply)}," \
        f" not {shorten(expected)}"


def shorten(value):
    text = repr(value)
    return text if len(text) < 200 else f"{text[:200]}... ({len(text)})"


class Killer:
    """Kills, waits until the service answers again, and kills again."""

    def __init__(self, service, seed, kills):
        self.service = service
        self.random = random.Random(f"{seed}/killer")
        self.left = kills
        self.kinds = Counter()
        self.deaths = 0
        self.wire = service.raw()
        self.at_s = time.monotonic() + 0.05
        self.victim = None          # killed; its successor is not seen yet
        self.waits_for = None       # the reply that ends this kill
        self.killed_at = 0.0

    def done(self):
        return self.left == 0 and not self.victim and not self.waits_for

    def step(self):
        if self.waits_for:
            return
        if self.victim:
            self.look_for_successor()
        elif self.left and time.monotonic() >= self.at_s:
            self.kill()

    def kill(self):
        pid = self.service.find_child("business")
        if pid is None:
            return
        kind = self.random.choice(KILLS)
        if kind in POISONS:
            self.wire.send(*POISONS[kind])
            self.waits_for = b"CRASHED"
            self.deaths += 2
        else:
            os.kill(pid, SIGNALS[kind])
            self.victim = pid
            self.deaths += 1
        self.kinds[kind] += 1
        self.left -= 1
        self.killed_at = time.monotonic()

    def look_for_successor(self):
        if self.service.find_child("business") not in (None, self.victim):
            self.victim = None
            self.wire.send("PING")
            self.waits_for = b"PONG"

    def on_readable(self):
        assert self.wire.receive_once(), "the killer's connection was dropped"
        found = self.wire.try_read()
        if not found:
            return
        reply = found[0]
        if isinstance(reply, ReplyError):
            reply = str(reply).split(" ")[0].encode()
        assert reply == self.waits_for, \
            f"the killer was answered {reply!r}, not {self.waits_for!r}"
        self.waits_for = None
        self.at_s = time.monotonic() + self.random.uniform(*KILL_AFTER_MS) / 1e3


class Storm:
    def __init__(self, service, kills, seed, connections=8):
        self.service = service
        self.handed_out = {f"shared:{i}": [] for i in range(SHARED_COUNTERS)}
        self.players = [Player(service, number, seed, self.handed_out)
                        for number in range(connections)]
        self.killer = Killer(service, seed, kills)
        self.took_s = 0.0

    def run(self):
        """Until all kills are done and every reply has arrived."""
        generation = self.service.status()["generation"]
        began = time.monotonic()
        poll = select.epoll()
        by_fd = {}
        for side in [*self.players, self.killer]:
            by_fd[side.wire.socket.fileno()] = side
            poll.register(side.wire.socket, select.EPOLLIN)
        while not self.killer.done() or \
                any(player.expected for player in self.players):
            for player in self.players:
                if not player.expected and not self.killer.done():
                    player.send_batch()
            self.killer.step()
            for fd, _ in poll.poll(0.001):
                by_fd[fd].on_readable()
            self.check_patience()
        poll.close()
        self.took_s = time.monotonic() - began
        self.check_values()
        seen = self.service.status()["generation"] - generation
        assert seen >= self.killer.deaths, \
            f"{self.killer.deaths} deaths, but only {seen} new generations"

    def check_patience(self):
        late = time.monotonic() - PATIENCE_S
        for player in self.players:
            assert not player.expected or player.sent_at > late, \
                f"{player.prefix}: {shorten(player.expected[0][0])} was not" \
                f" answered in {PATIENCE_S} s"
        killer = self.killer
        assert killer.killed_at > late or killer.done() or \
            not (killer.victim or killer.waits_for), \
            f"no answer to the killer in {PATIENCE_S} s"

    def check_values(self):
        """The state is exactly what the clients were told."""
        with self.service.raw() as wire:
            count = 0
            for player in self.players:
                for key, value in player.strings.items():
                    compare(("GET", key), value, wire.call("GET", key))
                for key, value in player.numbers.items():
                    compare(("GET", key), b"%d" % value,
                            wire.call("GET", key))
                count += len(player.strings) + len(player.numbers)
            for name, values in self.handed_out.items():
                assert sorted(values) == list(range(1, len(values) + 1)), \
                    f"{name}: a value was handed out twice or never"
                if values:
                    compare(("GET", name), b"%d" % len(values),
                            wire.call("GET", name))
                count += bool(values)
            compare(("DBSIZE",), count, wire.call("DBSIZE"))

    def report(self):
        kinds = ", ".join(f"{count} {kind}" for kind, count
                          in sorted(self.killer.kinds.items()))
        requests = sum(player.answered for player in self.players)
        pause = max(player.longest_pause_s for player in self.players)
        return (f"{sum(self.killer.kinds.values())} kills ({kinds}), "
                f"{self.killer.deaths} deaths in {self.took_s:.1f} s; "
                f"{requests} requests, {requests / self.took_s:.0f}/s, every "
                f"reply right; longest pause {pause * 1e3:.1f} ms")

    def close(self):
        for side in [*self.players, self.killer]:
            side.wire.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", default=str(random.randrange(1 << 32)))
    parser.add_argument("--connections", type=int, default=8)
    args = parser.parse_args()
    print(f"storm: {args.kills} kills, seed {args.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="refork-storm-") as directory:
        service = Service(directory, log_level="warning").start()
        try:
            storm = Storm(service, args.kills, args.seed, args.connections)
            storm.run()
            storm.close()
            print(f"storm: {storm.report()}")
            service.stop()
        except AssertionError as error:
            print(f"storm: FAILED with seed {args.seed}: {error}\n"
                  f"--- end of the log\n{service.log()[-4000:]}")
            return 1
        finally:
            service.clean_up()
    return 0


if __name__ == "__main__":
    sys.exit(main())
