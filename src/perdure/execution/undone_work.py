"""Work that came back undone: it rests, the longer the more often, and goes to another worker first."""

import asyncio
import logging
from collections.abc import Callable

import msgspec

from perdure.contracts.executor import OrchestrationTurn
from perdure.execution.remote_items import Work
from perdure.execution.remote_sessions import session_of
from perdure.execution.seldom import Seldom
from perdure.execution.worker_streams import Workers

_log = logging.getLogger("perdure.workers")
UNFINISHED_REMEMBERED = 10_000
TOLD_AFTER = 3
"""So often in a row a piece of work comes back undone before that is said: once or twice is no pattern."""


class UndoneWork:
    """Of one executor. What rests is among nobody's work until its time has come."""

    def __init__(self, workers: Workers, backoff_seconds_max: float) -> None:
        self._workers = workers
        self._backoff_seconds_max = backoff_seconds_max
        self._unfinished: dict[tuple[str, str], _Unfinished] = {}
        """Of turns that come again: instance and execution → what is to be known of them."""
        self._resting: dict[int, tuple[Work, asyncio.TimerHandle]] = {}
        """Id of the work → it, and what brings it back."""
        self._told = Seldom()
        self._is_stopped = False

    def offer_turn(self, work: Work) -> None:
        """Offer a turn, as what comes again if it does."""
        if self._unfinished and (known := self._unfinished.pop(_life_of(work), None)) is not None:
            work.since, work.abandons = known.since, known.abandons
            work.avoid, work.rests_until = known.avoid, known.rests_until
        if work.rests_until:
            self.offer(work)
        else:
            self._workers.offer(work)

    def offer(self, work: Work) -> None:
        """Offer it as soon as it has rested."""
        loop = asyncio.get_running_loop()
        if not work.rests_until or work.rests_until <= loop.time():
            self._workers.offer(work)
        elif not self._is_stopped:
            self._resting[id(work)] = work, loop.call_at(work.rests_until, self._offer_again, work)

    def came_back(self, work: Work, worker: str) -> None:
        """This worker has not done it: it is to rest when it is offered next."""
        work.avoid = worker
        work.abandons += 1
        seconds = self._backoff(work.abandons)
        work.rests_until = asyncio.get_running_loop().time() + seconds
        if work.abandons >= TOLD_AFTER and self._told.may_say(work.lane):
            _log.warning(
                "The %s '%s' of instance '%s' came back undone %d times, now from worker '%s'; it is tried again in "
                "%g s. Does a worker that takes such items run its version, and is it up to date?",
                work.lane.kind.name.lower(), work.lane.name, work.instance_id, work.abandons, work.avoid, seconds,
            )  # fmt: skip

    def remember(self, work: Work, since: float) -> None:
        """It comes again as another turn, which is as old as ``since``."""
        # That one takes its place; of those that have no next turn only so many are kept.
        if len(self._unfinished) >= UNFINISHED_REMEMBERED:
            del self._unfinished[next(iter(self._unfinished))]
        self._unfinished[_life_of(work)] = _Unfinished(since, work.abandons, work.avoid, work.rests_until)

    def resting(self) -> list[Work]:
        """All that rests."""
        return [work for work, _ in self._resting.values()]

    def take_back(self, work: Work) -> bool:
        """Offer it no more; whether it rested."""
        if (found := self._resting.pop(id(work), None)) is None:
            return False
        found[1].cancel()
        return True

    def forget(self, is_wanted: Callable[[Work], bool]) -> None:
        """Offer no more what nobody wants."""
        for work in self.resting():
            if not is_wanted(work):
                self.take_back(work)

    def stop(self) -> None:
        """Offer nothing more. Twice-safe."""
        self._is_stopped = True
        for _, timer in self._resting.values():
            timer.cancel()
        self._resting.clear()

    def _offer_again(self, work: Work) -> None:
        self._resting.pop(id(work), None)
        self._workers.offer(work)

    def _backoff(self, abandons: int) -> float:
        """0, 1, 2, 4 … seconds."""
        return 0.0 if abandons < 2 else min(2.0 ** min(abandons - 2, 30), self._backoff_seconds_max)


class _Unfinished(msgspec.Struct, frozen=True, gc=False):
    """A turn that comes again keeps its age, and how often it was given back by whom."""

    since: float
    abandons: int
    avoid: str | None
    rests_until: float


def _life_of(work: Work) -> tuple[str, str]:
    """What its next turn shares with it: another execution with the same id begins afresh."""
    subject = work.subject
    execution_id = session_of(work).origin.execution_id if isinstance(subject, OrchestrationTurn) else ""
    return work.instance_id, execution_id
