# SPDX-License-Identifier: MIT
"""Connections of clients live through a planned restart of the daemon.

The clients are not told: each goes on reading and writing the socket that it
has, and knows each byte that it must get. What the service manager does is
played (manager.py).
"""
import contextlib
import os
import random
import signal
import struct
import time

import pytest

from service import BUILD, encode, wait_until
from test_network_death import Load, carry_much, come_and_go, count_up

CLIENTS = 1000
BIG = 10 << 20
KEPT = ("channel", "front", "ferry")

# Where the words stand that say what a segment is: common/channel.h.
CHANNEL_MARKER_OFF, FRONT_LAYOUT_OFF = 16, 0


@pytest.fixture
def kv(managed):
    """kv(**overrides): a Managed that serves and preserves connections."""
    return lambda **overrides: managed(
        **{"network_preserve_clients": "restart", **overrides}).start()


def is_closed(wire):
    """Whether the other side has ended it; nothing may have come before."""
    wire.socket.settimeout(10)
    try:
        return wire.socket.recv(1) == b""
    except ConnectionError:
        return True


# ---- what goes on ----

def test_idle_connections_live_through_restarts(kv, manager):
    service = kv()
    with service.raw() as tcp, service.raw(unix=True) as unix:
        for number in range(0, 6, 2):
            assert tcp.call("INCR", "a") == number + 1
            assert unix.call("INCR", "a") == number + 2
            service.restart()
            assert not set(KEPT) & set(manager.names())
        assert tcp.call("GET", "a") == unix.call("GET", "a") == b"6"
        assert service.status()["clients"] == 2


def test_each_connection_stays_itself(kv):
    """Whoever else has come and gone, and whoever dies between two
    restarts."""
    service = kv()
    wires = {}
    for turn in range(4):
        for number in random.sample(range(20), 12):
            if number in wires:
                wires.pop(number).close()
            wires[number] = service.raw(unix=random.random() < 0.5)
            wires[number].call("CLIENT", "SETNAME", f"{turn}.{number}")
        names = {number: wire.call("CLIENT", "GETNAME")
                 for number, wire in wires.items()}
        service.restart()
        wires[20 + turn] = service.raw()
        assert wires[20 + turn].call("PING") == b"PONG"
        if turn % 2:
            os.kill(service.network_pid, signal.SIGKILL)
        for number, name in names.items():
            assert wires[number].call("CLIENT", "GETNAME") == name
        assert wires[20 + turn].call("PING") == b"PONG"
        wait_until(lambda: service.status()["clients"] == len(wires),
                   "nobody else is there")
    for wire in wires.values():
        wire.close()


def test_counters_under_load_are_exact(kv):
    service = kv()
    load = Load()
    for number in range(3):
        unix = number == 1
        load.add(count_up, service.raw(unix=unix), b"n%d" % number)
    load.add(carry_much, service.raw(), b"big")
    load.add(come_and_go, service.raw, "visits")
    for _ in range(3):
        time.sleep(0.2)
        service.restart()
    before = load.rounds
    wait_until(lambda: load.rounds > before + 50 or load.problems,
               "the load goes on")
    load.finish()


def test_what_waits_goes_on_waiting(kv):
    service = kv()
    with service.raw() as pop, service.raw() as late, service.raw() as sub, \
            service.raw() as tx, service.raw() as other:
        pop.send("BLPOP", "list", 0)
        late.send("BLPOP", "never", 1)
        sub.send("SUBSCRIBE", "news")
        sub.send("PSUBSCRIBE", "n*")
        assert sub.read() == [b"subscribe", b"news", 1]
        assert sub.read() == [b"psubscribe", b"n*", 2]
        assert tx.call("WATCH", "untouched") == b"OK"
        assert tx.call("MULTI") == b"OK"
        assert tx.call("SET", "queued", 1) == b"QUEUED"
        assert other.call("SELECT", 5) == b"OK"
        assert other.call("CLIENT", "SETNAME", "kept") == b"OK"
        service.restart()
        assert tx.call("INCR", "queued") == b"QUEUED"
        assert tx.call("EXEC") == [b"OK", 2]
        assert other.call("CLIENT", "GETNAME") == b"kept"
        assert other.call("PUBLISH", "news", "hello") == 2
        assert sub.read() == [b"message", b"news", b"hello"]
        assert sub.read() == [b"pmessage", b"n*", b"news", b"hello"]
        assert other.call("SELECT", 0) == b"OK"
        assert other.call("RPUSH", "list", "x", "y") == 2
        assert pop.read() == [b"list", b"x"]
        assert late.read() is None
        assert other.call("LRANGE", "list", 0, -1) == [b"y"]


def test_a_reply_half_read_and_a_request_half_sent_are_completed(kv):
    service = kv()
    value = random.randbytes(BIG)
    whole = encode("SET", "other", value)
    with service.raw() as reader, service.raw() as writer, \
            service.raw(unix=True) as word:
        assert reader.call("SET", "big", value) == b"OK"
        reader.send("GET", "big")
        reader.send("INCR", "n")
        reader.receive_once()
        writer.send_raw(whole[:BIG // 2])
        word.send_raw(b"*2\r\n$4\r\nINCR\r\n$1")
        service.restart()
        word.send_raw(b"\r\nn\r\n")
        writer.send_raw(whole[BIG // 2:])
        assert reader.read() == value
        assert sorted([reader.read(), word.read()]) == [1, 2]
        assert writer.read() == b"OK"
        assert writer.call("GET", "other") == value


def test_a_request_in_work_is_finished_and_the_rest_left_to_the_next(kv):
    service = kv()
    with service.raw() as slow, service.raw() as other:
        slow.send("DEBUG", "SLEEP", "0.6")
        slow.send("INCR", "n")
        other.send("INCR", "n")
        time.sleep(0.1)
        service.restart()
        assert slow.read() == b"OK"
        assert sorted([slow.read(), other.read()]) == [1, 2]
        assert service.status()["requests"] == 2


def test_clients_that_leave_meanwhile_are_seen_to_have_left(kv):
    service = kv()
    stays, leaves, resets = service.raw(), service.raw(), service.raw(unix=True)
    for wire in (stays, leaves, resets):
        assert wire.call("PING") == b"PONG"
    leaves.send("BLPOP", "list", 0)
    service.end()
    # What a client has asked for before it left is done.
    leaves.send("RPUSH", "list", "dropped")
    resets.send("INCR", "asked")
    leaves.close()
    resets.close()
    service.start()
    assert stays.call("PING") == b"PONG"
    wait_until(lambda: service.status()["clients"] == 1, "two have left")
    assert stays.call("GET", "asked") == b"1"
    stays.close()


def test_a_thousand_clients_go_on(kv):
    service = kv()
    wires = [service.raw(unix=number % 2 == 0) for number in range(CLIENTS)]
    for wire in wires:
        wire.send("INCR", "n")
    assert sorted(wire.read() for wire in wires) == \
        list(range(1, CLIENTS + 1))
    service.restart()
    assert service.status()["clients"] == CLIENTS
    for wire in wires:
        wire.send("INCR", "n")
    assert sorted(wire.read() for wire in wires) == \
        list(range(CLIENTS + 1, 2 * CLIENTS + 1))
    for wire in wires:
        wire.close()


def test_the_listeners_may_be_others(kv):
    service = kv(network_client_output_limit="1M")
    first, second = service.settings["network_listen"]
    with service.raw(unix=True) as unix, service.raw() as tcp, \
            service.raw(unix=True) as slow:
        assert unix.call("SET", "big", bytes(1 << 20)) == b"OK"
        assert slow.call("PING") == tcp.call("PING") == b"PONG"
        service.end()
        service.configure(network_listen=[first])
        service.start()
        # Its name is asked for, which is that of its listener.
        slow.send_raw(encode("GET", "big") * 8)
        service.wait_for_log("bytes unsent")
        assert unix.call("PING") == tcp.call("PING") == b"PONG"
        service.end()
        service.configure(network_listen=[second, first])
        service.start()
        assert unix.call("PING") == tcp.call("PING") == b"PONG"
        assert service.status()["clients"] == 2


def test_a_start_that_dies_leaves_them_to_the_next(kv, manager):
    """Until they have landed they are the store's, afterwards they end with
    the daemon that has them."""
    service = kv()
    crossed, count = 0, 0
    for turn in range(6):
        wires = [service.raw(unix=number % 2 == 0) for number in range(10)]
        for wire in wires:
            count += 1
            assert wire.call("INCR", "n") == count
        service.end()
        service.launch()
        time.sleep(turn * 0.005)  # the first has hardly begun
        service.kill9()
        service.start()
        for wire in wires:
            with contextlib.suppress(EOFError, ConnectionError):
                assert int(wire.call("GET", "n")) == count
                crossed += 1
            wire.close()
        assert not set(KEPT) & set(manager.names())
    assert crossed > 0


def test_a_refused_start_leaves_them_to_the_next(kv):
    service = kv()
    worker = service.settings["refork_worker"]
    with service.raw() as wire:
        assert wire.call("INCR", "n") == 1
        service.end()
        service.configure(refork_worker="/nowhere.so")
        service.start_refused()
        service.configure(refork_worker=worker)
        service.start()
        assert wire.call("INCR", "n") == 2


def test_a_new_worker_goes_on_with_them(kv):
    """With the state in a form that it has to migrate."""
    service = kv(refork_worker=str(BUILD / "workers" / "swap_1.so"))
    with service.raw() as wire:
        assert wire.call("COUNT") == 1
        service.end()
        service.configure(
            refork_worker=str(BUILD / "workers" / "swap_3.so"))
        service.start()
        assert wire.call("COUNT") == 2000


# ---- what cannot go on ----

def drop(service, manager, why, meddle):
    """Between two daemons something happens; the connections end, cleanly,
    and the state is all there."""
    with service.raw() as idle, service.raw() as waits, \
            service.raw() as other:
        count = int(other.call("INCR", "n"))
        assert idle.call("PING") == b"PONG"
        waits.send("BLPOP", "list", 0)
        service.end()
        meddle()
        before = len(service.log())
        service.start()
        assert is_closed(idle) and is_closed(waits) and is_closed(other)
        assert why in service.log()[before:], service.log()[before:]
    with service.raw() as wire:
        assert wire.call("INCR", "n") == count + 1
        assert wire.call("RPUSH", "list", "x") == 1
        assert wire.call("DEL", "list") == 1
    assert not set(KEPT) & set(manager.names())


def meddler(manager, name, off):
    def meddle():
        os.pwrite(manager.find(name), struct.pack("<Q", 0x1234), off)
    return meddle


def test_what_does_not_fit_is_dropped(kv, manager):
    service = kv()
    drop(service, manager, "of another format",
         meddler(manager, "channel", CHANNEL_MARKER_OFF))
    drop(service, manager, "in another form",
         meddler(manager, "front", FRONT_LAYOUT_OFF))
    drop(service, manager, "max_reply is another",
         lambda: service.configure(network_max_reply="32M"))
    for name in KEPT:
        drop(service, manager, "not all that belongs to them came",
             lambda gone=name: manager.forget(gone))
    drop(service, manager, "preserve_clients is no",
         lambda: service.configure(network_preserve_clients="no"))


def test_connections_without_their_state_are_dropped(kv, manager):
    service = kv()
    with service.raw() as wire:
        assert wire.call("INCR", "n") == 1
        service.end()
        manager.forget("arena")
        service.start()
        assert is_closed(wire)
    assert "the arena is not the one" in service.log()
    assert "start anew" not in service.log()
    with service.raw() as wire:
        assert wire.call("INCR", "n") == 1
    assert service.status()["network_crashes"] == 0


def test_without_a_store_they_end_and_the_log_says_so(service):
    alone = service(network_preserve_clients="restart")
    assert "needs a service manager that keeps descriptors" in alone.log()
    with alone.raw() as wire:
        assert wire.call("PING") == b"PONG"
        alone.stop()
        assert is_closed(wire)


# ---- ends ----

def test_a_stop_answers_what_it_has_and_ends(kv, manager):
    service = kv()
    with service.raw() as busy, service.raw() as idle:
        assert idle.call("PING") == b"PONG"
        busy.send("DEBUG", "SLEEP", "0.1")
        busy.send("INCR", "n")
        time.sleep(0.02)
        since = time.monotonic()
        service.end()
        manager.forget()
        assert busy.read() == b"OK"
        assert busy.read() == 1
        assert is_closed(busy) and is_closed(idle)
        assert time.monotonic() - since < 5


def test_a_shutdown_leaves_nothing(kv, manager):
    service = kv()
    with service.raw() as wire:
        assert wire.call("PING") == b"PONG"
        service.remember_pids()
        service.control("shutdown")
        assert service.process.wait(30) == 0
        service.process = None
        assert is_closed(wire)
    assert not set(KEPT) & set(manager.names())


def test_an_unplanned_end_leaves_no_connection(kv, manager):
    service = kv()
    with service.raw() as wire:
        assert wire.call("INCR", "n") == 1
        service.kill9()
        assert is_closed(wire)
    assert not set(KEPT) & set(manager.names())
    service.start()
    with service.raw() as wire:
        assert wire.call("INCR", "n") == 2


def leave_and_kill(service, role, delay_s):
    """SIGTERM, and SIGKILL for one of them a moment later."""
    pid = service.supervisor_pid if role == "supervisor" else \
        service.child_titled(role)
    service.remember_pids()
    service.process.send_signal(signal.SIGTERM)
    time.sleep(delay_s)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    service.process.wait(30)
    service.process = None
    service.assert_no_process_left()


@pytest.mark.parametrize("role",
                         ["network", "vault", "business", "supervisor"])
def test_a_death_amid_the_leave_is_no_harm(kv, manager, role):
    """Each client either goes on exactly, or sees its connection end."""
    service = kv()
    acked = 0
    for turn in range(4):
        wires = [service.raw(unix=number % 2 == 0) for number in range(20)]
        slow = service.raw()
        if turn % 2:  # what was sent waits in the ring meanwhile
            slow.send("DEBUG", "SLEEP", "0.05")
        for wire in wires:
            wire.send("INCR", "n")
            wire.send("PING")
        leave_and_kill(service, role,
                       random.random() * (0.06 if turn % 2 else 0.012))
        slow.close()
        service.start()
        for wire in wires:
            with contextlib.suppress(EOFError, ConnectionError):
                wire.read()
                acked += 1
                assert wire.read() == b"PONG"
                assert wire.call("PING") == b"PONG"
            wire.close()
        with service.raw() as wire:
            done = int(wire.call("GET", "n") or 0)
        assert acked <= done <= 20 * (turn + 1)
        acked = done
