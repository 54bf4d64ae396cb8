"""Day one of a user from Azure: a project as it is, with its .venv of official packages, runs after one pip install."""

import os
import shutil
from pathlib import Path

import pytest

from support.host_process import HostProcess, wait_until
from support.pip_environment import PipEnvironment

PROJECT = Path(__file__).parent / "existing_app"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PROJECT, tmp_path / "shop"))


def _sources(project: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in project.iterdir() if path.is_file() and path.name != "host.log"}


def test_an_existing_project_runs_unchanged(project: Path, wheelhouse: Path) -> None:
    before = _sources(project)
    environment = PipEnvironment(project / ".venv", wheelhouse)
    environment.install(*(project / "requirements.txt").read_text().split())
    environment.install("perdure")
    activated = {**environment.environment(), "VIRTUAL_ENV": str(project / ".venv")}
    activated["PATH"] = f"{environment.python.parent}{os.pathsep}{activated['PATH']}"

    with HostProcess(project, python=environment.python, environment=activated) as host:
        status = host.completed(host.start_instance("/api/orders", {"sku": "TEA", "qty": 3}))
        assert status["output"] == {"reserved": "TEA reserved", "parts": [0, 1, 4]}

        by_hand = {"input": '{"sku": "QUEUED", "qty": 2}'}
        assert host.http.post("/admin/functions/from_queue", json=by_hand).status_code == 202
        wait_until(
            lambda: _outputs(host) == ["QUEUED reserved", "TEA reserved"], "both orders are done", about=host.log
        )
        log = host.log()

    assert "from_queue: queueTrigger (not run here)" in log
    assert "azure-functions-durable 1." in log
    assert _sources(project) == before
    assert not environment.changed_files()


def _outputs(host: HostProcess) -> list[str]:
    instances = host.http.get("/runtime/webhooks/durabletask/instances").json()
    return sorted(row["output"]["reserved"] for row in instances if row["runtimeStatus"] == "Completed")
