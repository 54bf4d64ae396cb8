"""Other processes on a store, ended with the test that started them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SUPPORT = Path(__file__).parent
SOURCES = [SUPPORT.parent, SUPPORT.parent.parent / "src"]


@contextmanager
def store_child(job: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process that does one of the jobs of store_child.py."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, SOURCES))}
    command = [sys.executable, str(SUPPORT / "store_child.py"), job, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as child:
        try:
            yield child
        finally:
            if child.poll() is None:
                child.kill()


@contextmanager
def ended(pid: int) -> Iterator[None]:
    """Kill a process that is not our child, at the end."""
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
