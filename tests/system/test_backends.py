# SPDX-License-Identifier: MIT
"""What each backend needs and what it outlives. The table of docs/memory.md is
read and held to."""
import os
import re
import signal
import subprocess

import pytest
from backends import (BACKENDS, IPC_CREAT, IPC_EXCL, arena_mapping,
                      arena_path, arena_row, change_boot_id, libc,
                      remove_sysv, sysv_id, table, what_stands)
from service import BUILD


# ---- what is in the way ----

def test_a_key_of_somebody_else_is_refused_with_whose_it_is(backed):
    kv = backed("sysv", arena_key="0x52460a0b")
    shmid = libc.shmget(0x52460a0b, 8192, IPC_CREAT | IPC_EXCL | 0o666)
    assert shmid >= 0
    try:
        code, said = kv.start_refused()
        assert code != 0
        assert f"key 0x52460a0b, id {shmid}, made by process {os.getpid()} " \
            f"of user {os.geteuid()}, permission 0666" in said, said
        assert "(ipcs -m)" in said and "choose another arena.key" in said
    finally:
        remove_sysv(shmid)


def test_a_path_that_holds_something_else_costs_nobody_his_file(backed):
    for backend in ("file", "sysv"):
        kv = backed(backend)
        path = kv.directory / f"{backend}.letter"
        path.write_text("Dear reader")
        kv.configure(arena_path=path)
        code, said = kv.start_refused()
        assert code != 0 and str(path) in said, said
        assert path.read_text() == "Dear reader"


@pytest.mark.parametrize("backend", ("posix", "memfd", "file"))
def test_a_limit_that_would_be_a_signal_is_told_before(backed, backend):
    kv = backed(backend)
    kv.wrapper = ["prlimit", "--fsize=20000000"]
    code, said = kv.start_refused()
    assert code == 71 and "ulimit -f unlimited" in said, said
    assert not what_stands(kv)
    checked = subprocess.run(
        [*kv.wrapper, BUILD / "reforkd", "--check", "-c", kv.ini_path],
        capture_output=True, text=True, timeout=20)
    assert "ulimit -f unlimited" in checked.stdout


# ---- how much, and which pages ----

def test_what_is_reserved_is_there_from_the_start(backed):
    for backend in BACKENDS:
        kv = backed(backend, arena_reserve="yes").start()
        whole = kv.status()["arena_max_bytes"]
        assert arena_row(kv)["backed_bytes"] >= whole
        kv.stop()


@pytest.mark.parametrize("backend", ("memfd", "sysv"))
def test_an_arena_of_huge_pages_survives_crashes(backed, pool, backend):
    kv = backed(backend, arena_huge_pages="require").start()
    assert re.search(r"^KernelPageSize: +2048 kB",
                     arena_mapping(kv.business_pid), re.MULTILINE)
    with kv.raw() as wire:
        for i in range(1, 6):
            assert wire.call("INCR", "n") == i
            os.kill(kv.business_pid, signal.SIGSEGV)
        assert wire.call("GET", "n") == b"5"
    before = arena_row(kv)["backed_bytes"]
    kv.control("arena", "verify")
    if backend == "memfd":      # who reads it leaves its holes alone
        assert arena_row(kv)["backed_bytes"] == before
    else:
        kv.kill9()
        kv.start()
        with kv.raw() as wire:
            assert wire.call("GET", "n") == b"5"


def test_a_pool_that_is_too_small_is_told_with_the_number(backed):
    kv = backed("memfd", arena_huge_pages="require", arena_max="128G",
                arena_size="128G")
    code, said = kv.start_refused()
    assert code == 71
    assert re.search(r"sysctl vm.nr_hugepages=\d{5}", said), said


# ---- the table of docs/memory.md ----

MIB = b"x" * (1 << 20)


def what_is_left(kv):
    """After a start: whether the state is there."""
    kv.start()
    with kv.raw() as wire:
        there = wire.call("GET", "a") == b"b"
        wire.call("SET", "a", "b")
    return "survives" if there else "lost"


def after_a_crash(kv):
    with kv.raw() as wire:
        os.kill(kv.business_pid, signal.SIGSEGV)
        return "survives" if wire.call("GET", "a") == b"b" else "lost"


def after_a_killed_supervisor(kv):
    kv.kill9()
    return what_is_left(kv)


def end(kv, on_stop):
    kv.configure(arena_on_stop=on_stop)
    kv.control("reload")
    kv.process.terminate()
    assert kv.process.wait(20) == 0


def after_a_stop(kv, on_stop):
    end(kv, on_stop)
    return what_is_left(kv)


def go_down_and_up(kv):
    """What a reboot does to what stands: memory goes, a file's pages were
    written, and the machine's run is another."""
    for trace in what_stands(kv):
        if isinstance(trace, int):
            remove_sysv(trace)
        elif trace.parent.samefile("/dev/shm"):
            trace.unlink()
        elif kv.settings["arena_backend"] == "file":
            change_boot_id(trace)


def after_a_reboot(kv):
    end(kv, None)
    go_down_and_up(kv)
    return what_is_left(kv)


def after_a_power_loss(kv):
    kv.kill9()
    go_down_and_up(kv)
    if kv.settings["arena_backend"] != "file":
        return what_is_left(kv)
    _, said = kv.start_refused()
    assert "it is torn: the machine went down" in said
    kv.control("arena", "release", arena_path(kv))
    kv.start()
    return "refused"


def can_grow(kv):
    before = kv.status()["arena_size_bytes"]
    with kv.raw() as wire:
        for i in range(24):
            wire.send("SET", f"chunk{i}", MIB)
        for i in range(24):
            wire.read()
        wire.call("FLUSHALL")
        wire.call("SET", "a", "b")
    return "yes" if kv.status()["arena_size_bytes"] > before else "no"


def takes_from_the_pool(kv):
    checked = subprocess.run(
        [BUILD / "reforkd", "--check", "-c", kv.ini_path,
         "-o", "arena.huge_pages=require"], capture_output=True, text=True)
    return "no" if "only memfd and sysv take memory" in checked.stdout + \
        checked.stderr else "yes"


def core_bit(kv):
    """core(5): that of shared memory without a name, or of a file that has
    one. That it is told to dump at all is in the flags of the mapping."""
    mapping = arena_mapping(kv.business_pid)
    flags = re.findall(r"^VmFlags:(.*)$", mapping, re.MULTILINE)
    assert any(" dd" not in these for these in flags)
    return "1" if "(deleted)" in mapping.split("\n")[0] else "3"


def where_it_is_seen(kv):
    if [path for path in kv.segments() if ":status" not in path.name]:
        return "/dev/shm"
    if sysv_id(arena_path(kv)) is not None:
        assert str(sysv_id(arena_path(kv))) in subprocess.run(
            ["ipcs", "-m"], capture_output=True, text=True).stdout.split()
        return "ipcs"
    if arena_path(kv).exists():
        return "its path"
    assert f"/memfd:/refork-{kv.name}" in arena_mapping(kv.business_pid)
    return "/proc"


ROWS = {
    "a crash of the business child": after_a_crash,
    "visible in": where_it_is_seen,
    "core dumps: bit of coredump_filter": core_bit,
    "`huge_pages = require`": takes_from_the_pool,
    "can grow to `arena.max`": can_grow,
    "SIGKILL of the supervisor": after_a_killed_supervisor,
    "a restart, `on_stop = keep`": lambda kv: after_a_stop(kv, "keep"),
    "a restart, `on_stop = auto`": lambda kv: after_a_stop(kv, None),
    "a reboot after a stop": after_a_reboot,
    "a reboot without one": after_a_power_loss,
}
# Held by other tests: these two, and that of CRIU.
ELSEWHERE = {"kept aside after a cold start", "CRIU"}


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_table_of_the_page_on_memory_is_true(backed, backend):
    rows = table()
    assert set(rows) == set(ROWS) | ELSEWHERE
    kv = backed(backend, arena_core="include").start()
    with kv.raw() as wire:
        wire.call("SET", "a", "b")
    seen = {row: find(kv) for row, find in ROWS.items()}
    assert seen == {row: rows[row][backend] for row in ROWS}
    kv.configure(arena_on_stop="release")
    kv.control("reload")
