# SPDX-License-Identifier: MIT
"""The units under a real systemd: sockets, credentials, exits, limits."""
import contextlib
import re
import signal
import time

import pytest
from machine import Client
from service import ReplyError, Wire, encode, wait_until

EXPOSURE = re.compile(r"Overall exposure level for \S+: (\d+\.\d+)")


def shipped(kv, name):
    """A drop-in that is installed."""
    return kv.machine.read(f"/usr/share/refork/drop-in/{name}")


# ---- socket activation ----

@pytest.fixture
def activated(instance):
    """activated(listen, unit): an instance whose socket unit listens."""
    made = []

    def make(listen="", unit="", **settings):
        kv = instance(unit, network_listen="systemd:client", **settings)
        kv.socket = kv.unit.replace(".service", ".socket")
        if listen:
            kv.machine.write(
                f"/run/systemd/system/{kv.socket}.d/test.conf",
                f"[Socket]\nListenStream=\nListenStream={listen}\n")
            kv.machine.systemctl("daemon-reload")
        kv.machine.systemctl("start", kv.socket)
        made.append(kv)
        return kv
    yield make
    for kv in made:
        kv.machine.systemctl("stop", kv.socket, check=False)
        kv.machine.run(["rm", "-rf", f"/run/systemd/system/{kv.socket}.d"])


def unix_wire(kv):
    return Wire(str(kv.machine.root /
                    f"run/refork-client/{kv.name}.sock"))


def test_the_first_client_starts_the_service(activated):
    kv = activated("127.0.0.1:6999")
    kv.port = 6999
    assert kv.show("ActiveState") == "inactive"
    assert kv.call("INCR", "counter") == 1
    assert kv.show("ActiveState") == "active"


def test_a_socket_of_systemd_serves_through_a_kill_and_a_restart(activated):
    kv = activated("127.0.0.1:6998")
    kv.port = 6998
    with Client(kv) as client:
        kv.kill("supervisor")
        client.goes_on(2)
        kv.systemctl("restart")
        client.goes_on(3)
    assert client.refused == 0
    assert int(kv.call("GET", "counter")) == client.acknowledged


def test_a_unix_socket_of_systemd_serves_without_any_network(activated):
    kv = activated()
    kv.drop_in(shipped(kv, "socket-activated.conf"), "socket-activated")
    with unix_wire(kv) as wire:
        assert wire.call("SET", "kept", "value") == b"OK"
        seen = kv.machine.read(f"/proc/{kv.pid_of('network')}/net/dev")
        assert re.findall(r"^ *(\w+):", seen, re.MULTILINE) == ["lo"], seen
        kv.kill("supervisor")
        assert wire.read_to_end() == b""
    with unix_wire(kv) as wire:
        assert wire.call("GET", "kept") == b"value"


def test_tcp_of_systemd_serves_from_an_empty_network(activated):
    kv = activated("127.0.0.1:6997")
    kv.port = 6997
    kv.drop_in(shipped(kv, "socket-activated.conf"), "socket-activated")
    assert kv.call("INCR", "counter") == 1
    kv.systemctl("restart")
    assert kv.call("INCR", "counter") == 2


# ---- what is stored beside the state ----

def test_nobody_is_refused_while_the_supervisor_is_dead(instance):
    """Connections wait at the listening socket that systemd keeps."""
    kv = instance("[Service]\nRestartSec=1s\n").start()
    kv.call("SET", "kept", "value")
    kv.kill("supervisor")
    wait_until(lambda: kv.show("SubState") == "auto-restart", "it is dead")
    assert kv.call("GET", "kept") == b"value"


def test_twenty_kills_in_a_row_lose_nothing(instance):
    kv = instance("[Service]\nRestartSec=0\n").start()
    with Client(kv) as client:
        for number in range(20):
            client.goes_on()
            time.sleep(number * 0.007 % 0.05)
            kv.kill("supervisor")
        client.goes_on()
    assert int(kv.call("GET", "counter")) == client.acknowledged
    assert int(kv.show("NRestarts")) >= 20


def test_the_records_of_crashes_outlive_the_supervisor(instance):
    kv = instance().start()
    kv.kill("business", signal.SIGSEGV)
    wait_until(lambda: kv.status()["crashes"] == 1, "it is counted")
    wait_until(lambda: "SIGSEGV" in kv.control("crashes").stdout, "a record")
    kv.systemctl("restart")
    assert "SIGSEGV" in kv.control("crashes").stdout
    assert kv.status()["generation"] >= 3


# ---- credentials, users ----

def test_a_password_that_only_root_can_read_is_a_credential(instance):
    kv = instance("[Service]\nLoadCredential=password:/etc/kv.password\n",
                  kv_requirepass_file="%d/password")
    kv.machine.write("/etc/kv.password", "sesame\n", 0o600)
    kv.start()
    with kv.wire() as wire:
        with pytest.raises(ReplyError, match="NOAUTH"):
            wire.call("GET", "x")
        assert wire.call("AUTH", "sesame") == b"OK"
        assert wire.call("INCR", "counter") == 1
    denied = kv.machine.run(["setpriv", "--reuid=refork", "--clear-groups",
                             "cat", "/etc/kv.password"], check=False)
    assert denied.returncode != 0
    kv.systemctl("restart")
    with kv.wire() as wire:
        wire.call("AUTH", "sesame")
        assert wire.call("INCR", "counter") == 2
    kv.systemctl("reload")


def test_a_credential_that_is_missing_is_not_tried_all_the_time(instance):
    kv = instance("[Service]\nLoadCredential=password:/etc/not.there\n")
    kv.machine.write("/etc/not.there", "sesame\n", 0o600)
    kv.start()
    kv.call("INCR", "counter")
    kv.machine.run(["rm", "/etc/not.there"])
    kv.systemctl("restart", check=False)
    time.sleep(1)
    assert int(kv.show("NRestarts")) <= 1
    kv.machine.write("/etc/not.there", "sesame\n", 0o600)
    kv.systemctl("restart")
    assert kv.call("INCR", "counter") == 2


def test_clients_do_not_start_what_cannot_start_for_ever(activated):
    kv = activated("127.0.0.1:6997", kv_requirepass_file="/not/there",
                   arena_size="256M", arena_max="256M")  # slow to fail
    kv.port = 6997
    with contextlib.suppress(OSError), kv.wire() as wire:
        wire.call("PING")
    wait_until(lambda: kv.machine.show(kv.socket, "Result") ==
               "trigger-limit-hit", "the socket gives up", 30)
    assert kv.show("ActiveState") == "failed"


def test_no_process_of_the_service_is_root(instance):
    kv = instance().start()
    wait_until(lambda: len(kv.processes()) == 5, "all are there")
    for role, pid in kv.processes().items():
        status = kv.machine.read(f"/proc/{pid}/status")
        uids = re.search(r"^Uid:\s*(.*)$", status, re.MULTILINE)[1].split()
        assert "0" not in uids, role
        assert re.search(r"^CapEff:\s*0+$", status, re.MULTILINE), role
        assert re.search(r"^NoNewPrivs:\s*1$", status, re.MULTILINE), role
        assert re.search(r"^Seccomp:\s*2$", status, re.MULTILINE), role


def test_the_kernel_kills_the_business_process_first(instance):
    kv = instance().start()
    wait_until(lambda: len(kv.processes()) == 5, "all are there")
    scores = {role: int(kv.machine.read(f"/proc/{pid}/oom_score_adj"))
              for role, pid in kv.processes().items()}
    order = ["supervisor", "vault", "network", "standby", "business"]
    assert sorted(scores, key=scores.get) == order and \
        len(set(scores.values())) == 5, scores


# ---- exits ----

def test_a_bad_ini_fails_the_first_start_and_is_not_tried_again(instance):
    kv = instance(log_level="loud")
    assert kv.systemctl("start", check=False).returncode != 0
    time.sleep(0.5)
    assert kv.show("ActiveState", "Result", "ExecMainStatus", "NRestarts") == {
        "ActiveState": "failed", "Result": "exit-code",
        "ExecMainStatus": "78", "NRestarts": "0"}
    assert f"/etc/refork/{kv.name}.ini" in kv.log()


def test_an_instance_without_an_ini_says_so(machine):
    ran = machine.systemctl("start", "refork@nothing", check=False)
    assert ran.returncode != 0
    assert "/etc/refork/nothing.ini: error: cannot open" in "".join(
        machine.messages("refork@nothing.service"))
    machine.systemctl("reset-failed", check=False)


def test_a_restart_while_the_ini_is_away_costs_no_state(instance):
    kv = instance().start()
    kv.call("INCR", "counter")
    ini = f"/etc/refork/{kv.name}.ini"
    kv.machine.run(["mv", ini, "/etc/kv.away"])
    kv.systemctl("restart", "--no-block")
    wait_until(lambda: "cannot open" in "".join(kv.log()), "it fails")
    kv.machine.run(["mv", "/etc/kv.away", ini])
    kv.systemctl("restart")
    assert kv.call("INCR", "counter") == 2


def test_a_shutdown_that_was_asked_for_is_not_undone(instance):
    kv = instance().start()
    kv.control("shutdown")
    wait_until(lambda: kv.show("ActiveState") == "inactive", "it stops")
    time.sleep(0.5)
    assert kv.show("ActiveState") == "inactive" and not kv.traces()


def test_a_stop_leaves_nothing(instance):
    kv = instance().start()
    kv.call("SET", "kept", "value")
    assert int(kv.show("NFileDescriptorStore")) >= 3
    kv.systemctl("stop")
    assert not kv.traces()
    assert kv.show("Result") == "success"


# ---- what systemd is told ----

def test_systemctl_status_shows_how_it_is(instance):
    kv = instance().start()
    kv.kill("business", signal.SIGSEGV)
    wait_until(lambda: re.search("serving, generation 2.*1 crash",
                                 kv.show("StatusText")), "it is told")


def test_the_unit_is_ready_when_a_business_process_serves(instance):
    kv = instance()
    kv.systemctl("start", "--no-block")
    wait_until(lambda: kv.show("ActiveState") == "active", "it is active",
               every_s=0)
    assert kv.call("PING") == b"PONG"


# ---- hardening ----

def exposure(kv):
    said = kv.machine.run(["systemd-analyze", "security", "--no-pager",
                           kv.unit]).stdout
    return float(EXPOSURE.search(said)[1])


def test_the_running_unit_is_exposed_as_little_as_the_page_says(activated,
                                                                instance):
    kv = instance().start()
    assert exposure(kv) <= 1.1
    kv = activated()
    kv.drop_in(shipped(kv, "socket-activated.conf"), "socket-activated")
    with unix_wire(kv) as wire:
        wire.call("PING")
    assert exposure(kv) <= 0.3


def whole_record(kv, crash_id):
    ran = kv.control("crash", "show", crash_id, check=False)
    return "" if "(not made yet)" in ran.stdout else ran.stdout


def test_a_crash_in_the_hardened_unit_has_a_backtrace(instance):
    kv = instance().start()
    with kv.wire() as wire:
        wire.send("DEBUG", "SEGFAULT")
        wire.read()
    said = wait_until(lambda: whole_record(kv, "1"), "a backtrace")
    assert "SIGSEGV" in said and "DEBUG SEGFAULT" in said
    assert re.search(r"crash_segfault.*worker/kv/\S+\.c:\d+", said), said


def test_a_drop_in_of_one_instance_is_of_that_one_alone(instance):
    kv = instance("[Service]\nLimitNOFILE=4242\n").start()
    other = instance().start()
    limits = [each.machine.read(f"/proc/{each.pid_of('network')}/limits")
              for each in (kv, other)]
    assert re.search(r"Max open files\s+4242", limits[0])
    assert not re.search(r"Max open files\s+4242", limits[1])


# ---- state that does not fit ----

SUPER_FORMAT_AT = 0x566000000000 + 8
WORKERS = "/usr/lib/refork/workers"


def refused(kv):
    """A restart that gives up: where the state is, and how to use it."""
    assert kv.systemctl("restart", check=False).returncode != 0
    wait_until(lambda: kv.show("ActiveState") == "failed", "it gives up")
    said = kv.log()
    found = re.search(r"does not fit: (.*?)\. It is kept as (\S+)\. To use it,"
                      r" with a daemon that it fits: (mv \S+ \S+),"
                      r" start with arena\.backend = file", said)
    assert found, said
    return found.groups()


def test_state_of_another_format_is_refused_and_kept_in_a_file(instance):
    """As another version of refork would have written it."""
    kv = instance().start()
    kv.call("SET", "kept", "a value that is still there")
    pid = kv.machine.outside_pid(kv.pid_of("business"))
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        memory.seek(SUPER_FORMAT_AT)
        memory.write((77).to_bytes(4, "little"))
    reason, path, _ = refused(kv)
    assert "its format is 77" in reason
    file = kv.machine.root / path.lstrip("/")
    assert b"a value that is still there" in file.read_bytes()
    file.unlink()


def test_refused_state_is_used_again_as_the_message_says(instance):
    """Once by the worker that it fits, from the file; then it is systemd's
    to keep, again."""
    kv = instance(refork_worker=f"{WORKERS}/swap_1.so").start()
    assert [kv.call("COUNT") for _ in range(3)] == [1, 2, 3]
    kv.configure(refork_worker=f"{WORKERS}/swap_no_migrate.so")
    reason, path, way = refused(kv)
    assert "state" in reason
    kv.machine.run(way.split())
    kv.configure(refork_worker=f"{WORKERS}/swap_1.so", arena_backend="file")
    kv.systemctl("start")
    assert kv.call("COUNT") == 4
    kv.systemctl("restart")
    assert kv.call("COUNT") == 5
    kv.systemctl("stop")
    # Of a file the records are kept, too.
    kv.machine.run(["rm", way.split()[-1],
                    f"/dev/shm/refork-{kv.name}:status"])
    assert path.startswith("/var/lib/refork/")


def test_a_new_worker_takes_the_state_over_at_a_restart(instance):
    kv = instance(refork_worker=f"{WORKERS}/swap_1.so").start()
    assert [kv.call("COUNT") for _ in range(3)] == [1, 2, 3]
    kv.configure(refork_worker=f"{WORKERS}/swap_3.so")
    kv.systemctl("restart")
    assert kv.call("COUNT") == 4000


# ---- connections that outlive a restart ----

def test_what_was_half_done_on_a_connection_is_done_after_a_restart(instance):
    kv = instance(network_preserve_clients="restart").start()
    with kv.wire() as multi, kv.wire() as half, kv.wire() as reader, \
            kv.wire() as subscriber:
        multi.call("MULTI")
        multi.call("INCR", "queued")
        subscriber.call("SUBSCRIBE", "news")
        reader.call("SET", "large", b"x" * 3_000_000)
        reader.send("GET", "large")
        request = encode("SET", "half", "whole")
        half.send_raw(request[:11])
        kv.systemctl("restart")
        half.send_raw(request[11:])
        assert half.read() == b"OK"
        assert multi.call("EXEC") == [1]
        assert kv.call("PUBLISH", "news", "x") == 1
        assert subscriber.read() == [b"message", b"news", b"x"]
        assert reader.read() == b"x" * 3_000_000


def test_hundreds_of_connections_outlive_three_restarts(instance):
    kv = instance(network_preserve_clients="restart").start()
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(kv.wire()) for _ in range(300)]
        for turn in range(1, 4):
            kv.systemctl("restart")
            assert [wire.call("INCR", f"of:{number}")
                    for number, wire in enumerate(wires)] == [turn] * 300
    assert kv.show("Result") == "success"


def test_a_stop_and_a_kill_end_what_a_restart_would_keep(instance):
    kv = instance(network_preserve_clients="restart").start()
    for end in lambda: kv.kill("supervisor"), lambda: kv.systemctl("stop"):
        with kv.wire() as idle, kv.wire() as parked:
            idle.call("PING")
            parked.send("BLPOP", "queue", 0)
            end()
            assert idle.read_to_end() == b"" == parked.read_to_end()
    assert not kv.traces()
