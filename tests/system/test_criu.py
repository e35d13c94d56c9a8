# SPDX-License-Identifier: MIT
"""A whole service, written down by CRIU and restored, clients connected; and
what `reforkctl checkpoint` does where there is no CRIU."""
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest
from service import TOP, children_of, is_alive, process_title, wait_until

CRIU = os.environ.get("CRIU") or shutil.which("criu")
COMMON = ["--tcp-established", "--file-locks", "-v2"]


def backends(cell):
    """Those of which the table in docs/memory.md says so."""
    rows = [[part.strip() for part in line.strip("|").split("|")] for line in
            (TOP / "docs" / "memory.md").read_text().split("\n")
            if line.startswith("|")]
    names = next(row[1:] for row in rows if row[1:2] == ["posix"])
    cells = next(row[1:] for row in rows if row[0] == "CRIU")
    return [name for name, said in zip(names, cells) if said == cell]


def why_not():
    """The reason why nothing can be dumped here; "" when it can."""
    if not CRIU:
        return "no criu: neither $CRIU nor in PATH"
    ran = subprocess.run([CRIU, "check"], capture_output=True, text=True,
                         stdin=subprocess.DEVNULL)
    if ran.returncode == 0:
        return ""
    said = (ran.stdout + ran.stderr).strip().split("\n")
    errors = [line for line in said if "Error" in line] or said
    return f"criu check: {errors[-1]}"


@pytest.fixture(scope="module")
def criu():
    reason = why_not()
    if reason:
        pytest.skip(reason)


class Restored:
    """What a Popen is to a Service: CRIU made it our child."""

    def __init__(self, pid):
        self.pid = pid
        self.returncode = None

    def poll(self):
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout=30):
        return wait_until(lambda: (self.poll() is not None) and [self.poll()],
                          "the restored daemon has ended", timeout)[0]

    def send_signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)


def run_criu(images, verb, *arguments):
    log = images / f"{verb}.log"
    ran = subprocess.run(
        [CRIU, verb, "-D", images, "-o", log.name, *COMMON, *arguments],
        capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert ran.returncode == 0, f"criu {verb}:\n" + "\n".join(
        line for line in log.read_text().split("\n") if "Error" in line)


def dump(kv, images):
    """The service is gone after that, but for its images."""
    kv.remember_pids()
    pids = [kv.supervisor_pid, *children_of(kv.supervisor_pid)]
    run_criu(images, "dump", "-t", str(kv.supervisor_pid),
             "--network-lock", "nftables")
    kv.process.wait()
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids),
               "the processes of the service are gone")


def carry_over(kv, images):
    """As to another machine: what the service had here goes, and what
    docs/move.md says is copied comes back."""
    arena = kv.settings.get("arena_path")
    for path in [*kv.segments(), kv.log_path, *([arena] if arena else [])]:
        copy = images / path.name
        subprocess.run(["cp", "--sparse=always", "--preserve=all", path, copy],
                       check=True)
        path.unlink()
        subprocess.run(["cp", "--sparse=always", "--preserve=all", copy, path],
                       check=True)
    for path in kv.files():
        path.unlink()


def restore(kv, images):
    pid = kv.supervisor_pid
    run_criu(images, "restore", "-d", "-S")
    kv.process = Restored(pid)


class Counter(threading.Thread):
    """A client that counts, and sees that each of its requests was done
    once."""

    def __init__(self, kv):
        super().__init__()
        self.wire = kv.raw()
        self.count = 0
        self.trouble = None
        self.ending = False
        self.start()

    def run(self):
        try:
            while not self.ending:
                value = self.wire.call("INCR", "counted")
                assert value == self.count + 1, (value, self.count)
                self.count = value
        except Exception as trouble:  # is told where it is looked at
            self.trouble = trouble

    def goes_on(self):
        seen = self.count
        wait_until(lambda: self.trouble or self.count >= seen + 50,
                   "requests are answered")
        assert self.trouble is None, self.trouble

    def end(self):
        self.ending = True
        self.join()
        self.wire.close()
        assert self.trouble is None, self.trouble


def backend_options(backend, directory):
    sized = {"arena_size": "64M"} if backend == "sysv" else {}
    own = {"arena_path": directory / "arena",
           "arena_on_stop": "release"} if backend == "file" else {}
    guarded = {"arena_guard": "auto"} if backend == "memfd" else {}
    return {"arena_backend": backend, **sized, **own, **guarded}


def crash(kv, wire):
    """Of the business child: the standby takes over."""
    wait_until(kv.standby_is_ready, "the standby is ready")
    standby = kv.status()["standby_pid"]
    os.kill(kv.business_pid, signal.SIGSEGV)
    assert wire.call("PING") == b"PONG"
    wait_until(lambda: kv.status()["business_pid"] == standby,
               "the standby has taken over")


# ---- with CRIU ----

@pytest.mark.parametrize("backend", backends("yes"))
def test_a_service_is_restored_with_its_clients_and_its_state(
        criu, service, tmp_path, backend):
    images = tmp_path / "images"
    images.mkdir()
    kv = service(**backend_options(backend, tmp_path))
    with kv.raw() as idle:
        idle.call("SET", "before", "x" * 100_000)
        counter = Counter(kv)
        counter.goes_on()
        kv.control("checkpoint", "prepare")
        dump(kv, images)
        carry_over(kv, images)
        restore(kv, images)
        counter.goes_on()
        if backend == "posix":
            # Its lease went with the process that was dumped.
            os.kill(kv.business_pid, signal.SIGSEGV)
            kv.wait_for_log("no longer prepared for a checkpoint")
        else:
            kv.control("checkpoint", "end")
        counter.goes_on()
        kv.remember_pids()
        assert kv.status()["generation"] == 2
        crash(kv, idle)
        counter.goes_on()
        counter.end()
        assert kv.status()["generation"] == 3
        assert idle.call("GET", "before") == b"x" * 100_000
        assert int(idle.call("GET", "counted")) == counter.count
    assert kv.status()["clients_total"] == 2
    assert kv.status()["vault_crashes"] == kv.status()["network_crashes"] == 0


def test_a_system_v_arena_in_its_own_ipc_namespace_is_restored(
        criu, daemon, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    kv = daemon(wrapper=["unshare", "--ipc"],
                **backend_options("sysv", tmp_path)).start()
    counter = Counter(kv)
    counter.goes_on()
    kv.control("checkpoint", "prepare")
    dump(kv, images)
    restore(kv, images)
    kv.control("checkpoint", "end")
    counter.goes_on()
    counter.end()
    kv.remember_pids()


# ---- without ----

def family(kv):
    """The titles of the supervisor's children."""
    return sorted(process_title(pid).split()[-1]
                  for pid in children_of(kv.supervisor_pid))


def test_a_prepared_service_is_what_criu_can_write_down(service):
    kv = service()
    wait_until(kv.standby_is_ready, "the standby is ready")
    counter = Counter(kv)
    kv.control("checkpoint", "prepare")
    # No vault, no standby, no helper that holds a memory map.
    assert family(kv) == ["business", "network"]
    counter.goes_on()
    refused = kv.control("restart", check=False)
    assert refused.returncode == 1
    kv.control("checkpoint", "prepare")
    time.sleep(0.3)
    assert family(kv) == ["business", "network"]
    said = kv.control("checkpoint", "end").stdout
    assert re.fullmatch(r"ended: generation 2 serves, pause [\d.]+ ms\n", said)
    counter.goes_on()
    counter.end()
    wait_until(kv.standby_is_ready, "there is a standby again")
    assert kv.status()["vault_pid"]
    with kv.raw() as wire:
        crash(kv, wire)
    assert kv.status()["generation"] == 3
    assert kv.status()["crashes"] == 1
    again = kv.control("checkpoint", "end", check=False)
    assert again.returncode == 1 and "not prepared" in again.stderr
    kv.control("checkpoint", "prepare")
    ended = json.loads(kv.control("--json", "checkpoint", "end").stdout)
    assert ended["result"] == "ended" and ended["generation"] == 4
    assert ended["pause_us"] > 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_crash_ends_the_preparation(service, number):
    kv = service()
    counter = Counter(kv)
    kv.control("checkpoint", "prepare")
    os.kill(kv.business_pid, number)
    counter.goes_on()
    counter.end()
    wait_until(kv.standby_is_ready, "there is a standby again")
    wait_until(lambda: kv.status()["vault_pid"], "there is a vault again")
    assert kv.control("checkpoint", "end", check=False).returncode == 1


def test_without_a_vault_a_network_death_costs_connections_and_no_state(
        service):
    kv = service()
    with kv.raw() as wire:
        wire.call("SET", "kept", "yes")
        kv.control("checkpoint", "prepare")
        network = kv.network_pid
        os.kill(network, signal.SIGKILL)
        with pytest.raises((EOFError, ConnectionError)):
            wire.call("GET", "kept")
    wait_until(lambda: kv.status()["vault_pid"] and
               kv.status()["network_pid"] not in (0, network),
               "there are a vault and a network child again")
    # Restored, it would not have the lease: no standby beside that one.
    wait_until(kv.standby_is_ready, "there is a standby again")
    assert kv.status()["generation"] == 2
    with kv.raw() as wire:
        assert wire.call("GET", "kept") == b"yes"


def test_a_system_v_arena_of_the_whole_machine_is_refused(service, tmp_path):
    assert backends("no") == ["sysv"]
    kv = service(**backend_options("sysv", tmp_path))
    if os.stat("/proc/self/ns/ipc").st_ino != 0xEFFFFFFF:
        pytest.skip("this machine's IPC namespace is not the first one")
    refused = kv.control("checkpoint", "prepare", check=False)
    assert refused.returncode == 1
    assert "IPC namespace" in refused.stderr
    assert "unshare --ipc" in refused.stderr
    # Nothing has changed.
    wait_until(kv.standby_is_ready, "the standby is ready")
    assert kv.status()["vault_pid"] and is_alive(kv.status()["vault_pid"])
