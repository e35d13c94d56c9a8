# SPDX-License-Identifier: MIT
"""The control socket: whatever comes in, the supervisor goes on."""
import random
import socket
import time

import pytest

from service import wait_until


def connect(kv):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(str(kv.control_socket()))
    return s


def read_all(s):
    data = b""
    try:
        while piece := s.recv(65536):
            data += piece
    except ConnectionError:
        pass
    return data


def say(kv, data):
    with connect(kv) as s:
        try:
            s.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return read_all(s)


@pytest.mark.parametrize("line", [
    b"nonsense text\n", b"status\n", b"status fancy\n", b"status text more\n",
    b"crash-show text\n", b"a b c d e f g h i j k\n", b"%zz text\n",
    b"status te%00xt\n", b"%\n", b"\n", b"\0\n", b"st\xffatus text\n",
    b"crash-show text 99999999999999999999\n", b"crash-show text -1\n",
    b"quarantine-show text ../../etc/passwd\n", b"upgrade text %\n",
    b"restart text both\n",
    pytest.param(b"upgrade text /" + b"a" * 5000 + b"\n", id="long path")])
def test_a_wrong_line_is_answered_with_its_error(service, line):
    kv = service()
    assert say(kv, line).startswith(b"error: "), line
    assert say(kv, b"ping text\n") == b"ok\npong\n"


def test_a_line_that_is_too_long_ends_its_connection_only(service):
    kv = service()
    assert say(kv, b"status text " + b"x" * 100000) == b""
    assert say(kv, b"ping text\n") == b"ok\npong\n"


def test_noise_is_survived(service):
    kv = service()
    chance = random.Random(3)
    for _ in range(200):
        say(kv, chance.randbytes(chance.randrange(1, 200)) + b"\n")
    assert say(kv, b"ping text\n") == b"ok\npong\n"


def test_those_who_say_nothing_make_room_in_time(service):
    kv = service()
    silent = []
    for _ in range(100):
        try:
            silent.append(connect(kv))
        except BlockingIOError:  # so many wait already
            break
    assert len(silent) > 10
    for s in silent[::2]:
        s.sendall(b"stat")
    kv.control("ping")
    for s in silent:
        s.close()


def test_a_client_that_does_not_read_stalls_nobody(service):
    kv = service()
    lazy = [connect(kv) for _ in range(12)]
    for s in lazy:
        s.sendall(b"config-show json\n")
    began = time.monotonic()
    assert say(kv, b"ping text\n") == b"ok\npong\n"
    assert time.monotonic() - began < 2
    for s in lazy:
        s.close()


def test_a_client_that_leaves_does_not_undo_its_order(service):
    kv = service()
    for wanted in range(2, 6):
        with connect(kv) as s:
            s.sendall(b"restart text business\n")
        kv.control("wait", "--for", f"generation={wanted}", "--timeout", "20s")
        wait_until(lambda: kv.status()["standby_ready"], "it is as before")
    assert kv.status()["planned"] == 4
    assert kv.status()["crashes"] == 0
