# SPDX-License-Identifier: MIT
"""reforkctl: every command, in text and in JSON, and its exit codes."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest

from service import BUILD, TEST_WORKER, is_alive, wait_until

OK, REFUSED, USAGE, NOT_ACTIVE, NO_CONNECTION, TIMEOUT = range(6)

# What a command is run with, and how it ends on a healthy service.
RUNS = {
    "status": ([], OK),
    "is-active": ([], OK),
    "ping": ([], OK),
    "version": ([], OK),
    "top": ([], OK),
    "crashes": ([], OK),
    "crash show": (["1"], REFUSED),
    "quarantine list": ([], OK),
    "quarantine show": (["1"], REFUSED),
    "quarantine release": (["1"], REFUSED),
    "quarantine drop": (["1"], REFUSED),
    "arena stat": ([], OK),
    "arena verify": ([], OK),
    "arena dump": ([], OK),
    "arena list": ([], OK),
    "arena release": (["refork-none"], REFUSED),
    "check": ([], OK),
    "config show": ([], OK),
    "reload": (["--wait"], OK),
    "restart": (["business"], OK),
    "rollback": ([], REFUSED),
    "upgrade": ([TEST_WORKER], OK),
    "resume": ([], REFUSED),
    "checkpoint end": ([], REFUSED),
    "checkpoint prepare": ([], OK),
    "metrics": ([], OK),
    "wait": (["--for", "generation=1"], OK),
    "doctor": ([], OK),
    "completion": (["bash"], OK),
    "help": ([], OK),
    "shutdown": ([], OK),
}


def reforkctl(*arguments, **options):
    return subprocess.run([BUILD / "reforkctl", *map(str, arguments)],
                          stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=30, **options)


def documented_commands():
    """The names in the table of `help`, without their arguments."""
    listed = reforkctl("help").stdout.split("Commands:\n")[1]
    lines = listed.split("\n\n")[0].splitlines()
    usages = [line[2:28].strip() for line in lines]
    return [re.sub(r" [\[A-Z].*| bash\|.*", "", usage) for usage in usages]


def test_every_documented_command_is_tried_here():
    assert sorted(documented_commands()) == sorted(RUNS)


def test_every_command_answers_in_text_and_in_json(service):
    kv = service(refork_worker=TEST_WORKER)
    for command, (arguments, code) in RUNS.items():
        if command == "doctor":
            continue
        for json_wanted in (["--json"], []):
            if json_wanted and command == "shutdown":
                continue
            ran = kv.control(*json_wanted, *command.split(), *arguments,
                             check=False)
            assert ran.returncode == code, (command, ran)
            if code != OK:
                assert ran.stderr.startswith(f"reforkctl: {command}: ")
                assert not ran.stdout
            elif json_wanted and command not in ("completion", "help"):
                for line in ran.stdout.splitlines():
                    assert json.loads(line)["schema"] == 1


def test_the_doctor_says_of_each_probe_whether_it_is_well(service):
    kv = service()
    wait_until(lambda: kv.status()["standby_ready"], "the standby is ready")
    ran = kv.control("--json", "doctor", check=False)
    found = {line["probe"]: line for line in
             map(json.loads, ran.stdout.splitlines())}
    assert found["serving"]["result"] == "ok"
    assert found["standby"]["result"] == "ok"
    assert len(found) > 10
    for probe in found.values():
        assert bool(probe["fix"]) == (probe["result"] != "ok"), probe
    problems = [p for p in found.values() if p["result"] == "problem"]
    assert ran.returncode == (REFUSED if problems else OK)


def test_a_wrong_command_line_is_told_from_a_refusal(daemon):
    kv = daemon()
    for wrong in (["nonsense"], ["crash"], ["crash", "show"], ["--frob"],
                  ["status", "--now"], ["status", "more"],
                  ["wait", "--timeout", "soon"], ["wait", "--for", "luck"],
                  ["completion", "csh"], ["restart", "a", "b"]):
        ran = kv.control(*wrong, check=False)
        assert ran.returncode == USAGE, (wrong, ran)
        assert ran.stderr.endswith("see reforkctl --help\n") or \
            "--for" in ran.stderr


def test_a_command_that_is_half_there_or_misspelt_is_helped(daemon):
    kv = daemon()
    told = kv.control("quarantine", check=False).stderr
    assert "list, show ID, release ID, drop ID" in told
    assert "show ID" in kv.control("crash", check=False).stderr
    assert "mean status?" in kv.control("statsu", check=False).stderr
    assert "mean" not in kv.control("frobnicate", check=False).stderr


def test_a_wrong_name_is_answered_with_those_that_run():
    ran = reforkctl("-i", "no-such-one")
    assert ran.returncode == NO_CONNECTION
    assert re.fullmatch(
        r"reforkctl: no daemon called 'no-such-one' in /\S+( or /\S+)? "
        r"\(connect to /\S+\.sock: No such file or directory\); "
        r"(running there: .*|none is running there); one with another "
        r"refork\.runtime_dir: -S DIR/no-such-one\.sock\n",
        ran.stderr)


def test_without_a_daemon_each_command_says_so(daemon):
    kv = daemon()
    for command, (arguments, _) in RUNS.items():
        if command in ("completion", "help", "wait", "arena list",
                       "arena release"):
            continue
        ran = kv.control(*command.split(), *arguments, check=False)
        expected = NOT_ACTIVE if command == "is-active" else NO_CONNECTION
        assert ran.returncode == expected, (command, ran)
    ran = kv.control("wait", "--timeout", "100ms", check=False)
    assert ran.returncode == NO_CONNECTION
    doctor = kv.control("doctor", check=False)
    assert "fix:" in doctor.stdout


def test_waiting_ends_in_time(service):
    kv = service()
    ran = kv.control("wait", "--for", "generation=1000", "--timeout", "200ms",
                     check=False)
    assert ran.returncode == TIMEOUT
    assert ran.stderr.endswith("not in time, it is serving, generation 1\n")


@pytest.mark.parametrize("arguments, role", [
    ([], "business"), (["business", "--now"], "business"),
    (["network"], "network"), (["network", "--now"], "network")])
def test_a_restart_tells_its_pause_and_keeps_clients_and_state(
        service, arguments, role):
    kv = service()
    with kv.raw() as wire:
        wire.call("SET", "key", "value")
        before = kv.status()[f"{role}_pid"]
        told = kv.control("restart", *arguments).stdout
        assert re.fullmatch(
            rf"restarted {role}: .*serves, pause \d+\.\d\d ms\n", told), told
        assert kv.status()[f"{role}_pid"] != before
        assert wire.call("GET", "key") == b"value"
    kv.control("wait", "--timeout", "10s")


def test_an_upgrade_finds_a_file_where_it_is_asked_for(service, tmp_path):
    kv = service()
    shutil.copy(BUILD / "workers" / "kv.so", tmp_path / "next one.so")
    ran = reforkctl("-S", kv.control_socket(), "upgrade", "next one.so",
                    cwd=tmp_path)
    assert ran.returncode == OK, ran
    assert re.search(r"upgraded kv \S+ -> \S+: generation 2 serves, pause "
                     r"\d+\.\d\d ms; back to \S+ by itself", ran.stdout), ran
    status = kv.status()
    assert status["worker_path"].endswith("/next one.so")
    assert 0 < status["canary_ms"] <= 30000
    assert "on trial" in kv.control("status").stdout
    told = kv.control("rollback").stdout
    assert told.startswith("rolled back kv"), told
    assert kv.status()["canary_ms"] == 0


def test_the_page_tells_of_a_crash_what_it_was_and_what_it_cost(service):
    kv = service()
    wait_until(lambda: kv.status()["standby_ready"], "the standby is ready")
    pid = kv.status()["business_pid"]
    os.kill(pid, signal.SIGSEGV)
    wait_until(lambda: not is_alive(pid), "it is dead")
    wait_until(lambda: "reforkctl crash show 1" in
               kv.control("status").stdout, "the record is there")
    page = wait_until(lambda: re.search(
        r"crashes   1, last: killed by SIGSEGV.*, recovered in "
        r"\d+\.\d\d ms, 0 clients lost", kv.control("status").stdout),
        "the recovery is told")
    assert page
    pid = kv.network_pid
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: "crashes   2 (1 business, 1 network), last: network "
               "process killed by SIGKILL" in kv.control("status").stdout,
               "the sum and its parts")
    assert "SIGSEGV" in kv.control("crash", "show", "1").stdout
    assert json.loads(kv.control("--json", "crash", "show", "1").stdout)


def test_metrics_are_what_prometheus_reads(service):
    kv = service()
    typed, seen = {}, set()
    for line in kv.control("metrics").stdout.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name not in typed
            typed[name] = kind
        elif not line.startswith("# HELP "):
            match = re.fullmatch(r'(refork_[a-z_]+)(\{.*\})? ([0-9.e+-]+)',
                                 line)
            assert match, line
            seen.add(match[1])
            float(match[3])
    assert seen == set(typed)
    for name, kind in typed.items():
        assert not name.endswith("_total_total")
        assert (kind == "counter") == name.endswith("_total"), name


def test_the_configuration_in_effect_is_shown_and_checked(service, tmp_path):
    kv = service()
    shown = tmp_path / "shown.ini"
    shown.write_text(kv.control("config", "show").stdout)
    assert kv.control("check", shown).returncode == OK
    assert f"name = {kv.name}\n" in shown.read_text()
    as_json = json.loads(kv.control("--json", "config", "show").stdout)
    assert as_json["refork.name"] == kv.name
    shown.write_text("[arena]\nsize = many\nmix = 1\n")
    ran = kv.control("check", shown, check=False)
    assert ran.returncode == REFUSED
    assert f"{shown}:2: error: " in ran.stdout
    assert f"{shown}:3: error: " in ran.stdout


def test_the_file_that_is_checked_is_the_daemons_own(daemon, tmp_path):
    kv = daemon()
    given = kv.ini_path
    kv.ini_path = given.name  # as from a shell that stands beside it
    kv.start()
    kv.ini_path = given
    assert kv.status()["conf_path"] == str(given)
    ran = reforkctl("-S", kv.control_socket(), "check", cwd=tmp_path.parent)
    assert ran.stdout.startswith(f"{given}: fine"), ran


def test_a_reload_says_what_changed_and_refuses_what_is_wrong(service):
    kv = service()
    text = kv.ini_path.read_text()
    kv.ini_path.write_text(text + "\n[business]\nrequest_timeout = 7s\n")
    assert "business.request_timeout" in kv.control("reload", "--wait").stdout
    kv.ini_path.write_text(text + "\n[business]\nrequest_timeout = never\n")
    ran = kv.control("reload", check=False)
    assert ran.returncode == REFUSED
    assert "request_timeout" in ran.stderr
    told = kv.control("--json", "config", "show").stdout
    assert json.loads(told)["business.request_timeout"] == "7s"
    kv.ini_path.write_text(text)
    kv.control("reload")


def test_wait_finds_a_service_that_begins_where_none_was():
    """Of a user who has a directory of his own; he looks in the system's, too,
    and neither has it yet."""
    user = {"user": 65534, "group": 65534} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(dir="/tmp") as home:
        os.chmod(home, 0o755)
        os.mkdir(f"{home}/refork")
        waiting = subprocess.Popen(
            [BUILD / "reforkctl", "-i", "late-one", "wait", "-t", "8s"],
            env=os.environ | {"XDG_RUNTIME_DIR": home},
            stderr=subprocess.PIPE, text=True, **user)
        try:
            time.sleep(0.3)
            with socket.socket(socket.AF_UNIX) as listener:
                listener.settimeout(8)
                listener.bind(f"{home}/refork/late-one.sock")
                os.chmod(f"{home}/refork/late-one.sock", 0o777)
                listener.listen()
                wire = listener.accept()[0]
                with wire:
                    assert wire.recv(100) == b"state text\n"
                    wire.sendall(b"ok\nserving 1\n")
            assert waiting.wait(8) == 0, waiting.stderr.read()
        finally:
            waiting.kill()
            waiting.communicate()
