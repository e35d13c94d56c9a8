# SPDX-License-Identifier: MIT
"""The manual pages and the completion say what the programs can do."""
import os
import re
import shutil
import subprocess

import pytest

from service import BUILD

PAGES = ["reforkctl.1", "reforkd.8", "refork.ini.5"]


def run(*argv, **options):
    return subprocess.run([str(arg) for arg in argv], capture_output=True,
                          text=True, timeout=30, stdin=subprocess.DEVNULL,
                          **options)


def page_text(name):
    """The page as a reader sees it; skips where no manual can be made."""
    page = BUILD / "man" / name
    if not shutil.which("scdoc") or not shutil.which("man"):
        pytest.skip("scdoc or man is not installed")
    shown = run("man", "--warnings", "-l", page,
                env={**os.environ, "MANWIDTH": "200", "LC_ALL": "C.UTF-8"})
    assert shown.returncode == 0 and not shown.stderr, shown.stderr
    return re.sub(r".\x08|\x1b\[[0-9;]*m", "", shown.stdout)


def lines_of(text):
    return {line.strip() for line in text.splitlines()}


def help_table(program, heading):
    listed = run(BUILD / program, "--help").stdout.split(heading + ":\n")[1]
    return [line[2:] for line in listed.split("\n\n")[0].splitlines()]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_whole_and_without_a_warning(page):
    text = page_text(page)
    for heading in ("NAME", "DESCRIPTION", "SEE ALSO"):
        assert f"\n{heading}\n" in text
    assert "@" not in text


def test_every_command_stands_in_its_page_with_its_help():
    text = page_text("reforkctl.1")
    lines = lines_of(text)
    table = help_table("reforkctl", "Commands")
    assert len(table) > 20
    for row in table:
        usage, told = re.split(r"  +", row, 1) if "  " in row.strip() else \
            (row[:26].strip(), row[27:])
        assert re.search(rf"^ +{re.escape(usage.strip())}( \[--.*)?$", text,
                         re.MULTILINE), usage
        assert told.strip() in lines, told


@pytest.mark.parametrize("program, page", [("reforkctl", "reforkctl.1"),
                                           ("reforkd", "reforkd.8")])
def test_every_option_and_exit_code_stands_in_its_page(program, page):
    text = page_text(page)
    told = run(BUILD / program, "--help").stdout
    options = re.findall(r"^  -(\w), --([\w-]+)", told, re.MULTILINE)
    codes = re.findall(r"^ +(\d+)  (.+)$", told, re.MULTILINE)
    assert len(options) >= 6 and len(codes) >= 6
    for letter, name in options:
        assert re.search(rf"^ +-{letter}( \S+)?, --{name}\b", text,
                         re.MULTILINE), name
    for code, meaning in codes:
        assert re.search(rf"^ +{code}$", text, re.MULTILINE), code
        assert re.sub(r"`", "", meaning) in re.sub(r"`", "", text), meaning


def test_every_key_stands_in_its_page_with_its_default(tmp_path):
    text = page_text("refork.ini.5")
    printed = run(BUILD / "reforkd", "--print-config",
                  env={**os.environ, "HOME": str(tmp_path)}).stdout
    sections = re.findall(r"^\[(\w+)\]", printed, re.MULTILINE)
    keys = re.findall(r"^# (.+)\n# default: (.*); applied: (.+)\n(\w+) =",
                      printed, re.MULTILINE)
    assert len(keys) > 40
    for section in sections:
        assert f"[{section}]" in text
    for told, default, applied, key in keys:
        assert re.search(rf"^ +{key}$", text, re.MULTILINE), key
        assert told in text, told
        if not default.startswith("/"):
            assert f"Default: {default}. Applied: {applied}." in text, key


# ---- completion ----

def complete_in_bash(*words):
    script = f"""
        source <({BUILD}/reforkctl completion bash)
        COMP_WORDS=(reforkctl {' '.join(repr(word) for word in words)})
        COMP_CWORD={len(words)}
        _reforkctl
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    ran = run("bash", "--norc", "-c", script)
    assert ran.returncode == 0 and not ran.stderr, ran
    return [word for word in ran.stdout.split("\n") if word]


@pytest.mark.parametrize("words, expected", [
    (["quarantine", ""], ["list", "show", "release", "drop"]),
    (["quarantine", "re"], ["release"]),
    (["-i", "kv", "--json", "quarantine", "d"], ["drop"]),
    (["restart", ""], ["business", "network"]),
    (["restart", "-"], ["--instance", "--socket", "--json",
                        "--client-version", "--help", "--now", "--timeout"]),
    (["status", ""], []),
    (["completion", "z"], ["zsh"]),
    (["wait", "--for", "r"], ["ready"]),
    (["-t", ""], []),
    (["sh"], ["shutdown"]),
])
def test_bash_completes(words, expected):
    assert complete_in_bash(*words) == expected


def test_bash_completes_each_command_and_files(tmp_path, monkeypatch):
    first = {row.split()[0] for row in help_table("reforkctl", "Commands")}
    assert set(complete_in_bash("")) == first
    monkeypatch.chdir(tmp_path)
    (tmp_path / "next.so").touch()
    assert complete_in_bash("upgrade", "n") == ["next.so"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_accepts_its_script(shell, tmp_path):
    script = tmp_path / "completion"
    script.write_text(run(BUILD / "reforkctl", "completion", shell).stdout)
    assert f"`reforkctl completion {shell}`" in script.read_text()
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    ran = run(shell, "-n", script)
    assert ran.returncode == 0 and not ran.stderr, ran
