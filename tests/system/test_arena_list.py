# SPDX-License-Identifier: MIT
"""What stands on a machine: listed, released by its name, kept aside."""
import ctypes
import os
import re
import signal
import time

import pytest
from backends import (SURVIVORS, arena_path, arena_row, change_boot_id, libc,
                      listed, sysv_id, table, what_stands)
from service import TEST_WORKER


@pytest.mark.parametrize("backend", SURVIVORS)
def test_a_segment_is_listed_and_released_by_name(backed, backend):
    kv = backed(backend).start()
    row = arena_row(kv)
    assert (row["backend"], row["worker"], row["pid"], row["title"]) == \
        (backend, "kv", kv.supervisor_pid, f"refork: {kv.name} supervisor")
    assert row["held"] == row["fits"] == 1
    assert 16 << 20 <= row["backed_bytes"] <= 32 << 20
    refused = kv.control("arena", "release", row["name"], check=False)
    assert refused.returncode == 1
    assert f"in use by process {kv.supervisor_pid}" in refused.stderr
    kv.kill9()
    assert arena_row(kv, kv.ini_path)["held"] == 0
    wrong = kv.control("arena", "release", row["name"][:-1] + "%",
                       check=False)
    assert wrong.returncode == 1 and "no segment is called" in wrong.stderr
    if backend == "posix":
        assert f"did you mean {row['name']}?" in wrong.stderr
    beside = len(listed(kv, kv.ini_path))
    name = row["name"] if backend == "posix" else row["path"]
    kv.control("arena", "release", name)
    assert len(listed(kv, kv.ini_path)) == beside - 1
    assert not what_stands(kv)


@pytest.mark.parametrize("backend", SURVIVORS)
def test_what_the_list_names_is_verified_offline_by_that_name(backed, backend):
    kv = backed(backend).start()
    with kv.raw() as wire:
        wire.call("SET", "a", "b")
    kv.kill9()
    row = arena_row(kv, kv.ini_path)
    for name in {row["name"], row["path"]} - {""}:
        said = kv.control("arena", "verify", "--offline", name, check=False)
        assert said.returncode == 0, (name, said.stdout, said.stderr)
        assert f"arena of worker kv, generation {row['generation']}, kept in" \
            in said.stdout
    none = kv.control("arena", "verify", "--offline", "none-such", check=False)
    assert none.returncode == 4
    assert "reforkctl arena list names what stands" in none.stderr


def damage(kv, backend):
    """Its first bytes."""
    if backend == "sysv":
        at = ctypes.c_void_p(libc.shmat(sysv_id(arena_path(kv)), None, 0))
        ctypes.memset(at, ord("x"), 8)
        libc.shmdt(at)
        return
    path = arena_path(kv) if backend == "file" else kv.segments()[0]
    with open(path, "r+b") as file:
        file.write(b"x" * 8)


@pytest.mark.parametrize("backend", SURVIVORS)
def test_what_a_start_refuses_can_be_released_as_it_says(backed, backend):
    kv = backed(backend, arena_on_stop="keep").start()
    kv.process.terminate()
    kv.process.wait(20)
    damage(kv, backend)
    code, said = kv.start_refused()
    assert code == 78 and "holds no finished arena" in said
    name = re.search(r"reforkctl arena release (\S+)", said)[1]
    row = arena_row(kv, kv.ini_path)
    assert "its beginning is damaged" in row["unfit"] and not row["fits"]
    kv.control("arena", "release", name)
    assert not what_stands(kv)
    kv.configure(arena_on_stop="release")
    kv.start()


@pytest.mark.parametrize("backend", SURVIVORS)
def test_an_arena_that_is_given_up_is_kept_aside(backed, backend):
    assert table()["kept aside after a cold start"][backend] == "yes"
    kv = backed(backend, restart_burst=2, restart_on_limit="cold").start()
    with kv.raw() as wire:
        wire.call("SET", "a", "b")
        while "cold start" not in kv.log():
            pid = kv.find_child("business")
            if pid:
                os.kill(pid, signal.SIGSEGV)
            time.sleep(0.005)
    kv.control("wait", "--for", "ready", "--timeout", "20s")
    move = re.search(r"stop the service, mv (\S+) (\S+), start", kv.log())
    kv.process.send_signal(signal.SIGTERM)
    kv.process.wait(20)
    row = next(row for row in listed(kv, kv.ini_path).values()
               if row["aside_since"])
    assert not row["held"]
    assert row["fits"] == 1, row["unfit"]
    if backend != "posix":
        assert row["path"] == move[1]
    if backend == "file":
        change_boot_id(move[1])  # it was closed whole
    os.rename(move[1], move[2])
    kv.start()
    with kv.raw() as wire:
        assert wire.call("GET", "a") == b"b"


def test_an_arena_with_a_given_key_cannot_be_kept_aside(backed):
    trial = backed("sysv", refork_worker=TEST_WORKER, restart_burst=2,
                   restart_on_limit="cold", arena_key="0x52460a0c").start()
    with trial.raw() as wire:
        wire.call("DIE-IN-TICKS")
    trial.wait_for_log("given up: the new one needs its key")
    trial.control("wait", "--for", "ready", "--timeout", "20s")
    assert len(listed(trial)) == 2  # it, and its status
