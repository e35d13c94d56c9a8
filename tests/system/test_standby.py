# SPDX-License-Identifier: MIT
"""The standby takes over, whatever happens to the business child; and what
the family does when something happens to the standby, or on a wish."""
import os
import re
import signal
import time
from datetime import datetime

import pytest
from service import TEST_WORKER, ReplyError, wait_until

FATAL = [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGTRAP]


def wait_for_standby(service):
    """Its pid, once it waits for the lease."""
    wait_until(service.standby_is_ready, "the standby is ready")
    return service.status()["standby_pid"]


def business(service):
    return service.status()["business_pid"]


# ---- deaths of the business child ----

@pytest.mark.parametrize("fatal", FATAL, ids=lambda fatal: fatal.name)
def test_the_standby_becomes_the_business_child(service, fatal):
    kv = service()
    with kv.raw() as wire:
        for i in range(1, 11):
            standby = wait_for_standby(kv)
            assert wire.call("INCR", "n") == 2 * i - 1
            os.kill(business(kv), fatal)
            assert wire.call("INCR", "n") == 2 * i
            wait_until(lambda: business(kv) == standby, "it took over")
    wait_until(lambda: kv.status()["crashes"] == 10, "10 crashes are counted")
    assert kv.status()["standby_crashes"] == 0


def test_two_deaths_in_a_row_are_survived_without_a_second_standby(service):
    kv = service()
    with kv.raw() as wire:
        for i in range(1, 21):
            wait_for_standby(kv)
            first, second = business(kv), kv.status()["standby_pid"]
            os.kill(first, signal.SIGKILL)
            os.kill(second, signal.SIGKILL)
            assert wire.call("INCR", "n") == i
    seen = wait_until(
        lambda: (lambda s: s["crashes"] + s["standby_crashes"] == 40 and s)(
            kv.status()), "all deaths are counted")
    assert seen["crashes"] >= 20


def test_a_worker_that_exits_is_succeeded_by_the_standby(service):
    trial = service(refork_worker=TEST_WORKER)
    with trial.raw() as wire:
        for code in (0, 1, 42):
            standby = wait_for_standby(trial)
            assert wire.call("EXIT", code) == b"OK"
            # It runs the same request, and may end so as well.
            wait_until(lambda: business(trial) == standby or
                       f"business pid {standby} " in trial.log(),
                       "it took over")


def test_the_standby_takes_a_lease_it_was_never_told_of(service):
    """The kernel's list of robust locks was overwritten: the last word."""
    trial = service(refork_worker=TEST_WORKER)
    with trial.raw() as wire:
        for count in range(1, 4):
            standby = wait_for_standby(trial)
            assert wire.call("BREAK-LEASE") == b"OK"
            assert wire.call("COUNT") == count
            assert business(trial) != standby
    assert trial.log().count("has not taken the lease") == 3


# ---- hangs ----

def test_a_request_that_spins_is_ended_after_request_timeout(service):
    kv = service(business_request_timeout="200ms")
    with kv.raw() as wire, kv.raw() as other:
        wait_for_standby(kv)
        wire.send("DEBUG", "SPIN")
        started = time.monotonic()
        other.send("INCR", "n")
        reply = wire.read()
        assert isinstance(reply, ReplyError)
        assert str(reply).startswith("CRASHED ")
        assert other.read() == 1
        assert time.monotonic() - started < 5
    assert kv.status()["hangs"] == 2
    assert "request_timeout" in kv.log()


def test_a_loop_without_end_is_ended_after_heartbeat_timeout(service):
    kv = service(business_heartbeat_timeout="500ms")
    with kv.raw() as wire:
        wait_for_standby(kv)
        wire.send("DEBUG", "SPIN")
        assert str(wire.read()).startswith("CRASHED ")
        assert wire.call("INCR", "n") == 1
    assert kv.status()["hangs"] == 2


def test_a_long_request_is_no_hang_to_who_only_watches_hearts(service):
    kv = service(business_heartbeat_timeout="500ms",
                 business_request_timeout="1h")
    with kv.raw() as wire:
        wait_for_standby(kv)
        time.sleep(2)       # idle children live
        assert wire.call("INCR", "n") == 1
    assert kv.status()["hangs"] == 0
    assert kv.status()["standby_crashes"] == 0


def test_a_stopped_business_child_is_replaced(service):
    kv = service(business_heartbeat_timeout="1s")
    with kv.raw() as wire:
        standby = wait_for_standby(kv)
        os.kill(business(kv), signal.SIGSTOP)
        assert wire.call("INCR", "n") == 1
        assert business(kv) == standby
    assert kv.status()["hangs"] == 1


def test_a_stopped_standby_does_not_stand_in_the_way(service):
    kv = service()
    with kv.raw() as wire:
        standby = wait_for_standby(kv)
        os.kill(standby, signal.SIGSTOP)
        os.kill(business(kv), signal.SIGKILL)
        started = time.monotonic()
        assert wire.call("INCR", "n") == 1
        assert time.monotonic() - started < 5
        assert business(kv) != standby
    wait_for_standby(kv)


def test_a_stopped_network_child_is_replaced(service):
    kv = service(business_heartbeat_timeout="1s")
    with kv.raw() as wire:
        assert wire.call("INCR", "n") == 1
        os.kill(kv.network_pid, signal.SIGSTOP)
        assert wire.call("INCR", "n") == 2
    assert kv.status()["hangs"] == 1


def test_a_supervisor_that_was_stopped_kills_nobody(service):
    kv = service(business_heartbeat_timeout="500ms",
                 business_request_timeout="200ms")
    standby, active = wait_for_standby(kv), business(kv)
    os.kill(kv.supervisor_pid, signal.SIGSTOP)
    time.sleep(3)
    os.kill(kv.supervisor_pid, signal.SIGCONT)
    time.sleep(1)
    assert (business(kv), kv.status()["standby_pid"]) == (active, standby)
    assert kv.status()["hangs"] == 0


# ---- the standby itself ----

def test_a_standby_that_dies_is_forked_again(service):
    kv = service()
    active = business(kv)
    for i in range(1, 6):
        os.kill(wait_for_standby(kv), signal.SIGKILL)
        wait_until(lambda: kv.status()["standby_crashes"] == i, "it counts")
    wait_for_standby(kv)
    assert business(kv) == active
    assert kv.status()["crashes"] == 0


def test_a_reload_ends_and_begins_the_standby(service):
    kv = service()
    wait_for_standby(kv)
    kv.configure(business_standby=0)
    kv.control("reload")
    wait_until(lambda: kv.status()["standby_pid"] is None, "it has ended")
    with kv.raw() as wire:
        os.kill(business(kv), signal.SIGKILL)
        assert wire.call("INCR", "n") == 1
    time.sleep(0.2)
    assert kv.status()["standby_pid"] is None
    kv.configure(business_standby=1)
    kv.control("reload")
    wait_for_standby(kv)
    assert kv.status()["standby_crashes"] == 0


# ---- planned ----

@pytest.mark.parametrize("standby", [0, 1])
@pytest.mark.parametrize("now", [[], ["--now"]], ids=["gently", "now"])
def test_the_business_child_is_replaced_on_a_wish(service, now, standby):
    kv = service(business_standby=standby)
    with kv.raw() as wire:
        for i in range(1, 11):
            before = business(kv)
            kv.control("restart", "business", *now)
            assert business(kv) != before
            assert wire.call("INCR", "n") == i
    seen = kv.status()
    assert seen["planned"] == 10
    assert seen["crashes"] == seen["standby_crashes"] == 0


def test_the_network_child_is_replaced_on_a_wish(service):
    kv = service()
    with kv.raw() as wire:
        for i in range(1, 4):
            before = kv.network_pid
            kv.control("restart", "network")
            assert kv.network_pid != before
            assert wire.call("INCR", "n") == i
            time.sleep(0.3)
    assert kv.status()["network_crashes"] == 0


def test_who_cannot_leave_in_time_stays(service):
    kv = service()
    with kv.raw() as wire:
        wait_for_standby(kv)
        active = business(kv)
        wire.send("DEBUG", "SPIN")
        asked = kv.control("restart", "business", check=False)
        assert asked.returncode == 1
        assert "did not come to the end of its request" in asked.stderr
        assert business(kv) == active
        for _ in range(2):
            pid = business(kv)
            os.kill(pid, signal.SIGSEGV)
            wait_until(lambda: business(kv) not in (0, pid), "the next one")
        assert str(wire.read()).startswith("CRASHED ")
        assert wire.call("INCR", "n") == 1
    assert kv.status()["planned"] == 0


# ---- the ladder ----

def crash(service, times):
    for _ in range(times):
        pid, crashes = business(service), service.status()["crashes"]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: service.status()["crashes"] > crashes, "counted")
        wait_until(lambda: service.status()["state"] in ("serving", "held"),
                   "it serves or is held")


def test_a_full_window_is_verified_and_the_next_one_is_held(service):
    kv = service(restart_burst=5)
    with kv.raw() as wire:
        assert wire.call("SET", "key", "value") == b"OK"
        crash(kv, 5)
        assert wire.call("GET", "key") == b"value"
        assert kv.status()["rung_verify"] == 1
        assert "all whole" in kv.log()
        crash(kv, 5)
        wait_until(lambda: kv.status()["state"] == "held", "it is held")
        wire.send("GET", "key")     # parked
        time.sleep(0.3)
        assert kv.status()["standby_pid"] is None
        kv.control("resume")
        assert wire.read() == b"value"
    assert kv.status()["rung_hold"] == 1
    wait_for_standby(kv)


def test_a_full_window_can_end_the_service(daemon):
    kv = daemon(restart_burst=2, restart_on_limit="exit")
    kv.start()
    kv.remember_pids()
    for _ in range(4):
        if kv.process.poll() is not None:
            break
        pid = kv.find_child("business")
        if pid:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.5)
    assert kv.process.wait(30) == 70
    kv.process = None
    kv.assert_no_process_left()


def test_a_full_window_can_lead_to_an_empty_state(service):
    kv = service(restart_burst=2, restart_on_limit="cold")
    with kv.raw() as wire:
        assert wire.call("SET", "key", "value") == b"OK"
    crash(kv, 4)
    with kv.raw() as wire:
        assert wire.call("GET", "key") is None
        assert wire.call("INCR", "n") == 1
    assert kv.status()["rung_cold"] == 1
    aside = [path for path in kv.segments() if ".aside-" in path.name]
    assert len(aside) == 1
    aside[0].unlink()


def test_a_crash_in_tick_is_verified_and_never_loops_tightly(service):
    trial = service(refork_worker=TEST_WORKER, restart_delay_max="100ms",
                    restart_burst=10)
    with trial.raw() as wire:
        assert wire.call("DIE-IN-TICKS") == b"OK"
    wait_until(lambda: trial.status()["state"] == "held", "it is held")
    assert trial.status()["rung_verify"] >= 1
    assert re.search(r"next try in \d+ ms", trial.log()) or \
        trial.status()["crashes"] <= 21
    trial.stop_on_hold()


def seconds_between(service, one, other):
    """Of the last time that the log says each."""
    def last(text):
        line = [line for line in service.log().splitlines() if text in line][-1]
        return datetime.fromisoformat(line.split()[0].rstrip("Z"))
    return (last(other) - last(one)).total_seconds()


def test_takeovers_do_not_put_off_the_next_standby(service):
    kv = service(restart_burst=100)
    with kv.raw() as wire:
        for count in range(1, 10):
            wait_until(kv.standby_is_ready, "a standby is ready")
            os.kill(kv.business_pid, signal.SIGKILL)
            assert wire.call("INCR", "count") == count
    wait_until(kv.standby_is_ready, "a standby is ready")
    assert seconds_between(kv, "standby: up -> backoff (took over)",
                           "standby: backoff -> starting") < 0.3


def test_a_death_is_one_line_for_the_operator(service):
    kv = service(log_level="info")
    wait_until(kv.standby_is_ready, "a standby is ready")
    before = len(kv.log())
    with kv.raw() as wire:
        os.kill(kv.business_pid, signal.SIGSEGV)
        wire.call("PING")
    kv.wait_for_log("crash 1: ")
    wait_until(kv.standby_is_ready, "a standby is ready")
    lines = [line for line in kv.log()[before:].splitlines()
             if "supervisor[" in line]
    assert len(lines) == 1, lines
