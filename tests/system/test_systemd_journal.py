# SPDX-License-Identifier: MIT
"""What an administrator finds in a real journal."""
import json
import re
import signal
import time

import pytest
from machine import Client
from service import TOP, wait_until

TIME_STAMP = re.compile(r"\d\d:\d\d:\d\d")


def events():
    """{name: MESSAGE_ID} as the source has them."""
    return dict(re.findall(r'\{"(\w+)",\s+"([0-9a-f]{32})"',
                           (TOP / "common/events.c").read_text()))


@pytest.fixture
def crashed(instance):
    """An instance whose business process has crashed once."""
    kv = instance().start()
    kv.kill("business", signal.SIGSEGV)
    wait_until(lambda: of_event(kv, "business_crash"), "the crash is told")
    return kv


def of_event(kv, name):
    return kv.journal(f"MESSAGE_ID={events()[name]}")


def ours(kv):
    """What its processes have said; not what systemd says of it."""
    return [entry for entry in kv.journal()
            if entry["SYSLOG_IDENTIFIER"] == "refork"]


def test_a_crash_is_found_by_its_fields(crashed):
    entry, = of_event(crashed, "business_crash")
    wanted = {"REFORK_EVENT": "business_crash", "REFORK_CRASH_ID": "1",
              "REFORK_SERVICE": crashed.name, "REFORK_ROLE": "supervisor",
              "REFORK_SIGNAL": "SIGSEGV", "PRIORITY": "4",
              "SYSLOG_IDENTIFIER": "refork", "_SYSTEMD_UNIT": crashed.unit}
    assert {name: entry.get(name) for name in wanted} == wanted
    assert entry in crashed.journal("REFORK_CRASH_ID=1")


def test_the_catalog_explains_an_event(crashed):
    said = crashed.machine.run(
        ["journalctl", "-x", "--no-pager", "-u", crashed.unit,
         f"MESSAGE_ID={events()['business_crash']}"]).stdout
    assert "The business process crashed; the service goes on" in said
    assert "reforkctl crash show 1" in said


def test_each_process_says_who_it_is_and_nothing_twice(crashed):
    with crashed.wire() as wire:
        wire.send("DEBUG", "SEGFAULT")
        wire.read()
        crashed.kill("network")
        wire.call("PING")
    wait_until(lambda: of_event(crashed, "quarantined") and
               of_event(crashed, "network_crash"), "it is told")
    crashed.systemctl("stop")
    entries = ours(crashed)
    assert {"supervisor", "business", "network"} <= {
        entry["REFORK_ROLE"] for entry in entries}
    for entry in entries:
        assert entry["_TRANSPORT"] == "journal"
        assert entry["REFORK_SERVICE"] == crashed.name
        assert not TIME_STAMP.search(entry["MESSAGE"]), entry["MESSAGE"]
        if entry["REFORK_ROLE"] == "business":
            assert int(entry["REFORK_GENERATION"]) >= 1


def test_a_life_is_told_by_its_events(crashed):
    crashed.configure(log_level="debug")
    crashed.systemctl("reload")
    crashed.configure(log_level="loud")
    crashed.systemctl("reload", check=False)
    crashed.configure(log_level="info")
    crashed.kill("supervisor")
    wait_until(lambda: len(of_event(crashed, "ready")) == 2, "it is back")
    crashed.systemctl("stop")
    told = [entry["REFORK_EVENT"] for entry in ours(crashed)
            if "REFORK_EVENT" in entry]
    assert told == ["ready", "business_crash", "reloaded", "reload_refused",
                    "arena_adopted", "ready", "stopped"]
    refused, = of_event(crashed, "reload_refused")
    assert refused["PRIORITY"] == "3"


def test_lines_arrive_after_the_journal_was_restarted(crashed):
    crashed.machine.systemctl("restart", "systemd-journald")
    crashed.kill("business", signal.SIGSEGV)
    wait_until(lambda: len(of_event(crashed, "business_crash")) == 2,
               "the second crash is told")
    wait_until(lambda: [entry for entry in ours(crashed)
                        if entry["REFORK_ROLE"] == "business" and
                        entry["REFORK_GENERATION"] == "3"],
               "a new process is heard")


def test_the_last_words_of_a_start_that_fails_are_the_unit_s(instance):
    """The journal asks whose a line is when it reads it; who said it may be
    dead by then."""
    kv = instance(refork_worker="/usr/lib/refork/workers/none.so")
    journald = kv.machine.show("systemd-journald", "MainPID")
    kv.machine.run(["kill", "-STOP", journald])
    try:
        kv.systemctl("start", "--no-block")
        time.sleep(0.4)
    finally:
        kv.machine.run(["kill", "-CONT", journald])
    wait_until(lambda: kv.show("ActiveState") == "failed", "it has failed")
    assert [entry for entry in kv.journal()
            if entry.get("REFORK_EVENT") == "start_failed"]


def test_a_journal_that_hangs_holds_nobody_up(instance):
    kv = instance(log_level="debug", restart_delay="0",
                  restart_burst=1000).start()
    journald = kv.machine.show("systemd-journald", "MainPID")
    with Client(kv) as client:
        kv.machine.run(["kill", "-STOP", journald])
        try:
            for _ in range(20):
                killed = kv.kill_outside("business")
                wait_until(lambda: not kv.is_alive(killed), "it is dead")
                client.goes_on()
        finally:
            kv.machine.run(["kill", "-CONT", journald])
    assert client.connections == 1
    assert client.longest_s < 5
    wait_until(lambda: of_event(kv, "business_crash"), "it is told")


def test_a_unit_without_unix_sockets_still_tells_its_log(instance):
    """The lines go the way of all programs; their priority with them."""
    kv = instance("[Service]\nRestrictAddressFamilies=none\n"
                  "RestrictAddressFamilies=AF_INET\nType=exec\n"
                  "WatchdogSec=0\nEnvironment=FDSTORE=0\n")
    kv.systemctl("start", check=False)
    said = [entry for entry in kv.journal() if entry["_TRANSPORT"] == "stdout"]
    assert said and {entry["PRIORITY"] for entry in said} - {"6"}, kv.log()


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_log_on_stderr_is_in_the_journal_too(instance, form):
    kv = instance(log_target="stderr", log_format=form).start()
    entry, = [entry for entry in kv.journal("_TRANSPORT=stdout")
              if "worker kv" in entry["MESSAGE"]]
    if form == "json":
        assert json.loads(entry["MESSAGE"])["schema"] == 1
    else:
        assert entry["PRIORITY"] == "6" and kv.name in entry["MESSAGE"]


# ---- the page ----

def page():
    text = (TOP / "docs/systemd.md").read_text()
    return text[text.index("\n## Logs\n"):]


def test_the_page_names_every_event_that_wants_somebody_to_act():
    urgent = re.findall(r'\{"(\w+)",\s+"[0-9a-f]{32}",\s+RF_LOG_ERROR',
                        (TOP / "common/events.c").read_text())
    told = page()[page().index("have priority `err`"):].split(".")[0]
    assert sorted(re.findall(r"`(\w+)`", told)[1:]) == sorted(urgent)


def test_the_commands_of_the_page_find_something(crashed):
    commands = [line.split("   #")[0].split() for line in page().split("\n")
                if line.startswith("    journalctl")]
    assert len(commands) >= 5
    for words in commands:
        words = [word.replace("refork@kv", crashed.unit)
                 .replace("SERVICE=kv", f"SERVICE={crashed.name}")
                 .replace("ID=7", "ID=1") for word in words if word != "-f"]
        said = crashed.machine.run([*words, "-q"]).stdout
        assert said or "REFORK_EVENT=held" in words or \
            "REFORK_ROLE=network" in words, words
