# SPDX-License-Identifier: MIT
"""Requests that kill: put aside, told, run again, and their clients kept out.
"""
import json
import os
import re
import signal
import stat
import struct
import time
from pathlib import Path

import pytest
from service import ReplyError, wait_until

KILLER = ("DEBUG", "SEGFAULT")


def directory(kv):
    return Path(kv.settings["refork_state_dir"]) / kv.name / "quarantine"


def kept(kv):
    """The ids of the files, in order."""
    if not directory(kv).exists():
        return []
    return sorted(int(name) for name in os.listdir(directory(kv)))


def listed(kv):
    told = json.loads(kv.control("--json", "quarantine", "list").stdout)
    assert told["schema"] == 1
    return told["requests"]


def show(kv, request_id):
    return json.loads(kv.control("--json", "quarantine", "show",
                                 str(request_id)).stdout)


def poison(kv, wire=None):
    """A request that kills twice."""
    own = wire or kv.raw()
    own.send(*KILLER)
    reply = own.read()
    assert isinstance(reply, ReplyError) and str(reply).startswith("CRASHED")
    if wire is None:
        own.close()


def rewrite(kv, request_id, *words):
    """Put another request in its place: a cure."""
    file = directory(kv) / str(request_id)
    header = file.read_bytes().partition(b"\n\n")[0]
    words = [word.encode() for word in words]
    payload = struct.pack(f"={1 + len(words)}I", len(words),
                          *map(len, words)) + b"".join(words)
    header = re.sub(rb"\nbytes: \d+", b"\nbytes: %d" % len(payload), header)
    file.write_bytes(header + b"\n\n" + payload)


def order_release(kv):
    """Once the supervisor knows who serves."""
    told = []

    def is_serving():
        told[:] = [kv.control("--json", "quarantine", "release", "1",
                              check=False)]
        return "it is not serving" not in told[0].stderr
    wait_until(is_serving, "a release is carried out")
    return told[0]


def release(kv):
    """The reply."""
    told = order_release(kv)
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)["reply"]


def refused_release(kv):
    """What is said instead; it is kept."""
    before = kept(kv)
    refused = order_release(kv)
    assert refused.returncode == 1
    assert "nothing of it took effect, and it stays: " in refused.stderr
    assert kept(kv) == before
    return refused.stderr.partition("it stays: ")[2].strip()


def keys_survive(kv):
    with kv.raw() as wire:
        assert wire.call("SET", "alive", "yes") == b"OK"
        assert wire.call("GET", "alive") == b"yes"


def test_a_request_that_killed_twice_is_kept_and_told(service):
    kv = service()
    assert listed(kv) == []
    assert "no request" in kv.control("quarantine", "list").stdout
    with kv.raw() as wire:
        address = "%s:%d" % wire.socket.getsockname()
        poison(kv, wire)
        assert wire.call("PING") == b"PONG"
    assert kept(kv) == [1]
    file = directory(kv) / "1"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(directory(kv).stat().st_mode) == 0o700
    assert file.read_bytes().startswith(b"refork-quarantine 1\nid: 1\n")
    assert file.read_bytes().endswith(b"DEBUGSEGFAULT")
    request = listed(kv)[0]
    assert request == {key: value for key, value in show(kv, 1).items()
                       if key not in ("schema", "head")}
    assert request["id"] == 1 and request["state"] == "kept"
    assert request["command"] == "DEBUG SEGFAULT"
    assert request["peer"] == address and request["attempts"] == 2
    assert request["service"] == kv.name
    assert request["worker"].startswith("kv ")
    page = kv.control("quarantine", "show", "1").stdout
    assert "DEBUG SEGFAULT" in page and address in page
    assert "44 45 42" in page  # the dump
    assert "DEBUG SEGFAULT" in kv.control("quarantine", "list").stdout
    assert kv.status()["quarantined"] == 1


def test_one_that_is_dropped_is_gone_and_its_number_too(service):
    kv = service()
    poison(kv)
    kv.control("quarantine", "drop", "1")
    assert kept(kv) == [] and listed(kv) == []
    for verb in ("drop", "show", "release"):
        refused = kv.control("quarantine", verb, "1", check=False)
        assert refused.returncode == 1 and refused.stderr
    poison(kv)
    assert kept(kv) == [2]


def test_one_that_kills_again_is_not_tried_again(service):
    kv = service()
    poison(kv)
    crashes = kv.status()["crashes"]
    refused = kv.control("quarantine", "release", "1", check=False)
    assert refused.returncode == 1
    assert "again" in refused.stderr
    keys_survive(kv)
    assert kept(kv) == [1]
    wait_until(lambda: kv.status()["crashes"] == crashes + 1,
               "one crash more is told")
    assert listed(kv)[0]["state"] == "kept"


def test_one_that_is_cured_runs_once_and_is_gone(daemon):
    kv = daemon().start()
    poison(kv)
    kv.stop()
    assert kept(kv) == [1]
    rewrite(kv, 1, "INCR", "cured")
    kv.start()
    assert [request["id"] for request in listed(kv)] == [1]
    told = json.loads(kv.control("--json", "quarantine", "release",
                                 "1").stdout)
    assert told["reply"] == ":1\r\n" and told["reply_bytes"] == 4
    assert kept(kv) == [] and kv.status()["crashes"] == 0
    with kv.raw() as wire:
        assert wire.call("GET", "cured") == b"1"
    keys_survive(kv)


def test_a_release_waits_for_a_service_that_begins(daemon):
    kv = daemon().start()
    poison(kv)
    kv.stop()
    rewrite(kv, 1, "INCR", "cured")
    kv.start()
    wait_until(kv.standby_is_ready, "it stands by")
    # It is to take over, and cannot: after 200 ms another one is forked.
    os.kill(kv.standby_pid, signal.SIGSTOP)
    os.kill(kv.business_pid, signal.SIGKILL)
    wait_until(lambda: kv.status()["state"] != "serving", "it does not serve")
    assert json.loads(kv.control("--json", "quarantine", "release",
                                 "1").stdout)["reply"] == ":1\r\n"
    assert kept(kv) == []


def test_one_that_is_answered_with_an_error_stays(daemon):
    kv = daemon().start()
    poison(kv)
    kv.stop()
    kv.configure(business_allow_crash_test="no")
    kv.start()
    for _ in range(2):
        assert refused_release(kv).startswith(
            "-ERR DEBUG SEGFAULT not allowed")
    kv.wait_for_log("request 1 again: it was answered with an error; it stays")
    assert kv.status()["crashes"] == 0
    keys_survive(kv)


def test_one_runs_in_the_database_and_with_the_rights_of_its_client(
        service, tmp_path):
    password = tmp_path / "password"
    password.write_text("open sesame\n")
    kv = service(kv_requirepass_file=password)
    with kv.raw() as wire:
        assert wire.call("AUTH", "open sesame") == b"OK"
        assert wire.call("SELECT", 3) == b"OK"
        poison(kv, wire)
        rewrite(kv, 1, "SET", "k", "released")
        assert release(kv) == "+OK\r\n"
        assert wire.call("GET", "k") == b"released"
        assert wire.call("SELECT", 0) == b"OK"
        assert wire.call("DBSIZE") == 0
    assert kept(kv) == []


def test_one_without_a_context_runs_in_the_first_database(service):
    kv = service()
    with kv.raw() as wire:
        wire.call("SELECT", 3)
        poison(kv, wire)
        rewrite(kv, 1, "SET", "k", "v")
        file = directory(kv) / "1"
        file.write_bytes(re.sub(rb"\ncontext: \d+", b"", file.read_bytes()))
        assert release(kv) == "+OK\r\n"
        wire.call("SELECT", 0)
        assert wire.call("GET", "k") == b"v"


@pytest.mark.parametrize("words", [
    ("EXEC",), ("multi",), ("WATCH", "k"), ("BLPOP", "l", "0"),
    ("SUBSCRIBE", "a"), ("SELECT", "1"), ("AUTH", "x"),
    ("CLIENT", "SETNAME", "x")], ids=lambda words: words[0])
def test_one_that_needs_its_connection_is_not_run(service, words):
    kv = service()
    poison(kv)
    rewrite(kv, 1, *words)
    assert refused_release(kv) == ("-ERR this request needs the connection "
                                   "that sent it and cannot be run without")
    rewrite(kv, 1, "PUBLISH", "a", "b")
    assert release(kv) == ":0\r\n"


def test_an_exec_and_what_would_not_be_queued_are_not_run(service):
    kv = service(quarantine_client_limit=0)
    with kv.raw() as wire:
        wire.call("MULTI")
        wire.call("SET", "k", "v")
        wire.call("DEBUG", "SEGFAULT")
        wire.send("EXEC")
        with pytest.raises(ReplyError, match="^CRASHED"):
            raise wire.read()
        assert wire.call("DBSIZE") == 0
    assert "needs the connection" in refused_release(kv)
    rewrite(kv, 1, "SET", "k", "v")  # still one of a MULTI
    assert "needs the connection" in refused_release(kv)
    keys_survive(kv)


def test_a_context_that_cannot_be_is_refused(service):
    kv = service()
    poison(kv)
    rewrite(kv, 1, "SET", "k", "v")
    file = directory(kv) / "1"
    file.write_bytes(file.read_bytes().replace(
        b"\ncontext: 0\n", b"\ncontext: %d\n" % (0xffffffff << 32)))
    assert "out of range" in refused_release(kv)
    keys_survive(kv)


def test_a_supervisor_killed_in_between_leaves_it_to_be_released(daemon):
    kv = daemon().start()
    poison(kv)
    kv.kill9()
    os.rename(directory(kv) / "1", directory(kv) / "1.running")
    kv.start()
    wait_until(lambda: os.listdir(directory(kv)) == ["1"],
               "the file has its name again")


def test_no_more_are_kept_than_configured(service):
    kv = service(quarantine_keep=2, quarantine_client_limit=0)
    for _ in range(4):
        poison(kv)
    assert kept(kv) == [3, 4]
    assert [request["id"] for request in listed(kv)] == [4, 3]


def test_none_is_kept_when_told_so(service):
    kv = service(quarantine_keep=0)
    poison(kv)
    assert kept(kv) == []
    keys_survive(kv)


def test_a_damaged_file_is_listed_and_can_be_dropped(service):
    kv = service()
    poison(kv)
    file = directory(kv) / "1"
    file.write_bytes(file.read_bytes()[:-1])
    assert listed(kv) == [{"id": 1, "state": "damaged"}]
    for verb in ("show", "release"):
        refused = kv.control("quarantine", verb, "1", check=False)
        assert refused.returncode == 1 and "damaged" in refused.stderr
    kv.control("quarantine", "drop", "1")
    assert listed(kv) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_costs_the_copy_and_nothing_else(daemon, tmp_path):
    state = tmp_path / "small"
    state.mkdir()
    kv = daemon(
        wrapper=["unshare", "--mount", "sh", "-c",
                 f'mount -t tmpfs -o size=64k none {state} && '
                 f'dd if=/dev/zero of={state}/full bs=1k 2>/dev/null; '
                 'exec "$@"', "sh"],
        refork_state_dir=state).start()
    poison(kv)
    kv.wait_for_log("quarantine: keep .*No space left on device; it is "
                    "skipped all the same")
    keys_survive(kv)
    assert listed(kv) == []


# ---- clients ----

def test_a_second_one_on_a_connection_is_its_last(service):
    kv = service()
    with kv.raw() as wire:
        poison(kv, wire)
        assert wire.call("PING") == b"PONG"
        wire.send(*KILLER)
        assert wire.read_to_end().startswith(b"-CRASHED")
    keys_survive(kv)


def test_a_client_that_goes_on_killing_is_kept_out_for_a_while(service):
    kv = service(quarantine_client_limit=3, quarantine_client_ban="2s")
    for _ in range(3):
        poison(kv)
    with kv.raw() as wire:
        assert b"refused for a while" in wire.read_to_end()
    assert kv.status()["clients_banned"] >= 1
    kv.wait_for_log("refusing 127.0.0.1 for 2 s: 3 of its requests ended")
    assert re.search("refused +[1-9]", kv.control("status").stdout)
    with kv.raw(unix=True) as wire:  # another address: this user's
        assert wire.call("PING") == b"PONG"

    def let_in():
        with kv.raw() as again:
            try:
                return again.call("PING") == b"PONG"
            except (ReplyError, OSError, EOFError):
                return False
    wait_until(let_in, "the client is let in again", every_s=0.2)


def test_a_ban_outlives_the_network_process(service):
    kv = service(quarantine_client_limit=1, quarantine_client_ban="1h")
    poison(kv)
    victim = kv.network_pid
    os.kill(victim, signal.SIGKILL)
    kv.wait_for_successor(victim, "network")
    with kv.raw() as wire:
        assert b"refused for a while" in wire.read_to_end()


def test_a_request_that_is_struck_from_outside_is_not_to_blame(service):
    """Whoever sends SIGKILL; it is run again and answered."""
    kv = service()
    with kv.raw() as wire:
        wire.send("DEBUG", "SLEEP", "0.5")
        for _ in range(4):
            pid = kv.business_pid
            wait_until(lambda: kv.control("status", check=False).returncode
                       == 0 and kv.business_pid == pid, "it serves")
            time.sleep(0.1)
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: kv.business_pid not in (None, pid),
                       "another one serves")
        assert wire.read() == b"OK"
    assert kv.status()["quarantined"] == 0


def test_a_request_that_hangs_is_to_blame_however_it_ends(service):
    kv = service(business_request_timeout="200ms", quarantine_client_limit=0)
    with kv.raw() as wire:
        with pytest.raises(ReplyError, match="CRASHED"):
            wire.call("DEBUG", "SPIN")
    assert kv.status()["crashes"] == 2
