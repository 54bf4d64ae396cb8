"""The app runs in its own environment, whichever perdure was started (architecture.md §11.7)."""

import sysconfig
import venv
from pathlib import Path

import pytest

from support.host_apps import run_perdure, write_app
from support.host_process import HostProcess, checkout_environment

APP = """
import sys

print(f"app runs in {sys.prefix}", flush=True)
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return write_app(tmp_path / "app", APP)


def make_environment(folder: Path, *, with_perdure: bool) -> Path:
    venv.create(folder, with_pip=False, symlinks=True)
    if with_perdure:
        packages = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
        Path(packages, "everything.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def test_environment_of_the_app_without_perdure_gets_one_command(app: Path):
    own = make_environment(app / ".venv", with_perdure=False)
    ended = run_perdure("start", app)
    assert ended.code == 1
    assert len(ended.error_lines) <= 3
    assert f"{own / 'bin' / 'python'} -m pip install perdure" in ended.err
    assert "app runs in" not in ended.out


def test_environment_of_the_app_with_perdure_runs_it(app: Path):
    own = make_environment(app / ".venv", with_perdure=True)
    with HostProcess(app) as host:
        assert f"app runs in {own}\n" in host.log()


def test_activated_environment_wins(app: Path, tmp_path: Path):
    make_environment(app / ".venv", with_perdure=False)
    activated = make_environment(tmp_path / "activated", with_perdure=True)
    with HostProcess(app, environment={**checkout_environment(), "VIRTUAL_ENV": str(activated)}) as host:
        assert f"app runs in {activated}\n" in host.log()


def test_environment_that_is_gone_does_not_matter(app: Path, tmp_path: Path):
    with HostProcess(app, environment={**checkout_environment(), "VIRTUAL_ENV": str(tmp_path / "gone")}) as host:
        assert "app runs in" in host.log()
