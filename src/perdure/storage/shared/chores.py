"""Work that a hint or a look asks for: one run at a time, and once more when it was asked for meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable

from perdure.contracts.errors import StoreFailed, Unavailable


class Chore:
    """Runs ``work`` in the background whenever it is poked."""

    def __init__(self, work: Callable[[], Awaitable[None]]) -> None:
        self._work = work
        self._is_poked = False
        self._running: asyncio.Task[None] | None = None

    def poke(self) -> None:
        """Do it, or do it again after the run under way."""
        self._is_poked = True
        if self._running is None:
            self._running = asyncio.create_task(self._run())

    def stop(self) -> None:
        self._is_poked = False
        if self._running is not None:
            self._running.cancel()
            self._running = None

    async def _run(self) -> None:
        try:
            while self._is_poked:
                self._is_poked = False
                await self._work()
        except (Unavailable, StoreFailed):
            # The next look pokes again; whether the store is lost for good is found out by those who write.
            self._is_poked = False
        finally:
            if self._running is asyncio.current_task():
                self._running = None
