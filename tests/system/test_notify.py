# SPDX-License-Identifier: MIT
"""What the daemon tells a service manager, and the sockets that it takes from
one. The manager is manager.py's; what a real one makes of it is proven
elsewhere."""
import contextlib
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from service import (BUILD, EXIT_CONFIG, Wire, free_port, process_state,
                     wait_until)

AILING = str(BUILD / "workers" / "ailing.so")
WATCHDOG_MS = 800


def lines(manager):
    return [line for text in manager.said() for line in text.split("\n")]


def statuses(manager):
    return [line.partition("=")[2] for line in lines(manager)
            if line.startswith("STATUS=")]


def wait_for_status(manager, pattern, timeout_s=30):
    def found():
        return any(re.search(pattern, text) for text in statuses(manager))
    wait_until(found, f"STATUS says {pattern}", timeout_s)


def fed(manager):
    return lines(manager).count("WATCHDOG=1")


def watched(managed, **overrides):
    """One with a watchdog that acts after WATCHDOG_MS."""
    return managed(env={"WATCHDOG_USEC": str(WATCHDOG_MS * 1000)},
                   **overrides)


# ---- start, reload, crash, stop ----

def test_ready_is_said_once_and_after_more_time_was_asked_for(
        managed, manager):
    managed().start()
    said = lines(manager)
    assert said.count("READY=1") == 1
    before = said[:said.index("READY=1")]
    asked = [int(line.partition("=")[2]) for line in before
             if line.startswith("EXTEND_TIMEOUT_USEC=")]
    assert asked and asked[0] >= 30_000_000
    wait_for_status(manager, r"^serving, generation 1, 0 clients$")


def test_ready_waits_for_a_slow_start_which_gets_more_time(
        managed, manager, tmp_path):
    (tmp_path / "start.spin").touch()
    kv = managed(refork_worker=AILING, refork_worker_args=tmp_path,
                 business_start_timeout="1h").launch()
    wait_until(lambda: "EXTEND_TIMEOUT_USEC=15000000" in lines(manager),
               "time is asked for while the start gets on")
    # A reload meanwhile says nothing of being ready.
    kv.process.send_signal(signal.SIGHUP)
    kv.wait_for_log("reload")
    assert "READY=1" not in lines(manager)
    assert "RELOADING=1" not in lines(manager)
    (tmp_path / "start.spin").unlink()
    manager.wait_until_said("READY=1")


def test_a_start_that_turns_in_circles_gets_no_more_time(
        managed, manager, tmp_path):
    (tmp_path / "start.spin").touch()
    # It is looked at ten times a second.
    kv = watched(managed, refork_worker=AILING, refork_worker_args=tmp_path,
                 restart_burst=1000, restart_delay_max="1ms",
                 business_start_timeout="300ms").launch()
    late = "is not ready after start_timeout"
    wait_until(lambda: kv.log().count(late) >= 2, "two processes have tried")
    before = lines(manager).count("EXTEND_TIMEOUT_USEC=15000000")
    time.sleep(1.5)
    after = lines(manager).count("EXTEND_TIMEOUT_USEC=15000000")
    # One may have computed a little more than any before it.
    assert after - before <= 3
    (tmp_path / "start.spin").unlink()
    manager.wait_until_said("READY=1")


def test_a_crash_is_in_the_status(managed, manager):
    kv = managed().start()
    with kv.raw() as wire:
        wait_for_status(manager, r"^serving, generation 1, ")
        os.kill(kv.business_pid, signal.SIGSEGV)
        assert wire.call("SET", "a", 1) == b"OK"
        wait_for_status(
            manager,
            r"^serving, generation 2, 1 client.*, 1 crash, last SIGSEGV "
            r"\d+ s ago$")
    said = statuses(manager)
    assert all(one != next_one for one, next_one in zip(said, said[1:]))


def test_a_reload_is_told_with_its_time(managed, manager):
    kv = managed().start()
    since = len(manager.said())
    began_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    kv.control("reload", "--wait")
    manager.wait_until_said("READY=1", since)
    ended_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    said = manager.said()[since:]
    reloading = next(at for at, text in enumerate(said)
                     if text.startswith("RELOADING=1\n"))
    at_us = int(re.search(r"^MONOTONIC_USEC=(\d+)$", said[reloading],
                          re.MULTILINE)[1])
    assert began_us <= at_us <= ended_us
    assert "READY=1" in said[reloading:]


def test_a_stop_is_told_and_asks_for_what_its_drain_may_take(
        managed, manager):
    kv = managed(network_drain_timeout="100s").start()
    kv.stop()
    said = lines(manager)
    said = said[said.index("STOPPING=1"):]
    asked = [int(line.partition("=")[2]) for line in said
             if line.startswith("EXTEND_TIMEOUT_USEC=")]
    assert asked and asked[0] > 100_000_000
    assert "READY=1" not in said
    wait_for_status(manager, r"^stopping, ")


def test_a_failed_start_tells_why(managed, manager):
    kv = managed(network_listen="systemd:client")
    code, _ = kv.start_refused()
    assert code == EXIT_CONFIG
    assert "ERRNO=22" in lines(manager)
    wait_for_status(manager, r"^listen on systemd:client: .* it gave: nothing")
    kv.configure(network_listen=f"127.0.0.1:{kv.port}", arena_size="nonsense")
    assert kv.start_refused()[0] == EXIT_CONFIG
    wait_for_status(manager, r"^configuration refused, see the log: /")
    assert "READY=1" not in lines(manager)


# ---- watchdog ----

def gaps_ms(manager, seconds):
    """The pauses between one food and the next."""
    times, seen = [], fed(manager)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        now = fed(manager)
        times += [time.monotonic()] * (now - seen)
        seen = now
        time.sleep(0.005)
    assert times, "it was never fed"
    times = [end - seconds, *times, end]
    return [1000 * (b - a) for a, b in zip(times, times[1:])]


def test_the_watchdog_is_fed_at_half_its_time(managed, manager):
    watched(managed).start()
    gaps = gaps_ms(manager, 1.5)
    assert max(gaps) < WATCHDOG_MS
    # Not much oftener than asked for.
    assert len(gaps) - 1 <= 1.5 / (WATCHDOG_MS / 1000 / 2) * 1.5 + 1


@pytest.mark.parametrize("role", ["business", "network"])
def test_a_child_that_nobody_may_end_stops_the_food(managed, manager, role):
    kv = watched(managed, business_heartbeat_timeout=0).start()
    pid = kv.child_titled(role)
    wait_until(lambda: fed(manager), "it is fed")
    os.kill(pid, signal.SIGSTOP)
    try:
        kv.wait_for_log(rf"{role} {pid} gives no sign of life")
        before = fed(manager)
        time.sleep(WATCHDOG_MS / 1000)
        assert fed(manager) == before
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: fed(manager) > before, "it is fed again")


def test_what_the_supervisor_ends_itself_is_no_sickness(managed, manager):
    kv = watched(managed, business_heartbeat_timeout="500ms").start()
    pid = kv.business_pid
    os.kill(pid, signal.SIGSTOP)
    assert max(gaps_ms(manager, 1.5)) < WATCHDOG_MS
    wait_until(lambda: process_state(pid) in ("", "Z"), "it was ended")
    assert "no sign of life, and is not ours" not in kv.log()


def test_a_held_service_is_well(managed, manager):
    kv = watched(managed, restart_burst=1, restart_on_limit="hold",
                 business_standby=0, business_heartbeat_timeout=0).start()
    for _ in range(2):
        pid = kv.business_pid
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda gone=pid: process_state(gone) in ("", "Z"), "death")
        wait_until(lambda: kv.status()["state"] in ("serving", "held"),
                   "it has answered")
    wait_until(lambda: kv.status()["state"] == "held", "the hold")
    wait_for_status(manager, r"^held, ")
    assert max(gaps_ms(manager, 1.2)) < WATCHDOG_MS
    kv.control("resume")
    wait_until(lambda: kv.status()["state"] == "serving", "it serves again")


def test_a_watchdog_of_another_process_is_not_fed(managed, manager):
    managed(env={"WATCHDOG_USEC": "400000", "WATCHDOG_PID": "1"}).start()
    time.sleep(0.5)
    assert fed(manager) == 0


# ---- sockets of the manager ----

@contextlib.contextmanager
def given_sockets(manager, directory):
    """A TCP and a unix socket called "client"."""
    tcp = socket.create_server(("127.0.0.1", free_port()))
    unix = socket.socket(socket.AF_UNIX)
    path = str(directory / "given.sock")
    unix.bind(path)
    unix.listen()
    manager.given = [("client", tcp.fileno()), ("client", unix.fileno())]
    try:
        yield tcp.getsockname(), path
    finally:
        manager.given = []
        tcp.close()
        unix.close()
        os.unlink(path)


def test_given_sockets_serve_and_outlive_the_daemon(
        managed, manager, tmp_path):
    with given_sockets(manager, tmp_path) as (address, path):
        kv = managed(network_listen="systemd:client").start()
        with Wire(address) as tcp, Wire(path) as unix:
            assert tcp.call("SET", "a", 1) == b"OK"
            assert unix.call("GET", "a") == b"1"
        status = kv.control("status").stdout
        assert f"127.0.0.1:{address[1]}, held by the service manager" in status
        assert f"unix:{path}, held by the service manager" in status
        doctor = kv.control("doctor", check=False).stdout
        assert "2 open, 2 of them held by the service manager" in doctor
        assert not [name for name in manager.names() if "client" in name or
                    "listen" in name]
        kv.kill9()
        # Who comes now waits for the next one.
        with Wire(address) as early:
            early.send("GET", "a")
            kv.start()
            assert early.read() == b"1"
        kv.stop()
        assert os.path.exists(path)
        with socket.create_connection(address):
            pass


def test_a_check_cannot_know_given_sockets_and_says_so(managed):
    kv = managed(network_listen=["systemd:client", "systemd:admin"])
    ran = subprocess.run(
        [BUILD / "reforkd", "-c", kv.ini_path, "--check"], text=True,
        capture_output=True, check=False)
    assert ran.returncode == 0, ran.stdout
    assert "note: network.listen: systemd:client: not probed" in ran.stdout
    assert "systemd:admin" in ran.stdout


# ---- memory that runs out ----

def oom_score(pid):
    with open(f"/proc/{pid}/oom_score_adj", encoding="ascii") as file:
        return int(file.read())


def test_who_is_made_anew_at_the_least_cost_goes_first(daemon):
    kv = daemon().start()
    wait_until(kv.standby_is_ready, "the standby")

    def in_order():
        scores = [oom_score(pid) for pid in (
            kv.business_pid, kv.standby_pid, kv.network_pid, kv.vault_pid,
            kv.supervisor_pid)]
        return all(a > b for a, b in zip(scores, scores[1:]))
    assert in_order()
    # So it is when each has been made by another one.
    for role in ("business", "network", "vault"):
        pid = kv.child_titled(role)
        os.kill(pid, signal.SIGKILL)
        kv.wait_for_successor(pid, role)
    wait_until(kv.standby_is_ready, "the next standby")
    wait_until(in_order, "the scores follow the roles")


# ---- a manager that hangs ----

def test_a_manager_that_hangs_does_not_hang_the_supervisor(managed, manager):
    kv = watched(managed, business_standby=0, restart_delay=0).start()
    manager.deaf.set()
    try:
        # More changes of the status line than any queue of datagrams holds.
        for _ in range(20):
            pid = kv.business_pid
            os.kill(pid, signal.SIGKILL)
            kv.wait_for_successor(pid)
        with kv.client() as client:
            assert client.set("k", "v")
    finally:
        manager.deaf.clear()
    # It is told again as soon as it listens.
    before = fed(manager)
    wait_until(lambda: fed(manager) > before, "it is fed again")
    wait_for_status(manager, r"^serving, generation 21, ")
