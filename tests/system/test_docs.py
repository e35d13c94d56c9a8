# SPDX-License-Identifier: MIT
"""The workers that the README and docs/workers.md show: compiled by the
command that stands beside them, and run."""
import os
import re
import shlex
import signal
import subprocess

import pytest
from service import TOP, ReplyError, wait_until


def make_shown(page, directory):
    """Do what the page says, in a directory; the path of the worker."""
    text = (TOP / page).read_text()
    source = next(block for block in re.findall(r"```c\n(.*?)```", text,
                                                re.DOTALL)
                  if "refork_worker" in block)
    command = shlex.split(re.search(r"^ +(gcc .* -shared .*)$", text,
                                    re.MULTILINE)[1])
    (directory / command[-1]).write_text(source)
    command[command.index("-Icommon")] = f"-I{TOP / 'common'}"
    made = subprocess.run(command + ["-Wall", "-Wextra", "-Werror"],
                          cwd=directory, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return directory / command[command.index("-o") + 1]


@pytest.fixture
def shown(service, tmp_path):
    return lambda page: service(refork_worker=make_shown(page, tmp_path),
                                restart_delay="0", restart_burst=1000)


def kill(shown, role):
    pid = getattr(shown, f"{role}_pid")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: shown.status()[f"{role}_pid"] not in (0, pid),
               "there is a successor")


def test_the_worker_of_the_readme_counts_through_deaths(shown):
    counters = shown("README.md")
    with counters.raw() as wire:
        for i in range(1, 20):
            assert wire.call("hello", "anything") == i
            if i % 5 == 0:
                kill(counters, "business")
        assert wire.call("other") == 1


@pytest.mark.parametrize("role", ["business", "network"])
def test_who_takes_a_job_waits_for_it_through_deaths(shown, role):
    jobs = shown("docs/workers.md")
    with jobs.raw() as taker, jobs.raw() as giver, jobs.raw() as watcher:
        watcher_id = watcher.call("WATCH")
        taker.send("TAKE")
        taker.send("TAKE")
        wait_until(lambda: jobs.status()["requests"] >= 2, "TAKE is parked")
        kill(jobs, role)
        assert giver.call("PUT", "first") == b"OK"
        assert taker.read() == b"first"
        kill(jobs, role)
        assert giver.call("PUT", "second") == b"OK"
        assert taker.read() == b"second"
        assert giver.call("PUT", "third") == b"OK"
        assert [watcher.read() for _ in range(5)] == [1, 0, 1, 0, 1]
        assert giver.call("DISMISS", watcher_id) == 1
        assert watcher.read_to_end() == b""
        assert giver.call("DISMISS", watcher_id) == 0
        assert taker.call("TAKE") == b"third"


def test_a_job_is_not_lost_to_a_taker_that_has_left(shown):
    jobs = shown("docs/workers.md")
    with jobs.raw() as giver:
        with jobs.raw() as taker:
            taker.send("TAKE")
            wait_until(lambda: jobs.status()["requests"] >= 1, "it waits")
        wait_until(lambda: jobs.status()["clients"] == 1, "it has left")
        assert giver.call("PUT", "kept") == b"OK"
        assert giver.call("TAKE") == b"kept"
        with pytest.raises(ReplyError, match="unknown"):
            giver.call("PUT")
