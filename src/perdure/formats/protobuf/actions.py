"""A worker's answer to a turn → TurnResult (grpc.md §6.2, §7)."""

from collections.abc import Callable, Sequence
from typing import Any

from perdure.core import actions as ac
from perdure.core.errors import InvalidIdentifier
from perdure.core.failures import FailureDetails
from perdure.core.identifiers import is_entity, read_entity_id
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.failures import read_failure
from perdure.formats.protobuf.times import read_time
from perdure.formats.protobuf.traces import read_span, read_trace

BAD_ACTION = "InvalidOrchestratorAction"
"""The error type of an orchestration whose worker asked for what cannot be done."""


class BadAction(ValueError):
    """A worker asked for what cannot be done."""


def merged(chunks: Sequence[pb.OrchestratorResponse]) -> pb.OrchestratorResponse:
    """An answer that came in pieces, in order, as one. How many events were taken and the span are in the first."""
    whole = pb.OrchestratorResponse()
    whole.CopyFrom(chunks[0])
    for chunk in chunks[1:]:
        whole.actions.extend(chunk.actions)
        if chunk.HasField("customStatus"):
            whole.customStatus.CopyFrom(chunk.customStatus)
    whole.ClearField("isPartial")
    whole.ClearField("chunkIndex")
    return whole


def read_turn(response: pb.OrchestratorResponse, known_span: str | None = None) -> ac.TurnResult:
    """What the worker's code asked for; its span unless that is known.

    An answer that cannot be carried out fails the orchestration for good, and nothing of it is begun.
    """
    actions: list[ac.Action] = []
    endings: list[ac.Ending] = []
    for action in response.actions:
        kind = action.WhichOneof("orchestratorActionType")
        try:
            if kind == "completeOrchestration":
                _read_completion(response.instanceId, action, actions, endings)
            else:
                actions.append(_read_action(kind, action))
        except (ValueError, InvalidIdentifier) as error:
            return _refused(action, str(error))
    taken = response.numEventsProcessed.value if response.HasField("numEventsProcessed") else None
    span = read_span(response)
    return ac.TurnResult(
        actions=tuple(actions),
        ending=endings[0] if endings else None,
        custom_status=ac.NewStatus(response.customStatus.value or None),
        events_taken=taken if taken is None or taken >= 0 else None,
        span=None if span == known_span else span,
    )


def _read_action(kind: str | None, action: pb.OrchestratorAction) -> ac.Action:
    reader = None if kind is None else _READERS.get(kind)
    if kind is None or reader is None:
        raise BadAction("it is of no kind that this server knows")
    return reader(action.id, getattr(action, kind))


def _refused(action: pb.OrchestratorAction, reason: str) -> ac.TurnResult:
    kind = action.WhichOneof("orchestratorActionType") or "unknown"
    text = f"Action {action.id} ({kind}) of the worker's answer cannot be carried out: {reason.rstrip('.')}."
    return ac.TurnResult(ending=ac.Fail(FailureDetails(BAD_ACTION, text, is_non_retriable=True)))


def _read_completion(
    instance_id: str, action: pb.OrchestratorAction, actions: list[ac.Action], endings: list[ac.Ending]
) -> None:
    completion = action.completeOrchestration
    status = completion.orchestrationStatus
    result = _text(completion, "result")
    if endings:
        raise BadAction("the orchestration is ended twice")
    if status == pb.ORCHESTRATION_STATUS_COMPLETED:
        endings.append(ac.Complete(result))
    elif status == pb.ORCHESTRATION_STATUS_FAILED:
        endings.append(ac.Fail(_failure_of(completion), result or None))
    elif status == pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW:
        carried = tuple(
            ac.CarriedEvent(event.eventRaised.name, _text(event.eventRaised, "input"))
            for event in completion.carryoverEvents
            if event.HasField("eventRaised")
        )
        tags = dict(completion.tags) or None
        endings.append(ac.ContinueAsNew(result, _text(completion, "newVersion"), carried, tags))
        # Answers of the old execution's calls are nothing to the new one; somebody's order to end is.
        actions.extend(
            _termination(action.id, instance_id, event.executionTerminated)
            for event in completion.carryoverEvents
            if event.HasField("executionTerminated")
        )
    elif status in (pb.ORCHESTRATION_STATUS_TERMINATED, pb.ORCHESTRATION_STATUS_CANCELED):
        # Only a message ends an instance as terminated.
        actions.append(ac.TerminateInstance(action.id, instance_id, result))
    else:
        raise BadAction(f"no orchestration ends with status {status}")


def _failure_of(completion: pb.CompleteOrchestrationAction) -> FailureDetails:
    if completion.HasField("failureDetails"):
        return read_failure(completion.failureDetails)
    reason = completion.details.value or completion.result.value or "The worker gave no reason."
    return FailureDetails("OrchestrationFailed", reason)


def _termination(task_id: int, instance_id: str, event: pb.ExecutionTerminatedEvent) -> ac.TerminateInstance:
    return ac.TerminateInstance(task_id, instance_id, _text(event, "input"), event.recurse)


def _schedule_task(task_id: int, action: pb.ScheduleTaskAction) -> ac.ScheduleActivity:
    return ac.ScheduleActivity(
        task_id,
        _named(action.name, "activity"),
        _text(action, "input"),
        _text(action, "version"),
        dict(action.tags) or None,
        read_trace(action),
    )


def _create_timer(task_id: int, action: pb.CreateTimerAction) -> ac.CreateTimer:
    if not action.HasField("fireAt"):
        raise BadAction("the timer has no fireAt")
    return ac.CreateTimer(task_id, read_time(action.fireAt, "timer's fireAt"))


def _create_child(task_id: int, action: pb.CreateSubOrchestrationAction) -> ac.StartChild:
    return ac.StartChild(
        task_id,
        _named(action.name, "child orchestration"),
        _text(action, "input"),
        action.instanceId or None,
        _text(action, "version"),
        dict(action.tags) or None,
        read_trace(action),
    )


def _send_event(task_id: int, action: pb.SendEventAction) -> ac.SendEvent:
    target = action.instance.instanceId
    if not target:
        raise BadAction("the event has no target")
    if is_entity(target):
        raise BadAction(
            f"the entity '{target}' is spoken to by events, as older workers do; "
            "this server takes entity messages: use a worker for the Durable Task Scheduler"
        )
    return ac.SendEvent(task_id, target, action.name, _text(action, "data"))


def _terminate(task_id: int, action: pb.TerminateOrchestrationAction) -> ac.TerminateInstance:
    if not action.instanceId:
        raise BadAction("it names no orchestration")
    return ac.TerminateInstance(task_id, action.instanceId, _text(action, "reason"), action.recurse)


def _send_entity_message(task_id: int, action: pb.SendEntityMessageAction) -> ac.Action:
    kind = action.WhichOneof("EntityMessageType")
    if kind is None:
        raise BadAction("the entity message is of no kind that this server knows")
    return _ENTITY_READERS[kind](task_id, getattr(action, kind))


def _signal_entity(task_id: int, event: pb.EntityOperationSignaledEvent) -> ac.SignalEntity:
    return ac.SignalEntity(
        task_id,
        _entity(event.targetInstanceId.value),
        event.operation,
        _text(event, "input"),
        read_time(event.scheduledTime, "signal's scheduledTime") if event.HasField("scheduledTime") else None,
        event.requestId or None,
    )


def _call_entity(task_id: int, event: pb.EntityOperationCalledEvent) -> ac.CallEntity:
    target = _entity(event.targetInstanceId.value)
    return ac.CallEntity(task_id, target, event.operation, _text(event, "input"), event.requestId or None)


def _lock_entities(task_id: int, event: pb.EntityLockRequestedEvent) -> ac.LockEntities:
    if not event.criticalSectionId or not event.lockSet:
        raise BadAction("the lock request has no criticalSectionId or names no entities")
    return ac.LockEntities(task_id, event.criticalSectionId, tuple(map(_entity, event.lockSet)))


def _unlock_entity(task_id: int, event: pb.EntityUnlockSentEvent) -> ac.UnlockEntity:
    return ac.UnlockEntity(task_id, event.criticalSectionId, _entity(event.targetInstanceId.value))


def _rewind(task_id: int, action: pb.RewindOrchestrationAction) -> ac.Action:
    raise BadAction("this server rewinds by itself and asks no worker to")


_READERS: dict[str, Callable[[int, Any], ac.Action]] = {
    "scheduleTask": _schedule_task,
    "createTimer": _create_timer,
    "createSubOrchestration": _create_child,
    "sendEvent": _send_event,
    "terminateOrchestration": _terminate,
    "sendEntityMessage": _send_entity_message,
    "rewindOrchestration": _rewind,
}

_ENTITY_READERS: dict[str, Callable[[int, Any], ac.Action]] = {
    "entityOperationSignaled": _signal_entity,
    "entityOperationCalled": _call_entity,
    "entityLockRequested": _lock_entities,
    "entityUnlockSent": _unlock_entity,
}


def _text(holder: Any, field: str) -> str | None:
    return getattr(holder, field).value if holder.HasField(field) else None


def _named(name: str, what: str) -> str:
    if not name:
        raise BadAction(f"the {what} has no name")
    return name


def _entity(instance_id: str) -> str:
    return str(read_entity_id(instance_id))
