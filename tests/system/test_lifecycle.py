# SPDX-License-Identifier: MIT
"""Starting, stopping, and what stays between the two."""
import os
import signal
import socket
import stat
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from service import (BUILD, EXIT_OK, PATIENCE_S, TEST_WORKER, TOP, Wire,
                     children_of, is_alive, process_title, wait_until)


def test_sigterm_releases_everything(service):
    kv = service()
    assert kv.segments()
    kv.client().set("key", "value")
    kv.stop(exit_code=EXIT_OK)


def test_sigint_to_the_whole_group_ends_it_like_sigterm(service):
    kv = service()
    kv.remember_pids()
    os.killpg(kv.supervisor_pid, signal.SIGINT)
    kv.process.wait(PATIENCE_S)
    kv.stop(exit_code=EXIT_OK)


def test_shutdown_by_reforkctl_ends_it_like_sigterm(service):
    kv = service()
    kv.remember_pids()
    kv.control("shutdown")
    kv.process.wait(PATIENCE_S)
    kv.stop(exit_code=EXIT_OK)


def test_sigterm_answers_what_is_in_flight(service):
    kv = service()
    with kv.raw() as wire:
        wire.call("PING")
        wire.send_raw(b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n" * 5000)
        assert wire.read() == 1
        kv.process.send_signal(signal.SIGTERM)
        rest = wire.read_to_end()
        counted = 1 + rest.count(b"\r\n")
        assert rest == b"".join(b":%d\r\n" % n for n in range(2, counted + 1))
        assert counted > 1


def test_sigterm_does_not_wait_for_idle_clients(service):
    kv = service()
    with kv.raw() as wire:
        wire.call("PING")
        kv.stop()
        assert wire.read_to_end() == b""


def test_sigkill_of_the_supervisor_ends_the_children(service):
    kv = service()
    pids = children_of(kv.supervisor_pid)
    assert len(pids) >= 2
    kv.kill9()
    assert not any(is_alive(pid) for pid in pids)


def test_sigkill_of_the_supervisor_amid_its_start_ends_the_children(daemon):
    kv = daemon(log_level="error")
    for round_ in range(60):
        kv.launch()
        wait_until(lambda: kv.process.poll() is not None or
                   kv.find_child("business"), "it forks", every_s=0)
        time.sleep(round_ * 20e-6)
        kv.kill9()


def test_after_sigkill_of_the_supervisor_the_next_start_has_the_state(service):
    kv = service()
    kv.client().mset({f"key{i}": f"value{i}" * 100 for i in range(1000)})
    for _ in range(3):
        kv.kill9()
        assert kv.segments(), "the segment went with the supervisor"
        kv.start()
        client = kv.client()
        assert client.dbsize() == 1000
        assert all(client.get(f"key{i}") == (f"value{i}" * 100).encode()
                   for i in range(1000))
    assert client.flushall()


def test_sigkill_of_the_supervisor_amid_writes_keeps_what_was_acknowledged(
        service):
    kv = service()
    with kv.raw() as wire:
        wire.send_raw(b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n" * 20000)
        for _ in range(100):
            last = wire.read()
        kv.process.kill()
        tail = wire.read_to_end().split(b"\r\n")[:-1]
        last = int(tail[-1][1:]) if tail else last
    kv.kill9()
    kv.start()
    assert last <= int(kv.client().get("n")) <= 20000


def test_after_sigterm_the_next_start_is_empty(service):
    kv = service()
    kv.client().set("key", "value")
    kv.stop()
    kv.start()
    assert kv.client().dbsize() == 0


# ---- what does not fit is refused, and not touched ----

@pytest.mark.parametrize("misfit, why", [
    ({"refork_worker": TEST_WORKER}, "trial"),
    ({"arena_max": "128M"}, "max"),
])
def test_a_standing_segment_that_does_not_fit_is_refused_and_kept(
        service, misfit, why):
    kv = service()
    kv.client().set("key", "value")
    kv.kill9()
    fitting = dict(kv.settings)
    kv.configure(**misfit)
    code, said = kv.start_refused()
    assert code != 0
    assert kv.segments()[0].name in said and why in said, said
    kv.configure(**fitting)
    kv.start()
    assert kv.client().get("key") == b"value"


@pytest.mark.parametrize("content", [
    b"x", os.urandom(1 << 20), bytes(32 << 20)],
    ids=["one_byte", "noise", "zeroes"])
def test_a_standing_segment_of_garbage_is_refused_and_kept(service, content):
    kv = service()
    segment = kv.segments()[0]
    kv.stop()
    segment.write_bytes(content)
    code, said = kv.start_refused()
    assert code != 0
    assert segment.name in said, said
    assert segment.read_bytes() == content
    segment.unlink()
    kv.start()


@pytest.mark.parametrize("how_far", ["named", "sized", "formatted"])
def test_a_build_that_was_killed_is_begun_anew(service, how_far):
    kv = service()
    kv.client().set("key", "value")
    kv.kill9()
    segment = kv.segments()[0]
    bytes_full = os.path.getsize(segment)
    if how_far == "formatted":
        with segment.open("r+b") as file:
            file.write(bytes(8))  # the marker is what comes last
    else:
        os.truncate(segment, 0)
        os.truncate(segment, bytes_full if how_far == "sized" else 0)
    kv.start()
    assert kv.client().dbsize() == 0
    assert "never finished" in kv.log()


def test_a_standing_segment_with_a_torn_tail_is_refused(service):
    kv = service()
    kv.client().set("key", "value")
    kv.kill9()
    segment = kv.segments()[0]
    os.truncate(segment, os.path.getsize(segment) - (4 << 20))
    code, said = kv.start_refused()
    assert code != 0
    assert segment.name in said, said


# ---- one name, one daemon ----

def test_a_second_daemon_on_the_same_name_is_refused(service, daemon):
    first = service()
    first.client().set("key", "value")
    second = daemon(refork_name=first.name)
    code, said = second.start_refused()
    assert code != 0
    assert first.name in said
    assert first.client().get("key") == b"value"
    assert first.process.poll() is None


def test_of_20_daemons_started_at_once_on_one_name_exactly_one_serves(daemon):
    rivals = [daemon() for _ in range(20)]
    for rival in rivals:
        rival.configure(refork_name=rivals[0].name)
    for rival in rivals:
        rival.launch()

    def living():
        return [rival for rival in rivals if rival.process.poll() is None]
    wait_until(lambda: len(living()) <= 1, "all but one have given up")
    winner, = living()
    for rival in set(rivals) - {winner}:
        assert rival.process.returncode != 0
        rival.process = None
    winner.control("wait", "--for", "ready", "--timeout", "10s")
    assert winner.client().set("key", "value")


def test_a_name_is_free_again_after_its_daemon_has_ended(service, daemon):
    first = service()
    first.stop()
    second = daemon(refork_name=first.name).start()
    assert second.client().ping()


def test_two_services_live_side_by_side(service):
    one, two = service(), service()
    one.client().set("key", "one")
    two.client().set("key", "two")
    os.kill(one.business_pid, signal.SIGKILL)
    assert one.client().get("key") == b"one"
    assert two.client().get("key") == b"two"
    one.stop()
    assert two.client().get("key") == b"two"
    assert two.status()["crashes"] == 0


# ---- where it listens ----

def test_a_taken_port_is_refused_by_name_and_nothing_is_left(daemon):
    kv = daemon()
    with socket.create_server(("127.0.0.1", kv.port)):
        code, said = kv.start_refused()
    assert code != 0
    assert f"127.0.0.1:{kv.port}" in said and "Address already in use" in said
    assert not kv.segments() and not kv.files()


def test_a_taken_unix_socket_is_refused_and_left_to_its_owner(daemon):
    kv = daemon()
    with socket.socket(socket.AF_UNIX) as owner:
        owner.bind(kv.unix_path)
        owner.listen()
        code, said = kv.start_refused()
        assert code != 0
        assert kv.unix_path in said
        with socket.socket(socket.AF_UNIX) as visitor:
            visitor.connect(kv.unix_path)
    os.unlink(kv.unix_path)


def test_what_is_not_a_socket_is_not_replaced_by_one(daemon):
    kv = daemon()
    Path(kv.unix_path).write_text("somebody's notes")
    code, said = kv.start_refused()
    assert code != 0
    assert kv.unix_path in said
    assert Path(kv.unix_path).read_text() == "somebody's notes"
    os.unlink(kv.unix_path)


# ---- surroundings ----

@pytest.mark.parametrize("closed", ["0<&-", "0<&- 1>&- 2>&-"])
def test_it_serves_without_standard_descriptors(service, closed):
    kv = service(wrapper=["sh", "-c", f'exec "$@" {closed}', "sh"])
    kv.client().set("key", "value")
    os.kill(kv.business_pid, signal.SIGSEGV)
    assert kv.client().get("key") == b"value"
    for pid in (kv.supervisor_pid, kv.network_pid, kv.business_pid):
        for fd in range(3):
            target = os.stat(f"/proc/{pid}/fd/{fd}")
            assert not stat.S_ISSOCK(target.st_mode)


def test_it_serves_from_any_directory_and_without_an_environment(service):
    kv = service(wrapper=["env", "-i", f"ASAN_OPTIONS="
                          f"{os.environ.get('ASAN_OPTIONS', '')}"])
    assert kv.client().ping()


def test_it_serves_a_user_without_privileges(service):
    if os.geteuid() != 0:
        pytest.skip("not root: every other test shows it already")
    drop = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    if subprocess.run([*drop, "test", "-x", BUILD / "reforkd"]).returncode:
        pytest.skip(f"{BUILD} is closed to the user nobody")
    with tempfile.TemporaryDirectory(prefix="refork-nobody-") as directory:
        os.chmod(directory, 0o777)
        kv = service(directory=directory, wrapper=drop)
        kv.client().set("key", "value")
        os.kill(kv.business_pid, signal.SIGKILL)
        assert kv.client().get("key") == b"value"
        kv.stop()


def test_sighup_does_not_end_it_even_with_a_broken_ini(service):
    kv = service()
    kv.process.send_signal(signal.SIGHUP)
    assert kv.client().ping()
    kv.configure(network_max_clients="many")
    kv.process.send_signal(signal.SIGHUP)
    kv.wait_for_log(r"max_clients.*many|many.*max_clients")
    assert kv.client().ping()


def test_process_titles_tell_who_is_who(service):
    kv = service()
    for role, pid in (("business", kv.business_pid),
                      ("network", kv.network_pid)):
        assert process_title(pid) == f"refork: {kv.name} {role}"
    successor = kv.wait_for_successor(_kill(kv.business_pid))
    assert process_title(successor) == f"refork: {kv.name} business"


def _kill(pid):
    os.kill(pid, signal.SIGKILL)
    return pid


def test_status_tells_what_is_going_on(service):
    kv = service()
    seen = kv.status()
    assert seen["schema"] == 1
    assert seen["supervisor_pid"] == kv.supervisor_pid
    assert seen["network_pid"] == kv.network_pid
    assert seen["business_pid"] == kv.business_pid
    assert seen["crashes"] == 0
    assert seen["generation"] == 1
    assert 0 < seen["arena_used_bytes"] <= seen["arena_size_bytes"]
    kv.client().set("key", "x" * 1_000_000)
    kv.wait_for_successor(_kill(kv.business_pid))
    wait_until(lambda: kv.status()["crashes"] == 1, "the crash is counted")
    later = kv.status()
    assert later["generation"] == 2
    assert later["state"] == seen["state"]
    assert later["business_pid"] == kv.business_pid
    assert later["arena_used_bytes"] >= seen["arena_used_bytes"] + 1_000_000


def test_reforkctl_says_by_its_exit_status_that_nobody_is_there(daemon):
    kv = daemon()
    assert kv.control("ping", check=False).returncode == 4
    assert kv.control("nonsense", check=False).returncode == 2
    kv.start()
    assert kv.control("ping", check=False).returncode == 0


@pytest.mark.parametrize("command", ["redis-cli", "redis-benchmark"])
def test_the_redis_tools_work_unchanged(service, command):
    kv = service()
    lines = {
        "redis-cli": ["SET key value", "GET key", "INCR n", "DBSIZE"],
        "redis-benchmark": [],
    }[command]
    arguments = {
        "redis-cli": ["-p", str(kv.port)],
        "redis-benchmark": ["-p", str(kv.port), "-q", "-n", "4000", "-P", "8",
                            "-c", "20", "-t",
                            "ping,set,get,incr,mset"],
    }[command]
    ran = subprocess.run([command, *arguments], input="\n".join(lines),
                         capture_output=True, text=True, timeout=PATIENCE_S)
    assert ran.returncode == 0, ran.stderr
    if command == "redis-cli":
        assert ran.stdout.split("\n") == ["OK", "value", "1", "2", ""]
    else:
        assert ran.stdout.count("requests per second") == 6, ran.stdout
        assert "rror" not in ran.stdout + ran.stderr


def test_python3_redis_works_unchanged(service):
    kv = service()
    client = kv.client()
    with client.pipeline(transaction=False) as batch:
        for i in range(100):
            batch.set(f"key{i}", i).incr("n")
        assert batch.execute() == [x for i in range(100) for x in (True, i + 1)]
    assert len(list(client.scan_iter(match="key*"))) == 100
    assert client.info()["redis_version"]
    assert Wire(kv.unix_path).call("GET", "n") == b"100"


def test_the_shipped_ini_serves(daemon):
    """On a port and under a name of its own: the shipped ones may be in use.
    """
    kv = daemon(network_listen=[])
    kv.ini_path = TOP / "conf" / "kv.ini"
    kv.start(*(f"-o{setting}" for setting in (
        f"refork.name={kv.name}",
        f"refork.worker={kv.settings['refork_worker']}",
        f"refork.runtime_dir={kv.runtime_dir}",
        f"refork.state_dir={kv.settings['refork_state_dir']}",
        f"network.listen=127.0.0.1:{kv.port}")))
    assert kv.client().set("key", "value")
