"""Hosts that have only parts of the code, as servers have only some of the workers; what there is comes and goes."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from perdure.contracts.executor import (
    ActivityResult,
    EntityTurn,
    OrchestrationSession,
    OrchestrationTurn,
    ServedKind,
    Turn,
)
from perdure.contracts.records import PendingActivity
from perdure.core.events import HistoryEvent
from perdure.core.instance import Origin
from perdure.core.registry import Registry
from perdure.testing.away_executor import AwayExecutor, AwaySession

Name = tuple[ServedKind, str]


def names_of(registry: Registry) -> list[Name]:
    """All that there is code for."""
    return [
        *((ServedKind.ORCHESTRATOR, name) for name in registry.orchestrators),
        *((ServedKind.ACTIVITY, name) for name in registry.activities),
        *((ServedKind.ENTITY, name) for name in registry.entities),
    ]


class Code:
    """The code that a host has at the moment."""

    def __init__(self, all_names: Iterable[Name], names: Iterable[Name]) -> None:
        self._all = frozenset(all_names)
        self.names = frozenset(names)
        self.changed: Callable[[], None] = lambda: None

    def become(self, names: Iterable[Name]) -> None:
        """Workers have come and gone."""
        self.names = frozenset(names)
        self.changed()

    def serves(self, kind: ServedKind, name: str, version: str | None) -> bool:
        """Whether it is here, or nowhere, which everybody can find out."""
        key = kind, name.lower()
        return key in self.names or key not in self._all

    def leaves(self, kind: ServedKind, name: str, version: str | None) -> bool:
        """Whether it would only wait here."""
        return not self.serves(kind, name, version)


class PartialExecutor:
    """Turns and activities wait until their code is here. What a worker has begun it ends, though it leaves then."""

    def __init__(self, inner: AwayExecutor, code: Code) -> None:
        self._inner = inner
        self._code = code
        self._turns: dict[int, Turn] = {}
        """That wait, by identity."""
        self._activities: list[PendingActivity] = []
        self._handing_on: set[asyncio.Task[object]] = set()

    def open(self, origin: Origin, history: Sequence[HistoryEvent]) -> OrchestrationSession:
        return self._inner.open(origin, history)

    async def advance(self, turns: Sequence[Turn]) -> Sequence[Turn]:
        here = [turn for turn in turns if self._serves_turn(turn)]
        served = {id(turn) for turn in here}
        self._turns.update((id(turn), turn) for turn in turns if id(turn) not in served)
        await self._inner.advance(here)
        return turns

    async def late_turns(self) -> list[Turn]:
        return await self._inner.late_turns()

    def recall(self, turn: Turn) -> bool:
        return self._turns.pop(id(turn), None) is not None or self._inner.recall(turn)

    def start_activities(self, activities: Sequence[PendingActivity]) -> None:
        self._activities += [activity for activity in activities if not self._serves_activity(activity)]
        self._inner.start_activities([activity for activity in activities if self._serves_activity(activity)])

    def forget(self, is_gone: Callable[[PendingActivity], bool]) -> None:
        self._activities = [activity for activity in self._activities if not is_gone(activity)]
        self._inner.forget(is_gone)

    async def hand_over(self, is_leaving: Callable[[str], bool]) -> None:
        await self._inner.hand_over(is_leaving)

    def begun(self) -> set[int]:
        return self._inner.begun()

    def take_back(self, is_wanted: Callable[[PendingActivity], bool]) -> list[PendingActivity]:
        taken = [activity for activity in reversed(self._activities) if is_wanted(activity)]
        numbers = {activity.number for activity in taken}
        self._activities = [activity for activity in self._activities if activity.number not in numbers]
        return taken + self._inner.take_back(is_wanted)

    def room(self, name: str, version: str | None) -> int:
        return self._inner.room(name, version) if self._code.serves(ServedKind.ACTIVITY, name, version) else 0

    async def activity_results(self) -> list[ActivityResult]:
        return await self._inner.activity_results()

    async def start(self) -> None:
        self._code.changed = self._look
        await self._inner.start()

    async def drain(self, seconds: float) -> bool:
        return await self._inner.drain(seconds)

    async def stop(self) -> None:
        self._code.changed = lambda: None
        await self._inner.stop()

    def _look(self) -> None:
        """Hand on what has waited for what is here now."""
        turns = [turn for turn in self._turns.values() if self._serves_turn(turn)]
        for turn in turns:
            del self._turns[id(turn)]
        if turns:
            task = asyncio.get_running_loop().create_task(self._inner.advance(turns))
            self._handing_on.add(task)
            task.add_done_callback(self._handing_on.discard)
        activities, self._activities = self._activities, []
        self.start_activities(activities)

    def _serves_turn(self, turn: Turn) -> bool:
        if isinstance(turn, EntityTurn):
            return self._code.serves(ServedKind.ENTITY, turn.entity.name, None)
        assert isinstance(turn, OrchestrationTurn)
        session = turn.session
        assert isinstance(session, AwaySession)
        return self._code.serves(ServedKind.ORCHESTRATOR, session.origin.name, session.origin.version)

    def _serves_activity(self, activity: PendingActivity) -> bool:
        return self._code.serves(ServedKind.ACTIVITY, activity.name, activity.version)
