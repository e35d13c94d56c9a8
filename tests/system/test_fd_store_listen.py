# SPDX-License-Identifier: MIT
"""Listening sockets that the service manager keeps: who connects while nobody
serves waits, and is not refused."""
import os
import socket
import threading

import pytest
from service import Wire, free_port, wait_until


def late_client(kv, unix):
    """Connects while the daemon is down, and asks; its answer by and by."""
    answers = []

    def ask():
        with kv.raw(unix=unix) as wire:
            answers.append(wire.call("INCR", "a"))
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    return thread, answers


@pytest.mark.parametrize("end", ["kill9", "end"])
@pytest.mark.parametrize("unix", [False, True])
def test_who_connects_meanwhile_is_served_by_the_next_daemon(
        managed, unix, end):
    kv = managed().start()
    getattr(kv, end)()
    clients = [late_client(kv, unix) for _ in range(5)]
    for thread, answers in clients:
        thread.join(0.02)
        assert thread.is_alive() and not answers
    kv.start()
    for thread, _ in clients:
        thread.join(10)
    assert sorted(a for _, answers in clients for a in answers) == \
        [1, 2, 3, 4, 5]


def refuses(address):
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as probe:
        return probe.connect_ex(address) != 0


def test_changed_addresses_are_taken_and_given_up_one_by_one(managed):
    kv = managed().start()
    kept_unix, gone_port, port = kv.unix_path, kv.port, free_port()
    kv.end()
    kv.configure(network_listen=[f"127.0.0.1:{port}", f"unix:{kept_unix}"])
    thread, answers = late_client(kv, True)
    kv.port = port
    kv.start()
    thread.join(10)
    assert answers == [1]
    assert refuses(("127.0.0.1", gone_port))
    with kv.raw() as wire:
        assert wire.call("GET", "a") == b"1"
    assert f"a socket at 127.0.0.1:{gone_port}, where nobody is to listen " \
        "any more: closed" in kv.log()
    assert len(kv.manager.names()) == 4
    # Now the unix one goes, with its file.
    kv.end()
    kv.configure(network_listen=[f"127.0.0.1:{port}"])
    kv.start()
    assert not os.path.exists(kept_unix)
    assert kv.manager.names() == ["arena", "listen-0", "status"]


def test_an_address_that_takes_in_the_old_one_is_not_in_its_way(managed):
    kv = managed().start()
    kv.end()
    kv.configure(network_listen=[f"0.0.0.0:{kv.port}"])
    kv.start()
    with kv.raw() as wire:
        assert wire.call("PING") == b"PONG"


@pytest.mark.parametrize("harm", ["removed", "replaced"])
def test_a_socket_that_its_file_does_not_lead_to_is_bound_anew(managed, harm):
    kv = managed().start()
    kv.kill9()
    os.unlink(kv.unix_path)
    if harm == "replaced":
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(kv.unix_path)  # and dies: a file that leads nowhere
    kv.start()
    with kv.raw(unix=True) as wire:
        assert wire.call("PING") == b"PONG"
    kv.kill9()
    kv.start()
    with kv.raw(unix=True) as wire:
        assert wire.call("PING") == b"PONG"
    assert kv.manager.names() == ["arena", "listen-0", "listen-1", "status"]


def test_a_file_that_is_somebody_elses_now_is_left_to_him(managed):
    kv = managed().start()
    kv.kill9()
    os.unlink(kv.unix_path)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(kv.unix_path)
        other.listen()
        code, said = kv.start_refused()
        assert code == 71 and "another process listens there" in said
        assert os.path.exists(kv.unix_path)
    kv.start()
    with kv.raw(unix=True) as wire:
        assert wire.call("PING") == b"PONG"


def test_the_backlog_is_as_it_is_configured_now(managed):
    kv = managed(network_backlog=16).start()
    kv.kill9()
    kv.configure(network_backlog=3)
    kv.launch()
    wait_until(lambda: backlog(kv.port) == 3, "it is 3 now")
    kv.control("wait", "--for", "ready", "--timeout", "10s")


def backlog(port):
    """As the kernel tells it: Send-Q of a listening socket."""
    ran = os.popen(f"ss -Hltn sport = :{port}").read().split()
    return int(ran[2]) if ran else None


def test_a_start_that_fails_leaves_the_sockets_where_they_are(managed):
    kv = managed(arena_on_stop="release").start()
    kv.kill9()
    thread, answers = late_client(kv, False)
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    before = kv.settings["network_listen"]
    kv.configure(network_listen=[
        *before, f"127.0.0.1:{taken.getsockname()[1]}"])
    code, said = kv.start_refused()
    assert code == 71 and "another process has it" in said
    assert thread.is_alive()
    kv.configure(network_listen=before)
    kv.start()
    thread.join(10)
    assert answers == [1]
    taken.close()


def test_other_sockets_under_our_names_are_dropped(managed):
    kv = managed().start()
    kv.kill9()
    with socket.socket() as plain, socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        kv.manager.give("listen-1", plain.fileno())
        kv.manager.give("listen-0", other.fileno())
        kv.start()
    with Wire(("127.0.0.1", kv.port)) as wire:
        assert wire.call("PING") == b"PONG"
    assert kv.manager.names() == ["arena", "listen-0", "listen-1", "status"]
