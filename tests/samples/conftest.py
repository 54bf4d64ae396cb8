"""Every sample runs from a copy, so that its store is new and nothing is written into the checkout."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from support.host_process import REPOSITORY, HostProcess


@pytest.fixture(scope="module")
def start_sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], HostProcess]]:
    """Copy a sample and run it; all hosts are stopped, with exit code 0, after the file's last test."""
    with ExitStack() as hosts:

        def start(name: str) -> HostProcess:
            app = tmp_path_factory.mktemp(name) / name
            shutil.copytree(
                REPOSITORY / "samples" / name, app, ignore=shutil.ignore_patterns(".perdure", "__pycache__")
            )
            return hosts.enter_context(HostProcess(app))

        yield start
