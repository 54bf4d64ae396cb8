"""An instance: where it comes from, how far it is, and what it waits for."""

from collections.abc import Callable, Iterable
from datetime import datetime
from enum import IntEnum

import msgspec

from perdure.core import events as ev
from perdure.core.failures import FailureDetails
from perdure.core.status import RuntimeStatus


class InstanceKind(IntEnum):
    """Orchestrations run code with a history; entities run operations on a state."""

    ORCHESTRATION = 0
    ENTITY = 1


class Origin(msgspec.Struct):
    """What does not change during one execution.

    ``number`` is the storage's integer for the instance; only a storage writes it.
    """

    instance_id: str
    kind: InstanceKind
    name: str
    execution_id: str
    created_at: datetime
    version: str | None = None
    input: str | None = None
    generation: int = 0
    parent: ev.ParentLink | None = None
    scheduled_start_at: datetime | None = None
    trace_context: str | None = None
    tags: dict[str, str] | None = None
    number: int | None = None


class Progress(msgspec.Struct, frozen=True):
    """What an episode may change. ``last_seq`` is the seq of the newest stored event, -1 for none."""

    status: RuntimeStatus
    updated_at: datetime
    last_seq: int = -1
    custom_status: str | None = None
    output: str | None = None
    failure: FailureDetails | None = None
    completed_at: datetime | None = None
    episode_at: datetime | None = None
    """The newest episode's time; None before the first."""
    awaited_events: tuple[str, ...] = ()
    state: str | None = None
    """Entities: the state as JSON text; None when the entity does not exist."""
    locked_by: str | None = None
    """Entities: the orchestration whose critical section holds it."""


class InstanceRecord(msgspec.Struct):
    """All that is kept of an instance besides its history."""

    origin: Origin
    progress: Progress


class WorkKind(IntEnum):
    """What an open scheduled event waits for."""

    ACTIVITY = 0
    TIMER = 1
    CHILD = 2
    ENTITY = 3


class OpenWork(msgspec.Struct, frozen=True, gc=False):
    """A scheduled event without its completion."""

    kind: WorkKind
    task_id: int
    name: str = ""
    """Activity, child instance or entity it waits for; empty for a timer."""
    due_at: datetime | None = None
    """When the timer fires."""


def _open_activity(event: ev.TaskScheduled) -> OpenWork:
    return OpenWork(WorkKind.ACTIVITY, event.task_id, event.name)


def _open_timer(event: ev.TimerCreated) -> OpenWork:
    return OpenWork(WorkKind.TIMER, event.task_id, "", event.fire_at)


def _open_child(event: ev.SubOrchestrationCreated) -> OpenWork:
    return OpenWork(WorkKind.CHILD, event.task_id, event.instance_id)


def _open_call(event: ev.EntityCalled) -> OpenWork:
    return OpenWork(WorkKind.ENTITY, event.task_id, event.entity_id)


_OPENING: dict[type, Callable[..., OpenWork]] = {
    ev.TaskScheduled: _open_activity,
    ev.TimerCreated: _open_timer,
    ev.SubOrchestrationCreated: _open_child,
    ev.EntityCalled: _open_call,
}

_CLOSING: frozenset[type] = frozenset(
    {
        ev.TaskCompleted,
        ev.TaskFailed,
        ev.TimerFired,
        ev.SubOrchestrationCompleted,
        ev.SubOrchestrationFailed,
        ev.EntityOperationCompleted,
        ev.EntityOperationFailed,
    }
)


def fold_open_work(open_work: dict[int, OpenWork], events: Iterable[ev.HistoryEvent], first_seq: int) -> bool:
    """Bring ``open_work`` (scheduled seq → work) up to date; answers whether an ExecutionStarted was among them."""
    started = False
    for seq, event in enumerate(events, first_seq):
        kind = type(event)
        if kind in _CLOSING:
            open_work.pop(event.scheduled_seq, None)  # type: ignore[union-attr]
        elif (opening := _OPENING.get(kind)) is not None:
            open_work[seq] = opening(event)
        elif kind is ev.ExecutionStarted:
            started = True
        elif kind is ev.ExecutionCompleted:
            open_work.clear()
    return started


class Instance:
    """A loaded orchestration as the core sees it: its record and its open work. Not its history.

    ``started`` tells whether the history of this execution holds its ExecutionStarted.
    """

    __slots__ = ("open_work", "origin", "progress", "started")

    def __init__(self, record: InstanceRecord) -> None:
        self.origin = record.origin
        self.progress = record.progress
        self.open_work: dict[int, OpenWork] = {}
        self.started = False

    @classmethod
    def loaded(cls, record: InstanceRecord, history: Iterable[ev.HistoryEvent]) -> "Instance":
        """Fold a stored history."""
        instance = cls(record)
        instance.fold(history, 0)
        return instance

    def fold(self, events: Iterable[ev.HistoryEvent], first_seq: int) -> None:
        """Bring open work up to date with committed events that begin at ``first_seq``."""
        self.started = fold_open_work(self.open_work, events, first_seq) or self.started
