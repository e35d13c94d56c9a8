# SPDX-License-Identifier: MIT
"""One request on a large collection: it fits the undo log, takes what it must
of the memory, and when that ends nothing has happened.
"""
import pytest
from service import ReplyError

MEMBERS = 300_000


def fill(wire, command, count, args):
    """`count` calls, many at a time."""
    for first in range(0, count, 1000):
        wire.pipeline([(command, *args(i))
                       for i in range(first, min(first + 1000, count))])


@pytest.fixture
def wire(service):
    with service().raw() as wire:
        yield wire


@pytest.fixture
def large(wire):
    """A sorted set in random order of scores; half of a full arena."""
    fill(wire, "ZADD", MEMBERS,
         lambda i: ("z", i * 7919 % MEMBERS, f"member:{i}"))
    assert wire.call("ZCARD", "z") == MEMBERS
    return wire


@pytest.mark.parametrize("kept", [0, 1, 1000, 100_000, 250_000])
def test_any_part_of_a_large_sorted_set_is_taken_out_at_once(large, kept):
    taken = MEMBERS - kept
    assert large.call("ZREMRANGEBYRANK", "z", kept // 2,
                      kept // 2 + taken - 1) == taken
    assert large.call("ZCARD", "z") == kept
    if kept > 0:
        low, high = (large.call("ZRANGE", "z", at, at)[0] for at in (0, -1))
        assert [int(large.call("ZSCORE", "z", member))
                for member in (low, high)] == \
            [0 if kept > 1 else MEMBERS - 1, MEMBERS - 1]


def test_a_large_sorted_set_is_made_in_one_request(large):
    assert large.call("ZREMRANGEBYRANK", "z", 0, MEMBERS // 4) > 0
    left = large.call("ZCARD", "z")
    assert large.call("ZUNIONSTORE", "copy", 1, "z") == left
    assert large.call("ZCARD", "copy") == left



def fill_arena(wire):
    """Strings of all sizes, until there is no room for the smallest."""
    for size in (1 << 20, 1 << 14, 1000, 100, 1):
        for serial in range(100_000):
            try:
                wire.call("SET", f"fill:{size}:{serial}", "x" * size)
            except ReplyError as error:
                assert str(error).startswith("OOM")
                break


@pytest.mark.parametrize("kept", [100_000, 290_000])
def test_a_full_arena_lets_go_of_members(large, kept):
    fill_arena(large)
    assert large.call("ZREMRANGEBYRANK", "z", 0,
                      MEMBERS - kept - 1) == MEMBERS - kept
    assert large.call("ZCARD", "z") == kept
