# SPDX-License-Identifier: MIT
"""Several clients of the kv worker, and deaths in their midst: who waits goes
on waiting, who has subscribed stays subscribed, an EXEC is all or nothing."""
import os
import signal
import socket
import time

import pytest
from service import ReplyError, wait_until


def kill_business(kv):
    pid = kv.business_pid
    os.kill(pid, signal.SIGKILL)
    kv.wait_for_successor(pid)


def client_lines(wire):
    return [dict(field.split("=", 1) for field in line.split())
            for line in wire.call("CLIENT", "LIST").decode().splitlines()]


def wait_blocked(wire, count):
    def blocked():
        return sum("b" in line["flags"] for line in client_lines(wire)) == count
    wait_until(blocked, f"{count} clients are blocked")


def assert_silent(wire, for_s=0.1):
    wire.socket.settimeout(for_s)
    with pytest.raises((socket.timeout, BlockingIOError)):
        wire.receive_once()
    wire.socket.settimeout(30)


# ---- blocking ----

def test_whoever_is_blocked_stays_blocked_and_is_served_by_the_successor(
        service):
    kv = service()
    with kv.raw() as first, kv.raw() as second, kv.raw() as other:
        first.send("BLPOP", "a", "b", 0)
        wait_blocked(other, 1)
        second.send("BZPOPMIN", "z", "a", 0)
        wait_blocked(other, 2)
        for _ in range(3):
            kill_business(kv)
            wait_blocked(other, 2)
        assert other.call("RPUSH", "b", "x") == 1
        assert first.read() == [b"b", b"x"]
        kill_business(kv)
        assert other.call("ZADD", "z", 1, "m") == 1
        assert second.read() == [b"z", b"m", b"1"]
        assert other.call("DBSIZE") == 0


def test_the_order_of_waiting_outlives_deaths(service):
    kv = service()
    with kv.raw() as other:
        waiting = [kv.raw() for _ in range(8)]
        for i, wire in enumerate(waiting):
            wire.send("BLPOP", "l", 0)
            wait_blocked(other, i + 1)
            if i % 3 == 0:
                kill_business(kv)
        other.call("RPUSH", "l", *range(5))
        kill_business(kv)
        other.call("RPUSH", "l", *range(5, 8))
        for i, wire in enumerate(waiting):
            assert wire.read() == [b"l", b"%d" % i]
            wire.close()


def test_time_runs_out_under_the_successor(service):
    kv = service()
    with kv.raw() as wire, kv.raw() as other:
        began = time.monotonic()
        wire.send("BLPOP", "l", 0.5)
        wait_blocked(other, 1)
        kill_business(kv)
        assert wire.read() is None
        assert 0.45 < time.monotonic() - began < 3
        assert wire.call("RPUSH", "l", "x") == 1


def test_a_timeout_comes_in_time(service):
    kv = service()
    took = []
    with kv.raw() as wire:
        for seconds in (0.001, 0.002, 0.01, 0.02, 0.03, 0.05, 0.15):
            began = time.monotonic()
            assert wire.call("BLPOP", "l", seconds) is None
            took.append(time.monotonic() - began - seconds)
    assert min(took) > -0.002
    assert sorted(took)[len(took) // 2] < 0.03


def test_what_is_sent_behind_a_blocking_command_waits(service):
    kv = service()
    with kv.raw() as wire, kv.raw() as other:
        wire.send("BLPOP", "l", 0)
        wire.send("SET", "k", "later")
        wire.send("GET", "k")
        wait_blocked(other, 1)
        kill_business(kv)
        assert other.call("GET", "k") is None
        other.call("RPUSH", "l", "x")
        assert [wire.read() for _ in range(3)] == \
            [[b"l", b"x"], b"OK", b"later"]


def test_a_blocked_client_that_leaves_takes_nothing(service):
    kv = service()
    with kv.raw() as other:
        gone = kv.raw()
        gone.send("BLPOP", "l", 0)
        wait_blocked(other, 1)
        gone.close()
        wait_blocked(other, 0)
        kill_business(kv)
        assert other.call("RPUSH", "l", "x") == 1
        assert other.call("LLEN", "l") == 1


@pytest.mark.parametrize("reason", [(), ("TIMEOUT",), ("ERROR",)])
def test_a_client_is_unblocked_by_another(service, reason):
    kv = service()
    with kv.raw() as wire, kv.raw() as other:
        number = wire.call("CLIENT", "ID")
        assert other.call("CLIENT", "UNBLOCK", number) == 0
        wire.send("BLMOVE", "a", "b", "LEFT", "LEFT", 0)
        wait_blocked(other, 1)
        kill_business(kv)
        assert other.call("CLIENT", "UNBLOCK", number, *reason) == 1
        assert other.call("CLIENT", "UNBLOCK", number, *reason) == 0
        reply = wire.read()
        if reason == ("ERROR",):
            assert isinstance(reply, ReplyError)
            assert str(reply).startswith("UNBLOCKED ")
        else:
            assert reply is None
        assert other.call("RPUSH", "a", "x") == 1
        assert wire.call("LLEN", "a") == 1


def test_a_blocked_client_can_be_killed(service):
    kv = service()
    with kv.raw() as wire, kv.raw() as other:
        number = wire.call("CLIENT", "ID")
        wire.send("BLPOP", "l", 0)
        wire.send("SET", "k", "never")
        wait_blocked(other, 1)
        assert other.call("CLIENT", "KILL", "ID", number) == 1
        assert wire.read_to_end() == b""
        assert other.call("RPUSH", "l", "x") == 1
        assert other.call("LLEN", "l") == 1
        assert other.call("GET", "k") is None


def test_pops_lose_nothing_and_double_nothing_while_the_business_is_killed(
        service):
    kv = service()
    count = 400
    with kv.raw() as pusher:
        poppers = [kv.raw() for _ in range(4)]
        seen = []
        for wire in poppers:
            wire.send("BLPOP", "l", 0)
        for i in range(count):
            pusher.send("RPUSH", "l", i)
            if i % 50 == 25:
                os.kill(kv.business_pid, signal.SIGKILL)
            pusher.read()
            for wire in poppers:
                wire.socket.settimeout(0.001)
                try:
                    wire.receive_once()
                except OSError:
                    pass
                for reply in wire.try_read():
                    seen.append(int(reply[1]))
                    wire.send("BLPOP", "l", 0)

        def all_seen():
            for wire in poppers:
                wire.socket.settimeout(0.01)
                try:
                    wire.receive_once()
                except OSError:
                    pass
                for reply in wire.try_read():
                    seen.append(int(reply[1]))
                    wire.send("BLPOP", "l", 0)
            return len(seen) >= count
        wait_until(all_seen, "every element is popped")
        assert sorted(seen) == list(range(count))
        for wire in poppers:
            wire.close()


# ---- transactions ----

def test_a_queue_outlives_deaths(service):
    kv = service()
    with kv.raw() as wire, kv.raw() as other:
        assert wire.call("SELECT", 3) == b"OK"
        assert wire.call("MULTI") == b"OK"
        for i in range(20):
            assert wire.call("RPUSH", "l", "x" * i) == b"QUEUED"
            if i % 5 == 0:
                kill_business(kv)
        assert other.call("EXISTS", "l") == 0
        assert wire.call("EXEC") == list(range(1, 21))
        assert wire.call("LLEN", "l") == 20
        assert other.call("EXISTS", "l") == 0


def test_an_exec_that_kills_takes_no_effect_at_all(service):
    kv = service()
    with kv.raw() as wire, kv.raw() as other:
        wire.call("MULTI")
        wire.call("SET", "a", 1)
        wire.call("DEBUG", "SEGFAULT")
        wire.call("SET", "b", 1)
        wire.send("EXEC")
        reply = wire.read()
        assert isinstance(reply, ReplyError)
        assert str(reply).startswith("CRASHED ")
        assert other.call("DBSIZE") == 0
        assert wire.call("GET", "a") is None  # it is queued no more
        assert refusal(wire, "EXEC") == "ERR EXEC without MULTI"
        assert wire.call("SET", "c", 1) == b"OK"


def test_an_exec_without_memory_is_over(service):
    kv = service(arena_max="64M")
    with kv.raw() as wire:
        wire.call("MULTI")
        wire.call("SET", "a", 1)
        for i in range(4):
            wire.call("SETRANGE", f"b{i}", 30 << 20, "x")
        assert refusal(wire, "EXEC").startswith("OOM ")
        assert wire.call("DBSIZE") == 0
        assert refusal(wire, "EXEC") == "ERR EXEC without MULTI"


def test_whoever_is_served_with_an_error_waits_no_more(service):
    kv = service(network_max_reply="1M")
    with kv.raw() as first, kv.raw() as second, kv.raw() as other:
        for i, wire in enumerate((first, second)):
            wire.send("BLPOP", "l", 0)
            wait_blocked(other, i + 1)
        assert other.call("RPUSH", "l", "x" * (2 << 20)) == 1
        for wire in (first, second):  # what is left is the next one's
            with pytest.raises(ReplyError, match="larger than max_reply"):
                raise wire.read()
        wait_blocked(other, 0)
        assert first.call("PING") == b"PONG"
        first.send("BLPOP", "m", 0)
        wait_blocked(other, 1)
        assert other.call("RPUSH", "m", "y") == 1
        assert first.read() == [b"m", b"y"]
        assert other.call("LLEN", "l") == 1


def test_an_exec_that_kills_watches_no_longer(service):
    kv = service()
    with kv.raw() as wire, kv.raw() as other:
        wire.call("WATCH", "k")
        wire.call("MULTI")
        wire.call("DEBUG", "OOPS-IN-TX")
        assert refusal(wire, "EXEC").startswith("CRASHED ")
        other.call("SET", "k", 1)
        wire.call("MULTI")
        wire.call("SET", "k", 2)
        assert wire.call("EXEC") == [b"OK"]


def test_execs_are_all_or_nothing_while_the_business_is_killed(service):
    kv = service()
    with kv.raw() as wire, kv.raw() as reader:
        for i in range(1, 101):
            wire.pipeline([("MULTI",), *[("INCR", f"n{j}") for j in range(10)]])
            wire.send("EXEC")
            if i % 10 == 5:
                os.kill(kv.business_pid, signal.SIGKILL)
            assert wire.read() == [i] * 10
            assert len(set(reader.call(
                "MGET", *[f"n{j}" for j in range(10)]))) == 1


def test_watch_still_fails_after_a_death(service):
    kv = service()
    with kv.raw() as wire, kv.raw() as other:
        wire.call("SET", "k", 1)
        wire.call("WATCH", "k", "absent")
        kill_business(kv)
        other.call("SET", "k", 2)
        kill_business(kv)
        wire.call("MULTI")
        wire.call("SET", "k", 3)
        assert wire.call("EXEC") is None
        wire.call("WATCH", "k", "absent")
        kill_business(kv)
        wire.call("MULTI")
        wire.call("SET", "k", 4)
        assert wire.call("EXEC") == [b"OK"]


# ---- subscriptions ----

def test_a_subscriber_gets_what_is_published_after_a_death(service):
    kv = service()
    with kv.raw() as two, kv.raw() as three, kv.raw() as other:
        assert two.call("SUBSCRIBE", "a") == [b"subscribe", b"a", 1]
        three.call("HELLO", 3)
        assert three.call("PSUBSCRIBE", "a*") == [b"psubscribe", b"a*", 1]
        assert three.call("SSUBSCRIBE", "s") == [b"ssubscribe", b"s", 1]
        for i in range(5):
            kill_business(kv)
            text = b"%d" % i
            assert other.call("PUBLISH", "a", text) == 2
            assert two.read() == [b"message", b"a", text]
            assert three.read() == [b"pmessage", b"a*", b"a", text]
            assert other.call("SPUBLISH", "s", text) == 1
            assert three.read() == [b"smessage", b"s", text]
        assert other.call("PUBSUB", "CHANNELS") == [b"a"]
        assert other.call("PUBSUB", "NUMPAT") == 1
    with kv.raw() as other:
        wait_until(lambda: other.call("PUBSUB", "NUMPAT") == 0, "they are gone")


def test_a_message_may_be_large(service):
    kv = service()
    text = os.urandom(3 << 20)
    with kv.raw() as wire, kv.raw() as other:
        wire.call("SUBSCRIBE", "a")
        assert other.call("PUBLISH", "a", text) == 1
        assert wire.read() == [b"message", b"a", text]


def test_messages_come_whole_and_in_order_while_the_business_is_killed(service):
    kv = service()
    with kv.raw() as wire, kv.raw() as other:
        wire.call("SUBSCRIBE", "a")
        for i in range(300):
            other.send("PUBLISH", "a", i)
            if i % 60 == 30:
                os.kill(kv.business_pid, signal.SIGKILL)
            assert other.read() == 1
        assert [wire.read()[2] for _ in range(300)] == \
            [b"%d" % i for i in range(300)]


def test_a_subscriber_is_not_idle(service):
    kv = service(network_client_idle_timeout="1s")
    with kv.raw() as subscriber, kv.raw() as idle:
        subscriber.call("SUBSCRIBE", "a")
        idle.call("PING")
        assert idle.read_to_end() == b""
        with kv.raw() as other:
            assert other.call("PUBLISH", "a", "x") == 1
        assert subscriber.read() == [b"message", b"a", b"x"]


# ---- connections ----

def test_names_databases_and_protocols_outlive_deaths(service):
    kv = service()
    with kv.raw() as wire, kv.raw() as other:
        wire.call("HELLO", 3, "SETNAME", "me")
        wire.call("SELECT", 5)
        wire.call("SET", "k", "five")
        kill_business(kv)
        assert wire.call("CLIENT", "GETNAME") == b"me"
        assert wire.call("GET", "k") == b"five"
        mine = next(line for line in client_lines(other)
                    if line["name"] == "me")
        assert (mine["db"], mine["resp"]) == ("5", "3")
        assert other.call("GET", "k") is None


def test_a_pause_outlives_a_death_and_ends_in_time(service):
    kv = service()
    with kv.raw() as wire, kv.raw() as other:
        began = time.monotonic()
        assert other.call("CLIENT", "PAUSE", 700, "WRITE") == b"OK"
        wire.send("SET", "k", 1)
        wait_blocked(other, 1)
        kill_business(kv)
        assert other.call("GET", "k") is None
        assert wire.read() == b"OK"
        assert 0.65 < time.monotonic() - began < 4


def test_clients_are_listed_and_killed(service):
    kv = service()
    with kv.raw() as one, kv.raw() as two, kv.raw(unix=True) as three:
        one.call("CLIENT", "SETNAME", "one")
        two.call("SUBSCRIBE", "a")
        numbers = [wire.call("CLIENT", "ID") for wire in (one, three)]
        lines = client_lines(one)
        assert [line["name"] for line in lines].count("one") == 1
        assert sorted(line["flags"] for line in lines) == ["N", "P", "U"]
        listed = one.call("CLIENT", "LIST", "TYPE", "pubsub").decode()
        assert listed.count("\n") == 1 and " sub=1 " in listed
        listed = one.call("CLIENT", "LIST", "ID", *numbers).decode()
        assert listed.count("\n") == 2
        assert one.call("CLIENT", "KILL", "TYPE", "pubsub") == 1
        assert two.read_to_end() == b""
        address = next(line["addr"] for line in lines if line["flags"] == "U")
        assert one.call("CLIENT", "KILL", address) == b"OK"
        assert three.read_to_end() == b""
        assert one.call("CLIENT", "KILL", "ID", numbers[0], "SKIPME", "no") == 1
        assert one.read_to_end() == b""


# ---- a password ----

@pytest.fixture
def secret(service, tmp_path):
    path = tmp_path / "password"
    path.write_text("open sesame\nnot this\n")
    return service(kv_requirepass_file=path)


def refusal(wire, *args):
    wire.send(*args)
    reply = wire.read()
    assert isinstance(reply, ReplyError), reply
    return str(reply)


def test_nothing_goes_without_the_password(secret):
    with secret.raw() as wire:
        assert refusal(wire, "GET", "k") == "NOAUTH Authentication required."
        assert refusal(wire, "MULTI").startswith("NOAUTH")
        assert refusal(wire, "HELLO", 3).startswith("NOAUTH HELLO must be")
        assert refusal(wire, "AUTH", "x").startswith("WRONGPASS")
        assert refusal(wire, "AUTH", "open sesam").startswith("WRONGPASS")
        assert refusal(wire, "AUTH", "open sesame2").startswith("WRONGPASS")
        assert refusal(wire, "AUTH", "other", "open sesame") \
            .startswith("WRONGPASS")
        assert refusal(wire, "NOSUCH").startswith("ERR unknown command")
        assert wire.call("AUTH", "open sesame") == b"OK"
        assert wire.call("GET", "k") is None
        kill_business_behind(secret)
        assert wire.call("GET", "k") is None
        assert wire.call("RESET") == b"RESET"
        assert refusal(wire, "GET", "k").startswith("NOAUTH")
        assert wire.call("AUTH", "default", "open sesame") == b"OK"
    with secret.raw() as wire:
        assert wire.call("HELLO", 3, "AUTH", "default", "open sesame")
        assert wire.call("SET", "k", 1) == b"OK"


def kill_business_behind(kv):
    """wait_for_successor asks for a PING, which needs the password here."""
    pid = kv.business_pid
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: kv.find_child("business") not in (None, pid),
               "a successor")


def test_without_its_password_file_nothing_is_served(daemon, tmp_path):
    kv = daemon(kv_requirepass_file=tmp_path / "absent",
                restart_burst=2, restart_on_limit="exit")
    kv.start_refused()
    assert "read a password from" in kv.log()
