# SPDX-License-Identifier: MIT
"""What becomes of state that no process survives (on_limit = cold, exit)."""
import re

import pytest
from service import TEST_WORKER, wait_until


def is_aside(path):
    return re.search(r"\.damaged-\d{14}$", path.name)


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
    assert str(kept[0]) in trial.log(), "its path is logged"
    assert kept[0].stat().st_blocks > 0
    kept[0].unlink()


def test_only_the_last_arena_is_kept_aside(trial):
    make_hopeless(trial)
    first = aside(trial)
    before = len(trial.log())
    with trial.raw() as wire:
        wire.call("DIE-IN-TICKS")
    wait_until(lambda: "cold start" in trial.log()[before:], "once more")
    trial.control("wait", "--for", "ready", "--timeout", "20s")
    second = aside(trial)
    assert len(second) == 1
    assert str(first[0]) in trial.log()[before:], "its removal is logged"
    second[0].unlink()


def test_a_clean_stop_leaves_only_what_is_the_operators(trial):
    make_hopeless(trial)
    kept = aside(trial)
    trial.process.terminate()
    assert trial.process.wait(20) == 0
    trial.process = None
    assert trial.segments() == kept
    kept[0].unlink()


def test_a_memfd_is_given_up_and_says_so(service):
    memfd = service(refork_worker=TEST_WORKER, restart_on_limit="cold",
                    restart_burst=2, arena_backend="memfd")
    make_hopeless(memfd)
    assert "memfd" in memfd.log()
    with memfd.raw() as wire:
        assert wire.call("COUNT") == 1


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
