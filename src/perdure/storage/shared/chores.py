"""Work that a hint or a look asks for: one run at a time, and once more when it was asked for meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable

from perdure.contracts.errors import StoreFailed, Unavailable


def program_error(error: Exception) -> StoreFailed:
    """What an error that nobody thought of means in work that nobody waits for: to go on would hide it."""
    failed = StoreFailed(f"An error in the program that uses the store: {type(error).__name__}: {error}")
    failed.__cause__ = error
    return failed


class Chore:
    """Runs ``work`` in the background whenever it is poked.

    ``failed`` hears of StoreFailed, which an error is that nobody thought of.
    """

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
        self._answer(self._next, _closed())
        self._next = None

    async def _run(self) -> None:
        try:
            while self._is_poked:
                self._is_poked = False
                waiting, self._next = self._next, None
                try:
                    await self._work()
                except asyncio.CancelledError:
                    # Only ``stop`` cancels it; whoever waits was not cancelled.
                    self._answer(waiting, _closed())
                    raise
                except BaseException as error:
                    self._answer(waiting, error)
                    raise
                self._answer(waiting, None)
        except Unavailable as error:
            # The next look pokes again.
            self._give_up(error)
        except Exception as error:
            failed = error if isinstance(error, StoreFailed) else program_error(error)
            self._give_up(failed)
            self._failed(failed)
        finally:
            if self._running is asyncio.current_task():
                self._running = None

    def _give_up(self, error: BaseException) -> None:
        self._is_poked = False
        self._answer(self._next, error)
        self._next = None

    def _answer(self, waiting: asyncio.Future[None] | None, error: BaseException | None) -> None:
        if waiting is None or waiting.done():
            return
        if error is None:
            waiting.set_result(None)
        else:
            waiting.set_exception(error)
            # Whoever waits has it; nobody may.
            waiting.exception()


def _closed() -> Unavailable:
    return Unavailable("The store is closed.")
