# SPDX-License-Identifier: MIT
"""What every system test can ask for."""
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from service import Service  # noqa: E402

TEST_TIMEOUT_S = 120


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
