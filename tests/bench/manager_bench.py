# SPDX-License-Identifier: MIT
"""The pause that clients see when systemd restarts the daemon: after a SIGKILL
of the supervisor, and at `systemctl restart`."""
import os
import signal
import statistics
import tempfile
import time
from pathlib import Path

from measure import MIB, QUICK, VALUE_BYTES, milliseconds, percentile, say, \
    table
from machine import Instance, Machine, install, why_not
from service import wait_until

ROUNDS = 3 if QUICK else 30
SIZES = [0, 64 * MIB] if QUICK else [0, 1024 * MIB]
# What systemd makes for the daemon before it becomes it, left away.
BARE = """
SystemCallFilter=
SystemCallArchitectures=
RestrictAddressFamilies=
""" + "=no\n".join(["RestrictNamespaces", "RestrictRealtime", "PrivateTmp",
                    "RestrictSUIDSGID", "MemoryDenyWriteExecute",
                    "LockPersonality", "ProtectClock", "ProtectHostname",
                    "ProtectKernelLogs", "ProtectKernelModules", "ProtectHome",
                    "PrivateDevices", "ProtectKernelTunables", "PrivateUsers",
                    "ProtectControlGroups", "ProtectSystem", "PrivateMounts",
                    ""]) + "ProtectProc=default\nProcSubset=all\n"
# What the page says, and what the unit is given.
UNITS = {"100ms": "RestartSec=100ms\n", "10ms": "RestartSec=10ms\n",
         "0": "RestartSec=0\n", "0, not hardened": "RestartSec=0\n" + BARE}
RETRY_S = 0.0005


class Asker:
    """One client that asks again and again; connects anew when it must."""

    def __init__(self, instance):
        self.instance = instance
        self.wire = instance.wire()
        self.reconnected = False

    def ask(self):
        """The time of the next reply."""
        while True:
            try:
                if self.wire is None:
                    self.wire = self.instance.wire()
                    self.reconnected = True
                self.wire.call("GET", "bench:key")
                return time.monotonic()
            except (EOFError, ConnectionError):
                if self.wire is not None:
                    self.wire.close()
                self.wire = None
                time.sleep(RETRY_S)

    def pause(self, until):
        """The longest time between two replies until until() is true; in
        microseconds."""
        longest, last = 0, self.ask()
        while not until():
            now = self.ask()
            longest, last = max(longest, now - last), now
        return longest * 1e6


def fill(instance, size):
    value = os.urandom(VALUE_BYTES)
    with instance.wire() as wire:
        wire.call("SET", "bench:key", "x")
        for number in range(size // VALUE_BYTES):
            wire.call("SET", f"bench:{number}", value)


def is_settled(instance):
    """What a restart leaves to be done is done: all of it is awake."""
    return instance.status()["standby_ready"]


def kill_once(instance):
    """(when the signal was sent, microseconds from there to the reply)"""
    asker = Asker(instance)
    asker.ask()
    pid = instance.machine.outside_pid(int(instance.show("MainPID")))
    died = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    # A reply may have been on its way.
    while True:
        answered = asker.ask()
        if asker.reconnected:
            break
    asker.wire.close()
    wait_until(lambda: is_settled(instance), "it has settled")
    return died, (answered - died) * 1e6


def restart_once(instance):
    asker = Asker(instance)
    restart = instance.machine.begin(["systemctl", "restart", instance.unit])
    pause = asker.pause(lambda: restart.poll() is not None)
    said = restart.communicate()[1]
    assert restart.returncode == 0, said
    asker.wire.close()
    wait_until(lambda: is_settled(instance), "it has settled")
    return pause, asker.reconnected


def points(waits):
    return [milliseconds(percentile(waits, 50)),
            milliseconds(percentile(waits, 99)), milliseconds(max(waits))]


def running(machine, name, size, unit="", **settings):
    instance = Instance(machine, name, unit, log_level="info",
                        arena_size=f"{size + 32 * MIB}",
                        arena_max=f"{size + 64 * MIB}", **settings).start()
    fill(instance, size)
    wait_until(lambda: is_settled(instance), "it has settled")
    return instance


def steps_of(instance, died):
    """Milliseconds until systemd knows, until it starts the daemon, until the
    daemon is heard, until it is ready, as the journal tells."""
    said = [(int(entry["__MONOTONIC_TIMESTAMP"]) / 1e6, entry)
            for entry in instance.journal()]

    def when(fits):
        return next(at for at, entry in said if at > died and fits(entry))
    marks = [died,
             when(lambda entry: "Main process exited" in entry["MESSAGE"]),
             when(lambda entry: entry["MESSAGE"].startswith("Starting ")),
             when(lambda entry: "REFORK_ROLE" in entry),
             when(lambda entry: entry.get("REFORK_EVENT") == "ready")]
    return [(end - begin) * 1e3 for begin, end in zip(marks, marks[1:])]


def kills(machine, kind, size):
    """(a row, another of the steps)"""
    name = f"kill{list(UNITS).index(kind)}-{size // MIB}"
    instance = running(machine, name, size, "[Service]\n" + UNITS[kind])
    found = [kill_once(instance) for _ in range(ROUNDS)]
    steps = zip(*(steps_of(instance, died) for died, _ in found))
    instance.end()
    what = [kind, f"{size // MIB:,} MiB"]
    return (["SIGKILL of the supervisor", *what, "end",
             *points([wait for _, wait in found])],
            [*what, *(f"{statistics.median(step):.1f}" for step in steps)])


def restarts(machine, preserve, size):
    instance = running(machine, f"restart-{preserve}-{size // MIB}", size,
                       network_preserve_clients=preserve)
    found = [restart_once(instance) for _ in range(ROUNDS)]
    instance.end()
    ends = {reconnected for _, reconnected in found}
    assert len(ends) == 1, found
    return ["`systemctl restart`" + (", `preserve_clients = restart`"
                                     if preserve != "no" else ""),
            "", f"{size // MIB:,} MiB", "end" if ends == {True} else "stay",
            *points([pause for pause, _ in found])]


def bench_systemd(_):
    say("## Under systemd", "", "From the signal to the next reply of a client "
        "that connects again as soon as it can; and,", "at `systemctl "
        "restart`, the longest time between two replies. "
        f"{ROUNDS} rounds a row.", "")
    reason = why_not()
    if reason:
        say(f"Not here: {reason}.", "")
        return
    with tempfile.TemporaryDirectory() as directory:
        layer = Path(directory) / "installed"
        layer.mkdir()
        install(layer)
        machine = Machine(layer).start()
        try:
            machine.prepare()
            rows, steps = map(list, zip(*(kills(machine, kind, size)
                                          for size in SIZES
                                          for kind in UNITS)))
            rows += [restarts(machine, preserve, size)
                     for size in SIZES for preserve in ("no", "restart")]
        finally:
            machine.stop()
    table(["event", "`RestartSec=`", "data", "connections", "p50 ms", "p99 ms",
           "max ms"], rows)
    say("The steps of a restart after SIGKILL, ms (p50).", "")
    table(["`RestartSec=`", "data", "until systemd knows",
           "until it starts the daemon", "until the daemon has the state",
           "until it serves"], steps)
