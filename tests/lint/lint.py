# SPDX-License-Identifier: MIT
"""The rules that no compiler keeps. Run by tests/run_tests.py.

Each check returns (reason to skip or "", findings). A check that passes
returns ("", []).
"""
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]

LINE_COLUMNS_MAX = 80
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60

# Who may include whom. An area is the deepest of these folders that holds a
# file; each may include itself and what stands here.
LAYERS = {
    "common/refork": [],
    "common": ["common/refork"],
    "common/containers": ["common", "common/refork"],
    "conf": ["common/refork"],
    "daemon": ["common", "common/refork", "conf", "daemon/manager",
               "daemon/supervise"],
    "daemon/manager": ["common", "common/refork"],
    "daemon/records": ["common", "common/refork", "conf", "daemon",
                       "daemon/control", "daemon/supervise"],
    "daemon/supervise": ["common", "common/refork", "conf", "daemon",
                         "daemon/control", "daemon/manager",
                         "daemon/records"],
    "daemon/control": ["common", "common/refork", "conf", "daemon",
                       "daemon/records", "daemon/supervise"],
    "daemon/ctl": ["common", "common/refork", "conf", "daemon"],
    "daemon/man": ["common", "conf", "daemon", "daemon/ctl"],
    "worker/confine": ["common", "common/refork", "conf"],
    "worker/network": ["common", "common/refork", "conf", "worker/confine"],
    "worker/business": ["common", "common/refork", "conf", "worker/confine"],
    "worker/kv": ["common/refork"],
    "tests/workers": ["common/refork"],
    "tests/readers": ["common/refork", "tests/workers"],
    "tests/preload": [],
}

# The libraries beyond libc, and the only files that may know them.
LIBRARY_USERS = {
    r"ev\.h": ["daemon/supervise/supervisor.c",
               "daemon/supervise/member.h",
               "daemon/supervise/trial.c",
               "daemon/supervise/upgrade.c",
               "daemon/control/control.c",
               "daemon/records/reporter.c",
               "worker/network/loop.c",
               "tests/unit/crash_stage.h"],
    r"ini\.h": ["conf/ini_read.c"],
    r"elfutils/.*": ["daemon/records/symbols.c"],
    r"systemd/.*": ["daemon/manager/fdstore.c",
                    "daemon/manager/watchdog.c"],
    r"libpmemobj\.h": ["tests/bench/others/alloc_pmem.c"],
    r"n?curses\.h": ["daemon/ctl/top.c"],
}

# Made by the build, without includes of their own.
GENERATED = ["calls.def"]

FILE_NAMES_FORBIDDEN = re.compile(r"^(utils?|misc|helpers?|common)\.")
WORDS_FORBIDDEN = re.compile(r"\b(TODO|FIXME|XXX|[Kk]eep in sync)\b")


def tracked(*suffixes):
    """The project's files: those that git knows or would add."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached",
         "--others", "--exclude-standard"],
        cwd=TOP, capture_output=True, text=True, check=True).stdout
    paths = sorted(set(listed.split("\0")) - {""})
    return [path for path in paths
            if path.endswith(suffixes) and (TOP / path).is_file()]


def c_files():
    return tracked(".c", ".h")


def text_of(path):
    return (TOP / path).read_text(errors="replace")


def numbered(path):
    return enumerate(text_of(path).split("\n"), 1)


# ---- layers ----

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')


def area_of(path):
    folder = os.path.dirname(path)
    while folder and folder not in LAYERS:
        folder = os.path.dirname(folder)
    return folder


def resolve(path, quote, name):
    """The project's file that an include means; None: the system's."""
    folders = ["common", ""]
    if quote == '"':
        folders.insert(0, os.path.dirname(path))
    for folder in folders:
        target = os.path.normpath(os.path.join(folder, name))
        if (TOP / target).is_file():
            return target
    return None


def include_problem(path, quote, name):
    if name in GENERATED:
        return ""
    target = resolve(path, quote, name)
    if target:
        area, target_area = area_of(path), area_of(target)
        if area and target_area not in (area, *LAYERS[area]):
            return f"{area} must not include {target}"
        return ""
    for library, users in LIBRARY_USERS.items():
        if re.fullmatch(library, name) and path not in users:
            return f"<{name}> is for {', '.join(users)} only"
    return "" if quote == "<" else f'no such file: "{name}"'


def layers_are_kept():
    findings = []
    for path in c_files():
        for number, line in numbered(path):
            match = INCLUDE.match(line)
            problem = match and include_problem(path, match[1], match[2])
            if problem:
                findings.append(f"{path}:{number}: {problem}")
    return "", findings


# ---- how a file looks ----

OPENINGS = {
    (".c", ".h"): r"/\* SPDX-License-Identifier: MIT \*/\n/\* {name} -- \S",
    (".py",): r'(#!.*\n)?# SPDX-License-Identifier: MIT\n"""\S',
    (".sh",): r"#!.*\n# SPDX-License-Identifier: MIT\n# \S",
}


def files_open_with_licence_and_idea():
    findings = []
    for suffixes, opening in OPENINGS.items():
        for path in tracked(*suffixes):
            name = re.escape(os.path.basename(path))
            if not re.match(opening.replace("{name}", name), text_of(path)):
                findings.append(f"{path}:1: does not open with the SPDX line"
                                " and a comment that says what the file is")
    return "", findings


def names_and_words_are_fit():
    findings = []
    for path in tracked(""):
        if FILE_NAMES_FORBIDDEN.match(os.path.basename(path)):
            findings.append(f"{path}: says nothing about what is in it")
        if path == "tests/lint/lint.py":
            continue
        for number, line in numbered(path):
            if match := WORDS_FORBIDDEN.search(line):
                findings.append(f"{path}:{number}: {match[0]}")
    for path in c_files():
        for number, line in numbered(path):
            if re.match(r"\s*typedef\b", line):
                findings.append(f"{path}:{number}: typedef")
            if re.search(r"^\s*(struct|enum|union) (\w+_t|ev\w*|EV\w*) \{",
                         line):
                findings.append(f"{path}:{number}: a name that is libc's or"
                                " libev's")
    return "", findings


def sizes_stay_small():
    findings = []
    for path in c_files():
        began = None
        for number, line in numbered(path):
            if len(line.expandtabs(8)) > LINE_COLUMNS_MAX:
                findings.append(
                    f"{path}:{number}: beyond column {LINE_COLUMNS_MAX}")
            if line == "{":
                began = number
            elif line == "}" and began:
                if number - began - 1 > FUNCTION_LINES_MAX:
                    findings.append(f"{path}:{began}: a function of"
                                    f" {number - began - 1} lines")
                began = None
        if number - 1 > FILE_LINES_MAX:
            findings.append(f"{path}: {number - 1} lines")
    return "", findings


# ---- tools ----

def run_tool(tool, *arguments):
    """(reason to skip, findings) of a tool that prints only problems."""
    if not shutil.which(tool):
        return f"{tool} is not installed (make deps GROUP=lint)", []
    ran = subprocess.run([tool, *arguments], cwd=TOP, text=True,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT)
    lines = [line for line in ran.stdout.split("\n") if line.strip()]
    if ran.returncode == 0:
        return "", []
    return "", lines or [f"{tool} ended with exit status {ran.returncode}"]


def c_is_formatted():
    reason, lines = run_tool("clang-format-14", "--dry-run", "-Werror",
                             *c_files())
    return reason, [line for line in lines if "error:" in line] or lines


def cppcheck_finds_nothing():
    return run_tool(
        "cppcheck", "--quiet", "--error-exitcode=1", "--std=c11",
        "--enable=warning,performance,portability", "--inline-suppr",
        "--suppressions-list=tests/lint/cppcheck.txt", "-D_GNU_SOURCE",
        "-DRF_SYSTEMD=1", "-Icommon", "-I.", "-j2", "--template=gcc",
        *tracked(".c"))


def clang_builds_it_without_a_warning():
    if not shutil.which("clang-14"):
        return "clang-14 is not installed (make deps GROUP=lint)", []
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL",
                                   "MAKEOVERRIDES")}
    ran = subprocess.run(
        ["make", "-k", "-j2", "B=build-clang", "CC=clang-14", "programs"],
        cwd=TOP, env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True)
    lines = [line for line in ran.stderr.split("\n")
             if "error" in line or "***" in line]
    return "", lines if ran.returncode else []


# ---- units ----

# What `systemd-analyze security` may find, in tenths: of the unit as it is
# shipped, and with the drop-in that takes its network away.
EXPOSURE_MAX = {None: 11, "systemd/drop-in/socket-activated.conf": 3}
# The first systemd that knows all that is in a drop-in; else any does.
NEEDS_SYSTEMD = {"systemd/drop-in/systemd-254.conf": 254}


def systemd_version():
    said = subprocess.run(["systemd-analyze", "--version"], text=True,
                          capture_output=True, check=True).stdout
    return int(re.search(r"\d+", said)[0])


def analyze(drop_in, units, *arguments):
    """(exit status, lines) of systemd-analyze about copies of the units, with
    programs that exist wherever this runs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for program in ("reforkd", "reforkctl"):
            (folder / program).write_text("#!/bin/sh\n")
            (folder / program).chmod(0o755)
        for path in tracked(".service", ".socket"):
            text = text_of(path).replace("/usr/bin/refork", name + "/refork")
            (folder / os.path.basename(path)).write_text(text)
        if drop_in:
            (folder / "refork@.service.d").mkdir()
            shutil.copy(TOP / drop_in, folder / "refork@.service.d")
        ran = subprocess.run(
            ["systemd-analyze", *arguments,
             *[str(folder / unit) for unit in units]],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)
    lines = [f"{drop_in or units[0]}: {line.strip()}"
             for line in ran.stdout.split("\n") if line.strip()]
    return ran.returncode, lines


def units_hold_no_fault():
    if not shutil.which("systemd-analyze"):
        return "systemd-analyze is not installed (package systemd)", []
    findings, version = [], systemd_version()
    for drop_in in (None, *tracked(".conf")):
        if drop_in and (not drop_in.startswith("systemd/drop-in/") or
                        version < NEEDS_SYSTEMD.get(drop_in, 0)):
            continue
        findings += analyze(drop_in, ["refork@.service", "refork@.socket"],
                            "verify", "--man=no")[1]
    return "", findings


def units_expose_little():
    if not shutil.which("systemd-analyze"):
        return "systemd-analyze is not installed (package systemd)", []
    findings = []
    for drop_in, most in EXPOSURE_MAX.items():
        status, lines = analyze(drop_in, ["refork@.service"], "security",
                                "--offline=yes", "--no-pager",
                                f"--threshold={most}")
        if status:
            findings += [line for line in lines if ": \u2713" not in line]
    return "", findings


CHECKS = [layers_are_kept, files_open_with_licence_and_idea,
          names_and_words_are_fit, sizes_stay_small, c_is_formatted,
          cppcheck_finds_nothing, clang_builds_it_without_a_warning,
          units_hold_no_fault, units_expose_little]
