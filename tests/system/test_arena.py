# SPDX-License-Identifier: MIT
"""The arena, read by others: holds, the attach API, verify, stat, dump."""
import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from service import BUILD, PATIENCE_S, wait_until

BANK = str(BUILD / "workers" / "bank.so")
BASE = 0x566000000000
SUPER_BYTES = 32768
# A busy machine wakes nobody on time.
LATENESS_US = 100_000


# ---- what the tests do ----

class Movers:
    """Clients that move money for as long as the block lasts; none of them
    may lose an answer."""

    def __init__(self, service, clients=2):
        self.service, self.clients = service, clients
        self.ending = False
        self.moves = 0
        self.failures = []
        self.longest_s = 0

    def __enter__(self):
        self.threads = [threading.Thread(target=self.move, args=(n,))
                        for n in range(self.clients)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending = True
        for thread in self.threads:
            thread.join()

    def move(self, at):
        try:
            with self.service.raw() as wire:
                while not self.ending:
                    began = time.monotonic()
                    answers = wire.pipeline(
                        [("MOVE", str(at + n)) for n in range(20)])
                    self.longest_s = max(self.longest_s,
                                         time.monotonic() - began)
                    assert all(isinstance(one, int) for one in answers), \
                        answers
                    at += 20
                    self.moves += 20
        except BaseException as failure:  # told by the test
            self.failures.append(failure)

    def assert_nothing_lost(self):
        assert not self.failures, self.failures
        assert self.moves > 0


def ask(service, *words):
    """(True, object) or (False, why): a verb, without reforkctl."""
    with socket.socket(socket.AF_UNIX) as wire:
        wire.settimeout(PATIENCE_S)
        wire.connect(str(service.control_socket()))
        wire.sendall((" ".join([words[0], "json", *words[1:]]) +
                      "\n").encode())
        answer = b"".join(iter(lambda: wire.recv(65536), b"")).decode()
    head, _, body = answer.partition("\n")
    if head == "ok":
        return True, json.loads(body)
    return False, answer.removeprefix("error: ").strip()


def reader(name, *arguments):
    return subprocess.run(
        [BUILD / "readers" / name, *map(str, arguments)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=PATIENCE_S)


def read_total(service, rounds, hold_ms=50, read_us=0):
    ran = reader("bank_total", service.control_socket(), rounds, hold_ms,
                 read_us)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def arena(service, *arguments, check=True):
    """reforkctl --json arena ...: its exit status and its lines."""
    ran = service.control("--json", "arena", *arguments, check=check)
    return ran.returncode, [json.loads(line)
                            for line in ran.stdout.splitlines()]


def verify_finds_nothing(service):
    code, lines = arena(service, "verify", check=False)
    assert code == 0, lines
    assert lines[-1]["problems"] == 0 and lines[-1]["leaks_known"] == 1
    return lines[-1]


def offline(path, command="verify"):
    """reforkctl --json arena ... of a kept arena."""
    ran = subprocess.run(
        [BUILD / "reforkctl", "--json", "arena", command, "--offline", path],
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=PATIENCE_S,
        env={**os.environ, "REFORK_WORKER_DIR": str(BUILD / "workers")})
    return ran.returncode, [json.loads(line)
                            for line in ran.stdout.splitlines()], ran.stderr


@pytest.fixture
def bank(service):
    return service(refork_worker=BANK)


# ---- the hold ----

def test_a_hold_ends_when_it_is_told_to(bank):
    asked, order = ask(bank, "arena-hold", "1000")
    assert asked, order
    time.sleep(0.05)
    done, gone = ask(bank, "arena-go", str(order["serial"]))
    assert done and gone["lasted"] == 1
    assert 50_000 <= gone["held_us"] < 500_000
    with bank.raw() as wire:
        assert wire.call("MOVE", "1") == 1


def test_a_hold_is_never_longer_than_asked_and_says_that_it_is_over(bank):
    for ms in (1, 20, 150):
        asked, order = ask(bank, "arena-hold", str(ms))
        if not asked:  # over before it could be told
            assert ms == 1 and "the time was over" in order
            continue
        with bank.raw() as wire:
            began = time.monotonic()
            wire.call("MOVE", "1")
            assert time.monotonic() - began < ms / 1000 + 0.5
        done, gone = ask(bank, "arena-go", str(order["serial"]))
        assert done and gone["lasted"] == 0
        assert gone["held_us"] <= ms * 1000 + LATENESS_US


def test_requests_wait_for_the_end_of_a_hold(bank):
    with bank.raw() as wire:
        wire.call("MOVE", "1")
        began = time.monotonic()
        asked, order = ask(bank, "arena-hold", "300")
        assert asked, order
        assert wire.call("MOVE", "2") == 2
        assert time.monotonic() - began >= 0.25
        assert ask(bank, "arena-go", str(order["serial"]))[1]["lasted"] == 0


def test_one_reader_at_a_time_and_no_order_that_makes_no_sense(bank):
    asked, order = ask(bank, "arena-hold", "500")
    assert asked
    refused = [ask(bank, "arena-hold", "10"),
               ask(bank, "arena-go", str(order["serial"] + 1))]
    assert ask(bank, "arena-go", str(order["serial"]))[1]["lasted"] == 1
    refused += [ask(bank, "arena-hold", "0"), ask(bank, "arena-hold", "2001"),
                ask(bank, "arena-hold", "x"), ask(bank, "arena-go", "x"),
                ask(bank, "arena-verified", "x")]
    for asked, why in refused:
        assert not asked
    assert "another reader" in refused[0][1]
    assert "1 .. 2000 ms" in refused[3][1]


def test_a_long_request_is_waited_for(bank):
    with bank.raw() as wire:
        wire.send("SLEEP", "300000")
        time.sleep(0.05)
        asked, order = ask(bank, "arena-hold", "100")
        assert asked, order
        assert ask(bank, "arena-go", str(order["serial"]))[1]["lasted"] == 1
        assert wire.read() == 0


def test_a_hold_does_not_outlive_its_business_process(bank):
    for successor in ("killed", "restarted"):
        asked, order = ask(bank, "arena-hold", "2000")
        assert asked, order
        victim = bank.business_pid
        if successor == "killed":
            os.kill(victim, signal.SIGKILL)
        else:
            bank.control("restart", "business")
        bank.wait_for_successor(victim)  # which answers a request
        done, gone = ask(bank, "arena-go", str(order["serial"]))
        assert done and gone["lasted"] == 0, successor


def test_a_reader_is_answered_while_nobody_follows_the_dead(daemon):
    bank = daemon(refork_worker=BANK, business_standby="0").start()
    asked, order = ask(bank, "arena-hold", "2000")
    assert asked, order
    bank.process.send_signal(signal.SIGSTOP)
    try:
        os.kill(bank.business_pid, signal.SIGKILL)
    finally:
        bank.process.send_signal(signal.SIGCONT)
    done, gone = ask(bank, "arena-go", str(order["serial"]))
    assert done and gone["lasted"] in (0, 1)
    wait_until(lambda: bank.status()["serving"], "it serves again")
    assert read_total(bank, 20)["wrong"] == 0


def test_a_hung_process_is_told_from_one_that_stands_still(daemon):
    bank = daemon(refork_worker=BANK, business_heartbeat_timeout="500ms",
                  business_request_timeout="300ms").start()
    asked, order = ask(bank, "arena-hold", "2000")
    assert asked, order
    time.sleep(1.2)
    done, gone = ask(bank, "arena-go", str(order["serial"]))
    assert done and gone["lasted"] == 1
    assert bank.status()["hangs"] == 0


def test_it_stops_at_once_while_it_stands_still(bank):
    assert ask(bank, "arena-hold", "2000")[0]
    began = time.monotonic()
    bank.stop()
    assert time.monotonic() - began < 1.5


# ---- the attach API ----

def test_a_stranger_reads_whole_sums_while_money_moves(bank):
    with Movers(bank) as movers:
        seen = read_total(bank, 150)
        late = read_total(bank, 5, hold_ms=5, read_us=10_000)
    movers.assert_nothing_lost()
    assert seen["wrong"] == 0 and seen["good"] >= 100, seen
    assert late["good"] == 0 and late["stale"] + late["refused"] == 5, late


def test_without_a_hold_some_sums_are_wrong(bank):
    """So the test above can fail."""
    with Movers(bank) as movers:
        wait_until(lambda: read_total(bank, 2000, hold_ms=0)["wrong"],
                   "a sum in the middle of a move")
    movers.assert_nothing_lost()


def test_a_cpp_program_reads_a_copy(bank):
    with Movers(bank) as movers:
        for _ in range(3):
            ran = reader("bank_cpp", bank.control_socket())
            assert ran.stdout == "balanced\n", ran.stderr
    movers.assert_nothing_lost()


def test_holds_stay_honest_while_processes_are_killed(bank):
    def strike():
        victims = [lambda: bank.find_child("business"),
                   lambda: bank.find_child("network")]
        for blow in range(12):
            victim = victims[blow % 2]()
            if victim:
                os.kill(victim, signal.SIGKILL)
            killed = subprocess.Popen(
                [BUILD / "readers" / "bank_total", bank.control_socket(),
                 "1000", "30", "0"], stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL)
            time.sleep(0.08)
            killed.kill()
            killed.wait()

    with Movers(bank) as movers:
        striker = threading.Thread(target=strike)
        striker.start()
        good = stale = 0
        while striker.is_alive():
            seen = read_total(bank, 20, hold_ms=20)
            assert seen["wrong"] == 0, seen
            good += seen["good"]
            stale += seen["stale"] + seen["refused"]
        striker.join()
    movers.assert_nothing_lost()
    assert good > 20, (good, stale)
    verify_finds_nothing(bank)


def test_a_reader_that_may_not_look_is_told_so(bank):
    if os.getuid() != 0:
        pytest.skip("needs root, to be somebody else")
    ran = subprocess.run(
        [BUILD / "readers" / "bank_total", bank.control_socket(), "1", "10",
         "0"], capture_output=True, text=True, user=65534, group=65534,
        timeout=PATIENCE_S)
    assert ran.returncode == 1 and "Permission denied" in ran.stderr


# ---- verify, stat, dump ----

def test_verify_beside_a_running_service_finds_nothing(bank):
    pauses = []
    with Movers(bank) as movers:
        for _ in range(30):
            pauses.append(verify_finds_nothing(bank)["held_us"])
    movers.assert_nothing_lost()
    assert max(pauses) < 500_000, pauses
    status = bank.control("status").stdout
    assert "last verified 0s ago" in status or \
        "last verified 1s ago" in status, status
    assert bank.status()["verify_problems"] == 0
    assert bank.status()["holds"] >= 30


@pytest.mark.parametrize("backend", ["memfd", "sysv", "file"])
def test_every_backend_is_read_alike(daemon, backend):
    bank = daemon(refork_worker=BANK, arena_backend=backend,
                  arena_max="16M", arena_on_stop="release").start()
    with Movers(bank) as movers:
        seen = read_total(bank, 30)
        found = verify_finds_nothing(bank)
        assert arena(bank, "stat")[1][0]["backend"] == backend
    movers.assert_nothing_lost()
    assert seen["wrong"] == 0 and seen["good"] > 20, seen
    assert found["copied_bytes"] > 1 << 20


def test_a_leak_is_reported(bank):
    with bank.raw() as wire:
        wire.pipeline([("LEAK",)] * 3)
    code, lines = arena(bank, "verify", check=False)
    assert code == 1
    assert lines[-1]["leaks"] == 3
    leaks = [line for line in lines if line.get("part") == "leaks"]
    assert len(leaks) == 3 and all(int(leak["address"], 16) > BASE
                                   for leak in leaks)
    assert "3 problems" in bank.control("status").stdout


def test_damage_is_reported_with_its_address_and_its_slot(bank):
    with bank.raw() as wire:
        wire.call("DAMAGE")
    code, lines = arena(bank, "verify", check=False)
    assert code == 1 and lines[-1]["problems"] >= 1
    assert lines[0]["slot"] == "bank"
    assert int(lines[0]["address"], 16) > BASE
    assert bank.control("arena", "verify", check=False).returncode == 1


def test_stat_counts_slots_and_blocks(bank):
    _, lines = arena(bank, "stat")
    whole = lines[0]
    assert whole["worker"] == "bank" and whole["backend"] == "posix"
    assert 0 < whole["used_bytes"] <= whole["size_bytes"] <= \
        whole["max_bytes"] == 64 << 20
    assert whole["largest_run_bytes"] <= whole["free_run_bytes"]
    slots = [line for line in lines if "slot" in line]
    assert [(slot["slot"], slot["type"]) for slot in slots] == \
        [("bank", "accounts")]
    classes = {line["block_bytes"]: line for line in lines
               if "used_blocks" in line}
    assert classes[32]["used_blocks"] >= 1000  # its accounts
    assert "slot " in bank.control("arena", "stat").stdout


def test_dump_names_what_the_slots_reach(bank):
    _, lines = arena(bank, "dump")
    entries = [line for line in lines if line.get("what") == "dict entry"]
    assert entries[0]["owner"] == "bank" and entries[0]["blocks"] == 1000
    things = [line for line in lines if "thing" in line]
    assert (things[0]["kind"], things[0]["items"]) == ("dict", 1000)
    root = next(line for line in lines if "root" in line)["root"]
    _, lines = arena(bank, "dump", "--block", hex(root + 3))
    assert lines[0]["block"] == root and lines[0]["path"].startswith("bank")
    text = bank.control("arena", "dump", "--block", hex(root)).stdout
    assert f"{hex(root)}  e8 03 00 00" in text  # 1000 accounts
    for nowhere in ("0x10", "x", hex(BASE - 1)):
        ran = bank.control("arena", "dump", "--block", nowhere, check=False)
        assert ran.returncode == 1 and "no address" in ran.stdout


def test_a_service_on_hold_is_read_with_its_half_made_change_undone(service):
    bank = service(refork_worker=BANK, restart_burst=2)
    with bank.raw() as wire:
        wire.call("TICKS")
    wait_until(lambda: bank.status()["state"] == "held", "it is held")
    assert verify_finds_nothing(bank)["held_us"] == 0
    assert arena(bank, "stat")[0] == 0
    ran = reader("bank_cpp", bank.control_socket())
    assert ran.stdout == "balanced\n", ran.stderr
    seen = read_total(bank, 3)
    assert seen["good"] + seen["refused"] == 3 and seen["wrong"] == 0, seen
    bank.stop_on_hold()


# ---- what is kept ----

def keep(daemon, **options):
    """A bank that has been, and where its arena is."""
    bank = daemon(refork_worker=BANK, **options).start()
    with bank.raw() as wire:
        wire.pipeline([("MOVE", str(n)) for n in range(100)])
    bank.kill9()
    return bank, str(bank.segments()[0])


def test_what_is_kept_is_verified_without_a_daemon(daemon):
    bank, path = keep(daemon)
    before = open(path, "rb").read(SUPER_BYTES)
    code, lines, said = offline(path)
    assert code == 0, (lines, said)
    assert lines[-1]["leaks_known"] == 1 and lines[-1]["online"] == 0
    assert offline(path, "stat")[0] == offline(path, "dump")[0] == 0
    code, _, said = offline(bank.name)  # by name, too
    assert code == 0, said
    assert open(path, "rb").read(SUPER_BYTES) == before
    ran = reader("bank_total", path, 1, 10, 0)
    assert json.loads(ran.stdout)["wrong"] == 0
    bank.start()  # and it goes on


@pytest.mark.parametrize("backend", ["sysv", "file"])
def test_what_other_backends_keep_is_verified_too(daemon, backend):
    bank = daemon(refork_worker=BANK, arena_backend=backend,
                  arena_max="16M", arena_on_stop="release").start()
    where = ask(bank, "arena-where")[1]
    what = f"sysv:{where['shmid']}" if backend == "sysv" else where["path"]
    assert "a daemon has it" in offline(what)[2]
    bank.kill9()
    try:
        code, lines, said = offline(what)
        assert code == 0 and lines[-1]["leaks_known"] == 1, (lines, said)
        ran = reader("bank_total", what, 1, 10, 0)
        assert json.loads(ran.stdout)["wrong"] == 0
    finally:
        bank.start()  # which goes on, and releases it at its end


def test_an_arena_that_a_daemon_has_is_not_looked_at_behind_its_back(bank):
    code, lines, said = offline(str(bank.segments()[0]))
    assert code == 1 and "a daemon has it" in said


def test_damage_of_what_is_kept_is_reported_and_never_kills(daemon):
    bank, path = keep(daemon)
    whole = open(path, "rb").read(4 << 20)
    _, lines, _ = offline(path, "stat")
    root = next(line for line in lines if "root" in line)["root"] - BASE
    wounds = [(root, b"\xff" * 8), (root + 24, b"\x01" * 8),
              (0, b"\0" * 8), (4096, b"\xff" * 4096), (8192, b"\xff" * 8192)]
    for at, content in wounds:
        before = segment_bytes(path, at, len(content))
        patch(path, at, content)
        code, lines, said = offline(path)
        assert code == 1 and "problem" in lines[0], (at, lines, said)
        patch(path, at, before)
    code, lines, _ = offline(path)
    assert code == 0, lines
    assert open(path, "rb").read(4 << 20) == whole


def segment_bytes(path, at, count):
    with open(path, "rb") as segment:
        segment.seek(at)
        return segment.read(count)


def patch(path, at, content):
    with open(path, "r+b") as segment:
        segment.seek(at)
        segment.write(content)


def test_nobody_of_that_name_is_there(tmp_path):
    code, _, said = offline("refork-nobody-is-called-so")
    assert code == 4 and "refork-nobody-is-called-so" in said
    ran = subprocess.run(
        [BUILD / "reforkctl", "-S", tmp_path / "no.sock", "arena", "verify"],
        capture_output=True, text=True, timeout=PATIENCE_S)
    assert ran.returncode == 4 and "no.sock" in ran.stderr
