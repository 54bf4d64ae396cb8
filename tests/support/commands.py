"""Commands run inside the test's process: as quick as a call, with the exit code and output of the real ones."""

import contextlib
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from perdure.cli.main import main
from support.host_apps import Ended


def command(*words: str | Path, folder: Path | None = None) -> Ended:
    """Run ``perdure`` with these words in a folder."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), working_in(folder or Path.cwd()):
        try:
            main([str(word) for word in words])
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
    return Ended(code, out.getvalue(), err.getvalue())


def value_of(*words: str | Path, folder: Path | None = None, code: int = 0) -> Any:
    """The JSON document that a command prints."""
    ended = command(*words, folder=folder)
    assert ended.code == code, ended
    return json.loads(ended.out)


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """The working directory is ``folder`` meanwhile."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
