# SPDX-License-Identifier: MIT
"""A worker whose threads write to the arena dies, over and over, and none of
its threads is ever seen beside its successor."""
import ctypes
import os
import re
import signal
import socket

import pytest
from service import BUILD, ReplyError, wait_until

# ptrace(2)
PTRACE_SEIZE, PTRACE_DETACH, PTRACE_O_TRACEEXIT = 0x4206, 17, 0x40
WAIT_ALL = 0x40000000

WORKER = str(BUILD / "workers" / "threads.so")
DEATHS = 8


def business(service):
    return service.status()["business_pid"]


def die_and_be_followed(service, wire, fatal):
    """The standby is waiting for it: it is awake before anybody else knows."""
    wait_until(service.standby_is_ready, "the standby is ready", every_s=0.001)
    victim = business(service)
    os.kill(victim, fatal)
    wire.call("COUNT")
    wait_until(lambda: business(service) != victim, "it was followed")


def assert_alone(service, wire):
    assert wire.call("MEETINGS") == 0
    assert "somebody else's thread writes here" not in service.log()


@pytest.mark.parametrize("fatal", [signal.SIGKILL, signal.SIGSEGV],
                         ids=lambda fatal: fatal.name)
def test_no_thread_outlives_the_takeover_of_its_arena(service, fatal):
    shop = service(refork_worker=WORKER, refork_worker_args="threads=3",
                   restart_burst=1000)
    with shop.raw() as wire:
        for _ in range(DEATHS):
            die_and_be_followed(shop, wire, fatal)
        assert_alone(shop, wire)
        assert wire.call("REPAIRS") <= DEATHS


def test_threads_that_a_request_has_started_count_as_well(service):
    shop = service(refork_worker=WORKER, restart_burst=1000)
    with shop.raw() as wire:
        for fatal in [signal.SIGKILL, signal.SIGSEGV] * (DEATHS // 2):
            assert wire.call("SPAWN", 3) == 0
            die_and_be_followed(shop, wire, fatal)
        assert_alone(shop, wire)


def ptrace(request, thread, data):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(request, thread, None, ctypes.c_void_p(data)) != 0:
        pytest.skip(f"ptrace: {os.strerror(ctypes.get_errno())}")


class HeldThread:
    """One thread of a process, not its first, held at its end: the others
    can die meanwhile, and the kernel gives their locks away."""

    def __init__(self, pid):
        self.thread = next(int(name) for name in
                           os.listdir(f"/proc/{pid}/task") if int(name) != pid)
        ptrace(PTRACE_SEIZE, self.thread, PTRACE_O_TRACEEXIT)

    def wait_for_end(self):
        os.waitpid(self.thread, WAIT_ALL)

    def let_go(self):
        ptrace(PTRACE_DETACH, self.thread, 0)


@pytest.mark.parametrize("by_request", [False, True])
def test_a_successor_waits_for_the_last_thread(service, by_request):
    shop = service(refork_worker=WORKER,
                   refork_worker_args="" if by_request else "threads=1")
    with shop.raw() as wire:
        if by_request:
            assert wire.call("SPAWN", 1) == 0
        wait_until(shop.standby_is_ready, "the standby is ready")
        victim = business(shop)
        held = HeldThread(victim)
        os.kill(victim, signal.SIGKILL)
        held.wait_for_end()
        wire.send("COUNT")
        wire.socket.settimeout(0.3)
        with pytest.raises(socket.timeout):
            wire.read()
        held.let_go()
        wire.socket.settimeout(30)
        assert wire.read() == 1
        assert_alone(shop, wire)


def test_threads_that_still_run_do_not_outlive_a_planned_end(service):
    shop = service(refork_worker=WORKER, refork_worker_args="threads=3")
    with shop.raw() as wire:
        for _ in range(4):
            shop.control("restart", "business")
            wire.call("COUNT")
        assert_alone(shop, wire)
    assert shop.status()["crashes"] == 0


def test_a_dead_business_thread_leaves_no_lock_that_nobody_can_take(service):
    shop = service(refork_worker=WORKER, refork_worker_args="threads=2")
    with shop.raw() as wire:
        for repairs in (1, 2):
            assert wire.call("DIE-WITH-LOCK") == 0
            wait_until(lambda: wire.call("COLLECT") > 0, "the others work")
            assert wire.call("REPAIRS") >= repairs
            # Each has killed one process: it is known whose fault that was.
            assert shop.status()["crashes"] == repairs
        assert_alone(shop, wire)


def test_what_threads_make_is_counted_once_whoever_dies(service):
    shop = service(refork_worker=WORKER, refork_worker_args="threads=2",
                   restart_burst=1000)
    with shop.raw() as wire:
        collected = 0
        for _ in range(DEATHS // 2):
            for _ in range(20):
                collected += wire.call("COLLECT")
            die_and_be_followed(shop, wire, signal.SIGKILL)
        assert collected > 0
        # Nothing is made while nobody looks: both are of one instant.
        assert wire.call("COUNTED") == collected


def test_a_transaction_of_another_thread_is_a_crash_that_says_so(service):
    shop = service(refork_worker=WORKER)
    with shop.raw() as wire:
        assert wire.call("TRANSACT") == 0
    assert re.search("begun by another thread than the business thread",
                     shop.log())


def test_a_lock_stands_in_an_arena_that_is_guarded(service):
    """And what a thread writes without it is a crash there."""
    shop = service(refork_worker=WORKER, refork_worker_args="threads=2",
                   arena_guard="pkey")
    if "arena.guard: protection key:" in shop.log():
        pytest.skip("this machine has no protection keys")
    with shop.raw() as wire:
        for repairs in (1, 2):
            assert wire.call("COUNT") == repairs
            assert wire.call("DIE-WITH-LOCK") == 0
            wait_until(lambda: wire.call("COLLECT") > 0, "the others work")
            assert wire.call("REPAIRS") >= repairs
        assert shop.status()["crashes"] == 2
        assert wire.call("STRAY") == 0
        assert wire.call("COUNT") == 3
        # The request is not to blame for what a thread does, a few times.
        assert shop.status()["crashes"] > 2
