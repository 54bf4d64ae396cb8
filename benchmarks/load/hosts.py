"""A real ``perdure start`` on the load's app, and what it costs the machine."""

import http.client
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import Enum
from pathlib import Path

import psutil

from benchmarks.engines.engine import Engine, stop_server
from benchmarks.engines.postgres import Postgres
from benchmarks.host_process import HostFailed, free_port, own_environment

APP = Path(__file__).resolve().parent / "app"
READY_SECONDS_MAX = 60.0


class StoreKind(Enum):
    """Where a host keeps its state."""

    SQLITE = "sqlite"
    POSTGRES = "postgres"
    """A server of its own, with default settings, on the same cores."""


class LoadedHost:
    """A running host; ``port`` is where it listens."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, app: Path) -> None:
        self.port = port
        self.app = app
        self._process = process
        self._seen = psutil.Process(process.pid)

    @property
    def store(self) -> Path:
        """Its SQLite file."""
        return self.app / ".perdure" / "hub.db"

    def rss_mb(self) -> float:
        """Resident memory now."""
        return float(self._seen.memory_info().rss) / 1e6

    def cpu_seconds(self) -> float:
        """Processor time so far."""
        times = self._seen.cpu_times()
        return float(times.user + times.system)

    def written_bytes(self) -> float:
        """What it gave the disk so far; 0 where the system does not tell."""
        try:
            lines = Path(f"/proc/{self._process.pid}/io").read_text().splitlines()
        except OSError:
            return 0.0
        return next((float(line.split()[1]) for line in lines if line.startswith("write_bytes")), 0.0)

    def wait_ready(self) -> None:
        """Return when it is ready for work. Raises HostFailed."""
        until = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise HostFailed(f"the host ended with code {self._process.returncode}")
            if self._is_ready():
                return
            time.sleep(0.02)
        raise HostFailed(f"the host was not ready in {READY_SECONDS_MAX:.0f} s")

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


@contextmanager
def running_host(folder: Path, store: Path | None = None, kind: StoreKind = StoreKind.SQLITE) -> Iterator[LoadedHost]:
    """A host with its state below ``folder``, on the prepared SQLite store if given; stopped at the end."""
    app = folder / "app"
    shutil.copytree(APP, app, ignore=shutil.ignore_patterns("__pycache__", ".perdure"), dirs_exist_ok=True)
    if store is not None:
        (app / ".perdure").mkdir(exist_ok=True)
        store.rename(app / ".perdure" / "hub.db")
    port = free_port()
    command = [sys.executable, "-m", "perdure", "start", str(app), "--port", str(port)]
    with ExitStack() as exits:
        if kind is StoreKind.POSTGRES:
            postgres = Postgres(Engine(folder))
            command += ["--store", postgres.start()]
            exits.callback(postgres.stop)
        with (folder / "host.log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=app, env=own_environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        exits.callback(stop_server, process)
        host = LoadedHost(process, port, app)
        try:
            host.wait_ready()
            yield host
        except HostFailed as error:
            text = (folder / "host.log").read_text(errors="replace")[-500:]
            raise HostFailed(f"{error}; its log ends: {text}") from error
