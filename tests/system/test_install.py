# SPDX-License-Identifier: MIT
"""What `make install` puts on a system is whole and works there.

Everything is installed below a directory of the test's own (DESTDIR).
"""
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

import service as services
from service import BUILD, TOP, wait_until

# What stands in reforkd alone, because workers alone call it.
WORKERS_HEADERS = {"reply.h", "resp.h", "worker.h"}
LIBRARY = BUILD / "librefork.so.1"
PREFIX = "usr/local"


def run(*argv, check=True, cwd=TOP, env=None, timeout=300):
    ran = subprocess.run([str(arg) for arg in argv], capture_output=True,
                         text=True, timeout=timeout, cwd=cwd,
                         stdin=subprocess.DEVNULL,
                         env={**os.environ, **(env or {})})
    assert not check or ran.returncode == 0, \
        f"{argv}: {ran.returncode}\n{ran.stdout[-3000:]}{ran.stderr[-3000:]}"
    return ran


# Not as a part of the make that runs the tests.
unmade = ["env"] + [f"-u{name}" for name in
                    ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")]


def make(*arguments):
    return run(*unmade, "make", f"B={BUILD}", *arguments)


def install(root, *arguments):
    make("install", f"DESTDIR={root}", *arguments)
    return root


def files_below(root):
    """The absolute paths that they would have without DESTDIR."""
    return {f"/{path.relative_to(root)}" for path in root.rglob("*")
            if path.is_symlink() or not path.is_dir()}


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """The directory below which everything stands; not to be changed."""
    return install(tmp_path_factory.mktemp("installed"))


@pytest.fixture
def installed_copy(installed, tmp_path):
    return Path(shutil.copytree(installed, tmp_path / "root", symlinks=True))


# ---- what is where ----

def test_what_the_table_lists_is_installed_and_nothing_else(installed):
    listed = make("-s", "installed-files").stdout.split()
    assert len(listed) == len(set(listed))
    there = files_below(installed)
    assert there == set(listed)
    assert {f"/{PREFIX}/include/refork/{header.name}"
            for header in (TOP / "common/refork").glob("*.h")} < there
    for path in ("bin/reforkd", "bin/reforkctl", "lib/librefork.so.1",
                 "lib/librefork.so", "lib/librefork.a",
                 "lib/pkgconfig/refork.pc", "lib/refork/workers/kv.so",
                 "lib/systemd/system/refork@.service",
                 "lib/systemd/catalog/refork.catalog",
                 "lib/sysusers.d/refork.conf", "lib/tmpfiles.d/refork.conf"):
        assert f"/{PREFIX}/{path}" in there
    assert "/etc/refork/kv.ini" in there


def test_every_file_may_be_read_and_programs_run(installed):
    for path in files_below(installed):
        mode = (installed / path[1:]).stat().st_mode & 0o777
        is_program = path.startswith(f"/{PREFIX}/bin/")
        assert mode == (0o755 if is_program else 0o644), path


def test_uninstall_leaves_nothing(installed_copy):
    make("uninstall", f"DESTDIR={installed_copy}")
    left = [path for path in installed_copy.rglob("*")
            if not path.is_dir()
            or "refork" in str(path.relative_to(installed_copy))]
    assert left == []
    # It is others' business whether there is such a directory.
    assert (installed_copy / PREFIX / "include").is_dir()


def test_what_others_have_put_there_stays(installed_copy):
    worker = installed_copy / PREFIX / "lib/refork/workers/other.so"
    ini = installed_copy / "etc/refork/kv.ini"
    for path in (worker, ini):
        path.write_text("; mine\n")
    said = make("uninstall", f"DESTDIR={installed_copy}").stdout
    assert files_below(installed_copy) == {
        f"/{path.relative_to(installed_copy)}" for path in (worker, ini)}
    assert f"left, because it was changed: {ini}" in said


def test_a_second_install_keeps_the_ini_and_replaces_the_rest(installed_copy):
    ini = installed_copy / "etc/refork/kv.ini"
    program = installed_copy / PREFIX / "bin/reforkd"
    ini.write_text("; mine\n")
    before = program.stat().st_ino
    install(installed_copy)
    assert ini.read_text() == "; mine\n"
    # A program that runs keeps its file.
    assert program.stat().st_ino != before


def test_what_is_installed_names_the_places_where_it_is(tmp_path):
    install(tmp_path, "PREFIX=/opt/refork", "sysconfdir=/opt/etc",
            "docdir=/opt/doc")
    unit = tmp_path / "opt/refork/lib/systemd/system/refork@.service"
    text = unit.read_text()
    assert "ExecStart=/opt/refork/bin/reforkd -c /opt/etc/refork/%i.ini" in text
    for path in files_below(tmp_path):
        file = tmp_path / path[1:]
        if file.suffix in (".service", ".socket", ".pc", ".conf"):
            assert not re.search(r"@\w+@|/usr/bin/refork| /etc/refork",
                                 file.read_text()), path


# ---- it works from there ----

@pytest.fixture
def placed(daemon, monkeypatch):
    """placed(root): a Service of the programs that were installed there."""
    def make_service(root, **options):
        monkeypatch.setattr(services, "BUILD", root / PREFIX / "bin")
        return daemon(**options)
    return make_service


def test_reforkd_serves_as_the_installed_ini_says(installed, placed):
    kv = placed(installed)
    options = [f"-o{key.replace('_', '.', 1)}={value}"
               for key, value in kv.settings.items()
               if key in ("refork_name", "refork_runtime_dir", "arena_max",
                          "refork_state_dir", "arena_size", "log_level")]
    kv.ini_path = installed / "etc/refork/kv.ini"
    kv.start(*options, f"-onetwork.listen=127.0.0.1:{kv.port}",
             f"-onetwork.listen=unix:{kv.unix_path}")
    with kv.raw() as wire:
        assert wire.call("SET", "key", "value") == b"OK"
        os.kill(kv.business_pid, signal.SIGKILL)
        assert wire.call("GET", "key") == b"value"


def test_a_worker_that_is_nowhere_is_looked_for_where_they_are_installed(
        installed, placed):
    code, said = placed(installed, refork_worker="none").start_refused()
    assert code == services.EXIT_CONFIG
    assert f"in {installed}/{PREFIX}/lib/refork/workers" in said


# ---- what is built against it ----

without_sanitizer = pytest.mark.skipif(
    "address" in BUILD.name, reason="the example is built without sanitizer")
with_pkg_config = pytest.mark.skipif(
    not shutil.which("pkg-config"), reason="pkg-config is not installed")


def build_environment(root):
    lib = root / PREFIX / "lib"
    return {"PKG_CONFIG_PATH": str(lib / "pkgconfig"),
            "PKG_CONFIG_SYSROOT_DIR": str(root), "LD_LIBRARY_PATH": str(lib),
            "MAKEFLAGS": ""}


@pytest.fixture
def example(installed, tmp_path):
    """example(*make arguments): the worker of the shipped example, built."""
    def build(*arguments):
        at = Path(shutil.copytree(
            installed / PREFIX / "share/doc/refork/examples",
            tmp_path / "example"))
        made = run("make", *arguments, cwd=at, env=build_environment(installed))
        assert "warning" not in made.stdout + made.stderr
        return at
    return build


def kill_business(service):
    pid = service.business_pid
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: service.status()["business_pid"] not in (0, pid),
               "the supervisor knows the successor")


@without_sanitizer
@with_pkg_config
@pytest.mark.parametrize("mistake", ["", "-lrefork"])
def test_the_example_counts_through_deaths(installed, placed, example, mistake):
    """Also when the worker was linked with the library, which it should not
    be: what it calls is found in reforkd first."""
    directory = example(f"LDLIBS=-L{installed}/{PREFIX}/lib {mistake}")
    needed = run("readelf", "-d", directory / "visits.so").stdout
    assert ("librefork.so.1" in needed) == bool(mistake)
    environment = {**build_environment(installed),
                   "REFORK_WORKER_DIR": str(directory)}
    visits = placed(installed, refork_worker="visits", env=environment,
                    restart_delay="0", restart_burst=1000).start()
    with visits.raw() as wire:
        for i in range(1, 10):
            assert wire.call("visit", f"place {i % 2}") == (i + 1) // 2
            if i % 3 == 0:
                kill_business(visits)
        assert wire.call("VISITS", "place 1") == 5
        assert wire.call("VISITS", "elsewhere") == 0
        socket = visits.runtime_dir / f"{visits.name}.sock"
        total = run(directory / "visits_total", socket, env=environment)
        assert total.stdout == "9\n"
    assert visits.control("arena", "verify").returncode == 0


@with_pkg_config
def test_pkg_config_tells_what_a_builder_needs(installed):
    def tell(*what):
        return run("pkg-config", *what, "refork",
                   env={**build_environment(installed),
                        "PKG_CONFIG_SYSROOT_DIR": ""}).stdout.strip()
    header = (TOP / "common/refork/worker.h").read_text()
    assert tell("--modversion") == project_version()
    assert tell("--variable=abi") == re.search(
        r"define RF_WORKER_ABI\s+(\d+)", header)[1]
    assert tell("--variable=workerdir") == f"/{PREFIX}/lib/refork/workers"
    assert tell("--cflags") == f"-I/{PREFIX}/include"
    assert tell("--libs") == f"-L/{PREFIX}/lib -lrefork"


@pytest.mark.parametrize("compiler, language, standard", [
    ("gcc", "c", "c11"), ("g++", "c++", "c++11")])
def test_each_header_stands_alone(installed, tmp_path, compiler, language,
                                  standard):
    include = installed / PREFIX / "include"
    sources = []
    for header in sorted((include / "refork").iterdir()):
        sources.append(tmp_path / f"{header.stem}.{language}")
        sources[-1].write_text(f"#include <refork/{header.name}>\n" * 2)
    run(compiler, f"-std={standard}", "-x", language, "-fsyntax-only", "-Wall",
        "-Wextra", "-Werror", f"-I{include}", *sources)


# ---- the library ----

def public_names():
    """{header: the names that it declares as RF_API}."""
    names = {}
    for header in (TOP / "common/refork").glob("*.h"):
        text = re.sub(r"/\*.*?\*/|^\s*#.*?[^\\]$", "", header.read_text(),
                      flags=re.DOTALL | re.MULTILINE)
        names[header.name] = set(
            re.findall(r"\bRF_API\b[^;{(]*?\b(rf_\w+)\s*\(", text)
            + re.findall(r"\bRF_API_DATA\b[^;(]*?\b(rf_\w+);", text))
    return names


def names_in_the_map():
    text = (TOP / "common/librefork.map").read_text()
    return re.findall(r"^\t(rf_\w+);$", text, re.MULTILINE)


def test_the_library_shows_the_public_functions_and_nothing_else():
    declared = set().union(*(names for header, names in public_names().items()
                             if header not in WORKERS_HEADERS))
    listed = names_in_the_map()
    assert listed == sorted(set(listed))
    assert set(listed) == declared
    shown = run("nm", "-D", "--defined-only", LIBRARY).stdout
    shown = re.findall(r" [TRDB] (\w+)@@LIBREFORK_1$", shown, re.MULTILINE)
    assert sorted(shown) == listed


def test_the_library_stands_on_libc_alone():
    told = run("readelf", "-d", LIBRARY).stdout
    assert "Library soname: [librefork.so.1]" in told
    needed = re.findall(r"NEEDED.*\[(.*?)\.so", told)
    if "address" not in BUILD.name:
        assert set(needed) <= {"libc", "libm", "ld-linux-x86-64"}


def project_version():
    return re.search(r'VERSION "(.*)"',
                     (TOP / "daemon/version.h").read_text())[1]


def test_there_is_one_version(installed):
    changelog = (TOP / "debian/changelog").read_text()
    assert re.match(r"refork \((.*?)\)", changelog)[1] == project_version()
    said = run(installed / PREFIX / "bin/reforkd", "--version").stdout
    assert project_version() in said
