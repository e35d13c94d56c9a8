# SPDX-License-Identifier: MIT
"""latency.svg: what one client waits for through 20 kills.

Above refork, below redis-server with an append-only file, restarted the moment
it is dead, as a service manager at its best would. Both hold the same keys
and get the same requests from the same program (probe.c).
"""
import math
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

from measure import QUICK, Redis, fill_keys, percentile, say
from service import BUILD, Service, wait_until

PICTURE = Path(__file__).resolve().parent / "latency.svg"
KILLS = 3 if QUICK else 20
KEYS = 20_000 if QUICK else 500_000
RATE = 2000
FIRST_KILL_S, KILL_EVERY_S = 2.0, 3.0
SECONDS = FIRST_KILL_S + KILLS * KILL_EVERY_S
LOOK_AHEAD_S = 0.5
# The requests that a kill can meet.
BEFORE_S, AFTER_S = 0.001, 0.02


# ---- measuring ----

def sleep_until(at):
    time.sleep(max(0.0, at - time.monotonic()))


class Run:
    """What the probe saw, and when there was a kill."""

    def __init__(self, port, find_victim):
        """find_victim() is the pid to kill; what follows is its affair."""
        probe = subprocess.Popen(
            [BUILD / "bench" / "probe", str(port), str(RATE), str(SECONDS)],
            stdout=subprocess.PIPE, text=True)
        start = float(probe.stdout.readline())
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(probe.stdout))
        reader.start()
        self.kills = []
        for number in range(KILLS):
            at = FIRST_KILL_S + number * KILL_EVERY_S
            # To look for it takes time of the processor: not now.
            sleep_until(start + at - LOOK_AHEAD_S)
            victim = find_victim()
            sleep_until(start + at)
            self.kills.append(time.monotonic() - start)
            os.kill(victim, signal.SIGKILL)
        reader.join()
        assert probe.wait() == 0
        self.points = [tuple(map(float, line.split())) for line in lines[:-1]]
        _, lost, asked, counted = lines[-1].split()
        self.lost, self.asked = int(lost), int(asked)
        self.surplus = int(counted) - self.asked

    def longest_us(self, since=0.0, until=SECONDS):
        return max(wait for at, wait in self.points if since <= at < until)

    def at_kills_us(self):
        """The longest wait around each kill."""
        return [self.longest_us(at - BEFORE_S, at + AFTER_S)
                for at in self.kills]

    def late(self):
        """Requests that waited for longer than 10 ms."""
        return sum(wait > 10_000 for _, wait in self.points)

    def caption(self):
        lost = "no connection lost" if not self.lost else \
            f"{self.lost} connections lost"
        at_kills = self.at_kills_us()
        return (f"at a kill {words(percentile(at_kills, 50))} (median), "
                f"{words(max(at_kills))} (longest); without one "
                f"{words(percentile([wait for _, wait in self.points], 50))}; "
                f"{self.late():,} of {self.asked:,} requests waited more than "
                f"10 ms; {lost}")


def words(us):
    """3.1 ms"""
    for unit, size in ("s", 1e6), ("ms", 1e3):
        if us >= size:
            return f"{us / size:.2g} {unit}" if us < 10 * size else \
                f"{us / size:.0f} {unit}"
    return f"{us:.0f} us"


def run_refork(directory):
    service = Service(directory, log_level="notice", arena_size="256M",
                      arena_max="1G", restart_burst=1000)
    try:
        service.start()
        with service.raw() as wire:
            fill_keys(wire, KEYS)
        wait_until(service.standby_is_warm, "the standby is ready")
        found = Run(service.port, lambda: service.business_pid)
        service.stop()
        return found
    finally:
        service.clean_up()


class Managed:
    """A redis-server that is started again as soon as it has ended."""

    def __init__(self, redis):
        self.redis = redis
        self.ending = False
        self.manager = threading.Thread(target=self.manage)
        self.manager.start()

    def manage(self):
        while not self.ending:
            self.redis.process.wait()
            if not self.ending:
                self.redis.start()

    def end(self):
        self.ending = True
        self.redis.process.kill()
        self.manager.join()
        self.redis.kill()


def run_redis(directory):
    folder = directory / "redis"
    folder.mkdir()
    redis = Redis(folder, "--appendonly", "yes", "--appendfsync", "everysec")
    try:
        with redis.start().answering() as wire:
            fill_keys(wire, KEYS)
        time.sleep(2)  # what everysec owes
        managed = Managed(redis)
        try:
            return Run(redis.port, lambda: redis.process.pid)
        finally:
            managed.end()
    finally:
        redis.kill()
        shutil.rmtree(folder)


# ---- drawing ----

WIDTH, LEFT, RIGHT = 960, 86, 24
PANEL, TOP, GAP, BOTTOM = 190, 92, 92, 74
PLOT = WIDTH - LEFT - RIGHT
HEIGHT = TOP + 2 * PANEL + GAP + BOTTOM
LOW_US, HIGH_US = 10, 10_000_000
TICKS = [(10, "10 us"), (100, "100 us"), (1e3, "1 ms"), (1e4, "10 ms"),
         (1e5, "100 ms"), (1e6, "1 s"), (1e7, "10 s")]

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #57606a; }
.title { font-size: 17px; font-weight: 600; fill: #24292f; }
.name { font-size: 14px; font-weight: 600; fill: #24292f; }
.small { font-size: 12px; }
.grid { stroke: #8c959f; stroke-opacity: .3; }
.kill { stroke: #8c959f; stroke-dasharray: 2 3; }
.mark { fill: #cf222e; }
.half { stroke-width: 1.4; fill: none; }
.span { stroke-width: 1; fill: none; stroke-opacity: .55; }
.refork { stroke: #1a7f37; } .redis { stroke: #bc4c00; }
@media (prefers-color-scheme: dark) {
  text { fill: #9198a1; } .title, .name { fill: #e6edf3; }
  .refork { stroke: #3fb950; } .redis { stroke: #db6d28; }
  .mark { fill: #f85149; }
}
"""


def x_of(seconds):
    return LEFT + PLOT * seconds / SECONDS


def y_of(us, top):
    us = min(max(us, LOW_US), HIGH_US)
    part = math.log10(us / LOW_US) / math.log10(HIGH_US / LOW_US)
    return top + PANEL * (1 - part)


def columns(points):
    """{x: waits}, one entry for each column of pixels."""
    found = {}
    for at, wait in points:
        found.setdefault(int(x_of(at)), []).append(wait)
    return found


def text(x, y, what, kind="", anchor="start"):
    for plain, written in ("&", "&amp;"), ("<", "&lt;"), (" us", " µs"):
        what = what.replace(plain, written)
    kind = f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{y:.0f}"{kind} text-anchor="{anchor}">' \
        f"{what}</text>"


def line(x1, y1, x2, y2, kind):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" ' \
        f'class="{kind}"/>'


def axes(top):
    for us, label in TICKS:
        y = y_of(us, top)
        yield line(LEFT, y, LEFT + PLOT, y, "grid")
        yield text(LEFT - 8, y + 4, label, "small", "end")
    for second in range(0, int(SECONDS) + 1, 2 if QUICK else 10):
        yield text(x_of(second), top + PANEL + 18, f"{second} s", "small",
                   "middle")


def panel(run, kind, name, top):
    yield text(LEFT, top - 26, name, "name")
    yield text(LEFT, top - 10, run.caption(), "small")
    yield from axes(top)
    for at in run.kills:
        x = x_of(at)
        yield line(x, top, x, top + PANEL, "kill")
        yield f'<path class="mark" d="M{x - 4:.1f} {top - 5}h8l-4 6z"/>'
    spans, halves = [], []
    for x, waits in sorted(columns(run.points).items()):
        spans.append(f"M{x} {y_of(min(waits), top):.1f}"
                     f"V{y_of(max(waits), top):.1f}")
        halves.append(f"{x} {y_of(percentile(waits, 50), top):.1f}")
    yield f'<path class="span {kind}" d="{"".join(spans)}"/>'
    yield f'<path class="half {kind}" d="M{"L".join(halves)}"/>'


def draw(refork, redis):
    second = TOP + PANEL + GAP
    foot = second + PANEL + 42
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} '
        f'{HEIGHT}" role="img" aria-label="Client latency through {KILLS} '
        f'kills: refork and redis-server">',
        f"<style>{STYLE}</style>",
        text(LEFT, 30, f"What a client waits for while the server is killed "
             f"{KILLS} times", "title"),
        *panel(refork, "refork", "refork, hot standby", TOP),
        *panel(redis, "redis", "redis-server 7.0, append-only file "
               "(everysec), started again at once", second),
        f'<path class="mark" d="M{LEFT} {foot - 8}h8l-4 6z"/>',
        text(LEFT + 14, foot, "kill -9 of the process that holds the logic",
             "small"),
        line(LEFT + 300, foot - 4, LEFT + 324, foot - 4, "half refork"),
        text(LEFT + 330, foot, "half of the requests of that moment waited "
             "less; vertical lines: fastest to slowest", "small"),
        text(LEFT, foot + 20, f"One connection, {RATE:,} INCR a second, "
             f"{KEYS:,} keys in store; waiting time from the moment a request "
             "was due, logarithmic.", "small"),
        "</svg>"]
    return "\n".join(parts) + "\n"


def bench_picture(directory):
    refork = run_refork(directory)
    redis = run_redis(directory)
    PICTURE.write_text(draw(refork, redis))
    say(f"## Through {KILLS} kills", "",
        f"One connection, {RATE:,} INCR a second, {KEYS:,} keys, {KILLS} "
        f"times kill -9: {PICTURE.name}.", "")
    for name, run in (("refork", refork), ("redis-server", redis)):
        say(f"- {name}: {run.caption()}; counted {run.surplus:+d} of "
            f"{run.asked:,}")
    say("")
