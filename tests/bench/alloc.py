# SPDX-License-Identifier: MIT
"""refork's heap beside other allocators, on the same steps (alloc_run.h).

Each round runs every allocator in a process of its own. Those that are not
installed are left out, and it is said which.
"""
import glob
import os
import statistics
import subprocess
from pathlib import Path

from measure import QUICK, on_core, say, table
from service import BUILD

ROUNDS = 1 if QUICK else 3
LIVE = [1000, 100_000] if QUICK else [1000, 100_000, 1_000_000]
LOADS = ["ETC", "Larson", "W6"]
ALL_LOADS = ["W2", "W3", "W4", "W5", "W6", "W7", "W8", "ETC", "USR", "Larson",
             "Robson"]
BENCH = Path(BUILD) / "bench"

# The steps by themselves: the last row, and taken off for the last columns.
NONE = "no allocator at all"

# No power fails here: libpmemobj is spared its cache flushes.
PMEM = {"PMEM_IS_PMEM_FORCE": "1", "PMEM_NO_FLUSH": "1"}


def library(name):
    """The path of a shared library of the system; "" when there is none."""
    return next(iter(sorted(glob.glob(f"/usr/lib/*/{name}.so.*"))), "")


def preloaded(name):
    path = library(name)
    return ("alloc_malloc", {"LD_PRELOAD": path}) if path else None


def contenders():
    """{name: (program, environment), or None when it is not here}"""
    found = {
        "refork, each pair a transaction": ("alloc_refork", {}),
        "glibc": ("alloc_malloc", {}),
        "jemalloc": preloaded("libjemalloc"),
        "mimalloc": preloaded("libmimalloc"),
        "Boost.Interprocess": ("alloc_boost", {}),
        "libpmemobj, each pair a transaction": ("alloc_pmem", PMEM),
        NONE: ("alloc_none", {})}
    return {name: what if what and (BENCH / what[0]).exists() else None
            for name, what in found.items()}


def run_once(program, environment, what, column=1):
    """Nanoseconds a step, for each of `what`; or another column."""
    said = subprocess.run(
        [*on_core("1"), BENCH / program, *map(str, what)], check=True,
        env={**os.environ, **environment}, stdin=subprocess.DEVNULL, text=True,
        stdout=subprocess.PIPE).stdout
    return [float(row.split(";")[column]) for row in said.split("\n")[:-1]]


def compare(here, what, head):
    """A table of medians, refork first, and how many times as long: as they
    are, and without what the steps take by themselves."""
    found = {name: [] for name in here}
    for _ in range(ROUNDS):
        for name, runs in found.items():
            runs.append(run_once(*here[name], what))
    ns = {name: [statistics.median(column) for column in zip(*runs)]
          for name, runs in found.items()}
    ours, none = next(iter(ns.values())), ns[NONE]

    def times(values, less):
        return [f"{(value - off) / (own - off):.2f}" if own > off else "-"
                for value, own, off in zip(values, ours, less)]

    table(["", *head, *(f"x refork, {word}" for word in head),
           *(f"without the steps, {word}" for word in head)],
          [[name, *(f"{value:.0f}" for value in values),
            *times(values, [0] * len(head)), *times(values, none)]
           for name, values in ns.items()])


def bench_alloc(_):
    known = contenders()
    here = {name: what for name, what in known.items() if what}
    say("## Allocators", "",
        "Nanoseconds of processor time for giving a block back and taking "
        "another one of", "16 to 1024 bytes, random lifetimes, by the number "
        f"of live blocks; {ROUNDS} alternating", "rounds, medians.", "")
    compare(here, LIVE, [f"{live:,}" for live in LIVE])
    say("The same for one taking or giving back in published loads "
        "(alloc_trace.h), 64 MiB live.", "")
    compare(here, LOADS, LOADS)
    say("refork's pages in use over the bytes of the live objects, at the end "
        "of each load.", "")
    times = run_once("alloc_refork", {}, ALL_LOADS, column=2)
    table(ALL_LOADS, [[f"{value:.2f}" for value in times]])
    for name in known:
        if name not in here:
            say(f"{name}: not installed, left out (make deps GROUP=bench)")
