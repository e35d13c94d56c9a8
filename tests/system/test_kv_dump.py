# SPDX-License-Identifier: MIT
"""DUMP and RESTORE: what is kept comes back whole, and a dump that somebody
has tampered with does no harm.
"""
import random

import pytest
from service import ReplyError

POLYNOMIAL = 0xc96c5795d7870f42     # CRC-64/XZ, reflected
CRC_BYTES = 8


def crc64(data):
    crc = (1 << 64) - 1
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (POLYNOMIAL if crc & 1 else 0)
    return crc ^ ((1 << 64) - 1)


def signed(body):
    return body + crc64(body).to_bytes(CRC_BYTES, "little")


def flat(pairs):
    return [part for pair in pairs for part in pair]


# (how it is made, how it is read)
VALUES = {
    "string": (["SET", "k", "hello"], ["GET", "k"]),
    "empty string": (["SET", "k", ""], ["GET", "k"]),
    "long string": (["SET", "k", b"\0x" * 100000], ["GET", "k"]),
    "short list": (["RPUSH", "k", "a", "7", ""], ["LRANGE", "k", 0, -1]),
    "long list": (["RPUSH", "k", *range(5000)], ["LRANGE", "k", 0, -1]),
    "small hash": (["HSET", "k", "f", "v", "g", ""], ["HGETALL", "k"]),
    "large hash": (["HSET", "k", *flat((f"f{i}", i) for i in range(1000))],
                   ["HGETALL", "k"]),
    "small set of numbers": (["SADD", "k", 1, 70000, -1], ["SMEMBERS", "k"]),
    "set of words": (["SADD", "k", "a", "b", ""], ["SMEMBERS", "k"]),
    "large set": (["SADD", "k", *range(2000)], ["SMEMBERS", "k"]),
    "small sorted set": (["ZADD", "k", 1, "a", "-inf", "b", 1.5, "c"],
                         ["ZRANGE", "k", 0, -1, "WITHSCORES"]),
    "large sorted set": (["ZADD", "k", *flat((i / 7, f"m{i}")
                                             for i in range(1000))],
                         ["ZRANGE", "k", 0, -1, "WITHSCORES"]),
}


def content(wire, read):
    found = wire.call(*read)
    return sorted(found) if read[0] in ("HGETALL", "SMEMBERS") else found


@pytest.mark.parametrize("what", VALUES)
def test_a_dump_is_restored_as_it_was(service, what):
    make, read = VALUES[what]
    with service().raw() as wire:
        wire.call(*make)
        before = content(wire, read)
        dump = wire.call("DUMP", "k")
        assert dump == signed(dump[:-CRC_BYTES])
        wire.call("FLUSHALL")
        assert wire.call("RESTORE", "k", 5000, dump) == b"OK"
        assert content(wire, read) == before
        assert 0 < wire.call("PTTL", "k") <= 5000
        assert wire.call("DUMP", "k")[:1] == dump[:1]


def test_a_damaged_dump_is_refused_and_harms_nothing(service):
    choose = random.Random(1)
    kv = service()
    with kv.raw() as wire:
        for make, _ in VALUES.values():
            wire.call("DEL", "k")
            wire.call(*make)
            dump = wire.call("DUMP", "k")[:2000]
            for _ in range(60):
                body = bytearray(dump[:-CRC_BYTES])
                for _ in range(choose.randrange(1, 4)):
                    body[choose.randrange(len(body))] = choose.choice(
                        (0, 1, 127, 128, 255, choose.randrange(256)))
                if choose.random() < .3:
                    del body[choose.randrange(len(body)):]
                if len(body) < 3:
                    continue
                for data in (bytes(body) + dump[-CRC_BYTES:],
                             signed(bytes(body)),
                             signed(bytes(body[:-2]) + b"r1")):
                    try:
                        wire.call("RESTORE", "x", 0, data, "REPLACE")
                    except ReplyError as error:
                        assert "DUMP payload" in str(error) or \
                            "Bad data format" in str(error)
        kv.control("restart", "business")
        assert wire.call("PING") == b"PONG"
    assert kv.status()["crashes"] == 0
