"""History events: facts of one execution, frozen, in the order in which they became true.

An event's ``seq`` is its position in the execution's history, from 0; it is not stored in the event.
Its time is that of the ``OrchestratorStarted`` that opened its episode (architecture.md J4).
``task_id`` is the number the orchestrator's code knows; ``scheduled_seq`` names the scheduled event
that a completion answers.
"""

from datetime import datetime

import msgspec

from perdure.core.failures import FailureDetails
from perdure.core.status import RuntimeStatus


class Event(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag=True):
    """What every history event is."""


class ParentLink(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Whom a child orchestration answers."""

    instance_id: str
    execution_id: str
    scheduled_seq: int
    task_id: int
    name: str = ""
    version: str | None = None


class OrchestratorStarted(Event, frozen=True):
    """An episode began; ``at`` is its one time, aware UTC. ``span``: see ``TurnResult``; the newest one counts."""

    at: datetime
    span: str | None = None


class ExecutionStarted(Event, frozen=True):
    """The execution began."""

    name: str
    execution_id: str
    input: str | None = None
    version: str | None = None
    generation: int = 0
    parent: ParentLink | None = None
    scheduled_start_at: datetime | None = None
    trace_context: str | None = None
    tags: dict[str, str] | None = None
    engine_flags: int = 0
    """Which order of things of the engine this execution was started under (style.md §6.9)."""


class ExecutionCompleted(Event, frozen=True):
    """The execution ended with a terminal status."""

    status: RuntimeStatus
    result: str | None = None
    failure: FailureDetails | None = None


class ExecutionTerminated(Event, frozen=True):
    """Somebody ended the execution from outside."""

    reason: str | None = None
    recursive: bool = False


class ExecutionSuspended(Event, frozen=True):
    """Messages are held back from here on."""

    reason: str | None = None


class ExecutionResumed(Event, frozen=True):
    """Held messages are given to the code again."""

    reason: str | None = None


class FormerLink(msgspec.Struct, frozen=True, gc=False):
    """Whom a child still answers: the call at ``seq`` was ``scheduled_seq`` of an execution before the rewind."""

    seq: int
    execution_id: str
    scheduled_seq: int


class Regain(msgspec.Struct, frozen=True, gc=False):
    """A critical section whose locks went with the failure: the request at ``seq`` is made once more."""

    seq: int
    task_id: int
    section_id: str


class ExecutionRewound(Event, frozen=True):
    """The failure was taken back: what failed is missing from the history before, and is asked for again after.

    ``links``: the open children that may answer an earlier execution. ``regains``: the code goes on when these
    locks are held again, and takes nothing before.
    """

    reason: str | None = None
    former_execution_id: str = ""
    links: tuple[FormerLink, ...] = ()
    regains: tuple[Regain, ...] = ()


class TaskScheduled(Event, frozen=True):
    """An activity was asked for."""

    task_id: int
    name: str
    input: str | None = None
    version: str | None = None
    tags: dict[str, str] | None = None
    trace_context: str | None = None


class TaskCompleted(Event, frozen=True):
    """An activity returned."""

    task_id: int
    scheduled_seq: int
    result: str | None = None


class TaskFailed(Event, frozen=True):
    """An activity failed."""

    task_id: int
    scheduled_seq: int
    failure: FailureDetails


class SubOrchestrationCreated(Event, frozen=True):
    """A child orchestration was asked for."""

    task_id: int
    name: str
    instance_id: str
    input: str | None = None
    version: str | None = None
    tags: dict[str, str] | None = None
    trace_context: str | None = None


class SubOrchestrationCompleted(Event, frozen=True):
    """A child orchestration completed."""

    task_id: int
    scheduled_seq: int
    result: str | None = None


class SubOrchestrationFailed(Event, frozen=True):
    """A child orchestration failed or was terminated."""

    task_id: int
    scheduled_seq: int
    failure: FailureDetails


class TimerCreated(Event, frozen=True):
    """A durable timer was asked for."""

    task_id: int
    fire_at: datetime


class TimerFired(Event, frozen=True):
    """A durable timer reached its due time."""

    task_id: int
    scheduled_seq: int
    fire_at: datetime


class EventRaised(Event, frozen=True):
    """A named message from outside arrived."""

    name: str
    input: str | None = None


class EventSent(Event, frozen=True):
    """A named message was sent to another orchestration."""

    task_id: int
    instance_id: str
    name: str
    input: str | None = None


class EntityCalled(Event, frozen=True):
    """An entity operation was asked for; an answer is expected."""

    task_id: int
    entity_id: str
    operation: str
    input: str | None = None
    request_id: str | None = None


class EntitySignaled(Event, frozen=True):
    """An entity operation was asked for; no answer is expected."""

    task_id: int
    entity_id: str
    operation: str
    input: str | None = None
    due_at: datetime | None = None
    request_id: str | None = None


class EntityOperationCompleted(Event, frozen=True):
    """A called entity answered."""

    task_id: int
    scheduled_seq: int
    result: str | None = None


class EntityOperationFailed(Event, frozen=True):
    """A called entity's operation failed."""

    task_id: int
    scheduled_seq: int
    failure: FailureDetails


class EntityLockRequested(Event, frozen=True):
    """A critical section over these entities was asked for; they are locked in this order."""

    task_id: int
    section_id: str
    entity_ids: tuple[str, ...]


class EntityLockGranted(Event, frozen=True):
    """All entities of a critical section are locked."""

    task_id: int
    scheduled_seq: int


class EntityUnlockSent(Event, frozen=True):
    """One entity of a critical section was let go."""

    task_id: int
    section_id: str
    entity_id: str


HistoryEvent = (
    OrchestratorStarted
    | ExecutionStarted
    | ExecutionCompleted
    | ExecutionTerminated
    | ExecutionSuspended
    | ExecutionResumed
    | ExecutionRewound
    | TaskScheduled
    | TaskCompleted
    | TaskFailed
    | SubOrchestrationCreated
    | SubOrchestrationCompleted
    | SubOrchestrationFailed
    | TimerCreated
    | TimerFired
    | EventRaised
    | EventSent
    | EntityCalled
    | EntitySignaled
    | EntityOperationCompleted
    | EntityOperationFailed
    | EntityLockRequested
    | EntityLockGranted
    | EntityUnlockSent
)

ScheduledEvent = (
    TaskScheduled
    | SubOrchestrationCreated
    | TimerCreated
    | EventSent
    | EntityCalled
    | EntitySignaled
    | EntityLockRequested
    | EntityUnlockSent
)
"""Events that record an action of the orchestrator's code."""
