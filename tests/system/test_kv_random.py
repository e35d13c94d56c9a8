# SPDX-License-Identifier: MIT
"""Random commands, sent to the kv worker and to a redis-server: the same
replies, while the business process is being killed.

A shape is a command with {holes}. Keys of every kind share a few names, so
that wrong types, conversions and empty collections come often. Before a
shape, how its reply counts: @sorted, @pairs, or its type alone (@any) where
redis's own choice is random or means nothing; see transcript.py.
"""
import os
import random
import re
import signal

import chance
import pytest
from service import encode
from transcript import REDIS, VIEWS, Redis, raw_reply

pytestmark = pytest.mark.skipif(not REDIS,
                                reason="no redis-server to compare")

BATCHES = int(os.environ.get("REFORK_RANDOM_BATCHES", "60"))
BATCH = 60

KEYS = ["a", "b", "c", "d", "e", "", "\0", "k" * 100]
NUMBERS = ["0", "1", "-1", "7", "-300", "9223372036854775807",
           "-9223372036854775808", "9223372036854775808", "x", "", "1.5"]
SCORES = ["0", "1", "2", "3", "-1.5", "1e20", "inf", "-inf", "3.3", "x", "nan",
          "0.1", "12345678901234567"]

SHAPES = """
SET {k} {text}|SET {k} {text}|SET {k} {text} {setopts}|GET {k}|GET {k}
GETSET {k} {text}|GETDEL {k}|SETNX {k} {text}|SETEX {k} {span} {text}
MGET {k} {k} {k}|MSET {k} {text} {k} {text}|MSETNX {k} {text} {k} {text}
APPEND {k} {text}|STRLEN {k}|GETRANGE {k} {far} {far}|SETRANGE {k} {far} {text}
INCR {k}|DECR {k}|INCRBY {k} {num}|DECRBY {k} {num}|INCRBYFLOAT {k} {num}
GETEX {k} PERSIST|LCS {k} {k} LEN
SETBIT {k} {bit} {01}|GETBIT {k} {bit}|BITCOUNT {k}|BITCOUNT {k} {far} {far}
BITCOUNT {k} {far} {far} BIT|BITPOS {k} {01}|BITPOS {k} {01} {far} {far}
BITPOS {k} {01} {far} {far} BIT|BITOP {bitop} {k} {k} {k}
BITFIELD {k} SET {type} {bit} {num} INCRBY {type} {bit} {num}
BITFIELD {k} OVERFLOW {ovf} INCRBY {type} {bit} {num} GET {type} {bit}
DEL {k} {k}|UNLINK {k}|EXISTS {k} {k}|TYPE {k}|TOUCH {k} {k}
RENAME {k} {k}|RENAMENX {k} {k}|COPY {k} {k}|COPY {k} {k} REPLACE
EXPIRE {k} {span}|EXPIREAT {k} {instant} {gt}|PERSIST {k}|@any EXPIRETIME {k}
DBSIZE|@any OBJECT ENCODING {k}
LPUSH {k} {item} {item}|RPUSH {k} {item} {item}|RPUSH {k} {text}
LPUSH {k} {many}|RPUSH {k} {many}|LPUSHX {k} {item}|RPUSHX {k} {item}
LPOP {k}|RPOP {k}|LPOP {k} {n}|RPOP {k} {n}|LLEN {k}|LINDEX {k} {pos}
LSET {k} {pos} {item}|LINSERT {k} BEFORE {item} {item}
LINSERT {k} AFTER {item} {item}|LRANGE {k} {pos} {pos}|LTRIM {k} {pos} {pos}
LREM {k} {small} {item}|LPOS {k} {item}|LPOS {k} {item} RANK {small} COUNT {n}
LMOVE {k} {k} {side} {side}|RPOPLPUSH {k} {k}|LMPOP 2 {k} {k} {side} COUNT {n}
BLPOP {k} {k} 0.001|BLMOVE {k} {k} {side} {side} 0.001
HSET {k} {item} {text}|HSET {k} {item} {item} {item} {item}|HSET {k} {pairs}
HSETNX {k} {item} {item}|HGET {k} {item}|HMGET {k} {item} {item}
HDEL {k} {item} {item}|HLEN {k}|HEXISTS {k} {item}|HSTRLEN {k} {item}
@sorted HKEYS {k}|@sorted HVALS {k}|@pairs HGETALL {k}|HINCRBY {k} {item} {num}
HINCRBYFLOAT {k} {item} {num}|@any HRANDFIELD {k} 3
SADD {k} {item} {item}|SADD {k} {many}|SADD {k} {ints}|SREM {k} {item} {item}
SCARD {k}|SISMEMBER {k} {item}|SMISMEMBER {k} {item} {item}|SMOVE {k} {k} {item}
@sorted SMEMBERS {k}|@sorted SINTER {k} {k}|@sorted SUNION {k} {k} {k}
@sorted SDIFF {k} {k}|SINTERSTORE {k} {k} {k}|SUNIONSTORE {k} {k} {k}
SDIFFSTORE {k} {k} {k}|SINTERCARD 2 {k} {k} LIMIT {n}
ZADD {k} {score} {item}|ZADD {k} {score} {item} {score} {item}|ZADD {k} {scored}
ZADD {k} {zopts} {score} {item}|ZINCRBY {k} {score} {item}|ZREM {k} {item} {item}
ZCARD {k}|ZSCORE {k} {item}|ZMSCORE {k} {item} {item}|ZRANK {k} {item}
ZREVRANK {k} {item}|ZCOUNT {k} {min} {max}|@any ZLEXCOUNT {k} {lex} {lex}
ZRANGE {k} {pos} {pos} WITHSCORES|ZREVRANGE {k} {pos} {pos}
ZRANGE {k} {min} {max} BYSCORE LIMIT {n} {small}
ZRANGE {k} {max} {min} BYSCORE REV WITHSCORES|@any ZRANGE {k} {lex} {lex} BYLEX
ZRANGEBYSCORE {k} {min} {max} WITHSCORES|ZREVRANGEBYSCORE {k} {max} {min}
ZRANGESTORE {k} {k} {pos} {pos}|ZREMRANGEBYRANK {k} {pos} {pos}
ZREMRANGEBYSCORE {k} {min} {max}
ZPOPMIN {k}|ZPOPMAX {k} {n}|ZMPOP 2 {k} {k} MIN COUNT {n}|BZPOPMIN {k} 0.001
ZUNION 2 {k} {k} WEIGHTS {weight} {weight} AGGREGATE {agg} WITHSCORES
ZINTER 2 {k} {k} WITHSCORES|ZDIFF 2 {k} {k} WITHSCORES
ZUNIONSTORE {k} 2 {k} {k} WEIGHTS {weight} {weight}|ZINTERSTORE {k} 2 {k} {k}
ZDIFFSTORE {k} 2 {k} {k}|ZINTERCARD 2 {k} {k}
SORT {k} ALPHA|SORT {k} ALPHA LIMIT {n} {n} DESC|SORT {k} ALPHA STORE {k}
MULTI|EXEC|EXEC|DISCARD
"""


def shapes():
    """[(view, the words)]"""
    found = []
    for shape in re.split(r"[|\n]", SHAPES.strip()):
        view, words = re.fullmatch(r"(?:@(\w+) )?(.*)", shape).groups()
        found.append((view or "", words.split(" ")))
    return found


class Filler:
    """Fills the holes of shapes."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def text(self):
        kind = self.random.randrange(12)
        if kind < 4:
            return self.random.choice(NUMBERS)
        letter = self.random.choice("xyz")
        if kind < 8:
            return letter * self.random.randrange(20)
        if kind < 11:
            return letter * self.random.randrange(200)
        return letter * self.random.choice((0, 5000, 17000, 40000))

    def item(self):
        kind = self.random.randrange(20)
        if kind < 13:
            return str(self.random.randrange(-2, 12))
        if kind < 19:
            return self.random.choice(["x", "y", "zz", "", "long" * 20])
        return "w" * self.random.choice((100, 3000, 9000))

    def several(self, make, most):
        return [word for _ in range(self.random.randrange(1, most))
                for word in make()]

    HOLES = {
        "k": lambda f: [f.random.choice(KEYS)],
        "text": lambda f: [f.text()],
        "item": lambda f: [f.item()],
        "many": lambda f: f.several(lambda: [f.item()], 100),
        "ints": lambda f: f.several(
            lambda: [str(f.random.randrange(-10, 1000000))], 200),
        "pairs": lambda f: f.several(
            lambda: [f"f{f.random.randrange(300)}", f.item()], 60),
        "scored": lambda f: f.several(
            lambda: [str(f.random.randrange(20)),
                     f"m{f.random.randrange(300)}"], 60),
        "num": lambda f: [f.random.choice(NUMBERS)],
        "n": lambda f: [str(f.random.randrange(4))],
        "small": lambda f: [str(f.random.randrange(-3, 4))],
        "pos": lambda f: [str(f.random.choice(
            (0, -1, f.random.randrange(-300, 300))))],
        "far": lambda f: [str(f.random.choice(
            (f.random.randrange(-50, 50),
             f.random.randrange(-6000, 20000))))],
        "bit": lambda f: [str(f.random.choice(
            (f.random.randrange(70), f.random.randrange(50000))))],
        "01": lambda f: [str(f.random.randrange(2))],
        "side": lambda f: [f.random.choice(("LEFT", "RIGHT"))],
        "bitop": lambda f: [f.random.choice(("AND", "OR", "XOR", "NOT"))],
        "type": lambda f: [f"{f.random.choice('iu')}"
                           f"{f.random.randrange(1, 65)}"],
        "ovf": lambda f: [f.random.choice(("WRAP", "SAT", "FAIL"))],
        # In s, far enough from now that no rounding shows.
        "span": lambda f: [f.random.choice(
            ("100", "2000", "-5", "0", "x", "9223372036854775807"))],
        "instant": lambda f: [f.random.choice(
            ("33177117420", "33177117421", "1", "x"))],
        "gt": lambda f: f.random.sample(("NX", "XX", "GT", "LT"),
                                        f.random.randrange(3)),
        "setopts": lambda f: f.random.sample(
            ("NX", "XX", "GET", "KEEPTTL"), f.random.randrange(3)),
        "zopts": lambda f: f.random.sample(
            ("NX", "XX", "GT", "LT", "CH", "INCR"), f.random.randrange(3)),
        "score": lambda f: [f.random.choice(SCORES)],
        "weight": lambda f: [f.random.choice(("1", "2", "-1.5", "inf", "x"))
                             if f.random.random() < .3 else "2"],
        "agg": lambda f: [f.random.choice(("SUM", "MIN", "MAX"))],
        "min": lambda f: [f.random.choice(("-inf", "0", "(1", "(3.3", "x"))],
        "max": lambda f: [f.random.choice(("+inf", "3", "(3", "1e20"))],
        "lex": lambda f: [f.random.choice(("-", "+", "[1", "(x", "[zz", "y"))],
    }

    def fill(self, words):
        filled = []
        for word in words:
            hole = re.fullmatch(r"\{(\w+)\}", word)
            filled += self.HOLES[hole[1]](self) if hole else [word]
        return filled


@pytest.fixture(scope="module")
def redis():
    server = Redis()
    yield server
    server.stop()


def all_of(wire, key):
    """What a key holds, in one form."""
    wire.call("HELLO", 2)
    kind = wire.call("TYPE", key).decode()
    read = {"string": ["GET", key], "list": ["LRANGE", key, 0, -1],
            "hash": ["HGETALL", key], "set": ["SMEMBERS", key],
            "zset": ["ZRANGE", key, 0, -1, "WITHSCORES"]}.get(kind)
    found = wire.call(*read) if read else None
    if kind == "set":
        found = sorted(found)
    if kind == "hash":
        found = sorted(zip(found[0::2], found[1::2]))
    return kind, found, wire.call("EXPIRETIME", key) > 0


def seen(view, raw, queued):
    """What counts of a reply; the elements of an EXEC have no order that is
    known here."""
    if view == "any" or queued:
        return raw[:1]
    return raw if raw[:1] in b"-+:_$,#" else VIEWS[view](raw)


@pytest.mark.parametrize("proto", (2, 3))
def test_random_commands_get_the_replies_of_redis(service, redis, proto):
    kv = service(restart_burst=1000000, network_max_request="512M")
    filler = Filler(chance.seed())
    choices = shapes()
    with kv.raw() as ours, redis.raw() as theirs:
        for wire in (ours, theirs):
            wire.call("HELLO", proto)
            wire.call("FLUSHALL")
        for number in range(BATCHES):
            batch = [(view, filler.fill(words)) for view, words in
                     filler.random.choices(choices, k=BATCH)]
            batch.append(("", ["DISCARD"]))
            for wire in (ours, theirs):
                wire.send_raw(b"".join(encode(*words) for _, words in batch))
            if number % 4 == 0:
                os.kill(kv.business_pid, signal.SIGKILL)
            for view, words in batch:
                mine, other = raw_reply(ours), raw_reply(theirs)
                in_exec = words[0] == "EXEC" and other[:1] == b"*"
                assert seen(view, mine, in_exec) == \
                    seen(view, other, in_exec), [w[:60] for w in words]
        for key in KEYS:
            assert all_of(ours, key) == all_of(theirs, key), key
