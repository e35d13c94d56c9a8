# SPDX-License-Identifier: MIT
"""refork@.service under a real systemd. The table of docs/systemd.md is read
and held to: what clients see of each event, and what becomes of the state."""
import pytest
from machine import Client
from service import wait_until
from systemd_events import EVENTS, table

TABLE = table()


def test_the_page_has_every_event_that_is_tried():
    assert list(TABLE) == list(EVENTS)


def is_open(wire):
    """Whether a connection answers, or has ended."""
    try:
        wire.call("GET", "counter")
        return True
    except (EOFError, ConnectionError):
        return False


def go_through(kv, event, stay):
    """The event, with clients: one that counts, one that is silent, one that
    waits for something. What the first was told is true."""
    is_kv = "refork_worker" not in event.settings
    with kv.wire() as idle, kv.wire() as waiting:
        idle.call("GET", "counter")
        if is_kv:
            waiting.send("BLPOP", "queue", 0)
        with Client(kv) as client:
            event.act(kv)
            client.goes_on(1 if stay else 2)
        assert (client.connections == 1) == stay, client.connections
        assert client.refused == 0
        assert is_open(idle) == stay
        if is_kv and stay:
            kv.call("RPUSH", "queue", "x")
            assert waiting.read() == [b"queue", b"x"]
        elif is_kv:
            assert waiting.read_to_end() == b""
    assert int(kv.call("GET", "counter")) == client.acknowledged


@pytest.mark.parametrize("row", TABLE)
def test_an_event_is_as_the_page_says(machine, instance, row):
    expected, event = TABLE[row], EVENTS[row]
    if event.limit and not machine.limits(event.limit):
        pytest.skip(f"no cgroup controller here that limits {event.limit}")
    kv = instance(event.unit, **event.settings).start()
    wait_until(lambda: kv.status()["standby_ready"], "the standby is ready")
    supervisor = kv.pid_of("supervisor")
    if expected["state"] == "kept":
        go_through(kv, event, expected["open connections"] == "stay")
    else:
        assert expected["open connections"] == "end"
        with kv.wire() as idle:
            idle.call("INCR", "counter")
            event.act(kv)
            assert not is_open(idle)
        assert kv.call("EXISTS", "counter") == 0
    assert (kv.pid_of("supervisor") == supervisor) == \
        (expected["supervisor"] == "same")
