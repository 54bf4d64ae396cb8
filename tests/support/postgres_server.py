"""One PostgreSQL for a whole test run, shared by all its test processes, gone when the last of them is.

Who comes first starts it through a keeper that is nobody's child. Each test process holds a shared lock on a file; the
keeper waits for that file alone, so that nothing is left even after a kill.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import cache
from pathlib import Path

import asyncpg
from benchmarks.postgres_cluster import SECONDS_MAX, Cluster

_RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID") or f"alone{os.getpid()}"


@cache
def shared_server() -> str:
    """The URL of its database; every test takes a hub of its own there. PERDURE_POSTGRES_URL names another one."""
    if given := os.environ.get("PERDURE_POSTGRES_URL"):
        return given
    folder = quick_folder() / f"perdure-pg-{_RUN}"
    folder.mkdir(exist_ok=True)
    # Open until this process ends, whichever way.
    users = os.open(folder / "users", os.O_RDWR | os.O_CREAT, 0o600)
    with (folder / "starting").open("w") as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)
        url = folder / "url"
        if not url.exists():
            started = subprocess.run([sys.executable, __file__, str(folder)], env=_environment(), check=False)
            assert started.returncode == 0
            end = time.monotonic() + SECONDS_MAX
            while not url.exists():
                assert time.monotonic() < end, (folder / "keeper.log").read_text()
                time.sleep(0.01)
        return url.read_text()


@asynccontextmanager
async def looking_at(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of somebody else."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@contextmanager
def own_server(*settings: str) -> Iterator[Cluster]:
    """A server for one test, which may do to it what it likes."""
    folder = Path(tempfile.mkdtemp(prefix="perdure-pg-", dir=quick_folder()))
    cluster = Cluster(folder)
    try:
        cluster.create()
        cluster.start(*settings)
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder)


@contextmanager
def standby_of(primary: Cluster, *settings: str) -> Iterator[Cluster]:
    """A server that follows another one, which is stopped for a moment; ``settings`` are of that one."""
    folder = Path(tempfile.mkdtemp(prefix="perdure-pg-", dir=quick_folder()))
    cluster = Cluster(folder)
    try:
        primary.stop()
        subprocess.run(["cp", "-a", str(primary.folder / "data"), str(folder / "data")], check=True)
        primary.start(*settings)
        (folder / "data" / "standby.signal").touch()
        with (folder / "data" / "postgresql.auto.conf").open("a", encoding="utf-8") as settings_of_its_own:
            settings_of_its_own.write(f"primary_conninfo = 'host=127.0.0.1 port={primary.port} user=postgres'\n")
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder)


def quick_folder() -> Path:
    """In memory where that is possible: tests kill servers, never the machine, so a sync may cost nothing."""
    memory = Path("/dev/shm")
    return memory if os.access(memory, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


def _environment() -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[2])
    return {**os.environ, "PYTHONPATH": root}


def _keep(folder: Path) -> None:
    """Start the server, wait until nobody uses it any more, stop it."""
    # Twice away from who started it: no child of a test process, no terminal.
    if os.fork():
        os._exit(0)
    os.setsid()
    with (folder / "keeper.log").open("wb") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    cluster = Cluster(folder)
    try:
        cluster.create()
        cluster.start("max_connections=300")
        (folder / "url.new").write_text(cluster.url)
        (folder / "url.new").rename(folder / "url")
        with (folder / "users").open("r+") as users:
            fcntl.flock(users, fcntl.LOCK_EX)
    finally:
        with suppress(FileNotFoundError):
            (folder / "url").unlink()
        cluster.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    _keep(Path(sys.argv[1]))
