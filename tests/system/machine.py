# SPDX-License-Identifier: MIT
"""A machine with systemd as PID 1, and instances of refork@.service on it.

A Machine is the machine that we run on, seen through an overlay, in namespaces
of its own: what happens on it happens to nobody else, and it is gone with the
process that made it (machine_boot.py tells how). Tests talk to it by commands
that run inside, and by sockets that are made in its network.
"""
import contextlib
import ctypes
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from service import BUILD, PATIENCE_S, TOP, Wire, wait_until

BOOT = Path(__file__).with_name("machine_boot.py")
BOOT_TIMEOUT_S = 30
CLONE_NEWNET = 0x40000000
NAMESPACE_OPTIONS = ["-m", "-u", "-i", "-n", "-p", "-C"]
ROLES = ("supervisor", "vault", "network", "business", "standby")

libc = ctypes.CDLL(None, use_errno=True)


def why_not():
    """What keeps a machine from being booted here; "" when nothing does."""
    if os.geteuid() != 0:
        return "needs root"
    if not shutil.which("nsenter"):
        return "no nsenter (package util-linux)"
    if b"libasan.so" in (BUILD / "reforkd").read_bytes():
        return "a sanitizer's memory does not fit the limits of the unit"
    if subprocess.run(["unshare", "--user", "true"], check=False,
                      capture_output=True).returncode:
        return "no user namespaces here (a chroot?), and the unit makes one"
    with tempfile.TemporaryDirectory() as directory:
        ran = subprocess.run([sys.executable, BOOT, "--check", directory],
                             capture_output=True, text=True, timeout=60)
    return "" if ran.returncode == 0 else \
        (ran.stdout + ran.stderr).strip().split("\n")[-1]


def install(layer):
    """What `make install` gives, for a Machine to stand on."""
    ran = subprocess.run(
        ["make", "--no-print-directory", "install", f"DESTDIR={layer}",
         "PREFIX=/usr", f"B={BUILD}"],
        cwd=TOP, capture_output=True, text=True, timeout=120,
        env={**os.environ, "MAKEFLAGS": ""})
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for worker in (BUILD / "workers").glob("*.so"):
        shutil.copy(worker, layer / "usr/lib/refork/workers")


class Machine:
    """layer: a directory whose files are put over those of /."""

    def __init__(self, layer=None):
        self.layer = layer
        self.keeper = self.pid = None

    def start(self):
        self.directory = Path(tempfile.mkdtemp(prefix="refork-machine-"))
        for name in "host", "fs":
            (self.directory / name).mkdir()
        (self.directory / "kmsg").touch()
        owner, self.owned = os.pipe()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.bind(str(self.directory / "host/notify"))
            self.keeper = subprocess.Popen(
                [sys.executable, BOOT, self.directory, str(owner),
                 *([self.layer] if self.layer else [])],
                stdin=subprocess.DEVNULL, pass_fds=[owner])
            os.close(owner)
            try:
                self.wait_for_boot(ready)
            except BaseException:
                self.stop()
                raise
        return self

    def wait_for_boot(self, ready):
        ready.settimeout(0.1)
        deadline = time.monotonic() + BOOT_TIMEOUT_S
        while True:
            with contextlib.suppress(TimeoutError):
                if b"READY=1" in ready.recv(4096).split(b"\n"):
                    break
            assert not (self.directory / "ended").exists() and \
                time.monotonic() < deadline, "systemd did not boot:\n" + \
                (self.directory / "kmsg").read_text(errors="replace")[-4000:]
        self.pid = int((self.directory / "pid").read_text())
        self.root = Path(f"/proc/{self.pid}/root")

    def stop(self):
        """Nothing is left of it."""
        if self.keeper is None:
            return
        os.close(self.owned)
        self.keeper.wait(BOOT_TIMEOUT_S)
        self.keeper = None
        assert not self.directory.exists()

    def prepare(self):
        """What a package does when it is installed."""
        self.run(["systemd-sysusers", "refork.conf"])
        self.run(["systemd-tmpfiles", "--create", "refork.conf"])
        self.run(["journalctl", "--update-catalog"])

    # -- inside --

    def inside(self, words):
        """The command line that runs another one inside."""
        return ["nsenter", "-t", str(self.pid), *NAMESPACE_OPTIONS,
                "-r", "-w", "--", "env", "-i", "LANG=C.UTF-8", "HOME=/root",
                "DEBIAN_FRONTEND=noninteractive",
                "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                *map(str, words)]

    def run(self, words, check=True, timeout_s=PATIENCE_S):
        ran = subprocess.run(
            self.inside(words), stdin=subprocess.DEVNULL, text=True,
            capture_output=True, timeout=timeout_s)
        assert ran.returncode == 0 or not check, \
            f"{words}: {ran.returncode}: {ran.stdout}{ran.stderr}"
        return ran

    def begin(self, words):
        """The same, running beside the test: a Popen."""
        return subprocess.Popen(
            self.inside(words), stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def systemctl(self, *words, check=True):
        return self.run(["systemctl", "--no-pager", *words], check=check)

    def show(self, unit, *properties):
        """The value of a property, or {property: value} of several."""
        said = self.systemctl("show", unit, *("-p" + name
                                              for name in properties)).stdout
        found = dict(line.split("=", 1) for line in said.splitlines())
        return found if len(properties) > 1 else found[properties[0]]

    def journal(self, unit, *words):
        """[{field: text}], oldest first. -u UNIT finds what systemd says of
        it as well."""
        self.run(["journalctl", "--sync"])
        said = self.run(["journalctl", "-q", "-u", unit, "-o", "json",
                         "--all", *words]).stdout
        return [json.loads(line) for line in said.splitlines()]

    def messages(self, unit):
        return "\n".join(str(entry.get("MESSAGE"))
                         for entry in self.journal(unit))

    def write(self, path, text, mode=0o644):
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def read(self, path):
        return (self.root / path.lstrip("/")).read_text()

    def limits(self, what):
        """Whether its cgroups can limit memory, pids or cpu."""
        top = self.root / "sys/fs/cgroup"
        if (top / what).exists():
            return True
        offered = top / "cgroup.controllers"
        return offered.exists() and what in offered.read_text().split()

    @contextlib.contextmanager
    def network(self):
        """Sockets that this thread makes meanwhile are the machine's."""
        def join(path):
            with open(path, "rb") as file:
                assert libc.setns(file.fileno(), CLONE_NEWNET) == 0, path
        with open("/proc/thread-self/ns/net", "rb") as ours:
            join(f"/proc/{self.pid}/ns/net")
            try:
                yield
            finally:
                assert libc.setns(ours.fileno(), CLONE_NEWNET) == 0

    def outside_pid(self, pid):
        """What we call a process that is called so inside; None: gone."""
        for status in Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError):
                found = re.search(r"^NSpid:\s*(\d+)\t(\d+)$",
                                  status.read_text(), re.MULTILINE)
                if found and int(found[2]) == pid and \
                        self.is_ours(int(found[1])):
                    return int(found[1])
        return None

    def is_ours(self, pid):
        return os.readlink(f"/proc/{pid}/ns/pid") == \
            os.readlink(f"/proc/{self.pid}/ns/pid")


# ---- instances ----

_ports = itertools.count(7000)


class Instance:
    """refork@NAME.service, with an ini and drop-ins of its own.

    Overrides are named section_key as those of a Service.
    """

    def __init__(self, machine, name, unit="", **overrides):
        self.machine, self.name = machine, name
        self.unit = f"refork@{name}.service"
        self.port = next(_ports)
        self.settings = {
            "refork_name": name,
            "arena_size": "16M", "arena_max": "64M",
            "network_listen": f"127.0.0.1:{self.port}",
            "business_allow_crash_test": "yes",
            **overrides,
        }
        self.configure()
        if unit:
            self.drop_in(unit)

    def configure(self, **overrides):
        """Change settings; the next start or reload uses them."""
        self.settings.update(overrides)
        sections = {}
        for name, value in self.settings.items():
            section, key = name.split("_", 1)
            for each in value if isinstance(value, list) else [value]:
                if each is not None:
                    sections.setdefault(section, []).append(
                        f"{key} = {each}\n")
        self.machine.write(f"/etc/refork/{self.name}.ini", "".join(
            f"[{section}]\n{''.join(lines)}"
            for section, lines in sections.items()))

    def drop_in(self, text, name="test"):
        """A drop-in of this instance alone."""
        self.machine.write(
            f"/run/systemd/system/{self.unit}.d/{name}.conf", text)
        self.machine.systemctl("daemon-reload")

    def systemctl(self, verb, *words, check=True):
        ran = self.machine.systemctl(verb, *words, self.unit, check=False)
        assert ran.returncode == 0 or not check, \
            f"{verb} {self.unit}: {ran.stderr}\n{self.log()}"
        return ran

    def start(self):
        self.systemctl("start")
        return self

    def show(self, *properties):
        return self.machine.show(self.unit, *properties)

    def journal(self, *words):
        return self.machine.journal(self.unit, *words)

    def log(self):
        return self.machine.messages(self.unit)

    def end(self, assert_clean=True):
        """Stop it. Nothing of it stays, but what it is documented to keep."""
        self.systemctl("stop", check=assert_clean)
        left = self.traces()
        self.systemctl("reset-failed", check=False)
        self.machine.run(["rm", "-rf", f"/run/systemd/system/{self.unit}.d",
                          f"/etc/refork/{self.name}.ini"])
        assert not left or not assert_clean, left

    def traces(self):
        """What is left of one that was stopped."""
        found = [] if self.show("NFileDescriptorStore") == "0" else \
            ["descriptors in the store"]
        found += [str(pid) for pid in self.processes().values()]
        names = [path for place in ("dev/shm", "run/refork")
                 for path in (self.machine.root / place).glob("*")]
        # Of System V memory nobody else makes any on this machine. (The file
        # shows that of whoever reads it.)
        rows = self.machine.run(
            ["cat", "/proc/sysvipc/shm"]).stdout.splitlines()[1:]
        return found + rows + [str(path) for path in names
                               if self.name in path.name]

    # -- its processes --

    def control(self, *words, check=True):
        return self.machine.run(["reforkctl", "-i", self.name, *words],
                                check=check)

    def status(self):
        return json.loads(self.control("--json", "status").stdout)

    def processes(self):
        """{role: pid} as it is called inside."""
        found = {}
        procs = self.machine.root / "proc"
        main = int(self.show("MainPID"))
        if main:
            found["supervisor"] = main
        for path in procs.glob("[0-9]*"):
            with contextlib.suppress(OSError):
                title = (path / "cmdline").read_bytes().strip(b"\0").decode()
                role = title.rpartition(" ")[2]
                # Who was just forked has the supervisor's title yet.
                if role in ROLES[1:] and f" {self.name} " in title and \
                        not self.sleeps(path):
                    found[role] = int(path.name)
        return found

    @staticmethod
    def sleeps(path):
        """The sleeper that holds a child's memory shares the child's title:
        all its signals are blocked."""
        blocked = re.search(r"^SigBlk:\s*(\w+)", (path / "status").read_text(),
                            re.MULTILINE)[1]
        return bool(int(blocked, 16) >> (signal.SIGUSR1 - 1) & 1)

    def pid_of(self, role):
        return wait_until(lambda: self.processes().get(role),
                          f"{self.name} has a {role}")

    def kill(self, role, number=signal.SIGKILL):
        pid = self.pid_of(role)
        self.machine.run(["kill", f"-{int(number)}", pid])
        return pid

    def kill_outside(self, role, number=signal.SIGKILL):
        """The same, at once."""
        pid = self.pid_of(role)
        os.kill(self.machine.outside_pid(pid), number)
        return pid

    def is_alive(self, pid):
        try:
            stat = (self.machine.root / "proc" / str(pid) / "stat").read_text()
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] not in "ZX"

    # -- its clients --

    def wire(self):
        """A connection; refused while it is down."""
        with self.machine.network():
            return Wire(("127.0.0.1", self.port))

    def call(self, *words):
        with self.wire() as wire:
            return wire.call(*words)


class Client(threading.Thread):
    """A client as they should be: connects again when its connection ends.

    Counts up in one key, back to back, and knows what was acknowledged, how
    long it waited for a reply at most, how many connections it needed, and how
    often it was refused.
    """

    def __init__(self, instance, key="counter"):
        super().__init__(daemon=True)
        self.instance, self.key = instance, key
        self.acknowledged = self.lost = self.connections = self.refused = 0
        self.longest_s = 0.0
        self.failures = []
        self.ending = threading.Event()

    def __enter__(self):
        self.start()
        wait_until(lambda: self.acknowledged or self.failures, "it counts")
        return self

    def __exit__(self, kind, *_):
        self.finish()
        assert kind or not self.failures, self.failures

    def run(self):
        try:
            answered = time.monotonic()
            while not self.ending.is_set():
                try:
                    with self.instance.wire() as wire:
                        self.connections += 1
                        answered = self.count(wire, answered)
                except ConnectionRefusedError:
                    self.refused += 1
                except (EOFError, ConnectionError):
                    pass
                time.sleep(0.001)
        except BaseException as failure:  # told by the test
            self.failures.append(failure)

    def count(self, wire, answered):
        while not self.ending.is_set():
            unanswered = True
            try:
                number = wire.call("INCR", self.key)
                unanswered = False
            finally:
                self.lost += unanswered
            now = time.monotonic()
            self.longest_s = max(self.longest_s, now - answered)
            answered = now
            assert self.acknowledged < number <= \
                self.acknowledged + 1 + self.lost, (number, vars(self))
            self.acknowledged, self.lost = number, 0
        return answered

    def goes_on(self, connections=1):
        """It is answered, not by what was on its way; on as many
        connections."""
        wait_until(lambda: self.failures or self.connections >= connections,
                   f"the client is on its connection {connections}")
        seen = self.acknowledged  # one before it may have lived for a moment
        wait_until(lambda: self.failures or self.acknowledged > seen + 1,
                   "the client goes on")
        assert not self.failures, self.failures

    def finish(self):
        self.ending.set()
        self.join(PATIENCE_S)
        assert not self.is_alive()
