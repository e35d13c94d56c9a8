# SPDX-License-Identifier: MIT
"""What the kv worker records about itself, and that it outlives a crash."""
import re
import time

import pytest
from service import ReplyError, encode, wait_until


def crash(wire):
    with pytest.raises(ReplyError, match="CRASHED"):
        wire.call("DEBUG", "SEGFAULT")


def info(wire, section):
    """name -> value"""
    text = wire.call("INFO", section).decode()
    return dict(line.split(":", 1) for line in text.split("\r\n")
                if ":" in line)


def option(wire, name):
    return wire.call("CONFIG", "GET", name)[1].decode()


# ---- CONFIG ----

def test_options_outlive_a_crash_and_stay_in_effect(service):
    with service().raw() as wire:
        wire.call("CONFIG", "SET", "set-max-intset-entries", "2", "hz", "77",
                  "maxmemory-policy", "allkeys-lfu")
        crash(wire)
        wire.call("SADD", "s", "1", "2")
        assert wire.call("OBJECT", "ENCODING", "s") == b"intset"
        wire.call("SADD", "s", "3")
        assert wire.call("OBJECT", "ENCODING", "s") == b"hashtable"
        assert option(wire, "hz") == "77"
        assert option(wire, "maxmemory-policy") == "allkeys-lfu"


def test_every_option_can_be_set_to_what_it_is(service):
    with service().raw() as wire:
        flat = wire.call("CONFIG", "GET", "*")
        options = dict(zip(flat[0::2], flat[1::2]))
        assert len(options) > 80
        for name, value in options.items():
            assert wire.call("CONFIG", "SET", name, value) == b"OK", name
        again = wire.call("CONFIG", "GET", "*")
        assert dict(zip(again[0::2], again[1::2])) == options


def test_config_set_does_all_or_nothing(service):
    with service().raw() as wire:
        before = option(wire, "maxmemory")
        with pytest.raises(ReplyError, match="argument 'hz'"):
            wire.call("CONFIG", "SET", "maxmemory", "1mb", "hz", "0")
        assert option(wire, "maxmemory") == before


def test_what_the_ini_decides_is_not_changed_here(service):
    with service().raw() as wire:
        for name in ("port", "maxclients", "timeout", "appendonly"):
            before = option(wire, name)
            with pytest.raises(ReplyError, match="CONFIG SET failed"):
                wire.call("CONFIG", "SET", name, "17")
            assert option(wire, name) == before


# ---- INFO ----

def test_counters_outlive_a_crash(service):
    with service().raw() as wire:
        wire.call("SET", "a", "1")
        for _ in range(10):
            wire.call("GET", "a")
            wire.call("GET", "b")
        with pytest.raises(ReplyError):
            wire.call("LPUSH", "a", "1")
        with pytest.raises(ReplyError):
            wire.call("GET")
        crash(wire)
        stats = info(wire, "stats")
        assert (stats["keyspace_hits"], stats["keyspace_misses"]) == \
            ("10", "10")
        rows = info(wire, "commandstats")
        assert re.match(r"calls=20,usec=\d+,usec_per_call=[\d.]+,"
                        r"rejected_calls=1,failed_calls=0", rows["cmdstat_get"])
        assert "calls=1," in rows["cmdstat_lpush"]
        assert "failed_calls=1" in rows["cmdstat_lpush"]
        errors = info(wire, "errorstats")
        assert errors["errorstat_ERR"] == "count=1"
        assert errors["errorstat_WRONGTYPE"] == "count=1"
        wire.call("CONFIG", "RESETSTAT")
        assert info(wire, "stats")["keyspace_hits"] == "0"
        assert "cmdstat_get" not in info(wire, "commandstats")


def test_memory_figures_move_with_the_data(service):
    with service().raw() as wire:
        wire.call("INFO", "memory")         # sees the empty database
        before = info(wire, "memory")
        wire.call("SET", "a", "x" * 1_000_000)
        after = info(wire, "memory")
        grown = int(after["used_memory"]) - int(before["used_memory"])
        assert 1_000_000 <= grown < 1_100_000
        assert int(after["used_memory_dataset"]) >= 1_000_000
        assert int(after["used_memory_peak"]) >= int(after["used_memory"])
        assert 1_000_000 <= wire.call("MEMORY", "USAGE", "a") < 1_100_000
        wire.call("DEL", "a")
        wait_until(lambda: int(info(wire, "memory")["used_memory"]) <
                   int(before["used_memory"]) + 10_000, "memory comes back")
        stats = wire.call("MEMORY", "STATS")
        stats = dict(zip(stats[0::2], stats[1::2]))
        assert stats[b"keys.count"] == 0
        assert stats[b"peak.allocated"] >= stats[b"total.allocated"]


def test_each_database_has_its_line(service):
    with service().raw() as wire:
        wire.call("SET", "a", "1", "EX", "100")
        wire.call("SELECT", "5")
        wire.pipeline([["SET", str(i), "1"] for i in range(7)])
        keyspace = info(wire, "keyspace")
        ttl = re.fullmatch(r"keys=1,expires=1,avg_ttl=(\d+)",
                           keyspace["db0"])
        assert 0 < int(ttl[1]) <= 100_000
        assert keyspace["db5"] == "keys=7,expires=0,avg_ttl=0"
        assert set(keyspace) == {"db0", "db5"}
        wire.call("SELECT", "0")
        wire.call("SET", "b", "1", "PX", "900000")
        wire.call("SET", "c", "1")
        ttl = re.fullmatch(r"keys=3,expires=2,avg_ttl=(\d+)",
                           info(wire, "keyspace")["db0"])
        assert 400_000 < int(ttl[1]) <= 500_000
        wire.call("PERSIST", "b")
        wire.call("DEL", "a")
        assert info(wire, "keyspace")["db0"] == "keys=2,expires=0,avg_ttl=0"


# ---- SLOWLOG and LATENCY ----

def test_the_slowlog_outlives_a_crash(service):
    with service().raw() as wire:
        wire.call("CLIENT", "SETNAME", "me")
        wire.call("CONFIG", "SET", "slowlog-log-slower-than", "0")
        wire.call("MSET", *["k" * 200] * 50)
        wire.call("CONFIG", "SET", "slowlog-log-slower-than", "-1")
        crash(wire)
        newest, older = wire.call("SLOWLOG", "GET")[:2]
        assert older[3][0] == b"CONFIG"
        number, at, us, words, peer, name = newest
        assert number > older[0] and us >= 0
        assert abs(at - time.time()) < 60
        assert len(words) == 32
        assert words[1] == b"k" * 128 + b"... (72 more bytes)"
        assert words[31] == b"... (20 more arguments)"
        assert peer.startswith(b"127.0.0.1:")
        assert name == b"me"
        assert wire.call("SLOWLOG", "LEN") == 2


def test_no_password_stands_in_the_slowlog(service):
    with service().raw() as wire:
        wire.call("CONFIG", "SET", "slowlog-log-slower-than", "0")
        wire.call("CONFIG", "SET", "requirepass", "secret")
        wire.call("AUTH", "secret")
        wire.call("AUTH", "default", "secret")
        wire.call("HELLO", "2", "AUTH", "default", "secret")
        wire.call("CONFIG", "SET", "requirepass", "")
        entries = wire.call("SLOWLOG", "GET", "-1")
        assert len(entries) >= 6
        assert b"secret" not in repr(entries).encode()
        assert [b"AUTH", b"(redacted)"] in [entry[3] for entry in entries]


def test_slow_seconds_are_remembered(service):
    with service().raw() as wire:
        wire.call("CONFIG", "SET", "latency-monitor-threshold", "50")
        wire.call("DEBUG", "SLEEP", "0.06")
        crash(wire)
        (event, at, last, worst), = wire.call("LATENCY", "LATEST")
        assert event == b"command"
        assert abs(at - time.time()) < 60
        assert 60 <= last == worst < 10_000
        assert wire.call("LATENCY", "HISTORY", "command") == [[at, last]]
        assert wire.call("LATENCY", "RESET", "command") == 1
        assert wire.call("LATENCY", "LATEST") == []


# ---- DEBUG ----

def test_debug_reload_goes_on_in_another_process(service):
    kv = service()
    with kv.raw() as wire:
        wire.call("RPUSH", "l", *map(str, range(1000)))
        wire.call("SET", "s", "1", "EX", "100")
        before, pid = wire.call("DEBUG", "DIGEST"), kv.business_pid
        wire.send_raw(encode("DEBUG", "RELOAD") + encode("DEBUG", "DIGEST"))
        assert wire.read() == b"OK"
        assert wire.read() == before
        assert info(wire, "refork")["business_pid"] != str(pid)
        assert info(wire, "refork")["crashes"] == "0"


def test_the_digest_is_of_the_data_not_of_its_form(service):
    with service().raw() as wire:
        def digest(*commands):
            wire.call("FLUSHALL")
            for command in commands:
                wire.call(*command.split())
            return wire.call("DEBUG", "DIGEST")
        assert digest("SADD s 1 2 3") == digest("SADD s 3 2 x 1", "SREM s x")
        assert digest("MSET a 1 b 2") == digest("SET b 2", "SET a 1")
        assert digest("HSET h a 1 b 2") == digest("HSET h b 2 a 1")
        assert digest("RPUSH l 1 2") != digest("RPUSH l 2 1")
        assert digest("SET a 1") != digest("SET a 1 EX 100")
        assert digest("SET a 1") != digest("SELECT 1", "SET a 1", "SELECT 0")
        assert digest() == b"0" * 40


def test_harmless_debug_needs_no_permission(service):
    with service(business_allow_crash_test="no").raw() as wire:
        assert wire.call("DEBUG", "SLEEP", "0") == b"OK"
        assert wire.call("DEBUG", "SET-ACTIVE-EXPIRE", "1") == b"OK"
        assert wire.call("DEBUG", "STRINGMATCH-LEN", "a*b", "acb") == 1
        assert wire.call("DEBUG", "STRINGMATCH-LEN", "a*b", "ac") == 0
        with pytest.raises(ReplyError, match="allow_crash_test"):
            wire.call("DEBUG", "POPULATE", "10")


def test_keys_do_not_expire_by_themselves_when_told_not_to(service):
    with service().raw() as wire:
        wire.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
        wire.call("SET", "a", "1", "PX", "1")
        time.sleep(0.5)
        assert wire.call("DBSIZE") == 1
        crash(wire)
        wire.call("DEBUG", "SET-ACTIVE-EXPIRE", "1")
        wait_until(lambda: wire.call("DBSIZE") == 0, "it expires")
