# SPDX-License-Identifier: MIT
"""Memory that is no longer wanted goes back to the system, and stays there."""
import os
import signal

import pytest
from service import wait_until

MIB = 1 << 20
CHUNK = b"x" * 100_000
HELD = 200 * MIB


def backed(kv):
    """Bytes of the segment that have memory."""
    return kv.segments()[0].stat().st_blocks * 512


@pytest.fixture
def kv(service):
    return service(arena_size="16M", arena_max="512M")


def fill(wire):
    count = HELD // len(CHUNK)
    for start in range(0, count, 100):
        wire.pipeline([("SET", f"chunk{i}", CHUNK)
                       for i in range(start, min(start + 100, count))])


def test_what_is_freed_goes_back_and_no_successor_takes_it_again(kv):
    with kv.raw() as wire:
        empty = backed(kv)
        fill(wire)
        assert backed(kv) > HELD
        wait_until(kv.standby_is_warm, "the standby has touched all")
        wire.call("FLUSHALL")
        wire.call("SET", "kept", "value")
        wait_until(lambda: backed(kv) < empty + 16 * MIB,
                   "the memory goes back")
        wait_until(lambda: kv.status()["arena_size_bytes"] < 32 * MIB,
                   "the status says so")
        business = kv.business_pid
        os.kill(business, signal.SIGSEGV)
        assert wire.call("GET", "kept") == b"value"
        kv.wait_for_successor(business)
        wait_until(kv.standby_is_warm, "the next standby has touched all")
        assert backed(kv) < empty + 16 * MIB
        # And it can all be had once more.
        fill(wire)
        assert wire.call("STRLEN", "chunk7") == len(CHUNK)
        assert wire.call("GET", "kept") == b"value"
    assert kv.status()["crashes"] == 1
