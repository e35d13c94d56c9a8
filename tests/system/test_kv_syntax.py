# SPDX-License-Identifier: MIT
"""Every command of the table, called in ways that its own syntax column makes
and in ways that are slightly wrong, on keys of every type: the kv worker and a
redis-server answer alike, in RESP 2 and 3.
"""
import os
import random
import re

import chance
import pytest
from kv_table import rows
from service import encode
from transcript import REDIS, Redis, raw_reply

pytestmark = pytest.mark.skipif(not REDIS,
                                reason="no redis-server to compare")

CALLS = int(os.environ.get("REFORK_SYNTAX_CALLS", "20"))  # of each command

# These change the connection or the server: only the bare name is tried, where
# that is too few words.
ALONE = {"subscribe", "psubscribe", "ssubscribe", "client|reply",
         "client|kill", "client|pause", "debug", "client|setname",
         "client|no-evict", "config|set", "config|get", "auth"}
# Nothing is too few for these.
NEVER = {"unsubscribe", "punsubscribe", "sunsubscribe", "quit", "hello",
         "reset"}
# What they say differs by nature; its type does not.
BY_TYPE = {"dump", "restore", "randomkey", "time", "info", "object|freq",
           "object|idletime", "object|refcount", "client|id", "client|info",
           "client|list", "command", "command|docs", "command|info",
           "command|list", "command|count", "config|help", "config|rewrite",
           "lastsave", "memory|usage",
           "memory|stats", "memory|doctor", "latency|latest",
           "latency|history", "latency|reset", "latency|help", "slowlog|get",
           "slowlog|len", "slowlog|help", "srandmember", "spop", "hrandfield",
           "zrandmember", "scan", "pttl", "ttl", "pexpiretime", "expiretime",
           "command|help", "function|list", "function|stats", "memory|help",
           "client|help", "function|help", "script|help", "pubsub|help",
           "object|help", "keys", "smembers", "hgetall", "hkeys", "hvals",
           "sinter", "sunion", "sdiff", "sscan", "hscan", "zscan", "sort",
           "sort_ro"}
BLOCKING = {"blpop", "brpop", "blmove", "brpoplpush", "blmpop", "bzpopmin",
            "bzpopmax", "bzmpop"}
# Not in the redis that is compared with.
YOUNGER = {"client|setinfo"}
# Here nothing is ever saved in the background (docs/kv.md).
OWN = {"bgsave", "bgrewriteaof"}

KEYS = ["nothing", "string", "number", "list", "hash", "set", "ints", "zset",
        "long"]
STATE = [
    ["FLUSHALL"], ["SET", "string", "some text"], ["SET", "number", "10"],
    ["RPUSH", "list", "a", "b", "1", "a"], ["SADD", "ints", 1, 2, 3],
    ["HSET", "hash", "a", "1", "b", "x", "1", "2.5"],
    ["SADD", "set", "a", "b", "x"], ["ZADD", "zset", 1, "a", 2, "b", 3.5, "x"],
    ["RPUSH", "long", *range(300)],
]
NUMBERS = ["0", "1", "2", "-1", "3", "10", "-3", "1.5", "x", "", "inf",
           "9223372036854775807", "9223372036854775808",
           "-9223372036854775808"]
TEXTS = ["a", "b", "x", "1", "", "some text", "*", "*a*", "2", "-", "+", "[a",
         "(1", "u8", "i64", "#0", "zz"]
NUMERIC = re.compile(r"count|offset|start|stop|index|min|max|score|seconds|"
                     r"increment|rank|len|bit|value|cursor|db|weight|limit|"
                     r"time|number|frequency|end")


def tree(text):
    """A syntax -> nested lists: ["all", ...], ["one", ...], ["maybe", ...]"""
    words = re.findall(r"[][<>|]|[^][<>|\s]+", text)

    def part(end):
        choices = [["all"]]
        while words and words[0] != end:
            word = words.pop(0)
            if word in "[<":
                inner = part("]" if word == "[" else ">")
                choices[-1].append(["maybe", inner] if word == "[" else inner)
            elif word == "|":
                choices.append(["all"])
            else:
                choices[-1].append(word)
        if words:
            words.pop(0)
        return ["one", *choices]
    return part(None)


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def value(self, name):
        pick = self.random.choice
        if re.search(r"key|source|destination", name) and name != "numkeys":
            return pick(KEYS)
        if name == "numkeys":
            return pick(["1", "2", "1", "2", "0", "-1", "x"])
        if name == "timeout":
            return pick(["0.001", "0.01", "-1", "x", "inf"])
        if name.upper() == name and re.search("[A-Z]", name):
            return pick([name, name, name.lower()])
        if NUMERIC.search(name) and self.random.random() < .8:
            return pick(NUMBERS[:6] if self.random.random() < .6 else NUMBERS)
        return pick(TEXTS)

    def words(self, node):
        if isinstance(node, str):
            return [] if node == "..." else [self.value(node)]
        if node[0] == "one":
            return self.words(self.random.choice(node[1:]))
        if node[0] == "maybe":
            repeated = str(node).find("...") >= 0
            times = self.random.choice((0, 1, 1, 2) if repeated else (0, 1))
            return [w for _ in range(times) for w in self.words(node[1])]
        return [w for part in node[1:] for w in self.words(part)]

    def call(self, row, parsed):
        made = self.words(parsed)
        wrong = self.random.random()
        if wrong < .08 and made:
            made.pop(self.random.randrange(len(made)))
        elif wrong < .16:
            made.insert(self.random.randrange(len(made) + 1),
                        self.random.choice(TEXTS))
        elif wrong < .2:
            self.random.shuffle(made)
        return [*row.name.split("|"), *made]


def shape(reply):
    """The types in a reply, where its content is not for comparing."""
    return reply[:40] if reply[:1] == b"-" else reply[:1]


@pytest.fixture(scope="module")
def redis():
    server = Redis()
    yield server
    server.stop()


def both(wires, calls):
    for wire in wires:
        wire.send_raw(b"".join(encode(*call) for call in calls))
    return [[raw_reply(wire) for _ in calls] for wire in wires]


def waits_long(call):
    """Were there nothing for it to take."""
    if call[0] not in BLOCKING or len(call) < 2:
        return False
    try:
        timeout = float(call[1] if call[0].endswith("mpop") else call[-1])
    except ValueError:
        return False
    return timeout == 0 or .1 < timeout < float("inf")


def calls_of(row, maker):
    name = row.name.split("|")
    if row.name in ALONE:
        return [name]
    parsed = tree(row.syntax)
    calls = [name, [*name, "a"], [*name, "a", "b"],
             *(maker.call(row, parsed) for _ in range(CALLS))]
    return [call for call in calls if not waits_long(call)]


def compare(row, wires, calls):
    strange = []
    for call in calls:
        both(wires, STATE)
        mine, theirs = (replies[0] for replies in both(wires, [call]))
        both(wires, [["DISCARD"], ["SELECT", "0"]])
        if row.name in BY_TYPE:
            mine, theirs = shape(mine), shape(theirs)
        if mine != theirs:
            strange.append((call, mine, theirs))
    return strange


@pytest.mark.parametrize("proto", (2, 3))
def test_calls_made_from_the_syntax_get_the_replies_of_redis(
        service, redis, proto):
    kv = service(network_max_request="512M")
    maker = Maker(chance.seed())
    strange = []
    with kv.raw() as ours, redis.raw() as theirs:
        both((ours, theirs), [["HELLO", proto]])
        for row in rows():
            if row.name in YOUNGER | OWN | NEVER:
                continue
            strange += compare(row, (ours, theirs), calls_of(row, maker))
    assert not strange, "\n".join(
        f"{call}\n   kv    {mine[:200]}\n   redis {other[:200]}"
        for call, mine, other in strange)
