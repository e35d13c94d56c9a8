# SPDX-License-Identifier: MIT
"""What the tests of faults share: a patient, and a client who counts.

The patient is a service whose worker (tests/workers/ailing.c) falls ill where
it is told to. The client asks it one thing after the other on one connection:
each answer is the number before plus one, so a lost, doubled or reordered
request shows.
"""
import threading
import time
from typing import Callable, NamedTuple

from service import BUILD, ReplyError, Wire, wait_until

# Counters of the status that a fault may move. A row names those that move and
# by how much; the others must not. MANY: by one or more.
COUNTERS = ["crashes", "network_crashes", "standby_crashes", "vault_crashes",
            "hangs", "planned", "upgrades", "rollbacks", "quarantined",
            "rung_verify", "rung_restore", "rung_cold", "rung_hold"]
MANY = object()

# What the client sees.
NOTHING = "nothing"
PAUSE = "a pause"
CRASHED = "-CRASHED for that request"
LOST = "its connection is closed; it connects again"

UNNOTICED_S = 0.5


class Row(NamedTuple):
    """One fault, and what comes of it."""
    fault: str
    client: str
    daemon: str
    counts: dict
    run: Callable
    settings: dict

    @property
    def name(self):
        return self.run.__name__


class Client(threading.Thread):
    def __init__(self, service):
        super().__init__(daemon=True)
        self.service = service
        self.ending = threading.Event()
        self.last = None
        self.answers = self.lost = 0
        self.longest_s = 0.0
        self.errors, self.wrong = [], []

    def run(self):
        wire, certain = None, True
        while not self.ending.is_set():
            asked = time.monotonic()
            try:
                wire = wire or Wire(("127.0.0.1", self.service.port))
                wire.send("COUNT")
                reply = wire.read()
            except (OSError, EOFError):
                if wire:
                    wire.close()
                    self.lost += 1
                # It may have been counted, and the answer been lost.
                wire, certain = None, False
                time.sleep(0.005)
                continue
            self.longest_s = max(self.longest_s, time.monotonic() - asked)
            self.look_at(reply, certain)
            certain = True
            time.sleep(0.001)
        if wire:
            wire.close()

    def look_at(self, reply, certain):
        self.answers += 1
        if isinstance(reply, ReplyError):
            self.errors.append(str(reply))
            return
        fits = self.last is None or reply == self.last + 1 or \
            (not certain and reply == self.last + 2)
        if not fits:
            self.wrong.append((self.last, reply))
        self.last = reply

    def goes_on(self):
        """Wait for an answer to something asked from now on."""
        seen = self.answers
        wait_until(lambda: self.answers >= seen + 2, "the client is answered")

    def end(self):
        self.ending.set()
        self.join()
        assert not self.wrong, f"(before, after): {self.wrong[:5]}"

    def assert_saw(self, what):
        """One of the words above."""
        said = f"lost {self.lost} connections, waited {self.longest_s:.2f} s" \
            f" at most, errors: {self.errors[:3]}"
        assert (self.lost > 0) == (what == LOST), said
        assert bool(self.errors) == (what == CRASHED), said
        assert all(error.startswith("CRASHED ") for error in self.errors), said
        if what == NOTHING:
            assert self.longest_s < UNNOTICED_S, said


class Patient:
    """A service whose worker is ill on order; the rest is as a Service."""

    # Nothing that a test would have to wait for long.
    SETTINGS = {
        "refork_worker": str(BUILD / "workers" / "ailing.so"),
        "business_start_timeout": "1s",
        "business_heartbeat_timeout": "600ms",
        "restart_delay_max": "200ms",
        "network_park_timeout": "60s",
    }

    def __init__(self, daemon, directory, **settings):
        self.ills = directory / "ills"
        self.ills.mkdir()
        self.directory = directory
        self.service = daemon(**{
            **self.SETTINGS, "refork_worker_args": str(self.ills), **settings})
        self.client = Client(self.service)
        self.before = {}

    def falls_ill(self, where, times=None):
        """`where` is "hook.deed"; without a number, until it is healed."""
        whole = self.directory / "ill"
        whole.write_text("x" * times if times else "")
        whole.rename(self.ills / where)

    def heal(self, where):
        (self.ills / where).unlink(missing_ok=True)

    def is_ill(self, where):
        return (self.ills / where).exists()

    def wait_until_suffered(self, where):
        wait_until(lambda: not self.is_ill(where), f"{where} has struck")

    def start(self):
        self.service.start()
        return self.follow()

    def follow(self):
        """Look at counters and client from here."""
        self.before = self.counters()
        self.client.start()
        self.client.goes_on()
        return self

    def counters(self):
        seen = self.service.status()
        return {name: seen[name] for name in COUNTERS}

    def moved(self):
        now = self.counters()
        return {name: now[name] - self.before.get(name, 0) for name in now
                if now[name] != self.before.get(name, 0)}

    def assert_moved(self, expected):
        def is_so():
            moved = self.moved()
            return moved.keys() == expected.keys() and all(
                expected[name] is MANY or expected[name] == count
                for name, count in moved.items())
        try:
            wait_until(is_so, "the counters", timeout_s=5)
        except AssertionError:
            raise AssertionError(f"these counters have moved: {self.moved()},"
                                 f" not: {expected}") from None

    def wait_for_state(self, state):
        wait_until(lambda: self.service.status()["state"] == state,
                   f"it is {state}")

    def wait_for_standby(self):
        wait_until(self.service.standby_is_ready, "the standby is ready")


# ---- the page ----

def in_words(counts):
    return ", ".join(
        f"`{name}` " + ("+n" if count is MANY else f"+{count}")
        for name, count in counts.items()) or "none"


def markdown(head, rows):
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
