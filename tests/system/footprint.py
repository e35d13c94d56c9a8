# SPDX-License-Identifier: MIT
"""What a service occupies: descriptors, memory, processes, segments."""
import os
import re
import time
from collections import Counter
from pathlib import Path

from service import (BUILD, MAPPED_ROLES, blocks_signals, children_of,
                     process_title, wait_until)

# The supervisor's heap may settle a little; it must not grow by the crash.
GROWTH_KIB_MAX = 192

# Longer than what helps the dead is kept for.
STILL_S = 0.4


def anonymous_kib(pid):
    """The memory that a process has for itself."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^RssAnon:\s+(\d+)", text, re.MULTILINE)[1])


def kind_of(target):
    """Without what differs from one to the next: "socket:[812]"."""
    target = re.sub(r"(refork-worker:).*", r"\1", target)
    return re.sub(r":?\[\d+\]$|:[\w-]*:status$", "", target)


def descriptors(pid):
    """Counter of what the descriptors of a process are: "socket", "pidfd".
    None when it is gone."""
    found = Counter()
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            found[kind_of(os.readlink(entry.path))] += 1
    except OSError:
        return None
    return found


class Footprint:
    """Of a service at one moment; take it when nobody is connected."""

    def __init__(self, service):
        self.memory_kib = anonymous_kib(service.supervisor_pid)
        self.segments = sorted(path.name for path in service.segments())
        # Those that a leak could add up in: network children share theirs.
        self.descriptors = {"supervisor": descriptors(service.supervisor_pid)}
        self.processes = Counter()
        for pid in children_of(service.supervisor_pid):
            role = process_title(pid).rpartition(" ")[2]
            if role in MAPPED_ROLES and blocks_signals(pid):
                role = "holder"
            self.processes[role] += 1
            if role in ("network", "vault"):
                self.descriptors[role] = descriptors(pid)

    def difference(self, later):
        """In words; "" when both are the same but for memory."""
        pairs = [("processes", self.processes, later.processes),
                 ("segments", Counter(self.segments),
                  Counter(later.segments))]
        pairs += [(f"descriptors of {role}", self.descriptors.get(role),
                   later.descriptors.get(role))
                  for role in {**self.descriptors, **later.descriptors}]
        return "; ".join(f"{what}: {describe(before, after)}"
                         for what, before, after in pairs if before != after)


def describe(before, after):
    if before is None or after is None:
        return "none" if after is None else "there are some"
    return f"more {dict(after - before)}, fewer {dict(before - after)}"


def assert_nothing_has_grown(service, before, memory_kib=None):
    """Once the service has settled, it occupies what it did before.

    memory_kib  of the supervisor, where it is not that of `before`
    """
    later = [None]

    def is_as_before():
        later[0] = Footprint(service)
        return not before.difference(later[0])
    try:
        wait_until(is_as_before, "it occupies what it did", every_s=0.1)
    except AssertionError as late:
        raise AssertionError(
            f"{late}: {before.difference(later[0])}") from None
    if "address" in BUILD.name:
        return      # the sanitizer keeps for a while what was freed
    grown = later[0].memory_kib - (memory_kib or before.memory_kib)
    assert grown <= GROWTH_KIB_MAX, \
        f"the supervisor's memory has grown by {grown} KiB"


def settled(service):
    """The Footprint of a service all of whose processes are there."""
    wait_until(service.standby_is_ready, "the standby is ready")
    wait_until(lambda: service.status()["clients"] == 0, "nobody is connected")
    wait_until(lambda: not service.children_titled("reporter"),
               "every crash is reported")
    found = [Footprint(service)]

    def is_still():
        found.insert(0, Footprint(service))
        return not found[0].difference(found[1])
    time.sleep(STILL_S)
    wait_until(is_still, "nothing changes any more", every_s=STILL_S)
    return found[0]
