# SPDX-License-Identifier: MIT
"""The supervisor is killed, or two of them want one arena."""
import os
import re
import signal
import subprocess
import time

import pytest
from backends import (BACKENDS, SURVIVORS, Writer, arena_path, arena_row,
                      assert_all_there, what_stands)
from service import BUILD, free_port, wait_until


# ---- the supervisor is killed ----

def kill_under_load(service, acknowledged):
    writer = Writer(service, acknowledged)
    wait_until(lambda: writer.acknowledged > acknowledged + 20, "it writes")
    service.kill9()
    return writer.finish()


def kill_while_business_recovers(service, acknowledged):
    writer = Writer(service, acknowledged)
    wait_until(lambda: writer.acknowledged > acknowledged + 20, "it writes")
    os.kill(service.business_pid, signal.SIGSEGV)
    service.kill9()
    return writer.finish()


def kill_while_it_stops(service, acknowledged):
    writer = Writer(service, acknowledged)
    wait_until(lambda: writer.acknowledged > acknowledged + 20, "it writes")
    service.remember_pids()
    service.process.send_signal(signal.SIGTERM)
    time.sleep(0.004)
    service.kill9()
    return writer.finish()


def kill_starts(service, delays_ms=(3, 12, 25, 40, 60)):
    for delay_ms in delays_ms:
        service.launch()
        time.sleep(delay_ms / 1000)
        service.kill9()


@pytest.mark.parametrize("backend", SURVIVORS)
def test_a_killed_supervisor_loses_no_acknowledged_write(backed, backend):
    kv = backed(backend, arena_on_stop="keep").start()
    acknowledged = 0
    for kill in (kill_under_load, kill_while_business_recovers,
                 kill_while_it_stops):
        acknowledged = kill(kv, acknowledged)
        if kill is kill_under_load:
            kill_starts(kv)
        kv.start()
        assert_all_there(kv, acknowledged)
        with kv.raw() as wire:
            acknowledged = wire.call("DBSIZE")
    kv.configure(arena_on_stop="release")
    kv.control("reload")


@pytest.mark.parametrize("backend", SURVIVORS)
def test_a_build_that_was_killed_is_made_anew(backed, backend):
    kv = backed(backend)
    kill_starts(kv, (8, 15, 20, 30))
    kv.start()
    with kv.raw() as wire:
        assert wire.call("SET", "a", "b") == b"OK"


def test_a_memfd_goes_with_its_supervisor_and_a_new_start_works(backed):
    kv = backed("memfd").start()
    with kv.raw() as wire:
        wire.call("SET", "a", "b")
    kv.kill9()
    kv.start()
    with kv.raw() as wire:
        assert wire.call("GET", "a") is None


# ---- two at once ----

@pytest.mark.parametrize("backend", SURVIVORS)
def test_a_start_and_a_release_at_once_are_one_after_the_other(backed,
                                                               backend):
    kv = backed(backend, arena_on_stop="keep")
    for delay_ms in (0, 1, 2, 4, 6, 8):
        kv.start()
        with kv.raw() as wire:
            assert wire.call("SET", "a", "b") == b"OK"
        name = arena_row(kv)["path"] or arena_row(kv)["name"]
        kv.process.terminate()
        assert kv.process.wait(20) == 0
        kv.launch()
        time.sleep(delay_ms / 1000)
        released = kv.control("arena", "release", name, check=False)
        kv.control("wait", "--for", "ready", "--timeout", "10s")
        assert released.returncode == 0 or "is in use by" in released.stderr
        with kv.raw() as wire:
            assert wire.call("GET", "a") == (None if released.returncode == 0
                                             else b"b")
        kv.process.terminate()
        assert kv.process.wait(20) == 0
    kv.configure(arena_on_stop="release")
    kv.start()


REFUSED = re.compile(r"runs already|another process listens there|"
                     r"is in use by")


def start_together(service, count, own):
    """So many daemons on one ini at once: (those that run, what the others
    said). own: each with a control socket and port of its own, and a name of
    its own where the arena is found by something else."""
    started, names = [], []
    for i in range(count):
        names.append(service.directory / f"{service.name}.{i}.log")
        mine = ["-o", f"refork.runtime_dir={service.directory}/run{i}",
                "-o", f"network.listen=127.0.0.1:{free_port()}"]
        if service.settings["arena_backend"] in ("sysv", "file"):
            mine += ["-o", f"refork.name={service.name}.{i}",
                     "-o", f"arena.path={arena_path(service)}"]
        with open(names[-1], "wb") as log:
            started.append(subprocess.Popen(
                [BUILD / "reforkd", "-c", service.ini_path,
                 *(mine if own else [])], stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, start_new_session=True))
    try:
        wait_until(lambda: sum(p.poll() is None for p in started) <= 1,
                   "all but one have ended", timeout_s=10)
    except AssertionError:
        for process in started:
            process.kill()
            process.wait()
        raise
    said = [name.read_text() for name, process in zip(names, started)
            if process.poll() is not None]
    running = [process for process in started if process.poll() is None]
    return running, said


@pytest.mark.parametrize("backend", BACKENDS)
def test_of_ten_that_start_at_once_one_serves(backed, backend):
    kv = backed(backend)
    arena_path(kv).parent.mkdir()
    running, said = start_together(kv, 10, own=backend != "memfd")
    try:
        assert len(running) == 1 and len(said) == 9
        assert all(REFUSED.search(text) for text in said), said
        time.sleep(0.05)
        assert running[0].poll() is None
    finally:
        for process in running:
            process.terminate()
            process.wait(20)
    assert not what_stands(kv)
