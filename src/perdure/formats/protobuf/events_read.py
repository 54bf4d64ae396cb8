"""The protocol's history events → core history, for a worker of ours (grpc.md §4.2).

Histories of other servers are read, too: they name no positions, so a completion finds what it answers by its number.
"""

from collections.abc import Callable, Iterable
from typing import Any

from perdure.core import events as ev
from perdure.core.failures import FailureDetails
from perdure.core.status import RuntimeStatus
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.failures import read_failure
from perdure.formats.protobuf.times import read_time
from perdure.formats.protobuf.traces import read_trace


class UnreadableEvent(ValueError):
    """A history event is of no kind that code can be replayed with."""


class HistoryReader:
    """Reads the history of one execution, piece by piece: the past first, then what is new."""

    def __init__(self) -> None:
        self.seq = 0
        """The position that the next event gets."""
        self._scheduled: dict[int, int] = {}
        """Task id → position of the newest event that it was asked for with: retries use a number again."""
        self._requests: dict[str, int] = {}
        """Request id of an entity call → its task id."""
        self._sections: dict[str, int] = {}
        """Critical section → the task id of its request."""

    def read(self, events: Iterable[pb.HistoryEvent]) -> list[ev.HistoryEvent]:
        """The next events. What is bookkeeping of the server is left out and takes no position.

        Raises UnreadableEvent for one of an unknown kind, ValueError for a time that is none.
        """
        read: list[ev.HistoryEvent] = []
        for event in events:
            kind = event.WhichOneof("eventType")
            if kind in _BOOKKEEPING:
                continue
            reader = None if kind is None else _READERS.get(kind)
            if kind is None or reader is None:
                raise UnreadableEvent(
                    f"The history holds an event (id {event.eventId}) of the kind {kind or 'unknown'}, which code "
                    "cannot be replayed with. Was the work item sent by a newer server?"
                )
            read.append(reader(self, event, getattr(event, kind)))
            self.seq += 1
        return read

    def _ask(self, task_id: int) -> int:
        self._scheduled[task_id] = self.seq
        return task_id

    def _asked_at(self, task_id: int) -> int:
        return self._scheduled.get(task_id, -1)

    def _orchestrator_started(self, head: pb.HistoryEvent, event: Any) -> ev.OrchestratorStarted:
        return ev.OrchestratorStarted(read_time(head.timestamp, "event's timestamp"))

    def _execution_started(self, head: pb.HistoryEvent, event: pb.ExecutionStartedEvent) -> ev.ExecutionStarted:
        start = event.scheduledStartTimestamp if event.HasField("scheduledStartTimestamp") else None
        return ev.ExecutionStarted(
            name=event.name,
            execution_id=event.orchestrationInstance.executionId.value,
            input=_text(event, "input"),
            version=_text(event, "version"),
            parent=_parent(event.parentInstance) if event.HasField("parentInstance") else None,
            scheduled_start_at=None if start is None else read_time(start, "scheduledStartTimestamp"),
            trace_context=read_trace(event),
            tags=dict(event.tags) or None,
        )

    def _execution_completed(self, head: pb.HistoryEvent, event: pb.ExecutionCompletedEvent) -> ev.ExecutionCompleted:
        failure = read_failure(event.failureDetails) if event.HasField("failureDetails") else None
        return ev.ExecutionCompleted(RuntimeStatus(event.orchestrationStatus), _text(event, "result"), failure)

    def _execution_terminated(
        self, head: pb.HistoryEvent, event: pb.ExecutionTerminatedEvent
    ) -> ev.ExecutionTerminated:
        return ev.ExecutionTerminated(_text(event, "input"), event.recurse)

    def _execution_suspended(self, head: pb.HistoryEvent, event: pb.ExecutionSuspendedEvent) -> ev.ExecutionSuspended:
        return ev.ExecutionSuspended(_text(event, "input"))

    def _execution_resumed(self, head: pb.HistoryEvent, event: pb.ExecutionResumedEvent) -> ev.ExecutionResumed:
        return ev.ExecutionResumed(_text(event, "input"))

    def _execution_rewound(self, head: pb.HistoryEvent, event: pb.ExecutionRewoundEvent) -> ev.ExecutionRewound:
        return ev.ExecutionRewound(_text(event, "reason"))

    def _task_scheduled(self, head: pb.HistoryEvent, event: pb.TaskScheduledEvent) -> ev.TaskScheduled:
        return ev.TaskScheduled(
            self._ask(head.eventId),
            event.name,
            _text(event, "input"),
            _text(event, "version"),
            dict(event.tags) or None,
            read_trace(event),
        )

    def _task_completed(self, head: pb.HistoryEvent, event: pb.TaskCompletedEvent) -> ev.TaskCompleted:
        task_id = event.taskScheduledId
        return ev.TaskCompleted(task_id, self._asked_at(task_id), _text(event, "result"))

    def _task_failed(self, head: pb.HistoryEvent, event: pb.TaskFailedEvent) -> ev.TaskFailed:
        task_id = event.taskScheduledId
        return ev.TaskFailed(task_id, self._asked_at(task_id), _failure(event))

    def _child_created(
        self, head: pb.HistoryEvent, event: pb.SubOrchestrationInstanceCreatedEvent
    ) -> ev.SubOrchestrationCreated:
        return ev.SubOrchestrationCreated(
            self._ask(head.eventId),
            event.name,
            event.instanceId,
            _text(event, "input"),
            _text(event, "version"),
            dict(event.tags) or None,
            read_trace(event),
        )

    def _child_completed(
        self, head: pb.HistoryEvent, event: pb.SubOrchestrationInstanceCompletedEvent
    ) -> ev.SubOrchestrationCompleted:
        task_id = event.taskScheduledId
        return ev.SubOrchestrationCompleted(task_id, self._asked_at(task_id), _text(event, "result"))

    def _child_failed(
        self, head: pb.HistoryEvent, event: pb.SubOrchestrationInstanceFailedEvent
    ) -> ev.SubOrchestrationFailed:
        task_id = event.taskScheduledId
        return ev.SubOrchestrationFailed(task_id, self._asked_at(task_id), _failure(event))

    def _timer_created(self, head: pb.HistoryEvent, event: pb.TimerCreatedEvent) -> ev.TimerCreated:
        return ev.TimerCreated(self._ask(head.eventId), read_time(event.fireAt, "timer's fireAt"))

    def _timer_fired(self, head: pb.HistoryEvent, event: pb.TimerFiredEvent) -> ev.TimerFired:
        timer_id = event.timerId
        return ev.TimerFired(timer_id, self._asked_at(timer_id), read_time(event.fireAt, "timer's fireAt"))

    def _event_raised(self, head: pb.HistoryEvent, event: pb.EventRaisedEvent) -> ev.EventRaised:
        return ev.EventRaised(event.name, _text(event, "input"))

    def _event_sent(self, head: pb.HistoryEvent, event: pb.EventSentEvent) -> ev.EventSent:
        return ev.EventSent(self._ask(head.eventId), event.instanceId, event.name, _text(event, "input"))

    def _entity_called(self, head: pb.HistoryEvent, event: pb.EntityOperationCalledEvent) -> ev.EntityCalled:
        self._requests[event.requestId] = head.eventId
        return ev.EntityCalled(
            self._ask(head.eventId),
            event.targetInstanceId.value,
            event.operation,
            _text(event, "input"),
            event.requestId or None,
        )

    def _entity_signaled(self, head: pb.HistoryEvent, event: pb.EntityOperationSignaledEvent) -> ev.EntitySignaled:
        due_at = read_time(event.scheduledTime, "signal's scheduledTime") if event.HasField("scheduledTime") else None
        return ev.EntitySignaled(
            self._ask(head.eventId),
            event.targetInstanceId.value,
            event.operation,
            _text(event, "input"),
            due_at,
            event.requestId or None,
        )

    def _operation_completed(
        self, head: pb.HistoryEvent, event: pb.EntityOperationCompletedEvent
    ) -> ev.EntityOperationCompleted:
        task_id = self._requests.get(event.requestId, -1)
        return ev.EntityOperationCompleted(task_id, self._asked_at(task_id), _text(event, "output"))

    def _operation_failed(
        self, head: pb.HistoryEvent, event: pb.EntityOperationFailedEvent
    ) -> ev.EntityOperationFailed:
        task_id = self._requests.get(event.requestId, -1)
        return ev.EntityOperationFailed(task_id, self._asked_at(task_id), _failure(event))

    def _lock_requested(self, head: pb.HistoryEvent, event: pb.EntityLockRequestedEvent) -> ev.EntityLockRequested:
        self._sections[event.criticalSectionId] = head.eventId
        return ev.EntityLockRequested(self._ask(head.eventId), event.criticalSectionId, tuple(event.lockSet))

    def _lock_granted(self, head: pb.HistoryEvent, event: pb.EntityLockGrantedEvent) -> ev.EntityLockGranted:
        task_id = self._sections.get(event.criticalSectionId, -1)
        return ev.EntityLockGranted(task_id, self._asked_at(task_id))

    def _unlock_sent(self, head: pb.HistoryEvent, event: pb.EntityUnlockSentEvent) -> ev.EntityUnlockSent:
        return ev.EntityUnlockSent(self._ask(head.eventId), event.criticalSectionId, event.targetInstanceId.value)

    @staticmethod
    def readers() -> dict[str, Callable[["HistoryReader", pb.HistoryEvent, Any], ev.HistoryEvent]]:
        """Kind of event → its reader."""
        return {
            "orchestratorStarted": HistoryReader._orchestrator_started,
            "executionStarted": HistoryReader._execution_started,
            "executionCompleted": HistoryReader._execution_completed,
            "executionTerminated": HistoryReader._execution_terminated,
            "executionSuspended": HistoryReader._execution_suspended,
            "executionResumed": HistoryReader._execution_resumed,
            "executionRewound": HistoryReader._execution_rewound,
            "taskScheduled": HistoryReader._task_scheduled,
            "taskCompleted": HistoryReader._task_completed,
            "taskFailed": HistoryReader._task_failed,
            "subOrchestrationInstanceCreated": HistoryReader._child_created,
            "subOrchestrationInstanceCompleted": HistoryReader._child_completed,
            "subOrchestrationInstanceFailed": HistoryReader._child_failed,
            "timerCreated": HistoryReader._timer_created,
            "timerFired": HistoryReader._timer_fired,
            "eventRaised": HistoryReader._event_raised,
            "eventSent": HistoryReader._event_sent,
            "entityOperationCalled": HistoryReader._entity_called,
            "entityOperationSignaled": HistoryReader._entity_signaled,
            "entityOperationCompleted": HistoryReader._operation_completed,
            "entityOperationFailed": HistoryReader._operation_failed,
            "entityLockRequested": HistoryReader._lock_requested,
            "entityLockGranted": HistoryReader._lock_granted,
            "entityUnlockSent": HistoryReader._unlock_sent,
        }


_READERS = HistoryReader.readers()
_BOOKKEEPING = frozenset({"orchestratorCompleted", "genericEvent"})


def read_history(
    past: Iterable[pb.HistoryEvent], new: Iterable[pb.HistoryEvent]
) -> tuple[list[ev.HistoryEvent], list[ev.HistoryEvent]]:
    """The past and the new events of a work item. Raises UnreadableEvent, or ValueError for a time that is none."""
    reader = HistoryReader()
    return reader.read(past), reader.read(new)


def _parent(parent: pb.ParentInstanceInfo) -> ev.ParentLink:
    where = parent.orchestrationInstance
    # The parent's own positions are not told, and nothing in a worker asks for them.
    return ev.ParentLink(
        where.instanceId,
        where.executionId.value,
        -1,
        parent.taskScheduledId,
        parent.name.value,
        _text(parent, "version"),
    )


def _failure(event: Any) -> FailureDetails:
    return read_failure(event.failureDetails)


def _text(holder: Any, field: str) -> str | None:
    return getattr(holder, field).value if holder.HasField(field) else None
