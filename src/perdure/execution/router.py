"""RoutedExecutor: what this process has registered runs here, everything else at remote workers."""

import asyncio
from collections.abc import Callable, Sequence

from perdure.contracts.executor import (
    ActivityResult,
    EntityTurn,
    Executor,
    OrchestrationSession,
    OrchestrationTurn,
    RemoteWorkers,
    ServedKind,
    Turn,
)
from perdure.contracts.records import PendingActivity
from perdure.core.events import HistoryEvent
from perdure.core.instance import Origin
from perdure.core.registry import Registry
from perdure.execution.first_of import FirstOf
from perdure.execution.local_session import LocalSession


class RoutedExecutor:
    """Implements ``Executor``: a name that ``registry`` has goes to ``local``, any other to ``remote``."""

    def __init__(self, registry: Registry, local: Executor, remote: RemoteWorkers) -> None:
        self._registry = registry
        self._local = local
        self._remote = remote
        self._late = FirstOf(local.late_turns, remote.late_turns)
        self._results = FirstOf(local.activity_results, remote.activity_results)

    def is_local(self, orchestrator: str) -> bool:
        """Whether an orchestrator of that name runs in this process."""
        return orchestrator.lower() in self._registry.orchestrators

    def open(self, origin: Origin, history: Sequence[HistoryEvent]) -> OrchestrationSession:
        """Open a session where the orchestrator is."""
        return (self._local if self.is_local(origin.name) else self._remote).open(origin, history)

    async def advance(self, turns: Sequence[Turn]) -> Sequence[Turn]:
        """Run the local turns; the remote ones are still running when this returns, or have their result."""
        away = [turn for turn in turns if not self._is_here(turn)]
        if not away:
            return await self._local.advance(turns)
        running = await self._remote.advance(away)
        if len(away) == len(turns):
            return running
        return [*running, *await self._local.advance([turn for turn in turns if self._is_here(turn)])]

    async def late_turns(self) -> list[Turn]:
        """Late turns of either."""
        return await self._late.wait()

    def recall(self, turn: Turn) -> bool:
        """Ask whoever has it."""
        return (self._local if self._is_here(turn) else self._remote).recall(turn)

    def serves(self, kind: ServedKind, name: str, version: str | None) -> bool:
        """Whether it runs here, or a worker for it is connected."""
        return self._registry.has(kind.value, name) or self._remote.serves(kind, name, version)

    def leaves(self, kind: ServedKind, name: str, version: str | None) -> bool:
        """Whether it would only wait here: it is not the app's, and no worker for it is connected."""
        return not self.serves(kind, name, version)

    def start_activities(self, activities: Sequence[PendingActivity]) -> None:
        """Queue each where its name is."""
        known = self._registry.activities
        here = [activity for activity in activities if activity.name.lower() in known]
        if here:
            self._local.start_activities(here)
        if len(here) < len(activities):
            self._remote.start_activities([activity for activity in activities if activity.name.lower() not in known])

    def forget(self, is_gone: Callable[[PendingActivity], bool]) -> None:
        """Both drop them."""
        self._local.forget(is_gone)
        self._remote.forget(is_gone)

    async def hand_over(self, is_leaving: Callable[[str], bool]) -> None:
        """Both do."""
        await self._local.hand_over(is_leaving)
        await self._remote.hand_over(is_leaving)

    def begun(self) -> set[int]:
        """Of both."""
        return self._local.begun() | self._remote.begun()

    def take_back(self, is_wanted: Callable[[PendingActivity], bool]) -> list[PendingActivity]:
        """From both."""
        return [*self._local.take_back(is_wanted), *self._remote.take_back(is_wanted)]

    def room(self, name: str, version: str | None) -> int:
        """Where the name is."""
        return (self._local if name.lower() in self._registry.activities else self._remote).room(name, version)

    async def activity_results(self) -> list[ActivityResult]:
        """Ended activities of either."""
        return await self._results.wait()

    async def start(self) -> None:
        """Begin both."""
        await self._local.start()
        await self._remote.start()

    async def drain(self, seconds: float) -> bool:
        """Drain both at the same time."""
        return all(await asyncio.gather(self._local.drain(seconds), self._remote.drain(seconds)))

    async def stop(self) -> None:
        """Let go of both. Twice-safe."""
        self._late.stop()
        self._results.stop()
        try:
            await self._remote.stop()
        finally:
            await self._local.stop()

    def _is_here(self, turn: Turn) -> bool:
        if isinstance(turn, EntityTurn):
            return turn.entity.name.lower() in self._registry.entities
        assert isinstance(turn, OrchestrationTurn)
        session: OrchestrationSession = turn.session
        return isinstance(session, LocalSession)
