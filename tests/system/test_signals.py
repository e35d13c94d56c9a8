# SPDX-License-Identifier: MIT
"""A signal to each process in each state: the second table of FAULTS.md."""
import os
import signal
import time
from typing import Callable, NamedTuple

import pytest
from faults import LOST, NOTHING, PAUSE, Patient
from service import is_alive, wait_until

SIGNALS = [signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP]
PROCESSES = ["supervisor", "network", "vault", "business", "standby"]


# ---- states that can be held ----

class State(NamedTuple):
    means: str
    enter: Callable
    leave: Callable
    settings: dict
    cells: dict     # process -> an outcome for each signal


def serve(p):
    p.start().wait_for_standby()


def start_slowly(p):
    p.start().wait_for_standby()
    p.falls_ill("start.block")
    victim = p.service.business_pid
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: p.service.find_child("business") not in (None, victim),
               "a successor starts")


def back_off(p):
    p.start()
    p.falls_ill("start.fail")
    os.kill(p.service.business_pid, signal.SIGKILL)
    p.service.wait_for_log("business: starting -> backoff")


def be_held(p):
    p.start()
    p.falls_ill("request.abort")
    p.wait_for_state("held")


def stop_slowly(p):
    p.start()
    p.falls_ill("stop.block")
    p.service.remember_pids()
    p.service.process.send_signal(signal.SIGTERM)
    wait_until(lambda: p.service.find_child("network") is None,
               "the network child has ended")


def heal_start(p):
    p.heal("start.block")
    p.heal("start.fail")


def resume(p):
    p.heal("request.abort")
    p.service.control("resume")


def let_stop(p):
    p.heal("stop.block")


STATES = {
    "serving": State(
        "a standby is ready", serve, lambda p: None, {},
        {"supervisor": ("ends", "ends", "sleeps"),
         "network": ("succeeded", "succeeded", "watchdog"),
         "vault": ("replaced", "replaced", "missed"),
         "business": ("succeeded", "succeeded", "watchdog"),
         "standby": ("replaced", "replaced", "missed")}),
    "starting": State(
        "the business child's `start` has not returned", start_slowly,
        heal_start, {"business_start_timeout": "1500ms"},
        {"supervisor": ("ends", "ends", "sleeps"),
         "network": ("succeeded", "succeeded", "watchdog"),
         "vault": ("replaced", "replaced", "missed"),
         "business": ("succeeded", "succeeded", "watchdog")}),
    "backoff": State(
        "business children cannot start; the next try is due later", back_off,
        heal_start, {"restart_delay": "2s", "restart_delay_max": "2s"},
        {"supervisor": ("ends", "ends", "sleeps"),
         "network": ("succeeded", "succeeded", "watchdog"),
         "vault": ("replaced", "replaced", "missed")}),
    "held": State(
        "`on_limit = hold`, and the limit was reached", be_held, resume,
        {"restart_burst": 3, "quarantine_attempts": 10},
        {"supervisor": ("ends", "ends", "sleeps"),
         "network": ("succeeded", "succeeded", "watchdog"),
         "vault": ("replaced", "replaced", "missed")}),
    "stopping": State(
        "SIGTERM was sent, the worker's `stop` has not returned", stop_slowly,
        let_stop, {},
        {"supervisor": ("ends", "ends", "stops"),
         "business": ("stops", "stops", "stops")}),
}


# ---- what comes of it ----

class Outcome(NamedTuple):
    means: str
    client: str
    follow: Callable


def wait_for_another(p, who, victim):
    wait_until(lambda: p.service.find_child(who) not in (None, victim),
               f"another {who}")


def be_succeeded(p, who, victim, state):
    wait_for_another(p, who, victim)
    state.leave(p)
    p.client.goes_on()


def be_watched(p, who, victim, state):
    be_succeeded(p, who, victim, state)
    assert not is_alive(victim)
    assert p.moved().get("hangs"), p.moved()


def sleep(p, who, victim, state):
    if state is STATES["serving"]:
        p.client.goes_on()
    time.sleep(0.3)
    os.kill(victim, signal.SIGCONT)
    state.leave(p)
    p.client.goes_on()


def end(p, who, victim, state):
    p.service.process.wait()
    p.service.process = None
    p.service.assert_no_process_left()
    for ill in p.ills.iterdir():
        ill.unlink()
    p.service.start()
    p.client.goes_on()


def go_on_stopping(p, who, victim, state):
    if who == "supervisor":
        time.sleep(0.3)
        os.kill(victim, signal.SIGCONT)
        state.leave(p)
    p.service.stop()


OUTCOMES = {
    "succeeded": Outcome(
        "another process takes its place and goes on where it was", PAUSE,
        be_succeeded),
    "watchdog": Outcome(
        "it is missed after `heartbeat_timeout` (`start_timeout` while it "
        "starts) and ended; then the same", PAUSE, be_watched),
    "replaced": Outcome(
        "another one is made; clients notice nothing", NOTHING, be_succeeded),
    "missed": Outcome(
        "as `watchdog`; clients notice nothing", NOTHING, be_watched),
    "sleeps": Outcome(
        "the others go on with what they do; deaths are answered when it "
        "wakes (SIGCONT), but for what a standby answers", PAUSE, sleep),
    "ends": Outcome(
        "all processes end with it; the state stays, and the next start goes "
        "on with it", LOST, end),
    "stops": Outcome(
        "the stop is completed without it (with it, once it is woken), "
        "exit status 0", LOST, go_on_stopping),
}

CELLS = [(state, who, number, outcome)
         for state in STATES
         for who, outcomes in STATES[state].cells.items()
         for number, outcome in zip(SIGNALS, outcomes)]


@pytest.mark.parametrize(
    "state, who, number, outcome", CELLS,
    ids=[f"{cell[0]}-{cell[1]}-{cell[2].name}" for cell in CELLS])
def test_signal(daemon, tmp_path, state, who, number, outcome):
    p = Patient(daemon, tmp_path, **STATES[state].settings)
    try:
        STATES[state].enter(p)
        victim = p.service.supervisor_pid if who == "supervisor" else \
            p.service.child_titled(who)
        os.kill(victim, number)
        OUTCOMES[outcome].follow(p, who, victim, STATES[state])
        if p.service.process:
            p.wait_for_state("serving")
    finally:
        p.client.ending.set()
    p.client.end()
    seen = OUTCOMES[outcome].client
    # Who waits already cannot tell a pause from nothing.
    if seen == NOTHING and state != "serving":
        seen = PAUSE
    p.client.assert_saw(seen)


# ---- its part of the page ----

def table_of_signals():
    """(head, rows) for markdown()."""
    none = ("-",) * len(SIGNALS)
    rows = [[f"{name}: {state.means}", who,
             *state.cells.get(who, none)]
            for name, state in STATES.items() for who in PROCESSES]
    return ["state", "process", *(number.name for number in SIGNALS)], rows
