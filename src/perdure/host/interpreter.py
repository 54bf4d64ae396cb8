"""Whose Python runs the app: the environment it was installed for, even if perdure was started from another."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


class PerdureMissing(Exception):
    """The app's environment has no perdure; the message holds the command that installs it."""


def interpreter_for(app_folder: Path, environment: Mapping[str, str]) -> Path | None:
    """The interpreter to restart in; None when this one is right.

    That of ``VIRTUAL_ENV``, else of the app's ``.venv`` (architecture.md §11.7). Raises PerdureMissing.
    """
    named = environment.get("VIRTUAL_ENV")
    folder = Path(named) if named else app_folder / ".venv"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists() or folder.resolve() == Path(sys.prefix).resolve():
        return None
    found = subprocess.run(
        [python, "-c", "import perdure.cli.main"], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if found.returncode != 0:
        raise PerdureMissing(
            f"The app's environment is {folder}, and perdure is not installed there.\n"
            f"Install it with: {python} -m pip install perdure"
        )
    return python


def restart_in(python: Path, arguments: list[str]) -> None:
    """Become ``python -m perdure`` with these arguments; does not return."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(python, [str(python), "-m", "perdure", *arguments])
