#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Write docs/kv.md: how the kv worker differs from redis.

What is left out is redis's list of commands (redis_commands.txt, which
--record asks a redis-server for) less what stands in the command table.
"""
import sys
from collections import defaultdict
from pathlib import Path

from kv_table import rows

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "kv.md"
TEXT = HERE / "kv_page.md"
REDIS_COMMANDS = HERE / "redis_commands.txt"

# Why, by group.
REASONS = {
    "cluster": "there is one server; INFO says cluster_enabled:0",
    "connection": "no client-side caching",
    "generic": "these need other servers",
    "geo": "not yet",
    "hyperloglog": "not yet",
    "scripting": "no scripts; what is left of SCRIPT and FUNCTION answers as "
                 "a server with nothing loaded",
    "server": "no replication, ACL users, modules, MONITOR; to stop the "
              "service: `reforkctl shutdown`",
    "stream": "not yet",
}


def recorded():
    """name -> group"""
    return dict(line.split() for line in
                REDIS_COMMANDS.read_text().splitlines())


def left_out():
    """group -> names; of a command that is left out as a whole, only its
    own."""
    offered = {row.name for row in rows()}
    groups = defaultdict(list)
    for name, group in sorted(recorded().items()):
        parent = name.partition("|")[0]
        if name not in offered and (parent == name or parent in offered):
            groups[group].append(name.replace("|", " ").upper())
    return groups


def page():
    lines = ["| group | left out | why |", "|---|---|---|"]
    for group, names in sorted(left_out().items()):
        lines.append(f"| {group} | {', '.join(names)} | {REASONS[group]} |")
    offered = len({row.name for row in rows() if row.kind != "CONTAINER"})
    return TEXT.read_text().replace("{offered}", str(offered)).replace(
        "{left out}", "\n".join(lines))


def record():
    from transcript import Redis
    server = Redis()
    found = {}
    with server.raw() as wire:
        docs = wire.call("COMMAND", "DOCS")
        for name, doc in zip(docs[0::2], docs[1::2]):
            doc = dict(zip(doc[0::2], doc[1::2]))
            group = doc[b"group"].decode()
            found[name.decode()] = group
            for sub in doc.get(b"subcommands", [])[0::2]:
                found[sub.decode()] = group
    server.stop()
    REDIS_COMMANDS.write_text("".join(
        f"{name} {group}\n" for name, group in sorted(found.items())))


if __name__ == "__main__":
    if sys.argv[1:] == ["--record"]:
        record()
    PAGE.write_text(page())
