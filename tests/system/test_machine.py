# SPDX-License-Identifier: MIT
"""The harness that boots a systemd: it leaves nothing, however it ends."""
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from machine import why_not
from machine_boot import NAME, hierarchies
from service import is_alive, wait_until

OWNER = """
import sys, time
sys.path.insert(0, {here!r})
from machine import Machine
machine = Machine().start()
print(machine.directory, machine.pid, machine.keeper.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def owner():
    """A process that has booted a machine: (Popen, where, PID 1, keeper)."""
    if reason := why_not():
        pytest.skip(f"no systemd to boot: {reason}")
    made = subprocess.Popen(
        [sys.executable, "-c", OWNER.format(here=str(Path(__file__).parent))],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    where, pid, keeper = made.stdout.readline().split()
    yield made, Path(where), int(pid), int(keeper)
    made.kill()
    made.wait()
    made.stdout.close()


def cgroups(keeper):
    return [path for _, at, below in hierarchies()
            for path in {at / below / f"{NAME}{keeper}",
                         at / f"{NAME}{keeper}"} if path.exists()]


def test_nothing_is_left_of_a_machine_whose_owner_is_killed(owner):
    process, where, pid, keeper = owner
    assert is_alive(pid) and cgroups(keeper)
    process.kill()
    wait_until(lambda: not is_alive(keeper), "the keeper ends")
    assert not is_alive(pid) and not where.exists() and not cgroups(keeper)


def test_a_machine_ends_with_its_keeper_and_the_next_one_cleans_up(owner):
    process, where, pid, keeper = owner
    inside = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert inside
    os.kill(keeper, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, [pid, *map(int, inside)])),
               "all of it has ended")
    process.kill()
    assert cgroups(keeper)
    subprocess.run([sys.executable, "-c", OWNER.format(
        here=str(Path(__file__).parent)).replace("time.sleep(600)",
                                                 "machine.stop()")],
                   check=True, stdout=subprocess.DEVNULL, timeout=60)
    assert not cgroups(keeper)
    # The directory is as empty as it is harmless: a temporary one.
    assert {path.name for path in where.iterdir()} <= {
        "host", "fs", "kmsg", "pid"}
    subprocess.run(["rm", "-rf", where], check=True)


def test_a_machine_changes_nothing_outside(machine):
    before = Path("/proc/sys/vm/swappiness").read_text()
    refused = machine.run(["sh", "-c", "echo 1 >/proc/sys/vm/swappiness"],
                          check=False)
    assert refused.returncode != 0
    machine.run(["sh", "-c", "echo x >/etc/of-the-machine; hostname elsewhere"
                 "; touch /dev/shm/of-the-machine /tmp/of-the-machine"])
    assert Path("/proc/sys/vm/swappiness").read_text() == before
    assert os.uname().nodename != "elsewhere"
    assert not [path for path in ("/etc", "/dev/shm", "/tmp")
                if Path(path, "of-the-machine").exists()]
    machine.run(["rm", "/etc/of-the-machine", "/dev/shm/of-the-machine"])
