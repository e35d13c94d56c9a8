# SPDX-License-Identifier: MIT
"""What a child cannot do, tried from inside of it."""
import ctypes
import errno
import json
import mmap
import os
import re
import shutil
import struct
from pathlib import Path

import pytest
from service import BUILD, TOP, wait_until

pytestmark = [
    pytest.mark.skipif(os.uname().machine != "x86_64",
                       reason="system calls are named by x86-64's numbers"),
    pytest.mark.skipif("address" in BUILD.name,
                       reason="an instrumented build is not confined"),
]

# Of x86-64.
NUMBERS = {
    "read": 0, "open": 2, "mmap": 9, "mprotect": 10, "ioctl": 16,
    "socket": 41, "connect": 42, "bind": 49, "setsockopt": 54, "clone": 56,
    "fork": 57, "vfork": 58, "execve": 59, "kill": 62, "fcntl": 72,
    "truncate": 76, "rename": 82, "mkdir": 83, "unlink": 87, "chmod": 90,
    "ptrace": 101, "setuid": 105, "prctl": 157, "chroot": 161, "mount": 165,
    "reboot": 169, "init_module": 175, "io_setup": 206, "tgkill": 234,
    "keyctl": 250, "openat": 257, "unshare": 272, "perf_event_open": 298,
    "prlimit64": 302, "setns": 308, "process_vm_readv": 310,
    "process_vm_writev": 311, "memfd_create": 319, "bpf": 321, "execveat": 322,
    "userfaultfd": 323, "io_uring_setup": 425, "pidfd_open": 434,
    "clone3": 435, "pidfd_getfd": 438, "unknown": 900,
}
FILE_BYTES, HEAD_BYTES, ARGUMENTS = 4096, 80, 6
RESULT_OFF = 72

AF_UNIX, AF_INET, STREAM, DGRAM = 1, 2, 1, 2
O_WRONLY, O_CREAT, O_DIRECTORY, AT_FDCWD = 1, 0o100, 0o200000, -100
LANDLOCK_ABI = ctypes.CDLL(None).syscall(444, None, 0, 1)

needs_landlock = pytest.mark.skipif(
    LANDLOCK_ABI < 6, reason=f"landlock ABI {LANDLOCK_ABI}: 6 is needed")


class Inside:
    """Makes system calls inside of a service's children."""

    def __init__(self, directory):
        self.path = directory / "try_call"
        self.path.write_bytes(bytes(FILE_BYTES))
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), FILE_BYTES)
        self.env = {"LD_PRELOAD": str(BUILD / "preload" / "try_call.so"),
                    "TRY_CALL": str(self.path)}

    def begin(self, pid, name, *arguments):
        texts, off, given, is_text = b"", HEAD_BYTES, [], 0
        for i, argument in enumerate(arguments):
            if isinstance(argument, (str, bytes)):
                text = (argument.encode() if isinstance(argument, str)
                        else argument) + b"\0"
                is_text |= 1 << i
                given.append(off + len(texts))
                texts += text
            else:
                given.append(argument)
        given += [0] * (ARGUMENTS - len(given))
        self.map[off:off + len(texts)] = texts
        self.map[8:HEAD_BYTES] = struct.pack(
            "=9q", NUMBERS[name], *given, is_text, 0)
        self.map[0:8] = struct.pack("=q", pid)

    def is_done(self):
        return struct.unpack("=q", self.map[0:8])[0] == 0

    def call(self, pid, name, *arguments):
        """What the call has returned; -errno."""
        self.begin(pid, name, *arguments)
        wait_until(self.is_done, f"{name} in process {pid}")
        return struct.unpack("=q", self.map[RESULT_OFF:HEAD_BYTES])[0]

    def forget(self):
        self.map[0:8] = bytes(8)

    def reads_memory_of(self, pid, other):
        """Eight bytes of a process, into one's own memory: process_vm_readv.
        The file stands at one address in all of them."""
        maps = Path(f"/proc/{pid}/maps").read_text()
        at = int(re.search(rf"^(\w+)-.*{self.path}$", maps,
                           re.MULTILINE)[1], 16)
        iov = struct.pack("=QQ", at + 2048, 8)
        return self.call(pid, "process_vm_readv", other, iov, 1, iov, 1, 0)


@pytest.fixture
def inside(tmp_path):
    return Inside(tmp_path)


def crashes(kv):
    return json.loads(kv.control("--json", "crashes").stdout)["crashes"]


def status_of(pid):
    text = Path(f"/proc/{pid}/status").read_text()
    return dict(re.findall(r"^(\w+):\s*(.*)$", text, re.MULTILINE))


def dies_of(kv, inside, role, name, *arguments):
    """The call ends the process, and the record says which it was."""
    victim = kv.child_titled(role)
    inside.begin(victim, name, *arguments)
    kv.wait_for_successor(victim, role)
    inside.forget()
    crash = wait_until(
        lambda: [c for c in crashes(kv) if c["pid"] == victim],
        f"a record of {victim}")[0]
    assert crash["end"] == f"SIGSYS in system call {name}"
    part = "network" if role == "network" else "business"
    assert crash["reason"] == f"not allowed ({part}.confine)"


# ---- the network child ----

REFUSED_WITH_DEATH = [
    ("execve", "/bin/true", 0, 0),
    ("fork",),
    ("clone", 17, 0, 0, 0, 0),              # a child of its own
    ("clone", 0x10000000 | 17, 0, 0, 0, 0),  # in a namespace of its own
    ("ptrace", 16, 1),
    ("bind", 0, 0, 0),
    ("kill", 1, 0),
    ("unlink", "/nothing"),
    ("mount", "a", "/b", "c", 0, 0),
    ("process_vm_writev", 1, 0, 0, 0, 0, 0),
    ("setsockopt", 0, 1, 26, 0, 0),         # SO_ATTACH_FILTER
    ("memfd_create", "a", 0),
    ("io_uring_setup", 1, 0),
    ("bpf", 0, 0, 0),
]


def test_a_call_that_the_network_process_never_makes_ends_it_by_name(
        service, inside):
    kv = service(env=inside.env, restart_burst=1000)
    with kv.raw() as wire:
        wire.call("SET", "key", "value")
        for name, *arguments in REFUSED_WITH_DEATH:
            dies_of(kv, inside, "network", name, *arguments)
            assert wire.call("GET", "key") == b"value"


def test_what_a_libc_may_try_is_refused_to_the_network_process_with_an_errno(
        service, inside, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("of somebody")
    kv = service(env=inside.env)
    pid = kv.network_pid
    refused = [
        (errno.EACCES, "openat", AT_FDCWD, str(secret), 0, 0),
        (errno.EACCES, "openat", AT_FDCWD, str(secret), O_WRONLY, 0),
        (errno.EACCES, "openat", AT_FDCWD, str(tmp_path / "new"),
         O_CREAT | O_WRONLY, 0o600),
        (errno.EACCES, "open", str(secret), 0, 0),
        (errno.EACCES, "socket", AF_INET, STREAM, 0),
        (errno.EACCES, "socket", AF_UNIX, STREAM, 0),
        (errno.EACCES, "socket", AF_UNIX, DGRAM, 0),
        (errno.EACCES, "connect", 0, 0, 0),
        (errno.EACCES, "mmap", 0, 4096, 7, 0x22, -1, 0),
        (errno.EINVAL, "prctl", 4, 0, 0, 0, 0),      # PR_SET_DUMPABLE
        (errno.EPERM, "prlimit64", 1, 7, 0, 0),
        (errno.EPERM, "fcntl", 0, 8, 1),             # F_SETOWN
        (errno.ENOTTY, "ioctl", 0, 0x5412, 0),       # TIOCSTI
        (errno.ENOSYS, "clone3", 0, 0),
        (errno.ENOSYS, "unknown"),
    ]
    for error, name, *arguments in refused:
        assert inside.call(pid, name, *arguments) == -error, (name, arguments)
    assert kv.network_pid == pid
    assert not (tmp_path / "new").exists()


@needs_landlock
def test_the_network_process_lists_no_directory_but_of_proc_and_reaches_nobody(
        service, inside, tmp_path):
    kv = service(env=inside.env)
    pid, business = kv.network_pid, kv.business_pid
    listed = inside.call(pid, "openat", AT_FDCWD, "/proc/self/fd",
                         O_DIRECTORY, 0)
    assert listed >= 0
    assert inside.call(pid, "openat", AT_FDCWD, str(tmp_path), O_DIRECTORY,
                       0) == -errno.EACCES
    assert inside.call(pid, "tgkill", business, business, 0) == -errno.EPERM
    assert inside.call(pid, "tgkill", kv.supervisor_pid, kv.supervisor_pid,
                       0) == -errno.EPERM
    assert inside.call(pid, "tgkill", kv.vault_pid, kv.vault_pid, 0) == 0
    assert inside.reads_memory_of(pid, business) == -errno.EPERM
    assert inside.reads_memory_of(pid, pid) == 8


def kinds_of_descriptors(pid):
    """What they are, without numbers: {"anon_inode:[eventfd]", ...}."""
    kinds = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            to = os.readlink(entry)
        except FileNotFoundError:
            continue
        if int(entry.name) > 2:
            kinds.add(re.sub(r":\[\d+\]$", "",
                             to.replace(" (deleted)", "")))
    return kinds


def test_the_network_process_has_no_descriptor_and_no_mapping_of_the_arena(
        service):
    kv = service()
    for pid in kv.network_pid, kv.vault_pid:
        kinds = {re.sub(r"refork-\S*-(\w+)$", r"\1", kind)
                 for kind in kinds_of_descriptors(pid)}
        assert kinds == {"socket", "anon_inode:[eventfd]",
                         "anon_inode:[eventpoll]", "/memfd:channel",
                         "/memfd:front"}
        maps = Path(f"/proc/{pid}/maps").read_text()
        assert "566000000000" not in maps
        assert not re.search(rf"/dev/shm/refork-{kv.name}$", maps,
                             re.MULTILINE)


def test_each_child_has_given_up_what_the_documents_say(service):
    kv = service()
    for role in "network", "vault", "business", "standby":
        status = status_of(kv.child_titled(role))
        assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", role
        left = int(status["CapEff"], 16)
        if role in ("network", "vault"):
            assert left == 0 and int(status["CapPrm"], 16) == 0
        else:       # no SETUID, SYS_PTRACE, SYS_ADMIN, NET_ADMIN
            assert not left & (1 << 7 | 1 << 19 | 1 << 21 | 1 << 12)
    assert status_of(kv.supervisor_pid)["Seccomp"] == "0"


def test_confinement_is_off_where_the_configuration_says_so(service):
    kv = service(network_confine="no", business_confine="off")
    for role in "network", "vault", "business", "standby":
        status = status_of(kv.child_titled(role))
        assert status["NoNewPrivs"] == "0" and status["Seccomp"] == "0", role
    status = json.loads(kv.control("--json", "status").stdout)
    assert status["network_confined"] == status["business_confined"] == ""


def test_status_and_doctor_say_what_is_in_force(service):
    kv = service(business_confine="strict")
    status = json.loads(kv.control("--json", "status").stdout)
    whole = "rights files calls" if LANDLOCK_ABI > 0 else "rights calls"
    assert status["network_confined"] == whole
    assert status["business_confined"] == whole
    doctor = kv.control("doctor", check=False).stdout
    assert re.search(rf"^ok +confinement +network: {whole}; business "
                     rf"\(strict\): {whole}$", doctor, re.MULTILINE)
    assert re.search(r"^ok +seccomp ", doctor, re.MULTILINE)
    assert re.search(r"^\w+ +landlock ", doctor, re.MULTILINE)


def test_files_have_the_modes_that_the_document_says(service):
    kv = service(wrapper=["sh", "-c", 'umask 0; exec "$@"', "-"])
    with kv.raw() as wire:
        wire.send("DEBUG", "SEGFAULT")
        wire.read()
    user = "as root" if os.geteuid() == 0 else "of a user"
    state = Path(kv.settings["refork_state_dir"])
    wait_until((state / f"{kv.name}.crashes").exists, "records are written")
    page = (TOP / "docs" / "security.md").read_text()
    rows = re.findall(r"^\| `(\S+)`(?: (as root|of a user))? \| (0\d{3})",
                      page, re.MULTILINE)
    checked = 0
    for place, of, mode in rows:
        if of not in ("", user):
            continue
        path = Path(place.replace("runtime_dir", str(kv.runtime_dir))
                    .replace("state_dir", str(state)).replace("NAME", kv.name))
        assert path.lstat().st_mode & 0o777 == int(mode, 8), place
        checked += 1
    assert checked >= 8
    assert os.stat(kv.unix_path).st_mode & 0o777 == 0o777


# ---- the business child ----

@pytest.mark.parametrize("confine", ["basic", "strict"])
def test_a_worker_that_starts_a_program_or_reaches_out_ends_by_name(
        service, inside, confine):
    kv = service(env=inside.env, business_confine=confine, restart_burst=1000)
    tried = [("execve", "/bin/true", 0, 0), ("ptrace", 16, 1),
             ("mount", "a", "/b", "c", 0, 0), ("setuid", 0),
             ("clone", 0x10000000 | 17, 0, 0, 0, 0), ("bpf", 0, 0, 0)]
    if confine == "strict":
        tried += [("socket", AF_UNIX, STREAM, 0), ("connect", 0, 0, 0)]
    with kv.raw() as wire:
        wire.call("SET", "key", "value")
        for name, *arguments in tried:
            dies_of(kv, inside, "business", name, *arguments)
            assert wire.call("GET", "key") == b"value"


@needs_landlock
def test_a_strict_worker_changes_no_file_but_of_quarantined_requests(
        service, inside, tmp_path):
    file = tmp_path / "file"
    file.write_text("as it was")
    kv = service(env=inside.env, business_confine="strict")
    pid, supervisor = kv.business_pid, kv.supervisor_pid
    for name, *arguments in [
            ("openat", AT_FDCWD, str(file), O_WRONLY, 0),
            ("openat", AT_FDCWD, str(tmp_path / "new"), O_CREAT | O_WRONLY,
             0o600),
            ("unlink", str(file)), ("mkdir", str(tmp_path / "dir"), 0o700),
            ("truncate", str(file), 0)]:
        assert inside.call(pid, name, *arguments) == -errno.EACCES, name
    assert inside.call(pid, "openat", AT_FDCWD, str(file), 0, 0) >= 0
    assert inside.call(pid, "tgkill", supervisor, supervisor,
                       0) == -errno.EPERM
    assert inside.reads_memory_of(pid, supervisor) == -errno.EPERM
    assert file.read_text() == "as it was"
    with kv.raw() as wire:
        wire.send("DEBUG", "SEGFAULT")
        wire.read()
    assert "DEBUG SEGFAULT" in kv.control("quarantine", "list").stdout


def test_a_basic_worker_writes_files_and_makes_sockets(
        service, inside, tmp_path):
    kv = service(env=inside.env, business_confine="basic")
    pid = kv.business_pid
    assert inside.call(pid, "openat", AT_FDCWD, str(tmp_path / "new"),
                       O_CREAT | O_WRONLY, 0o600) >= 0
    assert inside.call(pid, "socket", AF_INET, STREAM, 0) >= 0
    assert inside.call(pid, "io_uring_setup", 1, 0) == -errno.ENOSYS
    assert inside.call(pid, "clone3", 0, 0) == -errno.ENOSYS


# ---- older kernels ----

def refusing(call, error):
    """A wrapper under which a system call fails in all processes."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    return ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e",
            f"inject={call}:error={error}"]


def test_a_kernel_without_landlock_is_said_once_and_done_without(service):
    kv = service(wrapper=refusing("landlock_create_ruleset", "ENOSYS"))
    with kv.raw() as wire:
        wire.send("DEBUG", "SEGFAULT")
        wire.read()
        assert wire.call("SET", "key", "value") == b"OK"
    assert kv.log().count("landlock: Function not implemented; it goes on "
                          "without") == 1
    status = json.loads(kv.control("--json", "status").stdout)
    assert status["network_confined"] == "rights calls"
    assert status["business_confined"] == "rights calls"
    doctor = kv.control("doctor", check=False).stdout
    assert re.search("^advice +confinement +network: rights calls;", doctor,
                     re.MULTILINE)


def test_a_filter_is_entered_also_where_seccomp_itself_is_refused(service):
    kv = service(wrapper=refusing("seccomp", "EPERM"))
    for role in "network", "business":
        assert status_of(kv.child_titled(role))["Seccomp"] == "2"
