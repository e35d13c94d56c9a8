# SPDX-License-Identifier: MIT
"""Memory that the service manager keeps for the next start."""
import os
import random
import signal
import socket
import time

import pytest
from backends import Writer, assert_all_there
from service import BUILD, wait_until

KEPT = ["arena", "listen-0", "listen-1", "status"]
DIES = {"LD_PRELOAD": str(BUILD / "preload" / "dies_at.so")}

# Beyond the last thing that a start does before it serves.
STEPS_MAX = 120


def put(service, **values):
    with service.raw() as wire:
        for key, value in values.items():
            assert wire.call("SET", key, value) == b"OK"


def get(service, key):
    with service.raw() as wire:
        return wire.call("GET", key)


def serves(service, key, value):
    assert get(service, key) == value
    assert service.manager.names() == KEPT


def again(fd):
    """Another open file of the same memory."""
    return os.open(f"/proc/self/fd/{fd}", os.O_RDWR)


def asides(service):
    state = service.directory / f"{service.name}.state"
    return sorted(state.glob("*.arena*"))


# ---- kills ----

def test_a_killed_supervisor_finds_all_of_it_again(managed):
    kv = managed().start()
    put(kv, a="b")
    os.kill(kv.business_pid, signal.SIGSEGV)
    kv.wait_for_log("crash 1: business")
    wait_until(lambda: kv.status()["crashes"] == 1, "it is counted")
    generation = kv.status()["generation"]
    kv.kill9()
    kv.start()
    serves(kv, "a", b"b")
    assert "took over arena memfd" in kv.log()
    assert kv.status()["generation"] > generation
    assert "SIGSEGV" in kv.control("crash", "show", "1").stdout


def kill_while_it_starts(kv, chance):
    kv.launch()
    time.sleep(chance.uniform(0, 0.04))
    kv.kill9()


def kill_while_it_serves(kv, chance):
    before = kv.acknowledged
    writer = Writer(kv, kv.acknowledged)
    # Who is not accepted yet waits for the next daemon.
    wait_until(lambda: writer.acknowledged > before, "it writes")
    time.sleep(chance.uniform(0, 0.03))
    kv.kill9()
    kv.acknowledged = writer.finish()


def kill_while_it_stops(kv, chance):
    before = kv.acknowledged
    writer = Writer(kv, kv.acknowledged)
    # Who is not accepted yet waits for the next daemon.
    wait_until(lambda: writer.acknowledged > before, "it writes")
    time.sleep(chance.uniform(0, 0.01))
    kv.remember_pids()
    kv.process.send_signal(signal.SIGTERM)
    time.sleep(chance.uniform(0, 0.012))
    kv.kill9()
    kv.acknowledged = writer.finish()


@pytest.mark.parametrize("seed", [1, 2])
def test_twenty_kills_in_a_row_lose_no_acknowledged_write(managed, seed):
    chance = random.Random(seed)
    kv = managed()
    kv.acknowledged = 0
    kv.start()
    for number in range(20):
        kill = (kill_while_it_serves, kill_while_it_starts,
                kill_while_it_stops)[number % 3]
        if kill is not kill_while_it_starts and kv.process is None:
            kv.start()
            with kv.raw() as wire:
                kv.acknowledged = wire.call("DBSIZE")
        elif kill is kill_while_it_starts and kv.process is not None:
            kv.kill9()
        kill(kv, chance)
    kv.start()
    assert kv.acknowledged > 0
    assert_all_there(kv, kv.acknowledged)
    assert kv.manager.names() == KEPT


def each_death(kv, prepare=lambda: None, done=0):
    """Lives that are ended before the first, second, ... thing that others
    could see, until one ends by itself with the status `done`. Yields after
    each."""
    for step in range(1, STEPS_MAX):
        prepare()
        kv.env = {**DIES, "DIES_AT": str(step)}
        before = len(kv.manager.said())
        kv.launch()
        wait_until(lambda: kv.process.poll() is not None or
                   "READY=1" in kv.manager.said()[before:],
                   "it dies or serves", every_s=0.002)
        kv.env = {}
        if kv.process.poll() is None:
            kv.process.terminate()
        code = kv.process.wait(20)
        kv.process = None
        kv.assert_no_process_left()
        if code == done:
            return
        assert code == -signal.SIGKILL, kv.log()
        yield step
    assert False, f"it was killed {STEPS_MAX} times and never served"


def test_a_first_life_may_end_at_any_step(managed):
    kv = managed(arena_max="16M")
    steps = 0
    for steps in each_death(kv, kv.manager.forget):
        assert kv.manager.names() in (
            [], ["arena"], ["arena", "status"],
            ["arena", "listen-0", "status"], KEPT)
        if steps % 5 == 0:
            kv.start()
            put(kv, a=steps)
            serves(kv, "a", str(steps).encode())
            kv.kill9()
    assert steps > 15


def test_a_life_that_takes_over_may_end_at_any_step(managed):
    kv = managed(arena_max="16M").start()
    put(kv, a="b")
    kv.kill9()
    steps = 0
    for steps in each_death(kv):
        assert kv.manager.names() == KEPT
    assert steps > 5
    kv.start()
    serves(kv, "a", b"b")


def test_a_life_that_tidies_up_may_end_at_any_step(managed):
    kv = managed(arena_max="16M").start()
    put(kv, a="b")
    kv.kill9()

    def double():
        fd = kv.manager.find("arena") or kv.manager.find("arena-moving")
        kv.manager.keep("arena", again(fd))
    for _ in each_death(kv, double):
        assert {"arena", "arena-moving"} & set(kv.manager.names())
    kv.start()
    serves(kv, "a", b"b")


def test_a_release_may_end_at_any_step(managed):
    kv = managed(arena_max="16M", arena_on_stop="release").start()
    put(kv, a="b")
    kv.kill9()
    for step in each_death(kv):
        if "arena" in kv.manager.names() and step % 6:
            continue
        kv.start()
        assert get(kv, "a") in (b"b", None)
        assert kv.manager.names() == KEPT
        put(kv, a="b")
        kv.kill9()
    assert kv.manager.names() == []


# ---- planned ends ----

def test_a_restart_keeps_the_state_and_a_stop_ends_it(managed):
    kv = managed().start()
    put(kv, a="b")
    kv.restart()
    serves(kv, "a", b"b")
    assert "left with the service manager, which keeps it over a restart " \
        "(arena.on_stop = auto)" in kv.log()
    kv.stop()
    kv.start()
    serves(kv, "a", None)


def test_release_has_all_of_it_forgotten(managed):
    kv = managed(arena_on_stop="release").start()
    kv.end()
    assert kv.manager.names() == []
    assert not os.path.exists(kv.unix_path)
    assert "released (arena.on_stop = release)" in kv.log()


def test_a_cold_start_leaves_the_new_arena_in_the_store_and_no_other(managed):
    kv = managed(restart_on_limit="cold", restart_burst=2).start()
    put(kv, old="state")
    while "cold start" not in kv.log():
        victim = kv.business_pid
        os.kill(victim, signal.SIGSEGV)
        wait_until(lambda: kv.find_child("business") not in (None, victim),
                   "it is succeeded")
    kv.control("wait", "--for", "ready", "--timeout", "20s")
    put(kv, new="state")
    kv.kill9()
    kv.start()
    serves(kv, "new", b"state")
    assert get(kv, "old") is None
    kept, = asides(kv)
    assert f"the arena is kept as {kept}" in kv.log()
    kept.unlink()


# ---- what the store may hold ----

@pytest.mark.parametrize("lost", ["arena", "status"])
def test_one_that_is_lost_is_made_anew_and_the_other_is_kept(managed, lost):
    kv = managed().start()
    put(kv, a="b")
    os.kill(kv.business_pid, signal.SIGSEGV)
    kv.wait_for_log("crash 1: business")
    kv.kill9()
    kv.manager.forget(lost)
    kv.start()
    serves(kv, "a", b"b" if lost == "status" else None)
    os.kill(kv.business_pid, signal.SIGSEGV)
    count = 2 if lost == "arena" else 1
    wait_until(lambda: kv.log().count(f"crash {count}: business") == 3 - count,
               "the count goes on, or begins again")


def memory(size=1 << 20):
    fd = os.memfd_create("refork-test")
    os.ftruncate(fd, size)
    return fd


GARBAGE = {
    "a pipe": lambda: os.pipe()[0],
    "a socket": lambda: socket.socket().detach(),
    "a device": lambda: os.open("/dev/zero", os.O_RDWR),
    "a directory": lambda: os.open("/", os.O_RDONLY),
    "other memory": memory,
}


def test_garbage_under_our_names_is_dropped_and_told(managed):
    kv = managed().start()
    put(kv, a="b")
    kv.kill9()
    for make in GARBAGE.values():
        for name in KEPT + ["arena-moving", "listen-7"]:
            kv.manager.keep(name, make())
    kv.start()
    serves(kv, "a", b"b")
    assert 'kept something as "arena" that is no arena' in kv.log()
    kv.manager.forget()
    kv.end()
    for make in GARBAGE.values():
        for name in KEPT:
            kv.manager.keep(name, make())
    kv.start()
    serves(kv, "a", None)


def test_of_two_arenas_the_last_to_serve_is_taken_and_the_other_is_a_file(
        managed):
    kv = managed().start()
    put(kv, which="first")
    first = again(kv.manager.find("arena"))
    kv.end()
    kv.manager.forget()
    kv.start()
    put(kv, which="second")
    os.kill(kv.business_pid, signal.SIGSEGV)  # the next generation
    kv.wait_for_log("crash 1: business")
    kv.kill9()
    kv.manager.keep("arena", first)
    kv.start()
    serves(kv, "which", b"second")
    kept, = asides(kv)
    assert f"it is written to {kept}" in kv.log()
    kv.end()
    kv.manager.forget()
    os.rename(kept, str(kept).partition(".aside")[0])
    kv.configure(arena_backend="file", arena_on_stop="release")
    kv.start()
    assert get(kv, "which") == b"first"


@pytest.mark.parametrize("first", ["the good one", "the other"])
def test_of_two_arenas_one_that_fits_is_taken_whatever_the_other_is(
        managed, first):
    kv = managed(arena_max="16M").start()
    put(kv, a="b")
    kv.kill9()
    good = kv.manager.find("arena")
    bytes_there = os.fstat(good).st_size
    copy = os.memfd_create("refork-test")
    os.ftruncate(copy, bytes_there)
    os.pwrite(copy, os.pread(good, 1 << 20, 0), 0)
    if first == "the other":
        kv.manager.keep("arena", copy)
    else:
        kv.manager.kept.append(("arena", copy))
    kv.start()
    serves(kv, "a", b"b")
    kept, = asides(kv)
    assert f"It is kept as {kept}" in kv.log()
    kept.unlink()


def test_a_store_with_little_room_keeps_the_state_first(managed):
    kv = managed()
    kv.manager.room = 2
    kv.start()
    put(kv, a="b")
    assert "FileDescriptorStoreMax" in kv.log()
    assert kv.manager.names() == ["arena", "status"]
    kv.kill9()
    kv.start()
    assert get(kv, "a") == b"b"
