# SPDX-License-Identifier: MIT
"""Requests that wait in the arena, and what else a worker asks for.

PARK TEXT of the trial worker is answered with TEXT once somebody says GO:
whatever processes end meanwhile, each client gets it once, and then what it
asked for behind it.
"""
import contextlib
import os
import shutil
import signal
import time

import pytest

from service import TEST_WORKER, ReplyError, wait_until

CLIENTS = 40


@pytest.fixture
def trial(service):
    return service(refork_worker=TEST_WORKER, restart_delay="0",
                   restart_burst=1000)


@contextlib.contextmanager
def parked(trial):
    """Clients that wait, one in two with something behind it."""
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(trial.raw(unix=i % 2 == 1))
                 for i in range(CLIENTS)]
        for i, wire in enumerate(wires):
            wire.send("PARK", f"text{i}")
            if i % 2 == 0:
                wire.send_raw(b"PING\r\n" * 3)
        master = stack.enter_context(trial.raw())
        wait_until(lambda: requests_seen(trial) >= CLIENTS, "all are parked")
        yield wires, master


def requests_seen(trial):
    return trial.status()["requests"]


def expect_answers(wires, master):
    assert master.call("GO") == CLIENTS
    for i, wire in enumerate(wires):
        assert wire.read() == f"text{i}".encode()
        if i % 2 == 0:
            assert [wire.read() for _ in range(3)] == [b"PONG"] * 3
    assert master.call("COUNT") == CLIENTS + 1
    for wire in wires:
        assert wire.call("PING") == b"PONG"


def kill(role):
    def end(trial):
        pid = getattr(trial, f"{role}_pid")
        os.kill(pid, signal.SIGKILL)
        trial.wait_for_successor(pid, role)
    return end


def restart(role):
    return lambda trial: trial.control("restart", role)


def upgrade(trial):
    other = trial.directory / "another.so"
    shutil.copy(TEST_WORKER, other)
    trial.control("upgrade", str(other))


@pytest.mark.parametrize("end", [
    kill("business"), kill("network"), restart("business"),
    restart("network"), upgrade],
    ids=["killed_business", "killed_network", "restarted_business",
         "restarted_network", "upgraded"])
def test_who_waits_goes_on_waiting(trial, end):
    with parked(trial) as (wires, master):
        end(trial)
        end(trial)
        expect_answers(wires, master)


def test_they_are_answered_once_through_deaths_while_they_go_on(trial):
    with parked(trial) as (wires, master):
        master.send("GO")
        for role in ("business", "network", "business"):
            kill(role)(trial)
        assert master.read() == CLIENTS
        for i, wire in enumerate(wires):
            assert wire.read() == f"text{i}".encode()
            if i % 2 == 0:
                assert [wire.read() for _ in range(3)] == [b"PONG"] * 3
        assert master.call("COUNT") == CLIENTS + 1


def test_one_that_kills_is_given_up_and_the_others_go_on(trial):
    with trial.raw() as bad, trial.raw() as good, trial.raw() as master:
        bad.send("PARK", "bad", "kill")
        bad.send("PING")
        good.send("PARK", "good")
        wait_until(lambda: requests_seen(trial) >= 2, "both are parked")
        assert master.call("GO") == 2
        reply = bad.read()
        assert isinstance(reply, ReplyError)
        assert str(reply).startswith("CRASHED ")
        assert bad.read() == b"PONG"
        assert good.read() == b"good"
        assert master.call("COUNT") == 2
    assert trial.status()["crashes"] == 2
    listed = trial.control("quarantine", "list").stdout
    assert "PARK" in listed
    assert "parked as" in trial.control("quarantine", "show", "1").stdout
    for crash in "1", "2":
        wait_until(lambda: "PARK bad kill" in trial.control(
            "crash", "show", crash, check=False).stdout, "a record names it")


def test_an_idle_timeout_does_not_end_who_waits(service):
    trial = service(refork_worker=TEST_WORKER, restart_delay="0",
                    network_client_idle_timeout="1s")
    with trial.raw() as wire, trial.raw() as idle:
        wire.send("PARK", "text")
        assert idle.call("PING") == b"PONG"
        kill("network")(trial)
        assert idle.read_to_end() == b""
        time.sleep(1)
        with trial.raw() as master:
            assert master.call("GO") == 1
        assert wire.read() == b"text"
        assert wire.call("PING") == b"PONG"
        assert wire.read_to_end() == b""


def test_a_worker_may_leave_and_nobody_notices(trial):
    before = trial.status()
    with trial.raw() as wire:
        for i in range(20):
            assert wire.call("LEAVE") == b"OK"
            assert wire.call("COUNT") == i + 1
    after = trial.status()
    assert after["crashes"] == 0
    assert after["generation"] == before["generation"] + 20
    assert after["planned"] == 20


def test_it_may_leave_without_a_standby(service):
    trial = service(refork_worker=TEST_WORKER, business_standby="0")
    with trial.raw() as wire:
        for i in range(20):
            assert wire.call("LEAVE") == b"OK"
            assert wire.call("COUNT") == i + 1
    assert trial.status()["crashes"] == 0


def test_who_is_closed_gets_its_last_word(trial):
    with trial.raw() as wire, trial.raw() as waits, trial.raw() as master:
        assert wire.call("PING") == b"PONG"
        waits.send("PARK", "text")
        wait_until(lambda: requests_seen(trial) >= 2, "it is parked")
        assert master.call("CLOSE-OTHERS") == b"OK"
        assert wire.read_to_end() == b"+farewell\r\n"
        assert waits.read_to_end() == b"+farewell\r\n"
        assert master.call("GO") == 0


@pytest.mark.parametrize("count, bytes_each", [(1, 16 << 20), (300, 100_000)])
def test_pushes_may_be_as_long_as_max_reply(trial, count, bytes_each):
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(trial.raw(unix=i % 2 == 1))
                 for i in range(count)]
        master = stack.enter_context(trial.raw())
        for wire in wires:
            wire.call("PING")
        assert master.call("SHOUT", bytes_each) == b"OK"
        kill("network")(trial)
        for wire in wires:
            assert wire.read() == b"x" * bytes_each
            assert wire.call("PING") == b"PONG"
