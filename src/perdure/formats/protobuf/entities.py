"""Batches of entity operations for workers, and their results (grpc.md §11.2)."""

import re
import uuid
from collections.abc import Sequence

from perdure.contracts.executor import EntityTurn
from perdure.core.errors import InvalidIdentifier
from perdure.core.failures import FailureDetails
from perdure.core.identifiers import EntityId, read_entity_id
from perdure.core.registry import EntitySignal, EntityStart, Operation, OperationOutcome
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.failures import read_failure
from perdure.formats.protobuf.times import read_time
from perdure.formats.protobuf.traces import read_trace
from perdure.formats.protobuf.wire import message, string, tag, text, varint

BAD_ACTION = "InvalidEntityAction"
"""The error type of operations whose worker asked for what cannot be done."""

_T1, _T2, _T3, _T4, _T5, _T6, _T7 = (tag(field) for field in range(1, 8))
_ENTITY_REQUEST_V2 = tag(5)
_TOKEN = tag(10)
# No action of an orchestrator, and no time that means anything; but workers want both.
_HEAD = b"\x08" + varint(-1) + _T2 + b"\x00"
_SIGNALED, _CALLED = tag(23), tag(24)
_GUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def entity_item(entity: EntityId, state: str | None, operations: Sequence[Operation], *, token: str) -> bytes:
    """The encoded work item. Operations whose request id is no GUID get one that follows from the token."""
    instance_id = str(entity)
    parts = [
        string(_T1, instance_id),
        string(_T2, str(uuid.uuid5(uuid.NAMESPACE_OID, instance_id))),
        text(_T3, state),
        *(message(_T4, _operation(instance_id, n, operation, token)) for n, operation in enumerate(operations)),
    ]
    return b"".join((_ENTITY_REQUEST_V2, varint(sum(map(len, parts))), *parts, string(_TOKEN, token)))


def _operation(instance_id: str, n: int, operation: Operation, token: str) -> bytes:
    request_id = operation.request_id
    if request_id is None or _GUID.fullmatch(request_id) is None:
        request_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{token}/{n}"))
    body = string(_T1, request_id) + string(_T2, operation.name) + text(_T4, operation.input)
    if operation.is_signal:
        return _HEAD + message(_SIGNALED, body + text(_T5, instance_id))
    body += text(_T5, operation.caller) + text(_T6, operation.caller_execution) + text(_T7, instance_id)
    return _HEAD + message(_CALLED, body)


def read_batch_result(answer: pb.EntityBatchResult, turn: EntityTurn) -> list[OperationOutcome]:
    """One outcome per result, by position; fewer than the turn's operations when the worker did not do all.

    Whether the whole batch failed, or came without the state it needed, is for the caller to see before. The state is
    that after the last one, and what the operations sent and started is told with it. When some of that cannot be
    carried out, nothing of the batch counts and all of its operations fail.
    """
    try:
        signals, starts = _read_actions(answer)
    except (ValueError, InvalidIdentifier) as error:
        reason = f"The answer of the worker of entity '{turn.entity}' cannot be carried out: {error}"
        failure = FailureDetails(BAD_ACTION, reason, is_non_retriable=True)
        return [OperationOutcome(turn.state, failure=failure) for _ in answer.results]
    state = answer.entityState.value or None
    outcomes = [_read_result(result, state) for result in answer.results]
    if outcomes and (signals or starts):
        last = outcomes[-1]
        outcomes[-1] = OperationOutcome(last.state, last.result, tuple(signals), last.failure, tuple(starts))
    return outcomes


def _read_result(result: pb.OperationResult, state: str | None) -> OperationOutcome:
    kind = result.WhichOneof("resultType")
    if kind == "success":
        success = result.success
        return OperationOutcome(state, success.result.value if success.HasField("result") else None)
    if kind == "failure":
        return OperationOutcome(state, failure=read_failure(result.failure.failureDetails))
    failure = FailureDetails(BAD_ACTION, "The worker did not say how the operation went.", is_non_retriable=True)
    return OperationOutcome(state, failure=failure)


def _read_actions(answer: pb.EntityBatchResult) -> tuple[list[EntitySignal], list[EntityStart]]:
    signals: list[EntitySignal] = []
    starts: list[EntityStart] = []
    for n, action in enumerate(answer.actions):
        kind = action.WhichOneof("operationActionType")
        if kind == "sendSignal":
            signals.append(_read_signal(action.sendSignal))
        elif kind == "startNewOrchestration":
            starts.append(_read_start(action.startNewOrchestration, f"{answer.completionToken}/{n}"))
        else:
            raise ValueError(f"action {action.id} is of no kind that this server knows.")
    return signals, starts


def _read_signal(action: pb.SendSignalAction) -> EntitySignal:
    return EntitySignal(
        str(read_entity_id(action.instanceId)),
        action.name,
        action.input.value if action.HasField("input") else None,
        read_time(action.scheduledTime, "signal's scheduledTime") if action.HasField("scheduledTime") else None,
        trace_context=read_trace(action),
    )


def _read_start(action: pb.StartNewOrchestrationAction, key: str) -> EntityStart:
    if not action.name:
        raise ValueError("the orchestration to start has no name.")
    start_at = action.scheduledTime if action.HasField("scheduledTime") else None
    return EntityStart(
        name=action.name,
        instance_id=action.instanceId or uuid.uuid5(uuid.NAMESPACE_OID, f"instance/{key}").hex,
        execution_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"execution/{key}")),
        input=action.input.value if action.HasField("input") else None,
        version=action.version.value if action.HasField("version") else None,
        scheduled_start_at=None if start_at is None else read_time(start_at, "scheduledTime of the start"),
        trace_context=read_trace(action),
    )
