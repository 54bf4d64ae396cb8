"""A real ``perdure serve`` in a process of its own, as a user runs it."""

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio
import httpx

from support.host_process import HostProcess, checkout_environment, free_port
from support.scheduler_server import RawClient


class ServeProcess(HostProcess):
    """``with ServeProcess(folder) as server``: ready on entry; on exit stopped by SIGTERM, with exit code 0."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        open_files: int | None = None,
    ) -> None:
        """``open_files``: it may not have more."""
        chosen = {**checkout_environment(), **(environment or {})}
        super().__init__(folder, environment=chosen)
        self.grpc_port = free_port()
        ports = ("--grpc-port", str(self.grpc_port), "--http-port", str(self.port))
        limited = () if open_files is None else ("sh", "-c", f'ulimit -n {open_files} && exec "$0" "$@"')
        self._command = [*limited, sys.executable, "-m", "perdure", "serve", *ports, *arguments]

    @asynccontextmanager
    async def client(
        self, credentials: grpc.ChannelCredentials | None = None, **headers: str
    ) -> AsyncIterator[RawClient]:
        """A client of its own channel."""
        target = f"localhost:{self.grpc_port}"
        if credentials is None:
            channel = grpc.aio.insecure_channel(target)
        else:
            channel = grpc.aio.secure_channel(target, credentials)
        async with channel:
            yield RawClient(channel, headers)

    def _answers(self) -> bool:
        assert self._process is not None
        code = self._process.poll()
        assert code is None, f"the server ended with code {code} at its start; its log:\n{self.log()}"
        try:
            return self.http.get("/health").status_code == 200
        except httpx.TransportError:
            return False
