"""The executor seam: where orchestrator, entity and activity code runs. The executor answers, it never calls back."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from perdure.contracts.records import PendingActivity
from perdure.core.actions import TurnResult
from perdure.core.events import HistoryEvent
from perdure.core.failures import FailureDetails
from perdure.core.identifiers import EntityId
from perdure.core.instance import Origin
from perdure.core.registry import Operation, OperationOutcome


class OrchestrationSession(Protocol):
    """An executor's hold on one instance; in process: the live program. Opened with the committed history."""

    def charge(self) -> int:
        """An estimate of the memory it holds, in bytes, beside the fixed charge per instance."""
        ...

    def close(self) -> None:
        """Let go; the program is closed without running its ``finally`` blocks into new actions. Twice-safe."""
        ...


class OrchestrationTurn(msgspec.Struct, eq=False):
    """One turn of one session. The executor sets ``result`` exactly once."""

    session: OrchestrationSession
    events: list[HistoryEvent]
    result: TurnResult | None = None


class EntityTurn(msgspec.Struct, eq=False):
    """One batch of operations of one entity. The executor sets ``result`` exactly once: one outcome per operation."""

    entity: EntityId
    state: str | None
    operations: list[Operation]
    result: list[OperationOutcome] | None = None


Turn = OrchestrationTurn | EntityTurn


class ActivityResult(msgspec.Struct, frozen=True, gc=False):
    """How a pending activity ended: ``failure`` is None when it returned."""

    activity: PendingActivity
    result: str | None = None
    failure: FailureDetails | None = None


class Executor(Protocol):
    """Runs user code. What user code raises is a result, never an exception of these methods."""

    def open(self, origin: Origin, history: Sequence[HistoryEvent]) -> OrchestrationSession:
        """Open a session; cheap: replay of ``history`` happens in the first turn."""
        ...

    async def advance(self, turns: Sequence[Turn]) -> Sequence[Turn]:
        """Run turns; returns when all have their result, or after a short patience (20 ms).

        Returns the turns that are still running: each gets its result later and is then given by ``late_turns``, once.
        All others have their result.
        """
        ...

    async def late_turns(self) -> list[Turn]:
        """Wait for turns that ``advance`` left running; at least one, each exactly once."""
        ...

    def start_activities(self, activities: Sequence[PendingActivity]) -> None:
        """Queue activities; they run within the executor's limits."""
        ...

    async def activity_results(self) -> list[ActivityResult]:
        """Wait for ended activities; at least one, each exactly once."""
        ...

    async def start(self) -> None: ...

    async def drain(self, seconds: float) -> bool:
        """Start no more activities and wait for the running ones; False when some still run after ``seconds``."""
        ...

    async def stop(self) -> None:
        """Let go of threads and loops; running user code is abandoned. Twice-safe."""
        ...
