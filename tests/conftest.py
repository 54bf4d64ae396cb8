"""What every test shares: how hypothesis runs, and that a test leaves nothing running behind."""

import os
import threading
from collections.abc import Generator, Iterator
from pathlib import PurePosixPath
from typing import Any

import hypothesis
import psutil
import pytest

hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, print_blob=True)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=5_000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default"))


SHARED_ENVIRONMENTS = "packaging"
"""Tests of this folder share a wheel and a download, so they stay in one test process."""
SPREAD = "simulation"
"""Tests of this folder compute for long and share nothing, so each may go to any test process."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep a file's tests in one of several test processes, and let those of ``SPREAD`` go anywhere."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            folder = PurePosixPath(file).parent.name
            if folder == SPREAD:
                return nodeid
            return folder if folder == SHARED_ENVIRONMENTS else file

    return ByFile(config, log)


@pytest.fixture(autouse=True, scope="module")
def nothing_left_running() -> Iterator[None]:
    """After the last test of a file, no child process and no thread that would keep the process alive is left."""
    threads_before = set(threading.enumerate())
    children_before = set(_children())
    yield
    threads = [
        thread for thread in set(threading.enumerate()) - threads_before if not thread.daemon and not _ends(thread)
    ]
    assert not threads, f"threads left running: {threads}"
    _, children = psutil.wait_procs(set(_children()) - children_before, timeout=5)
    assert not children, f"processes left running: {children}"


def _children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def _ends(thread: threading.Thread) -> bool:
    thread.join(timeout=2)
    return not thread.is_alive()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write out lone surrogates in captured output: a report travels between test processes as UTF-8."""
    report = yield
    report.sections = [(title, text.encode("utf-8", "backslashreplace").decode()) for title, text in report.sections]
    return report
