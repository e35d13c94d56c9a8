# SPDX-License-Identifier: MIT
"""What is known of a crash afterwards, and for how long."""
import json
import os
import signal
from pathlib import Path

import pytest
from service import ReplyError, is_alive, wait_until


def crashes(kv):
    """The records, newest first."""
    listed = json.loads(kv.control("--json", "crashes").stdout)
    assert listed["schema"] == 1
    return listed["crashes"]


def show(kv, crash_id):
    return json.loads(kv.control("--json", "crash", "show",
                                 str(crash_id)).stdout)


def wait_for_crashes(kv, count):
    """Their ids, newest first, once they are complete."""
    def complete():
        ids = [crash["id"] for crash in crashes(kv)]
        return len(ids) >= count and \
            all(show(kv, id_)["backtrace_complete"] for id_ in ids) and ids
    return wait_until(complete, f"{count} complete crash records")


def kill(kv, role, number=signal.SIGKILL):
    victim = kv.child_titled(role)
    os.kill(victim, number)
    kv.wait_for_successor(victim, role)
    return victim


def poison(kv, how="SEGFAULT"):
    """Two crashes by one request. Returns the client's address."""
    with kv.raw() as wire:
        wire.send("DEBUG", how)
        assert isinstance(wire.read(), ReplyError)
        return "%s:%d" % wire.socket.getsockname()


def test_a_record_says_who_died_of_what_where_in_which_request(service):
    kv = service()
    client = poison(kv)
    assert wait_for_crashes(kv, 2) == [2, 1]
    records = sorted((show(kv, crash_id) for crash_id in (1, 2)),
                     key=lambda crash: crash["generation"])
    for attempt, crash in enumerate(records, 1):
        assert crash["process"] == "business" and crash["pid"] > 0
        assert crash["signal"] == "SIGSEGV"
        assert crash["end"].startswith("SIGSEGV at 0x")
        assert crash["reason"] == "address not mapped"
        assert crash["request"] == "DEBUG SEGFAULT"
        assert crash["request_attempt"] == attempt
        assert crash["rung"] == (None, "roll_back", "quarantine")[attempt]
        assert crash["client"] == client
        assert crash["phase"] == "a request"
        assert "crash_segfault+0x" in crash["where"]
        assert "worker/kv/server/debug_die.c:" in crash["where"]
        top = crash["backtrace"].split("\n")[0]
        assert top.startswith("#0 ") and top.endswith(" in kv.so")
        assert "business_main" in crash["backtrace"]
        assert " in reforkd" in crash["backtrace"]
    assert records[0]["successor_generation"] > records[0]["generation"]
    assert 0 < records[0]["to_serving_us"] < 30_000_000
    assert records[0]["rollback_us"] >= 0
    page = kv.control("crash", "show", "2").stdout
    assert "DEBUG SEGFAULT" in page and "crash_segfault+0x" in page
    assert "registers" in page and client in page
    table = kv.control("crashes").stdout.split("\n")
    assert table[1].split()[0] == "2" and table[2].split()[0] == "1"
    kv.wait_for_log(r'crash 2: business pid \d+ \(generation \d+\) SIGSEGV at'
                    r' 0x\w* in "DEBUG SEGFAULT" from ' + client)


def test_each_record_names_its_own_successor(service):
    kv = service()
    wait_until(kv.standby_is_ready, "the standby is ready")
    pids = kv.business_pid, kv.child_titled("standby")
    os.kill(kv.supervisor_pid, signal.SIGSTOP)
    with kv.raw() as wire:
        wire.send("DEBUG", "SEGFAULT")
        wait_until(lambda: not any(map(is_alive, pids)), "both are dead")
        os.kill(kv.supervisor_pid, signal.SIGCONT)
        assert isinstance(wire.read(), ReplyError)
    crashed = {crash["generation"]: crash["successor_generation"] for crash
               in (show(kv, crash_id) for crash_id in wait_for_crashes(kv, 2))}
    assert crashed == {1: 2, 2: 3}


def test_what_was_half_done_is_counted_and_an_abort_shows_its_caller(service):
    kv = service()
    poison(kv, "OOPS-IN-TX")
    assert show(kv, wait_for_crashes(kv, 2)[0])["undone"] > 0
    poison(kv, "ABORT")
    crash = show(kv, wait_for_crashes(kv, 4)[0])
    assert crash["signal"] == "SIGABRT"
    assert "crash_abort+0x" in crash["where"], crash["backtrace"]
    assert " in libc.so.6" in crash["backtrace"]


def test_a_sigkill_leaves_no_backtrace_but_the_times(service):
    kv = service()
    victim = kill(kv, "business")
    crash = show(kv, wait_for_crashes(kv, 1)[0])
    assert crash["pid"] == victim and crash["signal"] == "SIGKILL"
    assert crash["backtrace"] == "" and crash["request"] == ""
    assert 0 < crash["to_serving_us"] < 30_000_000


def test_the_network_process_and_the_standby_have_records_too(service):
    kv = service()
    kv.wait_for_log("standby")
    kill(kv, "network", signal.SIGSEGV)
    crash = show(kv, wait_for_crashes(kv, 1)[0])
    assert crash["process"] == "network" and crash["signal"] == "SIGSEGV"
    assert "network" in crash["backtrace"], crash
    kill(kv, "standby", signal.SIGSEGV)
    assert show(kv, wait_for_crashes(kv, 2)[0])["process"] == "standby"


def test_who_hangs_is_described_before_it_is_ended(service):
    kv = service(business_standby=0, business_heartbeat_timeout="500ms",
                 business_request_timeout="300ms")
    victim = kv.business_pid
    os.kill(victim, signal.SIGSTOP)
    crash = show(kv, wait_for_crashes(kv, 1)[0])
    assert crash["pid"] == victim and crash["cause"] == "hang"
    assert crash["end"].startswith("hung, ")
    assert "business_main" in crash["backtrace"], crash["backtrace"]
    poison(kv, "SPIN")
    crash = show(kv, wait_for_crashes(kv, 3)[0])
    assert crash["cause"] == "timeout"
    assert crash["end"].startswith("overran request_timeout, ")
    assert crash["request"] == "DEBUG SPIN"
    assert "crash_spin" in crash["where"], crash["backtrace"]


def test_records_outlive_the_supervisor_and_a_planned_end(service):
    kv = service()
    poison(kv)
    before = [show(kv, crash_id) for crash_id in wait_for_crashes(kv, 2)]
    kv.kill9()
    kv.start()
    assert [show(kv, crash["id"]) for crash in before] == before
    assert kv.status()["crashes"] == 0
    kill(kv, "business")
    assert wait_for_crashes(kv, 3)[0] == 3
    kv.stop()
    kept = Path(kv.settings["refork_state_dir"]) / f"{kv.name}.crashes"
    assert kept.stat().st_mode & 0o7777 == 0o600
    kv.start()
    assert [show(kv, crash["id"]) for crash in before] == before
    kill(kv, "business")
    assert wait_for_crashes(kv, 4)[0] == 4


@pytest.mark.parametrize("noise", [b"", b"x", os.urandom(4 << 20)],
                         ids=["empty", "one_byte", "noise"])
def test_a_status_segment_that_does_not_fit_is_replaced(service, noise):
    kv = service()
    segment, = (path for path in kv.segments() if "status" in path.name)
    kv.stop()
    segment.write_bytes(noise)
    kv.start()
    kv.wait_for_log("status segment .* is removed and made anew")
    kill(kv, "business")
    wait_for_crashes(kv, 1)


def test_a_damaged_file_of_records_costs_a_warning(service):
    kv = service()
    kill(kv, "business")
    wait_for_crashes(kv, 1)
    kv.stop()
    kept = Path(kv.settings["refork_state_dir"]) / f"{kv.name}.crashes"
    kept.write_bytes(kept.read_bytes()[:-1])
    kv.start()
    assert crashes(kv) == []
    kv.wait_for_log(f"warning: crash records of earlier runs, {kept}")


def test_no_more_than_crash_keep_records_are_kept(service):
    kv = service(crash_keep=3, crash_report="brief")
    for count in range(1, 6):
        kill(kv, "business")
        wait_until(lambda: crashes(kv) and crashes(kv)[0]["id"] == count,
                   f"{count} crashes are recorded")
    assert [crash["id"] for crash in crashes(kv)] == [5, 4, 3]
    refused = kv.control("crash", "show", "2", check=False)
    assert refused.returncode == 1 and "no crash record 2" in refused.stderr


@pytest.mark.parametrize("report", ["full", "brief"])
def test_a_record_is_on_the_disk_before_the_daemon_ends(service, report):
    kv = service(crash_report=report, arena_backend="memfd")
    kill(kv, "business")
    wait_for_crashes(kv, 1)
    before = show(kv, 1)
    kept = Path(kv.settings["refork_state_dir"]) / f"{kv.name}.crashes"
    wait_until(kept.exists, "the record is kept")
    kv.kill9()
    for segment in kv.segments():
        segment.unlink()
    kv.start()
    assert show(kv, 1) == before


def test_a_brief_report_has_no_backtrace(service):
    kv = service(crash_report="brief")
    poison(kv)
    crash = show(kv, wait_for_crashes(kv, 2)[0])
    assert crash["backtrace"] == "" and crash["request"] == "DEBUG SEGFAULT"


@pytest.mark.parametrize("report", ["full", "brief"])
def test_a_program_is_given_each_record(service, tmp_path, report):
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\ncat > {tmp_path}/$REFORK_CRASH_ID.new\n"
                    f"mv {tmp_path}/$REFORK_CRASH_ID.new"
                    f" {tmp_path}/$REFORK_NAME.$REFORK_CRASH_ID.json\n")
    hook.chmod(0o700)
    kv = service(crash_on_crash_exec=hook, crash_report=report)
    poison(kv)
    for crash_id in 1, 2:
        path = tmp_path / f"{kv.name}.{crash_id}.json"
        wait_until(path.exists, "the program was run")
        assert json.loads(path.read_text()) == show(kv, crash_id)


def test_a_program_that_cannot_be_run_is_one_warning(service, tmp_path):
    kv = service(crash_on_crash_exec=tmp_path / "missing")
    kill(kv, "business")
    kv.wait_for_log("warning: crash.on_crash_exec .*/missing for crash 1:"
                    " No such file or directory")
    kv.stop()
    assert kv.log().count("on_crash_exec") == 1
