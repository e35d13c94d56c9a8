# SPDX-License-Identifier: MIT
"""What may happen to an instance under systemd: the rows of the table in
docs/systemd.md, each with what brings it about."""
import time
from signal import SIGSTOP
from typing import Callable, NamedTuple

from service import TOP, ReplyError, wait_until

HEAD = ["event", "open connections", "state", "supervisor"]
HOG = {"refork_worker": "/usr/lib/refork/workers/hog.so"}
# systemd's watchdog bites soon, and what it aborts is given a moment to obey.
WATCHED = "[Service]\nWatchdogSec=1s\nTimeoutAbortSec=300ms\n"


class Event(NamedTuple):
    act: Callable           # act(instance)
    unit: str = ""          # a drop-in
    settings: dict = {}     # of the ini
    limit: str = ""         # the cgroup controller that it is about


EVENTS = {}


def event(row, unit="", limit="", **settings):
    def note(act):
        EVENTS[row] = Event(act, unit, settings, limit)
        return act
    return note


def table():
    """{event: {column: word}} as the page has it."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")]
             for line in (TOP / "docs/systemd.md").read_text().split("\n")
             if line.startswith("|")]
    rows = {}
    for cells in lines[lines.index(HEAD) + 2:]:
        if len(cells) != len(HEAD):
            break
        rows[cells[0]] = dict(zip(HEAD[1:], cells[1:]))
    return rows


# ---- by systemctl ----

@event("`systemctl restart`")
def restart(kv):
    kv.systemctl("restart")


event("`systemctl restart`, `preserve_clients = restart`",
      network_preserve_clients="restart")(restart)


@event("`systemctl stop`, then `start`")
def stop_and_start(kv):
    kv.systemctl("stop")
    assert not kv.traces()
    kv.systemctl("start")


@event("`systemctl reload`")
def reload(kv):
    kv.configure(log_level="debug")
    kv.systemctl("reload")
    assert "log.level" in kv.log()


@event("`systemctl reload` of a bad ini: refused")
def reload_bad(kv):
    kv.configure(log_level="loud")
    assert kv.systemctl("reload", check=False).returncode != 0
    assert "error: " in kv.log() and "loud" in kv.log()
    kv.configure(log_level="info")


@event("`systemctl restart` with a bad ini, mended later")
def restart_bad(kv):
    kv.configure(log_level="loud")
    assert kv.systemctl("restart", check=False).returncode != 0
    assert "loud" in kv.log()
    kv.configure(log_level="info")
    kv.systemctl("restart")


@event("`systemctl daemon-reload`")
def daemon_reload(kv):
    kv.machine.systemctl("daemon-reload")


@event("`systemctl daemon-reexec`")
def daemon_reexec(kv):
    kv.machine.systemctl("daemon-reexec")


# ---- by signals ----

@event("SIGKILL of the supervisor")
def kill_supervisor(kv):
    kv.kill("supervisor")


def kill_child(role):
    def kill(kv):
        # A standby that has just begun may be in the way of its own record.
        killed = kv.kill(role)
        wait_until(lambda: kv.processes().get(role) not in (None, killed),
                   f"another {role}")
    return kill


for _role, _name in {"network": "network process",
                     "business": "business process",
                     "standby": "standby", "vault": "vault"}.items():
    event(f"SIGKILL of the {_name}")(kill_child(_role))


@event("SIGKILL of everything at once")
def kill_all(kv):
    kv.machine.systemctl("kill", "-s", "KILL", "--kill-whom=all", kv.unit)


# ---- hangs ----

def wait_for_result(kv, result):
    """systemd has ended it for that."""
    wait_until(lambda: f"Failed with result '{result}'" in kv.log(),
               f"result {result}", every_s=0.1)


@event("the supervisor hangs: systemd's watchdog", WATCHED)
def stop_supervisor(kv):
    kv.kill("supervisor", SIGSTOP)
    wait_for_result(kv, "watchdog")


@event("the business process hangs: `heartbeat_timeout`", WATCHED,
       business_heartbeat_timeout="500ms")
def stop_business(kv):
    killed = kv.kill("business", SIGSTOP)
    wait_until(lambda: not kv.is_alive(killed), "it is ended")


def stop_unwatched(role):
    def act(kv):
        kv.kill(role, SIGSTOP)
        wait_for_result(kv, "watchdog")
    return act


for _role in "business", "network":
    event(f"the {_role} process hangs, `heartbeat_timeout = 0`: systemd's "
          "watchdog", WATCHED,
          business_heartbeat_timeout=0)(stop_unwatched(_role))


# ---- resources ----

@event("a request takes more than `MemoryMax=`",
       "[Service]\nMemoryMax=200M\nMemorySwapMax=0\n", "memory", **HOG)
def take_memory(kv):
    with kv.wire() as wire:
        wire.send("MEMORY")
        assert isinstance(wire.read(), ReplyError)
    assert kv.status()["quarantined"] == 1
    assert kv.status()["crashes"] >= 2


@event("a worker wants more threads than `TasksMax=`",
       "[Service]\nTasksMax=30\n", "pids", **HOG)
def take_tasks(kv):
    with kv.wire() as wire:
        assert 0 < wire.call("THREADS", "100") < 30
    kill_child("business")(kv)
    with kv.wire() as wire:
        assert 0 < wire.call("THREADS", "5") == 5


@event("`CPUQuota=` of a tenth of a core, under load",
       WATCHED + "CPUQuota=10%\n", "cpu")
def take_time(kv):
    with kv.wire() as wire:
        until = time.monotonic() + 3
        while time.monotonic() < until:
            wire.pipeline([("INCR", "load")] * 100)
    kill_child("business")(kv)


AILING = "/srv/ailing"  # while it is there, each business process dies


@event("`on_limit = exit`: too many crashes", refork_worker_args=AILING,
       network_park_timeout="300ms", restart_burst=2, restart_delay="0",
       restart_on_limit="exit", **HOG)
def crash_too_often(kv):
    supervisor = kv.pid_of("supervisor")
    kv.machine.write(AILING, "")
    wait_until(lambda: not kv.is_alive(supervisor), "it exits")
    (kv.machine.root / AILING.lstrip("/")).unlink()
    assert "status=70" in kv.log()
