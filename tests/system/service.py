# SPDX-License-Identifier: MIT
"""A reforkd of one's own, and a wire to talk to it.

Every Service has a name, port, socket and directories that nothing else on
the machine has. stop() is also the proof that the daemon leaves nothing
behind: no process, no segment, no file, no complaint of a sanitizer.
"""
import itertools
import json
import os
import random
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
BUILD = (TOP / os.environ.get("REFORK_BUILD", "build")).resolve()
TEST_WORKER = str(BUILD / "workers" / "trial.so")

# Run everything under another setting: "arena_undo_check=yes arena_guard=off".
OTHER_SETTINGS = dict(pair.split("=", 1) for pair in
                      os.environ.get("REFORK_SETTINGS", "").split())

# Under sanitizers and on a busy machine everything takes longer; a test that
# waits this long has failed.
PATIENCE_S = 30

EXIT_OK, EXIT_USAGE, EXIT_CONFIG = 0, 64, 78

# Children whose memory map a sleeper holds: it bears their title.
MAPPED_ROLES = ("business", "standby")

_serial = itertools.count(1)


def wait_until(condition, what, timeout_s=PATIENCE_S, every_s=0.01):
    """The first true value of condition(); AssertionError when it is late."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, \
            f"not within {timeout_s} s: {what}"
        time.sleep(every_s)


def free_port():
    """A port below the range that the kernel hands out by itself."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


# ---- processes ----

def process_state(pid):
    """One letter; "" when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[0]


def is_alive(pid):
    """An orphan may stay a zombie until init looks at it: that is dead."""
    return process_state(pid) not in ("", "Z", "X")


def blocks_signals(pid):
    """Whether a process has blocked what nobody blocks for long; None when
    it is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    blocked = int(re.search(r"^SigBlk:\s*(\w+)", text, re.MULTILINE)[1], 16)
    return bool(blocked >> (signal.SIGUSR1 - 1) & 1)


def process_title(pid):
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return raw.replace(b"\0", b" ").decode(errors="replace").strip()


def children_of(pid):
    """The pids of the living children of a process."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in text.split() if is_alive(int(child))]


def processes_titled(text):
    pids = (int(entry) for entry in os.listdir("/proc") if entry.isdigit())
    return [pid for pid in pids
            if text in process_title(pid) and is_alive(pid)]


# ---- the wire ----

class ReplyError(Exception):
    """An error reply, as text: "ERR syntax error"."""


class Wire:
    """A connection that speaks RESP and hides nothing.

    read() returns bytes for strings, int for integers, list for arrays, None
    for nulls, and a ReplyError (not raised) for errors. call() raises it.
    """

    def __init__(self, address, timeout_s=PATIENCE_S):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout_s)
        wait_until(lambda: self.connects(address), "there is room to connect")
        if family == socket.AF_INET:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()

    def connects(self, address):
        """A unix socket whose backlog is full does not let us wait."""
        try:
            self.socket.connect(address)
        except BlockingIOError:
            return False
        return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send_raw(self, data):
        self.socket.sendall(data)

    def send(self, *args):
        self.send_raw(encode(*args))

    def call(self, *args):
        self.send(*args)
        reply = self.read()
        if isinstance(reply, ReplyError):
            raise reply
        return reply

    def pipeline(self, requests):
        """Send all, then read as many replies."""
        self.send_raw(b"".join(encode(*request) for request in requests))
        return [self.read() for _ in requests]

    def receive_once(self):
        """Take what has arrived into the buffer; False at the end."""
        data = self.socket.recv(1 << 20)
        self.buffer += data
        return bool(data)

    def try_read(self):
        """(reply,) when one has arrived whole, else ()."""
        reply, used = decode(self.buffer)
        del self.buffer[:used]
        return (reply,) if used else ()

    def read(self):
        while True:
            found = self.try_read()
            if found:
                return found[0]
            if not self.receive_once():
                raise EOFError("the connection was closed")

    def read_to_end(self):
        """Everything until the other side closes."""
        try:
            while self.receive_once():
                pass
        except ConnectionError:
            pass
        data, self.buffer = bytes(self.buffer), bytearray()
        return data


def parse_info(reply):
    """The answer to INFO as {name: text}."""
    return dict(line.split(":", 1) for line in reply.decode().split("\r\n")
                if ":" in line)


def encode(*args):
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        if not isinstance(arg, (bytes, bytearray)):
            arg = str(arg).encode()
        parts += [b"$%d\r\n" % len(arg), arg, b"\r\n"]
    return b"".join(parts)


def decode(buffer, at=0):
    """(reply, bytes used); (None, 0) while the reply is incomplete."""
    end = buffer.find(b"\r\n", at)
    if end < 0:
        return None, 0
    kind, line = buffer[at:at + 1], bytes(buffer[at + 1:end])
    end += 2
    if kind == b"+":
        return line, end
    if kind == b"-":
        return ReplyError(line.decode()), end
    if kind == b":":
        return int(line), end
    if kind == b",":
        return float(line), end
    if kind == b"_":
        return None, end
    if kind == b"#":
        return line == b"t", end
    if kind in (b"$", b"="):
        size = int(line)
        if size < 0:
            return None, end
        if len(buffer) < end + size + 2:
            return None, 0
        assert buffer[end + size:end + size + 2] == b"\r\n"
        return bytes(buffer[end:end + size]), end + size + 2
    if kind in b"*%>~" and kind:
        count = int(line) * (2 if kind == b"%" else 1)
        if count < 0:
            return None, end
        items = []
        for _ in range(count):
            item, used = decode(buffer, end)
            if not used:
                return None, 0
            items.append(item)
            end = used
        return items, end
    raise AssertionError(f"not a reply: {bytes(buffer[at:at + 80])!r}")


# ---- the daemon ----

class Service:
    """A daemon with settings of its own.

    Overrides are named section_key: arena_max="64M", refork_worker=path.
    A list repeats its key; None leaves the key out.

    wrapper  a command line that runs the daemon's command line
    env      added to the environment of the daemon
    """

    def __init__(self, directory, wrapper=(), env=None, **overrides):
        self.name = f"t{os.getpid()}-{next(_serial)}"
        self.directory = Path(directory)
        self.port = free_port()
        self.unix_path = str(self.directory / f"{self.name}.client")
        self.runtime_dir = self.directory / f"{self.name}.run"
        self.log_path = self.directory / f"{self.name}.log"
        self.ini_path = self.directory / f"{self.name}.ini"
        self.wrapper = list(wrapper)
        self.env = dict(env or {})
        self.process = None
        self.seen_pids = set()
        self.settings = {
            "refork_name": self.name,
            "refork_worker": str(BUILD / "workers" / "kv.so"),
            "refork_runtime_dir": self.runtime_dir,
            "refork_state_dir": self.directory / f"{self.name}.state",
            "arena_size": "16M",
            "arena_max": "64M",
            "network_listen": [f"127.0.0.1:{self.port}",
                               f"unix:{self.unix_path}"],
            "business_allow_crash_test": "yes",
            "log_level": "debug",
            **OTHER_SETTINGS,
        }
        self.configure(**overrides)

    # -- starting and ending --

    def configure(self, **overrides):
        """Change settings; the next start uses them."""
        self.settings.update(overrides)
        self.name = self.settings["refork_name"]
        sections = {}
        for setting, value in self.settings.items():
            section, _, key = setting.partition("_")
            for item in value if isinstance(value, list) else [value]:
                if item is not None:
                    sections.setdefault(section, []).append(f"{key} = {item}")
        self.ini_path.write_text("\n".join(
            "\n".join([f"[{section}]", *lines, ""])
            for section, lines in sections.items()))

    def launch(self, *arguments):
        """Start the daemon and don't wait for anything."""
        assert self.process is None or self.process.poll() is not None
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, BUILD / "reforkd", "-c", self.ini_path,
                 *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **self.env}, cwd=self.directory,
                start_new_session=True)
        return self

    def start(self, *arguments):
        """Start the daemon and wait until it serves."""
        self.launch(*arguments)
        deadline = time.monotonic() + PATIENCE_S
        while self.control("wait", "--for", "ready", "--timeout", "1s",
                           check=False).returncode != 0:
            assert self.process.poll() is None, \
                f"reforkd ended with {self.process.returncode}:\n{self.log()}"
            assert time.monotonic() < deadline, \
                f"reforkd was not ready:\n{self.log()}"
        self.remember_pids()
        return self

    def start_refused(self, *arguments):
        """Start the daemon, which must end by itself: (code, its words)."""
        before = len(self.log())
        self.launch(*arguments)
        code = self.process.wait(PATIENCE_S)
        self.process = None
        return code, self.log()[before:]

    def stop(self, exit_code=EXIT_OK):
        """End it by SIGTERM, and see that nothing of it is left."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.remember_pids()
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill9()
            raise AssertionError(f"SIGTERM did not end it:\n{self.log()}")
        self.process = None
        assert code == exit_code, f"exit status {code}:\n{self.log()}"
        self.assert_no_process_left()
        assert not self.segments(), \
            f"left in /dev/shm: {self.segments()}\n{self.log()[-3000:]}"
        assert not self.files(), f"left in its directories: {self.files()}"
        assert not self.strays(), f"left in state_dir: {self.strays()}"
        self.assert_log_clean()

    def stop_on_hold(self):
        """End it by SIGTERM while it is held: it keeps its state, which is
        then removed."""
        self.remember_pids()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE_S)
        self.process = None
        assert code == EXIT_OK, f"exit status {code}:\n{self.log()}"
        self.assert_no_process_left()
        kept = self.segments()
        assert f"refork-{self.name}" in [path.name for path in kept]
        for path in kept:
            path.unlink()
        self.assert_log_clean()

    def kill9(self):
        """SIGKILL the supervisor, and wait for its children to follow."""
        self.remember_pids()
        self.process.kill()
        self.process.wait()
        self.process = None
        self.assert_no_process_left()

    def clean_up(self):
        """Whatever happened: leave nothing on the machine."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pid in self.seen_pids:
            if is_alive(pid) and self.name in process_title(pid):
                os.kill(pid, signal.SIGKILL)
        for path in self.segments():
            path.unlink(missing_ok=True)

    # -- what is there --

    @property
    def supervisor_pid(self):
        return self.process.pid

    @property
    def business_pid(self):
        return self.child_titled("business")

    @property
    def network_pid(self):
        return self.child_titled("network")

    @property
    def standby_pid(self):
        return self.child_titled("standby")

    @property
    def vault_pid(self):
        return self.child_titled("vault")

    def child_titled(self, role):
        return wait_until(lambda: self.find_child(role),
                          f"{self.name} has a {role} child")

    def find_child(self, role):
        """The pid of the living child with that role, or None. The title
        is set by the child itself, shortly after the fork; a standby becomes
        "business" once it has the lease. The sleeper that holds a child's
        memory map shares the child's title; all its signals are blocked."""
        for pid in self.children_titled(role):
            if role not in MAPPED_ROLES or blocks_signals(pid) is False:
                return pid
        return None

    def children_titled(self, role):
        return [pid for pid in children_of(self.supervisor_pid)
                if f"{self.name} {role}" in process_title(pid)]

    def holder_pids(self):
        return [pid for role in MAPPED_ROLES
                for pid in self.children_titled(role) if blocks_signals(pid)]

    def remember_pids(self):
        todo = [self.process.pid]
        while todo:
            pid = todo.pop()
            if pid not in self.seen_pids:
                self.seen_pids.add(pid)
            todo += children_of(pid)

    def wait_for_successor(self, pid, role="business"):
        """The pid of the child that follows `pid`, once it serves."""
        def successor():
            found = self.find_child(role)
            return found if found != pid else None
        found = wait_until(successor, f"a {role} child follows {pid}")
        if role == "business":
            with self.raw() as wire:
                wire.call("PING")
        return found

    def segments(self):
        """The arena comes first."""
        return sorted(path for path in Path("/dev/shm").iterdir()
                      if self.name in path.name)

    def files(self):
        """What stands in its directories, sockets included."""
        found = [path for path in self.runtime_dir.rglob("*")
                 if not path.is_dir()] if self.runtime_dir.exists() else []
        if os.path.exists(self.unix_path):
            found.append(Path(self.unix_path))
        return found

    def strays(self):
        """What stands in state_dir and is not documented to stay there."""
        state_dir = Path(self.settings["refork_state_dir"])
        name = re.escape(self.name)
        kept = re.compile(rf"{name}\.crashes|{name}/quarantine/\d+")
        return [path for path in state_dir.rglob("*") if not path.is_dir() and
                not kept.fullmatch(str(path.relative_to(state_dir)))]

    def assert_no_process_left(self):
        def gone():
            return not [pid for pid in self.seen_pids if is_alive(pid)] and \
                not processes_titled(f"{self.name} ")
        wait_until(gone, f"every process of {self.name} has ended")

    # -- asking it --

    def control_socket(self):
        return self.runtime_dir / f"{self.name}.sock"

    def control(self, *arguments, check=True):
        """reforkctl on its control socket."""
        ran = subprocess.run(
            [BUILD / "reforkctl", "-S", self.control_socket(), *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=PATIENCE_S)
        assert ran.returncode == 0 or not check, \
            f"reforkctl {arguments}: {ran.returncode}: {ran.stderr}"
        return ran

    def control_begin(self, *arguments):
        """The same, running beside the test: a Popen."""
        return subprocess.Popen(
            [BUILD / "reforkctl", "-S", self.control_socket(), *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)

    def status(self):
        return json.loads(self.control("--json", "status").stdout)

    def standby_is_ready(self):
        """It waits for the lease."""
        return self.status()["standby_ready"]

    def standby_is_warm(self):
        """It waits for the lease, and has mapped every page there is."""
        seen = self.status()
        return seen["standby_ready"] and \
            seen["standby_prefaulted_bytes"] >= seen["arena_size_bytes"]

    def client(self, **options):
        """A python3-redis client over TCP."""
        import redis
        options.setdefault("socket_timeout", PATIENCE_S)
        return redis.Redis(host="127.0.0.1", port=self.port, **options)

    def raw(self, unix=False, **options):
        """A Wire, over TCP unless told otherwise."""
        return Wire(self.unix_path if unix else ("127.0.0.1", self.port),
                    **options)

    # -- what it said --

    def log(self):
        try:
            return self.log_path.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def wait_for_log(self, pattern):
        """The match of a regular expression in the log."""
        try:
            return wait_until(lambda: re.search(pattern, self.log()),
                              f"the log says {pattern!r}")
        except AssertionError as late:
            raise AssertionError(f"{late}; it says:\n{self.log()}") from None

    def assert_log_clean(self):
        for complaint in ("Sanitizer", "runtime error:"):
            assert complaint not in self.log(), \
                f"a sanitizer has found something:\n{self.log()}"
