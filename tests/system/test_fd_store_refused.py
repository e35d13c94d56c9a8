# SPDX-License-Identifier: MIT
"""A start that cannot take over what the service manager keeps: whatever the
reason, the state is not lost with the store."""
import os
import re
import shlex

import pytest
from service import BUILD, EXIT_CONFIG
from test_fd_store import KEPT, asides, each_death, get, put

EXIT_AGAIN = 75
WORKERS = BUILD / "workers"


def worker(name):
    return str(WORKERS / f"{name}.so")


def count(service, times):
    with service.raw() as wire:
        return [wire.call("COUNT") for _ in range(times)][-1]


@pytest.fixture
def counted(managed):
    """A service that has counted to 7 and was killed."""
    kv = managed(refork_worker=worker("swap_1"), arena_max="16M").start()
    assert count(kv, 7) == 7
    kv.kill9()
    kv.manager.wait_for_names(*KEPT)
    return kv


def test_an_arena_that_does_not_fit_becomes_a_file_to_start_from(counted):
    kv = counted
    kv.configure(refork_worker=worker("swap_no_migrate"))
    code, said = kv.start_refused()
    assert code == EXIT_CONFIG
    assert "it holds state version 1, worker swap no_migrate needs 2" in said
    kept, = asides(kv)
    move = re.search(rf"It is kept as {kept}\. To use it, with a daemon that "
                     r"it fits: (mv \S+ \S+), start with "
                     r"arena\.backend = file\.", said)[1]
    assert re.search(rf"arena release {kept}$", said, re.MULTILINE)
    # In the store it stands as it stood, until that is dropped.
    assert kv.manager.names() == KEPT
    kv.manager.forget()
    assert f"{kept}" in kv.control("arena", "list", str(kept.parent)).stdout
    assert os.system(move) == 0
    kv.configure(refork_worker=worker("swap_1"), arena_backend="file",
                 arena_on_stop="release")
    kv.start()
    assert count(kv, 1) == 8


def test_a_second_refusal_writes_no_second_file(counted):
    kv = counted
    kv.configure(refork_worker=worker("swap_no_migrate"))
    for _ in range(3):
        code, said = kv.start_refused()
        assert code == EXIT_CONFIG
        kept, = asides(kv)
        assert f"It is kept as {kept}" in said
    kv.configure(refork_worker=worker("swap_1"))
    kv.start()
    assert count(kv, 1) == 8
    kv.kill9()
    # It is another one now.
    kv.configure(refork_worker=worker("swap_no_migrate"))
    kv.start_refused()
    assert len(asides(kv)) == 2
    for path in asides(kv):
        path.unlink()


def test_a_refusal_may_die_at_any_step(counted):
    kv = counted
    deaths = 0
    kv.configure(refork_worker=worker("swap_no_migrate"))
    for deaths in each_death(kv, done=EXIT_CONFIG):
        assert kv.manager.names() == KEPT
        whole = [path for path in asides(kv) if path.suffix != ".part"]
        assert len(whole) <= 1
    assert deaths > 10
    kept, = asides(kv)
    kv.manager.forget()
    os.rename(kept, str(kept).partition(".aside")[0])
    kv.configure(refork_worker=worker("swap_1"), arena_backend="file",
                 arena_on_stop="release")
    kv.start()
    assert count(kv, 1) == 8


SETTINGS = {
    "arena.max": {"arena_max": "32M"},
    "huge pages": {"arena_huge_pages": "require", "arena_size": "16M"},
}


@pytest.mark.parametrize("what", SETTINGS)
def test_settings_that_do_not_fit_cost_no_state(counted, what, pool):
    kv = counted
    before = {key: kv.settings.get(key) for key in SETTINGS[what]}
    kv.configure(**SETTINGS[what])
    code, said = kv.start_refused()
    assert code == EXIT_CONFIG and "does not fit" in said
    kept, = asides(kv)
    assert f"It is kept as {kept}" in said
    kept.unlink()
    kv.configure(**before)
    kv.start()
    assert count(kv, 1) == 8


def test_an_arena_of_huge_pages_becomes_a_file_too(managed, pool):
    kv = managed(refork_worker=worker("swap_1"), arena_max="16M",
                 arena_huge_pages="require").start()
    assert count(kv, 7) == 7
    kv.kill9()
    kv.configure(arena_huge_pages="never")
    code, said = kv.start_refused()
    assert code == EXIT_CONFIG
    assert "it has other pages than arena.huge_pages asks for" in said
    kept, = asides(kv)
    kv.manager.forget()
    os.rename(kept, str(kept).partition(".aside")[0])
    kv.configure(arena_backend="file", arena_on_stop="release")
    kv.start()
    assert count(kv, 1) == 8


FAILURES = {
    "a typing error in the file": {"arena_szie": "1G"},
    "no such worker": {"refork_worker": "/not/there.so"},
    "another worker": {"refork_worker": worker("no_magic")},
}


@pytest.mark.parametrize("why", FAILURES)
def test_a_start_that_fails_otherwise_is_to_be_tried_again(counted, why):
    kv = counted
    before = {key: kv.settings.get(key) for key in FAILURES[why]}
    kv.configure(**FAILURES[why])
    code, said = kv.start_refused()
    assert code == EXIT_AGAIN
    assert "keeps the state and is to try again" in said
    assert kv.manager.names() == KEPT
    kv.configure(**before)
    kv.start()
    assert count(kv, 1) == 8


def test_a_command_line_that_fails_costs_no_state(counted):
    code, _ = counted.start_refused("--no-such-option")
    assert code == EXIT_AGAIN
    counted.start()
    assert count(counted, 1) == 8


def test_without_state_a_start_that_fails_says_so_at_once(managed):
    kv = managed(refork_worker="/not/there.so")
    kv.launch()
    assert kv.process.wait(20) == EXIT_CONFIG
    kv.process = None


def test_without_room_for_the_file_the_store_keeps_it(counted):
    kv = counted
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    state = kv.settings["refork_state_dir"]
    mount = f"mount -t tmpfs -o size=256k refork-test {shlex.quote(str(state))}"
    state.mkdir(exist_ok=True)
    kv.wrapper = ["unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh"]
    kv.configure(refork_worker=worker("swap_no_migrate"))
    code, said = kv.start_refused()
    assert code == EXIT_AGAIN
    assert re.search(r"Write it to \S+: No space left on device. The service "
                     "manager keeps it: make room there, or start a daemon "
                     "that it fits", said)
    assert kv.manager.names() == KEPT
    assert not asides(kv)
    kv.wrapper = []
    kv.configure(refork_worker=worker("swap_1"))
    kv.start()
    assert count(kv, 1) == 8


def test_without_a_folder_for_the_file_the_store_keeps_it(counted):
    kv = counted
    before = kv.settings["refork_state_dir"]
    (kv.directory / "file").touch()
    kv.configure(refork_worker=worker("swap_no_migrate"),
                 refork_state_dir=kv.directory / "file" / "state")
    code, said = kv.start_refused()
    assert code == EXIT_AGAIN
    assert re.search(r"Write it to \S+/file/state/\S+: Not a directory", said)
    kv.configure(refork_worker=worker("swap_1"), refork_state_dir=before)
    kv.start()
    assert count(kv, 1) == 8


def test_with_another_backend_the_memory_goes_to_a_file(managed):
    kv = managed(arena_max="16M").start()
    put(kv, a="b")
    kv.kill9()
    kv.configure(arena_backend="posix", arena_on_stop="release")
    kv.start()
    assert get(kv, "a") is None
    kept, = asides(kv)
    assert f"from when arena.backend was memfd: it is written to {kept}" in \
        kv.log()
    assert kv.manager.names() == ["listen-0", "listen-1"]
    kv.end()
    os.rename(kept, str(kept).partition(".aside")[0])
    kv.configure(arena_backend="file")
    kv.start()
    assert get(kv, "a") == b"b"


def test_there_are_never_more_than_three_files(managed):
    kv = managed(refork_worker=worker("swap_1"), arena_max="16M")
    for number in range(1, 6):
        kv.configure(refork_worker=worker("swap_1"))
        kv.start()
        count(kv, number)
        kv.kill9()
        kv.configure(refork_worker=worker("swap_no_migrate"))
        assert kv.start_refused()[0] == EXIT_CONFIG
        assert len(asides(kv)) == min(number, 3)
    for path in asides(kv):
        path.unlink()
