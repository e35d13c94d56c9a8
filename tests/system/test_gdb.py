# SPDX-License-Identifier: MIT
"""What the gdb script prints is what has been stored: from a process that
lives, and from the core of one that died."""
import re

import pytest
from cores import (WITH_CORES, crash_into_core, gdb_answers, need_cores,
                   of_core, run_gdb)
from service import BUILD

WORKER = str(BUILD / "workers" / "shelf.so")
SMALL, LARGE = 6, 1500  # as in shelf.c


def quoted(text):
    return f'"{text}"'


def list_item(i):
    return str(i * 1003 - 2000) if i % 2 else quoted(f"item-{i}")


def map_value(i):
    if i % 3 == 0:
        return str(i * i)
    return quoted(f"{i * i}{'v' * 64}"[:i % 40 + 5])


def set_member(i, count):
    return quoted(f"member-{i * 100 - 7}") if count > SMALL \
        else str(i * 100 - 7)


def score(i):
    return f"{i * 0.25 - 1:.12g}"


# What an item of each looks like; whether they come in this order.
EXPECTED = {
    "list": (lambda i, count: list_item(i), True),
    "dict": (lambda i, count: f'["key-{i}"] = {i * 7}', False),
    "map": (lambda i, count: f'["field-{i}"] = {map_value(i)}', False),
    "set": (set_member, False),
    "sorted": (lambda i, count: f'["m-{i}"] = {score(i)}', True),
}


def as_number(item):
    """A number that was stored as text is the same bytes, and may be shown as
    either."""
    return re.sub(r'"(-?\d+)"', r"\1", item)


def items_of(answer):
    """The items between the braces."""
    head, _, rest = answer.strip().partition(" = {")
    assert rest.endswith("}"), answer[:200]
    return head, [as_number(item) for item in rest[:-1].split(", ")]


def assert_shelf_is_shown(*target):
    asked = {f"{size}_{kind}":
             f'refork show {kind} $refork_root("{size}_{kind}")'
             for kind in EXPECTED for size in ("small", "large")}
    root = '$refork_root("shelf")'
    shelf = ["refork slots", f"refork block {root}+9",
             f"refork show string *(long *){root}",
             f"refork show pack *((long *){root}+1)",
             f"print *(struct shelf *){root}", "refork heap"]
    answers = gdb_answers([*asked.values(), *shelf], *target)
    slots, block, string, pack, struct, heap = map(answers.get, shelf)
    assert slots.startswith("arena of worker 'shelf', format ")
    for name, command in asked.items():
        size, _, kind = name.partition("_")
        count = SMALL if size == "small" else LARGE
        head, items = items_of(answers[command])
        form, ordered = EXPECTED[kind]
        expected = [as_number(form(i, count)) for i in range(count)]
        assert head == f"rf_{kind} of {count}"
        if ordered:
            assert items == expected, name
        else:
            assert sorted(items) == sorted(expected), name
        assert f"slot '{name}': '{kind}'" in slots
        assert f", {count} items" in slots
    start = re.search(r"slot 'shelf': .* at (0x[0-9a-f]+)", slots)[1]
    assert f"block at {start} of 32 bytes, taken" in block
    assert "is 9 bytes into it" in block
    assert "it is the root of slot 'shelf'" in block
    assert string.strip() == '"a text on the shelf"'
    assert pack.strip() == 'rf_pack of 1 = {"packed"}'
    assert "every page is of one run" in heap and "damaged" not in heap
    return struct


def test_a_live_process_shows_what_is_stored(service):
    shelf = service(refork_worker=WORKER)
    struct = assert_shelf_is_shown(
        "-p", str(shelf.status()["business_pid"]))
    # The worker's own types are known, because it has debug info.
    assert "grown = rf_list of 0" in struct
    with shelf.raw() as wire:
        assert wire.call("GROW", 0) == b"OK"
    assert shelf.status()["crashes"] == 0


def test_a_core_shows_what_was_stored(service):
    need_cores()
    shelf = service(wrapper=WITH_CORES, refork_worker=WORKER,
                    arena_core="include")
    with shelf.raw() as wire:
        core = crash_into_core(shelf, wire)
    shelf.stop()
    try:
        assert_shelf_is_shown(*of_core(core))
    finally:
        core.unlink()


def test_what_cannot_be_shown_is_told_in_words(service):
    need_cores()
    shelf = service(wrapper=WITH_CORES, refork_worker=WORKER,
                    arena_core="exclude")
    with shelf.raw() as wire:
        core = crash_into_core(shelf, wire)
    # Not the file that was mapped there either: it has changed since.
    _, excluded = run_gdb(["refork slots"], *of_core(core))
    shelf.stop()
    core.unlink()
    assert "it was made with arena.core = exclude" in excluded
    _, nothing = run_gdb(["refork heap"])
    assert "no program and no core" in nothing
    for words in (excluded, nothing):
        assert "Traceback" not in words and "Python" not in words


@pytest.mark.parametrize("command, words", [
    ("refork show nothing 1", "KIND one of string pack"),
    ("refork block", "an address, or an expression"),
])
def test_a_command_that_is_wrong_says_how_it_is_right(command, words):
    assert words in run_gdb([command])[1]
