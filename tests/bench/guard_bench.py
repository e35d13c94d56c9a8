# SPDX-License-Identifier: MIT
"""What the write guard, and the undo check, cost a request."""
import statistics
import time

from measure import QUICK, on_core, output_of, say, table
from service import Service

ROUNDS = 2 if QUICK else 9
COUNT = 4_000 if QUICK else 60_000
SERVER_CORE, CLIENT_CORE = "0", "1"

WAYS = {"off": {"arena_guard": "off"},
        "pkey": {"arena_guard": "pkey"},
        "undo_check": {"arena_guard": "off", "arena_undo_check": "yes"}}
CALLS = [(name, pipeline) for name in ("SET", "GET") for pipeline in (1, 16)]


def cpu_us(service):
    """Of the business child alone: other processes' load is not in it."""
    def ticks(pid):
        stat = open(f"/proc/{pid}/schedstat").read()
        return int(stat.split()[0]) / 1e3
    return ticks(service.business_pid)


def measure(service, name, pipeline, count):
    """(requests a second, business CPU us a request)"""
    before, began = cpu_us(service), time.monotonic()
    key = "key:__rand_int__"
    words = ["SET", key, "x" * 64] if name == "SET" else ["GET", key]
    output_of(*on_core(CLIENT_CORE), "redis-benchmark", "-p", service.port,
              "-n", count, "-P", pipeline, "-r", 100000, "-q", *words)
    return (count / (time.monotonic() - began),
            (cpu_us(service) - before) / count)


def count_of(way, pipeline):
    """The undo check is slow."""
    return COUNT // 20 if way == "undo_check" else \
        COUNT * (4 if pipeline > 1 else 1)


def rows_of(services):
    for name, pipeline in CALLS:
        seen = {way: [] for way in WAYS}
        for _ in range(ROUNDS):
            for way, service in services.items():
                seen[way].append(measure(service, name, pipeline,
                                         count_of(way, pipeline)))
        rows = {way: list(zip(*seen[way])) for way in WAYS}
        for way in WAYS:
            ratios = [mine / other for mine, other
                      in zip(rows[way][0], rows["off"][0])]
            yield [f"{name} P{pipeline}", way,
                   f"{statistics.median(rows[way][0]):,.0f}",
                   f"{statistics.median(ratios):.2f}",
                   f"{min(ratios):.2f} .. {max(ratios):.2f}",
                   f"{statistics.median(rows[way][1]):.2f}"]


def bench_guard(directory):
    services = {way: Service(directory, wrapper=on_core(SERVER_CORE),
                             log_level="notice", arena_max="256M",
                             business_standby="0", **settings)
                for way, settings in WAYS.items()}
    try:
        for service in services.values():
            service.start()
        rows = list(rows_of(services))
        for service in services.values():
            service.stop()
    finally:
        for service in services.values():
            service.clean_up()
    say("## The write guard and the undo check", "",
        f"redis-benchmark, 64-byte values, {ROUNDS} alternating rounds; CPU "
        "is that of the business process.", "")
    table(["", "guard", "requests /s", "ratio to off", "min .. max",
           "CPU us/request"], rows)
