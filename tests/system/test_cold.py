# SPDX-License-Identifier: MIT
"""What becomes of state that no process survives (on_limit = cold, exit)."""
import os
import re
import resource
import signal
from pathlib import Path

import pytest
from service import BUILD, TEST_WORKER, wait_until

AILING = str(BUILD / "workers" / "ailing.so")


def is_aside(path):
    return re.search(r"\.aside-\d{14}$", path.name)


def aside(service):
    return sorted(path for path in service.segments() if is_aside(path))


def make_hopeless(service):
    """State that no business process survives."""
    with service.raw() as wire:
        for _ in range(5):
            wire.call("COUNT")
        generation = service.status()["generation"]
        wire.call("DIE-IN-TICKS")
    wait_until(lambda: "cold start" in service.log(), "the ladder ends")
    service.control("wait", "--for", "ready", "--timeout", "20s")
    return generation


@pytest.fixture
def trial(service):
    return service(refork_worker=TEST_WORKER, restart_on_limit="cold",
                   restart_burst=2)


def test_what_cannot_recover_goes_on_with_empty_state(trial):
    generation = make_hopeless(trial)
    with trial.raw() as wire:
        assert wire.call("COUNT") == 1
    assert trial.status()["generation"] > generation + 1
    kept = aside(trial)
    assert len(kept) == 1
    assert f"mv {kept[0]} /dev/shm/refork-{trial.name}," in trial.log()
    assert trial.status()["aside_count"] == 1
    assert f"{trial.name}.aside-" in trial.control("doctor").stdout
    assert "1 arena of earlier cold starts" in trial.control("status").stdout
    assert kept[0].stat().st_blocks > 0
    kept[0].unlink()


def cold_start_once_more(trial):
    before = len(trial.log())
    with trial.raw() as wire:
        wire.call("DIE-IN-TICKS")
    wait_until(lambda: "cold start" in trial.log()[before:], "once more")
    trial.control("wait", "--for", "ready", "--timeout", "20s")
    return trial.log()[before:]


def test_the_first_arenas_stay_aside_and_the_newest_makes_room(trial):
    make_hopeless(trial)
    for _ in range(2):
        cold_start_once_more(trial)
    three = aside(trial)
    assert len(three) == 3
    said = cold_start_once_more(trial)
    kept = aside(trial)
    assert len(kept) == 3
    assert kept[:2] == three[:2]
    assert f"removed {three[2]}" in said
    for path in kept:
        path.unlink()


@pytest.mark.parametrize("backend, then",
                         [("posix", "posix"), ("memfd", "file")])
def test_an_arena_set_aside_is_taken_back_by_the_move_that_is_logged(
        service, backend, then):
    kv = service(restart_on_limit="cold", restart_burst=2,
                 arena_backend=backend)
    with kv.raw() as wire:
        wire.call("SET", "key", "value")
    while "cold start" not in kv.log():
        victim = kv.business_pid
        os.kill(victim, signal.SIGSEGV)
        wait_until(lambda: kv.find_child("business") not in (None, victim),
                   "it is succeeded")
    kv.control("wait", "--for", "ready", "--timeout", "20s")
    with kv.raw() as wire:
        assert wire.call("GET", "key") is None
    assert kv.status()["aside_count"] == 1
    moved = re.search(r"mv (\S+) (\S+), start( with arena.backend = file)?",
                      kv.log())
    assert (moved[3] is None) == (then == backend)
    assert is_aside(Path(moved[1])) and Path(moved[1]).exists()
    assert f"{moved[2]}.aside-... {moved[2]}, start" in \
        kv.control("doctor").stdout
    kv.process.terminate()
    assert kv.process.wait(20) == 0
    os.rename(moved[1], moved[2])
    kv.configure(arena_backend=then, arena_on_stop="release")
    kv.start()
    with kv.raw() as wire:
        assert wire.call("GET", "key") == b"value"


def test_a_clean_stop_leaves_only_what_is_the_operators(trial):
    make_hopeless(trial)
    kept = aside(trial)
    trial.process.terminate()
    assert trial.process.wait(20) == 0
    trial.process = None
    assert trial.segments() == kept
    kept[0].unlink()


def test_a_cold_start_that_failed_is_tried_again_at_the_operators_word(
        service):
    if "address" in BUILD.name:
        pytest.skip("the sanitizer needs more address space than there is")
    trial = service(refork_worker=TEST_WORKER, restart_on_limit="cold",
                    restart_burst=2, arena_max="1G")
    pid = trial.supervisor_pid
    size, = re.findall(r"VmSize:\s+(\d+)",
                       Path(f"/proc/{pid}/status").read_text())
    before = resource.prlimit(pid, resource.RLIMIT_AS)
    # What it has now, but for half of an arena.
    resource.prlimit(pid, resource.RLIMIT_AS,
                     ((int(size) << 10) - (512 << 20), before[1]))
    with trial.raw() as wire:
        wire.call("DIE-IN-TICKS")
    wait_until(lambda: trial.status()["state"] == "held", "it is held")
    refused = trial.control("resume", check=False)
    assert refused.returncode == 1 and "no arena" in refused.stderr, refused
    resource.prlimit(pid, resource.RLIMIT_AS, before)
    trial.control("resume")
    trial.control("wait", "--for", "ready", "--timeout", "20s")
    with trial.raw() as wire:
        assert wire.call("COUNT") == 1
    for path in aside(trial):
        path.unlink()


def test_an_exit_at_the_limit_leaves_the_state_for_the_next_start(service):
    trial = service(refork_worker=TEST_WORKER, restart_on_limit="exit",
                    restart_burst=2)
    with trial.raw() as wire:
        wire.call("DIE-IN-TICKS")
    assert trial.process.wait(20) == 70
    trial.process = None
    assert f"refork-{trial.name}" in [path.name for path in trial.segments()]
    for path in trial.segments():
        path.unlink()


def test_one_that_never_comes_to_serve_again_reaches_the_limit(
        service, tmp_path):
    ills = tmp_path / "ills"
    ills.mkdir()
    ailing = service(refork_worker=AILING, refork_worker_args=ills,
                     restart_on_limit="exit", restart_burst=2,
                     business_standby=0)
    (ills / "start.abort").touch()
    os.kill(ailing.business_pid, signal.SIGSEGV)
    assert ailing.process.wait(20) == 70
    ailing.process = None
    assert ailing.log().count("reforkctl crash show") <= 5
    for path in ailing.segments():
        path.unlink()


# ---- a planned stop ----

def test_a_stop_says_that_it_releases_the_state(service):
    kv = service()
    kv.stop()
    assert re.search(r"state of 16 MiB released \(arena.on_stop = auto\)",
                     kv.log())


def test_a_stop_in_a_hold_keeps_the_state(service):
    trial = service(refork_worker=TEST_WORKER, restart_burst=2)
    with trial.raw() as wire:
        for _ in range(5):
            wire.call("COUNT")
        wire.call("DIE-IN-TICKS")
    wait_until(lambda: trial.status()["state"] == "held", "it is held")
    trial.stop_on_hold()
    assert "kept: the service was on hold" in trial.log()
