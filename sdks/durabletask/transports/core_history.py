"""An engine's own history events as users read them: the same picture that a server gives of the same history."""

import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from durabletask import history
from durabletask.failures import FailureDetails, shown_failure
from perdure.core import events as ev
from perdure.core import failures

_NO_ACTION = -1


def shown_history(instance_id: str, execution_id: str, events: Iterable[ev.HistoryEvent]) -> list[history.HistoryEvent]:
    """A whole history."""
    return list(_Shower(instance_id, execution_id).shown(events))


class _Shower:
    """Walks over one history; what an event says of another one before it is remembered."""

    def __init__(self, instance_id: str, execution_id: str) -> None:
        self._instance_id = instance_id
        self._execution_id = execution_id
        self._at = datetime(1970, 1, 1, tzinfo=UTC)
        self._calls: dict[int, str] = {}
        self._sections: dict[int, str] = {}

    def shown(self, events: Iterable[ev.HistoryEvent]) -> Iterator[history.HistoryEvent]:
        """Each episode is closed before the next one, or the execution's end, begins."""
        is_open = False
        for event in events:
            kind = type(event)
            if is_open and kind in (ev.OrchestratorStarted, ev.ExecutionCompleted):
                yield self._event(history.OrchestratorCompletedEvent)
                is_open = False
            if isinstance(event, ev.OrchestratorStarted):
                self._at = event.at
                is_open = True
            yield _SHOWN[kind](self, event)
        if is_open:
            yield self._event(history.OrchestratorCompletedEvent)

    def _event(self, shown: Callable[..., Any], event_id: int = _NO_ACTION, **fields: Any) -> Any:
        return shown(event_id=event_id, timestamp=self._at, **fields)

    def orchestrator_started(self, event: ev.OrchestratorStarted) -> history.HistoryEvent:
        return self._event(history.OrchestratorStartedEvent)

    def execution_started(self, event: ev.ExecutionStarted) -> history.HistoryEvent:
        return self._event(
            history.ExecutionStartedEvent,
            name=event.name,
            version=event.version,
            input=event.input,
            orchestration_instance=history.OrchestrationInstance(self._instance_id, event.execution_id),
            parent_instance=None if event.parent is None else _parent(event.parent),
            scheduled_start_timestamp=event.scheduled_start_at,
            parent_trace_context=_trace(event.trace_context),
            tags=event.tags or None,
        )

    def execution_completed(self, event: ev.ExecutionCompleted) -> history.HistoryEvent:
        return self._event(
            history.ExecutionCompletedEvent,
            orchestration_status=int(event.status),
            result=event.result,
            failure_details=_failure(event.failure),
        )

    def execution_terminated(self, event: ev.ExecutionTerminated) -> history.HistoryEvent:
        return self._event(history.ExecutionTerminatedEvent, input=event.reason, recurse=event.recursive)

    def execution_suspended(self, event: ev.ExecutionSuspended) -> history.HistoryEvent:
        return self._event(history.ExecutionSuspendedEvent, input=event.reason)

    def execution_resumed(self, event: ev.ExecutionResumed) -> history.HistoryEvent:
        return self._event(history.ExecutionResumedEvent, input=event.reason)

    def execution_rewound(self, event: ev.ExecutionRewound) -> history.HistoryEvent:
        return self._event(history.ExecutionRewoundEvent, reason=event.reason)

    def task_scheduled(self, event: ev.TaskScheduled) -> history.HistoryEvent:
        return self._event(history.TaskScheduledEvent, event.task_id, name=event.name, **_call(event))

    def child_created(self, event: ev.SubOrchestrationCreated) -> history.HistoryEvent:
        return self._event(
            history.SubOrchestrationInstanceCreatedEvent,
            event.task_id,
            instance_id=event.instance_id,
            name=event.name,
            **_call(event),
        )

    def timer_created(self, event: ev.TimerCreated) -> history.HistoryEvent:
        return self._event(history.TimerCreatedEvent, event.task_id, fire_at=event.fire_at)

    def timer_fired(self, event: ev.TimerFired) -> history.HistoryEvent:
        return self._event(history.TimerFiredEvent, fire_at=event.fire_at, timer_id=event.task_id)

    def event_raised(self, event: ev.EventRaised) -> history.HistoryEvent:
        return self._event(history.EventRaisedEvent, name=event.name, input=event.input)

    def event_sent(self, event: ev.EventSent) -> history.HistoryEvent:
        return self._event(
            history.EventSentEvent, event.task_id, instance_id=event.instance_id, name=event.name, input=event.input
        )

    def entity_called(self, event: ev.EntityCalled) -> history.HistoryEvent:
        request_id = self._calls[event.task_id] = event.request_id or self._made_request_id(event.task_id)
        return self._event(
            history.EntityOperationCalledEvent,
            event.task_id,
            request_id=request_id,
            operation=event.operation,
            input=event.input,
            parent_instance_id=self._instance_id,
            parent_execution_id=self._execution_id,
            target_instance_id=event.entity_id,
        )

    def entity_signaled(self, event: ev.EntitySignaled) -> history.HistoryEvent:
        return self._event(
            history.EntityOperationSignaledEvent,
            event.task_id,
            request_id=event.request_id or self._made_request_id(event.task_id),
            operation=event.operation,
            scheduled_time=event.due_at,
            input=event.input,
            target_instance_id=event.entity_id,
        )

    def operation_completed(self, event: ev.EntityOperationCompleted) -> history.HistoryEvent:
        return self._event(
            history.EntityOperationCompletedEvent, request_id=self._request(event.task_id), output=event.result
        )

    def operation_failed(self, event: ev.EntityOperationFailed) -> history.HistoryEvent:
        return self._event(
            history.EntityOperationFailedEvent,
            request_id=self._request(event.task_id),
            failure_details=_failure(event.failure),
        )

    def lock_requested(self, event: ev.EntityLockRequested) -> history.HistoryEvent:
        self._sections[event.task_id] = event.section_id
        return self._event(
            history.EntityLockRequestedEvent,
            event.task_id,
            critical_section_id=event.section_id,
            lock_set=list(event.entity_ids),
            position=0,
            parent_instance_id=self._instance_id,
        )

    def lock_granted(self, event: ev.EntityLockGranted) -> history.HistoryEvent:
        return self._event(history.EntityLockGrantedEvent, critical_section_id=self._sections.get(event.task_id, ""))

    def unlock_sent(self, event: ev.EntityUnlockSent) -> history.HistoryEvent:
        return self._event(
            history.EntityUnlockSentEvent,
            event.task_id,
            critical_section_id=event.section_id,
            parent_instance_id=self._instance_id,
            target_instance_id=event.entity_id,
        )

    def _request(self, task_id: int) -> str:
        return self._calls.get(task_id) or self._made_request_id(task_id)

    def _made_request_id(self, task_id: int) -> str:
        """As servers make one for code that named none."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self._execution_id}/{task_id}"))


def _returned(shown: type[history.TaskCompletedEvent] | type[history.SubOrchestrationInstanceCompletedEvent]) -> Any:
    def show(walk: _Shower, event: ev.TaskCompleted | ev.SubOrchestrationCompleted) -> history.HistoryEvent:
        return walk._event(shown, task_scheduled_id=event.task_id, result=event.result)

    return show


def _failed(shown: type[history.TaskFailedEvent] | type[history.SubOrchestrationInstanceFailedEvent]) -> Any:
    def show(walk: _Shower, event: ev.TaskFailed | ev.SubOrchestrationFailed) -> history.HistoryEvent:
        return walk._event(shown, task_scheduled_id=event.task_id, failure_details=_failure(event.failure))

    return show


_SHOWN: dict[type, Callable[[_Shower, Any], history.HistoryEvent]] = {
    ev.OrchestratorStarted: _Shower.orchestrator_started,
    ev.ExecutionStarted: _Shower.execution_started,
    ev.ExecutionCompleted: _Shower.execution_completed,
    ev.ExecutionTerminated: _Shower.execution_terminated,
    ev.ExecutionSuspended: _Shower.execution_suspended,
    ev.ExecutionResumed: _Shower.execution_resumed,
    ev.ExecutionRewound: _Shower.execution_rewound,
    ev.TaskScheduled: _Shower.task_scheduled,
    ev.TaskCompleted: _returned(history.TaskCompletedEvent),
    ev.TaskFailed: _failed(history.TaskFailedEvent),
    ev.SubOrchestrationCreated: _Shower.child_created,
    ev.SubOrchestrationCompleted: _returned(history.SubOrchestrationInstanceCompletedEvent),
    ev.SubOrchestrationFailed: _failed(history.SubOrchestrationInstanceFailedEvent),
    ev.TimerCreated: _Shower.timer_created,
    ev.TimerFired: _Shower.timer_fired,
    ev.EventRaised: _Shower.event_raised,
    ev.EventSent: _Shower.event_sent,
    ev.EntityCalled: _Shower.entity_called,
    ev.EntitySignaled: _Shower.entity_signaled,
    ev.EntityOperationCompleted: _Shower.operation_completed,
    ev.EntityOperationFailed: _Shower.operation_failed,
    ev.EntityLockRequested: _Shower.lock_requested,
    ev.EntityLockGranted: _Shower.lock_granted,
    ev.EntityUnlockSent: _Shower.unlock_sent,
}


def _call(event: ev.TaskScheduled | ev.SubOrchestrationCreated) -> dict[str, Any]:
    return {
        "version": event.version,
        "input": event.input,
        "parent_trace_context": _trace(event.trace_context),
        "tags": event.tags or None,
    }


def _parent(parent: ev.ParentLink) -> history.ParentInstanceInfo:
    instance = history.OrchestrationInstance(parent.instance_id, parent.execution_id or None)
    return history.ParentInstanceInfo(parent.task_id, parent.name or None, parent.version, instance)


def _trace(kept: str | None) -> history.TraceContext | None:
    if not kept:
        return None
    trace_parent, _, state = kept.partition(" ")
    return history.TraceContext(trace_parent, trace_parent[36:52], state or None)


def _failure(failure: failures.FailureDetails | None) -> FailureDetails | None:
    return None if failure is None else shown_failure(failure)
