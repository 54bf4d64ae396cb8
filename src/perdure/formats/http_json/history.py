"""History as the HTTP API shows it: completions carry what they complete, no bookkeeping (http-api.md §6.3)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from perdure.core import events as ev
from perdure.core.failures import FailureDetails
from perdure.formats.http_json.payloads import plain_value
from perdure.formats.http_json.times import microseconds

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _View:
    """What the row writers look at besides their event."""

    history: Sequence[ev.HistoryEvent]
    times: Sequence[str | None]
    value: Callable[[str | None], Any]


def history_rows(
    events: Sequence[ev.HistoryEvent],
    show_input: bool,
    show_output: bool,
    value: Callable[[str | None], Any] = plain_value,
) -> list[Row]:
    """The rows of a whole history, in order. ``value`` turns result texts into what is put into the rows."""
    view = _View(events, _times(events), value)
    folded = _folded(events)
    rows: list[Row] = []
    for seq, event in enumerate(events):
        kind = type(event)
        if kind is ev.OrchestratorStarted or seq in folded:
            continue
        event_type, writer = _WRITERS[kind]
        row: Row = {"EventType": event_type}
        row |= writer(event, view)
        row["Timestamp"] = view.times[seq]
        if not show_input:
            row.pop("Input", None)
        if not show_output:
            row.pop("Result", None)
            row.pop("Output", None)
        rows.append(row)
    return rows


def _times(events: Sequence[ev.HistoryEvent]) -> list[str | None]:
    times: list[str | None] = []
    at: str | None = None
    for event in events:
        if isinstance(event, ev.OrchestratorStarted):
            at = microseconds(event.at)
        times.append(at)
    return times


_FOLDING = (
    ev.TaskCompleted,
    ev.TaskFailed,
    ev.SubOrchestrationCompleted,
    ev.SubOrchestrationFailed,
)


def _folded(events: Sequence[ev.HistoryEvent]) -> set[int]:
    return {event.scheduled_seq for event in events if isinstance(event, _FOLDING)}


def failure_row(failure: FailureDetails | None) -> Row | None:
    """``FailureDetails`` with its chain."""
    if failure is None:
        return None
    return {
        "ErrorType": failure.error_type,
        "ErrorMessage": failure.message,
        "StackTrace": failure.stack_trace,
        "InnerFailure": failure_row(failure.cause),
        "IsNonRetriable": failure.is_non_retriable,
    }


def _failure_fields(failure: FailureDetails) -> Row:
    stack = failure.stack_trace
    return {
        "Reason": failure.message,
        "Details": None if stack is None else f"{failure.message}\n{stack}",
        "FailureDetails": failure_row(failure),
    }


def _execution_started(event: ev.ExecutionStarted, view: _View) -> Row:
    row: Row = {"FunctionName": event.name, "Input": event.input}
    if event.generation:
        row["Generation"] = event.generation
    if event.scheduled_start_at is not None:
        row["ScheduledStartTime"] = microseconds(event.scheduled_start_at)
    if event.trace_context is not None:
        row["ParentTraceContext"] = event.trace_context
    return row


def _execution_completed(event: ev.ExecutionCompleted, view: _View) -> Row:
    return {
        "OrchestrationStatus": event.status.name,
        "Result": view.value(event.result),
        "FailureDetails": failure_row(event.failure),
    }


def _reason(event: ev.ExecutionSuspended | ev.ExecutionResumed | ev.ExecutionRewound, view: _View) -> Row:
    return {"Reason": event.reason}


def _scheduled_fields(scheduled_seq: int, view: _View) -> Row:
    scheduled = view.history[scheduled_seq]
    assert isinstance(scheduled, ev.TaskScheduled | ev.SubOrchestrationCreated), (
        f"event {scheduled_seq} is completed as a call but is {type(scheduled).__name__}"
    )
    row: Row = {"FunctionName": scheduled.name, "ScheduledTime": view.times[scheduled_seq], "Input": scheduled.input}
    return row | _tags(scheduled)


def _tags(event: ev.TaskScheduled | ev.SubOrchestrationCreated) -> Row:
    return {} if event.tags is None else {"Tags": event.tags}


def _task_scheduled(event: ev.TaskScheduled, view: _View) -> Row:
    return {"Name": event.name, "Input": event.input, **_tags(event)}


def _child_created(event: ev.SubOrchestrationCreated, view: _View) -> Row:
    return {"InstanceId": event.instance_id, "Name": event.name, "Input": event.input, **_tags(event)}


def _call_completed(event: ev.TaskCompleted | ev.SubOrchestrationCompleted, view: _View) -> Row:
    return {**_scheduled_fields(event.scheduled_seq, view), "Result": view.value(event.result)}


def _call_failed(event: ev.TaskFailed | ev.SubOrchestrationFailed, view: _View) -> Row:
    return {**_scheduled_fields(event.scheduled_seq, view), **_failure_fields(event.failure)}


def _timer(event: ev.TimerCreated | ev.TimerFired, view: _View) -> Row:
    return {"FireAt": microseconds(event.fire_at)}


def _entity_asked(event: ev.EntityCalled | ev.EntitySignaled, view: _View) -> Row:
    row: Row = {"EntityId": event.entity_id, "Operation": event.operation, "Input": event.input}
    if isinstance(event, ev.EntitySignaled) and event.due_at is not None:
        row["ScheduledTime"] = microseconds(event.due_at)
    return row


def _lock_granted(event: ev.EntityLockGranted, view: _View) -> Row:
    requested = view.history[event.scheduled_seq]
    assert isinstance(requested, ev.EntityLockRequested), f"event {event.scheduled_seq} is granted but is no request"
    return {"CriticalSectionId": requested.section_id}


_WRITERS: dict[type, tuple[str, Callable[[Any, _View], Row]]] = {
    ev.ExecutionStarted: ("ExecutionStarted", _execution_started),
    ev.ExecutionCompleted: ("ExecutionCompleted", _execution_completed),
    ev.ExecutionTerminated: ("ExecutionTerminated", lambda e, _: {"Input": e.reason}),
    ev.ExecutionSuspended: ("ExecutionSuspended", _reason),
    ev.ExecutionResumed: ("ExecutionResumed", _reason),
    ev.ExecutionRewound: ("ExecutionRewound", _reason),
    ev.TaskScheduled: ("TaskScheduled", _task_scheduled),
    ev.TaskCompleted: ("TaskCompleted", _call_completed),
    ev.TaskFailed: ("TaskFailed", _call_failed),
    ev.SubOrchestrationCreated: ("SubOrchestrationInstanceCreated", _child_created),
    ev.SubOrchestrationCompleted: ("SubOrchestrationInstanceCompleted", _call_completed),
    ev.SubOrchestrationFailed: ("SubOrchestrationInstanceFailed", _call_failed),
    ev.TimerCreated: ("TimerCreated", _timer),
    ev.TimerFired: ("TimerFired", _timer),
    ev.EventRaised: ("EventRaised", lambda e, _: {"Name": e.name, "Input": e.input}),
    ev.EventSent: ("EventSent", lambda e, _: {"InstanceId": e.instance_id, "Name": e.name, "Input": e.input}),
    ev.EntityCalled: ("EntityOperationCalled", _entity_asked),
    ev.EntitySignaled: ("EntityOperationSignaled", _entity_asked),
    ev.EntityOperationCompleted: ("EntityOperationCompleted", lambda e, view: {"Output": view.value(e.result)}),
    ev.EntityOperationFailed: ("EntityOperationFailed", lambda e, _: _failure_fields(e.failure)),
    ev.EntityLockRequested: (
        "EntityLockRequested",
        lambda e, _: {"CriticalSectionId": e.section_id, "LockSet": list(e.entity_ids)},
    ),
    ev.EntityLockGranted: ("EntityLockGranted", _lock_granted),
    ev.EntityUnlockSent: (
        "EntityUnlockSent",
        lambda e, _: {"CriticalSectionId": e.section_id, "TargetInstanceId": e.entity_id},
    ),
}


def written_events() -> frozenset[type]:
    """The kinds of events this module writes or leaves out on purpose."""
    return frozenset(_WRITERS) | {ev.OrchestratorStarted}
