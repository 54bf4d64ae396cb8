"""Instance + what it took in + what its code asked for → Checkpoint."""

import uuid
from collections.abc import Callable
from datetime import datetime

import msgspec

from perdure.core import actions as ac
from perdure.core import events as ev
from perdure.core import messages as ms
from perdure.core.checkpoint import Checkpoint, Creation, HistoryChange, NewActivity
from perdure.core.errors import InvalidIdentifier
from perdure.core.failures import FailureDetails
from perdure.core.identifiers import check_instance_id, child_id, next_execution_id
from perdure.core.instance import (
    Instance,
    InstanceKind,
    InstanceRecord,
    Origin,
    Progress,
    Sections,
    WorkKind,
    let_go,
)
from perdure.core.receiving import Intake
from perdure.core.status import ALLOWED_MOVES, RuntimeStatus


class DecisionLimits(msgspec.Struct, frozen=True):
    """What an orchestration may use up, and what new children are stamped with.

    ``check_child_id`` raises InvalidIdentifier for an id that no child may have.
    """

    history_events_max: int = 1_000_000
    history_bytes_max: int = 1_000_000_000
    actions_max: int = 1_000_000
    payload_bytes_max: int = 16 * 1024 * 1024
    default_version: str | None = None
    check_child_id: Callable[[str], None] = check_instance_id


class _Draft:
    """A checkpoint in the making."""

    __slots__ = ("activities", "at", "children", "events", "instance", "limits", "next_seq", "outbox", "sections")

    def __init__(self, instance: Instance, at: datetime, events: list[ev.HistoryEvent], limits: DecisionLimits) -> None:
        self.instance = instance
        self.at = at
        self.limits = limits
        self.events = events
        self.next_seq = instance.progress.last_seq + 1 + len(events)
        self.outbox: list[ms.Envelope] = []
        self.children: list[Creation] = []
        self.activities: list[NewActivity] = []
        self.sections = instance.sections
        """The critical sections; a copy once this turn changes them."""

    def add(self, event: ev.HistoryEvent) -> int:
        """Append a history event; returns its seq."""
        self.events.append(event)
        seq = self.next_seq
        self.next_seq = seq + 1
        return seq


def decide(instance: Instance, intake: Intake, result: ac.TurnResult | None, limits: DecisionLimits) -> Checkpoint:
    """What this episode commits. ``result`` is None when no code ran (suspend, resume, terminate). Pure."""
    progress = instance.progress
    draft = _Draft(instance, intake.at, [ev.OrchestratorStarted(intake.at), *intake.events], limits)
    if intake.terminated is not None:
        return _terminate(draft, intake, intake.terminated)
    if result is None:
        status = RuntimeStatus.Suspended if intake.suspended else _status_of_waiting(instance, intake)
        return _checkpoint(
            draft, intake, msgspec.structs.replace(progress, status=status, awaited_events=progress.awaited_events)
        )
    ending = result.ending
    if result.span is not None:
        draft.events[0] = ev.OrchestratorStarted(intake.at, result.span)
    for action in result.actions:
        _DECIDERS[type(action)](draft, action)
    custom_status = progress.custom_status if result.custom_status is None else result.custom_status.text
    if type(ending) is ac.ContinueAsNew:
        return _continue_as_new(draft, intake, ending, custom_status)
    if (excess := _excess(draft, result)) is not None:
        # Nothing of a turn that asks for too much is begun.
        draft = _Draft(instance, intake.at, [ev.OrchestratorStarted(intake.at), *intake.events], limits)
        ending = ac.Fail(excess)
    if (
        type(ending) is ac.Complete
        and ending.output is not None
        and _too_large(ending.output, limits.payload_bytes_max)
    ):
        ending = ac.Fail(_too_large_failure("output", ending.output, limits.payload_bytes_max))
    if ending is None:
        status = RuntimeStatus.Suspended if intake.suspended else _status_of_waiting(instance, intake)
        _check_move(progress.status, status)
        return Checkpoint(
            instance.origin,
            Progress(
                status, intake.at, draft.next_seq - 1, custom_status, None, None, None, intake.at, result.awaited_events
            ),
            progress.last_seq, intake.consumed, draft.events, HistoryChange.APPEND,
            draft.outbox, draft.children, draft.activities,
        )  # fmt: skip
    assert not isinstance(ending, ac.ContinueAsNew)
    if isinstance(ending, ac.Fail):
        text = ending.output
        if text is None or _too_large(text, limits.payload_bytes_max):
            text = failed_output(instance.origin.name, ending.failure)
        return _end(draft, intake, RuntimeStatus.Failed, text, custom_status, ending.failure)
    return _end(draft, intake, RuntimeStatus.Completed, ending.output, custom_status, None)


def failed_output(name: str, failure: FailureDetails) -> str:
    """The output text of a failed orchestration (functions-sdk.md §12)."""
    return f"Orchestrator function '{name}' failed: {failure.message}"


def _status_of_waiting(instance: Instance, intake: Intake) -> RuntimeStatus:
    # Messages may come before a scheduled start; between two executions the instance is Running all the same.
    if instance.started or instance.origin.generation > 0 or any(type(e) is ev.ExecutionStarted for e in intake.events):
        return RuntimeStatus.Running
    return RuntimeStatus.Pending


def _check_move(before: RuntimeStatus, after: RuntimeStatus) -> None:
    assert after is before or after in ALLOWED_MOVES[before], f"no instance moves from {before.name} to {after.name}"


def _checkpoint(draft: _Draft, intake: Intake, progress: Progress) -> Checkpoint:
    _check_move(draft.instance.progress.status, progress.status)
    return Checkpoint(
        draft.instance.origin,
        msgspec.structs.replace(progress, last_seq=draft.next_seq - 1, updated_at=intake.at, episode_at=intake.at),
        draft.instance.progress.last_seq,
        intake.consumed,
        draft.events,
        HistoryChange.APPEND,
        draft.outbox,
        draft.children,
        draft.activities,
    )


def _end(
    draft: _Draft,
    intake: Intake,
    status: RuntimeStatus,
    output: str | None,
    custom_status: str | None,
    failure: FailureDetails | None,
) -> Checkpoint:
    draft.add(ev.ExecutionCompleted(status, output, failure))
    _leave_sections(draft)
    if (parent := draft.instance.origin.parent) is not None:
        draft.outbox.append(ms.Envelope(parent.instance_id, _answer(draft, parent, status, output, failure)))
    progress = Progress(
        status=status,
        updated_at=intake.at,
        custom_status=custom_status,
        output=output,
        failure=failure,
        completed_at=intake.at,
    )
    return _checkpoint(draft, intake, progress)


def _answer(
    draft: _Draft, parent: ev.ParentLink, status: RuntimeStatus, output: str | None, failure: FailureDetails | None
) -> ms.ChildCompleted | ms.ChildFailed:
    if status is RuntimeStatus.Completed:
        return ms.ChildCompleted(parent.execution_id, parent.scheduled_seq, output)
    if failure is None:
        reason = f": {output}" if output else "."
        failure = FailureDetails("OrchestrationTerminated", f"The sub-orchestration was terminated{reason}")
    return ms.ChildFailed(parent.execution_id, parent.scheduled_seq, failure)


def _terminate(draft: _Draft, intake: Intake, terminated: ev.ExecutionTerminated) -> Checkpoint:
    if terminated.recursive:
        for work in draft.instance.open_work.values():
            if work.kind is WorkKind.CHILD:
                draft.outbox.append(ms.Envelope(work.name, ms.Terminate(terminated.reason, recursive=True)))
    status = draft.instance.progress.custom_status
    return _end(draft, intake, RuntimeStatus.Terminated, terminated.reason, status, None)


def _continue_as_new(draft: _Draft, intake: Intake, ending: ac.ContinueAsNew, custom_status: str | None) -> Checkpoint:
    """The next execution begins with a message to oneself, so a crash in between is like any other.

    Activities and timers of the old execution are orphaned with it; signals, events and children go out.
    """
    old = draft.instance.origin
    start = ms.StartExecution(
        name=old.name,
        execution_id=next_execution_id(old.execution_id),
        input=ending.input,
        version=ending.version if ending.version is not None else old.version,
        generation=old.generation + 1,
        parent=old.parent,
        trace_context=old.trace_context,
        tags=old.tags if ending.tags is None else ending.tags,
        carried=ending.carried,
    )
    origin = msgspec.structs.replace(
        old,
        execution_id=start.execution_id,
        input=start.input,
        version=start.version,
        generation=start.generation,
        tags=start.tags,
    )
    draft.outbox = [e for e in draft.outbox if e.target != old.instance_id]
    _leave_sections(draft)
    draft.outbox.append(ms.Envelope(old.instance_id, start))
    progress = Progress(
        status=RuntimeStatus.Suspended if intake.suspended else RuntimeStatus.Running,
        updated_at=intake.at,
        custom_status=custom_status,
        episode_at=intake.at,
    )
    _check_move(draft.instance.progress.status, progress.status)
    return Checkpoint(
        origin,
        progress,
        draft.instance.progress.last_seq,
        intake.consumed,
        [],
        HistoryChange.REPLACE,
        draft.outbox,
        draft.children,
        [],
    )


def _schedule_activity(draft: _Draft, action: ac.ScheduleActivity) -> None:
    version, tags, trace = action.version, action.tags, action.trace_context
    seq = draft.add(ev.TaskScheduled(action.task_id, action.name, action.input, version, tags, trace))
    draft.activities.append(NewActivity(seq, action.task_id, action.name, action.input, version, tags, trace))


def _create_timer(draft: _Draft, action: ac.CreateTimer) -> None:
    seq = draft.add(ev.TimerCreated(action.task_id, action.fire_at))
    origin = draft.instance.origin
    due = ms.TimerDue(origin.execution_id, seq, action.fire_at)
    draft.outbox.append(ms.Envelope(origin.instance_id, due, due_at=action.fire_at))


def _start_child(draft: _Draft, action: ac.StartChild) -> None:
    parent = draft.instance.origin
    instance_id = action.instance_id or child_id(parent.instance_id, parent.generation, action.task_id)
    version = action.version if action.version is not None else draft.limits.default_version
    event = ev.SubOrchestrationCreated(
        action.task_id, action.name, instance_id, action.input, version, action.tags, action.trace_context
    )
    seq = draft.add(event)
    if (refusal := refuse_child(parent, seq, instance_id, draft.limits.check_child_id)) is not None:
        draft.outbox.append(refusal)
    else:
        draft.children.append(child_creation(parent, seq, event, draft.at))


def refuse_child(parent: Origin, seq: int, instance_id: str, check_id: Callable[[str], None]) -> ms.Envelope | None:
    """The failure of the call at ``seq`` when no child may have that id."""
    wrong = _wrong_child_id(parent, instance_id, check_id)
    return None if wrong is None else _refusal(parent, seq, wrong, "InvalidIdentifier")


def _refusal(parent: Origin, seq: int, text: str, error_type: str) -> ms.Envelope:
    failure = FailureDetails(error_type, text)
    return ms.Envelope(parent.instance_id, ms.ChildFailed(parent.execution_id, seq, failure))


def child_creation(parent: Origin, seq: int, event: ev.SubOrchestrationCreated, at: datetime) -> Creation:
    """The child that the event at ``seq`` of its parent's history asks for."""
    instance_id = event.instance_id
    link = ev.ParentLink(parent.instance_id, parent.execution_id, seq, event.task_id, parent.name, parent.version)
    # Any id that follows from the parent's execution will do: replay never looks at it, and a crash repeats nothing.
    execution_id = str(uuid.uuid5(uuid.UUID(parent.execution_id), f"child:{seq}"))
    trace = parent.trace_context if event.trace_context is None else event.trace_context
    start = ms.StartExecution(
        event.name, execution_id, event.input, event.version, parent=link, trace_context=trace, tags=event.tags
    )
    record = InstanceRecord(
        Origin(
            instance_id=instance_id,
            kind=InstanceKind.ORCHESTRATION,
            name=event.name,
            execution_id=execution_id,
            created_at=at,
            version=event.version,
            input=event.input,
            parent=link,
            trace_context=trace,
            tags=event.tags,
        ),
        Progress(RuntimeStatus.Pending, at),
    )
    text = f"A sub-orchestration cannot start as '{instance_id}': an instance with that id exists and has not ended."
    return Creation(record, ms.Envelope(instance_id, start), _refusal(parent, seq, text, "InstanceExists"))


def _wrong_child_id(parent: Origin, instance_id: str, check_id: Callable[[str], None]) -> str | None:
    lowered = instance_id.lower()
    if lowered == parent.instance_id.lower():
        return f"A sub-orchestration cannot have its parent's own id '{instance_id}'."
    if parent.parent is not None and lowered == parent.parent.instance_id.lower():
        return f"A sub-orchestration cannot have the id '{instance_id}': that is its parent's parent."
    try:
        check_id(instance_id)
    except InvalidIdentifier as error:
        return str(error)
    return None


def _call_entity(draft: _Draft, action: ac.CallEntity) -> None:
    request_id = action.request_id
    seq = draft.add(ev.EntityCalled(action.task_id, action.entity_id, action.operation, action.input, request_id))
    origin = draft.instance.origin
    reply_to = ms.ReplyTo(origin.instance_id, origin.execution_id, seq)
    request = ms.OperationRequest(action.operation, action.input, reply_to, request_id)
    draft.outbox.append(ms.Envelope(action.entity_id, request))


def _signal_entity(draft: _Draft, action: ac.SignalEntity) -> None:
    operation, due_at, request_id = action.operation, action.due_at, action.request_id
    draft.add(ev.EntitySignaled(action.task_id, action.entity_id, operation, action.input, due_at, request_id))
    request = ms.OperationRequest(operation, action.input, None, request_id)
    draft.outbox.append(ms.Envelope(action.entity_id, request, due_at=due_at))


def _lock_entities(draft: _Draft, action: ac.LockEntities) -> None:
    # One order for all is what keeps overlapping sections from waiting for each other.
    entity_ids = tuple(sorted(set(action.entity_ids)))
    seq = draft.add(ev.EntityLockRequested(action.task_id, action.section_id, entity_ids))
    origin = draft.instance.origin
    holder = ms.ReplyTo(origin.instance_id, origin.execution_id, seq)
    draft.outbox.append(ms.Envelope(entity_ids[0], ms.LockRequest(holder, action.section_id, entity_ids)))
    draft.sections = {**draft.sections, action.section_id: entity_ids}


def _unlock_entity(draft: _Draft, action: ac.UnlockEntity) -> None:
    draft.add(ev.EntityUnlockSent(action.task_id, action.section_id, action.entity_id))
    release = ms.LockRelease(draft.instance.origin.instance_id, action.section_id)
    draft.outbox.append(ms.Envelope(action.entity_id, release))
    draft.sections = dict(draft.sections)
    let_go(draft.sections, action.section_id, action.entity_id)


def _leave_sections(draft: _Draft) -> None:
    """The execution is over: whatever it has locked or is about to lock is let go."""
    draft.outbox.extend(leave_sections(draft.instance.origin.instance_id, draft.sections))


def leave_sections(holder_id: str, sections: Sections) -> list[ms.Envelope]:
    """What lets go of all that an execution has locked or asked to lock, when it ends without saying so."""
    return [
        ms.Envelope(entity_ids[0], ms.LockRelease(holder_id, section_id, entity_ids[1:]))
        for section_id, entity_ids in sections.items()
    ]


def _send_event(draft: _Draft, action: ac.SendEvent) -> None:
    draft.add(ev.EventSent(action.task_id, action.instance_id, action.name, action.input))
    draft.outbox.append(ms.Envelope(action.instance_id, ms.RaiseEvent(action.name, action.input)))


def _terminate_instance(draft: _Draft, action: ac.TerminateInstance) -> None:
    draft.outbox.append(ms.Envelope(action.instance_id, ms.Terminate(action.reason, action.recursive)))


_DECIDERS: dict[type, Callable[..., None]] = {
    ac.ScheduleActivity: _schedule_activity,
    ac.CreateTimer: _create_timer,
    ac.StartChild: _start_child,
    ac.CallEntity: _call_entity,
    ac.SignalEntity: _signal_entity,
    ac.SendEvent: _send_event,
    ac.LockEntities: _lock_entities,
    ac.UnlockEntity: _unlock_entity,
    ac.TerminateInstance: _terminate_instance,
}
"""Action type → what it adds to the checkpoint."""


def _excess(draft: _Draft, result: ac.TurnResult) -> FailureDetails | None:
    limits = draft.limits
    if draft.next_seq > limits.history_events_max:
        return FailureDetails(
            "HistoryTooLong",
            f"The history would hold {draft.next_seq} events; at most {limits.history_events_max} are allowed. "
            "Call continue_as_new from time to time to begin a new history.",
        )
    if draft.instance.history_bytes > limits.history_bytes_max:
        return FailureDetails(
            "HistoryTooLong",
            f"The history has {draft.instance.history_bytes:,} bytes; at most {limits.history_bytes_max:,} are "
            "allowed. Call continue_as_new from time to time to begin a new history.",
        )
    # Task ids rise by one with each action of the execution, so the newest one tells how many there were.
    if result.actions and result.actions[-1].task_id >= limits.actions_max:
        return FailureDetails(
            "TooManyActions",
            f"The orchestrator has asked for {result.actions[-1].task_id + 1} actions in this execution; "
            f"at most {limits.actions_max} are allowed (maxOrchestrationActions). "
            "Call continue_as_new from time to time to begin a new execution.",
        )
    return None


def _too_large(text: str, bytes_max: int) -> bool:
    # A character has at most four bytes, so most texts need no count.
    return len(text) * 4 > bytes_max and len(text.encode("utf-8", "surrogatepass")) > bytes_max


def _too_large_failure(what: str, text: str, bytes_max: int) -> FailureDetails:
    size = len(text.encode("utf-8", "surrogatepass"))
    return FailureDetails("PayloadTooLarge", f"The {what} has {size} bytes; at most {bytes_max} are allowed.")
