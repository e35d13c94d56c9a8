# SPDX-License-Identifier: MIT
"""A service manager that a test can hold in its hand.

It does with descriptors what systemd does: keeps what it is sent under names,
hands it to each start, forgets it at a stop. Nothing else of systemd is here;
what a real one does is proven elsewhere.

    manager = Manager(directory)
    kv = Managed(directory, manager, **overrides)
    kv.start(); kv.kill9(); kv.start()    the state is back
    kv.restart()                          as `systemctl restart`
    kv.stop()                             as `systemctl stop`
"""
import array
import contextlib
import ctypes
import fcntl
import os
import platform
import select
import signal
import socket
import struct
import subprocess
import threading
import time

from service import PATIENCE_S, BUILD, Service, wait_until

FIRST_FD = 3         # SD_LISTEN_FDS_START
FAR_FD = 700         # beyond all that a start is given
FDS_MAX = 253        # in one message
MESSAGE_BYTES = 4096

KCMP = {"x86_64": 312, "aarch64": 272}
libc = ctypes.CDLL(None, use_errno=True)

# The numbers are right only in the process that becomes the daemon.
LAUNCH = """
at={first}
for fd in {fds}; do eval "exec $at<&$fd $fd<&-"; at=$((at + 1)); done
export LISTEN_PID=$$
exec "$@"
"""


def is_same_file(one, other):
    """Both are the same open file description."""
    number = KCMP.get(platform.machine())
    pid = os.getpid()
    return number is not None and libc.syscall(
        number, pid, pid, 0, ctypes.c_ulong(one), ctypes.c_ulong(other)) == 0


class Manager:
    """Listens at a socket of its own, in a thread.

    kept      [(name, descriptor)], the newest first, as systemd hands them out
    messages  [(pid, text)]: all that was said
    room      descriptors more than that are dropped without a word
    deaf      while true, nothing is read: the manager hangs
    """

    def __init__(self, directory, room=256):
        self.room = room
        self.kept = []
        self.messages = []
        self.given = []  # from elsewhere, as socket units do: (name, fd)
        self.lock = threading.RLock()
        self.deaf = threading.Event()
        self.ending = False
        self.path = str(directory / "manager.notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.bind(self.path)
        self.socket.setblocking(False)
        self.poll = select.poll()
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def close(self):
        self.ending = True
        self.thread.join(PATIENCE_S)
        self.socket.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self.forget()

    # -- what it hears --

    def listen(self):
        while not self.ending:
            if not self.deaf.is_set():
                select.select([self.socket], [], [], 0.05)
                self.hear_all()
            else:
                time.sleep(0.01)
            self.drop_hung_up()

    def hear_all(self):
        """What was said before, also by those that are dead."""
        with self.lock, contextlib.suppress(BlockingIOError):
            while True:
                self.receive()

    def receive(self):
        data, ancillary, _, _ = self.socket.recvmsg(
            MESSAGE_BYTES, socket.CMSG_SPACE(4 * FDS_MAX) +
            socket.CMSG_SPACE(12), socket.MSG_CMSG_CLOEXEC)
        fds, pid = array.array("i"), 0
        for level, kind, payload in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(payload[:len(payload) // 4 * 4])
            elif (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
                pid = struct.unpack("3i", payload)[0]
        text = data.decode(errors="replace")
        self.obey(dict(line.partition("=")[::2]
                       for line in text.split("\n")), list(fds))
        self.messages.append((pid, text))

    def obey(self, says, fds):
        name = says.get("FDNAME", "stored")
        if says.get("FDSTOREREMOVE") == "1":
            self.forget(name)
        elif says.get("FDSTORE") == "1":
            for fd in fds:
                self.keep(name, fd, says.get("FDPOLL") != "0")
            return
        for fd in fds:  # of a barrier: closing it is the answer
            os.close(fd)

    # -- what it keeps --

    def keep(self, name, fd, watch=False):
        """From now on it is the manager's to close."""
        with self.lock:
            if len(self.kept) >= self.room or \
                    any(is_same_file(fd, other) for _, other in self.kept):
                os.close(fd)
                return
            self.kept.insert(0, (name, fd))
            if watch:
                with contextlib.suppress(OSError, PermissionError):
                    self.poll.register(fd, select.POLLHUP)

    def drop_hung_up(self):
        with self.lock:
            for fd, events in self.poll.poll(0):
                if events & (select.POLLHUP | select.POLLERR |
                             select.POLLNVAL):
                    self.drop(lambda row, gone=fd: row[1] == gone)

    def drop(self, which):
        for row in [row for row in self.kept if which(row)]:
            self.kept.remove(row)
            with contextlib.suppress(KeyError):
                self.poll.unregister(row[1])
            os.close(row[1])

    def forget(self, name=None):
        """All of that name, or all."""
        with self.lock:
            self.drop(lambda row: name in (None, row[0]))

    def names(self):
        with self.lock:
            self.hear_all()
            return sorted(name for name, _ in self.kept)

    def wait_for_names(self, *names):
        wait_until(lambda: self.names() == sorted(names),
                   f"the store holds {names}")

    def give(self, name, fd):
        """Have a copy of it kept, as if the daemon had sent it."""
        self.keep(name, os.dup(fd))

    def find(self, name):
        """The first descriptor of that name; it stays the manager's."""
        with self.lock:
            return next((fd for kept, fd in self.kept if kept == name), None)

    def said(self):
        with self.lock:
            return [text for _, text in self.messages]

    def wait_until_said(self, line, since=0):
        """Messages are lines: "READY=1"."""
        wait_until(lambda: any(line in text.split("\n")
                               for text in self.said()[since:]),
                   f"the daemon says {line}")

    # -- what it starts --

    def launch(self, command, env, **options):
        """The command, given all that is kept. A Popen."""
        with self.lock:
            self.hear_all()
            rows = self.given + self.kept
            fds = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FAR_FD)
                   for _, fd in rows]
        script = LAUNCH.format(first=FIRST_FD,
                               fds=" ".join(map(str, fds)) or "")
        told = {"NOTIFY_SOCKET": self.path, "FDSTORE": str(self.room)}
        if rows:
            told |= {"LISTEN_FDS": str(len(rows)),
                     "LISTEN_FDNAMES": ":".join(name for name, _ in rows)}
        try:
            return subprocess.Popen(
                ["bash", "-c", script, "launch", *map(str, command)],
                pass_fds=fds, env={**env, **told}, **options)
        finally:
            for fd in fds:
                os.close(fd)


class Managed(Service):
    """A Service that a Manager starts.

    preserve  what is kept outlives stop(), as FileDescriptorStorePreserve=yes
    """

    def __init__(self, directory, manager, preserve=False, **options):
        super().__init__(directory, **options)
        self.manager = manager
        self.preserve = preserve

    def launch(self, *arguments):
        assert self.process is None or self.process.poll() is not None
        with open(self.log_path, "ab") as log:
            self.process = self.manager.launch(
                [*self.wrapper, BUILD / "reforkd", "-c", self.ini_path,
                 *arguments], {**os.environ, **self.env},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.directory, start_new_session=True)
        return self

    def start_refused(self, *arguments):
        """As a Service does; without the pause before the next try."""
        before = len(self.log())
        self.launch(*arguments)
        wait_until(lambda: self.process.poll() is not None or
                   "is to try again; leaving in" in self.log()[before:],
                   "it gives up")
        self.process.terminate()
        code = self.process.wait(PATIENCE_S)
        self.process = None
        return code, self.log()[before:]

    def restart(self):
        """systemctl restart: a planned end, and a start at once."""
        self.end()
        return self.start()

    def end(self):
        """The planned end alone; the store is as the daemon left it."""
        self.remember_pids()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE_S)
        self.process = None
        assert code == 0, f"exit status {code}:\n{self.log()}"
        self.assert_no_process_left()

    def stop(self, exit_code=0):
        """systemctl stop, and nothing of it is left. A socket file stays
        where it is until the store has forgotten its socket."""
        if self.process is not None:
            if self.process.poll() is None:
                self.remember_pids()
                self.process.send_signal(signal.SIGTERM)
                self.process.wait(PATIENCE_S)
            if not self.preserve:
                self.manager.forget()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.unix_path)
        super().stop(exit_code)
