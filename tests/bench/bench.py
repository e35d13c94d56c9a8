#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Measure, side by side in one run, and print Markdown tables.

    bench.py [tx] [heap] [alloc] [containers] [redis] [list] [memory] [large]
             [death] [upgrade] [systemd] [ipc] [verify] [guard] [picture]

All but the picture when none is named. QUICK=1 in the environment makes every
part small: to see that it runs. What is compared alternates, and medians are
printed. Nothing is installed and nothing is left behind but the pictures:
latency.svg, and docs/ipc.svg unless QUICK.
"""
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from alloc import bench_alloc
from deaths import bench_death, bench_upgrade
from guard_bench import bench_guard
from ipc import bench_ipc
from kv_bench import bench_large, bench_list, bench_memory
from manager_bench import bench_systemd
from measure import QUICK, Redis, on_core, output_of, say, table
from picture import bench_picture
from service import BUILD, Service, children_of

ROUNDS = 2 if QUICK else 9
SERVER_CORE, CLIENT_CORE = "0", "1"


# ---- tx, heap, containers ----

def bench_tx(_):
    say("## A transaction", "")
    say(output_of(BUILD / "bench" / "bench_tx"))


def bench_heap(_):
    say("## Taking and giving memory",
        "", "16 to 1024 bytes, random lifetimes.", "")
    say(output_of(BUILD / "bench" / "bench_heap"))


def bench_containers(_):
    say("## A call of a container", "")
    say(output_of(BUILD / "bench" / "bench_containers"))


def bench_verify(_):
    say("## Verifying an arena", "", "One GiB of small blocks of the kv "
        "worker, walked in place; huge pages for the index only.", "")
    say(output_of(BUILD / "bench" / "bench_verify"))


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
    service = Service(directory, wrapper=on_core(SERVER_CORE),
                      log_level="notice", arena_size="256M", arena_max="1G")
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


# ---- the whole ----

PARTS = {"tx": bench_tx, "heap": bench_heap, "alloc": bench_alloc, "containers": bench_containers,
         "redis": bench_redis, "list": bench_list, "memory": bench_memory,
         "large": bench_large, "death": bench_death, "upgrade": bench_upgrade,
         "systemd": bench_systemd, "ipc": bench_ipc, "verify": bench_verify,
         "guard": bench_guard}
EXTRA = {"picture": bench_picture}


def machine():
    model = next((line.split(":")[1].strip()
                  for line in Path("/proc/cpuinfo").read_text().split("\n")
                  if line.startswith("model name")), platform.machine())
    return (f"{os.cpu_count()} x {model}, Linux {platform.release()}, "
            f"{time.strftime('%Y-%m-%d')}{', QUICK' if QUICK else ''}")


def main():
    names = sys.argv[1:] or list(PARTS)
    parts = {**PARTS, **EXTRA}
    unknown = [name for name in names if name not in parts]
    if unknown:
        sys.exit(f"bench.py: no part called {unknown[0]}: {', '.join(parts)}")
    directory = Path(tempfile.mkdtemp(prefix="refork-bench-"))
    say(f"Measured on {machine()}.", "")
    try:
        for name in names:
            parts[name](directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
