# SPDX-License-Identifier: MIT
"""Services on each of the backends, and what can be seen of their memory."""
import contextlib
import ctypes
import json
import re
import threading
from pathlib import Path

from service import TOP

BACKENDS = ("posix", "memfd", "sysv", "file")
SURVIVORS = ("posix", "sysv", "file")  # of a killed supervisor

ARENA_BASE = "566000000000-"
SUPER_BYTES = 4096
BOOT_ID_BYTES = 16

IPC_CREAT, IPC_EXCL, IPC_RMID = 0o1000, 0o2000, 0
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p


def settings(backend, **more):
    """Of a Service: small, and given up at a stop."""
    chosen = {"arena_backend": backend, "arena_size": "16M",
              "arena_max": None if backend == "sysv" else "64M",
              "arena_on_stop": "release", **more}
    return chosen


def arena_path(service):
    """The file of backend file, and that of the lock of sysv."""
    return Path(service.settings["refork_state_dir"]) / \
        f"{service.name}.arena"


def sysv_rows():
    """[{"key": 1375748216, "shmid": 7, ...}]"""
    head, *rows = Path("/proc/sysvipc/shm").read_text().splitlines()
    return [dict(zip(head.split(), map(int, row.split()))) for row in rows]


def sysv_id(path):
    """Which segment the file is the lock of; None: of none that stands."""
    with contextlib.suppress(OSError):
        note = re.match(rb"refork: lock of shared memory id (\d+),",
                        path.read_bytes())
        if note and int(note[1]) in [row["shmid"] for row in sysv_rows()]:
            return int(note[1])
    return None


def remove_sysv(shmid):
    libc.shmctl(shmid, IPC_RMID, None)


def what_stands(service):
    """Every trace of its arena; not of its status segment."""
    traces = [path for path in service.segments()
              if ":status" not in path.name]
    if arena_path(service).parent.exists():
        for path in arena_path(service).parent.glob("*.arena*"):
            shmid = sysv_id(path)
            traces += [path] if shmid is None else [path, shmid]
    return traces


def remove_all(service):
    for trace in what_stands(service):
        if isinstance(trace, int):
            remove_sysv(trace)
        else:
            trace.unlink()


def arena_mapping(pid):
    """Its lines in smaps, as one text; "": it has none."""
    text = Path(f"/proc/{pid}/smaps").read_text()
    parts = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", text, flags=re.MULTILINE)
    found = [part for part in parts if part.startswith("5660")]
    return "".join(found)


class Writer(threading.Thread):
    """Counts up in one key and appends new ones, until the wire breaks; knows
    what was acknowledged."""

    def __init__(self, service, start):
        super().__init__(daemon=True)
        self.wire = service.raw()
        self.acknowledged = start
        self.start()

    def run(self):
        with contextlib.suppress(OSError, AssertionError, EOFError):
            while True:
                number = self.acknowledged + 1
                reply = self.wire.call("SET", f"key:{number}", number)
                if reply != b"OK":
                    return
                self.acknowledged = number

    def finish(self):
        self.join(20)
        assert not self.is_alive()
        self.wire.close()
        return self.acknowledged


def assert_all_there(service, acknowledged):
    """One more may be there, whose answer was lost."""
    with service.raw() as wire:
        replies = wire.pipeline([("GET", f"key:{i + 1}")
                                 for i in range(acknowledged)])
        assert replies == [str(i + 1).encode() for i in range(acknowledged)]
        assert wire.call("DBSIZE") - acknowledged in (0, 1)
    assert ARENA_BASE in arena_mapping(service.business_pid)


# ---- as the commands and the page on memory tell it ----

def listed(kv, *arguments):
    out = kv.control("--json", "arena", "list", *arguments).stdout
    rows = [json.loads(line) for line in re.split(r"\n(?=\{)", out) if line]
    return {row["name"]: row for row in rows if kv.name in row["name"] or
            kv.name in row["path"]}


def arena_row(kv, *arguments):
    return next(row for row in listed(kv, *arguments).values()
                if row["holds"] == "arena")


def table():
    """{row: {backend: word}}"""
    lines = [[cell.strip() for cell in line.strip("|").split("|")]
             for line in (TOP / "docs/memory.md").read_text().split("\n")
             if line.startswith("|")]
    head = next(i for i, cells in enumerate(lines)
                if cells == ["", *BACKENDS])
    rows = {}
    for cells in lines[head + 2:]:
        if len(cells) != len(BACKENDS) + 1:
            break
        rows[cells[0]] = dict(zip(BACKENDS, cells[1:]))
    return rows


# ---- the machine's run ----

def this_boot():
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return bytes.fromhex(file.read().strip().replace("-", ""))


def change_boot_id(path):
    """As it would be after the machine went down and up again: what stands in
    the file is of another run."""
    boot = this_boot()
    with open(path, "r+b") as file:
        head = file.read(4096)
        assert head.count(boot) == 1
        file.seek(head.index(boot))
        file.write(bytes(BOOT_ID_BYTES))
