"""History of an execution → the JSON context that an out-of-process orchestrator is called with (host side).

The past only grows: each event is encoded once and kept, a context is a join of what is there.
"""

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, ClassVar

import msgspec

from perdure.core import events as ev
from perdure.core.failures import FailureDetails
from perdure.core.identifiers import child_id
from perdure.core.replay.policy import FailedKind
from perdure.formats.azure_json.failure_texts import details_of, reason_of
from perdure.formats.azure_json.numbers import EventType, SchemaVersion

_encode = msgspec.json.encode
_NOWHERE = "1970-01-01T00:00:00.000000Z"


class WrittenPast:
    """The past of one execution as a worker of the official package reads it.

    Longer timers are one timer here, so no durations are named and the worker never splits one.
    """

    __slots__ = ("_at", "_execution", "_input", "_instance_id", "_names", "_parent", "_parts")

    def __init__(self, instance_id: str) -> None:
        self._instance_id = instance_id
        self._parts: list[str] = []
        self._at: str | None = None
        self._execution: ev.ExecutionStarted | None = None
        self._input: str | None = None
        self._parent: str | None = None
        self._names: dict[int, str] = {}
        """Open call → the name of what it called."""

    def tell(self, events: Sequence[ev.HistoryEvent]) -> None:
        """Take in more of the past, in order. What the worker does not know is left out."""
        writers = self._writers
        for event in events:
            writer = writers.get(type(event))
            if writer is not None:
                writer(self, event)

    def context(self) -> str:
        """The JSON text of a call that shows all of this past."""
        head = _encode(
            {
                "input": self._input,
                "instanceId": self._instance_id,
                "isReplaying": False,
                "parentInstanceId": self._parent,
                "upperSchemaVersion": SchemaVersion.V2.value,
                "upperSchemaVersionNew": SchemaVersion.V3.value,
                "defaultHttpAsyncRequestSleepTimeMillseconds": 30000,
            }
        ).decode()
        return f'{{"history":[{",".join(self._parts)}],{head[1:]}'

    def _write(self, kind: EventType, event_id: int, fields: dict[str, Any]) -> None:
        row = {
            "EventType": kind.value,
            "EventId": event_id,
            "IsPlayed": False,
            "Timestamp": self._at or _NOWHERE,
            **fields,
        }
        self._parts.append(_encode(row).decode())

    def _orchestrator_started(self, event: ev.OrchestratorStarted) -> None:
        if self._at is not None:
            self._write(EventType.OrchestratorCompleted, -1, {})
        self._at = _time(event.at)
        self._write(EventType.OrchestratorStarted, -1, {})

    def _execution_started(self, event: ev.ExecutionStarted) -> None:
        self._execution = event
        self._input = event.input
        self._parent = None if event.parent is None else event.parent.instance_id
        self._write(
            EventType.ExecutionStarted,
            -1,
            {
                "OrchestrationInstance": {"InstanceId": self._instance_id, "ExecutionId": event.execution_id},
                "ParentInstance": None if event.parent is None else _parent(event.parent),
                "Name": event.name,
                "Version": event.version or "",
                "Input": event.input,
                "Tags": event.tags,
                "ScheduledStartTime": None if event.scheduled_start_at is None else _time(event.scheduled_start_at),
            },
        )

    def _task_scheduled(self, event: ev.TaskScheduled) -> None:
        self._names[event.task_id] = event.name
        self._write(EventType.TaskScheduled, event.task_id, {"Name": event.name, "Version": "", "Input": None})

    def _child_created(self, event: ev.SubOrchestrationCreated) -> None:
        self._names[event.task_id] = event.name
        generation = 0 if self._execution is None else self._execution.generation
        child = event.instance_id or child_id(self._instance_id, generation, event.task_id)
        fields = {"Name": event.name, "Version": event.version or "", "InstanceId": child, "Input": event.input}
        self._write(EventType.SubOrchestrationInstanceCreated, event.task_id, fields)

    def _timer_created(self, event: ev.TimerCreated) -> None:
        self._write(EventType.TimerCreated, event.task_id, {"FireAt": _time(event.fire_at)})

    def _timer_fired(self, event: ev.TimerFired) -> None:
        self._write(EventType.TimerFired, -1, {"TimerId": event.task_id, "FireAt": _time(event.fire_at)})

    def _task_completed(self, event: ev.TaskCompleted) -> None:
        self._names.pop(event.task_id, None)
        self._write(EventType.TaskCompleted, -1, {"TaskScheduledId": event.task_id, "Result": event.result})

    def _task_failed(self, event: ev.TaskFailed) -> None:
        self._write(EventType.TaskFailed, -1, self._failure(FailedKind.ACTIVITY, event.task_id, event.failure))

    def _child_completed(self, event: ev.SubOrchestrationCompleted) -> None:
        self._names.pop(event.task_id, None)
        fields = {"TaskScheduledId": event.task_id, "Result": event.result}
        self._write(EventType.SubOrchestrationInstanceCompleted, -1, fields)

    def _child_failed(self, event: ev.SubOrchestrationFailed) -> None:
        fields = self._failure(FailedKind.CHILD, event.task_id, event.failure)
        self._write(EventType.SubOrchestrationInstanceFailed, -1, fields)

    def _failure(self, kind: FailedKind, task_id: int, failure: FailureDetails) -> dict[str, Any]:
        name = self._names.pop(task_id, "")
        return {
            "TaskScheduledId": task_id,
            "Reason": reason_of(kind, name, failure),
            "Details": details_of(failure),
        }

    def _event_raised(self, event: ev.EventRaised) -> None:
        self._write(EventType.EventRaised, -1, {"Name": event.name, "Input": event.input})

    def _entity_called(self, event: ev.EntityCalled) -> None:
        request = {"op": event.operation, "id": self._request_id(event.task_id), "input": _encoded_twice(event.input)}
        self._request_sent(event, request)

    def _entity_signaled(self, event: ev.EntitySignaled) -> None:
        request = {
            "op": event.operation,
            "signal": True,
            "id": self._request_id(event.task_id),
            "input": _encoded_twice(event.input),
        }
        if event.due_at is not None:
            request["due"] = _time(event.due_at)
        self._request_sent(event, request)

    def _request_sent(self, event: ev.EntityCalled | ev.EntitySignaled, request: dict[str, Any]) -> None:
        execution_id = "" if self._execution is None else self._execution.execution_id
        request |= {"parent": self._instance_id, "parentExecution": execution_id}
        fields = {"InstanceId": event.entity_id, "Name": "op", "Input": _encode(request).decode()}
        self._write(EventType.EventSent, event.task_id, fields)

    def _operation_completed(self, event: ev.EntityOperationCompleted) -> None:
        self._answered(event.task_id, {"result": "null" if event.result is None else event.result})

    def _operation_failed(self, event: ev.EntityOperationFailed) -> None:
        failure = event.failure
        self._answered(
            event.task_id, {"result": _encode(failure.message).decode(), "exceptionType": failure.error_type}
        )

    def _answered(self, task_id: int, answer: dict[str, Any]) -> None:
        name = self._request_id(task_id)
        self._write(EventType.EventRaised, -1, {"Name": name, "Input": _encode(answer).decode()})

    def _request_id(self, task_id: int) -> str:
        assert self._execution is not None, "an operation was called before the execution started"
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self._execution.execution_id}/{task_id}"))

    def _suspended(self, event: ev.ExecutionSuspended) -> None:
        self._write(EventType.ExecutionSuspended, -1, {"Reason": event.reason})

    def _resumed(self, event: ev.ExecutionResumed) -> None:
        self._write(EventType.ExecutionResumed, -1, {"Reason": event.reason})

    _writers: ClassVar[dict[type, Callable[["WrittenPast", Any], None]]] = {
        ev.OrchestratorStarted: _orchestrator_started,
        ev.ExecutionStarted: _execution_started,
        ev.TaskScheduled: _task_scheduled,
        ev.TaskCompleted: _task_completed,
        ev.TaskFailed: _task_failed,
        ev.SubOrchestrationCreated: _child_created,
        ev.SubOrchestrationCompleted: _child_completed,
        ev.SubOrchestrationFailed: _child_failed,
        ev.TimerCreated: _timer_created,
        ev.TimerFired: _timer_fired,
        ev.EventRaised: _event_raised,
        ev.EntityCalled: _entity_called,
        ev.EntitySignaled: _entity_signaled,
        ev.EntityOperationCompleted: _operation_completed,
        ev.EntityOperationFailed: _operation_failed,
        ev.ExecutionSuspended: _suspended,
        ev.ExecutionResumed: _resumed,
    }


def _time(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")[:26] + "Z"


def _encoded_twice(text: str | None) -> str | None:
    return None if text is None else _encode(text).decode()


def _parent(parent: ev.ParentLink) -> dict[str, Any]:
    return {
        "Name": parent.name,
        "OrchestrationInstance": {"InstanceId": parent.instance_id, "ExecutionId": parent.execution_id},
        "TaskScheduleId": parent.task_id,
        "Version": parent.version or "",
    }
