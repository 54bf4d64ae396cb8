"""The apps made of the documents' blocks run from copies, so that each store is new."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.host_process import HostProcess

APPS = Path(__file__).parent / "apps"


@pytest.fixture(scope="module")
def start_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], HostProcess]]:
    """Copy an app and run it; all hosts are stopped, with exit code 0, after the file's last test."""
    with ExitStack() as hosts:

        def start(name: str) -> HostProcess:
            app = tmp_path_factory.mktemp(name) / name
            shutil.copytree(APPS / name, app, ignore=shutil.ignore_patterns(".perdure", "__pycache__"))
            return hosts.enter_context(HostProcess(app))

        yield start
