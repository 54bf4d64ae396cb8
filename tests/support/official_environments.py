"""The official packages of other languages' and Python's portable SDKs, installed by their own clients and kept."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from support.host_process import REPOSITORY
from support.pip_environment import pip

PYTHON_PACKAGES = ("durabletask", "durabletask-azuremanaged")
NPM_PACKAGE = "@microsoft/durabletask-js"
KEPT_SECONDS = 7 * 24 * 3600
"""Then the newest versions are asked for again."""
PROGRAMS = REPOSITORY / "tests" / "official" / "programs"


class Interpreter:
    """A command that runs Python programs, and its environment."""

    def __init__(self, command: list[str], python_path: list[Path]) -> None:
        self.command = command
        kept = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT")
        self.environment = {name: os.environ[name] for name in kept if name in os.environ}
        self.environment |= {
            "PYTHONPATH": os.pathsep.join(map(str, python_path)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "GRPC_VERBOSITY": "NONE",
        }

    def package(self) -> str:
        """The folder of the ``durabletask`` that it finds."""
        program = "import durabletask; print(list(durabletask.__path__)[0])"
        return subprocess.run(
            [*self.command, "-c", program], env=self.environment, capture_output=True, text=True, check=True
        ).stdout.strip()


def ours() -> Interpreter:
    """This interpreter, with the checkout's ``durabletask``."""
    return Interpreter([sys.executable], [REPOSITORY / "src", REPOSITORY / "sdks"])


def official_python(cache: Path) -> Interpreter:
    """An interpreter that finds the official packages and what they need, and nothing that is installed here."""

    def install(folder: Path) -> None:
        pip("install", "--quiet", "--no-compile", "--only-binary", ":all:", "--target", folder, *PYTHON_PACKAGES)

    folder = _kept(cache / "python", install)
    return Interpreter([sys.executable, "-s", "-S"], [folder])


def official_javascript(cache: Path) -> Path:
    """A folder with the official package in its ``node_modules``."""
    assert shutil.which("npm"), "the JavaScript suite needs Node.js 20 or newer with npm on PATH"

    def install(folder: Path) -> None:
        folder.mkdir()
        (folder / "package.json").write_text(json.dumps({"private": True}))
        command = ["npm", "install", "--no-audit", "--no-fund", "--silent", NPM_PACKAGE]
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
        assert ended.returncode == 0, f"{NPM_PACKAGE} cannot be had:\n{ended.stdout}\n{ended.stderr}"

    return _kept(cache / "javascript", install)


def _kept(folder: Path, install: Callable[[Path], None]) -> Path:
    """The folder, filled once for all test processes and filled anew when it is old."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    complete = folder.with_suffix(".complete")
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists() or time.time() - complete.stat().st_mtime > KEPT_SECONDS:
            complete.unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
            install(folder)
            complete.touch()
    return folder
