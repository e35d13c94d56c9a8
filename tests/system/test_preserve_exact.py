# SPDX-License-Identifier: MIT
"""Each request that crosses a restart is executed once, and answered once.

A client counts up in a key of its own, many requests at a time. What it gets
must be the next numbers. If its connection has ended, it dials again and asks
how far it has come: not less than was answered, nor more than was sent; and
from there on it goes by one again, or a request of the connection before was
executed behind its back.
"""
import contextlib
import os
import random
import signal
import struct
import threading
import time

from service import PATIENCE_S, encode, wait_until

RESTARTS = 22
KILLS = 15
PIPELINE_MAX = 400
SLOW_COUNT = 60
KEPT = ("channel", "front", "ferry")

# struct rf_channel_shm: head and tail of both rings. rf_front_shm: the order.
REQUESTS, REPLIES = (64, 128), (320, 384)
ORDER_OFF, KIND_OFF = 32, 40
GIVEN, OF_NETWORK = 1, 0


class Counter(threading.Thread):
    """ends: how often its connection has ended; None: it must not."""

    def __init__(self, service, key, seed, may_end=False):
        super().__init__(daemon=True)
        self.service, self.key = service, key
        self.chance = random.Random(seed)
        self.unix = seed % 2 == 1
        self.ends = 0 if may_end else None
        self.answered = self.sent = 0
        self.over = threading.Event()
        self.problem = None
        self.start()

    def run(self):
        try:
            while not self.over.is_set():
                self.live()
        except Exception as problem:  # noqa: BLE001
            self.problem = f"{self.key}: {problem!r}"

    def live(self):
        try:
            with self.service.raw(unix=self.unix) as wire:
                self.catch_up(int(wire.call("GET", self.key) or 0))
                while not self.over.is_set():
                    self.count(wire, self.chance.randint(1, PIPELINE_MAX))
        except (EOFError, ConnectionError):
            if self.ends is None:
                raise
            self.ends += 1

    def catch_up(self, there):
        assert self.answered <= there <= self.sent, \
            f"{there}, of {self.sent} sent and {self.answered} answered"
        self.answered = self.sent = there

    def count(self, wire, many):
        self.sent += many
        wire.send_raw(encode("INCR", self.key) * many)
        while self.answered < self.sent:
            got = wire.read()
            assert got == self.answered + 1, \
                f"{got} behind {self.answered}"
            self.answered += 1

    def finish(self):
        self.over.set()
        self.join(PATIENCE_S)
        assert not self.is_alive(), f"{self.key} waits for ever"
        assert not self.problem, self.problem


class SlowCounter(Counter):
    """What it asks for takes longer than a planned end waits for."""

    def count(self, wire, many):
        self.sent += SLOW_COUNT
        wire.send_raw((encode("INCR", self.key) +
                       encode("DEBUG", "SLEEP", "0.005")) * SLOW_COUNT)
        while self.answered < self.sent:
            got = wire.read(), wire.read()
            assert got == (self.answered + 1, b"OK"), \
                f"{got} behind {self.answered}"
            self.answered += 1


@contextlib.contextmanager
def counting(service, *kinds, **options):
    counters = [kind(service, f"n{seed}", seed, **options)
                for seed, kind in enumerate(kinds)]
    yield counters
    wait_until(lambda: all(counter.answered or counter.problem
                           for counter in counters), "all have counted")
    for counter in counters:
        counter.finish()
    with service.raw() as wire:
        for counter in counters:
            assert int(wire.call("GET", counter.key)) == counter.answered


def waiting(manager, ring):
    """Bytes that wait in a ring of the channel that is kept."""
    head, tail = (struct.unpack("<Q", os.pread(manager.find("channel"), 8, off))
                  for off in ring)
    return head[0] - tail[0]


def test_requests_in_the_rings_are_executed_once(managed, manager):
    service = managed(network_preserve_clients="restart").start()
    unanswered = 0
    with counting(service, *[Counter] * 4), service.raw() as slow:
        for turn in range(RESTARTS):
            if turn % 3 == 0:  # so that others wait behind it
                slow.send("DEBUG", "SLEEP", "0.3")
            time.sleep(random.uniform(0.01, 0.06))
            service.end()
            unanswered += waiting(manager, REQUESTS) > 0 or \
                waiting(manager, REPLIES) > 0
            service.start()
            if turn % 3 == 0:
                assert slow.read() == b"OK"
            assert not set(KEPT) & set(manager.names())
    assert unanswered >= RESTARTS // 4


def end_and_kill(service, chance):
    """SIGKILL amid the planned end."""
    service.remember_pids()
    service.process.terminate()
    time.sleep(chance.uniform(0, 0.02))
    service.kill9()


def start_and_kill(service, chance):
    """SIGKILL for the next ones, once or more, while they begin."""
    service.end()
    for _ in range(chance.randint(1, 2)):
        service.launch()
        time.sleep(chance.uniform(0.002, 0.02))
        service.kill9()


def end_while_it_starts(service, chance):
    """Twice in a row, faster than it can begin."""
    service.end()
    service.launch()
    time.sleep(chance.uniform(0.02, 0.06))
    with contextlib.suppress(AssertionError):
        service.end()  # by the signal itself, before it listens for it
    service.process = None


def test_kills_amid_restarts_execute_none_twice(managed, manager):
    chance = random.Random(7)
    service = managed(network_preserve_clients="restart").start()
    ways = [start_and_kill, end_and_kill, start_and_kill,
            end_while_it_starts, lambda *_: service.kill9()]
    kinds = [Counter, Counter, SlowCounter]
    with counting(service, *kinds, may_end=True) as counters:
        for turn in range(KILLS):
            time.sleep(chance.uniform(0.01, 0.05))
            ways[turn % len(ways)](service, chance)
            service.start()
    assert not set(KEPT) & set(manager.names())
    assert all(counter.ends < KILLS for counter in counters)


def test_an_order_that_nobody_has_taken_ends_with_its_giver(managed, manager):
    """Of a daemon that was killed when it had just asked for a network child:
    a vault of the next one would make a second one."""
    service = managed(network_preserve_clients="restart").start()
    with service.raw() as wire:
        assert wire.call("INCR", "n") == 1
        service.end()
        front = manager.find("front")
        word, = struct.unpack("<Q", os.pread(front, 8, ORDER_OFF))
        serial = (word & 0xffffffff) >> 2
        os.pwrite(front, struct.pack("<Q", (serial + 1) << 2 | GIVEN),
                  ORDER_OFF)
        os.pwrite(front, struct.pack("<I", OF_NETWORK), KIND_OFF)
        service.start()
        assert wire.call("INCR", "n") == 2
        assert len(service.children_titled("network")) == 1


def test_another_name_finds_what_its_unit_keeps(managed, manager):
    service = managed(network_preserve_clients="restart").start()
    with service.raw() as wire:
        assert wire.call("INCR", "n") == 1
        service.end()
        service.configure(refork_name=service.name + "x")
        service.start()
        assert wire.call("INCR", "n") == 2


def test_one_that_crossed_ends_when_it_is_closed(managed):
    """Nobody else has a descriptor of its socket, which would keep it open."""
    service = managed(network_preserve_clients="restart").start()
    wires = [service.raw(unix=number % 2 == 1) for number in range(4)]
    for wire in wires:
        assert wire.call("INCR", "n") > 0
    service.restart()
    for wire in wires:
        assert wire.call("QUIT") == b"OK"
        assert wire.read_to_end() == b""
        wire.close()


def test_a_request_that_two_daemons_did_not_finish_is_not_to_blame(managed):
    """What ended was the daemon, not the process at the request's hand."""
    service = managed(network_preserve_clients="restart").start()
    with service.raw() as wire:
        wire.send("DEBUG", "SLEEP", "0.6")
        for _ in range(2):
            time.sleep(0.02)
            business = service.business_pid
            service.remember_pids()
            service.process.terminate()
            time.sleep(0.35)  # the others have left
            os.kill(business, signal.SIGKILL)
            assert service.process.wait(PATIENCE_S) == 0
            service.process = None
            service.start()
        assert wire.read() == b"OK"
        assert wire.call("INCR", "n") == 1
