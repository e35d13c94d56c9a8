# SPDX-License-Identifier: MIT
"""New worker code under a running service, and code whose file goes away."""
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest
from service import BUILD, wait_until

COUNTED = 5  # what has been counted when an upgrade begins


def worker(name):
    return str(BUILD / "workers" / f"{name}.so")


def version(wire):
    return wire.call("VERSION").decode()


@pytest.fixture
def swap(service):
    """A service that runs swap_1 and has counted a little."""
    def make(name="swap_1", **options):
        options.setdefault("upgrade_canary", "1h")
        made = service(refork_worker=worker(name), **options)
        with made.raw() as wire:
            for _ in range(COUNTED):
                wire.call("COUNT")
        return made
    return make


# ---- a file that goes away ----

def overwrite(path):
    """In place: the same inode, other bytes."""
    size = path.stat().st_size
    with open(path, "r+b") as file:
        file.write(b"\xcc" * size)


def truncate(path):
    os.truncate(path, 0)


@pytest.mark.parametrize("harm", [overwrite, truncate, os.unlink])
@pytest.mark.parametrize("standby", [0, 1])
def test_code_is_forked_again_whatever_becomes_of_its_file(
        service, tmp_path, harm, standby):
    path = tmp_path / "worker.so"
    shutil.copy(worker("swap_1"), path)
    running = service(refork_worker=path, business_standby=standby)
    with running.raw() as wire:
        assert wire.call("COUNT") == 1
        harm(path)
        for count in range(2, 5):
            os.kill(running.business_pid, signal.SIGKILL)
            assert wire.call("COUNT") == count
        assert version(wire) == "1"


def test_what_is_loaded_is_named_by_its_worker(swap):
    running = swap()
    with open(f"/proc/{running.supervisor_pid}/maps") as maps:
        assert "memfd:refork-worker:swap_1.so" in maps.read()


# ---- upgrades ----

@pytest.mark.parametrize("standby", [0, 1])
def test_an_upgrade_keeps_state_and_connections(swap, standby):
    running = swap(business_standby=standby)
    network = running.network_pid
    with running.raw() as wire:
        assert version(wire) == "1"
        said = running.control("upgrade", worker("swap_2")).stdout
        assert re.search(r"1 -> 2.*pause [\d.]+ ms", said), said
        assert version(wire) == "2"
        assert wire.call("COUNT") == COUNTED + 1
    status = running.status()
    assert status["upgrades"] == 1
    assert status["crashes"] == 0
    assert running.network_pid == network


def test_new_code_is_what_is_forked_from_then_on(swap):
    running = swap(upgrade_canary="0")
    running.control("upgrade", worker("swap_2"))
    with running.raw() as wire:
        for count in range(1, 4):
            os.kill(running.business_pid, signal.SIGKILL)
            assert wire.call("COUNT") == COUNTED + count
            assert version(wire) == "2"
    assert running.status()["rollbacks"] == 0


def test_an_upgrade_under_load_loses_and_doubles_nothing(swap):
    running = swap()
    seen, stop = [], threading.Event()

    def count():
        with running.raw() as wire:
            while not stop.is_set():
                seen.extend(wire.pipeline([("COUNT",)] * 16))

    counter = threading.Thread(target=count)
    counter.start()
    try:
        for name in ["swap_2", "swap_1", "swap_2"]:
            time.sleep(0.1)
            running.control("upgrade", worker(name))
    finally:
        stop.set()
        counter.join()
    assert seen == list(range(COUNTED + 1, COUNTED + 1 + len(seen)))
    assert len(seen) > 100


def test_an_upgrade_migrates_the_state_once(swap):
    running = swap()
    running.control("upgrade", worker("swap_3"))
    with running.raw() as wire:
        assert wire.call("COUNT") == (COUNTED + 1) * 1000
        os.kill(running.business_pid, signal.SIGKILL)
        assert wire.call("COUNT") == (COUNTED + 2) * 1000


def test_migrated_state_is_taken_over_by_the_next_daemon(swap):
    running = swap()
    running.control("upgrade", worker("swap_3"))
    running.kill9()
    running.configure(refork_worker=worker("swap_3"))
    running.start()
    with running.raw() as wire:
        assert wire.call("COUNT") == (COUNTED + 1) * 1000


def test_the_outcome_is_there_as_json(swap):
    running = swap()
    outcome = json.loads(running.control(
        "--json", "upgrade", worker("swap_2")).stdout)
    assert outcome["from"] == "1"
    assert outcome["to"] == "2"
    assert 0 < outcome["pause_us"] < 1_000_000


REFUSALS = {
    "swap_no_migrate": r"state version 2.*version 1",
    "swap_other_name": r"swapped.*swap\b",
    "swap_load_dies": "SIGABRT",
    "swap_load_threads": "thread",
    "abi_next": r"ABI 4.*ABI 3",
    "no_symbol": "refork_worker",
    "no_magic": "refork's worker.h",
    "not_there": "No such file",
}


@pytest.mark.parametrize("name", REFUSALS)
def test_code_that_does_not_fit_is_refused_and_nothing_happens(swap, name):
    running = swap()
    before = running.business_pid
    ran = running.control("upgrade", worker(name), check=False)
    assert ran.returncode == 1
    assert re.search(REFUSALS[name], ran.stdout + ran.stderr), ran
    with running.raw() as wire:
        assert wire.call("COUNT") == COUNTED + 1
        assert version(wire) == "1"
    assert running.business_pid == before
    assert running.status()["upgrades"] == 0


def test_code_that_hangs_while_it_is_loaded_stops_nothing(swap):
    running = swap()
    asked = subprocess.Popen(
        [BUILD / "reforkctl", "-S", running.control_socket(), "upgrade",
         worker("swap_load_hangs")], stderr=subprocess.PIPE, text=True)
    running.child_titled("trial")
    with running.raw() as wire:
        for count in range(1, 4):
            os.kill(running.business_pid, signal.SIGKILL)
            assert wire.call("COUNT") == COUNTED + count
    said = asked.communicate(timeout=20)[1]
    assert asked.returncode == 1
    assert "hangs" in said


FAILURES = ["swap_migrate_refuses", "swap_migrate_dies", "swap_start_dies"]


@pytest.mark.parametrize("name", FAILURES)
def test_code_that_does_not_come_up_leaves_the_old_one(swap, name):
    running = swap()
    with running.raw() as wire:
        ran = running.control("upgrade", worker(name), check=False)
        assert ran.returncode == 1, ran
        assert wire.call("COUNT") == COUNTED + 1
        assert version(wire) == "1"
        os.kill(running.business_pid, signal.SIGKILL)
        assert wire.call("COUNT") == COUNTED + 2
        assert version(wire) == "1"
        running.control("wait", "--for", "ready", "--timeout", "5s")
        running.control("upgrade", worker("swap_2"))
        assert version(wire) == "2"


def test_code_that_dies_behind_its_migration_leaves_the_old_state(swap):
    running = swap("swap_2")
    with running.raw() as wire:
        ran = running.control("upgrade", worker("swap_migrated_dies"),
                              check=False)
        assert ran.returncode == 1, ran
        assert wire.call("COUNT") == COUNTED + 1
        assert version(wire) == "2"


def test_a_refusal_is_no_crash_and_says_what_the_new_code_said(swap):
    running = swap()
    ran = running.control("upgrade", worker("swap_migrate_refuses"),
                          check=False)
    assert ran.returncode == 1
    assert re.search(r"migrate of swap migrate_refuses, state version 2, on "
                     r"state version 1: ", ran.stderr), ran
    assert "No child processes" not in ran.stderr + running.log()
    status = running.status()
    assert status["crashes"] == status["last_crash_id"] == 0
    assert status["canary_ms"] == 0


def test_what_the_next_start_loads_is_said(swap):
    running = swap()
    hint = f"the ini still names {worker('swap_1')}: a restart of the daemon"
    assert hint in running.control("upgrade", worker("swap_2")).stdout
    running.configure(refork_worker=worker("swap_1"))
    assert hint not in running.control("upgrade", worker("swap_1")).stdout
    running.configure(refork_worker=worker("swap_2"))
    assert hint not in running.control("upgrade", worker("swap_2")).stdout


def test_the_same_code_is_called_so(swap, tmp_path):
    running = swap()
    again = tmp_path / "again.so"
    shutil.copy(worker("swap_1"), again)
    assert "the same code" in running.control("upgrade", again).stdout
    assert "the same" not in running.control("upgrade",
                                             worker("swap_2")).stdout


def test_no_way_back_is_promised_where_there_is_none(swap):
    running = swap()
    said = running.control("upgrade", worker("swap_3")).stdout
    assert "by itself" not in said
    assert "cannot go back: swap 1 has no `migrate` for state version 2" in said
    assert "cannot go back" in running.control("status").stdout


# ---- on hold ----

@pytest.fixture
def held(service):
    """Held by a request that kills its code, and the wire that waits."""
    running = service(refork_worker=worker("swap_request_dies"),
                      restart_burst=2, quarantine_attempts=10)
    with running.raw() as wire:
        wire.send("COUNT")
        wait_until(lambda: running.status()["state"] == "held", "it is held")
        yield running, wire
    if running.process and running.status()["state"] == "held":
        running.control("resume", check=False)


def test_new_code_leads_out_of_a_hold(held):
    running, wire = held
    said = running.control("upgrade", worker("swap_2")).stdout
    assert "request_dies -> 2" in said
    assert wire.read() == 1
    status = running.status()
    assert status["state"] == "serving"
    assert status["rung_name"] == "none"
    assert "all whole, serving again" in running.log()


def test_new_code_that_fails_leaves_the_hold_as_it_was(held):
    running, wire = held
    crashes = running.status()["crashes"]
    for name in ["swap_migrate_refuses", "swap_migrate_dies"]:
        ran = running.control("upgrade", worker(name), check=False)
        assert ran.returncode == 1, ran
        assert "ladder" not in ran.stderr, "only its own words"
        status = running.status()
        assert status["state"] == "held"
        assert status["rung_name"] == "hold"
    assert running.status()["crashes"] == crashes + 1
    running.control("upgrade", worker("swap_2"))
    assert wire.read() == 1


# ---- back ----

def test_a_crash_in_the_canary_time_brings_the_old_code_back(swap):
    running = swap()
    running.control("upgrade", worker("swap_request_dies"))
    with running.raw() as wire:
        assert version(wire) == "request_dies"
        wire.send("COUNT")
        wire.read()  # counted by the old code, or quarantined before
        wait_until(lambda: running.status()["rollbacks"] == 1, "it is back")
        assert version(wire) == "1"
        assert wire.call("COUNT") in (COUNTED + 1, COUNTED + 2)
    assert "canary" in running.log()


def test_after_the_canary_time_new_code_stays(swap):
    running = swap(upgrade_canary="100ms")
    running.control("upgrade", worker("swap_2"))
    running.wait_for_log("has come through its canary time")
    with running.raw() as wire:
        os.kill(running.business_pid, signal.SIGKILL)
        assert version(wire) == "2"
    assert running.status()["rollbacks"] == 0


def test_migrated_state_keeps_code_that_crashes_and_says_so(swap):
    running = swap()
    running.control("upgrade", worker("swap_request_dies_later"))
    with running.raw() as wire:
        assert wire.call("COUNT") == (COUNTED + 1) * 1000
        running.wait_for_log("crashed in its canary time and stays")
        assert version(wire) == "request_dies_later"


def test_a_rollback_by_hand_goes_one_step_back(swap):
    running = swap()
    ran = running.control("rollback", check=False)
    assert ran.returncode == 1
    assert "no code before" in ran.stderr
    running.control("upgrade", worker("swap_2"))
    running.control("rollback")
    with running.raw() as wire:
        assert version(wire) == "1"
        assert wire.call("COUNT") == COUNTED + 1
    assert running.status()["rollbacks"] == 1


def test_a_rollback_takes_migrated_state_back_where_it_can(swap):
    running = swap("swap_2")
    running.control("upgrade", worker("swap_3"))
    with running.raw() as wire:
        assert wire.call("COUNT") == (COUNTED + 1) * 1000
        running.control("rollback")
        assert version(wire) == "2"
        assert wire.call("COUNT") == COUNTED + 2


def test_a_rollback_that_cannot_be_is_refused(swap):
    running = swap()
    running.control("upgrade", worker("swap_3"))
    ran = running.control("rollback", check=False)
    assert ran.returncode == 1
    assert re.search(r"version 2.*version 1", ran.stderr), ran
    with running.raw() as wire:
        assert version(wire) == "3"


def test_many_upgrades_leave_nothing_behind(swap):
    running = swap()

    def count_of(what):
        return len(os.listdir(f"/proc/{running.supervisor_pid}/{what}"))

    for name in ["swap_2", "swap_1"] * 2:
        running.control("upgrade", worker(name))
    descriptors = count_of("fd")
    for name in ["swap_2", "swap_1", "swap_load_dies"] * 4:
        running.control("upgrade", worker(name), check=False)
    assert count_of("fd") <= descriptors
    with running.raw() as wire:
        assert wire.call("COUNT") == COUNTED + 1


# ---- the ladder on code that is new ----

def test_code_that_came_with_an_upgrade_verifies_and_serves(
        service, tmp_path):
    """Its managers are known to it from `build` on."""
    kv = service(restart_burst=3, upgrade_canary=0)
    with kv.raw() as wire:
        for number in range(100):
            wire.call("RPUSH", "l", number)
        for letter in "ab":
            path = tmp_path / f"{letter}.so"
            shutil.copy(BUILD / "workers" / "kv.so", path)
            kv.control("upgrade", str(path))
        for _ in range(5):
            pid = kv.business_pid
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: kv.business_pid not in (None, pid) and
                       wire.call("LLEN", "l") == 100, "another one serves")
        assert "walks the whole memory" in kv.log()
        assert wire.call("LRANGE", "l", 0, 2) == [b"0", b"1", b"2"]
    assert "is damaged" not in kv.log()
