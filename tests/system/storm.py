#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The kill storm: clients that know every answer, while the server dies.

    storm.py [--kills N] [--seed S] [--connections C]

N counts blows of every kind.

Each connection owns its keys, of every kind, so it can say in advance what
each of its requests must answer, byte for byte, those in a MULTI included: a
lost, doubled, half-made or reordered request shows up as a wrong value. A few
counters are incremented by all: the values handed out must be 1..N, each
exactly once, in rising order per connection. Beside each connection another
one is blocked on a queue that the first fills with numbers: it must get every
number, in turn.

Meanwhile, 2 to 50 ms after the service was last seen to answer, a blow falls:
the business child, the network child, the standby or two of them are killed
from outside; DEBUG requests kill from inside, twice, and must be answered
with -CRASHED; the worker is upgraded, a child is restarted as planned. One
blow follows the next only after a request sent in between was answered, so
no innocent request is hit twice. No connection may be lost, and at the end
the service occupies what it did at the beginning.

Random choices come from the seed alone; their timing does not.
"""
import argparse
import itertools
import os
import random
import re
import select
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter

from footprint import anonymous_kib, assert_nothing_has_grown, settled
from service import PATIENCE_S, Service, parse_info, wait_until
from storm_players import SHARED_COUNTERS, Player, Waiter, compare, shorten

KILL_AFTER_MS = (2, 50)
# Network children that end sooner, one after the other, count as killed by
# what they took over: the connections are dropped in the end.
NETWORK_FIT_S = 1.3
# While lives are as short as here, standbys are made seldom. So many of the
# blows wait for one.
STANDBY_SHARE = 0.08

# What the service must be told so that nobody is refused for what we do.
SETTINGS = {"restart_burst": 1000000, "quarantine_client_limit": 0,
            "upgrade_canary": 0}


# ---- blows ----

class Blow:
    """One thing done to the service, and how to know that it has passed."""
    deaths = 0              # of business children
    network_deaths = 0
    ends_network = False    # a child of its kind, however
    takes_over = False      # another business child must answer afterwards

    def __init__(self, killer, kind):
        self.service = killer.service
        self.killer = killer
        self.kind = kind

    def strike(self):
        """False: not now."""

    def is_over(self):
        return True


class KillChild(Blow):
    role = "business"

    def strike(self):
        self.victim = self.killer.business_pid if self.role == "business" \
            else self.service.find_child(self.role)
        if self.victim is None:
            return False
        os.kill(self.victim, SIGNALS[self.kind])
        return True


class KillBusiness(KillChild):
    deaths = 1
    takes_over = True


class KillNetwork(KillChild):
    role = "network"
    network_deaths = 1
    ends_network = True

    def is_over(self):
        return self.service.find_child("network") not in (None, self.victim)


class KillStandby(KillChild):
    role = "standby"


class KillBoth(KillBusiness):
    network_deaths = 1
    ends_network = True

    def strike(self):
        self.network = self.service.find_child("network")
        if self.network is None:
            return False
        os.kill(self.network, signal.SIGKILL)
        return super().strike()

    def is_over(self):
        return self.service.find_child("network") not in (None, self.network)


class Poison(Blow):
    """Kills the process that runs it, and the one that retries it. From a
    connection of its own: a second one would be its last word."""
    deaths = 2

    def strike(self):
        self.wire = self.service.raw()
        self.wire.send(*self.kind.split())
        return True

    def is_over(self):
        if not select.select([self.wire.socket], [], [], 0)[0]:
            return False
        reply = str(self.wire.read())
        assert reply.startswith("CRASHED"), f"{self.kind}: {reply}"
        self.wire.close()
        return True


class Planned(Blow):
    """reforkctl, run beside the storm."""
    takes_over = True

    def strike(self):
        self.tries = 0
        self.run()
        return True

    def run(self):
        self.tries += 1
        self.program = self.service.control_begin(
            *self.killer.command_of(self.kind))

    def is_over(self):
        if self.program.poll() is None:
            return False
        said = self.program.communicate()[1]
        if self.program.returncode == 0:
            return True
        # What an earlier blow has upset is not in order again yet.
        assert self.tries < PLANNED_TRIES, f"{self.kind}: {said}"
        time.sleep(0.02)
        self.run()
        return False


class RestartNetwork(Planned):
    takes_over = False
    ends_network = True


SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGSEGV": signal.SIGSEGV,
           "SIGABRT": signal.SIGABRT}
PLANNED_TRIES = 200

# (kind, how, how often among the others)
BLOWS = [("SIGKILL", KillBusiness, 4), ("SIGSEGV", KillBusiness, 4),
         ("SIGABRT", KillBusiness, 2), ("SIGKILL", KillNetwork, 4),
         ("SIGSEGV", KillNetwork, 1), ("SIGKILL", KillStandby, 1),
         ("SIGKILL", KillBoth, 1), ("DEBUG SEGFAULT", Poison, 1),
         ("DEBUG ABORT", Poison, 1), ("DEBUG OOPS-IN-TX", Poison, 1),
         ("upgrade", Planned, 2), ("restart business", Planned, 1),
         ("restart network", RestartNetwork, 1)]


class Killer:
    """Strikes, waits until the service answers again, and strikes again."""

    def __init__(self, service, seed, blows, workers):
        self.service = service
        self.random = random.Random(f"{seed}/killer")
        self.left = blows
        self.counts = Counter()
        self.deaths = self.network_deaths = 0
        self.wire = service.raw()
        self.asked = False
        self.next = None            # chosen, not struck yet
        self.blow = None            # struck, not passed yet
        self.at_s = time.monotonic() + 0.05
        self.struck_at = self.network_fit_at = 0.0
        self.workers = workers
        self.generation = self.business_pid = 0
        self.ask()

    def done(self):
        return self.left == 0 and not self.blow and not self.asked

    def command_of(self, kind):
        return ["upgrade", next(self.workers)] if kind == "upgrade" \
            else kind.split()

    def ask(self):
        self.wire.send("INFO", "refork")
        self.asked = True

    def step(self):
        if self.blow:
            if not self.asked and self.blow.is_over():
                self.ask()
        elif self.left and not self.asked and time.monotonic() >= self.at_s:
            self.strike()

    def choose(self):
        """(the next blow, whether it waits for a standby)"""
        weights = [weight for _, _, weight in BLOWS]
        kind, how, _ = self.random.choices(BLOWS, weights)[0]
        while how.ends_network and time.monotonic() < self.network_fit_at:
            kind, how, _ = self.random.choices(BLOWS, weights)[0]
        return how(self, kind), how is KillStandby or \
            self.random.random() < STANDBY_SHARE

    def strike(self):
        if not self.next:
            self.next = self.choose()
        blow, waits = self.next
        if waits and not self.service.find_child("standby"):
            return
        if not blow.strike():
            return
        self.next = None
        self.blow = blow
        self.struck_at = time.monotonic()
        if blow.ends_network:
            self.network_fit_at = self.struck_at + NETWORK_FIT_S
        self.left -= 1
        self.counts[f"{type(blow).__name__} {blow.kind}"] += 1
        self.deaths += blow.deaths
        self.network_deaths += blow.network_deaths

    def on_readable(self):
        assert self.wire.receive_once(), "the killer's connection was dropped"
        found = self.wire.try_read()
        if found:
            self.asked = False
            self.on_info(parse_info(found[0]))

    def on_info(self, info):
        """Who has answered? Generations only ever rise, and each is one
        process."""
        generation, pid = int(info["generation"]), int(info["business_pid"])
        assert generation >= self.generation, \
            f"generation {generation} answered after {self.generation}"
        assert (generation == self.generation) == (pid == self.business_pid), \
            f"generation {generation} is process {pid}, and " \
            f"{self.generation} is {self.business_pid}"
        blow_took = self.blow and self.blow.takes_over
        if blow_took and pid == self.business_pid:
            self.ask()      # it has been hit, and does not know it yet
            return
        self.generation, self.business_pid = generation, pid
        self.blow = None
        self.at_s = time.monotonic() + self.random.uniform(*KILL_AFTER_MS) / 1e3


def copies_of_worker(service):
    """Two builds of the worker, as far as the daemon can know."""
    paths = [service.directory / f"{service.name}-{letter}.so"
             for letter in "ab"]
    for path in paths:
        shutil.copy(service.settings["refork_worker"], path)
    return [str(path) for path in paths]


class Storm:
    def __init__(self, service, kills, seed, connections=8):
        self.service = service
        # From the first upgrade on, two workers are loaded.
        self.workers = itertools.cycle(copies_of_worker(service))
        service.control("upgrade", next(self.workers))
        self.before = settled(service)
        self.memory_kib = None
        self.settles_at = kills * 9 // 10
        self.handed_out = {f"shared:{i}": [] for i in range(SHARED_COUNTERS)}
        self.players = [Player(service, number, seed, self.handed_out)
                        for number in range(connections)]
        self.waiters = [Waiter(service, number)
                        for number in range(connections)]
        self.killer = Killer(service, seed, kills, self.workers)
        self.took_s = 0.0

    def run(self):
        """Until all blows have fallen and every reply has arrived."""
        began = time.monotonic()
        poll = select.epoll()
        by_fd = {}
        for side in [*self.players, *self.waiters, self.killer]:
            by_fd[side.wire.socket.fileno()] = side
            poll.register(side.wire.socket, select.EPOLLIN)
        while not self.killer.done() or \
                any(player.expected for player in self.players) or \
                self.queued() > 0:
            for player in self.players:
                if not player.expected and not self.killer.done():
                    player.send_batch()
            self.killer.step()
            for fd, _ in poll.poll(0.001):
                by_fd[fd].on_readable()
            self.check_patience()
            self.look_at_memory()
        poll.close()
        self.took_s = time.monotonic() - began
        self.check_values()
        self.check_counts()
        self.check_soundness()
        for side in [*self.players, *self.waiters, self.killer]:
            side.wire.close()
        assert_nothing_has_grown(self.service, self.before, self.memory_kib)

    def queued(self):
        """Numbers that no waiter has got yet."""
        return sum(player.queued - waiter.popped
                   for player, waiter in zip(self.players, self.waiters))

    def look_at_memory(self):
        """The first tenth of the blows may let the supervisor's memory
        settle."""
        if self.memory_kib is None and self.killer.left <= self.settles_at:
            self.memory_kib = anonymous_kib(self.service.supervisor_pid)

    def check_patience(self):
        late = time.monotonic() - PATIENCE_S
        for player in self.players:
            assert not player.expected or player.sent_at > late, \
                f"{player.name}: {shorten(player.expected[0][0])} was not" \
                f" answered in {PATIENCE_S} s"
        for player, waiter in zip(self.players, self.waiters):
            assert waiter.popped == player.queued or \
                max(player.sent_at, waiter.sent_at) > late, \
                f"{waiter.name} has not got {waiter.popped} of " \
                f"{player.queued} in {PATIENCE_S} s"
        killer = self.killer
        assert not killer.blow or killer.struck_at > late, \
            f"no answer to the killer in {PATIENCE_S} s after " \
            f"{killer.blow.kind}"

    def check_values(self):
        """The state is exactly what the clients were told."""
        with self.service.raw() as wire:
            count = 0
            for player in self.players:
                truths, keys = player.truths()
                for request, expected in truths:
                    compare(request, expected, wire.call(*request))
                count += keys
            for name, values in self.handed_out.items():
                assert sorted(values) == list(range(1, len(values) + 1)), \
                    f"{name}: a value was handed out twice or never"
                if values:
                    compare(("GET", name), b"%d" % len(values),
                            wire.call("GET", name))
                count += bool(values)
            compare(("DBSIZE",), count, wire.call("DBSIZE"))

    def check_counts(self):
        """Each death was seen once, and no two processes were ever one
        generation, nor one process two."""
        killer = self.killer
        expected = {
            "crashes": killer.deaths + killer.counts["KillStandby SIGKILL"],
            "network_crashes": killer.network_deaths}

        def counted():
            seen = self.service.status()
            # Who dies right after it took over still counts as a standby.
            return {"crashes": seen["crashes"] + seen["standby_crashes"],
                    "network_crashes": seen["network_crashes"]}
        try:
            wait_until(lambda: counted() == expected, "each death is counted")
        except AssertionError:
            raise AssertionError(f"{expected}, but counted: {counted()}")
        self.standbys = self.service.log().count("the standby took over")
        assert self.standbys > 0, "no standby took over"
        pids = {}
        for pid, generation in re.findall(r" business\[(\d+)\]/(\d+) ",
                                          self.service.log()):
            first = pids.setdefault(int(generation), pid)
            assert first == pid, \
                f"{first} and {pid} were both generation {generation}"
        assert list(pids) == sorted(pids), "generations went back"

    def check_soundness(self):
        """Nothing of the arena is damaged, nothing has leaked."""
        ran = self.service.control("arena", "verify", check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr

    def report(self):
        kinds = ", ".join(f"{count} {kind}" for kind, count
                          in sorted(self.killer.counts.items()))
        requests = sum(player.answered for player in self.players)
        pause = max(player.longest_pause_s for player in self.players)
        return (f"{sum(self.killer.counts.values())} blows ({kinds}), "
                f"{self.killer.deaths} deaths of the business child "
                f"({self.standbys} answered by a standby) and "
                f"{self.killer.network_deaths} of the network child in "
                f"{self.took_s:.1f} s; {requests} requests, "
                f"{requests / self.took_s:.0f}/s, every reply right; longest "
                f"pause {pause * 1e3:.1f} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", default=str(random.randrange(1 << 32)))
    parser.add_argument("--connections", type=int, default=8)
    args = parser.parse_args()
    print(f"storm: {args.kills} kills, seed {args.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="refork-storm-") as directory:
        service = Service(directory, log_level="info", **SETTINGS).start()
        try:
            storm = Storm(service, args.kills, args.seed, args.connections)
            storm.run()
            print(f"storm: {storm.report()}")
            service.stop()
        except (AssertionError, OSError, EOFError) as error:
            print(f"storm: FAILED with seed {args.seed}: {error!r}\n"
                  f"--- end of the log\n{service.log()[-4000:]}")
            return 1
        finally:
            service.clean_up()
    return 0


if __name__ == "__main__":
    sys.exit(main())
