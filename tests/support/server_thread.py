"""A scheduler server on a thread of its own, for tests that block."""

import asyncio
import logging
import threading
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any

from durabletask.client import TaskHubGrpcClient
from durabletask.grpc_options import GrpcChannelOptions
from support.scheduler_server import scheduler, store_in


class ServerThread:
    """Runs from ``with`` to its end; the store is a file in ``folder``, so the next one goes on with it.

    ``options`` are those of ``ServeOptions``.
    """

    def __init__(self, folder: Path, *, port: int = 0, **options: Any) -> None:
        self._store_url = store_in(folder, "sqlite")
        self.port = port
        self._options = options
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._listening: Future[int] = Future()
        self._thread = threading.Thread(target=self._turn)

    @property
    def address(self) -> str:
        """Where clients and workers find it."""
        return f"localhost:{self.port}"

    def client(self) -> TaskHubGrpcClient:
        """A new client that says nothing."""
        # Of its own: a worker beside it that could not connect must not make it wait.
        options = GrpcChannelOptions(raw_options=[("grpc.use_local_subchannel_pool", 1)])
        return TaskHubGrpcClient(host_address=self.address, channel_options=options, log_handler=logging.NullHandler())

    def __enter__(self) -> "ServerThread":
        self._thread.start()
        self.port = self._listening.result(30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(30)
        assert not self._thread.is_alive(), "the server does not stop"

    def _turn(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except BaseException as error:
            if not self._listening.done():
                self._listening.set_exception(error)
            raise

    async def _serve(self) -> None:
        async with scheduler(self._store_url, port=self.port, **self._options) as server:
            self._listening.set_result(server.port)
            await self._stopping.wait()
