# SPDX-License-Identifier: MIT
"""An arena in a file, and the machine's run."""
import shutil
import subprocess

import pytest
from backends import arena_path, change_boot_id


def test_a_file_that_was_not_closed_is_refused_after_a_reboot(backed):
    kv = backed("file").start()
    with kv.raw() as wire:
        wire.call("SET", "a", "b")
    kv.kill9()
    change_boot_id(arena_path(kv))
    before = arena_path(kv).read_bytes()[:65536]
    code, said = kv.start_refused()
    assert code == 78
    assert f"arena {arena_path(kv)} does not fit: " in said
    assert f"reforkctl arena release {arena_path(kv)}" in said
    assert arena_path(kv).read_bytes()[:65536] == before
    listed = kv.control("arena", "list", kv.ini_path).stdout
    assert "does not fit: " in listed.split(str(arena_path(kv)))[1]
    kv.control("arena", "release", arena_path(kv))
    assert not arena_path(kv).exists()


def count_syncs(kv):
    """Of a supervisor, within 0.3 s."""
    traced = subprocess.run(
        ["timeout", "0.3", "strace", "-e", "trace=sync_file_range", "-p",
         str(kv.supervisor_pid)], capture_output=True, text=True)
    if "attach: " in traced.stderr:
        pytest.skip(f"strace: {traced.stderr.strip()}")
    return traced.stderr.count("sync_file_range(")


def test_a_file_is_written_at_its_interval(backed):
    if not shutil.which("strace"):
        pytest.skip("there is no strace")
    kv = backed("file", arena_sync_interval="30ms").start()
    assert 3 <= count_syncs(kv) <= 12
    kv.configure(arena_sync_interval="0")
    kv.control("reload")
    assert count_syncs(kv) == 0
