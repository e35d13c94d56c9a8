# SPDX-License-Identifier: MIT
"""The Debian packages: what is in them, and what dpkg makes of them on a
machine with systemd and services that run."""
import re
import shutil
from pathlib import Path

import pytest

import machine as machines
from machine import Client, Instance, Machine
from service import BUILD, TOP, wait_until
from test_install import (files_below, install, project_version, run,
                          unmade)

def missing_tools():
    wanted = ["dpkg-buildpackage", "dh", "scdoc", "lintian", "pkg-config"]
    return [tool for tool in wanted if not shutil.which(tool)]


@pytest.fixture(scope="session")
def packages():
    """{name: path of the .deb}, built once."""
    if missing_tools():
        pytest.skip(f"not installed: {', '.join(missing_tools())}"
                    " (make deps GROUP=deb)")
    if "address" in BUILD.name:
        pytest.skip("they are built without sanitizer, so once is enough")
    built = run(*unmade, TOP / "tests/make_deb.sh", BUILD / "deb")
    return {Path(line).name.split("_")[0]: Path(line)
            for line in built.stdout.split()}


def raised(deb, to_version, directory):
    """The same package as a higher version, made without building it."""
    tree = Path(directory) / f"{deb.stem}-tree"
    out = Path(directory) / deb.name.replace(f"_{project_version()}_",
                                             f"_{to_version}_")
    run("dpkg-deb", "-R", deb, tree)
    control = tree / "DEBIAN/control"
    control.write_text(control.read_text().replace(
        f"Version: {project_version()}\n", f"Version: {to_version}\n"))
    run("dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, out)
    shutil.rmtree(tree)
    return out


def contents(deb):
    listed = run("dpkg-deb", "-c", deb).stdout
    return {match[1] for match in
            re.finditer(r"^[-l].* \./(\S+)(?: -> .*)?$", listed, re.MULTILINE)}


def test_the_packages_have_what_is_installed(packages, tmp_path):
    """Each file is in one package, and goes where Debian has such things."""
    installed = install(tmp_path)
    assert set(packages) >= {"refork", "librefork1", "librefork-dev",
                             "refork-dbgsym"}
    triplet = run("dpkg-architecture", "-q",
                  "DEB_HOST_MULTIARCH").stdout.strip()
    moved = {f"usr/local/lib/{name}": f"usr/lib/{triplet}/{name}" for name in
             ("librefork", "pkgconfig", "refork")}
    moved |= {"usr/local/lib/systemd/system": "lib/systemd/system",
              "usr/local/share/doc/refork/examples":
              "usr/share/doc/librefork-dev/examples",
              "usr/local/share/zsh/site-functions":
              "usr/share/zsh/vendor-completions",
              "usr/local": "usr"}
    wanted = set()
    for path in files_below(installed):
        path = path[1:].replace("auto-load/usr/local", "auto-load/usr")
        start = next((old for old in moved if path.startswith(old)), "")
        wanted.add(moved.get(start, "") + path[len(start):])
    found = [re.sub(r"(/doc/.*|/man/.*)\.gz$", r"\1", path)
             for name in ("refork", "librefork1", "librefork-dev")
             for path in contents(packages[name])]
    extra = {path for path in found if re.search(
        r"/doc/[\w-]+/(changelog|copyright|README.Debian)$", path)}
    assert set(found) - extra == wanted
    assert len(found) == len(set(found))
    assert {path.rpartition("/")[2] for path in contents(
        packages["librefork1"]) if "/doc/" not in path} == {"librefork.so.1"}


def test_a_package_starts_nothing_and_restarts_what_runs(packages):
    script = run("dpkg-deb", "-I", packages["refork"], "postinst").stdout
    assert "deb-systemd-helper enable" not in script
    assert re.findall(r"deb-systemd-invoke (.*)$", script, re.MULTILINE) == [
        "try-restart 'refork@*.service' || true"]
    # The user is there before the directories that it owns.
    assert script.index("systemd-sysusers") < script.index("systemd-tmpfiles")
    # Nothing is stopped before the new programs are there.
    stop = run("dpkg-deb", "-I", packages["refork"], "prerm").stdout
    assert re.search(r'if \[ "\$1" = remove \].*\n\tdeb-systemd-invoke stop',
                     stop)
    assert "/etc/refork/kv.ini" in run(
        "dpkg-deb", "-I", packages["refork"], "conffiles").stdout


def test_lintian_finds_nothing(packages):
    changes = next((BUILD / "deb").glob("*.changes"))
    found = run("lintian", "--allow-root", "--profile", "debian", "-I",
                "--fail-on", "error,warning,info", changes, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


# ---- on a machine ----

@pytest.fixture
def bare_machine():
    """A Machine that has never heard of refork."""
    reason = machines.why_not()
    if reason:
        pytest.skip(f"no systemd to boot: {reason}")
    if shutil.which("reforkd"):
        pytest.skip("refork is installed on this machine")
    made = Machine().start()
    try:
        # Such a machine's owner may forbid that packages restart anything.
        (made.root / "usr/sbin/policy-rc.d").unlink(missing_ok=True)
        yield made
    finally:
        made.stop()


def dpkg(machine, *arguments):
    return machine.run(["dpkg", "--force-unsafe-io", "--no-triggers",
                        *arguments], timeout_s=120)


def put_on(machine, deb):
    (machine.root / "tmp" / deb.name).write_bytes(deb.read_bytes())
    dpkg(machine, "-i", f"/tmp/{deb.name}")


def state_of(machine, *names):
    return [name for name in names if (machine.root / name).exists()]


def test_a_service_keeps_its_state_through_an_upgrade_of_the_package(
        packages, bare_machine, tmp_path):
    newer = raised(packages["refork"], f"{project_version()}+1", tmp_path)
    put_on(bare_machine, packages["refork"])
    # Nothing runs by itself.
    assert bare_machine.systemctl("list-units", "--no-legend", "--all",
                                  "refork@*").stdout == ""
    kv = Instance(bare_machine, "kept").start()
    with Client(kv) as client:
        before = kv.pid_of("supervisor")
        put_on(bare_machine, newer)
        seen = client.acknowledged
        wait_until(lambda: client.failures or client.acknowledged > seen + 1,
                   "the client goes on")
    # The restart is over when dpkg is, and the client's numbers are true.
    assert kv.pid_of("supervisor") != before
    assert int(kv.call("GET", "counter")) == client.acknowledged
    dpkg(bare_machine, "-r", "refork")
    assert kv.show("ActiveState") == "inactive"
    assert kv.traces() == []
    left = ("usr/bin/reforkd", "etc/refork/kv.ini", "var/lib/refork")
    assert state_of(bare_machine, *left) == list(left[1:])
    dpkg(bare_machine, "-P", "refork")
    # What was written by hand stays.
    assert state_of(bare_machine, *left) == []
    assert [path.name for path in
            (bare_machine.root / "etc/refork").iterdir()] == ["kept.ini"]
