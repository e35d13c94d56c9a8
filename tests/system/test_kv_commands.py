# SPDX-License-Identifier: MIT
"""The kv worker answers as redis does, byte for byte.

The oracle are the transcripts in commands/; where a redis-server is installed
they are checked as well.

    test_kv_commands.py --record [FAMILY ...]   write redis's replies into them
"""
import random
import re
import sys
import time

import pytest
from service import ReplyError, decode, encode, is_alive, wait_until
from transcript import FOLDER, REDIS, Redis, play, raw_reply, read_transcript
from transcript import record

needs_redis = pytest.mark.skipif(not REDIS, reason="no redis-server to compare")
FAMILIES = sorted(path.stem for path in FOLDER.glob("*.txt")
                  if path.stem != "README")


@pytest.fixture(scope="module")
def redis():
    server = Redis()
    yield server
    server.stop()


def assert_as_recorded(server, family, proto):
    for scenario in read_transcript(family)[1]:
        for step, got in zip(scenario.steps, play(scenario, server, proto)):
            if step.replies:
                assert got == step.reply(proto), f"{scenario.name}: {step.line}"


@pytest.mark.parametrize("family", FAMILIES)
def test_every_reply_is_that_of_the_transcript(service, family):
    kv = service()
    for proto in (2, 3):
        assert_as_recorded(kv, family, proto)
    assert kv.status()["crashes"] == 0


@needs_redis
@pytest.mark.parametrize("family", FAMILIES)
def test_the_transcript_is_what_redis_answers(redis, family):
    with redis.raw() as wire:
        info = wire.call("INFO", "server").decode()
    if "redis_version:7.0." not in info:
        pytest.skip("the redis-server installed is not 7.0")
    for proto in (2, 3):
        assert_as_recorded(redis, family, proto)


# ---- what no transcript can say ----

def test_a_scan_sees_every_key_that_stays(service):
    with service().raw() as wire:
        stay = {b"stay:%d" % i for i in range(3000)}
        wire.pipeline([["SET", key, "1"] for key in stay])
        seen, cursor, round_ = set(), b"0", 0
        while True:
            cursor, keys = wire.call("SCAN", cursor, "COUNT", "20")
            seen.update(keys)
            if cursor == b"0":
                break
            # Grow to several times the size, then shrink again.
            verb = ["SET", "1"] if round_ < 60 else ["DEL"]
            first = round_ % 60 * 200
            wire.pipeline([[verb[0], f"come:{i}", *verb[1:]]
                           for i in range(first, first + 200)])
            round_ += 1
        assert stay <= seen


def test_scan_with_a_pattern_returns_what_keys_returns(service):
    with service().raw() as wire:
        wire.pipeline([["SET", f"key:{i}", "1"] for i in range(1000)])
        found, cursor = [], b"0"
        while True:
            cursor, keys = wire.call("SCAN", cursor, "MATCH", "*7?")
            found += keys
            if cursor == b"0":
                break
        assert sorted(found) == sorted(wire.call("KEYS", "*7?"))
        assert len(found) == 100


def test_every_key_comes_up_at_random(service):
    with service().raw() as wire:
        wire.pipeline([["SET", str(i), "1"] for i in range(50)])
        drawn = set(wire.pipeline([["RANDOMKEY"]] * 2000))
        assert len(drawn) == 50


def test_expired_keys_go_by_themselves(service):
    with service().raw() as wire:
        wire.pipeline([["SET", f"go:{i}", "1", "PX", str(50 + i % 500)]
                       for i in range(5000)])
        wire.pipeline([["SET", f"stay:{i}", "1", "EX", "100"]
                       for i in range(100)])
        wait_until(lambda: wire.call("DBSIZE") == 100, "5000 keys expire")
        assert b"expired_keys:5000\r\n" in wire.call("INFO", "stats")
        assert b"keys=100,expires=100," in wire.call("INFO", "keyspace")


def used_bytes(wire):
    info = wire.call("INFO", "memory").decode()
    return int(re.search(r"used_memory:(\d+)", info)[1])


def test_flushed_memory_comes_back_by_itself(service):
    with service(arena_max="64M").raw() as wire:
        before = used_bytes(wire)
        for _ in range(3):              # three times what the arena holds
            for batch in range(20):
                wire.pipeline([["SET", f"{batch}:{i}", "x" * 1000,
                                *(["EX", "1000"] if i % 2 else [])]
                               for i in range(1500)])
            assert wire.call("DBSIZE") == 30000
            assert wire.call("FLUSHALL") == b"OK"
            assert wire.call("DBSIZE") == 0
            wait_until(lambda: used_bytes(wire) < before + 10_000,
                       "memory comes back")


def test_a_crash_while_flushing_goes_on_flushing(service):
    with service().raw() as wire:
        before = used_bytes(wire)
        wire.pipeline([["SET", str(i), "x" * 100] for i in range(50000)])
        wire.send_raw(encode("FLUSHALL") + encode("DEBUG", "SEGFAULT"))
        assert wire.read() == b"OK"
        assert str(wire.read()).startswith("CRASHED")
        assert wire.call("DBSIZE") == 0
        wait_until(lambda: used_bytes(wire) < before + 10_000,
                   "memory comes back")


def test_dying_in_the_middle_of_a_change_leaves_nothing_of_it(service):
    kv = service()
    with kv.raw() as wire:
        wire.pipeline([["SET", str(i), "v"] for i in range(20)])
        wire.call("EXPIRE", "1", "1000")
    for _ in range(3):
        with kv.raw() as wire:
            with pytest.raises(ReplyError, match="CRASHED"):
                wire.call("DEBUG", "OOPS-IN-TX")
            assert wire.call("DBSIZE") == 20
            assert wire.call("EXISTS", "oops") == 0
            assert sorted(wire.call("KEYS", "*")) == \
                sorted(str(i).encode() for i in range(20))


def test_crash_tests_need_the_configuration_to_allow_them(service):
    kv = service(business_allow_crash_test="no")
    pid = kv.business_pid
    with kv.raw() as wire:
        for how in ("SEGFAULT", "ABORT", "SPIN", "OOPS-IN-TX"):
            with pytest.raises(ReplyError, match=r"allow_crash_test = yes in "
                                                 r"the section \[business\]"):
                wire.call("DEBUG", how)
    assert is_alive(pid)


def test_hello_changes_the_protocol_and_says_who_answers(service):
    with service().raw() as wire:
        two = wire.call("HELLO")
        assert wire.call("GET", "x") is None
        wire.send("HELLO", "3", "SETNAME", "me", "AUTH", "default", "any")
        raw = raw_reply(wire)
        assert raw.startswith(b"%7\r\n")
        three = decode(raw)[0]
        assert two[0::2] == three[0::2] == [
            b"server", b"version", b"proto", b"id", b"mode", b"role",
            b"modules"]
        assert (two[5], three[5]) == (2, 3)
        assert two[7] == three[7] == wire.call("CLIENT", "ID")
        assert wire.call("CLIENT", "GETNAME") == b"me"
        wire.send("GET", "x")
        assert raw_reply(wire) == b"_\r\n"


def test_each_connection_has_an_id_and_a_name_of_its_own(service):
    kv = service()
    with kv.raw() as one, kv.raw() as two:
        assert one.call("CLIENT", "ID") != two.call("CLIENT", "ID")
        assert one.call("CLIENT", "SETNAME", "one") == b"OK"
        assert one.call("CLIENT", "SETINFO", "lib-name", "wire") == b"OK"
        assert one.call("CLIENT", "SETINFO", "LIB-VER", "1.0") == b"OK"
        with pytest.raises(ReplyError, match="Unrecognized option 'x'"):
            one.call("CLIENT", "SETINFO", "x", "y")
        info = one.call("CLIENT", "INFO").decode()
        assert "name=one " in info and "lib-name=wire lib-ver=1.0" in info
        assert "addr=127.0.0.1:" in info
        assert two.call("CLIENT", "GETNAME") is None
    with kv.raw() as three:
        assert three.call("CLIENT", "GETNAME") is None


def test_quit_is_answered_before_the_end(service):
    with service().raw() as wire:
        wire.send_raw(encode("SET", "a", "1") + encode("QUIT") +
                      encode("SET", "a", "2"))
        assert wire.read_to_end() == b"+OK\r\n+OK\r\n"


def test_time_is_now(service):
    with service().raw() as wire:
        seconds, microseconds = (int(n) for n in wire.call("TIME"))
        assert abs(seconds + microseconds / 1e6 - time.time()) < 10


def test_info_tells_of_the_service(service):
    kv = service()
    with kv.raw() as wire:
        wire.call("SET", "a", "1")
        info = wire.call("INFO").decode()
        sections = re.findall(r"^# (\w+)\r$", info, re.M)
        assert sections == ["Server", "Clients", "Memory", "Persistence",
                            "Stats", "Replication", "CPU", "Modules",
                            "Errorstats", "Cluster", "Keyspace", "Refork"]
        for line in ("redis_version:7.0.", "connected_clients:1\r",
                     "db0:keys=1,expires=0", "crashes:0\r",
                     f"service:{kv.name}\r",
                     f"supervisor_pid:{kv.supervisor_pid}\r",
                     f"business_pid:{kv.business_pid}\r",
                     f"network_pid:{kv.network_pid}\r",
                     f"arena_max_bytes:{64 << 20}\r"):
            assert f"\n{line}" in info, line
        assert wire.call("INFO", "nothing") == b""
        assert wire.call("INFO", "CLIENTS", "x").startswith(b"# Clients")
        assert wire.call("INFO", "everything").decode().count("# ") == 13


def test_config_get_shows_the_ini_under_the_names_of_redis(service):
    kv = service(network_max_clients="123", network_tcp_keepalive="2min",
                 network_max_request="1M", network_client_idle_timeout="1h")
    with kv.raw() as wire:
        def get(name):
            return wire.call("CONFIG", "GET", name)[1].decode()
        assert get("maxclients") == "123"
        assert get("tcp-keepalive") == "120"
        assert get("timeout") == "3600"
        assert get("proto-max-bulk-len") == str(1 << 20)
        assert get("maxmemory") == str(64 << 20)
        assert get("port") == str(kv.port)
        with pytest.raises(ReplyError, match="string exceeds maximum"):
            wire.call("SETRANGE", "a", (1 << 20) - 1, "xx")
        assert wire.call("SETRANGE", "a", (1 << 20) - 2, "xx") == 1 << 20


def test_command_lists_what_there_is(service):
    with service().raw() as wire:
        names = {command[0] for command in wire.call("COMMAND")}
        assert len(names) == wire.call("COMMAND", "COUNT")
        assert names == {name for name in wire.call("COMMAND", "LIST")
                         if b"|" not in name}
        for name in names - {b"quit"}:
            try:
                wire.call(name, *["x"] * 20)
            except ReplyError as error:
                assert "unknown command" not in str(error), name


def test_help_lists_the_subcommands(service):
    with service().raw() as wire:
        for command in ("CLIENT", "CONFIG", "COMMAND", "DEBUG"):
            first, *lines = wire.call(command, "HELP")
            assert first.startswith(command.encode() + b" <subcommand>")
            names = [line.split()[0] for line in lines
                     if not line.startswith(b"    ")]
            assert len(names) * 2 == len(lines)
            for name in names:
                if command != "DEBUG":
                    try:
                        wire.call(command, name)
                    except ReplyError as error:
                        assert "unknown subcommand" not in str(error)
        assert b"OOPS-IN-TX" in names


def test_a_full_arena_can_still_be_read_emptied_and_filled(service):
    with service(arena_size="16M", arena_max="16M").raw() as wire:
        for _ in range(3):
            replies = wire.pipeline([["SET", f"k:{i}", "x" * 1000]
                                     for i in range(30000)])
            refused = [str(reply) for reply in replies if reply != b"OK"]
            assert refused and all(r.startswith("OOM") for r in refused)
            assert wire.call("DBSIZE") == replies.count(b"OK") > 5000
            assert wire.call("GET", "k:0") == b"x" * 1000
            assert wire.call("EXPIRE", "k:1", "0") == 1
            assert wire.call("DEL", "k:2") == 1
            assert wire.call("FLUSHALL") == b"OK"
            wait_until(lambda: used_bytes(wire) < 2 << 20, "it is empty")


def test_python_redis_works_unchanged(service):
    client = pytest.importorskip("redis").Redis(port=service().port)
    with client:
        assert client.set("a", "1", ex=100) is True
        assert client.incr("a", 5) == 6
        assert client.mget("a", "b") == [b"6", None]
        assert 90 < client.ttl("a") <= 100
        assert client.mset({f"k{i}": i for i in range(100)}) is True
        assert len(list(client.scan_iter("k*", count=7))) == 100
        assert client.info()["db0"]["keys"] == 101
        assert client.config_get("max*")["maxclients"] == "10000"
        assert client.command()["get"]["arity"] == 2
        assert client.client_setname("me") is True
        assert client.client_getname() == "me"
        with client.pipeline(transaction=False) as pipe:
            assert pipe.get("k1").get("k2").execute() == [b"1", b"2"]
        assert client.randomkey() is not None
        assert client.flushall() is True
        assert client.dbsize() == 0


def test_long_strings_grow_and_shrink_in_place_or_not(service):
    """Each size against a bytes object as the model."""
    choose = random.Random(1)
    model = b""
    with service(arena_max="256M").raw() as wire:
        wire.call("SET", "k", "")
        for _ in range(300):
            piece = bytes([choose.randrange(256)]) * choose.choice(
                (1, 10, 100, 5000, 20000, 300000))
            at = choose.randrange(len(model) + 10)
            if choose.random() < 0.4:
                model += piece
                assert wire.call("APPEND", "k", piece) == len(model)
            elif choose.random() < 0.8:
                model = (model.ljust(at, b"\0")[:at] + piece +
                         model[at + len(piece):])
                assert wire.call("SETRANGE", "k", at, piece) == len(model)
            else:
                model = piece
                wire.call("SET", "k", piece)
            assert wire.call("GET", "k") == model


if __name__ == "__main__" and sys.argv[1:2] == ["--record"]:
    record(sys.argv[2:] or FAMILIES)
