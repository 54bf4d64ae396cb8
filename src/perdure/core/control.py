"""Rewind: a failed orchestration, and its failed children, go on from before the failure (semantics.md §13)."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from perdure.core import events as ev
from perdure.core import messages as ms
from perdure.core.checkpoint import Checkpoint, Creation, HistoryChange, NewActivity
from perdure.core.decisions import child_creation, refuse_child
from perdure.core.failures import FailureDetails
from perdure.core.identifiers import check_instance_id, next_execution_id
from perdure.core.instance import (
    Instance,
    InstanceRecord,
    OpenWork,
    Origin,
    Progress,
    WorkKind,
    fold_open_work,
    former_links,
    is_regaining,
)
from perdure.core.receiving import Intake, concerns_other
from perdure.core.rewound_history import RewoundHistory, rewound_history
from perdure.core.status import RuntimeStatus

CHILD_GONE = "SubOrchestrationGone"


class Rewound(msgspec.Struct, eq=False):
    """An orchestration before its failure, and nothing of it stored yet.

    ``instance`` and ``history`` are what its next turn begins with, ``intake`` is what that turn takes in.
    """

    reason: str | None
    instance: Instance
    history: list[ev.HistoryEvent]
    intake: Intake
    former_last_seq: int
    check_child_id: Callable[[str], None] = check_instance_id
    """See ``DecisionLimits``."""


def takes_rewind(record: InstanceRecord, message: ms.Rewind) -> bool:
    """Whether a rewind means anything to an orchestration that has ended."""
    return record.progress.status is RuntimeStatus.Failed or message.parent is not None


def rewind(
    record: InstanceRecord, history: Sequence[ev.HistoryEvent], envelope: ms.Envelope, now: datetime
) -> Rewound | None:
    """Take the failure back; None for an orchestration that this rewind is not for: see ``answer_rewind``."""
    message = envelope.message
    assert isinstance(message, ms.Rewind)
    former = record.origin
    begun = any(isinstance(event, ev.ExecutionStarted) for event in history)
    if record.progress.status is not RuntimeStatus.Failed or not begun or concerns_other(record.origin, message):
        return None
    execution_id = next_execution_id(former.execution_id)
    parent = former.parent if message.parent is None else message.parent
    origin = msgspec.structs.replace(former, execution_id=execution_id, parent=parent)
    kept = rewound_history(history, execution_id, parent)
    at = now if record.progress.episode_at is None else max(now, record.progress.episode_at)
    progress = Progress(
        RuntimeStatus.Running,
        updated_at=at,
        last_seq=len(kept.events) - 1,
        custom_status=record.progress.custom_status,
        episode_at=at,
    )
    instance = Instance.loaded(InstanceRecord(origin, progress), kept.events)
    rewound = ev.ExecutionRewound(
        message.reason,
        former.execution_id,
        tuple(_links(former.execution_id, history, kept, instance)),
        tuple(_regains(kept.events, instance)),
    )
    intake = Intake(at, [rewound], [envelope], [], [], runs_code=not rewound.regains)
    return Rewound(message.reason, instance, kept.events, intake, record.progress.last_seq)


def _links(
    execution_id: str, history: Sequence[ev.HistoryEvent], kept: RewoundHistory, instance: Instance
) -> Iterator[ev.FormerLink]:
    before: dict[int, OpenWork] = {}
    fold_open_work(before, [event for event in history if not isinstance(event, ev.ExecutionCompleted)], 0)
    for seq, work in instance.open_work.items():
        if work.kind is WorkKind.CHILD:
            former_seq = kept.former_seqs[seq]
            former = before.get(former_seq)
            for link in () if former is None else former_links(former):
                yield ev.FormerLink(seq, *link)
            yield ev.FormerLink(seq, execution_id, former_seq)


def _regains(history: Sequence[ev.HistoryEvent], instance: Instance) -> Iterator[ev.Regain]:
    """The sections that the code is in: they were left when it failed."""
    for seq, event in enumerate(history):
        if not isinstance(event, ev.EntityLockRequested) or seq in instance.open_work:
            continue
        if event.section_id in instance.sections:
            yield ev.Regain(seq, event.task_id, event.section_id)


def completed_rewind(rewound: Rewound, checkpoint: Checkpoint) -> Checkpoint:
    """What the rewound orchestration's first turn decided, as the checkpoint that also makes the rewind true.

    What had no answer when it failed is asked again, unless the turn ended it. With locks to regain there was no turn:
    they are asked for, and the rest when they are there (``regained``).
    """
    checkpoint.expected_last_seq = rewound.former_last_seq
    if checkpoint.history is HistoryChange.REPLACE:
        # It continues as new: the history goes anyway.
        return checkpoint
    checkpoint.history = HistoryChange.REPLACE
    checkpoint.events = [*rewound.history, *checkpoint.events]
    if not rewound.intake.runs_code:
        again = _Again()
        for event in rewound.intake.events:
            for regain in event.regains if isinstance(event, ev.ExecutionRewound) else ():
                asked = rewound.history[regain.seq]
                assert isinstance(asked, ev.EntityLockRequested), f"event {regain.seq} asks for no locks"
                _lock(again, rewound, regain.seq, asked)
        checkpoint.outbox = [*again.outbox, *checkpoint.outbox]
    elif not checkpoint.progress.status.is_terminal:
        _ask_again(rewound, checkpoint)
    return checkpoint


def regained(record: InstanceRecord, history: Sequence[ev.HistoryEvent], intake: Intake) -> Rewound:
    """The rewound orchestration that holds its locks again with what ``intake`` takes; see ``completed_regain``."""
    last = history[-1]
    assert isinstance(last, ev.ExecutionRewound), "only a rewind regains locks"
    return Rewound(last.reason, Instance.loaded(record, history), [*history], intake, record.progress.last_seq)


def completed_regain(rewound: Rewound, checkpoint: Checkpoint) -> Checkpoint:
    """What it decided with its locks regained; what had no answer is asked again now."""
    if checkpoint.history is HistoryChange.APPEND and not checkpoint.progress.status.is_terminal:
        _ask_again(rewound, checkpoint)
    return checkpoint


def answer_rewind(record: InstanceRecord, envelope: ms.Envelope, now: datetime) -> Checkpoint:
    """What an orchestration that is not rewound does, mostly for a parent that was and lacks its answer.

    One that completed answers again; one that was terminated, or failed before it began, starts anew; what is not the
    parent's child says so.
    """
    message = envelope.message
    assert isinstance(message, ms.Rewind)
    origin, progress, parent = record.origin, record.progress, message.parent
    same = Checkpoint(origin, progress, progress.last_seq, [envelope], [])
    if parent is None:
        return _started_anew(record, envelope, origin.parent, now)
    if concerns_other(record.origin, message):
        same.outbox = [refused_rewind(parent, origin.instance_id)]
        return same
    if progress.status is RuntimeStatus.Completed:
        same.outbox = [_to(parent, ms.ChildCompleted(parent.execution_id, parent.scheduled_seq, progress.output))]
        return same
    return _started_anew(record, envelope, parent, now)


def refused_rewind(parent: ev.ParentLink, instance_id: str) -> ms.Envelope:
    """What a rewound parent hears of a child that is not there, or is somebody else's now."""
    text = f"The sub-orchestration '{instance_id}' cannot be rewound: it is gone, or another instance has its id now."
    failure = FailureDetails(CHILD_GONE, text)
    return _to(parent, ms.ChildFailed(parent.execution_id, parent.scheduled_seq, failure))


def refusals(origin: Origin, envelopes: Sequence[ms.Envelope]) -> list[ms.Envelope]:
    """What those of these hear that take this instance for their child."""
    return [
        refused_rewind(envelope.message.parent, origin.instance_id)
        for envelope in envelopes
        if isinstance(envelope.message, ms.Rewind)
        and envelope.message.parent is not None
        and concerns_other(origin, envelope.message)
    ]


def _to(parent: ev.ParentLink, answer: ms.AnyMessage) -> ms.Envelope:
    return ms.Envelope(parent.instance_id, answer)


def _started_anew(
    record: InstanceRecord, envelope: ms.Envelope, parent: ev.ParentLink | None, now: datetime
) -> Checkpoint:
    former = record.origin
    start = ms.StartExecution(
        name=former.name,
        execution_id=next_execution_id(former.execution_id),
        input=former.input,
        version=former.version,
        generation=former.generation,
        parent=parent,
        trace_context=former.trace_context,
        tags=former.tags,
    )
    origin = msgspec.structs.replace(former, execution_id=start.execution_id, parent=parent, scheduled_start_at=None)
    return Checkpoint(
        origin,
        Progress(RuntimeStatus.Pending, now),
        record.progress.last_seq,
        [envelope],
        [],
        HistoryChange.REPLACE,
        [ms.Envelope(former.instance_id, start)],
    )


class _Again(msgspec.Struct, eq=False):
    """What goes out once more."""

    outbox: list[ms.Envelope] = []
    children: list[Creation] = []
    activities: list[NewActivity] = []


def _ask_again(rewound: Rewound, checkpoint: Checkpoint) -> None:
    again = _Again()
    for seq, work in rewound.instance.open_work.items():
        event = rewound.history[seq]
        if not (work.kind is WorkKind.LOCK and is_regaining(rewound.history)):
            _ASKING[type(event)](again, rewound, seq, event)
    checkpoint.outbox = [*again.outbox, *checkpoint.outbox]
    checkpoint.children = [*again.children, *checkpoint.children]
    checkpoint.activities = [*again.activities, *checkpoint.activities]


def _run(again: _Again, rewound: Rewound, seq: int, event: ev.TaskScheduled) -> None:
    again.activities.append(
        NewActivity(seq, event.task_id, event.name, event.input, event.version, event.tags, event.trace_context)
    )


def _wake(again: _Again, rewound: Rewound, seq: int, event: ev.TimerCreated) -> None:
    origin = rewound.instance.origin
    due = ms.TimerDue(origin.execution_id, seq, event.fire_at)
    again.outbox.append(ms.Envelope(origin.instance_id, due, due_at=event.fire_at))


def _revive(again: _Again, rewound: Rewound, seq: int, event: ev.SubOrchestrationCreated) -> None:
    parent = rewound.instance.origin
    if (refusal := refuse_child(parent, seq, event.instance_id, rewound.check_child_id)) is not None:
        again.outbox.append(refusal)
        return
    creation = child_creation(parent, seq, event, rewound.intake.at)
    creation.if_taken = ms.Envelope(event.instance_id, ms.Rewind(rewound.reason, creation.record.origin.parent))
    creation.keeps_finished = True
    again.children.append(creation)


def _call(again: _Again, rewound: Rewound, seq: int, event: ev.EntityCalled) -> None:
    origin = rewound.instance.origin
    reply_to = ms.ReplyTo(origin.instance_id, origin.execution_id, seq)
    request = ms.OperationRequest(event.operation, event.input, reply_to, event.request_id)
    again.outbox.append(ms.Envelope(event.entity_id, request))


def _lock(again: _Again, rewound: Rewound, seq: int, event: ev.EntityLockRequested) -> None:
    origin = rewound.instance.origin
    holder = ms.ReplyTo(origin.instance_id, origin.execution_id, seq)
    entity_ids = rewound.instance.sections.get(event.section_id, event.entity_ids)
    again.outbox.append(ms.Envelope(entity_ids[0], ms.LockRequest(holder, event.section_id, entity_ids)))


_ASKING: dict[type, Callable[[_Again, Rewound, int, Any], None]] = {
    ev.TaskScheduled: _run,
    ev.TimerCreated: _wake,
    ev.SubOrchestrationCreated: _revive,
    ev.EntityCalled: _call,
    ev.EntityLockRequested: _lock,
}
