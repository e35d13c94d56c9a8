# SPDX-License-Identifier: MIT
"""Faults, one by one: each row of the table in tests/FAULTS.md.

The table is made from the rows below by faults_page.py; a row's words about
client and counters are also what its test checks.
"""
import os
import shutil
import signal
import time

import pytest
from faults import CRASHED, MANY, NOTHING, PAUSE, Patient, Row
from faults_page import PAGE, page
from service import BUILD, wait_until

ROWS = []


def row(fault, client, daemon, counts, **settings):
    def add(run):
        ROWS.append(Row(fault, client, daemon, counts, run, settings))
        return run
    return add


def kill(pid, number=signal.SIGKILL):
    os.kill(pid, number)
    return pid


def preload(shim, variable, flag):
    """The environment of a daemon that meets trouble while `flag` exists."""
    return {"env": {"LD_PRELOAD": str(BUILD / "preload" / f"{shim}.so"),
                    variable: str(flag)}}


# ---- the machine ----

@row("fork fails (EAGAIN) when the business child has died, and there is a "
     "standby", NOTHING, "the standby takes over; the next one is forked when "
     "the machine can fork again", {"crashes": 1}, shim="fork_fails")
def fork_fails_with_a_standby(p):
    p.start().wait_for_standby()
    p.flag.touch()
    victim = kill(p.service.business_pid)
    p.service.wait_for_log("spawn standby: fork")
    assert p.service.wait_for_successor(victim)
    p.client.goes_on()
    p.flag.unlink()
    p.wait_for_standby()


@row("the same without a standby", PAUSE, "clients are parked, the fork is "
     "tried again and again", {"crashes": 1}, shim="fork_fails",
     business_standby=0)
def fork_fails_without_a_standby(p):
    p.start()
    p.flag.touch()
    kill(p.service.business_pid)
    p.service.wait_for_log("spawn business: fork")
    time.sleep(0.3)
    p.flag.unlink()
    p.client.goes_on()


@row("the disk is full when a request goes into quarantine", CRASHED,
     "the request is skipped as always; that it was not kept is in the log",
     {"crashes": 2, "quarantined": 1}, shim="disk_full")
def the_disk_is_full_for_the_quarantine(p):
    p.start()
    p.flag.touch()
    p.falls_ill("request.abort", times=2)
    p.service.wait_for_log("No space left on device")
    p.client.goes_on()
    p.flag.unlink()


@row("a request takes memory until the limit of the process (RLIMIT_DATA) and "
     "aborts, each time it is run", CRASHED, "as any request that kills twice",
     {"crashes": 2, "quarantined": 1}, wrapper=["prlimit", "--data=100000000"])
def a_request_leaks(p):
    p.start()
    p.falls_ill("request.leak", times=2)
    p.wait_until_suffered("request.leak")
    p.client.goes_on()


# ---- the worker ----

@row("`build` crashes at the start of the daemon", NOTHING, "the daemon ends "
     "with it; the next start begins the unfinished arena anew", {})
def build_crashes(p):
    p.falls_ill("build.abort", times=1)
    code, _ = p.service.start_refused()
    assert code == -signal.SIGABRT
    p.start()


@row("a request crashes once", PAUSE, "rolled back, run again by the standby",
     {"crashes": 1})
def a_request_crashes_once(p):
    p.start()
    p.falls_ill("request.segv", times=1)
    p.wait_until_suffered("request.segv")
    p.client.goes_on()


@row("a request crashes twice", CRASHED, "quarantined: kept in state_dir, "
     "never run again unless released", {"crashes": 2, "quarantined": 1})
def a_request_crashes_twice(p):
    p.start()
    p.falls_ill("request.segv", times=2)
    p.wait_until_suffered("request.segv")
    p.client.goes_on()


@row("a request ends its process with exit(0)", PAUSE, "an end that nobody "
     "asked for is a crash, whatever its exit status", {"crashes": 1})
def a_request_exits(p):
    p.start()
    p.falls_ill("request.exit", times=1)
    p.wait_until_suffered("request.exit")
    p.client.goes_on()


@row("a request spins without end (`request_timeout` is set)", CRASHED,
     "the watchdog ends the process, twice; then as above",
     {"crashes": 2, "hangs": 2, "quarantined": 1},
     business_request_timeout="200ms")
def a_request_spins(p):
    p.start()
    p.falls_ill("request.spin")
    wait_until(lambda: p.service.status()["hangs"] == 2, "it was ended twice")
    p.heal("request.spin")
    p.client.goes_on()


@row("a request sleeps without end (`request_timeout` is set)", CRASHED,
     "the same", {"crashes": 2, "hangs": 2, "quarantined": 1},
     business_request_timeout="200ms")
def a_request_blocks(p):
    p.start()
    p.falls_ill("request.block")
    wait_until(lambda: p.service.status()["hangs"] == 2, "it was ended twice")
    p.heal("request.block")
    p.client.goes_on()


@row("a request forks", NOTHING, "the copy is the worker's affair: it has no "
     "lease, and the service goes on", {})
def a_request_forks(p):
    p.start()
    p.falls_ill("request.fork", times=1)
    p.wait_until_suffered("request.fork")
    p.client.goes_on()


@row("the business child dies after a request has forked: the copy still has "
     "the memory mapped", PAUSE, "taken over: the copy never had the lease",
     {"crashes": 1})
def the_parent_of_a_fork_dies(p):
    p.start()
    p.falls_ill("request.fork", times=1)
    p.wait_until_suffered("request.fork")
    p.wait_for_standby()
    p.service.wait_for_successor(kill(p.service.business_pid))
    p.client.goes_on()


@row("`start` starts threads, and the process crashes in a request", PAUSE,
     "the lease is given by the kernel when all threads are gone",
     {"crashes": 1})
def a_threaded_worker_crashes(p):
    p.falls_ill("start.thread")
    p.start()
    p.wait_for_standby()
    p.falls_ill("request.segv", times=1)
    p.wait_until_suffered("request.segv")
    p.client.goes_on()


@row("`start` crashes three times in a row", PAUSE, "forked again, after "
     "pauses that grow; the memory is walked first (rung verify)",
     {"crashes": 4, "rung_verify": MANY})
def start_crashes(p):
    p.start()
    p.falls_ill("start.abort", times=3)
    kill(p.service.business_pid)
    p.wait_until_suffered("start.abort")
    p.client.goes_on()


@row("`start` ends with exit(0)", PAUSE, "the same",
     {"crashes": 4})
def start_exits(p):
    p.start()
    p.falls_ill("start.exit", times=3)
    kill(p.service.business_pid)
    p.wait_until_suffered("start.exit")
    p.client.goes_on()


@row("`start` never returns", PAUSE, "ended after `start_timeout`, forked "
     "again; the memory is walked first",
     {"crashes": MANY, "hangs": MANY, "rung_verify": MANY})
def start_blocks(p):
    p.start()
    p.falls_ill("start.block")
    victim = kill(p.service.business_pid)
    late = wait_until(lambda: p.service.find_child("business") not in
                      (None, victim) and p.service.find_child("business"),
                      "a successor starts")
    wait_until(lambda: p.service.find_child("business") != late,
               "it is ended")
    p.heal("start.block")
    p.client.goes_on()


@row("`tick` crashes once", PAUSE, "a crash outside of a request: the memory "
     "is walked before the next one serves",
     {"crashes": 1, "rung_verify": 1})
def tick_crashes(p):
    p.start()
    p.falls_ill("tick.abort", times=1)
    p.wait_until_suffered("tick.abort")
    p.client.goes_on()


@row("`tick` never returns", PAUSE, "ended by the watchdog after "
     "`heartbeat_timeout`", {"crashes": 1, "hangs": 1, "rung_verify": MANY})
def tick_blocks(p):
    p.start()
    p.falls_ill("tick.block")
    wait_until(lambda: p.service.status()["hangs"] == 1, "it was ended")
    p.heal("tick.block")
    p.client.goes_on()


@row("`verify` crashes once, after a crash outside of a request", PAUSE,
     "a crash in recovery: another walk",
     {"crashes": 2, "rung_verify": 2})
def verify_crashes_once(p):
    p.start()
    p.falls_ill("verify.abort", times=1)
    p.falls_ill("tick.abort", times=1)
    p.wait_until_suffered("verify.abort")
    p.client.goes_on()


@row("`verify` crashes twice in a row (`on_limit = hold`)", PAUSE, "nothing "
     "to restore from: held, clients parked, until `reforkctl resume`",
     {"crashes": 3, "rung_verify": 2, "rung_restore": 1, "rung_hold": 1})
def verify_crashes_twice(p):
    p.start()
    p.falls_ill("verify.abort", times=2)
    p.falls_ill("tick.abort", times=1)
    p.wait_for_state("held")
    p.service.control("resume")
    p.client.goes_on()


@row("`verify` finds damage (`on_limit = hold`)", PAUSE, "the same: damaged "
     "state is not served", {"crashes": 2, "rung_verify": 1, "rung_restore": 1,
                             "rung_hold": 1})
def verify_finds_damage(p):
    p.start()
    p.falls_ill("verify.fail", times=1)
    p.falls_ill("tick.abort", times=1)
    p.wait_for_state("held")
    p.service.control("resume")
    p.client.goes_on()


@row("more crashes than `burst` in the window (`on_limit = hold`)", PAUSE,
     "the memory is walked; at the next burst it is held until `reforkctl "
     "resume`", {"crashes": MANY, "rung_verify": MANY, "rung_hold": 1},
     restart_burst=3, quarantine_attempts=10)
def crashes_fill_the_window(p):
    p.start()
    p.falls_ill("request.abort")
    p.wait_for_state("held")
    p.heal("request.abort")
    p.service.control("resume")
    p.client.goes_on()


# ---- new code ----

def upgrade(p, worker):
    """The answer of reforkctl upgrade to a copy of that worker."""
    path = p.directory / f"new-{worker}.so"
    shutil.copy(BUILD / "workers" / f"{worker}.so", path)
    return p.service.control("upgrade", str(path), check=False)


@row("an upgrade's `migrate` crashes", PAUSE, "the old code goes on with the "
     "state as it was; `reforkctl upgrade` says why",
     {"crashes": 1, "rung_verify": 1})
def migrate_crashes(p):
    p.start()
    p.falls_ill("migrate.abort")
    assert upgrade(p, "ailing_next").returncode == 1
    p.heal("migrate.abort")
    p.client.goes_on()


@row("an upgrade's `migrate` refuses", PAUSE, "the old code goes on, `upgrade` "
     "says why", {})
def migrate_refuses(p):
    p.start()
    p.falls_ill("migrate.fail")
    assert upgrade(p, "ailing_next").returncode == 1
    p.heal("migrate.fail")
    p.client.goes_on()


@row("the new code crashes within `canary`", PAUSE, "the old code comes back "
     "by itself", {"crashes": 1, "upgrades": 1, "rollbacks": 1,
                   "planned": MANY})
def new_code_crashes(p):
    p.start()
    assert upgrade(p, "ailing").returncode == 0
    p.falls_ill("request.abort", times=1)
    p.wait_until_suffered("request.abort")
    wait_until(lambda: p.service.status()["rollbacks"] == 1, "it is back")
    p.client.goes_on()


# ---- whose fault it is not ----

@pytest.mark.parametrize("standby", [0, 1])
def test_a_request_is_not_to_blame_for_what_the_operator_ends(
        daemon, tmp_path, standby):
    p = Patient(daemon, tmp_path, business_standby=standby,
                business_heartbeat_timeout="30s")
    try:
        p.start()
        p.falls_ill("request.block")
        for _ in range(4):
            if standby:
                p.wait_for_standby()
            p.service.control("restart", "business", "--now")
        p.heal("request.block")
        p.client.goes_on()
        assert p.moved() == {"planned": 4}
    finally:
        p.client.ending.set()
    p.client.end()
    p.client.assert_saw(PAUSE)


# ---- a ladder that is climbed while nobody looks ----

@pytest.mark.parametrize("again", range(4))
def test_a_child_that_dies_as_it_says_that_it_serves_counts_as_one_that_did(
        daemon, tmp_path, again):
    """On one processor the news of both often comes at once."""
    p = Patient(daemon, tmp_path, restart_burst=3, quarantine_attempts=10,
                wrapper=["taskset", "-c", "0"])
    try:
        p.start()
        p.falls_ill("request.abort")
        p.wait_for_state("held")
        p.heal("request.abort")
        assert p.service.status()["crashes"] == 6
        p.service.control("resume")
        p.client.goes_on()
    finally:
        p.client.ending.set()
    p.client.end()
    p.client.assert_saw(PAUSE)


# ---- held by this table ----

@pytest.fixture
def patient(daemon, tmp_path):
    def make(shim=None, **settings):
        flag = tmp_path / "trouble"
        if shim:
            settings.update(preload(shim, shim.upper(), flag))
        made = Patient(daemon, tmp_path, **settings)
        made.flag = flag
        return made
    return make


@pytest.mark.parametrize("case", ROWS, ids=lambda case: case.name)
def test_fault(patient, case):
    if "prlimit" in case.settings.get("wrapper", []) and \
            "address" in BUILD.name:
        pytest.skip("the sanitizer needs more address space than there is")
    p = patient(**case.settings)
    try:
        case.run(p)
        p.wait_for_state("serving")
        p.client.goes_on()
        p.assert_moved(case.counts)
    finally:
        p.client.ending.set()
    p.client.end()
    p.client.assert_saw(case.client)


def test_the_page_of_faults_is_current():
    assert PAGE.read_text() == page(), \
        "run tests/system/faults_page.py: it writes the page anew"
