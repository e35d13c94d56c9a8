# SPDX-License-Identifier: MIT
"""Core files hold the arena, or not, as arena.core says; and nobody waits for
one that is being written."""
import os
import re
import struct
import time
from pathlib import Path

import pytest
from backends import BACKENDS, remove_all, settings
from cores import WITH_CORES, crash_into_core, find_cores, need_cores
from service import BUILD, wait_until

WORKER = str(BUILD / "workers" / "shelf.so")
BASE, MARKER = 0x566000000000, b"REFARENA"
MIB = 1 << 20
PT_LOAD = 1


def segments_of(core):
    """(address, bytes in the file, where) of each part of a core."""
    with open(core, "rb") as file:
        head = file.read(64)
        phoff, = struct.unpack_from("<Q", head, 32)
        size, count = struct.unpack_from("<HH", head, 54)
        file.seek(phoff)
        table = file.read(size * count)
    for pos in range(0, len(table), size):
        kind, _, where, address, _, filled = struct.unpack_from(
            "<IIQQQQ", table, pos)
        if kind == PT_LOAD:
            yield address, filled, where


def arena_bytes(core):
    """Bytes of the arena in a core, and its first eight."""
    total, first = 0, b""
    for address, filled, where in segments_of(core):
        if BASE <= address < BASE + (1 << 41):
            total += filled
        if address == BASE and filled:
            with open(core, "rb") as file:
                file.seek(where)
                first = file.read(8)
    return total, first


def memory_taken(shelf):
    return shelf.status()["arena_size_bytes"]


@pytest.fixture
def shelf_with(service):
    """Memory of System V has no end of its own: not even a test's."""
    made = []

    def make(backend, **more):
        made.append(service(wrapper=WITH_CORES, refork_worker=WORKER,
                            **settings(backend, **more)))
        return made[-1]

    need_cores()
    yield make
    for shelf in made:
        for core in find_cores(shelf):
            core.unlink()
        shelf.stop()
        remove_all(shelf)


# What a line of /proc/PID/maps ends with.
NAMES = {
    "posix": r"/dev/shm/refork-{name}$",
    "memfd": r"/memfd:/?refork-{name} \(deleted\)$",
    "sysv": r"/SYSV[0-9a-f]{{8}} \(deleted\)$",
    "file": r"{name}\.arena$",
}


def assert_map_names_the_arena(shelf, backend):
    maps = Path(f"/proc/{shelf.business_pid}/maps").read_text()
    line = re.search(rf"^{BASE:x}-.*$", maps, re.MULTILINE)[0]
    assert re.search(NAMES[backend].format(name=shelf.name), line), line


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_core_holds_the_arena_and_no_holes(shelf_with, backend):
    shelf = shelf_with(backend, arena_core="include")
    assert_map_names_the_arena(shelf, backend)
    with shelf.raw() as wire:
        wire.call("GROW", 4)
        wait_until(lambda: memory_taken(shelf) >= 16 * MIB, "it has grown")
        core = crash_into_core(shelf, wire)
        size = memory_taken(shelf)
        total, first = arena_bytes(core)
        core.unlink()
    assert first == MARKER
    # What stands beside the heap: superblock, log, map and entries.
    assert size <= total <= size + 8 * MIB
    if backend == "posix":
        taken = os.stat(f"/dev/shm/refork-{shelf.name}").st_blocks * 512
        assert taken <= size + 8 * MIB


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_core_without_the_arena_is_small(shelf_with, backend):
    shelf = shelf_with(backend, arena_core="exclude")
    with shelf.raw() as wire:
        wire.call("GROW", 4)
        core = crash_into_core(shelf, wire)
    size, (total, _) = core.stat().st_size, arena_bytes(core)
    core.unlink()
    assert total == 0
    assert size < 8 * MIB
    print(f"{backend}: {size >> 10} KiB")


def test_whether_cores_hold_the_arena_changes_with_a_reload(shelf_with):
    shelf = shelf_with("memfd", arena_core="include")
    sizes = []
    with shelf.raw() as wire:
        for setting in ("exclude", "include"):
            shelf.configure(arena_core=setting)
            shelf.control("reload", "--wait")
            for _ in range(2):  # the first standby is of before
                shelf.control("restart", "business")
                wait_until(shelf.standby_is_warm, "the standby has settled")
            core = crash_into_core(shelf, wire)
            sizes.append(arena_bytes(core)[0])
            core.unlink()
    assert sizes[0] == 0 and sizes[1] > 0


def test_service_goes_on_while_a_large_core_is_written(shelf_with):
    shelf = shelf_with("posix", arena_core="include", arena_size="256M",
                       arena_max="1G")
    with shelf.raw() as wire:
        wire.call("GROW", 200)
        wait_until(shelf.standby_is_warm, "the standby has mapped it all")
        victim = shelf.status()["business_pid"]
        began = time.monotonic()
        wire.call("CRASH")
        answered_ms = (time.monotonic() - began) * 1000
        written_then = sum(core.stat().st_size for core in find_cores(shelf))
        wait_until(lambda: not Path(f"/proc/{victim}").exists(),
                   "it is dead", every_s=0.001)
        whole_ms = (time.monotonic() - began) * 1000
    core, = find_cores(shelf)
    size = core.stat().st_size
    blocks = core.stat().st_blocks * 512
    core.unlink()
    print(f"answered after {answered_ms:.2f} ms, {size >> 20} MiB of core "
          f"({blocks >> 20} on the disk) after {whole_ms:.0f} ms")
    assert blocks > 200 * MIB
    assert written_then < size
    told = re.compile(r"serving again after ([\d.]+) ms")
    wait_until(lambda: told.search(shelf.log()), "it is told")
    pause_ms = float(told.search(shelf.log())[1])
    assert pause_ms < 5
    assert answered_ms < whole_ms / 2
