"""The executor seam: where orchestrator, entity and activity code runs. The executor answers, it never calls back."""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Protocol

import msgspec

from perdure.contracts.records import PendingActivity
from perdure.core.actions import TurnResult
from perdure.core.events import HistoryEvent
from perdure.core.failures import FailureDetails
from perdure.core.identifiers import EntityId
from perdure.core.instance import Origin
from perdure.core.registry import Operation, OperationOutcome

Settled = Callable[[], None]
"""Called on the engine's loop, once, when what came of a result is durable or it was discarded for good; never before
the commit, and never when that failed. Set by an executor that owes somebody an acknowledgement."""


class OrchestrationSession(Protocol):
    """An executor's hold on one instance; in process: the live program. Opened with the committed history.

    Between two turns the first turn's events have become history, with what came of its result. A turn that was
    recalled has left nothing; one whose result took only some of its events (``TurnResult.events_taken``) has left
    those.
    """

    @property
    def follow(self) -> Callable[[Sequence[HistoryEvent]], None] | None:
        """Called with what each committed episode added to the history, also with episodes that ran no code.

        None for a session that needs no history besides the one it was opened with.
        """
        ...

    def charge(self) -> int:
        """An estimate of the memory it holds, in bytes, beside the fixed charge per instance."""
        ...

    def close(self) -> None:
        """Let go; the program is closed without running its ``finally`` blocks into new actions. Twice-safe."""
        ...


class OrchestrationTurn(msgspec.Struct, eq=False):
    """One turn of one session. The executor sets ``result`` exactly once.

    ``is_given_up``: nobody waits for its code any longer; its result means nothing, its session is of no more use, and
    what it was given is tried again from what is committed.
    """

    session: OrchestrationSession
    events: list[HistoryEvent]
    result: TurnResult | None = None
    is_given_up: bool = False
    settled: Settled | None = None


class EntityTurn(msgspec.Struct, eq=False):
    """One batch of operations of one entity. The executor sets ``result`` exactly once: one outcome per operation.

    With fewer outcomes, one at least, the operations after them come again, first.
    """

    entity: EntityId
    state: str | None
    operations: list[Operation]
    result: list[OperationOutcome] | None = None
    is_given_up: bool = False
    settled: Settled | None = None


Turn = OrchestrationTurn | EntityTurn


class ActivityResult(msgspec.Struct, frozen=True, gc=False):
    """How a pending activity ended: ``failure`` is None when it returned."""

    activity: PendingActivity
    result: str | None = None
    failure: FailureDetails | None = None
    settled: Settled | None = None


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
        """Wait for turns that ``advance`` left running; at least one, each once: with its result or given up."""
        ...

    def recall(self, turn: Turn) -> bool:
        """Take back a turn that ``advance`` left running and whose code has not begun.

        True: nobody will begin it and ``late_turns`` never gives it; its session, or entity, takes the next turn as if
        there had been none, and should be served as if it had waited since this one. False: it has begun or ended, or
        cannot be taken back.
        """
        ...

    def start_activities(self, activities: Sequence[PendingActivity]) -> None:
        """Queue activities; they run within the executor's limits."""
        ...

    def forget(self, is_gone: Callable[[PendingActivity], bool]) -> None:
        """Drop activities that nobody has begun: their instances have ended, or are another process's now.

        Those that have begun go on, and their results are given as ever.
        """
        ...

    async def hand_over(self, is_leaving: Callable[[str], bool]) -> None:
        """The partitions of these instances are about to be given back.

        Where processes share work, what has not begun is dropped; what has begun goes on, its result is not given any
        more but reaches whoever owns the instance then, and nobody begins it again meanwhile. Elsewhere nothing
        happens. Raises Unavailable: then it is to be asked again.
        """
        ...

    def begun(self) -> set[int]:
        """The numbers of the activities that have begun and whose result has not been given yet."""
        ...

    def take_back(self, is_wanted: Callable[[PendingActivity], bool]) -> list[PendingActivity]:
        """Take out those activities, of those that nobody has begun, that are wanted; asked of each, the newest first.

        Nobody here will begin them.
        """
        ...

    def room(self, name: str, version: str | None) -> int:
        """How many activities of that name could begin at once, besides those that are here."""
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


class ServedKind(Enum):
    """What kind of code a worker may have."""

    ORCHESTRATOR = "orchestrator"
    ACTIVITY = "activity"
    ENTITY = "entity"


Serves = Callable[[ServedKind, str, str | None], bool]
"""Whether somebody who takes work of that kind, name and version is there now."""


class RemoteWorkers(Executor, Protocol):
    """An executor whose work waits until somebody is there to do it."""

    def serves(self, kind: ServedKind, name: str, version: str | None) -> bool:
        """Whether a worker that takes such work is connected; see ``Serves``."""
        ...
