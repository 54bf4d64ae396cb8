"""A scheduler server in memory, on a thread of the program that tests with it, with time that can be set forward.

Found by the SDK through the entry point ``perdure.test_server``.
"""

import asyncio
import errno
import os
import threading
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from perdure.grpc_api.access import Doorkeeper
from perdure.grpc_api.calls import Door
from perdure.grpc_api.health_service import Health
from perdure.grpc_api.hub_choice import HubChoice
from perdure.grpc_api.server import GrpcServer, PortTaken
from perdure.host.adjustable_time import AdjustableClock, AdjustableLoop
from perdure.host.hub_directory import MEMORY, HubDirectory
from perdure.host.serve_options import ServeOptions

T = TypeVar("T")
LAST_CALLS_SECONDS = 0.5
_NOBODY: Doorkeeper | None = None


class TestServer:
    """Serves from ``start`` to ``stop``, any number of times; each start begins empty. Any hub name is a hub.

    All methods block, and may be called from any thread.
    """

    __test__ = False  # pytest looks for classes of such names

    def __init__(self, *, history_events_max: int) -> None:
        self._options = ServeOptions(store_url=MEMORY, creates_hubs=True, history_events_max=history_events_max)
        self._running: _Running | None = None

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._running is not None

    def start(self, port: int) -> int:
        """Listen on the port, 0 for a free one; returns which. Raises OSError when it is taken."""
        assert self._running is None, "it runs already"
        running = _Running(self._options)
        try:
            found = running.do(lambda: running.open(port))
        except BaseException:
            running.end()
            raise
        self._running = running
        return found

    def stop(self, grace_seconds: float) -> None:
        """Let calls under way end within the time. Twice-safe."""
        running, self._running = self._running, None
        if running is not None:
            try:
                running.do(lambda: running.close(grace_seconds))
            finally:
                running.end()

    def reset(self) -> None:
        """Empty all hubs; workers that are connected connect again by themselves."""
        if (running := self._running) is not None:
            running.do(running.empty)

    def advance(self, by: timedelta) -> None:
        """Set the time forward: timers, delayed starts and signals that are due until then are due now."""
        if (running := self._running) is not None:
            running.do(lambda: running.advance(by))


class _Running:
    """One start of it: its loop, in its thread, and what is on it."""

    def __init__(self, options: ServeOptions) -> None:
        self._options = options
        self._loop = AdjustableLoop()
        self._clock = AdjustableClock()
        self._thread = threading.Thread(target=self._turn, name="perdure-test-server", daemon=True)
        self._thread.start()

    def do(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run it on the loop, and wait."""

        async def made() -> T:
            return await work()

        return asyncio.run_coroutine_threadsafe(made(), self._loop).result()

    def end(self) -> None:
        """End loop and thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def open(self, port: int) -> int:
        """Start to serve."""
        options = self._options
        self._hubs = HubDirectory(options, self._clock)
        self._door = Door(HubChoice(self._hubs, _NOBODY))
        self._grpc = GrpcServer(options.receive_bytes_max)
        self._grpc.mount_door(self._door)
        self._grpc.mount_health(Health(lambda: True, self._door.stopping).handlers())
        try:
            bound = self._grpc.listen(options.address, port)
        except PortTaken as error:
            raise OSError(
                errno.EADDRINUSE, f"{os.strerror(errno.EADDRINUSE)}: port {port}. Choose another one, or 0 for any"
            ) from error
        await self._hubs.open()
        await self._grpc.start()
        return bound

    async def close(self, grace_seconds: float) -> None:
        self._door.stopping.set()
        await self._hubs.stop(grace_seconds)
        await self._grpc.stop(LAST_CALLS_SECONDS)

    async def empty(self) -> None:
        await asyncio.gather(*(self._hubs.create(hub.name, recreate=True) for hub in self._hubs.running()))

    async def advance(self, by: timedelta) -> None:
        self._clock.advance(by)
        self._loop.advance(by)

    def _turn(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(_ended(asyncio.all_tasks(self._loop)))
        finally:
            self._loop.close()


async def _ended(tasks: "set[asyncio.Task[Any]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
