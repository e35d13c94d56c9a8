# SPDX-License-Identifier: MIT
"""Workers: the ones that are refused, and what the others may do."""
import os
import re
import signal
import subprocess
import time

import pytest
from service import BUILD, TEST_WORKER, ReplyError, encode, wait_until


REFUSALS = {
    "abi_next": r"\b4\b.*\b3\b|\b3\b.*\b4\b",     # both versions
    "no_symbol": "refork_worker",
    "no_magic": "magic|worker",
    "build_fails": "No data available",
    "build_thread": "thread",
    "not_there": "No such file",
}


@pytest.mark.parametrize("worker", REFUSALS)
def test_a_worker_that_does_not_fit_is_refused_with_a_reason(
        daemon, worker):
    path = str(BUILD / "workers" / f"{worker}.so")
    refused = daemon(refork_worker=path)
    code, said = refused.start_refused()
    assert code != 0
    lines = [line for line in said.splitlines() if worker in line]
    assert any(re.search(REFUSALS[worker], line) for line in lines), said
    assert not refused.segments() and not refused.files()


def test_a_file_that_is_no_shared_object_is_refused(daemon, tmp_path):
    path = tmp_path / "notes.so"
    path.write_text("to do: nothing")
    code, said = daemon(refork_worker=path).start_refused()
    assert code != 0
    assert str(path) in said


def test_pushes_reach_their_connection_unasked(service):
    trial = service(refork_worker=TEST_WORKER)
    with trial.raw() as ear, trial.raw() as mouth:
        assert ear.call("LISTEN") == b"OK"
        assert mouth.call("TELL", "+one\r\n") == b"OK"
        assert ear.read() == b"one"
        assert mouth.call("LATER", "+two\r\n") == b"OK"
        assert ear.read() == b"two"


def test_a_push_is_sent_once_across_crashes(service):
    trial = service(refork_worker=TEST_WORKER)
    with trial.raw() as ear, trial.raw() as mouth:
        ear.call("LISTEN")
        for i in range(50):
            mouth.send("TELL", f":{i}\r\n")
            if i % 5 == 0:
                os.kill(trial.business_pid, signal.SIGKILL)
            assert mouth.read() == b"OK"
        assert [ear.read() for _ in range(50)] == list(range(50))
        ear.send("PING")
        assert ear.read() == b"PONG"


def test_the_own_reply_comes_before_the_push_it_causes(service):
    trial = service(refork_worker=TEST_WORKER)
    with trial.raw() as wire:
        wire.call("LISTEN")
        wire.send("TELL", "+echo\r\n")
        assert [wire.read(), wire.read()] == [b"OK", b"echo"]


def test_a_push_to_who_has_left_is_dropped(service):
    trial = service(refork_worker=TEST_WORKER)
    with trial.raw() as mouth:
        with trial.raw() as ear:
            ear.call("LISTEN")
        wait_until(lambda: trial.status()["clients"] == 1, "it has left")
        assert mouth.call("TELL", "+anybody\r\n") == b"OK"
        assert mouth.call("COUNT") == 1


def test_an_error_that_sticks_discards_change_and_reply(service):
    trial = service(refork_worker=TEST_WORKER)
    with trial.raw() as wire:
        wire.send("FAIL")
        reply = wire.read()
        assert isinstance(reply, ReplyError), reply
        assert wire.call("COUNT") == 1
    assert trial.status()["crashes"] == 0


def test_the_last_word_closes_the_connection(service):
    trial = service(refork_worker=TEST_WORKER)
    with trial.raw() as wire:
        wire.send("BYE")
        assert wire.read() == b"bye"
        assert wire.read_to_end() == b""


def exported(path):
    """Dynamic symbols a file offers, the compiler's own left out."""
    out = subprocess.run(["nm", "-D", "--defined-only", path], text=True,
                         capture_output=True, check=True).stdout
    names = {line.split()[-1] for line in out.splitlines()}
    return {name for name in names if not name.startswith("_")}


def test_a_worker_exports_one_symbol_and_the_daemon_only_its_library():
    assert exported(BUILD / "workers" / "kv.so") == {"refork_worker"}
    offered = exported(BUILD / "reforkd")
    assert "rf_alloc" in offered
    assert {name for name in offered if not name.startswith("rf_")} <= \
        {"environ", "stdin", "stdout", "stderr", "optarg", "optind", "opterr",
         "optopt", "program_invocation_name",
         "program_invocation_short_name"}


def test_a_tick_that_always_dies_is_not_forked_without_end(service):
    trial = service(refork_worker=TEST_WORKER, restart_delay_max="1s")
    with trial.raw() as wire:
        assert wire.call("DIE-IN-TICKS") == b"OK"
        time.sleep(2)
    crashes = trial.status()["crashes"]
    assert 8 < crashes < 40, crashes
    assert "backoff" in trial.log()


def test_a_closed_hook_that_always_dies_is_skipped_in_the_end(service):
    trial = service(refork_worker=TEST_WORKER)
    with trial.raw() as wire:
        assert wire.call("DIE-WHEN-CLOSED") == b"OK"
    with trial.raw() as wire:
        assert wire.call("COUNT") == 1
    assert 1 < trial.status()["crashes"] <= 8


def test_a_closed_hook_that_always_dies_lets_a_new_daemon_start(service):
    trial = service(refork_worker=TEST_WORKER)
    with trial.raw() as wire:
        assert wire.call("DIE-WHEN-CLOSED") == b"OK"
        assert wire.call("COUNT") == 1
        trial.kill9()
    trial.start()
    with trial.raw() as wire:
        assert wire.call("COUNT") == 2


def test_what_is_pipelined_behind_a_last_word_is_not_run(service):
    trial = service(refork_worker=TEST_WORKER)
    with trial.raw() as wire:
        wire.send_raw(encode("BYE") + encode("COUNT") * 3)
        assert wire.read_to_end() == b"+bye\r\n"
    with trial.raw() as wire:
        assert wire.call("COUNT") == 1


def test_a_handler_that_forgets_its_reply_does_not_hang_its_client(service):
    trial = service(refork_worker=TEST_WORKER)
    with trial.raw() as wire:
        with pytest.raises(ReplyError, match="gave no reply"):
            wire.call("FORGETFUL")
        assert wire.call("COUNT") == 1
