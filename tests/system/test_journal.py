# SPDX-License-Identifier: MIT
"""What the journal and stderr are told.

The daemon runs in a mount namespace of its own, in which a socket of the test
is the journal's. Under a real journal it is tried elsewhere (test_systemd).
"""
import ctypes
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import threading

import pytest

from service import BUILD, is_alive, wait_until

# Mounts in a namespace of its own; ends as the daemon itself.
WRAPPER = ["unshare", "--mount", "--propagation", "private", "--", "sh", "-ec",
           'mount -t tmpfs -o mode=0755 none /run; '
           'mkdir -p /run/systemd/journal; '
           'mount --bind "$1" /run/systemd/journal; shift; exec "$@"', "sh"]

HEX = re.compile("[0-9a-f]{32}")


def parse(datagram):
    """{name: value} of an entry in the journal's native form."""
    fields = {}
    while datagram:
        name, _, rest = datagram.partition(b"\n")
        if b"=" in name:
            name, _, value = name.partition(b"=")
            datagram = rest
        else:
            size, = struct.unpack("<Q", rest[:8])
            value, end = rest[8:8 + size], rest[8 + size:9 + size]
            assert end == b"\n", datagram
            datagram = rest[9 + size:]
        assert name.decode() not in fields, f"twice: {name}"
        fields[name.decode()] = value.decode()
    return fields


class Journal:
    """The other end of the socket: a thread that reads and keeps."""

    def __init__(self, folder):
        folder.mkdir()
        self.folder = folder
        self.entries = []
        self.open()

    def open(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.bind(str(self.folder / "socket"))
        self.resume()

    def close(self):
        self.pause()
        self.socket.close()
        (self.folder / "socket").unlink()

    def resume(self):
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def pause(self):
        """It is there, and takes nothing but what fits its queue."""
        self.ending.set()
        self.thread.join()

    def read(self):
        while not self.ending.is_set():
            if not select.select([self.socket], [], [], 0.02)[0]:
                continue
            data, ancillary, _, _ = self.socket.recvmsg(1 << 16, 256)
            entry = parse(data)
            for level, kind, raw in ancillary:
                if (level, kind) == (socket.SOL_SOCKET,
                                     socket.SCM_CREDENTIALS):
                    entry["_PID"] = struct.unpack("3i", raw)[0]
            self.entries.append(entry)

    def find(self, **wanted):
        return [entry for entry in self.entries
                if all(entry.get(name) == value
                       for name, value in wanted.items())]

    def wait(self, **wanted):
        return wait_until(lambda: self.find(**wanted), f"{wanted} is logged")


@pytest.fixture
def journal(tmp_path):
    tried = subprocess.run([*WRAPPER, tmp_path, "true"], capture_output=True,
                           text=True)
    if tried.returncode != 0:
        pytest.skip(f"no mount namespace: {tried.stderr.strip()}")
    journal = Journal(tmp_path / "journal")
    yield journal
    journal.pause()
    journal.socket.close()


@pytest.fixture
def logged(service, journal):
    """start(**settings): a daemon that has that journal."""
    def start(env=None, **settings):
        return service(wrapper=[*WRAPPER, journal.folder], env=env,
                       **{"log_target": "journal", "log_level": "info",
                          **settings})
    return start


def crash(kv):
    pid = kv.business_pid
    os.kill(pid, signal.SIGSEGV)
    kv.wait_for_successor(pid)
    return pid


def call(kv, *words):
    with kv.raw() as wire:
        return wire.call(*words)


def test_an_entry_has_fields_and_a_bare_message(logged, journal):
    kv = logged()
    ready = journal.wait(REFORK_EVENT="ready")[0]
    assert ready["_PID"] == kv.process.pid
    assert ready["REFORK_ROLE"] == "supervisor"
    assert ready["REFORK_SERVICE"] == kv.name
    assert ready["SYSLOG_IDENTIFIER"] == "refork"
    assert ready["PRIORITY"] == "6"
    assert ready["REFORK_WORKER"] == "kv"
    assert HEX.fullmatch(ready["MESSAGE_ID"])
    serving = journal.wait(REFORK_ROLE="business")[0]
    assert serving["_PID"] == kv.business_pid
    assert serving["REFORK_GENERATION"] == "1"
    assert serving["MESSAGE"].startswith("serving, ")
    assert kv.log() == "", "what the journal has is not on stderr as well"


def test_a_crash_names_itself_and_its_successor_logs_on(logged, journal):
    kv = logged()
    dead = crash(kv)
    entry = journal.wait(REFORK_EVENT="business_crash")[0]
    assert entry["PRIORITY"] == "4"
    assert entry["REFORK_CRASH_ID"] == "1"
    assert entry["REFORK_SIGNAL"] == "SIGSEGV"
    assert entry["REFORK_CRASHED_PID"] == str(dead)
    assert entry["REFORK_CRASHED_ROLE"] == "business"
    assert entry["REFORK_CRASHED_GENERATION"] == "1"
    assert entry["MESSAGE"].startswith("crash 1: business pid ")
    catalog = (BUILD / "refork.catalog").read_text()
    assert f"-- {entry['MESSAGE_ID']}\n" in catalog
    second = journal.wait(REFORK_ROLE="business", REFORK_GENERATION="2")
    assert second[0]["_PID"] == kv.business_pid


def test_a_quarantined_request_is_an_event_of_the_business_child(logged,
                                                                 journal):
    kv = logged()
    with kv.raw() as wire:
        wire.send("DEBUG", "SEGFAULT")
        assert "CRASHED" in str(wire.read())
    entry = journal.wait(REFORK_EVENT="quarantined")[0]
    assert (entry["PRIORITY"], entry["REFORK_ROLE"]) == ("3", "business")


def test_a_new_network_child_logs_and_takes_the_socket_for_no_client(
        logged, journal):
    kv = logged()
    with kv.raw() as wire:
        assert wire.call("SET", "k", "v") == b"OK"
        for died in range(2):
            pid = kv.network_pid
            os.kill(pid, signal.SIGKILL)
            kv.wait_for_successor(pid, "network")
            assert wire.call("GET", "k") == b"v"
            wait_until(lambda: len(journal.find(REFORK_ROLE="network")) > died,
                       "it says what it found")
            assert kv.status()["clients"] == 1
    entry = journal.wait(REFORK_EVENT="network_crash")[0]
    assert entry["REFORK_SIGNAL"] == "SIGKILL"


def test_state_that_is_refused_or_taken_over_is_an_event(logged, journal):
    kv = logged()
    kv.kill9()
    fitting = dict(kv.settings)
    kv.configure(arena_max="128M")
    assert kv.start_refused()[0] != 0
    entry = journal.wait(REFORK_EVENT="arena_refused")[0]
    assert entry["PRIORITY"] == "3"
    assert kv.segments()[0].name in entry["MESSAGE"]
    kv.configure(**fitting)
    kv.start()
    assert journal.wait(REFORK_EVENT="arena_adopted")[0]["PRIORITY"] == "5"


def test_a_reload_is_an_event_whether_it_is_taken_or_refused(logged, journal):
    kv = logged()
    kv.control("reload", "--wait")
    journal.wait(REFORK_EVENT="reloaded")
    kv.configure(log_level="loud")
    assert kv.control("reload", "--wait", check=False).returncode != 0
    assert journal.wait(REFORK_EVENT="reload_refused")[0]["PRIORITY"] == "3"


def test_auto_is_the_journal_only_where_stderr_leads(logged, journal,
                                                     tmp_path):
    made = tmp_path / "stderr"
    made.touch()
    facts = made.stat()
    env = {"JOURNAL_STREAM": f"{facts.st_dev}:{facts.st_ino}"}
    kv = logged(env=env, log_target="auto")
    assert " info: worker kv " in kv.log(), "its stderr is another file"
    assert not journal.entries
    kv.stop()
    facts = kv.log_path.stat()
    kv.env = {"JOURNAL_STREAM": f"{facts.st_dev}:{facts.st_ino}"}
    before = kv.log()
    kv.start()
    journal.wait(REFORK_EVENT="ready")
    assert kv.log() == before


def test_without_a_journal_lines_go_to_stderr_until_it_is_back(logged, journal):
    kv = logged()
    journal.wait(REFORK_EVENT="ready")
    journal.close()
    crash(kv)
    # A child cannot connect again; the supervisor does, for all.
    wait_until(lambda: "warning: crash 1: " in kv.log() and
               re.search(r" business\[\d+\]/2 info: serving", kv.log()),
               "both are on stderr")
    journal.open()
    crash(kv)
    journal.wait(REFORK_EVENT="business_crash", REFORK_CRASH_ID="2")
    crash(kv)
    journal.wait(REFORK_ROLE="business", REFORK_GENERATION="4")


def test_a_daemon_without_a_journal_says_so_and_serves(logged, journal):
    journal.close()
    kv = logged()
    assert "warning: log: the journal at /run/systemd/journal/socket: " \
           "No such file or directory; lines go to stderr" in kv.log()
    assert call(kv, "PING") == b"PONG"
    journal.open()


def test_a_journal_that_hangs_holds_nobody_up(logged, journal):
    kv = logged(restart_burst=1000)
    journal.wait(REFORK_EVENT="ready")
    journal.pause()
    for _ in range(8):
        crash(kv)
    with kv.raw() as wire:
        for number in range(100):
            assert wire.call("INCR", "n") == number + 1
    journal.resume()
    told = journal.wait(REFORK_EVENT="lines_lost")[0]
    assert int(told["REFORK_LINES"]) > 0
    assert is_alive(kv.process.pid)


# ---- stderr ----

def objects(text):
    return [json.loads(line) for line in text.splitlines()]


def test_json_is_one_object_a_line(service):
    kv = service(log_format="json", log_level="debug")
    with kv.raw() as wire:
        wire.send("DEBUG", "SEGFAULT")
        wire.read()
    wait_until(lambda: "quarantined" in kv.log(), "it is logged")
    kv.stop()
    lines = objects(kv.log())
    for line in lines:
        assert line["schema"] == 1
        assert line["service"] == kv.name
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
                            line["time"])
        assert {"level", "role", "pid", "message"} <= set(line)
        assert not any(isinstance(value, (dict, list))
                       for value in line.values()), "it is flat"
    assert {"supervisor", "business", "network"} <= \
        {line["role"] for line in lines}
    crashes = [line for line in lines if line.get("event") == "business_crash"]
    assert [line["crash_id"] for line in crashes] == [1, 2]
    assert crashes[0]["signal"] == "SIGSEGV"
    assert lines[-1]["event"] == "stopped"


def test_a_reload_changes_the_format_of_all_processes(service):
    kv = service(log_level="info")
    kv.configure(log_format="json")
    kv.control("reload", "--wait")
    before = len(kv.log())
    pid = kv.network_pid
    with kv.raw() as wire:
        wire.send("DEBUG", "SEGFAULT")
        wire.read()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: '"role":"network"' in kv.log()[before:] and
                   '"network_crash"' in kv.log()[before:],
                   "the next network child logs, and why there is one")
    roles = {line["role"] for line in objects(kv.log()[before:])}
    assert {"supervisor", "business", "network"} <= roles
    kv.configure(log_format="text")
    kv.control("reload", "--wait")
    assert re.search(r" notice: reload: done, 1 key changed\n$", kv.log())


def test_a_stopped_reader_of_stderr_stops_nobody(daemon, tmp_path):
    """A pipe that nobody reads, as of a log program that hangs."""
    kv = daemon(wrapper=["sh", "-c", 'exec "$@" 2>"$0"', tmp_path / "pipe"],
                log_level="info", restart_burst=1000)
    os.mkfifo(tmp_path / "pipe")
    end = os.open(tmp_path / "pipe", os.O_RDWR | os.O_NONBLOCK)
    try:
        kv.start()
        while True:
            try:
                os.write(end, b"x" * 4096)
            except BlockingIOError:
                break
        crash(kv)
        assert call(kv, "INCR", "n") == 1
        while len(os.read(end, 1 << 20)) == 1 << 20:
            pass
        text = ""

        def told():
            nonlocal text
            try:
                text += os.read(end, 1 << 16).decode()
            except BlockingIOError:
                pass
            return "log lines were lost" in text
        wait_until(told, "what was lost is counted")
    finally:
        kv.stop()
        os.close(end)
