#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Boot the machine's own systemd as PID 1 of namespaces of its own.

    machine_boot.py DIR OWNER_FD [LAYER]

The root is an overlay of /: what is written goes to a tmpfs that nobody else
sees; a copy of LAYER, a directory, is there from the start. Three processes:

    keeper     ends the others when OWNER_FD, a pipe, is closed: when whoever
               asked for the machine has ended, however. Removes DIR and the
               cgroups, all that the machine has outside of its namespaces.
    entrance   joins the cgroups, makes the namespaces, waits for PID 1.
    PID 1      arranges the mounts, then becomes systemd.

Each dies with the one before it. Only the empty cgroups of a keeper that was
itself killed stay; the next keeper removes them.

In DIR: pid (of PID 1, as seen from outside), host/ (seen as /run/host inside;
systemd says READY=1 on the socket host/notify), kmsg (what is said before the
journal is there, and why a boot failed), fs/ (the tmpfs).
"""
import ctypes
import os
import select
import shutil
import signal
import sys
import time
import traceback
import uuid
from pathlib import Path

NAME = "refork-machine-"
SYSTEMD = "/lib/systemd/systemd"
MACHINE_ID = "5ec0de00000040008000000000000001"

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = \
    0x20000, 0x2000000, 0x4000000, 0x8000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
NAMESPACES = (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
              CLONE_NEWPID | CLONE_NEWNET)
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC = 0x20, 0x1000, 0x4000
MS_PRIVATE, MS_SHARED = 0x40000, 0x100000
MNT_DETACH = 2
QUIET = MS_NOSUID | MS_NODEV | MS_NOEXEC
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

# What a booted machine needs of its targets; all else is not started.
WANTED = {"sysinit.target": ["systemd-journald.service"],
          "sockets.target": ["systemd-journald.socket",
                             "systemd-journald-dev-log.socket"]}
TARGET = "machine.target"
SETTINGS = {
    f"run/systemd/system/{TARGET}":
        "[Unit]\nRequires=basic.target\nAfter=basic.target\n"
        "AllowIsolate=yes\n",
    "run/systemd/journald.conf.d/machine.conf":
        "[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=\n"
        "RateLimitIntervalSec=0\nForwardToSyslog=no\nForwardToWall=no\n",
    "run/systemd/system.conf.d/machine.conf":
        "[Manager]\nDumpCore=no\nCrashShell=no\nShowStatus=no\n",
    # The kernel's audit is not ours to turn on or off. Empty: masked.
    "run/systemd/system/systemd-journald-audit.socket": "",
    "etc/machine-id": MACHINE_ID + "\n",
    "etc/fstab": "",
}

libc = ctypes.CDLL(None, use_errno=True)


# ---- system calls ----

def checked(result, what):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def mount(source, target, kind=None, flags=0, data=None):
    def text(value):
        return None if value is None else os.fsencode(value)
    checked(libc.mount(text(source), text(target), text(kind),
                       ctypes.c_ulong(flags), text(data)),
            f"mount {kind or 'bind'} on {target}")


def bind(source, target, read_only=False):
    """A file or a directory, seen there as well."""
    mount(source, target, flags=MS_BIND)
    if read_only:
        mount(None, target, flags=MS_BIND | MS_REMOUNT | MS_RDONLY)


def die_with_parent(parent):
    checked(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    if os.getppid() != parent:
        os._exit(1)


def fork(work):
    """A child that does this and ends; dies with us."""
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            die_with_parent(parent)
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    return pid


# ---- cgroups ----

def hierarchies():
    """[(controllers, where it is mounted, our cgroup there)]; "" is that of
    version 2. Not to be asked from a new cgroup namespace: there the roots are
    others."""
    mounted = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        kind, _, options = rest.split(" ", 2)
        where = fields.split()[4]
        if kind == "cgroup2":
            mounted[""] = where
        elif kind == "cgroup" and fields.split()[3] == "/":
            mounted[where] = set(options.split(","))
    found = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        where = mounted.get("") if not controllers else next(
            (at for at, options in mounted.items()
             if at and set(controllers.split(",")) <= set(options)), None)
        if where:
            found.append((controllers, Path(where), path.strip("/")))
    return found


def cgroup_homes():
    """The directories in which the machine's cgroups are made."""
    homes = []
    for controllers, where, path in hierarchies():
        # With version 2 only the true root may hold processes and still hand
        # controllers down.
        if not controllers and not (where / "cgroup.type").exists():
            path = ""
        homes.append(where / path)
    return homes


def make_cgroups(name):
    made = []
    for home in cgroup_homes():
        new = home / name
        offered = home / "cgroup.controllers"
        if offered.exists():
            for controller in offered.read_text().split():
                try:
                    (home / "cgroup.subtree_control").write_text(
                        "+" + controller)
                except OSError:
                    pass  # processes stand beside us
        new.mkdir()
        made.append(new)
        for file in "cpuset.cpus", "cpuset.mems":
            if (new / file).exists() and (home / file).read_text().strip():
                (new / file).write_text((home / file).read_text())
    return made


def remove_cgroups(cgroups):
    """They are empty a moment after the last process has ended."""
    for top in cgroups:
        for _ in range(100):
            for folder, *_ in os.walk(top, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    pass
            if not top.exists():
                break
            time.sleep(0.02)


def is_gone(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"


def left_by_others():
    """The cgroups of keepers that are no more."""
    return [path for home in cgroup_homes() for path in home.glob(NAME + "*")
            if is_gone(path.name.removeprefix(NAME))]


# ---- PID 1 ----

def arrange_devices(root):
    mount("tmpfs", root / "dev", "tmpfs", MS_NOSUID, "mode=0755")
    for name in "pts", "shm", "mqueue":
        (root / "dev" / name).mkdir()
    mount("devpts", root / "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
          "newinstance,ptmxmode=0666,mode=620,gid=5")
    mount("tmpfs", root / "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV,
          "mode=1777")
    mount("mqueue", root / "dev/mqueue", "mqueue", QUIET)
    for name in "null", "zero", "full", "random", "urandom", "tty":
        seen = os.stat(f"/dev/{name}")
        os.mknod(root / "dev" / name, seen.st_mode, seen.st_rdev)
        os.chmod(root / "dev" / name, 0o666)
    for name, target in {"ptmx": "pts/ptmx", "fd": "/proc/self/fd",
                         "stdin": "/proc/self/fd/0",
                         "stdout": "/proc/self/fd/1",
                         "stderr": "/proc/self/fd/2"}.items():
        (root / "dev" / name).symlink_to(target)


def arrange_kernel(root, directory):
    """/proc and /sys: of the kernel that is not ours only our network's
    settings can be written."""
    mount("proc", root / "proc", "proc", QUIET)
    for name, read_only in (("sys", False), ("sys/net", False),
                            ("sysrq-trigger", True), ("irq", True)):
        if (root / "proc" / name).exists():
            bind(root / "proc" / name, root / "proc" / name, read_only)
    boot_id = directory / "fs" / "boot_id"
    boot_id.write_text(f"{uuid.uuid4()}\n")
    bind(boot_id, root / "proc/sys/kernel/random/boot_id")
    mount(None, root / "proc/sys", flags=MS_BIND | MS_REMOUNT | MS_RDONLY)
    mount("sysfs", root / "sys", "sysfs", QUIET | MS_RDONLY)


def arrange_cgroups(root, names):
    top = root / "sys/fs/cgroup"
    if not any(names):
        mount("cgroup2", top, "cgroup2", QUIET)
        return
    mount("tmpfs", top, "tmpfs", QUIET, "mode=0755")
    for name in {*names, "name=systemd"}:
        where = top / (name.removeprefix("name=") or "unified")
        where.mkdir()
        if not name:
            mount("cgroup2", where, "cgroup2", QUIET)
            continue
        mount("cgroup", where, "cgroup", QUIET,
              f"none,{name}" if "=" in name else name)
        for part in name.split(",") if "," in name else ():
            (top / part).symlink_to(name)
    mount(None, top, flags=MS_BIND | MS_REMOUNT | MS_RDONLY)


def arrange_units(root):
    """Nothing is started but what WANTED says, and nothing generated."""
    for base in "etc/systemd", "usr/lib/systemd", "lib/systemd":
        for pattern in ("system/*.wants", "system/*.requires",
                        "*-generators"):
            for folder in (root / base).glob(pattern):
                shutil.rmtree(folder)
    for path, text in SETTINGS.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).unlink(missing_ok=True)
        (root / path).write_text(text)
    for target, units in WANTED.items():
        wants = root / "run/systemd/system" / f"{target}.wants"
        wants.mkdir()
        for unit in units:
            (wants / unit).symlink_to(f"/usr/lib/systemd/system/{unit}")


def arrange(directory, layer, names):
    """The machine's root, where we are in the end."""
    files, root = directory / "fs", directory / "fs/root"
    mount(None, "/", flags=MS_REC | MS_PRIVATE)
    mount("tmpfs", files, "tmpfs", 0, "mode=0755")
    for name in "root", "upper", "work":
        (files / name).mkdir()
    if layer:
        shutil.copytree(layer, files / "upper", symlinks=True,
                        dirs_exist_ok=True)
        (files / "upper").chmod(0o755)
    mount("overlay", root, "overlay", 0, "lowerdir=/,"
          f"upperdir={files / 'upper'},workdir={files / 'work'}")
    mount("tmpfs", root / "run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755")
    mount("tmpfs", root / "tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    if (root / "var/log/journal").is_dir():
        shutil.rmtree(root / "var/log/journal")
    arrange_devices(root)
    (root / "dev/kmsg").touch()
    bind(directory / "kmsg", root / "dev/kmsg")
    arrange_kernel(root, directory)
    arrange_cgroups(root, names)
    arrange_units(root)
    (root / "run/host").mkdir()
    bind(directory / "host", root / "run/host")
    (root / "run/old").mkdir()
    os.chdir(root)
    checked(libc.syscall(SYS_PIVOT_ROOT[os.uname().machine], b".", b"run/old"),
            "pivot_root")
    checked(libc.umount2(b"/run/old", MNT_DETACH), "umount")
    os.rmdir("/run/old")
    # Within the machine mounts spread, as systemd has it where it can.
    mount(None, "/", flags=MS_REC | MS_SHARED)


def become_systemd(directory, layer, names):
    arrange(directory, layer, names)
    os.setsid()
    os.execve(SYSTEMD, [SYSTEMD, "--system", f"--unit={TARGET}",
                        "--show-status=no",
                        "--log-target=journal-or-kmsg"],
              {"container": "refork-tests", "LANG": "C.UTF-8",
               "NOTIFY_SOCKET": "/run/host/notify",
               "PATH": "/usr/local/sbin:/usr/local/bin:"
                       "/usr/sbin:/usr/bin:/sbin:/bin"})


# ---- the entrance, the keeper ----

def enter(directory, layer, cgroups):
    names = [name for name, *_ in hierarchies()]
    for cgroup in cgroups:
        (cgroup / "cgroup.procs").write_text(str(os.getpid()))
    checked(libc.unshare(NAMESPACES), "unshare")
    # Its parent is seen as 0 from inside: watch over it from here.
    pid = os.fork()
    if pid == 0:
        try:
            checked(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0),
                    "prctl")
            become_systemd(directory, layer, names)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    (directory / "pid.new").write_text(str(pid))
    (directory / "pid.new").rename(directory / "pid")
    os.waitpid(pid, 0)


def end_children():
    """PID 1 has become our child; with it ends all that it started."""
    me = os.getpid()
    children = Path(f"/proc/{me}/task/{me}/children").read_text()
    for child in map(int, children.split()):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def keep(directory, owner_fd, layer):
    # The Ctrl-C of a terminal is for whoever holds the pipe.
    os.setsid()
    os.umask(0o022)
    checked(libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")
    with open(directory / "kmsg", "ab") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    cgroups = []
    try:
        remove_cgroups(left_by_others())
        cgroups = make_cgroups(f"{NAME}{os.getpid()}")
        entrance = fork(lambda: enter(directory, layer, cgroups))
        pidfd = os.pidfd_open(entrance)
        ended, *_ = select.select([owner_fd, pidfd], [], [])
        if pidfd in ended:
            (directory / "ended").touch()
            select.select([owner_fd], [], [])
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.waitpid(entrance, 0)
        end_children()
    except BaseException:
        traceback.print_exc()
        (directory / "ended").touch()
        select.select([owner_fd], [], [])
    finally:
        remove_cgroups(cgroups)
        shutil.rmtree(directory, ignore_errors=True)


# ---- whether it can be done ----

def try_out(directory):
    """What the kernel or a container around us may forbid; raises OSError."""
    checked(libc.unshare(NAMESPACES), "unshare")
    mount(None, "/", flags=MS_REC | MS_PRIVATE)
    mount("tmpfs", directory, "tmpfs")
    for name in "root", "upper", "work":
        (directory / name).mkdir()
    mount("overlay", directory / "root", "overlay", 0,
          f"lowerdir=/,upperdir={directory / 'upper'},"
          f"workdir={directory / 'work'}")
    # As PID 1 of the new namespace: only its own /proc may be mounted.
    def proc():
        mount("proc", directory / "root/proc", "proc", QUIET)
        mount("sysfs", directory / "root/sys", "sysfs", QUIET | MS_RDONLY)
    pid = os.fork()
    if pid == 0:
        try:
            proc()
            os._exit(0)
        except OSError as error:
            os._exit(error.errno)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        raise OSError(status, f"mount of /proc or /sys: {os.strerror(status)}")


def check(directory):
    """0, or 1 and the reason on stdout."""
    cgroups = []
    try:
        if not os.access(SYSTEMD, os.X_OK):
            raise OSError(0, f"no {SYSTEMD}")
        cgroups = make_cgroups(f"{NAME}{os.getpid()}")
        try_out(directory)
        return 0
    except OSError as error:
        print(error.strerror + (f" ({error.filename})" if error.filename
                                else ""))
        return 1
    finally:
        remove_cgroups(cgroups)


if __name__ == "__main__":
    if sys.argv[1] == "--check":
        sys.exit(check(Path(sys.argv[2])))
    keep(Path(sys.argv[1]), int(sys.argv[2]),
         sys.argv[3] if len(sys.argv) > 3 else None)
