# SPDX-License-Identifier: MIT
"""Memory that runs out, and memory that comes from elsewhere."""
import os
import signal
import subprocess

import pytest
from service import ReplyError, wait_until

CHUNK = b"x" * (1 << 20)


def fill(wire):
    """SET one MiB after the other until that is refused: (how many, why)."""
    for count in range(4096):
        wire.send("SET", f"chunk{count}", CHUNK)
        reply = wire.read()
        if isinstance(reply, ReplyError):
            return count, str(reply)
    raise AssertionError("it never became full")


def assert_full_is_an_error_and_nothing_more(kv):
    business = kv.business_pid
    with kv.raw() as wire, kv.raw() as other:
        other.call("SET", "small", "value")
        count, why = fill(wire)
        assert count > 4
        assert why.startswith("OOM "), why
        assert wire.call("DBSIZE") == count + 1
        assert wire.call("STRLEN", f"chunk{count - 1}") == len(CHUNK)
        assert other.call("GET", "small") == b"value"
        for i in range(0, count, 2):
            assert wire.call("DEL", f"chunk{i}") == 1
        for i in range(0, count, 2):
            assert wire.call("SET", f"again{i}", CHUNK) == b"OK"
        os.kill(business, signal.SIGSEGV)
        assert wire.call("GET", "again0") == CHUNK
        used = kv.status()["arena_used_bytes"]
        wire.call("FLUSHALL")
        wait_until(lambda: kv.status()["arena_used_bytes"] < used / 8,
                   "what was flushed is freed")
        again, _ = fill(wire)
        assert again >= count - 1
    assert kv.status()["crashes"] == 1


def test_at_arena_max_a_write_is_refused_and_the_service_lives(service):
    assert_full_is_an_error_and_nothing_more(service(arena_max="40M"))


def test_small_values_fill_the_arena_and_leave_it_again(service):
    kv = service(arena_max="24M")
    client = kv.client()
    with kv.raw() as wire:
        for round_ in range(3):
            count = 0
            full = False
            while not full:
                replies = wire.pipeline([
                    ("SET", f"key:{round_}:{count + i}", "x" * 100)
                    for i in range(500)])
                full = any(isinstance(reply, ReplyError) for reply in replies)
                assert all(reply == b"OK" or str(reply).startswith("OOM ")
                           for reply in replies)
                count += 500
            assert wire.call("DBSIZE") > 20_000
            for start in range(0, count, 500):
                wire.call("DEL", *(f"key:{round_}:{start + i}"
                                   for i in range(500)))
            assert wire.call("DBSIZE") == 0
    assert client.ping()


@pytest.fixture
def small_shm(tmp_path):
    """A command line that runs another with a /dev/shm of its own."""
    def wrapper(size):
        return ["unshare", "--mount", "sh", "-c",
                f"mount -t tmpfs -o size={size} tmpfs /dev/shm && exec \"$@\"",
                "sh"]
    probe = subprocess.run([*wrapper("1m"), "true"], capture_output=True,
                           text=True)
    if probe.returncode != 0:
        pytest.skip(f"no private /dev/shm here: {probe.stderr.strip()}")
    return wrapper


def test_a_start_that_does_not_fit_into_shm_is_refused(daemon, small_shm):
    kv = daemon(wrapper=small_shm("8m"), arena_size="16M")
    code, said = kv.start_refused()
    assert code != 0
    assert "/dev/shm" in said and "16 MiB" in said, said


def test_a_full_shm_refuses_a_write_and_the_service_lives(service, small_shm):
    kv = service(wrapper=small_shm("40m"), arena_size="16M", arena_max="1G")
    assert_full_is_an_error_and_nothing_more(kv)
    assert list_shm(kv)
    # What its /dev/shm held is seen through the supervisor, while it lives.
    kv.control("shutdown")
    kv.process.wait(30)


def list_shm(kv):
    return os.listdir(f"/proc/{kv.supervisor_pid}/root/dev/shm")


def test_the_memfd_backend_survives_crashes_and_needs_no_name(service):
    kv = service(arena_backend="memfd")
    assert not kv.segments()
    with kv.raw() as wire:
        for i in range(1, 11):
            assert wire.call("INCR", "n") == i
            os.kill(kv.business_pid, signal.SIGKILL)
        assert wire.call("GET", "n") == b"10"


def test_at_arena_max_of_a_memfd_a_write_is_refused_too(service):
    assert_full_is_an_error_and_nothing_more(
        service(arena_backend="memfd", arena_max="40M"))


def test_an_arena_grows_beyond_its_first_size(service):
    kv = service(arena_max="256M")
    assert kv.status()["arena_size_bytes"] < 32 << 20
    with kv.raw() as wire:
        for i in range(100):
            assert wire.call("SET", f"key{i}", CHUNK) == b"OK"
        os.kill(kv.business_pid, signal.SIGKILL)
        for i in range(100):
            assert wire.call("GET", f"key{i}") == CHUNK
    assert kv.status()["arena_size_bytes"] >= 100 << 20


def test_the_supervisor_cannot_touch_the_arena(service):
    """Its mapping is closed after the build."""
    kv = service()
    segment = str(kv.segments()[0])
    modes = [line.split()[1] for line in
             open(f"/proc/{kv.supervisor_pid}/maps")
             if line.split()[-1] == segment]
    assert modes and all(mode.startswith("---") for mode in modes), modes


def test_the_network_child_has_no_mapping_of_the_arena(service):
    kv = service()
    segment = str(kv.segments()[0])
    wait_until(lambda: kv.client().ping(), "it serves")
    assert segment not in open(f"/proc/{kv.network_pid}/maps").read().split()
