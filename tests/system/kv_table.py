# SPDX-License-Identifier: MIT
"""The command table of the kv worker, read out of its .def files."""
import re
from pathlib import Path
from typing import NamedTuple

KV = Path(__file__).resolve().parents[2] / "worker" / "kv"


class Row(NamedTuple):
    kind: str           # COMMAND, CONTAINER, SUBCOMMAND
    name: str
    since: str
    complexity: str
    syntax: str
    summary: str


def columns(text):
    """The columns of a row: at each comma outside of quotes and brackets."""
    found, depth, quoted = [""], 0, False
    for before, char in zip(" " + text, text):
        if char == '"' and before != "\\":
            quoted = not quoted
        elif not quoted:
            depth += (char == "(") - (char == ")")
        if char == "," and not quoted and depth == 0:
            found.append("")
        else:
            found[-1] += char
    return found


def string(column):
    """"ab" "c" -> abc"""
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', column))


def rows():
    for path in sorted(KV.glob("*/*.def")):
        for match in re.finditer(
                r"^(COMMAND|CONTAINER|SUBCOMMAND)\((.*?)\)\n(?=\n|\Z)",
                path.read_text(), re.M | re.S):
            kind, rest = match[1], columns(match[2])
            if kind == "SUBCOMMAND":
                rest = rest[1:]
            yield Row(kind, string(rest[1]), *map(string, rest[4:8]))
