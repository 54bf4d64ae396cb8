"""StartInstance, and what becomes of an instance that has the id already (grpc.md §8.2)."""

import uuid
from datetime import UTC, datetime
from typing import Any

from perdure.client import InstanceExists, InstanceFinished, InstanceRecord, InvalidInput, RuntimeStatus
from perdure.core.instance import InstanceKind
from perdure.core.status import NON_TERMINAL, TERMINAL
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.times import read_time
from perdure.formats.protobuf.traces import read_trace
from perdure.grpc_api.calls import Call
from perdure.grpc_api.requests import checked_name, checked_tags, said, statuses_of
from perdure.grpc_api.statuses import Code, Refused

REPLACEMENT_REASON = "Replaced by a new instance with the same id."
REPLACED_SECONDS_MAX = 30.0
"""How long the former instance may take to end when the caller sets no deadline."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_IGNORE, _TERMINATE = 1, 2
_INVALID_POLICY = (
    "Invalid reusable statuses: cannot exclude 'Terminated' while also allowing reuse of running instances"
)


async def start_instance(request: Any, call: Call) -> Any:
    """Start an orchestration; answers its id."""
    name = checked_name(request.name, "orchestrator name")
    instance_id: str = request.instanceId
    replaceable = call.hub.replaceable
    if request.HasField("orchestrationIdReusePolicy"):
        policy = request.orchestrationIdReusePolicy
        replaceable = _replaceable(policy)
        former = await _former(call, instance_id)
        if former is not None and former.progress.status in statuses_of(policy.replaceableStatus):
            if policy.HasField("legacyAction") and policy.legacyAction == _IGNORE:
                return pb.CreateInstanceResponse(instanceId=instance_id)
            if replaceable and former.progress.status in NON_TERMINAL:
                await _make_room(call, instance_id)
    started = await call.client.start(
        name,
        instance_id=instance_id or None,
        input=said(request, "input"),
        version=said(request, "version"),
        start_at=_start_at(request),
        trace_context=read_trace(request),
        tags=checked_tags(request.tags),
        execution_id=_execution_id(said(request, "executionId")),
        reuse=replaceable,
    )
    return pb.CreateInstanceResponse(instanceId=started)


def _replaceable(policy: Any) -> frozenset[RuntimeStatus]:
    """The statuses of ended instances that may give way; running ones are ended first. Raises InvalidInput."""
    statuses = statuses_of(policy.replaceableStatus)
    running = statuses & NON_TERMINAL
    if policy.HasField("legacyAction"):
        if policy.legacyAction != _TERMINATE:
            return frozenset()
        return statuses & TERMINAL | ({RuntimeStatus.Terminated} if running else frozenset())
    if running and RuntimeStatus.Terminated not in statuses:
        raise InvalidInput(_INVALID_POLICY)
    return statuses & TERMINAL


async def _former(call: Call, instance_id: str) -> InstanceRecord | None:
    record = await call.client.get(instance_id) if instance_id else None
    return record if record is not None and record.origin.kind is InstanceKind.ORCHESTRATION else None


async def _make_room(call: Call, instance_id: str) -> None:
    """End the former instance, so that those who wait for it are answered. Raises Refused when it does not end."""
    try:
        await call.client.terminate(instance_id, REPLACEMENT_REASON)
    except InstanceFinished:
        # It was faster.
        return
    left = call.seconds_left()
    seconds = REPLACED_SECONDS_MAX if left is None else left
    if await call.unless_stopping(call.client.wait_for_completion(instance_id, seconds)) is None:
        raise Refused(Code.ABORTED, f"The instance '{instance_id}' was told to end and has not; nothing was started.")


def _start_at(request: Any) -> datetime | None:
    """JavaScript clients say 1970 for now."""
    if not request.HasField("scheduledStartTimestamp"):
        return None
    at = read_time(request.scheduledStartTimestamp, "scheduled start time")
    return at if at > _EPOCH else None


def _execution_id(proposed: str | None) -> str | None:
    """The engine derives later executions' ids from the first, so it must be a UUID; another text is passed over."""
    if proposed is None:
        return None
    try:
        return str(uuid.UUID(proposed))
    except ValueError:
        return None


async def restart_instance(request: Any, call: Call) -> Any:
    """Start an orchestration once more, under its own id or a new one; answers the id."""
    instance_id: str = request.instanceId
    record = await _former(call, instance_id)
    if record is None:
        raise Refused(Code.NOT_FOUND, f"There is no orchestration instance with the id '{instance_id}'.")
    unended = f"The instance '{instance_id}' has not ended; it can only be restarted under a new id."
    if not request.restartWithNewInstanceId and not record.progress.status.is_terminal:
        raise Refused(Code.FAILED_PRECONDITION, unended)
    own_id = None if request.restartWithNewInstanceId else instance_id
    try:
        restarted = await call.client.restart(instance_id, new_instance_id=own_id, version=record.origin.version)
    except InstanceExists:
        raise Refused(Code.FAILED_PRECONDITION, unended) from None
    return pb.RestartInstanceResponse(instanceId=restarted)
