# SPDX-License-Identifier: MIT
"""Clients that are broken, slow, greedy or many."""
import os
import random
import resource
import socket
import threading
import time

import chance
import pytest
from service import PATIENCE_S, ReplyError, Wire, encode, wait_until

MALFORMED = {
    "negative_bulk_length": b"*1\r\n$-5\r\n",
    "bulk_length_is_no_number": b"*1\r\n$1x\r\nab\r\n",
    "bulk_length_of_10_gb": b"*1\r\n$10000000000\r\n",
    "bulk_length_beyond_64_bits": b"*1\r\n$99999999999999999999\r\n",
    "argument_is_no_bulk": b"*1\r\n:1\r\n",
    "count_is_no_number": b"*x\r\n",
    "count_beyond_31_bits": b"*2147483648\r\n",
    "count_beyond_64_bits": b"*99999999999999999999\r\n",
    "endless_count": b"*" + b"1" * 100_000,
    "endless_bulk_length": b"*1\r\n$" + b"1" * 100_000,
    "endless_inline": b"x" * 100_000,
    "unbalanced_quotes": b'SET a "b\r\n',
    "second_argument_is_no_bulk": b"*2\r\n$4\r\nECHO\r\n+a\r\n",
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_input_is_answered_by_an_error_and_a_close(service, data):
    kv = service()
    with kv.raw() as other, kv.raw() as wire:
        wire.send("PING")
        try:
            wire.send_raw(data)
        except ConnectionError:
            pass                    # closed before all of it was sent
        assert wire.read() == b"PONG"
        reply = wire.read()
        assert isinstance(reply, ReplyError)
        assert str(reply).startswith("ERR Protocol error"), reply
        assert wire.read_to_end() == b""
        assert other.call("PING") == b"PONG"
    assert kv.status()["crashes"] == 0


def test_noise_never_ends_a_process(service):
    kv = service()
    choose = random.Random(chance.seed())
    business, network = kv.business_pid, kv.network_pid
    pieces = [b"*", b"$", b"\r\n", b"-1", b"0", b"3", b"SET", b"GET", b"key",
              b"\0", b"\xff", b'"', b"99999999999", b"*3\r\n$3\r\n"]
    for _ in range(300):
        with kv.raw() as wire:
            noise = b"".join(choose.choice(pieces)
                             for _ in range(choose.randrange(1, 60)))
            try:
                wire.send_raw(noise)
                wire.socket.shutdown(socket.SHUT_WR)
                wire.read_to_end()
            except OSError:
                pass
    assert (kv.business_pid, kv.network_pid) == (business, network)
    with kv.raw() as wire:
        assert wire.call("PING") == b"PONG"


def test_a_request_beyond_max_request_is_refused(service):
    kv = service(network_max_request="1M")
    with kv.raw() as wire:
        assert wire.call("SET", "key", b"x" * 900_000) == b"OK"
        try:
            wire.send("SET", "key", b"x" * 2_000_000)
        except ConnectionError:
            pass
        reply = wire.read()
        assert isinstance(reply, ReplyError), reply
    with kv.raw() as wire:
        # Each argument is short enough, together they are not.
        try:
            wire.send("MSET", *[b"x" * 100_000] * 20)
        except ConnectionError:
            pass
        assert isinstance(wire.read(), ReplyError)
    with kv.raw() as wire:
        assert wire.call("STRLEN", "key") == 900_000


def test_a_reply_beyond_max_reply_is_an_error_and_the_connection_stays(
        service):
    kv = service(network_max_reply="1M")
    with kv.raw() as wire:
        for i in range(3):
            wire.call("SET", f"key{i}", b"x" * 500_000)
        wire.send("MGET", "key0", "key1", "key2")
        assert isinstance(wire.read(), ReplyError)
        assert wire.call("STRLEN", "key0") == 500_000


def resident_bytes(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status
                    if line.startswith("VmRSS"))


def test_a_large_bulk_that_is_only_announced_takes_no_memory(service):
    kv = service()
    wires = [kv.raw() for _ in range(50)]
    for wire in wires:
        wire.send_raw(b"*2\r\n$4\r\nECHO\r\n$60000000\r\n")
    with kv.raw() as wire:
        assert wire.call("PING") == b"PONG"
    assert resident_bytes(kv.network_pid) < 300 << 20
    for wire in wires:
        wire.close()


def test_slow_senders_disturb_nobody_and_are_answered(service):
    kv = service()
    request = encode("ECHO", "slow")
    slow = [kv.raw() for _ in range(8)]
    longest = 0.0
    with kv.raw() as wire:
        for i in range(len(request)):
            for sender in slow:
                sender.send_raw(request[i:i + 1])
            until = time.monotonic() + 0.05
            while time.monotonic() < until:
                asked = time.monotonic()
                assert wire.call("INCR", "n")
                longest = max(longest, time.monotonic() - asked)
    for sender in slow:
        assert sender.read() == b"slow"
        sender.close()
    assert longest < 1.0


def test_10000_idle_connections_leave_room_for_work(service):
    count, wanted = 10_000, 10_200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"the hard limit of open files is {hard}, not {wanted}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    kv = service(network_max_clients=10_100, log_level="info")
    idle = []
    try:
        for i in range(count):
            idle.append(socket.create_connection(
                ("127.0.0.1", kv.port), timeout=PATIENCE_S))
        wait_until(lambda: kv.status()["clients"] >= count, "all are clients")
        with kv.raw() as wire:
            for i in range(1, 2001):
                assert wire.call("INCR", "n") == i
            os.kill(kv.business_pid, 9)
            assert wire.call("INCR", "n") == 2001
        for connection in (idle[0], idle[-1]):
            connection.sendall(b"PING\r\n")
            assert connection.recv(100) == b"+PONG\r\n"
    finally:
        for connection in idle:
            connection.close()
    wait_until(lambda: kv.status()["clients"] == 0, "all are gone")


def test_beyond_max_clients_a_client_is_told_so(service):
    kv = service(network_max_clients=3)
    wires = [kv.raw() for _ in range(3)]
    for wire in wires:
        assert wire.call("PING") == b"PONG"
    with kv.raw() as surplus:
        assert surplus.read_to_end() == \
            b"-ERR max number of clients reached\r\n"
    wires.pop().close()
    wait_until(lambda: kv.status()["clients"] == 2, "one has left")
    with kv.raw() as wire:
        assert wire.call("PING") == b"PONG"
    for wire in wires:
        wire.close()


def never_reading(kv):
    """A connected socket with as small a receive buffer as there is."""
    greedy = socket.socket()
    greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    greedy.connect(("127.0.0.1", kv.port))
    greedy.setblocking(False)
    return greedy


def test_a_client_that_asks_for_more_than_the_limit_unread_is_closed(service):
    kv = service(network_client_output_limit="4M")
    with kv.raw() as wire:
        wire.call("SET", "big", b"x" * 100_000)
        with never_reading(kv) as greedy:
            greedy.sendall(encode("GET", "big") * 500)
            kv.wait_for_log("client_output_limit")
            wait_until(lambda: kv.status()["clients"] == 1, "it is closed")
        for i in range(1, 1001):
            assert wire.call("INCR", "n") == i
        assert wire.call("STRLEN", "big") == 100_000


def test_a_client_that_never_reads_is_not_read_and_disturbs_nobody(service):
    kv = service()
    with kv.raw() as wire, never_reading(kv) as greedy:
        wire.call("SET", "big", b"x" * 500_000)
        asked = 0
        longest = 0.0
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            try:
                asked += greedy.send(encode("GET", "big") * 10)
            except BlockingIOError:
                pass
            began = time.monotonic()
            assert wire.call("INCR", "n")
            longest = max(longest, time.monotonic() - began)
        assert asked > 0
        assert longest < 1.0
        assert resident_bytes(kv.network_pid) < 600 << 20
    wait_until(lambda: kv.status()["clients"] == 0, "both are gone")


def test_a_client_that_reads_late_gets_every_byte(service):
    kv = service(network_client_output_limit="256M", arena_max="128M")
    with kv.raw() as wire, kv.raw() as late:
        value = os.urandom(300_000)
        wire.call("SET", "big", value)
        late.send_raw(encode("GET", "big") * 100)
        for i in range(1, 501):
            assert wire.call("INCR", "n") == i
        for _ in range(100):
            assert late.read() == value


def test_60_mib_go_in_and_come_out(service):
    kv = service(arena_max="512M")
    value = os.urandom(60 << 20)
    with kv.raw() as wire:
        assert wire.call("SET", "key", value) == b"OK"
        assert wire.call("GET", "key") == value


def test_several_large_requests_in_one_pipeline_stay_in_order(service):
    kv = service(arena_max="512M")
    values = [os.urandom(size) for size in
              (20 << 20, 100, 1 << 20, 260_000, 263_000, 40 << 20, 1)]
    with kv.raw() as wire:
        data = b"".join(encode("SET", f"key{i}", value) +
                        encode("GET", f"key{i}") + encode("INCR", "n")
                        for i, value in enumerate(values))
        sender = threading.Thread(target=wire.send_raw, args=(data,))
        sender.start()
        for i, value in enumerate(values):
            assert wire.read() == b"OK"
            assert wire.read() == value
            assert wire.read() == i + 1
        sender.join()


def test_every_size_around_the_limits_of_the_rings_passes(service):
    kv = service(arena_max="256M")
    sizes = [size + delta for size in (1 << 12, 1 << 16, 1 << 18, 1 << 20)
             for delta in range(-48, 49, 7)]
    with kv.raw() as wire:
        for size in sizes:
            value = b"%d:" % size + b"x" * size
            replies = wire.pipeline([("ECHO", value), ("SET", "key", value),
                                     ("GET", "key"), ("PING",)])
            assert replies == [value, b"OK", value, b"PONG"], size


def test_a_half_closed_client_gets_its_replies(service):
    kv = service()
    with kv.raw() as wire:
        wire.send_raw(encode("INCR", "n") * 1000)
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.read_to_end() == \
            b"".join(b":%d\r\n" % i for i in range(1, 1001))


def test_inline_commands_work(service):
    kv = service()
    with kv.raw() as wire:
        wire.send_raw(b"PING\r\nSET key \"a value\"\n\r\nGET key\r\n")
        assert [wire.read() for _ in range(3)] == [b"PONG", b"OK", b"a value"]


def test_hello_3_changes_the_shape_of_nulls(service):
    kv = service()
    with kv.raw() as wire:
        wire.send_raw(encode("GET", "none"))
        assert wire.socket.recv(100) == b"$-1\r\n"
        assert wire.call("HELLO", "3")
        wire.send_raw(encode("GET", "none"))
        assert wire.socket.recv(100) == b"_\r\n"


def test_connections_that_come_and_go_leave_nothing_behind(service):
    kv = service()
    with kv.raw() as wire:
        wire.call("PING")
        used = kv.status()["arena_used_bytes"]
        for i in range(2000):
            with Wire(kv.unix_path if i % 2 else ("127.0.0.1", kv.port)) as w:
                if i % 3:
                    w.send("PING")
        wait_until(lambda: kv.status()["clients"] == 1, "they are gone")
        assert wire.call("PING") == b"PONG"
    assert kv.status()["arena_used_bytes"] <= used + (256 << 10)
