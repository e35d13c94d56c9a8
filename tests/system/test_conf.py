# SPDX-License-Identifier: MIT
"""The command line and the ini file, as an operator meets them."""
import re
import subprocess

import pytest
from service import BUILD, EXIT_CONFIG, EXIT_OK, EXIT_USAGE, PATIENCE_S

JUNK = """\
[refork]
name = junk
wroker = kv
[arena]
size = many
max = -1
backend = punchcards
[network]
listen = 127.0.0.1:99999
listen = nonsense
max_clients = 1e3
tcp_keepalive = 5 fortnights
[busines]
allow_crash_test = yes
[business]
allow_crash_test = perhaps
this line is no setting
"""
JUNK_LINES = [3, 5, 6, 7, 9, 10, 11, 12, 13, 16, 17]


def reforkd(*arguments):
    return subprocess.run([BUILD / "reforkd", *arguments], timeout=PATIENCE_S,
                          stdin=subprocess.DEVNULL, capture_output=True,
                          text=True)


@pytest.mark.parametrize("check", [["--check"], []], ids=["check", "start"])
def test_every_problem_of_an_ini_is_reported_with_its_line(tmp_path, check):
    ini = tmp_path / "junk.ini"
    ini.write_text(JUNK)
    ran = reforkd("-c", ini, *check)
    assert ran.returncode == EXIT_CONFIG
    said = ran.stdout + ran.stderr
    lines = [int(line) for line in
             re.findall(rf"{re.escape(str(ini))}:(\d+): error: ", said)]
    assert sorted(set(lines)) == JUNK_LINES, said
    assert "worker" in next(line for line in said.splitlines()
                            if f"{ini}:3:" in line), "no suggestion"


def test_an_ini_that_is_not_there_is_a_configuration_error(tmp_path):
    ran = reforkd("-c", tmp_path / "none.ini")
    assert ran.returncode == EXIT_CONFIG
    assert f"{tmp_path}/none.ini" in ran.stderr


def test_a_directory_is_no_ini(tmp_path):
    ran = reforkd("-c", tmp_path)
    assert ran.returncode == EXIT_CONFIG
    assert str(tmp_path) in ran.stderr


@pytest.mark.parametrize("override", [
    "arena.size=lots", "arena.seize=1M", "arena", "=", "nothing.at=all"])
def test_a_bad_override_is_refused_by_name(daemon, override):
    kv = daemon()
    code, said = kv.start_refused("-o", override)
    assert code in (EXIT_CONFIG, EXIT_USAGE)
    assert "-o" in said


def test_an_override_wins_over_the_file(daemon):
    kv = daemon(log_level="error")
    kv.start("-o", "network.max_clients=1")
    with kv.raw() as wire:
        wire.call("PING")
        with kv.raw() as surplus:
            assert surplus.read_to_end().startswith(b"-ERR max number")


def test_wrong_usage_is_exit_status_64():
    assert reforkd("--nonsense").returncode == EXIT_USAGE
    assert reforkd("-c").returncode == EXIT_USAGE


@pytest.mark.parametrize("ask", ["--help", "--version"])
def test_help_and_version_are_answers_not_errors(ask):
    ran = reforkd(ask)
    assert ran.returncode == EXIT_OK
    assert ran.stdout and not ran.stderr


def test_a_printed_configuration_is_one_that_can_be_read_back(
        daemon, tmp_path):
    kv = daemon()
    first = reforkd("-c", kv.ini_path, "--print-config")
    assert first.returncode == EXIT_OK, first.stderr
    copy = tmp_path / "copy.ini"
    copy.write_text(first.stdout)
    second = reforkd("-c", copy, "--print-config")
    assert second.stdout == first.stdout


def write_password(path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("text, flaw", [
    (None, "No such file or directory"), ("", "is empty"),
    ("\nsecret\n", "its first line is empty"), ("x" * 513, "longer than")])
def test_a_file_without_a_password_is_a_problem_before_the_start(
        daemon, tmp_path, text, flaw):
    path = tmp_path / "password"
    if text is not None:
        write_password(path, text)
    kv = daemon(kv_requirepass_file=path)
    ran = reforkd("-c", kv.ini_path, "--check")
    assert ran.returncode == EXIT_CONFIG, ran
    line = 1 + kv.ini_path.read_text().splitlines().index(
        f"requirepass_file = {path}")
    assert f"{kv.ini_path}:{line}: error: kv.requirepass_file: {path}: " in \
        ran.stdout
    assert flaw in ran.stdout
    code, said = kv.start_refused()
    assert code == EXIT_CONFIG
    assert f"read a password from {path} (kv.requirepass_file): " in said


def test_a_password_closes_what_is_open_to_all(daemon, tmp_path):
    path = write_password(tmp_path / "password", "secret\n")
    kv = daemon()
    kv.configure(network_listen=f"0.0.0.0:{kv.port}")
    ran = reforkd("-c", kv.ini_path, "--check")
    assert "warning: network.listen 0.0.0.0" in ran.stdout
    kv.configure(kv_requirepass_file=path)
    ran = reforkd("-c", kv.ini_path, "--check")
    assert ran.returncode == EXIT_OK and "AUTH" not in ran.stdout, ran
    path.chmod(0o644)
    ran = reforkd("-c", kv.ini_path, "--check")
    assert ran.returncode == EXIT_OK
    assert "warning: kv.requirepass_file: every user" in ran.stdout
