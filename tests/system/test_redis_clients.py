# SPDX-License-Identifier: MIT
"""Clients that were made for redis work unchanged, while the business process
dies under them.

Those from npm are fetched once into the build folder; where that is not
possible their tests are skipped, with the reason.
"""
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from service import ReplyError

HERE = Path(__file__).parent
BENCHMARKS = ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "LPUSH",
              "RPUSH", "LPOP", "RPOP", "SADD", "HSET", "SPOP", "ZADD",
              "ZPOPMIN", "LPUSH (needed to benchmark LRANGE)",
              "LRANGE_100 (first 100 elements)",
              "LRANGE_300 (first 300 elements)",
              "LRANGE_500 (first 500 elements)",
              "LRANGE_600 (first 600 elements)", "MSET (10 keys)"]


def run(*command, stdin=None, timeout=120, **more):
    done = subprocess.run([str(word) for word in command], input=stdin,
                          capture_output=True, text=True, timeout=timeout,
                          **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tool(name):
    if not shutil.which(name):
        pytest.skip(f"no {name} installed")
    return name


def crash(kv):
    """A connection that kills twice is closed, so each has its own."""
    with kv.raw() as wire:
        with pytest.raises(ReplyError, match="CRASHED"):
            wire.call("DEBUG", "SEGFAULT")


# ---- what comes with redis ----

def test_redis_cli_shows_replies_as_ever(service):
    kv = service()

    def cli(*words, **more):
        return run(tool("redis-cli"), "-p", kv.port, *words, **more)

    assert cli("set", "a", "1") == "OK\n"
    assert cli("incr", "a") == "2\n"
    assert cli("rpush", "l", "x", "y") == "2\n"
    assert cli("--no-raw", "lrange", "l", "0", "-1") == '1) "x"\n2) "y"\n'
    assert cli("-3", "--no-raw", "hset", "h", "f", "v") == "(integer) 1\n"
    assert cli("-3", "--no-raw", "hgetall", "h") == '1# "f" => "v"\n'
    assert cli("-n", "3", "set", "b", "1") == "OK\n"
    assert cli("-n", "3", "dbsize") == "1\n"
    assert sorted(cli("--scan").split()) == ["a", "h", "l"]
    assert "3 keys" in cli("--bigkeys") or "Sampled 3 keys" in cli("--bigkeys")
    assert "Sampled 3 keys" in cli("--memkeys")
    protocol = "".join(f"*3\r\n$3\r\nSET\r\n$2\r\nk{i}\r\n$1\r\n{i}\r\n"
                       for i in range(10))
    assert "errors: 0, replies: 10" in cli("--pipe", stdin=protocol)
    assert cli("multi", stdin="") == "OK\n"
    assert cli(stdin="MULTI\nINCR a\nEXEC\n").split() == ["OK", "QUEUED", "3"]


def test_the_full_list_of_redis_benchmark_runs(service):
    kv = service(quarantine_client_limit=0)
    shown = run(tool("redis-benchmark"), "-p", kv.port, "-n", 2000, "-q",
                "-P", 4)
    for name in BENCHMARKS:
        assert f"{name}: " in shown, name
    assert kv.status()["crashes"] == 0


# ---- python ----

def test_python_redis_uses_every_kind_of_value(service):
    redis = pytest.importorskip("redis")
    kv = service(quarantine_client_limit=0)

    with redis.Redis(port=kv.port, decode_responses=True) as client:
        client.rpush("l", *range(300))
        client.hset("h", mapping={f"f{i}": i for i in range(300)})
        client.sadd("s", *range(300))
        client.zadd("z", {f"m{i}": i for i in range(300)})
        crash(kv)
        assert client.lrange("l", 0, -1) == [str(i) for i in range(300)]
        assert client.hgetall("h") == {f"f{i}": str(i) for i in range(300)}
        assert client.smembers("s") == {str(i) for i in range(300)}
        assert client.zrange("z", 0, -1, withscores=True) == [
            (f"m{i}", i) for i in range(300)]
        with client.pipeline(transaction=True) as pipe:
            pipe.watch("l")
            pipe.multi()
            assert pipe.lpop("l").rpop("l").llen("l").execute() == [
                "0", "299", 298]


def test_python_redis_hears_what_is_published_across_a_crash(service):
    redis = pytest.importorskip("redis")
    kv = service(quarantine_client_limit=0)
    with redis.Redis(port=kv.port) as client, client.pubsub() as heard:
        heard.subscribe("news")
        assert heard.get_message(timeout=5)["type"] == "subscribe"
        for i in range(5):
            crash(kv)
            assert client.publish("news", str(i)) == 1
            assert heard.get_message(timeout=5)["data"] == str(i).encode()
        got = []
        waiter = threading.Thread(
            target=lambda: got.append(
                redis.Redis(port=kv.port).blpop(["a", "b"], timeout=10)))
        waiter.start()
        while client.info("clients")["blocked_clients"] == 0:
            pass
        crash(kv)
        assert client.info("clients")["blocked_clients"] == 1
        client.rpush("b", "x")
        waiter.join()
        assert got == [(b"b", b"x")]


# ---- javascript ----

@pytest.fixture(scope="module")
def modules():
    """Where node finds the clients' packages."""
    folder = Path(os.environ.get("REFORK_BUILD", "build")).resolve() / "js"
    if not (folder / "node_modules" / "ioredis").exists():
        folder.mkdir(parents=True, exist_ok=True)
        fetched = subprocess.run(
            [tool("npm"), "install", "--no-audit", "--no-fund", "--prefix",
             str(folder), "redis", "ioredis"], capture_output=True,
            text=True, timeout=120)
        if fetched.returncode != 0:
            pytest.skip("npm cannot fetch the clients: " +
                        fetched.stderr.strip().splitlines()[-1])
    return folder


@pytest.mark.parametrize("script, proto", [
    ("node_redis.mjs", 2), ("node_redis.mjs", 3), ("ioredis.mjs", 2)])
def test_clients_of_node_work_unchanged(service, modules, script, proto):
    kv = service(quarantine_client_limit=0)
    copied = modules / script # modules are looked for beside the script
    copied.write_text((HERE / "js" / script).read_text())
    assert run(tool("node"), copied, kv.port, proto) == "all is well\n"
    assert kv.status()["quarantined"] > 5
