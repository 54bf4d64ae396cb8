"""This process among those of the hub: announced, renewed, expired by its own clock, announced anew."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec

from perdure.contracts.errors import StoreFailed, Unavailable
from perdure.storage.shared.chores import program_error
from perdure.storage.shared.store_clock import StoreClock
from perdure.storage.shared.tables import Hint, SharedTables, Sight

logger = logging.getLogger("perdure.storage")
LEAVE_SECONDS = 2.0
"""How long a process that ends tries to say so."""
NO_WAIT_SECONDS = 0.001
"""A wait shorter than this is none; clocks need not be finer."""


class LeaseTimes(msgspec.Struct, frozen=True, kw_only=True):
    """How long a process is taken to be alive, and how often it says so (reliability.md O2). Seconds."""

    lease: float = 10.0
    renewal: float = 3.0
    margin: float = 3.0
    """So long before the store's judgement a process stops by its own clock."""
    owed: float = 1.0
    """How often it looks while something is owed from outside, so that a lost hint is late by no more."""
    again: float = 0.5
    """How soon it tries again when the store cannot be reached."""


def times_of_lease(seconds: float) -> LeaseTimes:
    """In the proportions of the default; what has nothing to do with the lease is no longer than between renewals."""
    usual = LeaseTimes()
    part = seconds / usual.lease
    renewal = usual.renewal * part
    return LeaseTimes(
        lease=seconds,
        renewal=renewal,
        margin=usual.margin * part,
        owed=min(usual.owed, renewal),
        again=min(usual.again, renewal / 2),
    )


class Keeping:
    """Keeps this process on the list, as long as it is kept, and looks at the hub each time.

    ``seen`` is awaited with each sight, and while that takes its time renewals go on, without a sight of their own.
    ``gone`` is called when nothing this process held is its own any more: its time ran out by its own clock, or it
    has been buried. It is announced anew, under a new number, when it can be. ``heard`` is called with the hints that
    come for any of its numbers, ``failed`` with StoreFailed.
    """

    def __init__(
        self,
        tables: SharedTables,
        clock: StoreClock,
        times: LeaseTimes,
        *,
        seen: Callable[[Sight], Awaitable[None]],
        gone: Callable[[], None],
        heard: Callable[[Hint], None],
        failed: Callable[[StoreFailed], None],
    ) -> None:
        self.process: int | None = None
        """Our number; None while we are not on the list, as far as we know."""
        self.runs = False
        """Whether this process takes partitions."""
        self.owes: Callable[[], bool] = lambda: False
        """Whether something is owed from outside."""
        self.name = ""
        self.trouble: str | None = None
        """Why the store could not be asked when we last tried; None when it could."""
        self._tables = tables
        self._clock = clock
        self._times = times
        self._seen = seen
        self._gone = gone
        self._heard = heard
        self._failed = failed
        self._is_over = False
        self._former: int | None = None
        """A number that may still be on the list."""
        self._announcing = asyncio.Lock()
        self._looking = asyncio.Lock()
        self._poked = asyncio.Event()
        self._deadline: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._looked: asyncio.Task[None] | None = None
        """The look that the keeping waits for, or does not wait for any more."""
        self._looked_at = 0.0

    async def announced(self) -> int:
        """Our number. Raises Unavailable when we have none and the store cannot be reached."""
        if self.process is None:
            async with self._announcing:
                if self.process is None:
                    await self._announce()
        if self.process is None:
            raise Unavailable("The store is closed.")
        return self.process

    def buried(self, process: int) -> None:
        """The store says that this number is off the list."""
        if process == self.process:
            logger.warning("Others took this process for dead, and what it held; it asks for a new place among them.")
            self._former = None
            self._lose()
            self.poke()

    def poke(self) -> None:
        """Look soon: something has changed."""
        self._poked.set()

    async def look(self) -> None:
        """Renew, and act on what is seen. Raises Unavailable."""
        async with self._looking:
            if (sight := await self._renew()) is not None:
                await self._seen(sight)

    async def stop(self) -> None:
        """Leave the list. What cannot be told to the store now it finds out by itself, when our time is over."""
        tasks = [task for task in (self._task, self._looked) if task is not None]
        self._task = self._looked = None
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        process = self.process or self._former
        self.abandon()
        if process is not None:
            try:
                async with asyncio.timeout(LEAVE_SECONDS):
                    await self._tables.depart(process)
            except (Unavailable, TimeoutError):
                return

    def abandon(self) -> None:
        """Stop without a word, as a killed process does."""
        for task in (self._task, self._looked):
            if task is not None:
                task.cancel()
        self._task = self._looked = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self.process = self._former = None
        self.runs = False
        self._is_over = True

    # Below

    async def _announce(self) -> None:
        if self._is_over:
            return
        if self._former is not None:
            await self._tables.depart(self._former)
            self._former = None
        sent = asyncio.get_running_loop().time()
        process = await self._tables.announce(self.name, self._times.lease)
        if self._is_over:
            # Closed on the way.
            await self._tables.depart(process)
            return
        self.process = process
        self._tables.listen(process, self._heard)
        self._extend(sent)
        if self._task is None:
            self._task = asyncio.create_task(self._keep())
        self.poke()

    async def _keep(self) -> None:
        """Look again and again."""
        while True:
            await self._until_due()
            try:
                if self._looked is None:
                    self._looked = asyncio.create_task(self.look())
                else:
                    # What is to be done waits behind a long write, maybe: we are alive all the same.
                    await self._renew()
                await asyncio.wait([self._looked], timeout=self._times.renewal)
                if self._looked.done():
                    looked, self._looked = self._looked, None
                    looked.result()
                self._note(None)
            except Unavailable as error:
                self._note(str(error))
                await asyncio.sleep(self._times.again)
                self.poke()
            except StoreFailed as error:
                self._failed(error)
                return
            except Exception as error:
                # Nobody would renew from here on, and nobody hear of it.
                self._failed(program_error(error))
                return

    def _note(self, trouble: str | None) -> None:
        """Say in the log when trouble begins and when it ends."""
        if trouble is not None and self.trouble is None:
            logger.warning("The hub's store cannot be used now, and is tried again until it can: %s", trouble)
        elif trouble is None and self.trouble is not None:
            logger.warning("The hub's store can be used again.")
        self.trouble = trouble

    async def _until_due(self) -> None:
        """Until it is time to look, or somebody pokes. What is owed shortens a wait that has begun."""
        loop, times = asyncio.get_running_loop(), self._times
        while (
            wait := self._looked_at + (times.owed if self.owes() else times.renewal) - loop.time()
        ) > NO_WAIT_SECONDS:
            try:
                async with asyncio.timeout(min(wait, times.owed)):
                    await self._poked.wait()
                    break
            except TimeoutError:
                continue
        self._poked.clear()

    async def _renew(self) -> Sight | None:
        """What is to be acted on; None when we are not, or not any more, who we were."""
        process = await self.announced()
        sent = self._looked_at = asyncio.get_running_loop().time()
        sight = await self._tables.renew(process, self._times.lease, runs=self.runs)
        if sight is None:
            self.buried(process)
        elif process == self.process:
            self._extend(sent)
            self._clock.heard(sight.now)
            return sight
        return None

    def _extend(self, sent: float) -> None:
        """Counted from before the asking: a slow answer does not stretch it."""
        if self._deadline is not None:
            self._deadline.cancel()
        until = sent + self._times.lease - self._times.margin
        self._deadline = asyncio.get_running_loop().call_at(until, self._expire)

    def _expire(self) -> None:
        """By our own clock somebody else may soon have what we hold."""
        logger.warning("The lease could not be renewed in time: this process lets go of what it held.")
        self._former = self.process
        self._lose()
        self.poke()

    def _lose(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self.process = None
        self._gone()
