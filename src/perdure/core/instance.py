"""An instance: where it comes from, how far it is, and what it waits for."""

from collections.abc import Callable, Iterable, Sequence
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


class LockHolder(msgspec.Struct, frozen=True):
    """The critical section that holds an entity, and whose it is."""

    instance_id: str
    execution_id: str
    section_id: str


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
    locked_by: LockHolder | None = None
    """Entities: the critical section that holds it."""


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
    LOCK = 4


class OpenWork(msgspec.Struct, frozen=True, gc=False):
    """A scheduled event without its completion."""

    kind: WorkKind
    task_id: int
    name: str = ""
    """Activity, child instance or entity it waits for; empty for a timer."""
    due_at: datetime | None = None
    """When the timer fires."""


Sections = dict[str, tuple[str, ...]]
"""Critical section → the entities it has asked for and not let go, in the order of locking."""


class OpenLock(OpenWork, frozen=True, gc=False):
    """A critical section that was asked for and not granted yet."""

    entity_ids: tuple[str, ...] = ()


class OpenChild(OpenWork, frozen=True, gc=False):
    """A child that may answer an execution before a rewind; ``former``: those executions, each with its seq."""

    former: tuple[tuple[str, int], ...] = ()


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


def _lock_requested(
    open_work: dict[int, OpenWork], sections: Sections, event: ev.EntityLockRequested, seq: int
) -> None:
    open_work[seq] = OpenLock(WorkKind.LOCK, event.task_id, ", ".join(event.entity_ids), entity_ids=event.entity_ids)
    sections[event.section_id] = event.entity_ids


def _lock_granted(open_work: dict[int, OpenWork], sections: Sections, event: ev.EntityLockGranted, seq: int) -> None:
    open_work.pop(event.scheduled_seq, None)


def _unlock_sent(open_work: dict[int, OpenWork], sections: Sections, event: ev.EntityUnlockSent, seq: int) -> None:
    let_go(sections, event.section_id, event.entity_id)


def _rewound(open_work: dict[int, OpenWork], sections: Sections, event: ev.ExecutionRewound, seq: int) -> None:
    for link in event.links:
        work = open_work.get(link.seq)
        if work is not None:
            former = (*former_links(work), (link.execution_id, link.scheduled_seq))
            open_work[link.seq] = OpenChild(work.kind, work.task_id, work.name, former=former)
    for regain in event.regains:
        held = sections.get(regain.section_id, ())
        open_work[regain.seq] = OpenLock(WorkKind.LOCK, regain.task_id, ", ".join(held), entity_ids=held)


def is_regaining(history: Sequence[ev.HistoryEvent]) -> bool:
    """Whether a rewound execution waits for the locks it had, and for nothing else yet."""
    last = history[-1] if history else None
    return isinstance(last, ev.ExecutionRewound) and bool(last.regains)


def former_links(work: OpenWork) -> tuple[tuple[str, int], ...]:
    """The executions before a rewind, each with its seq, that this work's answer may name."""
    return work.former if isinstance(work, OpenChild) else ()


def let_go(sections: Sections, section_id: str, entity_id: str) -> None:
    """The section is without this entity from here on."""
    left = tuple(member for member in sections.pop(section_id, ()) if member != entity_id)
    if left:
        sections[section_id] = left


_MORE: dict[type, Callable[..., None]] = {
    ev.EntityLockRequested: _lock_requested,
    ev.EntityLockGranted: _lock_granted,
    ev.EntityUnlockSent: _unlock_sent,
    ev.ExecutionRewound: _rewound,
}


def fold_open_work(
    open_work: dict[int, OpenWork],
    events: Iterable[ev.HistoryEvent],
    first_seq: int,
    sections: Sections | None = None,
) -> bool:
    """Bring ``open_work`` (scheduled seq → work) and the critical sections up to date.

    Answers whether an ExecutionStarted was among the events.
    """
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
        elif (more := _MORE.get(kind)) is not None:
            more(open_work, {} if sections is None else sections, event, seq)
    return started


def leaves_activities(open_work: dict[int, OpenWork], events: Iterable[ev.HistoryEvent]) -> bool:
    """Whether activities would be open after these events, which end the execution."""
    opened = [seq for seq, work in open_work.items() if work.kind is WorkKind.ACTIVITY]
    if not opened:
        return False
    closed = {event.scheduled_seq for event in events if type(event) in _CLOSING}  # type: ignore[union-attr]
    return not closed.issuperset(opened)


class Instance:
    """A loaded orchestration as the core sees it: its record and its open work. Not its history.

    ``started`` tells whether the history of this execution holds its ExecutionStarted; ``sections`` are its
    critical sections, ``history_bytes`` the size of the history as stored.
    """

    __slots__ = ("history_bytes", "open_work", "origin", "progress", "sections", "started")

    def __init__(self, record: InstanceRecord) -> None:
        self.origin = record.origin
        self.progress = record.progress
        self.open_work: dict[int, OpenWork] = {}
        self.sections: Sections = {}
        self.history_bytes = 0
        self.started = False

    @classmethod
    def loaded(cls, record: InstanceRecord, history: Iterable[ev.HistoryEvent]) -> "Instance":
        """Fold a stored history."""
        instance = cls(record)
        instance.fold(history, 0)
        return instance

    def fold(self, events: Iterable[ev.HistoryEvent], first_seq: int) -> None:
        """Bring open work up to date with committed events that begin at ``first_seq``."""
        self.started = fold_open_work(self.open_work, events, first_seq, self.sections) or self.started
