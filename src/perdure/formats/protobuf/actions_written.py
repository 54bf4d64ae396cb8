"""TurnResult → the answer that a worker sends (grpc.md §4.3)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from perdure.core import actions as ac
from perdure.core.identifiers import child_id
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.events import made_request_id
from perdure.formats.protobuf.failures import write_failure
from perdure.formats.protobuf.times import write_time
from perdure.formats.protobuf.traces import write_span, write_trace


@dataclass(frozen=True, slots=True)
class Answered:
    """The turn that is answered. ``completion_id`` is the number an ending gets: the next one of the code's own."""

    instance_id: str
    execution_id: str
    token: str
    completion_id: int = -1


def write_turn(
    result: ac.TurnResult, turn: Answered, *, custom_status: str | None = None, span: str | None = None
) -> pb.OrchestratorResponse:
    """The answer. ``custom_status`` is the whole current value, not a change: the receiver replaces what it has."""
    response = pb.OrchestratorResponse(instanceId=turn.instance_id, completionToken=turn.token)
    for action in result.actions:
        _WRITERS[type(action)](response.actions.add(id=action.task_id), action, turn)
    if result.ending is not None:
        _write_ending(response.actions.add(id=turn.completion_id).completeOrchestration, result.ending)
    _put(response, "customStatus", custom_status)
    if result.events_taken is not None:
        response.numEventsProcessed.value = result.events_taken
        response.numEventsProcessed.SetInParent()
    if span is not None:
        response.orchestrationTraceContext.CopyFrom(write_span(span))
    return response


def _write_ending(completion: pb.CompleteOrchestrationAction, ending: ac.Ending) -> None:
    if isinstance(ending, ac.Complete):
        completion.orchestrationStatus = pb.ORCHESTRATION_STATUS_COMPLETED
        _put(completion, "result", ending.output)
    elif isinstance(ending, ac.Fail):
        completion.orchestrationStatus = pb.ORCHESTRATION_STATUS_FAILED
        completion.failureDetails.CopyFrom(write_failure(ending.failure))
        _put(completion, "result", ending.output)
    else:
        completion.orchestrationStatus = pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW
        _put(completion, "result", ending.input)
        _put(completion, "newVersion", ending.version)
        completion.tags.update(ending.tags or {})
        for carried in ending.carried:
            event = completion.carryoverEvents.add(eventId=-1)
            event.timestamp.SetInParent()
            event.eventRaised.name = carried.name
            _put(event.eventRaised, "input", carried.input)


def _schedule_activity(written: pb.OrchestratorAction, action: ac.ScheduleActivity, turn: Answered) -> None:
    task = written.scheduleTask
    task.name = action.name
    _put(task, "input", action.input)
    _put_call_fields(task, action)


def _create_timer(written: pb.OrchestratorAction, action: ac.CreateTimer, turn: Answered) -> None:
    written.createTimer.fireAt.CopyFrom(write_time(action.fire_at))


def _start_child(written: pb.OrchestratorAction, action: ac.StartChild, turn: Answered) -> None:
    child = written.createSubOrchestration
    child.name = action.name
    child.instanceId = action.instance_id or child_id(turn.instance_id, 0, action.task_id)
    _put(child, "input", action.input)
    _put_call_fields(child, action)


def _put_call_fields(call: Any, action: ac.ScheduleActivity | ac.StartChild) -> None:
    _put(call, "version", action.version)
    call.tags.update(action.tags or {})
    if action.trace_context is not None:
        call.parentTraceContext.CopyFrom(write_trace(action.trace_context))


def _send_event(written: pb.OrchestratorAction, action: ac.SendEvent, turn: Answered) -> None:
    written.sendEvent.instance.instanceId = action.instance_id
    written.sendEvent.name = action.name
    _put(written.sendEvent, "data", action.input)


def _terminate_instance(written: pb.OrchestratorAction, action: ac.TerminateInstance, turn: Answered) -> None:
    written.terminateOrchestration.instanceId = action.instance_id
    written.terminateOrchestration.recurse = action.recursive
    _put(written.terminateOrchestration, "reason", action.reason)


def _call_entity(written: pb.OrchestratorAction, action: ac.CallEntity, turn: Answered) -> None:
    called = written.sendEntityMessage.entityOperationCalled
    called.requestId = action.request_id or made_request_id(turn.execution_id, action.task_id)
    called.operation = action.operation
    _put(called, "input", action.input)
    _put(called, "parentInstanceId", turn.instance_id)
    _put(called, "parentExecutionId", turn.execution_id or None)
    _put(called, "targetInstanceId", action.entity_id)


def _signal_entity(written: pb.OrchestratorAction, action: ac.SignalEntity, turn: Answered) -> None:
    signaled = written.sendEntityMessage.entityOperationSignaled
    signaled.requestId = action.request_id or made_request_id(turn.execution_id, action.task_id)
    signaled.operation = action.operation
    if action.due_at is not None:
        signaled.scheduledTime.CopyFrom(write_time(action.due_at))
    _put(signaled, "input", action.input)
    _put(signaled, "targetInstanceId", action.entity_id)


def _lock_entities(written: pb.OrchestratorAction, action: ac.LockEntities, turn: Answered) -> None:
    requested = written.sendEntityMessage.entityLockRequested
    requested.criticalSectionId = action.section_id
    requested.lockSet.extend(sorted(set(action.entity_ids)))
    _put(requested, "parentInstanceId", turn.instance_id)


def _unlock_entity(written: pb.OrchestratorAction, action: ac.UnlockEntity, turn: Answered) -> None:
    sent = written.sendEntityMessage.entityUnlockSent
    sent.criticalSectionId = action.section_id
    _put(sent, "targetInstanceId", action.entity_id)
    _put(sent, "parentInstanceId", turn.instance_id)


_WRITERS: dict[type, Callable[[pb.OrchestratorAction, Any, Answered], None]] = {
    ac.ScheduleActivity: _schedule_activity,
    ac.CreateTimer: _create_timer,
    ac.StartChild: _start_child,
    ac.SendEvent: _send_event,
    ac.TerminateInstance: _terminate_instance,
    ac.CallEntity: _call_entity,
    ac.SignalEntity: _signal_entity,
    ac.LockEntities: _lock_entities,
    ac.UnlockEntity: _unlock_entity,
}


def _put(holder: Any, field: str, value: str | None) -> None:
    """Set a nullable text; present when empty, absent when None."""
    if value is not None:
        wrapper: pb.StringValue = getattr(holder, field)
        wrapper.value = value
        wrapper.SetInParent()
