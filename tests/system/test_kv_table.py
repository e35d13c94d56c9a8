# SPDX-License-Identifier: MIT
"""The command table says of each command what redis says of it, and every row
of it is served, described and tested."""
import re
import sys
from pathlib import Path

import pytest
from kv_page import PAGE, page
from kv_table import rows
from transcript import FOLDER, REDIS, Redis, raw_reply
from service import decode

TOP = Path(__file__).resolve().parents[2]
ROWS = {row.name: row for row in rows()}

# Clients send it though redis 7.0 does not know it yet.
YOUNGER = {"client|setinfo"}

needs_redis = pytest.mark.skipif(not REDIS, reason="no redis-server to compare")


@pytest.fixture(scope="module")
def redis():
    server = Redis()
    with server.raw() as wire:
        info = wire.call("INFO", "server").decode()
    if "redis_version:7.0." not in info:
        server.stop()
        pytest.skip("the redis-server installed is not 7.0")
    yield server
    server.stop()


def pairs(reply):
    """A map, in either protocol."""
    if isinstance(reply, dict):
        return reply
    return dict(zip(reply[0::2], reply[1::2]))


def ask(server, proto, *words):
    with server.raw() as wire:
        wire.call("HELLO", proto)
        wire.send(*words)
        return decode(raw_reply(wire))[0]


# ---- what redis says ----

def canonical(fact):
    """Sets in one order."""
    return sorted(fact, key=repr) if isinstance(fact, (list, set)) else fact


def canonical_spec(spec):
    spec = pairs(spec)
    spec.pop(b"notes", None)
    spec[b"flags"] = canonical(spec[b"flags"])
    for part in (b"begin_search", b"find_keys"):
        spec[part] = pairs(spec[part])
        spec[part][b"spec"] = pairs(spec[part][b"spec"])
    return spec


def canonical_info(info):
    """All facts of a command but its subcommands, which are asked for one by
    one."""
    return [canonical(fact) for fact in info[:8]] + \
        [[canonical_spec(spec) for spec in info[8]]]


@needs_redis
@pytest.mark.parametrize("proto", (2, 3))
def test_command_info_is_that_of_redis(service, redis, proto):
    kv = service()
    names = sorted(set(ROWS) - YOUNGER)
    ours = ask(kv, proto, "COMMAND", "INFO", *names)
    theirs = ask(redis, proto, "COMMAND", "INFO", *names)
    for name, mine, its in zip(names, ours, theirs):
        assert canonical_info(mine) == canonical_info(its), name
        offered = {row for row in ROWS if row.startswith(name + "|")}
        assert {sub[0].decode() for sub in mine[9]} == offered
        assert offered - YOUNGER <= {sub[0].decode() for sub in its[9]}


# Redis calls these what they are in one command; here a name is one type.
NUMBERS = {b"integer", b"double", b"string"}


def same_type(mine, its):
    return mine == its or {mine, its} <= NUMBERS


def plain(argument):
    """A block of one is that one."""
    argument = pairs(argument)
    if argument[b"type"] != b"block" or len(argument[b"arguments"]) > 1:
        return argument
    inner = plain(argument[b"arguments"][0])
    flags = argument.get(b"flags", []) + inner.get(b"flags", [])
    return {**argument, **inner, **({b"flags": flags} if flags else {}),
            b"arguments": inner.get(b"arguments", [])}


def assert_same_arguments(mine, its, name):
    assert len(mine) == len(its), name
    for one, other in zip(map(plain, mine), map(plain, its)):
        assert same_type(one[b"type"], other[b"type"]), (name, one, other)
        assert one.get(b"token") == other.get(b"token"), (name, one, other)
        assert canonical(one.get(b"flags")) == canonical(other.get(b"flags")), \
            (name, one, other)
        if one[b"type"] not in (b"oneof", b"block", b"pure-token"):
            assert one[b"name"] == other[b"name"], name
        assert_same_arguments(one.get(b"arguments", []),
                              other.get(b"arguments", []), name)


@needs_redis
def test_command_docs_describes_the_arguments_as_redis_does(service, redis):
    names = sorted(set(ROWS) - YOUNGER)
    ours = pairs(ask(service(), 2, "COMMAND", "DOCS", *names))
    theirs = pairs(ask(redis, 2, "COMMAND", "DOCS", *names))
    for name, mine in ours.items():
        mine, its = pairs(mine), pairs(theirs[name])
        name = name.decode()
        assert mine[b"since"] == its[b"since"]
        assert mine[b"group"] == its[b"group"]
        assert_same_arguments(mine.get(b"arguments", []),
                              its.get(b"arguments", []), name)


# ---- every row ----

def test_every_row_is_served_and_described(service):
    kv = service()
    listed = {name.decode() for name in ask(kv, 2, "COMMAND", "LIST")}
    assert listed == set(ROWS)
    for row in ROWS.values():
        assert re.fullmatch(r"[A-Z][^.]*", row.summary), row.name
    docs = pairs(ask(kv, 2, "COMMAND", "DOCS"))
    for name, doc in docs.items():
        assert pairs(doc)[b"summary"].decode() == ROWS[name.decode()].summary


def words_of(row):
    return row.name.upper().replace("|", " ")


# Containers do nothing by themselves.
WORKING = [row for row in ROWS.values() if row.kind != "CONTAINER"]


def test_every_command_stands_in_a_transcript():
    text = "".join(path.read_text() for path in FOLDER.glob("*.txt")).upper()
    missing = [row.name for row in WORKING if row.name not in YOUNGER and
               not re.search(rf"^(@\w+ |\d> )*{words_of(row)}\b", text,
                                re.M)]
    assert not missing


def test_every_command_stands_in_a_crash_scenario():
    text = "".join(path.read_text() for path in
                   (TOP / "tests/crash").glob("crash_kv*.c")).upper()
    missing = [row.name for row in WORKING
               if not re.search(rf'[" ]{words_of(row)}\b', text)]
    assert not missing


# ---- the page ----

def test_the_page_tells_what_is_left_out():
    assert PAGE.read_text() == page(), \
        "run tests/system/kv_page.py: it writes the page anew"


@needs_redis
def test_the_page_knows_every_command_of_redis(redis):
    from kv_page import REDIS_COMMANDS, recorded
    names = sorted(name.decode() for name in
                   ask(redis, 2, "COMMAND", "LIST"))
    assert names == sorted(recorded()), REDIS_COMMANDS
