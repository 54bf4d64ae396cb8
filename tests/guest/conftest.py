"""The official package in a folder of its own, and apps run on both SDKs at once."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.both_sdks import BothSdks
from support.host_process import HostProcess, checkout_environment
from support.pip_environment import pip

OFFICIAL = "azure-functions-durable<2"


@pytest.fixture(scope="session")
def official_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables of a process that finds the official package before ours."""
    folder = tmp_path_factory.mktemp("official")
    pip("install", "--quiet", "--no-compile", "--only-binary", ":all:", "--target", folder, OFFICIAL)
    environment = checkout_environment()
    environment["PYTHONPATH"] += os.pathsep + str(folder)
    return environment


@pytest.fixture(scope="module")
def start_both(
    tmp_path_factory: pytest.TempPathFactory, official_environment: dict[str, str]
) -> Iterator[Callable[[Path], BothSdks]]:
    """Copy an app twice and run it on both SDKs; all hosts stop, with exit code 0, after the file's last test."""
    with ExitStack() as hosts:

        def start(source: Path) -> BothSdks:
            started: list[HostProcess] = []
            for sdk in ("ours", "installed"):
                app = tmp_path_factory.mktemp(sdk) / source.name
                shutil.copytree(source, app, ignore=shutil.ignore_patterns(".perdure", "__pycache__"))
                host = HostProcess(app, "--sdk", sdk, environment=official_environment)
                started.append(hosts.enter_context(host))
            return BothSdks(*started)

        yield start
