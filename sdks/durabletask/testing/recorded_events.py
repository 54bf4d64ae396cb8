"""Histories as users have them, from a client or exported as JSON → histories that code is replayed with."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from durabletask.history import HistoryEvent
from perdure.core import events as ev
from perdure.core.failures import FailureDetails
from perdure.core.status import RuntimeStatus


@dataclass(frozen=True, slots=True)
class RecordedHistory:
    """The events of one execution."""

    instance_id: str
    events: list[ev.HistoryEvent]


def read_events(history: Iterable[HistoryEvent | Mapping[str, Any]]) -> RecordedHistory:
    """Read a whole history. Raises ValueError for one without a start, and for an event that cannot be read."""
    reader = _Reader()
    events = [read for event in history if (read := reader.read(event)) is not None]
    if not any(type(event) is ev.ExecutionStarted for event in events):
        raise ValueError("The history has no ExecutionStartedEvent: give all events of an execution, in their order.")
    return RecordedHistory(reader.instance_id, events)


class _Reader:
    def __init__(self) -> None:
        self.instance_id = ""
        self._seq = 0
        self._scheduled: dict[int, int] = {}
        self._requests: dict[str, int] = {}
        self._sections: dict[str, int] = {}

    def read(self, event: HistoryEvent | Mapping[str, Any]) -> ev.HistoryEvent | None:
        """The next event; None for what code never sees."""
        if isinstance(event, HistoryEvent):
            kind, fields = type(event).__name__, event.to_dict()
        else:
            kind, fields = str(event.get("event_type")), dict(event)
            if kind == "None" and event.get("kind") == "metadata":
                return None  # the first line of an exported file
        if kind in _UNSEEN:
            return None
        reader = _READERS.get(kind)
        if reader is None:
            raise ValueError(
                f"Event {fields.get('event_id')} is of the kind {kind}, which code cannot be replayed with."
            )
        try:
            read = reader(self, fields)
        except (KeyError, TypeError) as error:
            raise ValueError(f"The {kind} {fields.get('event_id')} of the history is incomplete: {error!r}.") from error
        self._seq += 1
        return read

    def _ask(self, fields: Mapping[str, Any]) -> int:
        task_id = int(fields["event_id"])
        self._scheduled[task_id] = self._seq
        return task_id

    def _asked(self, task_id: int) -> dict[str, int]:
        return {"task_id": task_id, "scheduled_seq": self._scheduled.get(task_id, -1)}

    def started(self, f: Mapping[str, Any]) -> ev.HistoryEvent:
        instance: Mapping[str, Any] = f.get("orchestration_instance") or {}
        self.instance_id = str(instance.get("instance_id") or "")
        parent, start = f.get("parent_instance"), f.get("scheduled_start_timestamp")
        return ev.ExecutionStarted(
            f["name"],
            str(instance.get("execution_id") or ""),
            f.get("input"),
            f.get("version"),
            parent=None if parent is None else _parent(parent),
            scheduled_start_at=None if start is None else _time(start),
            tags=f.get("tags") or None,
        )

    def completed(self, f: Mapping[str, Any]) -> ev.HistoryEvent:
        failure = f.get("failure_details")
        return ev.ExecutionCompleted(
            RuntimeStatus(int(f["orchestration_status"])),
            f.get("result"),
            None if failure is None else _failure(failure),
        )

    def task_scheduled(self, f: Mapping[str, Any]) -> ev.HistoryEvent:
        return ev.TaskScheduled(self._ask(f), f["name"], f.get("input"), f.get("version"), f.get("tags") or None)

    def task_completed(self, f: Mapping[str, Any]) -> ev.HistoryEvent:
        return ev.TaskCompleted(**self._asked(int(f["task_scheduled_id"])), result=f.get("result"))

    def task_failed(self, f: Mapping[str, Any]) -> ev.HistoryEvent:
        return ev.TaskFailed(**self._asked(int(f["task_scheduled_id"])), failure=_failure(f.get("failure_details")))

    def child_created(self, f: Mapping[str, Any]) -> ev.HistoryEvent:
        return ev.SubOrchestrationCreated(
            self._ask(f), f["name"], f["instance_id"], f.get("input"), f.get("version"), f.get("tags") or None
        )

    def child_completed(self, f: Mapping[str, Any]) -> ev.HistoryEvent:
        return ev.SubOrchestrationCompleted(**self._asked(int(f["task_scheduled_id"])), result=f.get("result"))

    def child_failed(self, f: Mapping[str, Any]) -> ev.HistoryEvent:
        failure = _failure(f.get("failure_details"))
        return ev.SubOrchestrationFailed(**self._asked(int(f["task_scheduled_id"])), failure=failure)

    def timer_created(self, f: Mapping[str, Any]) -> ev.HistoryEvent:
        return ev.TimerCreated(self._ask(f), _time(f["fire_at"]))

    def timer_fired(self, f: Mapping[str, Any]) -> ev.HistoryEvent:
        return ev.TimerFired(**self._asked(int(f["timer_id"])), fire_at=_time(f["fire_at"]))

    def event_sent(self, f: Mapping[str, Any]) -> ev.HistoryEvent:
        return ev.EventSent(self._ask(f), f["instance_id"], f["name"], f.get("input"))

    def entity_called(self, f: Mapping[str, Any]) -> ev.HistoryEvent:
        task_id = self._requests[f["request_id"]] = self._ask(f)
        return ev.EntityCalled(task_id, f["target_instance_id"], f["operation"], f.get("input"), f["request_id"])

    def entity_signaled(self, f: Mapping[str, Any]) -> ev.HistoryEvent:
        due = f.get("scheduled_time")
        return ev.EntitySignaled(
            self._ask(f),
            f["target_instance_id"],
            f["operation"],
            f.get("input"),
            None if due is None else _time(due),
            f["request_id"],
        )

    def operation_completed(self, f: Mapping[str, Any]) -> ev.HistoryEvent:
        return ev.EntityOperationCompleted(**self._asked(self._requests[f["request_id"]]), result=f.get("output"))

    def operation_failed(self, f: Mapping[str, Any]) -> ev.HistoryEvent:
        failure = _failure(f.get("failure_details"))
        return ev.EntityOperationFailed(**self._asked(self._requests[f["request_id"]]), failure=failure)

    def lock_requested(self, f: Mapping[str, Any]) -> ev.HistoryEvent:
        section_id = f["critical_section_id"]
        task_id = self._sections[section_id] = self._ask(f)
        return ev.EntityLockRequested(task_id, section_id, tuple(f["lock_set"]))

    def lock_granted(self, f: Mapping[str, Any]) -> ev.HistoryEvent:
        return ev.EntityLockGranted(**self._asked(self._sections[f["critical_section_id"]]))

    def unlock_sent(self, f: Mapping[str, Any]) -> ev.HistoryEvent:
        return ev.EntityUnlockSent(self._ask(f), f["critical_section_id"], f["target_instance_id"])


_READERS: dict[str, Callable[[_Reader, Mapping[str, Any]], ev.HistoryEvent]] = {
    "OrchestratorStartedEvent": lambda _, f: ev.OrchestratorStarted(_time(f["timestamp"])),
    "ExecutionStartedEvent": _Reader.started,
    "ExecutionCompletedEvent": _Reader.completed,
    "ExecutionTerminatedEvent": lambda _, f: ev.ExecutionTerminated(f.get("input"), bool(f.get("recurse"))),
    "ExecutionSuspendedEvent": lambda _, f: ev.ExecutionSuspended(f.get("input")),
    "ExecutionResumedEvent": lambda _, f: ev.ExecutionResumed(f.get("input")),
    "ExecutionRewoundEvent": lambda _, f: ev.ExecutionRewound(f.get("reason")),
    "TaskScheduledEvent": _Reader.task_scheduled,
    "TaskCompletedEvent": _Reader.task_completed,
    "TaskFailedEvent": _Reader.task_failed,
    "SubOrchestrationInstanceCreatedEvent": _Reader.child_created,
    "SubOrchestrationInstanceCompletedEvent": _Reader.child_completed,
    "SubOrchestrationInstanceFailedEvent": _Reader.child_failed,
    "TimerCreatedEvent": _Reader.timer_created,
    "TimerFiredEvent": _Reader.timer_fired,
    "EventRaisedEvent": lambda _, f: ev.EventRaised(f["name"], f.get("input")),
    "EventSentEvent": _Reader.event_sent,
    "EntityOperationCalledEvent": _Reader.entity_called,
    "EntityOperationSignaledEvent": _Reader.entity_signaled,
    "EntityOperationCompletedEvent": _Reader.operation_completed,
    "EntityOperationFailedEvent": _Reader.operation_failed,
    "EntityLockRequestedEvent": _Reader.lock_requested,
    "EntityLockGrantedEvent": _Reader.lock_granted,
    "EntityUnlockSentEvent": _Reader.unlock_sent,
}
_UNSEEN = frozenset({"OrchestratorCompletedEvent", "GenericEvent", "HistoryStateEvent"})


def _time(value: str) -> datetime:
    at = datetime.fromisoformat(value)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _parent(parent: Mapping[str, Any]) -> ev.ParentLink:
    instance: Mapping[str, Any] = parent.get("orchestration_instance") or {}
    return ev.ParentLink(
        str(instance.get("instance_id") or ""),
        str(instance.get("execution_id") or ""),
        -1,
        int(parent["task_scheduled_id"]),
        parent.get("name") or "",
        parent.get("version"),
    )


def _failure(failure: Mapping[str, Any] | None) -> FailureDetails:
    if failure is None:
        return FailureDetails("", "")
    inner = failure.get("inner_failure")
    return FailureDetails(
        failure["error_type"],
        failure["message"],
        failure.get("stack_trace"),
        None if inner is None else _failure(inner),
        bool(failure.get("is_non_retriable")),
        failure.get("properties"),
    )
