"""An executor as remote workers are one: turns wait until somebody takes them, and everything ends late."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from perdure.contracts.executor import (
    ActivityResult,
    EntityTurn,
    Executor,
    OrchestrationTurn,
    ServedKind,
    Settled,
    Turn,
)
from perdure.contracts.records import PendingActivity
from perdure.core.events import HistoryEvent
from perdure.core.instance import Origin


class AwayWork(Protocol):
    """How the workers of an ``AwayExecutor`` behave; each method is asked once per turn, try or result."""

    def waits(self) -> float:
        """Seconds until a worker takes a turn."""
        ...

    def works(self) -> float:
        """Seconds that it works on it."""
        ...

    def vanishes(self) -> bool:
        """Whether a worker is gone with what it has just done, so that another one does it again."""
        ...

    def takes(self, turn: Turn, count: int) -> int:
        """How many of so many events or operations, more than one, a worker takes; at least one."""
        ...

    def tells(self, awaited: tuple[str, ...]) -> tuple[str, ...]:
        """Which of the awaited events the worker tells."""
        ...


class AwaySession:
    """One execution at workers that remember nothing: its past is replayed for each of its turns."""

    __slots__ = ("origin", "past")

    def __init__(self, origin: Origin, history: Sequence[HistoryEvent]) -> None:
        self.origin = origin
        self.past = list(history)

    def follow(self, events: Sequence[HistoryEvent]) -> None:
        """An episode is committed."""
        self.past += events

    def charge(self) -> int:
        """Bytes it holds."""
        return 200 * len(self.past)

    def close(self) -> None:
        """Let go of the past."""
        self.past = []


class AwayExecutor:
    """Gives turns and activities of ``inner`` to workers that behave as ``work`` says; nothing ends in ``advance``.

    ``unsettled`` counts the results that were given and not settled; settling one twice is an error.
    """

    def __init__(self, inner: Executor, work: AwayWork) -> None:
        self._inner = inner
        self._work = work
        self._turns: dict[int, tuple[Turn, asyncio.Task[None]]] = {}
        self._waiting: set[int] = set()
        """Turns that no worker has taken."""
        self._late: list[Turn] = []
        self._has_late = asyncio.Event()
        self.unsettled = 0
        self.recall_count = 0

    def open(self, origin: Origin, history: Sequence[HistoryEvent]) -> AwaySession:
        return AwaySession(origin, history)

    async def advance(self, turns: Sequence[Turn]) -> Sequence[Turn]:
        for turn in turns:
            self._waiting.add(id(turn))
            self._turns[id(turn)] = (turn, asyncio.get_running_loop().create_task(self._serve(turn)))
        return turns

    async def late_turns(self) -> list[Turn]:
        while not self._late:
            self._has_late.clear()
            await self._has_late.wait()
        late, self._late = self._late, []
        return late

    def recall(self, turn: Turn) -> bool:
        if id(turn) not in self._waiting:
            return False
        self._waiting.remove(id(turn))
        self._turns.pop(id(turn))[1].cancel()
        self.recall_count += 1
        return True

    def serves(self, kind: ServedKind, name: str, version: str | None) -> bool:
        return True

    def start_activities(self, activities: Sequence[PendingActivity]) -> None:
        self._inner.start_activities(activities)

    def forget(self, is_gone: Callable[[PendingActivity], bool]) -> None:
        self._inner.forget(is_gone)

    async def hand_over(self, is_leaving: Callable[[str], bool]) -> None:
        await self._inner.hand_over(is_leaving)

    def begun(self) -> set[int]:
        return self._inner.begun()

    def take_back(self, is_wanted: Callable[[PendingActivity], bool]) -> list[PendingActivity]:
        return self._inner.take_back(is_wanted)

    def room(self, name: str, version: str | None) -> int:
        return self._inner.room(name, version)

    async def activity_results(self) -> list[ActivityResult]:
        while True:
            done: list[ActivityResult] = []
            for result in await self._inner.activity_results():
                if self._work.vanishes():
                    self._inner.start_activities([result.activity])
                else:
                    done.append(msgspec.structs.replace(result, settled=self._owe()))
            if done:
                return done

    async def start(self) -> None:
        await self._inner.start()

    async def drain(self, seconds: float) -> bool:
        return await self._inner.drain(seconds)

    async def stop(self) -> None:
        turns, self._turns = self._turns, {}
        for _, task in turns.values():
            task.cancel()
        await self._inner.stop()

    async def _serve(self, turn: Turn) -> None:
        while True:
            await asyncio.sleep(self._work.waits())
            self._waiting.discard(id(turn))
            await asyncio.sleep(self._work.works())
            done = await self._run(turn)
            if not self._work.vanishes():
                break
            self._waiting.add(id(turn))
        turn.result, turn.settled = done.result, self._owe()  # type: ignore[assignment]
        del self._turns[id(turn)]
        self._late.append(turn)
        self._has_late.set()

    async def _run(self, turn: Turn) -> Turn:
        """Run a copy of the turn, or of what is taken of it, as a worker without memory does."""
        if isinstance(turn, EntityTurn):
            count = len(turn.operations)
            taken = self._work.takes(turn, count) if count > 1 else count
            batch = EntityTurn(turn.entity, turn.state, turn.operations[:taken])
            await self._inner.advance([batch])
            return batch
        session = turn.session
        assert isinstance(session, AwaySession)
        count = len(turn.events) - 1
        taken = self._work.takes(turn, count) if count > 1 else count
        inner = self._inner.open(session.origin, list(session.past))
        copy = OrchestrationTurn(inner, turn.events[: 1 + taken])
        await self._inner.advance([copy])
        inner.close()
        assert copy.result is not None, "the inner executor must run turns in advance"
        told = self._work.tells(copy.result.awaited_events)
        left = taken if taken < count else None
        copy.result = msgspec.structs.replace(copy.result, awaited_events=told, events_taken=left)
        return copy

    def _owe(self) -> Settled:
        self.unsettled += 1
        is_settled = False

        def settled() -> None:
            nonlocal is_settled
            assert not is_settled, "a result was settled twice"
            is_settled = True
            self.unsettled -= 1

        return settled


class PromptWork:
    """Workers that are there and take everything."""

    def waits(self) -> float:
        return 0.0

    def works(self) -> float:
        return 0.0

    def vanishes(self) -> bool:
        return False

    def takes(self, turn: Turn, count: int) -> int:
        return count

    def tells(self, awaited: tuple[str, ...]) -> tuple[str, ...]:
        return awaited
