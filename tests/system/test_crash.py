# SPDX-License-Identifier: MIT
"""Deaths of children, and what clients notice of them: a pause."""
import contextlib
import os
import signal
import time

import pytest
from service import BUILD, TEST_WORKER, ReplyError, wait_until

FATAL = [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS,
         signal.SIGFPE, signal.SIGILL]


@pytest.mark.parametrize("fatal", FATAL, ids=lambda fatal: fatal.name)
def test_a_connection_outlives_the_business_child(service, fatal):
    kv = service()
    with kv.raw() as wire:
        for i in range(1, 21):
            assert wire.call("INCR", "n") == 2 * i - 1
            assert wire.call("SET", f"key{i}", "x" * i) == b"OK"
            os.kill(kv.business_pid, fatal)
            assert wire.call("INCR", "n") == 2 * i
        assert [wire.call("STRLEN", f"key{i}") for i in range(1, 21)] == \
            list(range(1, 21))
    wait_until(lambda: kv.status()["crashes"] == 20, "20 crashes are counted")
    assert f"killed by {fatal.name}" in kv.log()


@pytest.mark.parametrize("how", ["SEGFAULT", "ABORT", "OOPS-IN-TX"])
def test_a_request_that_kills_twice_is_answered_and_skipped(service, how):
    kv = service()
    with kv.raw() as wire, kv.raw() as other:
        other.call("SET", "key", "value")
        used = kv.status()["arena_used_bytes"]
        wire.send("DEBUG", how)
        reply = wire.read()
        assert isinstance(reply, ReplyError)
        assert str(reply).startswith("CRASHED ")
        assert wire.call("GET", "key") == b"value"
        assert wire.call("DBSIZE") == 1
        assert other.call("GET", "key") == b"value"
        assert wire.call("KEYS", "*") == [b"key"]
    assert kv.status()["crashes"] == 2
    wait_until(lambda: kv.status()["arena_used_bytes"] <= used + 4096,
               "the arena is as full as before")


def test_a_poisoned_pipeline_loses_only_the_poison(service):
    kv = service()
    for how in ("SEGFAULT", "OOPS-IN-TX", "ABORT"):
        with kv.raw() as wire:
            replies = wire.pipeline([
                ("SET", "n", 1), ("DEBUG", how), ("INCR", "n"), ("GET", "n")])
        assert [str(reply).split()[0] if isinstance(reply, ReplyError)
                else reply for reply in replies] == \
            [b"OK", "CRASHED", 2, b"2"]


def test_pipelined_requests_across_crashes_are_answered_once_in_order(service):
    kv = service()
    rounds, count = 20, 5000
    business = kv.business_pid
    with kv.raw() as wire:
        for round_ in range(rounds):
            wire.send_raw(b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n" * count)
            time.sleep(round_ * 0.0002)
            os.kill(business, signal.SIGKILL)
            first = round_ * count + 1
            assert [wire.read() for _ in range(count)] == \
                list(range(first, first + count))
            # All may have been answered before the signal arrived.
            business = kv.wait_for_successor(business)
        assert wire.call("GET", "n") == b"%d" % (rounds * count)
    assert kv.status()["crashes"] == rounds


def test_a_large_request_and_its_reply_outlive_crashes(service):
    kv = service(arena_max="256M")
    value = os.urandom(8 << 20)
    with kv.raw() as wire:
        for fatal in FATAL[:3]:
            wire.send("SET", "key", value)
            os.kill(kv.business_pid, fatal)
            assert wire.read() == b"OK"
            wire.send("GET", "key")
            os.kill(kv.business_pid, fatal)
            assert wire.read() == value


def test_clients_are_told_apart_after_a_crash(service):
    kv = service()
    wires = [kv.raw(unix=i % 2 == 0) for i in range(50)]
    for i, wire in enumerate(wires):
        wire.call("CLIENT", "SETNAME", f"client{i}")
        wire.send("SET", f"key{i}", i)
    os.kill(kv.business_pid, signal.SIGSEGV)
    for i, wire in enumerate(wires):
        assert wire.read() == b"OK"
        assert wire.call("CLIENT", "GETNAME") == b"client%d" % i
        assert wire.call("GET", f"key{i}") == b"%d" % i
        wire.close()


def test_a_client_that_leaves_during_a_crash_disturbs_nobody(service):
    kv = service()
    with kv.raw() as stays:
        for i in range(20):
            leaves = kv.raw()
            leaves.call("SET", "key", i)
            leaves.send("INCR", "n")
            os.kill(kv.business_pid, signal.SIGKILL)
            leaves.close()
            assert stays.call("GET", "key") == b"%d" % i
        wait_until(lambda: kv.status()["clients"] <= 2, "they are gone")


def test_the_holders_of_memory_maps_can_be_killed_too(service):
    kv = service()
    with kv.raw() as wire:
        for i in range(1, 11):
            assert wire.call("INCR", "n") == i
            for pid in kv.holder_pids():
                # Those of the past are ended at any moment anyway.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            os.kill(kv.business_pid, signal.SIGKILL)
        assert wire.call("INCR", "n") == 11
    wait_until(lambda: len(kv.holder_pids()) <= 1,
               "no more than one map is held")


# ---- the network child ----

@pytest.mark.parametrize("fatal", FATAL[:3], ids=lambda fatal: fatal.name)
def test_the_port_never_refuses_while_the_network_child_is_replaced(
        service, fatal):
    kv = service()
    with kv.raw() as wire:
        wire.call("SET", "key", "value")
    business = kv.business_pid
    answered = 0
    for _ in range(10):
        victim = kv.network_pid
        os.kill(victim, fatal)
        replaced = False
        while not replaced:
            replaced = kv.find_child("network") not in (None, victim)
            # ConnectionRefusedError is the failure looked for; to be cut off
            # by the dying child is not.
            with kv.raw(unix=answered % 2 == 0) as wire:
                try:
                    assert wire.call("GET", "key") == b"value"
                    answered += 1
                except (ConnectionError, EOFError):
                    pass
    assert answered >= 10
    assert kv.business_pid == business
    with kv.raw() as wire:
        assert wire.call("GET", "key") == b"value"


def test_the_network_child_can_die_with_requests_in_flight(service):
    kv = service()
    with kv.raw() as wire:
        for round_ in range(10):
            first = round_ * 10000 + 1
            wire.send_raw(b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n" * 10000)
            assert wire.read() == first
            os.kill(kv.network_pid, signal.SIGKILL)
            assert [wire.read() for _ in range(9999)] == \
                list(range(first + 1, first + 10000))


def test_both_children_can_die_at_once(service):
    kv = service()
    with kv.raw() as wire:
        wire.call("SET", "key", "value")
    for _ in range(10):
        pids = kv.network_pid, kv.business_pid
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        kv.wait_for_successor(pids[0], "network")
        kv.wait_for_successor(pids[1], "business")
        with kv.raw() as wire:
            assert wire.call("GET", "key") == b"value"


# ---- what stands in the way of a successor ----

def forkless(tmp_path):
    """Options of a service whose fork() fails while the flag file exists,
    which a confined process could not see."""
    flag = tmp_path / "fork_fails"
    shim = BUILD / "preload" / "fork_fails.so"
    return flag, {"env": {"LD_PRELOAD": str(shim), "FORK_FAILS": str(flag)},
                  "network_confine": "no"}


@pytest.mark.parametrize("role", ["business", "network"])
def test_fork_failing_for_a_while_delays_but_loses_nothing(
        service, tmp_path, role):
    flag, options = forkless(tmp_path)
    kv = service(business_standby=0, **options)
    with kv.raw() as wire:
        wire.call("SET", "key", "value")
        victim = kv.child_titled(role)
        flag.touch()
        os.kill(victim, signal.SIGKILL)
        kv.wait_for_log(rf"{role}.*Resource temporarily unavailable")
        wire.send("GET", "key")     # waits, parked
        time.sleep(0.3)
        assert kv.process.poll() is None
        assert kv.find_child(role) is None
        flag.unlink()
        assert wire.read() == b"value"


def test_a_lease_whose_holder_broke_its_robust_list_is_taken_over(service):
    trial = service(refork_worker=TEST_WORKER)
    with trial.raw() as wire:
        assert wire.call("COUNT") == 1
        for count in range(2, 6):
            assert wire.call("BREAK-LEASE") == b"OK"
            assert wire.call("COUNT") == count


def test_a_worker_that_exits_is_replaced_like_one_that_crashes(service):
    trial = service(refork_worker=TEST_WORKER)
    with trial.raw() as wire:
        for code in (0, 1, 42):
            assert wire.call("EXIT", code) == b"OK"
        assert wire.call("COUNT") == 1
    assert "42" in trial.log()
    # Who ends without a word may have been struck from outside: three times
    # that is not held against the request.
    assert trial.status()["crashes"] == 3 * 4


def test_clients_are_parked_while_the_worker_cannot_start(daemon, tmp_path):
    starts = tmp_path / "starts"
    trial = daemon(refork_worker=TEST_WORKER,
                   refork_worker_args=f"die_in_start={starts}:4")
    trial.launch()
    wait_until(starts.exists, "the first child has died")
    with trial.raw() as wire:
        assert wire.call("COUNT") == 1
        assert starts.stat().st_size == 4
    assert trial.status()["crashes"] == 4


def test_the_status_counts_what_was_rolled_back(service):
    kv = service(business_allow_crash_test="yes")
    with kv.raw() as wire:
        with pytest.raises(ReplyError, match="CRASHED"):
            wire.call("DEBUG", "OOPS-IN-TX")
    status = kv.status()
    assert status["crashes"] == status["recoveries"] == 2
    assert status["rolled_back"] == 2


def test_a_service_that_gets_on_is_never_given_up(service):
    """Bursts of deaths, one after the other: each is answered by a walk of the
    memory, and clients are served in between."""
    kv = service(restart_burst=5)
    with kv.raw() as wire:
        for number in range(1, 41):
            assert wire.call("INCR", "n") == number
            if number % 2:
                continue
            pid = kv.business_pid
            os.kill(pid, signal.SIGSEGV if number % 4 else signal.SIGKILL)
            wait_until(lambda: kv.business_pid not in (None, pid), "another")
            for _ in range(3):
                assert wire.call("GET", "n") == b"%d" % number
    status = kv.status()
    assert status["rung_verify"] >= 3 and status["rung_hold"] == 0
