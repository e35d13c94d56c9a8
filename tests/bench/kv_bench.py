# SPDX-License-Identifier: MIT
"""The kv worker beside redis: every line of redis-benchmark's list, memory per
key and per element, ten million keys.
"""
import csv
import os
import re
import statistics
import time

from measure import QUICK, Redis, on_core, output_of, say, table
from service import Service, encode, parse_info

ROUNDS = 1 if QUICK else 3
SERVER_CORE, CLIENT_CORE = "0", "1"
KEYS = 20_000 if QUICK else 1_000_000
MANY_KEYS = 100_000 if QUICK else 10_000_000
ELEMENTS = 50_000 if QUICK else 1_000_000
BATCH = 1000


class Sides:
    """The service and a redis-server, each on the same core."""

    def __init__(self, directory, arena="1G"):
        self.service = Service(directory, wrapper=on_core(SERVER_CORE),
                               log_level="notice", arena_size="256M",
                               arena_max=arena)
        self.redis = Redis(directory, "--appendonly", "no",
                           wrapper=on_core(SERVER_CORE))

    def __enter__(self):
        self.service.start()
        self.redis.start().answering().close()
        return self.service, self.redis

    def __exit__(self, *_):
        self.service.stop()
        self.service.clean_up()
        self.redis.kill()


# ---- redis-benchmark's default list ----

# LRANGE takes many times as long, so it is asked less often. What it needs is
# pushed once more, and is not shown twice.
SHORT = ("ping,set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,"
         "zpopmin,mset")
LONG, LONG_PART, NEEDED = "lrange", 8, "needed to benchmark"


def rates(port, pipeline, tests, count):
    """{test: requests per second}"""
    said = output_of(*on_core(CLIENT_CORE), "redis-benchmark", "-p", port,
                     "-n", count, "-P", pipeline, "-r", 100000, "-t", tests,
                     "--csv")
    return {row["test"]: float(row["rps"])
            for row in csv.DictReader(said.strip().split("\n"))
            if NEEDED not in row["test"]}


def whole_list(port, pipeline):
    count = 8000 if QUICK else 40000 * (1 if pipeline == 1 else 4)
    return {**rates(port, pipeline, SHORT, count),
            **rates(port, pipeline, LONG, count // LONG_PART)}


def empty(server):
    """What was flushed may be freed in the background: wait for that."""
    with server.raw() as wire:
        wire.call("FLUSHALL")
        before = used_memory(wire)
        while True:
            time.sleep(0.2)
            now = used_memory(wire)
            if now >= before:
                return now
            before = now


def bench_list(directory):
    rows = {}
    with Sides(directory) as (service, redis):
        for pipeline in 1, 16:
            found = []
            for _ in range(ROUNDS):
                pair = []
                for server in service, redis:
                    empty(server)
                    pair.append(whole_list(server.port, pipeline))
                found.append(pair)
            for test in found[0][0]:
                ratios = [ours[test] / theirs[test] for ours, theirs in found]
                rows.setdefault(test, [test]).extend(
                    [f"{statistics.median(o[test] for o, _ in found):,.0f}",
                     f"{statistics.median(t[test] for _, t in found):,.0f}",
                     f"**{statistics.median(ratios):.2f}**"])
    say("## redis-benchmark's default list", "",
        f"50 clients, 100,000 random keys, {ROUNDS} alternating rounds; each "
        f"server on core {SERVER_CORE}, the client on core {CLIENT_CORE}.", "")
    table(["", "-P 1 refork /s", "redis /s", "ratio", "-P 16 refork /s",
           "redis /s", "ratio"], rows.values())


# ---- memory ----

def load(wire, requests):
    """Send many requests in batches; the replies are only counted."""
    batch, waiting = [], 0
    for request in requests:
        batch.append(encode(*request))
        waiting += 1
        if waiting == BATCH:
            wire.send_raw(b"".join(batch))
            for _ in range(waiting):
                wire.read()
            batch, waiting = [], 0
    wire.send_raw(b"".join(batch))
    for _ in range(waiting):
        wire.read()


def used_memory(wire):
    info = parse_info(wire.call("INFO", "memory"))
    return int(info["used_memory"])


def small(verb, *elements):
    return lambda count: ([verb, f"{verb.lower()}:{i}", *elements]
                          for i in range(count))


def numbered(prefix, count=10):
    return [f"{prefix}{i}" for i in range(count)]


def fields(count=10):
    return [word for i in range(count) for word in (f"field{i}", f"value{i}")]


def scored(count=10):
    return [word for i in range(count) for word in (i * 7, f"member{i}")]


# (what, requests that make `count` of it, how many fewer than KEYS)
CONTENTS = [
    ("string, 16-byte key, 3-byte value",
     lambda n: (["SET", f"key:{i:012}", "xxx"] for i in range(n)), 1),
    ("string, 64-byte value",
     lambda n: (["SET", f"key:{i:012}", "x" * 64] for i in range(n)), 1),
    ("string, a number",
     lambda n: (["SET", f"key:{i}", 100000 + i] for i in range(n)), 1),
    ("hash of 10 fields", small("HSET", *fields()), 10),
    ("list of 10", small("RPUSH", *numbered("item")), 10),
    ("set of 10 numbers", small("SADD", *range(1000, 1010)), 10),
    ("set of 10 words", small("SADD", *numbered("member")), 10),
    ("sorted set of 10", small("ZADD", *scored()), 10),
    ("hash of 2 fields, values of 100 bytes",
     small("HSET", "one", "x" * 100, "two", "y" * 100), 10),
    ("list of 1", small("RPUSH", "item"), 10),
    ("set of 1 word", small("SADD", "member"), 10),
    ("sorted set of 1", small("ZADD", 1, "member"), 10),
    ("one hash, per field",
     lambda n: (["HSET", "h", f"field{i}", f"value{i}"] for i in range(n)), 1),
    ("one list, per element",
     lambda n: (["RPUSH", "l", f"item{i}"] for i in range(n)), 1),
    ("one set, per member",
     lambda n: (["SADD", "s", f"member{i}"] for i in range(n)), 1),
    ("one sorted set, per member",
     lambda n: (["ZADD", "z", i, f"member{i}"] for i in range(n)), 1),
]


def bytes_each(server, make, count):
    before = empty(server)
    with server.raw() as wire:
        load(wire, make(count))
        return (used_memory(wire) - before) / count


def bench_memory(directory):
    rows = []
    with Sides(directory) as sides:
        for what, make, fewer in CONTENTS:
            ours, theirs = (bytes_each(side, make, KEYS // fewer)
                            for side in sides)
            rows.append([what, f"{ours:.1f}", f"{theirs:.1f}",
                         f"**{ours / theirs:.2f}**"])
    say("## Memory", "", "used_memory divided by the number of keys (of "
        f"elements, in one large value): {KEYS:,} of them, a tenth of that "
        "for collections.", "")
    table(["", "refork bytes", "redis bytes", "ratio"], rows)


# ---- ten million keys ----

def worst_us(wire, run):
    """The longest time that one command kept the server busy in `run`."""
    wire.call("CONFIG", "SET", "slowlog-log-slower-than", 100,
              "slowlog-max-len", 100000)
    wire.call("SLOWLOG", "RESET")
    run()
    entries = wire.call("SLOWLOG", "GET", -1)
    return max((entry[2] for entry in entries), default=100)


def worst_round_trip_us(wire, until):
    """The longest a PING takes until a condition holds."""
    worst = 0
    while not until():
        began = time.monotonic()
        wire.call("PING")
        worst = max(worst, time.monotonic() - began)
    return worst * 1e6


def favour(pid):
    """Ahead of its neighbours on the core: times that are its own."""
    try:
        os.setpriority(os.PRIO_PROCESS, pid, -20)
    except PermissionError:
        pass


def random_gets(port, count):
    said = output_of(*on_core(CLIENT_CORE), "redis-benchmark", "-p", port,
                     "-n", count, "-P", 16, "-r", MANY_KEYS, "--csv",
                     "GET", "key:__rand_int__")
    return float(re.findall(r'"([\d.]+)"', said.strip().split("\n")[-1])[0])


def measure_many(server):
    """One column of the table."""
    with server.raw() as wire:
        before = used_memory(wire)
        began = time.monotonic()
        grow = worst_us(wire, lambda: load(
            wire, (["SET", f"key:{i:012}", f"value:{i}"]
                   for i in range(MANY_KEYS))))
        took = time.monotonic() - began
        each = (used_memory(wire) - before) / MANY_KEYS
        gets = random_gets(server.port, 20_000 if QUICK else 1_000_000)
        load(wire, (["ZADD", "big", i, f"member{i}"]
                    for i in range(ELEMENTS)))
        high = used_memory(wire)
        delete = worst_us(wire, lambda: wire.call("UNLINK", "big"))
        after = worst_round_trip_us(
            wire, lambda: used_memory(wire) < high - ELEMENTS * 40)
        flush = worst_us(wire, lambda: wire.call("FLUSHALL", "ASYNC"))
    return [f"{took:.0f} s", f"{each:.1f}", f"{gets:,.0f}", f"{grow / 1e3:.2f}",
            f"{delete / 1e3:.2f}", f"{after / 1e3:.2f}", f"{flush / 1e3:.2f}"]


def bench_large(directory):
    head = ["loaded in", "bytes a key", "GET -P 16 of random keys /s",
            "worst SET while the table grows, ms",
            f"UNLINK of a sorted set of {ELEMENTS:,}, ms",
            "worst round trip while it is freed, ms", "FLUSHALL ASYNC, ms"]
    everywhere = os.sched_getaffinity(0)
    if len(everywhere) > 1:
        os.sched_setaffinity(0, {int(CLIENT_CORE)})
    with Sides(directory, arena="8G") as sides:
        favour(sides[0].business_pid)
        favour(sides[1].process.pid)
        columns = [measure_many(side) for side in sides]
    os.sched_setaffinity(0, everywhere)
    say(f"## {MANY_KEYS:,} keys", "",
        "The worst times are those inside the server (SLOWLOG; 0.10 stands "
        "for that or less); it has the highest priority on its core.", "")
    table(["", "refork", "redis"], zip(head, *columns))
