#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Run groups of tests and say how many passed, failed and were skipped.

    run_tests.py [--build DIR] GROUP...       groups: unit crash lint system

A group answers with one Result per test, whatever tool ran it. The last line
printed is "N passed, M failed" or "N passed, M failed, K skipped"; above it
stands every failure and every skip with its reason. Exit status: 0 when
nothing failed, else 1.

Up to RERUN_MAX tests that failed are run once more, each by itself, to tell
whoever looks for the bug whether it shows every time. They have failed all the
same.
"""
import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

TOP = Path(__file__).resolve().parent.parent
BINARY_TIMEOUT_S = 240
SYSTEM_TIMEOUT_S = 900
RERUN_MAX = 3


class Result(NamedTuple):
    name: str
    verdict: str            # "passed", "failed", "skipped"
    detail: str = ""        # of a failure or a skip
    again: object = None    # run just this one: () -> its Result


def named(name, results):
    for result in results:
        if result.name == name:
            return result
    return Result(name, "failed", "it did not run again")


# ---- cmocka ----

# "[       OK ] name": how a test ended. Summary lines repeat some of them,
# so only the first after its "[ RUN      ]" counts.
CMOCKA_LINE = re.compile(r"\[ +(RUN|OK|FAILED|ERROR|SKIPPED) +\] (\S.*)$")
CMOCKA_VERDICT = {"OK": "passed", "FAILED": "failed", "ERROR": "failed",
                  "SKIPPED": "skipped"}


def cmocka_results(binary, lines, ended):
    """What cmocka's output says. `ended` is "" after exit 0, else how the
    program ended."""
    running, said = None, []
    some_failed = False
    for line in lines:
        match = CMOCKA_LINE.search(line)
        if match and match[1] == "RUN":
            running, said = match[2], []
        elif match and running and match[2].split(" ")[0] == running:
            verdict = CMOCKA_VERDICT[match[1]]
            some_failed |= verdict == "failed"
            detail = said[-1:] if verdict == "skipped" else said
            yield Result(f"{binary.name}: {running}", verdict,
                         "\n".join(detail))
            running = None
        elif running:
            said.append(line)
    if running:
        yield Result(f"{binary.name}: {running}", "failed",
                     "\n".join(said + [f"the program {ended or 'ended'}"]))
    elif ended and not some_failed:
        yield Result(binary.name, "failed",
                     "\n".join(list(lines)[-20:] + [f"the program {ended}"]))


def how_it_ended(code):
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit status {code}" if code else ""


def run_cmocka(binary):
    """All results of one program."""
    began = time.monotonic()
    try:
        ran = subprocess.run(
            [binary], cwd=TOP, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=BINARY_TIMEOUT_S, errors="replace")
        output, ended = ran.stdout, how_it_ended(ran.returncode)
    except subprocess.TimeoutExpired as late:
        output = (late.stdout or b"").decode(errors="replace")
        ended = f"was killed: not done in {BINARY_TIMEOUT_S} s"
    except OSError as error:
        output, ended = "", f"did not start: {error.strerror}"
    results = list(cmocka_results(binary, output.splitlines(), ended))
    if not results:
        results = [Result(binary.name, "failed", "it ran no test")]
    print(f"{binary.name}: {summary(results)}"
          f"  ({time.monotonic() - began:.1f} s)", flush=True)
    return [result._replace(again=lambda name=result.name: named(
        name, run_cmocka(binary))) for result in results]


def programs(build, pattern, sources):
    """Those that were built from these sources."""
    return [build / "tests" / source.stem
            for source in sorted((TOP / "tests" / sources).glob(pattern))]


def run_unit(build):
    for binary in programs(build, "test_*.c", "unit"):
        yield from run_cmocka(binary)


def run_crash(build):
    """They measure no time: one for each processor."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for results in pool.map(run_cmocka,
                                programs(build, "crash_*.c", "crash")):
            yield from results


# ---- lint ----

def run_lint(build):
    sys.path.insert(0, str(TOP / "tests" / "lint"))
    import lint
    for check in lint.CHECKS:
        reason, findings = check()
        name = f"lint: {check.__name__.replace('_', ' ')}"
        result = Result(name, "passed")
        if findings:
            result = Result(name, "failed", "\n".join(findings))
        elif reason:
            result = Result(name, "skipped", reason)
        print(f"{name}: {result.verdict}", flush=True)
        yield result


# ---- pytest ----

def pytest_results(report):
    for case in xml.parse(report).iter("testcase"):
        name = f"{case.get('classname').split('.')[-1]}: {case.get('name')}"
        result = Result(name, "passed")
        for child in case:
            text = child.get("message") or child.text or ""
            if child.tag in ("failure", "error"):
                result = Result(name, "failed", text.split("\n")[0])
                break
            if child.tag == "skipped":
                result = Result(name, "skipped", text)
        yield result


def run_pytest(build, report, *tests):
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    pytest = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "--tb=short", "-ra",
         "-p", "no:cacheprovider", f"--junitxml={report}", *tests],
        cwd=TOP, env={**os.environ, "REFORK_BUILD": str(build),
                      "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        ended = how_it_ended(pytest.wait(SYSTEM_TIMEOUT_S))
    except subprocess.TimeoutExpired:
        os.killpg(pytest.pid, signal.SIGKILL)
        pytest.wait()
        ended = f"was killed: not done in {SYSTEM_TIMEOUT_S} s"
    results = list(pytest_results(report)) if report.exists() else []
    failed = any(result.verdict == "failed" for result in results)
    if not results or (ended and not failed):
        results.append(Result("pytest", "failed", f"it {ended or 'ran'}"
                              f" and reported {len(results)} tests"))
    return results


def run_system(build):
    def again(name):
        module, test = name.split(": ", 1)
        return named(name, run_pytest(build, build / "tests" / "again.xml",
                                      f"tests/system/{module}.py::{test}"))

    for result in run_pytest(build, build / "tests" / "system.xml",
                             "tests/system"):
        yield result._replace(
            again=lambda name=result.name: again(name))


# ---- the whole ----

GROUPS = {"unit": run_unit, "crash": run_crash, "lint": run_lint,
          "system": run_system}


def summary(results):
    count = {"passed": 0, "failed": 0, "skipped": 0}
    for result in results:
        count[result.verdict] += 1
    line = f"{count['passed']} passed, {count['failed']} failed"
    return line + (f", {count['skipped']} skipped" if count["skipped"] else "")


def run_again(results):
    """The results; a failure's detail says whether it shows every time."""
    failed = [place for place, result in enumerate(results)
              if result.verdict == "failed" and result.again]
    if len(failed) > RERUN_MAX:
        return results
    for place in failed:
        first = results[place]
        print(f"== again: {first.name}", flush=True)
        results[place] = first._replace(
            detail=f"{first.detail}\nrun again by itself: "
                   f"{first.again().verdict}")
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default=os.environ.get("B", "build"))
    parser.add_argument("group", nargs="+", choices=GROUPS)
    args = parser.parse_args()
    build = (TOP / args.build).resolve()

    # Children must not find the terminal, the user's settings or our pipes.
    scratch = tempfile.mkdtemp(prefix="refork-tests-")
    os.environ["XDG_RUNTIME_DIR"] = os.environ["XDG_STATE_HOME"] = scratch
    results = []
    try:
        for group in args.group:
            print(f"== {group}", flush=True)
            results += GROUPS[group](build)
        results = run_again(results)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)

    print()
    for verdict in ("failed", "skipped"):
        for result in results:
            if result.verdict == verdict:
                detail = result.detail.replace("\n", "\n    ")
                print(f"{verdict}: {result.name}\n    {detail}")
    print(summary(results))
    return any(result.verdict == "failed" for result in results)


if __name__ == "__main__":
    sys.exit(main())
