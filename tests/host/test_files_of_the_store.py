"""What the host writes: for its user only, ignored by git, and never through somebody's link (S8)."""

import stat
import subprocess
from pathlib import Path

import pytest

from support.host_apps import run_perdure, write_app
from support.host_process import HostProcess, free_port

APP = """
@app.orchestration_trigger(context_name="context")
def done(context):
    return "done"
    yield
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return write_app(tmp_path / "app", APP)


def test_files_are_for_their_user_only(app: Path):
    with HostProcess(app) as host:
        host.completed(host.start_instance("/api/start/done/d"))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (app / ".perdure").iterdir()}
    assert {"hub.db", "hub.db-wal", "hub.db.box"} <= modes.keys()
    open_to_others = {name: oct(mode) for name, mode in modes.items() if mode & 0o077 and name != ".gitignore"}
    assert not open_to_others


def test_git_does_not_see_them(app: Path):
    subprocess.run(["git", "init", "--quiet", app], check=True)
    with HostProcess(app) as host:
        host.completed(host.start_instance("/api/start/done/d"))
        seen = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=all"],
            cwd=app,
            capture_output=True,
            text=True,
            check=True,
        )
    assert ".perdure" not in seen.stdout


@pytest.mark.parametrize("name", ["hub.db.lock", "hub.db.box"])
def test_links_are_not_followed(app: Path, tmp_path: Path, name: str):
    precious = tmp_path / "precious"
    precious.write_text("do not touch")
    (app / ".perdure").mkdir()
    (app / ".perdure" / name).symlink_to(precious)
    ended = run_perdure("start", app, "--port", str(free_port()))
    assert ended.code == 3, ended
    assert name in ended.err
    assert len(ended.error_lines) <= 3
    assert precious.read_text() == "do not touch"
