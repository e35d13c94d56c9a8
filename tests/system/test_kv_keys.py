# SPDX-License-Identifier: MIT
"""What the kv worker does with its keys on its own: evicting, expiring,
freeing; and what of that a death changes."""
import os
import signal

import pytest
from service import ReplyError, wait_until


def used(wire):
    for line in wire.call("INFO", "memory").splitlines():
        if line.startswith(b"used_memory:"):
            return int(line.split(b":")[1])
    raise AssertionError("INFO has no used_memory")


def test_the_ini_tells_databases_and_memory(service):
    kv = service(kv_databases="4", kv_maxmemory="20M",
                 kv_maxmemory_policy="volatile-ttl",
                 kv_notify_keyspace_events="KEA")
    with kv.raw() as wire:
        assert wire.call("SELECT", 3) == b"OK"
        with pytest.raises(ReplyError, match="out of range"):
            wire.call("SELECT", 4)
        for name, value in [("maxmemory", b"20971520"),
                            ("maxmemory-policy", b"volatile-ttl"),
                            ("databases", b"4")]:
            assert wire.call("CONFIG", "GET", name)[1] == value


def test_data_stays_below_maxmemory_through_deaths(service):
    kv = service(kv_maxmemory="20M", kv_maxmemory_policy="allkeys-lru")
    with kv.raw() as wire:
        for part in range(4):
            for reply in wire.pipeline(
                    [("SET", f"key:{part}:{i}", "x" * 1000)
                     for i in range(10000)]):
                assert reply == b"OK"
            assert used(wire) < 21 << 20
            os.kill(kv.business_pid, signal.SIGSEGV)
        assert wire.call("EXISTS", "key:3:9999") == 1
        assert 10000 < wire.call("DBSIZE") < 20000


def test_without_a_policy_what_needs_memory_is_refused(service):
    kv = service(kv_maxmemory="8M")
    with kv.raw() as wire:
        replies = wire.pipeline([("SET", f"key:{i}", "x" * 1000)
                                 for i in range(10000)])
        assert isinstance(replies[-1], ReplyError)
        assert str(replies[-1]).startswith("OOM command not allowed")
        assert wire.call("GET", "key:0") == b"x" * 1000
        assert wire.call("DEL", *[f"key:{i}" for i in range(3000)]) == 3000
        assert wire.call("SET", "again", "x") == b"OK"


def test_a_successor_goes_on_freeing_what_is_large(service):
    kv = service()
    with kv.raw() as wire:
        empty = used(wire)
        for part in range(10):
            wire.call("SADD", "large", *range(part * 20000,
                                              part * 20000 + 20000), "x")
        assert used(wire) > empty + (4 << 20)
        assert wire.call("DEL", "large") == 1
        os.kill(kv.business_pid, signal.SIGSEGV)
        assert wire.call("EXISTS", "large") == 0
        wait_until(lambda: used(wire) < empty + (1 << 20),
                   "what was deleted is freed")
