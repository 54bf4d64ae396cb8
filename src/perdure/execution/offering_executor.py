"""OfferingExecutor: an executor among those of other processes, with which it shares work (architecture.md J11).

It is put around the executor of a process whose store many processes share. It offers what would wait long here, or
for ever, and does what others offer. Without other processes it passes everything on.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from perdure.contracts.errors import LeaseLost, StorageError, StoreFailed, Unavailable
from perdure.contracts.executor import ActivityResult, Executor, OrchestrationSession, Serves, Turn
from perdure.contracts.observer import ActivityEnded, Observer
from perdure.contracts.offers import ClaimedOffer, OfferedWork
from perdure.contracts.records import PendingActivity
from perdure.contracts.storage import Storage
from perdure.core.events import HistoryEvent
from perdure.core.instance import Origin
from perdure.core.partitions import partition_of
from perdure.execution.first_of import FirstOf
from perdure.execution.offer_activities import OwnActivities
from perdure.execution.offer_claims import Claims
from perdure.execution.offer_departures import Departures
from perdure.execution.offer_rates import ActivityRates
from perdure.execution.offer_turns import OfferedTurns

FEW = 8
"""Of so few activities none waits long, unless nothing moves at all."""
MEASURED_SECONDS = 0.1
SELDOM_SECONDS = 1.0
CLAIMS_APART_SECONDS = 0.01
AGAIN_SECONDS = 0.5
"""How soon the store is asked again when it could not be reached."""
HANDED_IN_SECONDS = 5.0
"""So long at most handing in what has ended is waited for, when this process stops."""


def offering(
    inner: Executor,
    storage: Storage,
    *,
    serves: Serves,
    leaves: Serves | None = None,
    observers: Sequence[Observer] = (),
) -> Executor:
    """An ``OfferingExecutor`` where the store is shared, else ``inner``."""
    if storage.offers is None:
        return inner
    return OfferingExecutor(inner, storage, serves=serves, leaves=leaves, observers=observers)


class OfferingExecutor:
    """Implements ``Executor``.

    ``serves``: what can be run here now. ``leaves``: what would only wait here until somebody comes who runs it; None
    where nothing waits for that.
    """

    def __init__(
        self,
        inner: Executor,
        storage: Storage,
        *,
        serves: Serves,
        leaves: Serves | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        self._inner = inner
        self._storage = storage
        self._serves = serves
        self._leaves = leaves
        self._observers = [observer for observer in observers if ActivityEnded in observer.wants]
        self._rates = ActivityRates()
        self._own = OwnActivities(inner, self._rates, leaves)
        self._turns = None if leaves is None else OfferedTurns(inner, leaves, self._poke)
        self._claims = Claims(
            inner, storage, self._rates, serves=serves, own_first=self._own.has_up, announce=self._announce
        )
        self._claims.failed = self._fail
        self._departures = Departures()
        self._late = FirstOf(self._inner_late, self._late_elsewhere)
        self._poked = asyncio.Event()
        self._sleeps: float | None = 0.0
        """How long the sharing waits when nobody pokes it; None: for ever."""
        self._is_stirred = False
        self._is_draining = False
        self._failure: asyncio.Future[list[Turn]] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._looked_at = -math.inf
        self._claimed_at = -math.inf

    # What an engine asks

    async def start(self) -> None:
        """Begin, with the store open."""
        await self._inner.start()
        self._is_draining = False
        self._failure = asyncio.get_running_loop().create_future()
        count = self._storage.partition_count
        if self._turns is not None:
            self._turns.partition_of = lambda instance_id: partition_of(instance_id, count)
            self._turns.epoch_of = lambda partition: self._offers.epoch_of(partition)
        self._run(self._listen())
        self._run(self._share())
        self._run(self._claims.hand_in())

    def open(self, origin: Origin, history: Sequence[HistoryEvent]) -> OrchestrationSession:
        """A session here, and when nobody here has its orchestrator, elsewhere."""
        return self._inner.open(origin, history) if self._turns is None else self._turns.open(origin, history)

    async def advance(self, turns: Sequence[Turn]) -> Sequence[Turn]:
        """Run turns here; those that nobody here can run are still running when this returns."""
        if self._turns is None:
            return await self._inner.advance(turns)
        running = await self._turns.advance(turns, is_alone=self._offers.is_alone)
        if self._turns.has_inside:
            self._rouse()
        return running

    async def late_turns(self) -> list[Turn]:
        """Of here and of elsewhere."""
        return await self._late.wait()

    def recall(self, turn: Turn) -> bool:
        """Not once others may have begun it."""
        return self._inner.recall(turn) if self._turns is None else self._turns.recall(turn)

    def start_activities(self, activities: Sequence[PendingActivity]) -> None:
        """Queue them, here or for everybody."""
        if not self._claims.is_empty:
            here = [activity for activity in activities if self._claims.lets_go(activity)]
            if here:
                self._own.adopt(here)
                numbers = {activity.number for activity in here}
                activities = [activity for activity in activities if activity.number not in numbers]
        now = asyncio.get_running_loop().time()
        is_waiting = self._own.start(activities, now, is_alone=self._is_draining or self._offers.is_alone)
        if is_waiting:
            self._poke()
        else:
            self._rouse()

    def forget(self, is_gone: Callable[[PendingActivity], bool]) -> None:
        """Drop own activities that nobody has begun; what was claimed is not the engine's."""

        dropped: list[PendingActivity] = []

        def is_dropped(activity: PendingActivity) -> bool:
            if not self._is_own(activity) or not is_gone(activity):
                return False
            dropped.append(activity)
            return True

        self._own.forget(is_gone)
        self._inner.forget(is_dropped)
        self._gone(dropped)

    async def hand_over(self, is_leaving: Callable[[str], bool]) -> None:
        """What runs here for these instances goes on as offers that this process has claimed."""
        if self._turns is not None:
            self._turns.leave(is_leaving)
        self._own.forget(lambda activity: is_leaving(activity.instance_id))
        if self._is_draining:
            # What a worker has whose stream is lost would reach nobody.
            self.forget(lambda activity: is_leaving(activity.instance_id))
        else:
            self.take_back(lambda activity: is_leaving(activity.instance_id))
        await self._departures.put_up(self._own.of(is_leaving), self._offers, self._partition_of, self._adopt)

    def begun(self) -> set[int]:
        """Own ones that have begun here."""
        return {number for number in self._inner.begun() if not self._claims.has_number(number)}

    def take_back(self, is_wanted: Callable[[PendingActivity], bool]) -> list[PendingActivity]:
        """Own ones that have not begun here."""
        taken = self._inner.take_back(lambda activity: self._is_own(activity) and is_wanted(activity))
        self._gone(taken)
        return taken

    def room(self, name: str, version: str | None) -> int:
        """As here."""
        return self._inner.room(name, version)

    async def activity_results(self) -> list[ActivityResult]:
        """Of this process's own instances."""
        while True:
            results = await self._inner.activity_results()
            self._rates.ended([result.activity for result in results])
            mine = self._departures.sift(self._claims.sift(results))
            self._own.leave(result.activity for result in mine)
            if self._claims.leaves_some or self._own.is_waited_for:
                self._poke()
            if mine:
                return mine

    async def drain(self, seconds: float) -> bool:
        """Begin nothing more; what was claimed and is not done here is for others again.

        Results are to be asked for meanwhile: that is how those of what was claimed are handed in.
        """
        self._is_draining = True
        # What cannot be told now is up again as soon as this process has left the hub.
        with suppress(StorageError):
            await self._claims.give_up_waiting(self._offers)
        drained = await self._inner.drain(seconds)
        with suppress(StorageError):
            await self._claims.give_up_waiting(self._offers)
        with suppress(TimeoutError):
            async with asyncio.timeout(HANDED_IN_SECONDS):
                await (self._claims.ended() if drained else self._claims.handed_in())
        return drained

    async def stop(self) -> None:
        """Let go. Twice-safe."""
        self._is_draining = True
        # What the store does not hear now it finds out when this process has left.
        with suppress(StorageError, TimeoutError):
            async with asyncio.timeout(HANDED_IN_SECONDS):
                await self._claims.end(self._offers)
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._claims.stop()
        if self._turns is not None:
            self._turns.stop()
        self._late.stop()
        await self._inner.stop()

    # Sharing

    async def _listen(self) -> None:
        while True:
            await self._offers.offers_stirred()
            self._is_stirred = True
            self._poke()

    async def _share(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._until_poked()
            try:
                await self._look(loop.time())
            except (Unavailable, LeaseLost):
                # The store cannot be reached, or nothing is held at the moment.
                await asyncio.sleep(AGAIN_SECONDS)
                self._is_stirred = True
                self._poke()

    async def _until_poked(self) -> None:
        self._sleeps = self._patience()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._sleeps):
                await self._poked.wait()
        self._sleeps = 0.0
        self._poked.clear()

    def _patience(self) -> float | None:
        """How long nothing need be looked at by itself."""
        if self._rates.total > FEW:
            return MEASURED_SECONDS
        has_inside = self._turns is not None and self._turns.has_inside
        return SELDOM_SECONDS if self._rates.total or has_inside or not self._claims.is_empty else None

    async def _look(self, now: float) -> None:
        offers = self._offers
        is_stirred, self._is_stirred = self._is_stirred, False
        if now - self._looked_at >= MEASURED_SECONDS and not self._is_draining:
            self._looked_at = now
            self._rates.measure(now)
            if not offers.is_alone:
                await self._choose(offers, now)
        await self._own.put_up(offers, self._partition_of)
        if (turns := self._turns) is not None:
            await turns.put_up(offers)
            if is_stirred:
                await turns.take_answers(offers)
            await turns.withdraw(offers)
        if self._is_draining:
            return
        if await self._own.take_back(offers, self._partition_of, now):
            self._poke()
        if is_stirred or self._claims.has_room(now):
            await self._claim(offers, now)

    async def _choose(self, offers: OfferedWork, now: float) -> None:
        """What has come to wait here, and should not."""
        self._own.choose(now, self._is_own)
        if self._turns is not None:
            self._turns.choose(now)
            await self._claims.give_up(offers, lambda kind, name, version: not self._serves(kind, name, version))

    async def _claim(self, offers: OfferedWork, now: float) -> None:
        wait = self._claimed_at + CLAIMS_APART_SECONDS - now
        if wait > 0:
            await asyncio.sleep(wait)
        self._claimed_at = asyncio.get_running_loop().time()
        await self._claims.look(offers, self._claimed_at)

    @property
    def _offers(self) -> OfferedWork:
        offers = self._storage.offers
        assert offers is not None, "the store is not shared"
        return offers

    def _is_own(self, activity: PendingActivity) -> bool:
        return not self._claims.has(activity) and not self._departures.has(activity)

    def _gone(self, activities: Sequence[PendingActivity]) -> None:
        self._rates.gone(activities)
        self._own.leave(activities)

    def _adopt(self, claimed: ClaimedOffer, activity: PendingActivity, result: ActivityResult | None) -> None:
        self._own.leave([activity])
        self._claims.adopt(claimed, activity, result)

    def _partition_of(self, instance_id: str) -> int:
        return partition_of(instance_id, self._storage.partition_count)

    def _poke(self) -> None:
        self._poked.set()

    def _rouse(self) -> None:
        """There is something to look after, or more than there was; what is looked after already costs nothing."""
        if self._sleeps is None or (self._sleeps > MEASURED_SECONDS and self._rates.total > FEW):
            self._poke()

    # What comes back

    async def _inner_late(self) -> list[Turn]:
        while True:
            late = await self._inner.late_turns()
            if self._turns is not None:
                for turn in late:
                    self._turns.ended_inside(turn)
            if mine := self._claims.sift_turns(late):
                return mine

    async def _late_elsewhere(self) -> list[Turn]:
        """Also how an error of the sharing reaches the engine."""
        assert self._failure is not None
        failure = self._failure
        if self._turns is None:
            return await asyncio.shield(failure)
        late = asyncio.ensure_future(self._turns.late_turns())
        try:
            await asyncio.wait([late, failure], return_when=asyncio.FIRST_COMPLETED)
            return late.result() if late.done() else failure.result()
        finally:
            late.cancel()

    def _announce(self, results: Sequence[ActivityResult]) -> None:
        for observer in self._observers:
            for result in results:
                observer.announce(ActivityEnded(result.activity.instance_id, result.activity.name, result.failure))

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.append(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        # A store that has failed tells the engine itself.
        if self._failure is not None and not self._failure.done() and not isinstance(error, StoreFailed):
            self._failure.set_exception(error)
