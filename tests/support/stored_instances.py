"""Builders of what crosses the storage seam: creations, episodes, messages."""

import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from perdure.core import events as ev
from perdure.core import messages as ms
from perdure.core.checkpoint import Checkpoint, Creation, HistoryChange, NewActivity
from perdure.core.instance import InstanceKind, InstanceRecord, Origin, Progress
from perdure.core.status import RuntimeStatus

T0 = datetime(2026, 3, 18, 21, 54, 49, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)


def later(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def creation(
    instance_id: str,
    *,
    name: str = "orchestrator",
    text: str | None = '"in"',
    created_at: datetime = T0,
    due_at: datetime | None = None,
    parent: ev.ParentLink | None = None,
    if_taken: ms.Envelope | None = None,
    **origin_fields: Any,
) -> Creation:
    """A new orchestration; its execution id follows from its id and time, so that both sides of a test agree."""
    execution_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{instance_id.encode('utf-8', 'replace')!r} {created_at}"))
    origin = Origin(
        instance_id=instance_id,
        kind=InstanceKind.ORCHESTRATION,
        name=name,
        execution_id=execution_id,
        created_at=created_at,
        input=text,
        parent=parent,
        **origin_fields,
    )
    start = ms.StartExecution(name, execution_id, text, parent=parent)
    return Creation(
        InstanceRecord(origin, Progress(RuntimeStatus.Pending, created_at)),
        ms.Envelope(instance_id, start, due_at),
        if_taken,
    )


def entity(instance_id: str, *, created_at: datetime = T0, **progress_fields: Any) -> InstanceRecord:
    """An entity that has no row yet."""
    origin = Origin(instance_id, InstanceKind.ENTITY, instance_id[1:].partition("@")[0], "", created_at)
    return InstanceRecord(origin, Progress(RuntimeStatus.Running, created_at, **progress_fields))


def started(at: datetime = T0) -> ev.OrchestratorStarted:
    return ev.OrchestratorStarted(at)


def first_events(record: InstanceRecord, at: datetime = T0) -> list[ev.HistoryEvent]:
    """What the first episode's history begins with."""
    origin = record.origin
    return [started(at), ev.ExecutionStarted(origin.name, origin.execution_id, origin.input)]


def episode(
    record: InstanceRecord | Checkpoint,
    consumed: Iterable[ms.Envelope] = (),
    events: Sequence[ev.HistoryEvent] = (),
    *,
    status: RuntimeStatus = RuntimeStatus.Running,
    at: datetime | None = None,
    outbox: Iterable[ms.Envelope] = (),
    children: Iterable[Creation] = (),
    activities: Iterable[NewActivity] = (),
    **progress_fields: Any,
) -> Checkpoint:
    """The next checkpoint of an instance, whose history grows by ``events``."""
    before = record.progress
    at = before.updated_at if at is None else at
    if status.is_terminal and not any(isinstance(event, ev.ExecutionCompleted) for event in events):
        events = [*events, ev.ExecutionCompleted(status, progress_fields.get("output"))]
        progress_fields.setdefault("completed_at", at)
    progress = Progress(status, at, before.last_seq + len(events), episode_at=at, **progress_fields)
    return Checkpoint(
        record.origin,
        progress,
        before.last_seq,
        list(consumed),
        list(events),
        HistoryChange.APPEND,
        list(outbox),
        list(children),
        list(activities),
    )


def next_execution(
    record: InstanceRecord | Checkpoint,
    consumed: Iterable[ms.Envelope] = (),
    *,
    text: str = '"again"',
    at: datetime | None = None,
    outbox: Iterable[ms.Envelope] = (),
) -> Checkpoint:
    """Continue as new: the history goes, the origin is written anew, a start goes to oneself."""
    old = record.origin
    at = record.progress.updated_at if at is None else at
    execution_id = str(uuid.uuid5(uuid.UUID(old.execution_id), "next"))
    origin = replace(old, execution_id=execution_id, input=text, generation=old.generation + 1)
    start = ms.Envelope(old.instance_id, ms.StartExecution(old.name, execution_id, text, generation=origin.generation))
    return Checkpoint(
        origin,
        Progress(RuntimeStatus.Running, at, episode_at=at),
        record.progress.last_seq,
        list(consumed),
        [],
        HistoryChange.REPLACE,
        [*outbox, start],
    )


def raised(target: str, name: str = "go", text: str | None = None, due_at: datetime | None = None) -> ms.Envelope:
    return ms.Envelope(target, ms.RaiseEvent(name, text), due_at)


def timer(record: InstanceRecord | Checkpoint, seq: int, fire_at: datetime) -> ms.Envelope:
    return ms.Envelope(record.origin.instance_id, ms.TimerDue(record.origin.execution_id, seq, fire_at), fire_at)


def activity_done(
    record: InstanceRecord | Checkpoint, seq: int, number: int | None, result: str = '"done"'
) -> ms.Envelope:
    """An activity's result, as it comes in memory."""
    message = ms.ActivityCompleted(record.origin.execution_id, seq, result)
    return ms.Envelope(record.origin.instance_id, message, ends_activity=number)


def names(envelopes: Iterable[ms.Envelope]) -> list[str]:
    """What raised events are called; other messages by their type."""
    return [
        message.name if isinstance(message := envelope.message, ms.RaiseEvent) else type(message).__name__
        for envelope in envelopes
    ]
