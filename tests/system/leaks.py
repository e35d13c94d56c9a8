#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Crash after crash: what the service occupies must not grow.

    leaks.py [--crashes N] [--seed S]

Every kind of death in turn at random: of the business child, of its standby,
of the network child, of the keeper of the sockets; by signals and by poison.
After the first few deaths the service is measured, and again after the last.
"""
import argparse
import os
import random
import signal
import sys
import tempfile
import time

from footprint import assert_nothing_has_grown, settled
from service import ReplyError, Service, parse_info, wait_until

SETTLING_CRASHES = 10
SETTINGS = {"restart_burst": 1000000, "quarantine_client_limit": 0}

FATAL = [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT]
# Whom the next blow meets; the business child most of the time.
VICTIMS = ["business"] * 12 + ["standby", "network", "network", "vault",
                               "poison"]


class Crashes:
    """A service that dies on order."""

    def __init__(self, service, seed):
        self.service = service
        self.random = random.Random(f"{seed}/leaks")
        self.count = 0

    def business_pid(self, wire):
        return int(parse_info(wire.call("INFO", "refork"))["business_pid"])

    def kill_business(self):
        with self.service.raw() as wire:
            victim = self.business_pid(wire)
            os.kill(victim, self.random.choice(FATAL))
            wait_until(lambda: self.business_pid(wire) != victim,
                       "a successor answers", every_s=0)

    def kill_other(self, role):
        victim = self.service.child_titled(role)
        os.kill(victim, self.random.choice(FATAL[:2]))
        wait_until(lambda: self.service.find_child(role) not in
                   (None, victim), f"there is another {role}", every_s=0.001)

    def poison(self):
        with self.service.raw() as wire:
            wire.send("DEBUG", "SEGFAULT")
            reply = wire.read()
            assert isinstance(reply, ReplyError), reply
            assert str(reply).startswith("CRASHED"), reply
        self.count += 1

    def crash(self):
        victim = self.random.choice(VICTIMS)
        if victim == "poison":
            self.poison()
        elif victim == "business":
            self.kill_business()
        else:
            self.kill_other(victim)
        self.count += 1

    def run(self, count):
        """So many crashes. Returns the seconds they took."""
        began = time.monotonic()
        while self.count < SETTLING_CRASHES:
            self.crash()
        before = settled(self.service)
        while self.count < count:
            self.crash()
        took_s = time.monotonic() - began
        assert_nothing_has_grown(self.service, before)
        return took_s


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--crashes", type=int, default=10000)
    parser.add_argument("--seed", default=str(random.randrange(1 << 32)))
    args = parser.parse_args()
    print(f"leaks: {args.crashes} crashes, seed {args.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="refork-leaks-") as directory:
        service = Service(directory, log_level="error", **SETTINGS).start()
        try:
            took_s = Crashes(service, args.seed).run(args.crashes)
            print(f"leaks: {args.crashes} crashes in {took_s:.0f} s, and "
                  "nothing has grown")
            service.stop()
        except (AssertionError, OSError, EOFError) as error:
            print(f"leaks: FAILED with seed {args.seed}: {error!r}\n"
                  f"--- end of the log\n{service.log()[-4000:]}")
            return 1
        finally:
            service.clean_up()
    return 0


if __name__ == "__main__":
    sys.exit(main())
