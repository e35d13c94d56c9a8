# SPDX-License-Identifier: MIT
"""Writes that must not be: outside of a transaction, and not logged."""
import json
import os
import signal
from pathlib import Path

import pytest
from service import BUILD, ReplyError, wait_until

WORKER = str(BUILD / "workers" / "stray.so")
BASE = 0x566000000000
ROOT_BYTES = 64

needs_keys = pytest.mark.skipif(
    " pku" not in Path("/proc/cpuinfo").read_text(),
    reason="this machine has no protection keys (pku in /proc/cpuinfo)")


@pytest.fixture
def stray(service, tmp_path):
    """stray(*files, **overrides): a service of that worker."""
    def make(*files, **overrides):
        for name in files:
            (tmp_path / name).touch()
        return service(refork_worker=WORKER, refork_worker_args=tmp_path,
                       **{"business_standby": "0", **overrides})
    return make


def crash(kv, crash_id=1):
    """The record, once it is complete."""
    def complete():
        shown = kv.control("--json", "crash", "show", str(crash_id),
                           check=False)
        record = json.loads(shown.stdout) if shown.returncode == 0 else {}
        return record.get("backtrace_complete") and record
    return wait_until(complete, f"crash record {crash_id} is complete")


def assert_stray(record, address, root, what):
    assert record["signal"] == "SIGSEGV", record
    assert record["reason"] == "written outside of a transaction"
    assert record["stray_address"] == hex(address)
    assert record["stray"].startswith(what), record["stray"]
    in_root = root <= address < root + ROOT_BYTES
    assert record["stray_slot"] == ("stray" if in_root else "")
    assert record["stray_offset"] == (address - root if in_root else 0)


# Where, from the base or from the root, and what the record calls it.
PLACES = {
    "root": (None, 24, "byte 24 of a block of 64 at "),
    "superblock": (BASE, 4096, "the superblock"),
    "undo log": (BASE, 40000, "the undo log"),
    "heap metadata": (BASE, 0x1008000, "heap metadata"),
}


@needs_keys
@pytest.mark.parametrize("place", PLACES)
def test_a_stray_write_of_a_thread_is_a_crash_that_names_its_aim(
        stray, place):
    kv = stray("thread", arena_guard="pkey")
    base, offset, what = PLACES[place]
    with kv.raw() as wire:
        assert wire.call("COUNT") == 1
        root = wire.call("WHERE")
        address = (base or root) + offset
        wire.call("POKE", "thread", address)
        record = crash(kv)
        assert_stray(record, address, root, what)
        assert "poke+0x" in record["where"], record["where"]
        page = kv.control("crash", "show", "1").stdout
        assert f"memory     {address:#x}: {what}" in page
        assert wire.call("COUNT") == 2
        assert wire.call("WHERE") == root
    assert kv.status()["crashes"] == 1


@needs_keys
def test_a_hook_that_may_only_read_is_stopped_and_nothing_is_lost(stray):
    kv = stray(arena_guard="pkey")
    with kv.raw() as wire:
        root = wire.call("WHERE")
        wire.call("POKE", "ahead", root + 16)
        replies = wire.pipeline([["COUNT", "x"]] * 20)
        if kv.status()["crashes"] == 0:      # they came one by one
            replies += wire.pipeline([["COUNT", "x"]] * 2000)
        assert replies == list(range(1, len(replies) + 1))
        assert_stray(crash(kv), root + 16, root, "byte 16 of a block")


@needs_keys
def test_it_is_stopped_between_two_requests_of_a_batch_too(stray):
    kv = stray(arena_guard="pkey")
    with kv.raw() as wire:
        root = wire.call("WHERE")
        # The count itself: it would be wrong from there on.
        replies = wire.pipeline([["POKE", "ahead", root]] +
                                [["COUNT", "x"]] * 40)
        if kv.status()["crashes"] == 0:      # they came one by one
            replies += wire.pipeline([["COUNT", "x"]] * 2000)
        assert replies[1:] == list(range(1, len(replies)))
        assert_stray(crash(kv), root, root, "byte 0 of a block")


@needs_keys
@pytest.mark.parametrize("standby", [0, 1])
def test_a_start_hook_that_writes_dies_of_it_and_the_next_one_serves(
        stray, tmp_path, standby):
    kv = stray(arena_guard="pkey", business_standby=standby)
    with kv.raw() as wire:
        root = wire.call("WHERE")
        wire.call("POKE", "start", root + 40)
        (tmp_path / "start").touch()
        os.kill(kv.business_pid, signal.SIGKILL)
        assert wire.call("COUNT") == 1
        wait_until(lambda: kv.status()["crashes"] >= 2, "both are counted")
        records = [crash(kv, number) for number in (1, 2)]
        found = [record for record in records if record["stray"]]
        assert len(found) == 1
        assert_stray(found[0], root + 40, root, "byte 40 of a block")
        assert found[0]["phase"] == "start"


@needs_keys
@pytest.mark.parametrize("backend", ["memfd", "sysv"])
def test_an_arena_of_huge_pages_is_guarded_too(stray, pool, backend):
    kv = stray("thread", arena_guard="pkey", arena_backend=backend,
               arena_huge_pages="require", arena_on_stop="release",
               arena_max="64M" if backend == "memfd" else None)
    with kv.raw() as wire:
        root = wire.call("WHERE")
        assert wire.call("COUNT") == 1
        wire.call("POKE", "thread", root + 24)
        assert_stray(crash(kv), root + 24, root, "byte 24 of a block")
        assert wire.call("COUNT") == 2


def test_without_a_guard_it_goes_unnoticed(stray):
    kv = stray("thread", arena_guard="off")
    with kv.raw() as wire:
        root = wire.call("WHERE")
        wire.call("POKE", "thread", root)    # the count itself
        wait_until(lambda: wire.call("COUNT") % 2 == 0, "it is off by one",
                   every_s=0.05)
    assert kv.status()["crashes"] == 0


@needs_keys
def test_the_guard_follows_the_configuration_at_the_next_fork(stray):
    kv = stray("thread", arena_guard="off")
    kv.configure(arena_guard="pkey")
    kv.control("reload")
    with kv.raw() as wire:
        root = wire.call("WHERE")
        before = kv.business_pid
        kv.control("restart", "business")
        kv.wait_for_successor(before)
        wire.call("POKE", "thread", root + 24)
        assert_stray(crash(kv), root + 24, root, "byte 24 of a block")


@pytest.mark.parametrize("guard", ["off", "auto"])
def test_an_unlogged_change_is_found_undone_and_put_aside(stray, guard):
    kv = stray(arena_undo_check="yes", arena_guard=guard)
    with kv.raw() as wire:
        root = wire.call("WHERE")
        assert wire.call("COUNT") == 1
        wire.send("FORGET")
        reply = wire.read()
        assert isinstance(reply, ReplyError)
        assert str(reply).startswith("CRASHED ")
        assert wire.call("COUNT") == 2
    address = root + 16 + 2 * 8
    for number in (1, 2):
        record = crash(kv, number)
        assert record["signal"] == "SIGABRT"
        assert record["reason"] == "changed in a transaction, not logged first"
        assert record["stray_address"] == hex(address)
        assert record["stray_slot"] == "stray"
        assert record["stray_offset"] == address - root
        # The second attempt has found the same old bytes: they were put back.
        assert record["stray_change"] == "2 bytes: 0000 -> 4241"
        assert "stray_request+0x" in record["where"]
    page = kv.control("crash", "show", "1").stdout
    assert "change     2 bytes: 0000 -> 4241" in page
    kv.wait_for_log(rf"undo check: 2 bytes at {address:#x}, byte 32 of a block"
                    r" of 64, the root of slot 'stray'")


def test_with_undo_check_a_write_outside_needs_no_key_to_be_stopped(stray):
    kv = stray("thread", arena_undo_check="yes", arena_guard="off")
    with kv.raw() as wire:
        root = wire.call("WHERE")
        wire.call("POKE", "thread", root + 24)
        assert_stray(crash(kv), root + 24, root, "byte 24 of a block")
        assert wire.call("COUNT") == 1


@pytest.mark.parametrize("backend", ["posix", "memfd", "sysv", "file"])
def test_the_undo_check_stands_an_arena_that_grows_and_shrinks(
        service, backend):
    grows = backend != "sysv"
    kv = service(arena_undo_check="yes", arena_backend=backend,
                 arena_size="16M", arena_max="64M" if grows else None,
                 arena_on_stop="release")
    with kv.raw() as wire:
        names = range(20 if grows else 6)
        for name in names:
            assert wire.call("SET", f"large:{name}", "x" * (1 << 20)) == b"OK"
        for name in names:
            assert wire.call("DEL", f"large:{name}") == 1
        assert wire.call("SET", "small", "y") == b"OK"
        os.kill(kv.business_pid, signal.SIGSEGV)
        assert wire.call("GET", "small") == b"y"
    kv.control("arena", "verify")
    assert kv.status()["crashes"] == 1
