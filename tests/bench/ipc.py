# SPDX-License-Identifier: MIT
"""refork's ring beside the other ways between two processes: docs/ipc.svg.

Rounds of everything alternate (bench_ipc.c), and medians are printed.
"""
import math
import os
import statistics
import subprocess
from pathlib import Path

from measure import QUICK, output_of, say, table
from picture import line, text
from service import BUILD

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "ipc.svg"
ROUNDS = 1 if QUICK else 7
SIZES = [64, 512, 4096]
PROGRAM = BUILD / "bench" / "bench_ipc"


def size_words(size):
    return f"{size} B" if size < 1024 else f"{size // 1024} KiB"


# ---- measuring ----

def run_rounds(directory):
    """{(way, cores, size): [per second, p50 us, p99 us]}, medians."""
    found = {}
    for _ in range(ROUNDS):
        said = subprocess.run([PROGRAM], cwd=directory, check=True, text=True,
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE).stdout
        for row in said.split("\n")[:-1]:
            way, cores, size, *numbers = row.split(";")
            found.setdefault((way, int(cores), int(size)), []).append(
                [float(number) for number in numbers])
    return {cell: [statistics.median(column) for column in zip(*runs)]
            for cell, runs in found.items()}


def hands_over():
    """{way: how it hands messages over}"""
    return dict(row.split(";") for row in
                output_of(PROGRAM, "ways").split("\n")[:-1])


def rate_words(per_s):
    return f"{per_s / 1e6:.2f}"


def tell(found, ways):
    rows = []
    for way, how in ways.items():
        for cores in 2, 1:
            cells = [found.get((way, cores, size)) for size in SIZES]
            if not all(cells):
                continue
            name = [way, how] if cores == 2 else ["", ""]
            rows.append([*name, cores,
                         *(rate_words(cell[0]) for cell in cells),
                         *(f"{cell[1]:.1f} / {cell[2]:.1f}"
                           for cell in cells)])
    table(["", "one way", "cores", *(f"M/s, {size_words(size)}"
                                     for size in SIZES),
           *(f"us, {size_words(size)}" for size in SIZES)], rows)


# ---- drawing ----

WIDTH, LEFT, RIGHT, GAP = 960, 236, 40, 64
TOP, ROW, BOTTOM = 104, 27, 92
PANEL = (WIDTH - LEFT - RIGHT - GAP) // 2
SHOWN = [(64, "small"), (4096, "big")]

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #57606a; }
.title { font-size: 17px; font-weight: 600; fill: #24292f; }
.name { font-size: 14px; font-weight: 600; fill: #24292f; }
.ours { font-weight: 600; fill: #24292f; }
.small-text { font-size: 12px; }
.grid { stroke: #8c959f; stroke-opacity: .3; }
circle { stroke-width: 1.8; }
.small { stroke: #0969da; fill: #0969da; }
.big { stroke: #bc4c00; fill: #bc4c00; }
.hollow { fill: none; }
@media (prefers-color-scheme: dark) {
  text { fill: #9198a1; } .title, .name, .ours { fill: #e6edf3; }
  .small { stroke: #4493f8; fill: #4493f8; }
  .big { stroke: #db6d28; fill: #db6d28; }
  .hollow { fill: none; }
}
"""


class Scale:
    """Logarithmic, whole powers of ten around what is to be shown."""

    def __init__(self, left, values):
        self.left = left
        self.low = math.floor(math.log10(min(values)))
        self.high = math.ceil(math.log10(max(values)))

    def x(self, value):
        part = (math.log10(value) - self.low) / (self.high - self.low)
        return self.left + PANEL * part

    def ticks(self):
        return [10.0 ** power for power in range(self.low, self.high + 1)]


def per_second_words(value):
    return f"{value / 1e6:g} M" if value >= 1e6 else f"{value / 1e3:g} k"


def microsecond_words(value):
    return f"{value:g} us" if value < 1000 else f"{value / 1000:g} ms"


def dot(x, y, kind, cores):
    hollow = "" if cores == 2 else " hollow"
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.6" ' \
        f'class="{kind}{hollow}"/>'


def panel(found, ways, index, title, words, left):
    scale = Scale(left, [found[way, cores, size][index] for way, cores, size
                         in found if size in dict(SHOWN)])
    foot = TOP + ROW * len(ways)
    yield text(left, TOP - 34, title, "name")
    for value in scale.ticks():
        yield line(scale.x(value), TOP - 8, scale.x(value), foot, "grid")
        yield text(scale.x(value), TOP - 14, words(value), "small-text",
                   "middle")
    for row, way in enumerate(ways):
        y = TOP + ROW * (row + 0.5)
        yield line(left, y, left + PANEL, y, "grid")
        for size, kind in SHOWN:
            for cores in 1, 2:
                if (way, cores, size) in found:
                    yield dot(scale.x(found[way, cores, size][index]), y,
                              kind, cores)


def legend(foot):
    at = LEFT
    for size, kind in SHOWN:
        for cores, where in (2, "two cores"), (1, "one core"):
            yield dot(at, foot - 4, kind, cores)
            yield text(at + 10, foot, f"{size_words(size)}, {where}",
                       "small-text")
            at += 150


def draw(found, ways):
    foot = TOP + ROW * len(ways)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} '
        f'{foot + BOTTOM}" role="img" aria-label="Messages a second and round '
        f'trip of {len(ways)} ways between two processes">',
        f"<style>{STYLE}</style>",
        text(24, 32, "Ways to bring a message to another process", "title")]
    for row, way in enumerate(ways):
        parts.append(text(LEFT - 16, TOP + ROW * (row + 0.5) + 4, way,
                          "ours" if way.startswith("refork") else "", "end"))
    parts += [*panel(found, ways, 0, "messages a second, one way",
                     per_second_words, LEFT),
              *panel(found, ways, 1, "round trip, median", microsecond_words,
                     LEFT + PANEL + GAP),
              *legend(foot + 34),
              text(LEFT, foot + 60, "Every byte is written by the sender and "
                   "summed by the receiver; both axes logarithmic.",
                   "small-text"),
              "</svg>"]
    return "\n".join(parts) + "\n"


def bench_ipc(directory):
    found = run_rounds(directory)
    ways = hands_over()
    say("## Between two processes", "",
        "Million messages a second one way, and microseconds for a round trip "
        "(median / p99);", f"every byte written by the sender and summed by "
        f"the receiver, {ROUNDS} alternating rounds, medians.", "")
    tell(found, ways)
    if not QUICK and os.cpu_count() > 1:
        PICTURE.write_text(draw(found, ways))
        say(f"Drawn: docs/{PICTURE.name}.", "")
