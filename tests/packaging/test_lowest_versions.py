"""The lower bounds in pyproject.toml are true: the quickstart runs on exactly those versions."""

import re
import shutil
import tomllib
from pathlib import Path

import pytest

from support.host_process import REPOSITORY, HostProcess
from support.pip_environment import PipEnvironment, pip


@pytest.fixture(scope="module")
def lowest() -> dict[str, str]:
    """Each dependency with its lower bound."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bounds = (re.match(r"([a-z-]+)>=([\d.]+)", text) for text in project["dependencies"])
    return {bound[1]: bound[2] for bound in bounds if bound is not None}


def test_the_quickstart_runs_on_the_lowest_versions(lowest: dict[str, str], wheel: Path, tmp_path: Path):
    pinned = [f"{name}=={version}" for name, version in lowest.items()]
    pip("download", "--quiet", "--only-binary", ":all:", "--dest", tmp_path / "wheels", wheel, *pinned)
    environment = PipEnvironment(tmp_path / "environment", tmp_path / "wheels")
    environment.install("perdure", *pinned)
    app = Path(shutil.copytree(REPOSITORY / "samples" / "hello_cities", tmp_path / "hello_cities"))

    with HostProcess(app, python=environment.python, environment=environment.environment()) as host:
        status = host.completed(host.start_instance("/api/orchestrators/hello_orchestrator"))

    assert status["output"] == ["Hello Seattle", "Hello Tokyo", "Hello London"]
    environment.check()
