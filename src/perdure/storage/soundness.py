"""Whether an instance's record, history, messages and activities fit together, and whether anything will move it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from perdure.contracts.records import Finding, FindingKind
from perdure.core import events as ev
from perdure.core import messages as ms
from perdure.core.events import HistoryEvent
from perdure.core.instance import (
    Instance,
    InstanceKind,
    InstanceRecord,
    OpenLock,
    OpenWork,
    WorkKind,
    former_links,
    is_regaining,
)
from perdure.core.status import RuntimeStatus
from perdure.storage.rows import DamagedRow, Row, read_activity


class Surroundings(Protocol):
    """What lies around one instance in its store."""

    def inbox_of(self, instance_id: str) -> Sequence[ms.Envelope]: ...

    def activities_of(self, record: InstanceRecord) -> frozenset[tuple[str, int]]:
        """Execution and seq of its pending activities."""
        ...

    def record_of(self, instance_id: str) -> InstanceRecord | None: ...


def disagreements(record: InstanceRecord, history: Sequence[HistoryEvent]) -> Iterator[Finding]:
    """Where the record says something else than the history."""
    if record.origin.kind is InstanceKind.ENTITY:
        return
    status, instance_id = record.progress.status, record.origin.instance_id
    if record.progress.last_seq != len(history) - 1:
        what = f"the record ends at event {record.progress.last_seq}, the history at {len(history) - 1}"
        yield Finding(FindingKind.HISTORY, instance_id, what)
    last = history[-1] if history else None
    if isinstance(last, ev.ExecutionCompleted):
        if last.status is not status:
            what = f"the record says {status.name}, the history ends with {last.status.name}"
            yield Finding(FindingKind.RECORD, instance_id, what)
    elif status.is_terminal:
        yield Finding(FindingKind.RECORD, instance_id, f"the record says {status.name}, but the history has no end")


def stuck(record: InstanceRecord, history: Sequence[HistoryEvent], around: Surroundings) -> Iterator[Finding]:
    """What a living orchestration waits for and nothing in the store will bring (reliability.md X8)."""
    progress, instance_id = record.progress, record.origin.instance_id
    if record.origin.kind is InstanceKind.ENTITY or progress.status.is_terminal:
        return
    inbox = around.inbox_of(instance_id)
    open_work = Instance.loaded(record, history).open_work
    answered = _answered(inbox)
    pending = around.activities_of(record)
    only_locks = is_regaining(history)
    for seq, work in open_work.items():
        if only_locks and work.kind is not WorkKind.LOCK:
            # It is asked for again when the locks are there.
            continue
        links = ((record.origin.execution_id, seq), *former_links(work))
        if not answered.isdisjoint(links):
            continue
        if (lost := _LOST[work.kind](record, seq, work, pending, around)) is not None:
            yield Finding(FindingKind.STUCK, instance_id, lost)
    if not (open_work or inbox or progress.awaited_events or progress.status is RuntimeStatus.Suspended):
        what = f"it is {progress.status.name} and waits for nothing: no message, activity, timer, child or event"
        yield Finding(FindingKind.STUCK, instance_id, what)


def activity_finding(row: Row) -> Finding | None:
    """What is wrong with a pending activity: a row of ACTIVITY_COLUMNS with its instance's id, None without one."""
    *columns, instance_id = row
    if instance_id is None:
        what = f"pending activity {row[0]} belongs to instance number {row[1]}, but there is no such instance"
        return Finding(FindingKind.ORPHAN, None, what)
    try:
        read_activity(columns, instance_id)
    except DamagedRow as error:
        return Finding(FindingKind.RECORD, instance_id, str(error))
    return None


def _answered(inbox: Sequence[ms.Envelope]) -> set[tuple[str, int]]:
    return {
        (envelope.message.execution_id, envelope.message.scheduled_seq)
        for envelope in inbox
        if isinstance(envelope.message, _ANSWERS)
    }


_ANSWERS = (
    ms.ActivityCompleted,
    ms.ActivityFailed,
    ms.ChildCompleted,
    ms.ChildFailed,
    ms.TimerDue,
    ms.OperationCompleted,
    ms.OperationFailed,
    ms.LockGranted,
)

Pending = frozenset[tuple[str, int]]


def _lost_activity(
    record: InstanceRecord, seq: int, work: OpenWork, pending: Pending, around: Surroundings
) -> str | None:
    if (record.origin.execution_id, seq) in pending:
        return None
    return f"activity '{work.name}' (event {seq}) is neither pending nor answered"


def _lost_timer(record: InstanceRecord, seq: int, work: OpenWork, pending: Pending, around: Surroundings) -> str | None:
    return f"the timer of event {seq} has no message in the inbox"


def _lost_child(record: InstanceRecord, seq: int, work: OpenWork, pending: Pending, around: Surroundings) -> str | None:
    child = around.record_of(work.name)
    links = ((record.origin.execution_id, seq), *former_links(work))
    if child is not None and not child.progress.status.is_terminal:
        parent = child.origin.parent
        if (
            parent is not None
            and parent.instance_id == record.origin.instance_id
            and (parent.execution_id, parent.scheduled_seq) in links
        ):
            return None
    for envelope in around.inbox_of(work.name):
        message = envelope.message
        if isinstance(message, ms.Rewind) and message.parent is not None:
            parent = message.parent
            if (parent.instance_id, parent.execution_id) == (record.origin.instance_id, record.origin.execution_id):
                return None
    return f"the child '{work.name}' (event {seq}) neither lives nor has answered"


def _lost_call(record: InstanceRecord, seq: int, work: OpenWork, pending: Pending, around: Surroundings) -> str | None:
    reply_to = ms.ReplyTo(record.origin.instance_id, record.origin.execution_id, seq)
    for envelope in around.inbox_of(work.name):
        if isinstance(envelope.message, ms.OperationRequest) and envelope.message.reply_to == reply_to:
            return None
    return f"the call to '{work.name}' (event {seq}) is neither in its inbox nor answered"


def _lost_lock(record: InstanceRecord, seq: int, work: OpenWork, pending: Pending, around: Surroundings) -> str | None:
    holder = ms.ReplyTo(record.origin.instance_id, record.origin.execution_id, seq)
    assert isinstance(work, OpenLock)
    for entity_id in work.entity_ids:
        for envelope in around.inbox_of(entity_id):
            if isinstance(envelope.message, ms.LockRequest) and envelope.message.holder == holder:
                return None
    return f"the request to lock {work.name} (event {seq}) is in no inbox and not answered"


_LOST: dict[WorkKind, Callable[..., str | None]] = {
    WorkKind.ACTIVITY: _lost_activity,
    WorkKind.TIMER: _lost_timer,
    WorkKind.CHILD: _lost_child,
    WorkKind.ENTITY: _lost_call,
    WorkKind.LOCK: _lost_lock,
}
"""Kind of open work → what is wrong with it when no answer is in the inbox; None when it is on its way."""
