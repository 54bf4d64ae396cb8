"""What every test shares: how hypothesis runs, and that a test leaves nothing running behind."""

import os
import threading
from collections.abc import Generator, Iterator
from itertools import zip_longest
from pathlib import PurePosixPath
from typing import Any

import hypothesis
import psutil
import pytest

EXAMPLES = 60
"""Of each property at each change, others each time; `make properties` looks at thousands."""
hypothesis.settings.register_profile("default", deadline=None, max_examples=EXAMPLES)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=EXAMPLES, print_blob=True)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=5_000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default"))


SHARED_ENVIRONMENTS = "packaging"
"""Tests of this folder share a wheel and a download, so they stay in one test process."""
SPREAD = "simulation"
"""Tests of this folder compute for long and share nothing, so each may go to any test process."""
WAITING = ("faults", "packaging", "official", "samples", "user_documents", "host", "cli", "guest")
"""Tests of these folders start processes and wait for them. Longest first."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep a file's tests in one of several test processes, and let those of ``SPREAD`` go anywhere."""
    from xdist.scheduler import LoadScopeScheduling

    # By the number of its tests, as it would be, a file with one long test comes last, and the others wait for it.
    config.option.loadscopereorder = False

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _scope(nodeid)

    return ByFile(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Several test processes begin with what takes long, and do what waits beside what computes."""
    if not hasattr(config, "workerinput"):
        return
    scopes: dict[str, list[pytest.Item]] = {}
    for item in items:
        scopes.setdefault(_scope(item.nodeid), []).append(item)
    waiting = sorted((scope for scope in scopes if _folder(scope) in WAITING), key=lambda s: WAITING.index(_folder(s)))
    computing = [scope for scope in scopes if _folder(scope) not in WAITING]
    computing.sort(key=lambda scope: (_folder(scope) != SPREAD, -len(scopes[scope])))
    # As many of the one as of the other, until there are no more that wait.
    order = [scope for pair in zip_longest(waiting, computing) for scope in pair if scope is not None]
    items[:] = [item for scope in order for item in scopes[scope]]


def _scope(nodeid: str) -> str:
    """What goes to one test process as a whole."""
    file = nodeid.partition("::")[0]
    folder = PurePosixPath(file).parent.name
    if folder == SPREAD:
        return nodeid
    return folder if folder == SHARED_ENVIRONMENTS else file


def _folder(scope: str) -> str:
    """The folder below ``tests`` that a scope lies in."""
    return scope.partition("::")[0].removeprefix("tests/").partition("/")[0]


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
