#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Write tests/FAULTS.md from the tables that the tests run."""
from pathlib import Path

from faults import in_words, markdown

PAGE = Path(__file__).resolve().parents[1] / "FAULTS.md"

INTRODUCTION = """# What happens when

Each row is a test: tests/system/test_faults.py and test_signals.py run these
tables, and this page is made from them (tests/system/faults_page.py). In every
row the client counts: no request is lost, doubled or reordered. A client that
sees "a pause" keeps its connection and gets every answer.

## Faults

With the defaults, unless the row says otherwise. Of the counters in
`reforkctl --json status` only those named move.
"""

SIGNALS = """
## Signals

A signal to each process in each state that can be held, by `kill`. "-": there
is no such process then.
"""


def page():
    from test_faults import ROWS
    from test_signals import OUTCOMES, table_of_signals
    lines = [INTRODUCTION, *markdown(
        ["fault", "a client sees", "what happens", "counters that move"],
        ([row.fault, row.client, row.daemon, in_words(row.counts)]
         for row in ROWS)), SIGNALS]
    head, rows = table_of_signals()
    lines += [*markdown(head, rows), "", *markdown(
        ["outcome", "means"], ([name, outcome.means] for name, outcome
                               in OUTCOMES.items()))]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
