# SPDX-License-Identifier: MIT
"""A configuration read again: what changes, what is named, what stays."""
import os
import re
import signal

import pytest
from service import TEST_WORKER, wait_until


def reload_by_command(service):
    ran = service.control("reload", "--wait", check=False)
    return ran.returncode, ran.stdout + ran.stderr


def reload_by_signal(service):
    before = service.log()
    service.process.send_signal(signal.SIGHUP)
    said = wait_until(
        lambda: re.search(r"reload: (done|.*stays)",
                          service.log()[len(before):]),
        "the reload has ended")
    return int("stays" in said[0]), service.log()[len(before):]


HOWS = [reload_by_command, reload_by_signal]


@pytest.mark.parametrize("how", HOWS)
def test_a_limit_changes_under_living_clients(service, how):
    kv = service()
    with kv.raw() as first:
        kv.configure(network_max_clients=1)
        assert how(kv)[0] == 0
        with kv.raw() as surplus:
            assert surplus.read_to_end().startswith(b"-ERR max number")
        assert first.call("PING") == b"PONG"


def test_a_higher_limit_lets_more_clients_in(service):
    kv = service(network_max_clients=1)
    kv.configure(network_max_clients=40)
    assert reload_by_command(kv)[0] == 0
    wires = [kv.raw() for _ in range(40)]
    assert all(wire.call("PING") == b"PONG" for wire in wires)
    for wire in wires:
        wire.close()


@pytest.mark.parametrize("how", HOWS)
def test_what_cannot_change_is_named(service, how):
    kv = service()
    kv.configure(arena_max="128M", refork_worker=TEST_WORKER)
    code, said = how(kv)
    assert code == 0
    assert re.search(r"arena\.max .*restart", said), said
    assert re.search(r"refork\.worker .*reforkctl upgrade", said), said
    with kv.raw() as wire:
        assert wire.call("SET", "a", "b") == b"OK"


@pytest.mark.parametrize("how", HOWS)
def test_an_error_anywhere_changes_nothing(service, how):
    kv = service()
    kv.configure(network_max_clients=1, log_level="loud")
    code, said = how(kv)
    assert code != 0
    assert re.search(rf"{re.escape(str(kv.ini_path))}:\d+: error: log.level",
                     said), said
    with kv.raw() as first, kv.raw() as second:
        assert first.call("PING") == second.call("PING") == b"PONG"


def test_a_reload_without_a_change_says_so(service):
    kv = service()
    code, said = reload_by_command(kv)
    assert code == 0
    assert "nothing" in said


def test_keepalive_changes_for_connections_to_come(service):
    kv = service(network_tcp_keepalive="300s")

    def timer():
        """Seconds until the kernel probes a client that has just come."""
        with kv.raw() as wire:
            wire.call("PING")
            port = wire.socket.getsockname()[1]
            shown = os.popen(
                f"ss -tnoH sport = :{kv.port} and dport = :{port}").read()
        found = re.search(r"keepalive,(?:(\d+)min)?(?:(\d+)sec)?", shown)
        return found and int(found[1] or 0) * 60 + int(found[2] or 0)

    if timer() is None:
        pytest.skip("ss(8) shows no timers here")
    assert timer() > 60
    kv.configure(network_tcp_keepalive="60s")
    reload_by_command(kv)
    wait_until(lambda: timer() <= 60, "the timer is the new one")


def test_the_queue_of_a_listener_follows_backlog(service):
    kv = service(network_backlog=100)

    def queue():
        shown = os.popen(f"ss -tlnH sport = :{kv.port}").read().split()
        return int(shown[2]) if len(shown) > 2 else None

    if queue() is None:
        pytest.skip("ss(8) shows no listeners here")
    assert queue() == 100
    kv.configure(network_backlog=7)
    reload_by_command(kv)
    assert queue() == 7


def test_a_changed_log_level_quiets_the_log(service):
    kv = service(log_level="debug")
    kv.configure(log_level="error")
    reload_by_command(kv)
    before = len(kv.log())
    pid = kv.business_pid
    os.kill(pid, signal.SIGKILL)
    kv.wait_for_successor(pid)
    assert not re.search(r" (debug|info|notice): ", kv.log()[before:])


def test_a_standby_comes_and_goes_with_a_reload(service):
    kv = service(business_standby=1)
    wait_until(lambda: kv.find_child("standby"), "there is a standby")
    kv.configure(business_standby=0)
    reload_by_command(kv)
    wait_until(lambda: not kv.find_child("standby"), "it has gone")
    kv.configure(business_standby=1)
    reload_by_command(kv)
    wait_until(lambda: kv.find_child("standby"), "there is one again")
