# SPDX-License-Identifier: MIT
"""A child with a debugger attached: its parent cannot collect it when it has
died, only know that it has."""
import os
import signal
import subprocess
import sys
import time

import pytest
from service import process_state, wait_until

SEIZE = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4
print(ctypes.get_errno() if libc.ptrace(0x4206, int(sys.argv[1]), 0, 0) else 0,
      flush=True)
sys.stdin.read()
"""
LOOK_S = 0.6
TICKS_MAX = 0.2 * LOOK_S * os.sysconf("SC_CLK_TCK")


class Tracer:
    """A process that has attached to another, and does nothing more."""

    def __init__(self, pid):
        self.process = subprocess.Popen(
            [sys.executable, "-c", SEIZE, str(pid)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.error = int(self.process.stdout.readline())

    def __enter__(self):
        if self.error:
            self.__exit__()
            pytest.skip(f"ptrace: {os.strerror(self.error)}")
        return self

    def __exit__(self, *_):
        """Its end lets go."""
        self.process.communicate("")


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


@pytest.mark.parametrize("role", ["business", "standby", "network"])
def test_a_traced_child_that_dies_is_replaced_and_told_of(service, role):
    kv = service(business_standby="1" if role == "standby" else "0")
    if role == "standby":
        wait_until(kv.standby_is_ready, "a standby is there")
    with kv.raw() as wire:
        wire.call("SET", "a", "1")
        victim = getattr(kv, f"{role}_pid")
        with Tracer(victim):
            os.kill(victim, signal.SIGKILL)
            kv.wait_for_successor(victim, role)
            before = cpu_ticks(kv.supervisor_pid)
            time.sleep(LOOK_S)
            assert cpu_ticks(kv.supervisor_pid) - before <= TICKS_MAX
            assert process_state(victim) == "Z"
            assert wire.call("GET", "a") == b"1"
        wait_until(lambda: process_state(victim) == "", "it is collected")
    shown = wait_until(lambda: kv.control("crashes").stdout, "a record")
    assert "SIGKILL" in shown
    kv.stop()


def test_a_service_ends_while_a_debugger_has_one_of_its_dead(service):
    kv = service(business_standby="0")
    victim = kv.business_pid
    with Tracer(victim):
        os.kill(victim, signal.SIGKILL)
        kv.wait_for_successor(victim)
        kv.stop()
