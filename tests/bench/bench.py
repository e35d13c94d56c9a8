#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Measure, side by side in one run, and print Markdown tables.

    bench.py [tx] [heap] [redis] [death]        all of them when none is named

QUICK=1 in the environment makes every part small: to see that it runs.
What is compared alternates, and medians are printed. Nothing is installed
and nothing is left behind.
"""
import os
import platform
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))
from service import BUILD, Service, Wire, children_of, free_port  # noqa: E402

QUICK = bool(os.environ.get("QUICK"))
ROUNDS = 2 if QUICK else 9
SERVER_CORE, CLIENT_CORE = "0", "1"

MIB = 1 << 20
GIB = 1 << 30


def say(*lines):
    print(*lines, sep="\n", flush=True)


def table(head, rows):
    say("| " + " | ".join(head) + " |", "|" + "---|" * len(head))
    for row in rows:
        say("| " + " | ".join(str(cell) for cell in row) + " |")
    say("")


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

    def kill(self):
        self.process.kill()
        self.process.wait()


# ---- tx, heap ----

def bench_tx(_):
    say("## A transaction", "")
    say(output_of(BUILD / "bench" / "bench_tx"))


def bench_heap(_):
    say("## Taking and giving memory",
        "", "16 to 1024 bytes, random lifetimes.", "")
    say(output_of(BUILD / "bench" / "bench_heap"))


# ---- redis-benchmark ----

def cpu_seconds(pids):
    """What all threads of some processes have run so far."""
    return sum(int(path.read_text().split()[0]) for pid in pids
               for path in Path(f"/proc/{pid}/task").glob("*/schedstat")
               ) / 1e9


def run_benchmark(port, pids, test, pipeline):
    """(requests per second, microseconds of server time per request)"""
    count = (20000 if QUICK else 100000) * (1 if pipeline == 1 else 8)
    before = cpu_seconds(pids)
    said = output_of(
        *on_core(CLIENT_CORE), "redis-benchmark", "-p", port, "-c", 50, "-d",
        64, "-r", 100000, "-n", count, "-P", pipeline, "-t", test, "--csv")
    used_us = (cpu_seconds(pids) - before) * 1e6 / count
    return float(said.strip().split("\n")[-1].split(",")[1].strip('"')), used_us


def compare(sides, test, pipeline):
    """A row of the table, from rounds that alternate."""
    found = [[], []]
    for _ in range(ROUNDS):
        for runs, (port, pids) in zip(found, sides):
            runs.append(run_benchmark(port, pids, test, pipeline))
    rate, used = ([[run[i] for run in runs] for runs in found]
                  for i in range(2))
    ratios = sorted(ours / theirs for ours, theirs in zip(*rate))
    return [f"{test.upper()} -P {pipeline}",
            *(f"{statistics.median(side):,.0f}" for side in rate),
            f"**{statistics.median(ratios):.2f}**",
            f"{ratios[0]:.2f} .. {ratios[-1]:.2f}",
            *(f"{statistics.median(side):.2f}" for side in used)]


def bench_redis(directory):
    service = Service(directory, wrapper=on_core(SERVER_CORE), log_level="notice",
                      arena_size="256M", arena_max="1G")
    redis = Redis(directory, "--appendonly", "no", wrapper=on_core(SERVER_CORE))
    rows = []
    try:
        service.start()
        redis.start().answering().close()
        sides = [(service.port, [service.supervisor_pid,
                                 *children_of(service.supervisor_pid)]),
                 (redis.port, [redis.process.pid])]
        for pipeline in 1, 16:
            for test in "set", "get":
                rows.append(compare(sides, test, pipeline))
        service.stop()
    finally:
        service.clean_up()
        redis.kill()
    say("## Requests per second", "",
        "redis-benchmark: 50 clients, 64-byte values, 100,000 random keys, "
        f"{ROUNDS} alternating rounds;", f"each server on core "
        f"{SERVER_CORE} with all of its processes, the client on core "
        f"{CLIENT_CORE}; redis-server without persistence.",
        "The ratio is the median of those of each round; CPU is what the "
        "server's processes used.", "")
    table(["", "refork /s", "redis /s", "ratio", "min .. max",
           "refork CPU us/request", "redis CPU us/request"], rows)


# ---- death to next reply ----

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


def percentile(values, percent):
    """The smallest value that so many percent of them do not exceed."""
    return sorted(values)[-(-len(values) * percent // 100) - 1]


def milliseconds(microseconds):
    return f"{microseconds / 1e3:.2f}"


def samples_of(port, signal_number, count, values):
    return [float(line) for line in output_of(
        BUILD / "bench" / "death_to_reply", port, int(signal_number),
        count, values).split()]


def refork_deaths(directory, size):
    # What is not data: connection records, entries, a little of everything.
    service = Service(directory, log_level="notice", arena_size=size + 16 * MIB,
                      arena_max=size + 16 * MIB)
    rows = []
    try:
        service.start()
        with service.raw() as wire:
            stored = fill(wire, size)
        assert stored >= size * 0.95, f"only {stored} of {size} bytes fit"
        for number in signal.SIGKILL, signal.SIGSEGV:
            found = samples_of(service.port, number, 5 if QUICK else 100,
                               stored // VALUE_BYTES)
            rows.append([f"{size // MIB:,} MiB", number.name,
                         milliseconds(percentile(found, 50)),
                         milliseconds(percentile(found, 99)),
                         milliseconds(max(found))])
        service.stop()
    finally:
        service.clean_up()
    return rows


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
    sizes = [64 * MIB] if QUICK else [64 * MIB, GIB, 4 * GIB]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    rows = [row for size in sizes for row in refork_deaths(directory, size)]
    say("## From death to the next reply", "",
        "One connection sends INCR back to back; each process that dies has "
        "touched every page of the data;", "no core dumps; 100 deaths a row.",
        "")
    table(["arena", "signal", "p50 ms", "p99 ms", "max ms"],
          rows)
    say("redis-server with the same data in its AOF (everysec), from kill -9 "
        "to the first reply that is not -LOADING;", "its connections are "
        "lost.", "")
    table(["data", "p50 ms", "max ms"],
          [redis_deaths(directory, size) for size in sizes])


# ----

PARTS = {"tx": bench_tx, "heap": bench_heap, "redis": bench_redis,
         "death": bench_death}


def machine():
    model = next((line.split(":")[1].strip()
                  for line in Path("/proc/cpuinfo").read_text().split("\n")
                  if line.startswith("model name")), platform.machine())
    return (f"{os.cpu_count()} x {model}, Linux {platform.release()}, "
            f"{time.strftime('%Y-%m-%d')}{', QUICK' if QUICK else ''}")


def main():
    names = sys.argv[1:] or list(PARTS)
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        sys.exit(f"bench.py: no part called {unknown[0]}: {', '.join(PARTS)}")
    directory = Path(tempfile.mkdtemp(prefix="refork-bench-"))
    say(f"Measured on {machine()}.", "")
    try:
        for name in names:
            PARTS[name](directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
