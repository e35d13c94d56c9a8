# SPDX-License-Identifier: MIT
"""Deaths of the network child and of the vault under load.

Every client knows each byte that it must get: a reply lost, doubled or torn
is an answer that it did not expect, on the same connection or none.
"""
import contextlib
import os
import random
import signal
import threading
import time

from service import PATIENCE_S, wait_until

LOAD_S = 4


class Load:
    """Clients in threads; the first problem of any of them is raised."""

    def __init__(self):
        self.over = threading.Event()
        self.problems = []
        self.threads = []
        self.rounds = 0

    def add(self, work, *args):
        def run():
            try:
                number = 0
                while not self.over.is_set():
                    work(number, *args)
                    number += 1
                    self.rounds += 1
            except Exception as problem:  # noqa: BLE001
                self.problems.append(f"{work.__name__}{args}: {problem!r}")
                self.over.set()
        self.threads.append(threading.Thread(target=run, daemon=True))
        self.threads[-1].start()

    def finish(self):
        self.over.set()
        for thread in self.threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive(), "a client waits for ever"
        assert not self.problems, self.problems


def count_up(number, wire, key):
    """A pipeline of increments, sent in pieces cut anywhere."""
    first = number * 20 + 1
    data = b"*2\r\n$4\r\nINCR\r\n$%d\r\n%s\r\n" % (len(key), key) * 20
    cut = random.randrange(1, len(data))
    wire.send_raw(data[:cut])
    wire.send_raw(data[cut:])
    got = [wire.read() for _ in range(20)]
    want = list(range(first, first + 20))
    assert got == want, f"{got} instead of {want}"


def carry_much(number, wire, key):
    """Requests and replies longer than a ring takes, read slowly."""
    value = bytes([65 + number % 26]) * random.randrange(1, 900_000)
    assert wire.call("SET", key, value) == b"OK"
    wire.send_raw(b"*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n" % (len(key), key) * 3)
    time.sleep(0.005)
    for _ in range(3):
        got = wire.read()
        assert got == value, f"{len(got)} bytes instead of {len(value)}"


def come_and_go(number, dial, key):
    with dial() as wire:
        assert wire.call("INCR", key) == number + 1


def kill_often(kv, load, until_s):
    deaths = 0
    until = time.monotonic() + until_s
    while time.monotonic() < until and not load.over.is_set():
        pid = kv.network_pid
        os.kill(pid, signal.SIGKILL)
        deaths += 1
        kv.wait_for_successor(pid, "network")
        time.sleep(random.uniform(0, 0.05))
    return deaths


@contextlib.contextmanager
def under_load(kv):
    load = Load()
    with contextlib.ExitStack() as stack:
        for i in range(8):
            unix = i % 2 == 1
            wire = stack.enter_context(kv.raw(unix=unix))
            load.add(count_up, wire, b"count%d" % i)
        for i in range(2):
            wire = stack.enter_context(kv.raw(unix=i % 2 == 1))
            load.add(carry_much, wire, b"much%d" % i)
        for i in range(2):
            load.add(come_and_go, lambda unix=i % 2 == 1: kv.raw(unix=unix),
                     b"come%d" % i)
        yield load
        load.finish()


def test_no_client_notices_the_deaths_of_network_children(service):
    kv = service(restart_delay="0", restart_burst=100000)
    with under_load(kv) as load:
        deaths = kill_often(kv, load, LOAD_S)
    assert deaths > 20
    assert load.rounds > 100
    assert kv.status()["network_crashes"] == deaths


def test_idle_connections_survive_as_well(service):
    kv = service()
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(kv.raw(unix=i % 2 == 1))
                 for i in range(300)]
        for i, wire in enumerate(wires):
            wire.call("SET", f"key{i}", i)
        for _ in range(3):
            pid = kv.network_pid
            os.kill(pid, signal.SIGKILL)
            kv.wait_for_successor(pid, "network")
            for i, wire in enumerate(wires):
                assert wire.call("GET", f"key{i}") == str(i).encode()
        assert kv.status()["clients"] == len(wires)


def test_the_death_of_the_vault_costs_nothing(service):
    kv = service(restart_delay="0")
    with under_load(kv) as load:
        for _ in range(5):
            pid = kv.vault_pid
            os.kill(pid, signal.SIGKILL)
            kv.wait_for_successor(pid, "vault")
            kill_often(kv, load, 0.3)


def test_a_vault_that_stood_still_for_a_moment_has_kept_them(service):
    kv = service(restart_delay="0")
    with kv.raw() as wire:
        wire.call("SET", "key", "value")
        network, vault = kv.network_pid, kv.vault_pid
        os.kill(vault, signal.SIGSTOP)
        os.kill(network, signal.SIGKILL)
        time.sleep(0.25)  # longer than the supervisor waits for it, once
        os.kill(vault, signal.SIGCONT)
        kv.wait_for_successor(network, "network")
        assert wire.call("GET", "key") == b"value"
        assert kv.vault_pid == vault


def test_when_both_die_the_service_goes_on_with_new_connections(service):
    kv = service(restart_delay="0")
    with kv.raw() as wire:
        wire.call("SET", "key", "value")
        network, vault = kv.network_pid, kv.vault_pid
        os.kill(vault, signal.SIGSTOP)
        os.kill(network, signal.SIGKILL)
        os.kill(vault, signal.SIGKILL)
        assert wire.read_to_end() == b""
    kv.wait_for_successor(network, "network")

    def answers():
        try:
            with kv.raw() as again:
                return again.call("GET", "key") == b"value"
        except (ConnectionError, EOFError):
            return False
    wait_until(answers, "the service serves again")


def test_a_vault_that_never_answers_is_ended_and_that_is_told(service):
    kv = service(restart_delay="0")
    with kv.raw() as wire:
        wire.call("SET", "key", "value")
        network, vault = kv.network_pid, kv.vault_pid
        wait_until(lambda: kv.status()["clients"] == 1, "it is counted")
        os.kill(vault, signal.SIGSTOP)
        os.kill(network, signal.SIGKILL)
        assert wire.read_to_end() == b""
    kv.wait_for_successor(network, "network")
    log = kv.log()
    assert "spawn network: the vault that is to fork it has not answered " \
           "within 200 ms" in log
    assert f"vault {vault} did not answer twice" in log
    assert "costs the connections of all clients (1) and no state" in log
    assert "spawn network: fork:" not in log
