"""Messages → history events: what an orchestration takes, holds back, or drops."""

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from perdure.core import events as ev
from perdure.core import messages as ms
from perdure.core.instance import Instance, OpenWork, Origin, WorkKind, former_links
from perdure.core.status import TERMINAL, RuntimeStatus


class Intake(msgspec.Struct, eq=False):
    """What one episode takes in.

    ``at`` is the episode's one time (architecture.md J4). ``held`` wait in the inbox until a resume;
    ``dropped`` have no effect. ``reread_inbox``: held messages come next, so the inbox must be read after the commit.
    """

    at: datetime
    events: list[ev.HistoryEvent]
    consumed: list[ms.Envelope]
    held: list[ms.Envelope]
    dropped: list[ms.Envelope]
    runs_code: bool = False
    terminated: ev.ExecutionTerminated | None = None
    suspended: bool = False
    reread_inbox: bool = False
    foreign: ms.Rewind | None = None
    """A parent that was rewound takes this instance for its child: it must be told, and nothing else taken in."""


def receive(instance: Instance, envelopes: Sequence[ms.Envelope], now: datetime) -> Intake:
    """Turn messages, in order, into events of the next episode.

    Every completion is accepted once and only for the execution it answers; the rest is dropped.
    While suspended only resume and terminate are taken.
    """
    progress = instance.progress
    at = progress.episode_at
    intake = Intake(
        at=now if at is None or now > at else at, events=[], consumed=[], held=[], dropped=[],
        suspended=progress.status is RuntimeStatus.Suspended,
    )  # fmt: skip
    if progress.status in TERMINAL:
        intake.dropped.extend(envelopes)
        return intake
    if len(envelopes) > 1 and (terminate := _first_end(instance, envelopes)) is not None:
        _take_terminate(instance, intake, envelopes, terminate)
        return intake
    if len(envelopes) > 1 and not instance.started:
        envelopes = _after_continuation(envelopes)
    taken: set[int] = set()
    for envelope in envelopes:
        message = envelope.message
        kind = type(message)
        if intake.reread_inbox or (intake.suspended and kind not in _TAKEN_WHILE_SUSPENDED):
            intake.held.append(envelope)
            continue
        if _READERS[kind](instance, intake, message, taken):
            intake.consumed.append(envelope)
        else:
            intake.dropped.append(envelope)
    return intake


def _after_continuation(envelopes: Sequence[ms.Envelope]) -> Sequence[ms.Envelope]:
    """Events that arrived while an execution continued as new come after those that it hands on."""
    for at, envelope in enumerate(envelopes):
        if isinstance(envelope.message, ms.StartExecution) and envelope.message.generation > 0:
            early = [e for e in envelopes[:at] if type(e.message) is ms.RaiseEvent]
            others = [e for e in envelopes[:at] if type(e.message) is not ms.RaiseEvent]
            return [*others, envelope, *early, *envelopes[at + 1 :]]
    return envelopes


def awaits_start(instance: Instance, envelopes: Sequence[ms.Envelope]) -> bool:
    """Whether these must wait for the message by which an execution that continued as new begins: it is on its way.

    While suspended it may be in the inbox already, held back until the resume.
    """
    return (
        not instance.started
        and instance.origin.generation > 0
        and instance.progress.status is not RuntimeStatus.Suspended
        and not any(
            type(envelope.message) is ms.StartExecution or ends(instance, envelope.message) for envelope in envelopes
        )
    )


def _first_end(instance: Instance, envelopes: Sequence[ms.Envelope]) -> ms.Envelope | None:
    for envelope in envelopes:
        if type(envelope.message) is ms.Terminate and ends(instance, envelope.message):
            return envelope
    return None


def ends(instance: Instance, message: ms.AnyMessage) -> bool:
    """Whether the message ends the orchestration, whatever else there is."""
    return isinstance(message, ms.Terminate) and not (message.at_once and instance.sections)


def _take_terminate(
    instance: Instance, intake: Intake, envelopes: Sequence[ms.Envelope], terminate: ms.Envelope
) -> None:
    # No more user code runs, so nothing else of the batch needs to become history but the start itself.
    taken: set[int] = set()
    for envelope in envelopes:
        message = envelope.message
        starts = type(message) is ms.StartExecution and _read_start(instance, intake, message, taken)
        if type(message) is ms.Rewind:
            _read_rewind(instance, intake, message, taken)
        (intake.consumed if envelope is terminate or starts else intake.dropped).append(envelope)
    _read_terminate(instance, intake, terminate.message, taken)
    intake.runs_code = False


def _read_start(instance: Instance, intake: Intake, message: ms.StartExecution, taken: set[int]) -> bool:
    if message.execution_id != instance.origin.execution_id or instance.started or -1 in taken:
        return False
    taken.add(-1)
    if message.scheduled_start_at is not None and message.scheduled_start_at > intake.at:
        intake.at = message.scheduled_start_at
    intake.events.append(
        ev.ExecutionStarted(
            name=message.name,
            execution_id=message.execution_id,
            input=message.input,
            version=message.version,
            generation=message.generation,
            parent=message.parent,
            scheduled_start_at=message.scheduled_start_at,
            trace_context=message.trace_context,
            tags=message.tags,
        )
    )
    intake.events.extend(ev.EventRaised(carried.name, carried.input) for carried in message.carried)
    intake.runs_code = True
    return True


def _open_work(
    instance: Instance, execution_id: str, scheduled_seq: int, kind: WorkKind, taken: set[int]
) -> OpenWork | None:
    if execution_id != instance.origin.execution_id or scheduled_seq in taken:
        return None
    work = instance.open_work.get(scheduled_seq)
    if work is None or work.kind is not kind:
        return None
    taken.add(scheduled_seq)
    return work


def _completion(kind: WorkKind, event_type: Callable[..., ev.HistoryEvent], payload: str) -> Callable[..., bool]:
    def read(instance: Instance, intake: Intake, message: ms.ActivityCompleted, taken: set[int]) -> bool:
        work = _open_work(instance, message.execution_id, message.scheduled_seq, kind, taken)
        seq = message.scheduled_seq
        if work is None:
            if kind is not WorkKind.CHILD or (found := _rewound_work(instance, message, taken)) is None:
                return False
            seq, work = found
        intake.events.append(event_type(work.task_id, seq, getattr(message, payload)))
        intake.runs_code = True
        return True

    return read


def _rewound_work(instance: Instance, message: ms.ActivityCompleted, taken: set[int]) -> tuple[int, OpenWork] | None:
    """The open child that still answers an execution before a rewind of this instance."""
    link = (message.execution_id, message.scheduled_seq)
    for seq, work in instance.open_work.items():
        if seq not in taken and link in former_links(work):
            taken.add(seq)
            return seq, work
    return None


def _read_grant(instance: Instance, intake: Intake, message: ms.LockGranted, taken: set[int]) -> bool:
    work = _open_work(instance, message.execution_id, message.scheduled_seq, WorkKind.LOCK, taken)
    if work is None:
        return False
    intake.events.append(ev.EntityLockGranted(work.task_id, message.scheduled_seq))
    intake.runs_code = True
    return True


def _read_timer(instance: Instance, intake: Intake, message: ms.TimerDue, taken: set[int]) -> bool:
    work = _open_work(instance, message.execution_id, message.scheduled_seq, WorkKind.TIMER, taken)
    if work is None:
        return False
    if message.fire_at > intake.at:
        intake.at = message.fire_at
    intake.events.append(ev.TimerFired(work.task_id, message.scheduled_seq, message.fire_at))
    intake.runs_code = True
    return True


def _read_event(instance: Instance, intake: Intake, message: ms.RaiseEvent, taken: set[int]) -> bool:
    intake.events.append(ev.EventRaised(message.name, message.input))
    intake.runs_code = True
    return True


def _read_suspend(instance: Instance, intake: Intake, message: ms.Suspend, taken: set[int]) -> bool:
    if intake.suspended:
        return False
    intake.events.append(ev.ExecutionSuspended(message.reason))
    intake.suspended = True
    return True


def _read_resume(instance: Instance, intake: Intake, message: ms.Resume, taken: set[int]) -> bool:
    if not intake.suspended:
        return False
    intake.events.append(ev.ExecutionResumed(message.reason))
    intake.suspended = False
    # What was held came first and must be given first: it is read from the inbox, with all that follows.
    intake.reread_inbox = True
    return True


def _read_terminate(instance: Instance, intake: Intake, message: ms.AnyMessage, taken: set[int]) -> bool:
    assert isinstance(message, ms.Terminate)
    if not ends(instance, message):
        return False
    intake.terminated = ev.ExecutionTerminated(message.reason, message.recursive)
    intake.events.append(intake.terminated)
    return True


def _read_rewind(instance: Instance, intake: Intake, message: ms.Rewind, taken: set[int]) -> bool:
    # A living child answers in its own time, also the execution before the rewind.
    if concerns_other(instance.origin, message):
        intake.foreign = message
    return False


def concerns_other(origin: Origin, message: ms.Rewind) -> bool:
    """Whether the rewind comes from a parent that this instance is not, or no longer, a child of."""
    parent = message.parent
    return parent is not None and (origin.parent is None or origin.parent.instance_id != parent.instance_id)


def _read_nothing(instance: Instance, intake: Intake, message: ms.AnyMessage, taken: set[int]) -> bool:
    return False


_TAKEN_WHILE_SUSPENDED: frozenset[type] = frozenset({ms.Resume, ms.Terminate, ms.Suspend, ms.Rewind})

_READERS: dict[type, Callable[..., bool]] = {
    ms.StartExecution: _read_start,
    ms.ActivityCompleted: _completion(WorkKind.ACTIVITY, ev.TaskCompleted, "result"),
    ms.ActivityFailed: _completion(WorkKind.ACTIVITY, ev.TaskFailed, "failure"),
    ms.ChildCompleted: _completion(WorkKind.CHILD, ev.SubOrchestrationCompleted, "result"),
    ms.ChildFailed: _completion(WorkKind.CHILD, ev.SubOrchestrationFailed, "failure"),
    ms.TimerDue: _read_timer,
    ms.RaiseEvent: _read_event,
    ms.Suspend: _read_suspend,
    ms.Resume: _read_resume,
    ms.Terminate: _read_terminate,
    ms.Rewind: _read_rewind,
    ms.OperationRequest: _read_nothing,
    ms.OperationCompleted: _completion(WorkKind.ENTITY, ev.EntityOperationCompleted, "result"),
    ms.OperationFailed: _completion(WorkKind.ENTITY, ev.EntityOperationFailed, "failure"),
    ms.LockRequest: _read_nothing,
    ms.LockRelease: _read_nothing,
    ms.LockGranted: _read_grant,
    ms.RemoveWhenEmpty: _read_nothing,
}
"""Message type → what it becomes. Each answers whether the message had an effect."""
