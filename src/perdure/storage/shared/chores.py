"""Work that a hint or a look asks for: one run at a time, and once more when it was asked for meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable

from perdure.contracts.errors import StoreFailed, Unavailable


class Chore:
    """Runs ``work`` in the background whenever it is poked. ``failed`` hears of StoreFailed."""

    def __init__(self, work: Callable[[], Awaitable[None]], failed: Callable[[StoreFailed], None]) -> None:
        self._work = work
        self._failed = failed
        self._is_poked = False
        self._next: asyncio.Future[None] | None = None
        """For those who wait for the next run."""
        self._running: asyncio.Task[None] | None = None

    def poke(self) -> None:
        """Do it, or do it again after the run under way."""
        self._is_poked = True
        if self._running is None:
            self._running = asyncio.create_task(self._run())

    async def done(self) -> None:
        """Wait for a run that begins after this call. Raises what it raises."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        self.poke()
        await asyncio.shield(self._next)

    def stop(self) -> None:
        self._is_poked = False
        if self._running is not None:
            self._running.cancel()
            self._running = None
        self._answer(self._next, Unavailable("The store is closed."))
        self._next = None

    async def _run(self) -> None:
        try:
            while self._is_poked:
                self._is_poked = False
                waiting, self._next = self._next, None
                try:
                    await self._work()
                except BaseException as error:
                    self._answer(waiting, error)
                    raise
                self._answer(waiting, None)
        except (Unavailable, StoreFailed) as error:
            # The next look pokes again.
            self._is_poked = False
            self._answer(self._next, error)
            self._next = None
            if isinstance(error, StoreFailed):
                self._failed(error)
        finally:
            if self._running is asyncio.current_task():
                self._running = None

    def _answer(self, waiting: asyncio.Future[None] | None, error: BaseException | None) -> None:
        if waiting is None or waiting.done():
            return
        if error is None:
            waiting.set_result(None)
        elif isinstance(error, asyncio.CancelledError):
            waiting.cancel()
        else:
            waiting.set_exception(error)
            # Whoever waits has it; nobody may.
            waiting.exception()
