"""Environments of their own, filled by real pip, for tests of what an installation gives."""

import base64
import hashlib
import os
import subprocess
import sys
import venv
from importlib.metadata import Distribution, distributions
from pathlib import Path


def pip(*arguments: str | Path) -> str:
    """Run pip; returns what it printed."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout}\n{result.stderr}"
    return result.stdout


class PipEnvironment:
    """A virtual environment without pip in it; ours installs into it from a folder of wheels, without the network."""

    def __init__(self, folder: Path, wheelhouse: Path) -> None:
        venv.create(folder, with_pip=False, symlinks=os.name != "nt")
        self.python = folder / "bin" / "python"
        self.site = next(folder.glob("lib/python*/site-packages"))
        self._wheelhouse = wheelhouse

    def install(self, *requirements: str) -> None:
        source = ("--no-index", "--find-links", self._wheelhouse)
        pip("--python", self.python, "install", "--quiet", "--no-compile", *source, *requirements)

    def uninstall(self, *names: str) -> None:
        pip("--python", self.python, "uninstall", "--quiet", "--yes", *names)

    def check(self) -> None:
        """Every package has what it requires."""
        pip("--python", self.python, "check")

    def run(self, program: str) -> str:
        """What the program prints; an error ends the test."""
        result = subprocess.run(
            [self.python, "-W", "error::ImportWarning", "-c", program],
            env=self.environment(),
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    def environment(self) -> dict[str, str]:
        """The variables of a plain shell: nothing that leads to this process's own packages."""
        kept = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT")
        return {name: os.environ[name] for name in kept if name in os.environ}

    def installed(self) -> set[str]:
        return {distribution.name for distribution in self._distributions()}

    def changed_files(self) -> list[str]:
        """Installed files that are missing or differ from what their package's record says."""
        return [
            str(file)
            for distribution in self._distributions()
            for file in distribution.files or []
            if file.hash is not None and _digest(Path(str(file.locate()))) != (file.hash.mode, file.hash.value)
        ]

    def _distributions(self) -> list[Distribution]:
        return list(distributions(path=[str(self.site)]))


def _digest(file: Path) -> tuple[str, str] | None:
    if not file.is_file():
        return None
    digest = hashlib.sha256(file.read_bytes()).digest()
    return "sha256", base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
