# SPDX-License-Identifier: MIT
"""Core files of a service's processes, and gdb on them."""
import shutil
import subprocess
from pathlib import Path

import pytest
from service import BUILD, PATIENCE_S, TOP, wait_until

SCRIPT = TOP / "common" / "gdb" / "refork_gdb.py"
WITH_CORES = ["prlimit", "--core=unlimited"]


def need_cores():
    """Core files are written into the directory of the dying process."""
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if pattern.startswith("|") or "/" in pattern:
        pytest.skip(f"kernel.core_pattern is '{pattern}': cores do not go "
                    "where this test could find them")
    tried = subprocess.run([*WITH_CORES, "true"], capture_output=True,
                           text=True)
    if tried.returncode != 0:
        pytest.skip(f"core files cannot be allowed: {tried.stderr.strip()}")


def find_cores(service):
    return sorted(service.directory.glob("core*"))


def crash_into_core(service, wire):
    """Have the business process crash; the path of its core, written whole:
    the process is gone, which it is not before."""
    victim = service.status()["business_pid"]
    wire.call("CRASH")
    proc = Path(f"/proc/{victim}")
    wait_until(lambda: not proc.exists(), "it is dead and reaped")
    cores = find_cores(service)
    assert len(cores) == 1, f"not one core: {cores}"
    return cores[0]


def run_gdb(commands, *target):
    """(what it printed, its complaints). gdb reads nothing of the user's."""
    if shutil.which("gdb") is None:
        pytest.skip("gdb is not installed")
    arguments = ["gdb", "-batch", "-nx", "-x", SCRIPT,
                 "-ex", "set print elements 0", "-ex", "set width 0",
                 "-ex", "set print repeats 0"]
    for command in commands:
        arguments += ["-ex", f"echo >{command}<\\n", "-ex", command]
    ran = subprocess.run([*arguments, *target], stdin=subprocess.DEVNULL,
                         capture_output=True, text=True, timeout=PATIENCE_S)
    return ran.stdout, ran.stderr


def gdb_answers(commands, *target):
    """What it printed for each command."""
    output, complaints = run_gdb(commands, *target)
    answers = {}
    for command in commands:
        _, found, rest = output.partition(f">{command}<\n")
        assert found, f"gdb did not get to '{command}':\n{complaints}"
        answers[command] = rest.partition("\n>")[0]
    return answers


def of_core(core):
    return [BUILD / "reforkd", core]
