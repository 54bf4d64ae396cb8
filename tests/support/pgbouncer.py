"""A real PgBouncer before a server of a test; Debian's package `pgbouncer` has it."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from benchmarks.postgres_cluster import ACCOUNT

from support.postgres_server import quick_folder

SECONDS_MAX = 10.0


class PgBouncer:
    """One that trusts everybody; stopped and started again at the same port."""

    def __init__(self, folder: Path, url: str, *, mode: str, settings: dict[str, str]) -> None:
        """``mode``: session or transaction."""
        program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
        assert program is not None, "There is no PgBouncer here. Install it, for instance: apt-get install pgbouncer"
        self._program = program
        self._parts = urlsplit(url)
        self._folder = folder
        self._port = _free_port()
        self._child: subprocess.Popen[bytes] | None = None
        chosen = {
            "listen_addr": "127.0.0.1",
            "listen_port": str(self._port),
            "unix_socket_dir": "",
            "auth_type": "any",
            "pool_mode": mode,
            "max_client_conn": "300",
            "server_login_retry": "1",
            **settings,
        }
        lines = "\n".join(f"{name} = {value}" for name, value in chosen.items())
        server = f"* = host={self._parts.hostname} port={self._parts.port} user={self._parts.username}"
        (folder / "pgbouncer.ini").write_text(f"[databases]\n{server}\n[pgbouncer]\n{lines}\n")

    @property
    def url(self) -> str:
        """Of the same database, through it."""
        user = self._parts.netloc.rpartition("@")[0]
        return urlunsplit(self._parts._replace(netloc=f"{user}@127.0.0.1:{self._port}"))

    def start(self) -> None:
        """And wait until it listens."""
        account = ACCOUNT if os.geteuid() == 0 else None
        command = [self._program, str(self._folder / "pgbouncer.ini")]
        with (self._folder / "log").open("ab") as log:
            self._child = subprocess.Popen(command, stdout=log, stderr=log, user=account, cwd="/")
        end = time.monotonic() + SECONDS_MAX
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
                return
            except OSError as error:
                if time.monotonic() > end or self._child.poll() is not None:
                    raise RuntimeError(f"PgBouncer did not start:\n{self.log()}") from error
                time.sleep(0.01)

    def kill(self) -> None:
        """Twice-safe."""
        if self._child is not None:
            self._child.kill()
            self._child.wait(SECONDS_MAX)
            self._child = None

    def log(self) -> str:
        return (self._folder / "log").read_text()


@contextmanager
def pgbouncer(url: str, mode: str, **settings: str) -> Iterator[PgBouncer]:
    """Before the server at ``url``; ``settings`` are of the section [pgbouncer]."""
    folder = Path(tempfile.mkdtemp(prefix="perdure-pgb-", dir=quick_folder()))
    folder.chmod(0o755)
    pooler = PgBouncer(folder, url, mode=mode, settings=settings)
    try:
        pooler.start()
        yield pooler
    finally:
        pooler.kill()
        shutil.rmtree(folder)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
