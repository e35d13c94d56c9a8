# SPDX-License-Identifier: MIT
"""What every system test can ask for."""
import itertools
import re
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import machine as machines  # noqa: E402
from backends import remove_all, settings  # noqa: E402
from manager import Managed, Manager  # noqa: E402
from service import Service  # noqa: E402

TEST_TIMEOUT_S = 120
POOL = "/proc/sys/vm/nr_hugepages"

_instances = itertools.count(1)


@pytest.fixture(autouse=True)
def time_limit():
    """No test hangs."""
    def late(*_):
        raise TimeoutError(f"the test ran for {TEST_TIMEOUT_S} s")
    signal.signal(signal.SIGALRM, late)
    signal.alarm(TEST_TIMEOUT_S)
    yield
    signal.alarm(0)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """Let fixtures know whether the test has failed."""
    report = (yield).get_result()
    if report.when == "call":
        item.failed = report.failed


@pytest.fixture
def daemon(tmp_path, request):
    """daemon(**overrides): a Service that is not started yet."""
    made = []

    def make(directory=tmp_path, **options):
        made.append(Service(directory, **options))
        return made[-1]

    yield make
    try:
        # A test that failed has said why; what follows from it is noise.
        if not getattr(request.node, "failed", False):
            for service in made:
                service.stop()
                service.assert_log_clean()
    finally:
        for service in made:
            service.clean_up()
            if getattr(request.node, "failed", False):
                print(f"--- log of {service.name}\n{service.log()[-8000:]}")


@pytest.fixture
def service(daemon):
    """service(**overrides): a Service that serves. It is stopped after the
    test, and must then leave nothing behind."""
    return lambda **options: daemon(**options).start()


@pytest.fixture
def backed(daemon):
    """backed(backend, **overrides): a Service that is not started. Whatever
    happens, nothing of its memory stays."""
    made = []

    def make(backend, **more):
        made.append(daemon(**settings(backend, **more)))
        return made[-1]
    yield make
    try:
        for service in made:
            service.stop()
    finally:
        for service in made:
            service.clean_up()
            remove_all(service)


@pytest.fixture
def manager(tmp_path):
    """A service manager of one's own."""
    made = Manager(tmp_path)
    yield made
    made.close()


@pytest.fixture
def managed(manager, tmp_path, request):
    """managed(**overrides): a Managed that is not started. It is stopped after
    the test, and must then leave nothing behind."""
    made = []

    def make(**options):
        made.append(Managed(tmp_path, manager, **options))
        return made[-1]

    yield make
    failed = getattr(request.node, "failed", False)
    try:
        for service in made:
            if not failed:
                service.stop()
    finally:
        for service in made:
            service.clean_up()
            if failed:
                print(f"--- log of {service.name}\n{service.log()[-8000:]}")


def pool_size(pages=None):
    with open(POOL, "r" if pages is None else "w", encoding="ascii") as file:
        return int(file.read()) if pages is None else file.write(str(pages))


@pytest.fixture
def pool():
    """40 pages of 2 MiB more than there were."""
    before = pool_size()
    try:
        pool_size(before + 40)
    except OSError as error:
        pytest.skip(f"{POOL}: {error.strerror}")
    try:
        if pool_size() < before + 40:
            pytest.skip("no memory for 40 huge pages")
        yield
    finally:
        pool_size(before)


@pytest.fixture(scope="session")
def machine(tmp_path_factory):
    """The Machine that tests share, with refork installed; each takes an
    Instance of its own."""
    reason = machines.why_not()
    if reason:
        pytest.skip(f"no systemd to boot: {reason}")
    layer = tmp_path_factory.mktemp("installed")
    machines.install(layer)
    made = machines.Machine(layer).start()
    try:
        made.prepare()
        yield made
    finally:
        made.stop()


@pytest.fixture
def instance(machine, request):
    """instance(unit="", **overrides): an Instance that is not started. It is
    stopped after the test, and must then leave nothing behind."""
    made = []
    base = re.sub(r"\W+", "-", request.node.name.removeprefix("test_"))

    def make(unit="", **overrides):
        name = f"t{next(_instances)}-{base}"[:31].strip("-")
        made.append(machines.Instance(machine, name, unit, **overrides))
        return made[-1]

    yield make
    failed = getattr(request.node, "failed", False)
    for each in made:
        if failed:
            print(f"--- journal of {each.unit}\n{each.log()[-8000:]}")
        each.end(assert_clean=not failed)
