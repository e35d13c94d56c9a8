# SPDX-License-Identifier: MIT
"""The Debian package on a machine that has never seen refork: installed,
upgraded under a running service, removed."""
import re
import shutil
import subprocess

import pytest
from machine import Client, Instance, Machine, why_not
from service import BUILD, TOP, wait_until


@pytest.fixture(scope="module")
def package():
    """refork_*.deb; it is built once of the same files."""
    for tool in "dpkg-buildpackage", "dh":
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    made = subprocess.run([TOP / "tests/make_deb.sh", BUILD / "deb"], cwd=TOP,
                          capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    found, = (BUILD / "deb").glob("refork_*.deb")
    return found


@pytest.fixture(scope="module")
def bare():
    """A Machine without refork."""
    if reason := why_not():
        pytest.skip(f"no systemd to boot: {reason}")
    made = Machine().start()
    try:
        # Containers have one that forbids package scripts to restart; and all
        # manual pages of the machine are not to be indexed again.
        for path in "usr/sbin/policy-rc.d", "var/lib/man-db/auto-update":
            (made.root / path).unlink(missing_ok=True)
        yield made
    finally:
        made.stop()


def raised(deb, directory):
    """The same package under a higher version."""
    unpacked = directory / "unpacked"
    subprocess.run(["dpkg-deb", "-R", deb, unpacked], check=True)
    control = unpacked / "DEBIAN/control"
    control.write_text(re.sub(r"^(Version: .*)$", r"\1+again",
                              control.read_text(), flags=re.MULTILINE))
    made = directory / "refork_again.deb"
    subprocess.run(["dpkg-deb", "-Znone", "-b", unpacked, made], check=True,
                   stdout=subprocess.DEVNULL)
    return made


def dpkg(machine, *words):
    return machine.run(["dpkg", "--force-unsafe-io", *words], timeout_s=60)


def install(machine, deb):
    (machine.root / "root/refork.deb").write_bytes(deb.read_bytes())
    return dpkg(machine, "-i", "/root/refork.deb")


def test_the_package_from_its_installation_to_its_end(bare, package,
                                                      tmp_path):
    # Installed: nothing runs, and the instance of the page does at once.
    install(bare, package)
    units = bare.systemctl("list-units", "--all", "refork@*").stdout
    assert "0 loaded units" in units, units
    assert "refork:" in bare.run(["getent", "passwd", "refork"]).stdout
    bare.systemctl("start", "refork@kv")
    assert bare.show("refork@kv", "ActiveState") == "active"
    bare.systemctl("stop", "refork@kv")

    # Two that run are given a new version: restarted by the package, with
    # their state, and one of them with its connections.
    plain = Instance(bare, "plain").start()
    keeping = Instance(bare, "keeping",
                       network_preserve_clients="restart").start()
    with keeping.wire() as idle, Client(plain) as client, \
            Client(keeping) as steady:
        idle.call("SET", "kept", "value")
        before = {each: each.pid_of("supervisor")
                  for each in (plain, keeping)}
        install(bare, raised(package, tmp_path))
        for each, pid in before.items():
            now = each.pid_of("supervisor")
            assert now != pid
            program = bare.root / f"proc/{now}/exe"
            assert not str(program.readlink()).endswith(" (deleted)")
        client.goes_on(2)
        steady.goes_on(1)
        assert idle.call("GET", "kept") == b"value"
    assert client.connections == 2 and steady.connections == 1
    assert int(plain.call("GET", "counter")) == client.acknowledged
    assert int(keeping.call("GET", "counter")) == steady.acknowledged
    assert "+again" in bare.run(["dpkg-query", "-W", "refork"]).stdout

    # Removed: what runs is stopped first.
    dpkg(bare, "-r", "refork")
    for each in plain, keeping:
        assert each.show("ActiveState") == "inactive" and not each.traces()
    assert (bare.root / "etc/refork/kv.ini").exists()
    dpkg(bare, "-P", "refork")
    for path in "etc/refork/kv.ini", "usr/bin/reforkd", "var/lib/refork":
        assert not (bare.root / path).exists(), path


def test_a_package_whose_new_daemon_cannot_start_loses_no_state(
        bare, package, tmp_path):
    install(bare, package)
    kv = Instance(bare, "patient").start()
    kv.call("SET", "kept", "value")
    # The new version knows a key no more that the ini has.
    kv.configure(refork_of_yesterday="yes")
    install(bare, raised(package, tmp_path))
    wait_until(lambda: "of_yesterday" in kv.log(), "it is told")
    kv.configure(refork_of_yesterday=None)
    kv.systemctl("restart")
    assert kv.call("GET", "kept") == b"value"
    kv.systemctl("stop")
    dpkg(bare, "-P", "refork")
