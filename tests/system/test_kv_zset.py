# SPDX-License-Identifier: MIT
"""Random commands on sorted sets get the replies of redis, byte for byte, on
small ones and on large ones, while the process is killed again and again.
"""
import os
import random
import signal

import chance
import pytest
from service import encode
from transcript import REDIS, Redis, raw_reply

needs_redis = pytest.mark.skipif(not REDIS, reason="no redis-server to compare")

KEYS = ["z", "y", "x", "set", "numbers", "none", "string"]
SCORES = ["0", "1", "-1", "2", "3.5", "0.1", "-0.3", "inf", "-inf", "1e20",
          "123456789", "1e17", "5", "x", "nan", ""]


@pytest.fixture(scope="module")
def redis():
    server = Redis()
    yield server
    server.stop()


class Choice(random.Random):
    """What the arguments of commands are drawn from."""

    def __init__(self, seed, members):
        super().__init__(seed)
        self.members = [f"m{i}" for i in range(members)]
        self.members += ["", "\0\r\n", "long" * 20, "7", "-12345678"]

    def key(self):
        return self.choices(KEYS, (9, 5, 3, 2, 1, 1, 1))[0]

    def keys(self):
        return [self.key() for _ in range(self.randrange(1, 4))]

    def member(self):
        return self.choice(self.members)

    def score(self):
        if self.random() < 0.7:
            return str(self.randrange(-20, 200) / 4)
        return self.choice(SCORES)

    def by_score(self):
        return self.choice(("", "", "(")) + self.score()

    def by_lex(self):
        return self.choices(("-", "+", "[" + self.member(),
                             "(" + self.member(), self.member()),
                            (4, 4, 8, 4, 1))[0]

    def rank(self):
        return str(self.randrange(-12, 12) if self.random() < 0.8 else
                   self.choice((-1000, 1000, 0, -1, "x")))

    def some(self, *options):
        """Some of these, each with its arguments."""
        picked = [option for option in options if self.random() < 0.4]
        self.shuffle(picked)
        return [word for option in picked for word in option.split()]

    def limit(self):
        return f"LIMIT {self.randrange(-1, 6)} {self.randrange(-1, 8)}"


def change(c):
    pairs = [word for _ in range(c.randrange(1, 6))
             for word in (c.score(), c.member())]
    members = [c.member() for _ in range(c.randrange(1, 4))]
    return c.choice((
        ["ZADD", c.key(), *pairs], ["ZADD", c.key(), *pairs],
        ["ZADD", c.key(), *pairs], ["ZADD", c.key(), *pairs],
        ["ZADD", c.key(), *c.some("NX", "XX", "GT", "LT", "CH", "INCR"),
         *pairs],
        ["ZADD", c.key(), *c.some("XX", "GT", "CH", "INCR"), *pairs[:2]],
        ["ZINCRBY", c.key(), c.score(), c.member()],
        ["ZREM", c.key(), *members],
        ["ZREMRANGEBYRANK", c.key(), c.rank(), c.rank()],
        ["ZREMRANGEBYSCORE", c.key(), c.by_score(), c.by_score()],
        ["ZPOPMIN", c.key()], ["ZPOPMAX", c.key(), c.rank()],
        ["ZMPOP", len(keys := c.keys()), *keys, c.choice(("MIN", "MAX")),
         *c.some("COUNT 3")],
        ["BZPOPMIN", *c.keys(), "none", "0.001"],
        ["ZRANGESTORE", c.key(), c.key(), c.rank(), c.rank(),
         *c.some("REV")],
        ["ZRANGESTORE", c.key(), c.key(), c.by_score(), c.by_score(),
         "BYSCORE", *c.some("REV", c.limit())],
        ["SADD", "set", *members],
        ["SADD", "numbers", "7", str(c.randrange(20)), "-12345678"],
        ["SREM", "set", *members],
        ["DEL", c.key()] if c.random() < 0.2 else ["SET", "string", "s"],
    ))


def combine(c):
    keys = c.keys()
    weights = " ".join(c.score() for _ in keys)
    several = [len(keys), *keys]
    options = c.some("WEIGHTS " + weights,
                     "AGGREGATE " + c.choice(("SUM", "MIN", "MAX", "X")))
    return c.choice((
        ["ZUNION", *several, *options, *c.some("WITHSCORES")],
        ["ZINTER", *several, *options, *c.some("WITHSCORES")],
        ["ZDIFF", *several, *c.some("WITHSCORES")],
        ["ZINTERCARD", *several, *c.some("LIMIT 3")],
        ["ZUNIONSTORE", c.key(), *several, *options],
        ["ZINTERSTORE", c.key(), *several, *options],
        ["ZDIFFSTORE", c.key(), *several],
    ))


def ask(c):
    scores = c.some("WITHSCORES")
    return c.choice((
        ["ZCARD", c.key()], ["ZSCORE", c.key(), c.member()],
        ["ZMSCORE", c.key(), c.member(), c.member()],
        ["ZRANK", c.key(), c.member()], ["ZREVRANK", c.key(), c.member()],
        ["ZCOUNT", c.key(), c.by_score(), c.by_score()],
        ["ZRANGE", c.key(), c.rank(), c.rank(), *c.some("REV"), *scores],
        ["ZREVRANGE", c.key(), c.rank(), c.rank(), *scores],
        ["ZRANGE", c.key(), c.by_score(), c.by_score(), "BYSCORE",
         *c.some("REV", c.limit()), *scores],
        ["ZRANGEBYSCORE", c.key(), c.by_score(), c.by_score(),
         *c.some(c.limit()), *scores],
        ["ZREVRANGEBYSCORE", c.key(), c.by_score(), c.by_score(),
         *c.some(c.limit()), *scores],
        ["ZRANGE", c.key(), "0", "-1", "WITHSCORES"],
        ["ZRANDMEMBER", "absent", c.rank()],
    ))


def by_lex(c):
    """Members by their bytes: all scores are the same."""
    bounds = [c.by_lex(), c.by_lex()]
    return c.choice((
        ["ZADD", "lex", "0", c.member(), "0", c.member()],
        ["ZADD", "lex", "0", c.member(), "0", c.member()],
        ["ZRANGEBYLEX", "lex", *bounds, *c.some(c.limit())],
        ["ZREVRANGEBYLEX", "lex", *bounds, *c.some(c.limit())],
        ["ZRANGE", "lex", *bounds, "BYLEX", *c.some("REV", c.limit())],
        ["ZLEXCOUNT", "lex", *bounds],
        ["ZREMRANGEBYLEX", "lex", *bounds]
        if c.random() < 0.2 else ["ZCARD", "lex"],
        ["ZRANGESTORE", "lexes", "lex", *bounds, "BYLEX",
         *c.some("REV", c.limit())],
        ["ZREMRANGEBYLEX", "lexes", *bounds],
    ))


KINDS = (change, change, combine, ask, by_lex)


@needs_redis
@pytest.mark.parametrize("members", (15, 400), ids=("small", "large"))
@pytest.mark.parametrize("proto", (2, 3))
def test_random_commands_get_the_replies_of_redis(service, redis, proto,
                                                  members):
    kv = service()
    choose = Choice(chance.seed(), members)
    with kv.raw() as ours, redis.raw() as theirs:
        for wire in (ours, theirs):
            wire.call("HELLO", proto)
            wire.call("FLUSHALL")
            wire.pipeline([["ZADD", "z", str(i % 7), f"m{i}"]
                           for i in range(members)])
        for turn in range(100):
            batch = [choose.choice(KINDS)(choose) for _ in range(40)]
            for wire in (ours, theirs):
                wire.send_raw(b"".join(encode(*words) for words in batch))
            if turn % 20 == 10:
                os.kill(kv.business_pid, signal.SIGKILL)
            for words in batch:
                assert raw_reply(ours) == raw_reply(theirs), words
        for key in (*KEYS, "lex", "lexes"):
            if key not in ("set", "numbers", "string"):
                assert (ours.call("ZRANGE", key, 0, -1, "WITHSCORES") ==
                        theirs.call("ZRANGE", key, 0, -1, "WITHSCORES"))
    assert kv.status()["crashes"] == 5
