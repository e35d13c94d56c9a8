# SPDX-License-Identifier: MIT
"""Who reaches the control socket, and that it is told who gave an order."""
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from service import BUILD, EXIT_CONFIG

NOBODY, GROUP = 65534, 54321
CONNECT = ("import socket, sys; "
           "socket.socket(socket.AF_UNIX).connect(sys.argv[1])")

needs_root = pytest.mark.skipif(os.geteuid() != 0,
                                reason="acts as other users: root is needed")


@pytest.fixture
def open_directory():
    """One that every user may look into."""
    path = Path(tempfile.mkdtemp(prefix="refork-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def socket_of(kv):
    return kv.control_socket()


def connects(kv, user, *groups):
    done = subprocess.run(
        [sys.executable, "-c", CONNECT, socket_of(kv)], user=user,
        group=groups[0] if groups else user, extra_groups=[],
        capture_output=True, text=True, check=False)
    assert done.returncode == 0 or "Permission denied" in done.stderr
    return done.returncode == 0


@pytest.mark.parametrize("mode", ["0600", "660", "0666"])
def test_the_control_socket_has_its_mode_whatever_the_umask(service, mode):
    kv = service(refork_control_mode=mode,
                 wrapper=["sh", "-c", 'umask 077; exec "$@"', "-"])
    assert stat.S_IMODE(socket_of(kv).stat().st_mode) == int(mode, 8)


@needs_root
def test_a_member_of_the_control_group_may_command_and_nobody_else(
        service, open_directory):
    kv = service(directory=open_directory, refork_control_mode="0660",
                 refork_control_group=GROUP)
    made = socket_of(kv).stat()
    assert (made.st_uid, made.st_gid) == (os.geteuid(), GROUP)
    assert connects(kv, NOBODY, GROUP)
    assert not connects(kv, NOBODY)


@needs_root
def test_without_a_group_only_the_user_of_the_daemon_may_command(
        service, open_directory):
    kv = service(directory=open_directory)
    assert not connects(kv, NOBODY) and not connects(kv, NOBODY, GROUP)


@needs_root
def test_a_socket_is_never_wider_than_it_is_to_be(service, tmp_path):
    """Each change of its owner and mode, in its order."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    trace = tmp_path / "trace"
    kv = service(refork_control_mode="0660", refork_control_group=GROUP,
                 wrapper=["strace", "-D", "-qq", "-o", trace, "-e",
                          "trace=/^umask$|^bind$|chown|chmod"])
    # A mode that follows no link is set in several ways, by one of a libc.
    calls = re.findall(r"^(umask\(0?\d+|bind|\w*?chown|\w*?chmod)[^\n]*",
                       "\n".join(
        line for line in trace.read_text().splitlines()
        if "umask" in line or "/proc/self/fd/" in line or
        str(socket_of(kv)) in line), re.MULTILINE)
    bound = calls.index("bind")
    assert calls[bound - 1] == "umask(0177"
    assert calls[bound + 1].startswith("umask")
    assert calls[bound + 2:bound + 4] in (["lchown", "chmod"],
                                          ["fchownat", "fchmodat"],
                                          ["lchown", "fchmodat"])


def test_a_group_that_does_not_exist_is_an_error_of_its_line(daemon):
    kv = daemon(refork_control_group="no-such-group")
    line = kv.ini_path.read_text().splitlines().index(
        "control_group = no-such-group") + 1
    code, words = kv.start_refused("--check")
    assert code == EXIT_CONFIG
    assert f"{kv.ini_path}:{line}: error: refork.control_group: " \
        "`no-such-group` is no group of this machine" in words


@needs_root
def test_a_group_that_the_daemon_may_not_give_is_a_clear_error(
        daemon, open_directory):
    reached = subprocess.run([BUILD / "reforkd", "--version"], user=NOBODY,
                             capture_output=True, check=False)
    if reached.returncode != 0:
        pytest.skip("other users may not look into the build directory")
    os.chown(open_directory, NOBODY, NOBODY)
    kv = daemon(directory=open_directory, refork_control_group=GROUP,
                wrapper=["setpriv", "--reuid", str(NOBODY), "--regid",
                         str(NOBODY), "--clear-groups"])
    os.chmod(kv.ini_path, 0o644)
    kv.configure(refork_worker=shutil.copy(kv.settings["refork_worker"],
                                           open_directory))
    code, words = kv.start_refused()
    assert code == 77
    assert re.search(rf"refork.control_group: chgrp {GROUP} .*: Operation not "
                     r"permitted; this user must be a member of it", words)


def test_the_log_says_who_gave_an_order(service):
    kv = service()
    kv.control("status")
    kv.control("reload")
    kv.control("restart", "business")
    kv.wait_for_log(rf"notice: reload asked for by uid {os.geteuid()} pid \d+")
    kv.wait_for_log(rf"notice: restart asked for by uid {os.geteuid()} pid")
    assert "status asked for" not in kv.log()


# ---- credentials ----

def test_a_password_comes_out_of_the_credentials_of_the_service_manager(
        service, tmp_path):
    secret = tmp_path / "credentials" / "password"
    secret.parent.mkdir(mode=0o700)
    secret.write_text("open sesame\n")
    secret.chmod(0o400)
    kv = service(env={"CREDENTIALS_DIRECTORY": str(secret.parent)},
                 kv_requirepass_file="%d/password")
    with kv.raw() as wire:
        assert wire.call("AUTH", "open sesame") == b"OK"
    shown = kv.control("config", "show").stdout
    assert f"\nrequirepass_file = {secret}\n" in shown
    assert "sesame" not in shown + kv.control("--json", "config",
                                              "show").stdout
    assert "sesame" not in kv.log()


def test_a_password_without_its_credentials_is_an_error_of_its_line(daemon):
    kv = daemon(kv_requirepass_file="%d/password",
                env={"CREDENTIALS_DIRECTORY": ""})
    code, words = kv.start_refused()
    assert code == EXIT_CONFIG
    assert re.search(r":\d+: error: kv.requirepass_file: `%d/password` needs "
                     r"\$CREDENTIALS_DIRECTORY, which LoadCredential=", words)


def test_the_directories_of_the_service_manager_are_the_default(daemon):
    kv = daemon(refork_runtime_dir=None, refork_state_dir=None)
    state = kv.directory / f"{kv.name}.state"
    kv.settings["refork_state_dir"] = state  # not in the file any more
    kv.env = {"RUNTIME_DIRECTORY": f"{kv.runtime_dir}:/nothing",
              "STATE_DIRECTORY": str(state)}
    kv.start()
    assert socket_of(kv).is_socket()
    shown = kv.control("config", "show").stdout
    assert f"\nruntime_dir = {kv.runtime_dir}\n" in shown
    assert f"\nstate_dir = {state}\n" in shown
