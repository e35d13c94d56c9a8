# SPDX-License-Identifier: MIT
"""From a death, an upgrade or a restart to the next reply."""
import contextlib
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

from measure import (GIB, MIB, QUICK, VALUE_BYTES, Redis, fill, milliseconds,
                     percentile, say, table)
from service import BUILD, Service, wait_until

# Bytes of data, and how often the process that serves them dies: a standby
# takes its time to map 4 GiB, so as not to disturb who serves.
COUNTS = {64 * MIB: 5} if QUICK else {64 * MIB: 100, GIB: 100, 4 * GIB: 50}
SIZES = list(COUNTS)
PLANNED_COUNT = 5 if QUICK else 30
TARGET_MS = {50: 0.15, 99: 1.0}
UPGRADE_TARGET_MS = 1.0

# How the business child dies: the signal, and whether it may dump core.
DEATHS = [(signal.SIGKILL, False), (signal.SIGSEGV, False),
          (signal.SIGSEGV, True)]


def allow_core_dumps(allowed):
    """For the services started after this."""
    most = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (most if allowed else 0, most))


def core_dumps():
    """What becomes of a core dump on this machine."""
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    most = resource.getrlimit(resource.RLIMIT_CORE)[1]
    size = "without limit" if most == resource.RLIM_INFINITY else \
        f"at most {most:,} bytes"
    return f"core_pattern `{pattern}`" + \
        (", a program" if pattern.startswith("|") else f", {size}")


@contextlib.contextmanager
def busy_cores(count):
    """So many processes that never sleep."""
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"])
            for _ in range(count)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


@contextlib.contextmanager
def filled_service(directory, size, **settings):
    """A service that holds so many bytes of values: (service, values)."""
    # What is not data: connection records, entries, a little of everything.
    service = Service(directory, log_level="notice",
                      arena_size=size + 16 * MIB, arena_max=size + 16 * MIB,
                      restart_burst=1000000, upgrade_canary=0, **settings)
    try:
        service.start()
        with service.raw() as wire:
            stored = fill(wire, size)
        assert stored >= size * 0.95, f"only {stored} of {size} bytes fit"
        yield service, stored // VALUE_BYTES
        service.stop()
    finally:
        service.clean_up()


class Dying:
    """Deaths on order. Real time for the client that measures: it is not
    the one whose waiting for a core is looked at."""

    def __init__(self, service, number, values, first=False):
        self.program = subprocess.Popen(
            [*(["chrt", "-f", "10"] if first else []),
             BUILD / "bench" / "death_to_reply", str(service.port),
             str(int(number)), str(values)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.program.stdin.close()
        self.program.stdout.close()
        assert self.program.wait() == 0

    def die(self):
        """Microseconds to the reply."""
        self.program.stdin.write("die\n")
        self.program.stdin.flush()
        return float(self.program.stdout.readline())


def wait_for_standby(service):
    wait_until(service.standby_is_warm, "the standby is ready", every_s=0.002)


def die_often(service, number, count, values, hogs):
    """(microseconds to the reply, seconds until a standby was ready again)"""
    has_standby = service.settings["business_standby"]
    waits, ready = [], []
    # A standby has every page mapped already; the first process has not.
    with Dying(service, number, 0 if has_standby else values,
               first=bool(hogs)) as dying, busy_cores(hogs):
        for _ in range(count):
            waits.append(dying.die())
            died = time.monotonic()
            if has_standby:
                wait_for_standby(service)
                ready.append(time.monotonic() - died)
    return waits, ready


def three_points(waits):
    return [milliseconds(percentile(waits, 50)),
            milliseconds(percentile(waits, 99)), milliseconds(max(waits))]


def deaths_of_size(directory, size, hogs=0):
    """Rows: how it died; with a standby; by re-fork alone."""
    cases = DEATHS[:2] if hogs else DEATHS
    rows = [[f"{size // MIB:,} MiB", number.name, "yes" if core else "no",
             COUNTS[size]] for number, core in cases]
    again = [[] for _ in cases]
    for standby in 1, 0:
        for row, ready, (number, core) in zip(rows, again, cases):
            allow_core_dumps(core)
            with filled_service(directory, size,
                                business_standby=standby) as (service, values):
                if standby:
                    wait_for_standby(service)
                waits, found = die_often(service, number, COUNTS[size],
                                         values, hogs)
                row += three_points(waits)
                ready += found
    allow_core_dumps(False)
    return [row + [f"{statistics.median(ready) * 1e3:,.0f}"]
            for row, ready in zip(rows, again)]


HEAD = ["arena", "signal", "core dump", "deaths", "standby p50 ms", "p99 ms",
        "max ms", "re-fork p50 ms", "p99 ms", "max ms",
        "standby ready again ms (p50)"]


def redis_deaths(directory, size):
    found = []
    folder = directory / f"aof-{size}"
    folder.mkdir()
    redis = Redis(folder, "--appendonly", "yes", "--appendfsync", "everysec")
    try:
        with redis.start().answering() as wire:
            fill(wire, size)
        time.sleep(2)  # what everysec owes
        for _ in range(1 if QUICK else 3):
            killed = time.monotonic()
            redis.kill()
            redis.start().answering().close()
            found.append((time.monotonic() - killed) * 1e6)
    finally:
        redis.kill()
        shutil.rmtree(folder)
    return [f"{size // MIB:,} MiB", milliseconds(statistics.median(found)),
            milliseconds(max(found))]


def bench_death(directory):
    rows = [row for size in SIZES for row in deaths_of_size(directory, size)]
    say("## From death to the next reply", "",
        "One connection sends INCR back to back; each process that dies has "
        "every page of the data mapped,", "and with a standby, that one has, "
        "too; " + core_dumps() + ".",
        "Targets with a standby: p50 <= "
        f"{TARGET_MS[50]} ms, p99 <= {TARGET_MS[99]} ms.", "")
    table(HEAD, rows)
    hogs = os.cpu_count()
    say(f"The same with {hogs} processes that never sleep, one for each core; "
        "the client has a real-time priority.", "")
    table(HEAD, deaths_of_size(directory, SIZES[0], hogs))
    say("redis-server with the same data in its AOF (everysec), from kill -9 "
        "to the first reply that is not -LOADING;", "its connections are "
        "lost.", "")
    table(["data", "p50 ms", "max ms"],
          [redis_deaths(directory, size) for size in SIZES])


# ---- planned ----

def pauses_of(service, commands):
    """Microseconds from the lease given to the successor serving."""
    pauses = []
    for number in range(PLANNED_COUNT):
        said = service.control("--json", *commands[number % len(commands)])
        pauses.append(json.loads(said.stdout)["pause_us"])
    return pauses


def bench_upgrade(directory):
    builds = [directory / f"kv-{letter}.so" for letter in "ab"]
    for path in builds:
        shutil.copy(BUILD / "workers" / "kv.so", path)
    rows = []
    for size in SIZES:
        with filled_service(directory, size,
                            refork_worker=builds[0]) as (service, _):
            for what, commands in {
                    "upgrade": [["upgrade", str(path)]
                                for path in reversed(builds)],
                    "restart business": [["restart", "business"]]}.items():
                rows.append([f"{size // MIB:,} MiB", what,
                             *three_points(pauses_of(service, commands))])
    say("## The pause of an upgrade", "",
        "From the lease given to the successor serving, as reforkctl prints "
        f"it; {PLANNED_COUNT} of each,", "the upgrades between two copies of "
        f"the kv worker. Target: p50 <= {UPGRADE_TARGET_MS} ms.", "")
    table(["arena", "", "p50 ms", "p99 ms", "max ms"], rows)
