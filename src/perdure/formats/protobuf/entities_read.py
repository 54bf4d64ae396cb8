"""A work item with operations of an entity, as a worker of ours reads it: both of the protocol's forms."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from perdure.core.registry import Operation
from perdure.formats.protobuf import messages as pb


@dataclass(frozen=True, slots=True)
class EntityBatch:
    """``state`` is None when the entity does not exist. ``names_requests``: the answer says whom each result is for."""

    instance_id: str
    state: str | None
    operations: tuple[Operation, ...]
    names_requests: bool


def read_batch(item: pb.WorkItem) -> EntityBatch:
    """The batch. Raises ValueError for an item of another kind."""
    kind = item.WhichOneof("request")
    if kind == "entityRequestV2":
        request = item.entityRequestV2
        return EntityBatch(request.instanceId, _state(request), tuple(_operations(request)), names_requests=True)
    if kind == "entityRequest":
        legacy = item.entityRequest
        operations = (
            # Whether somebody waits for the answer is known to the server only.
            Operation(asked.operation, _text(asked, "input"), is_signal=False, request_id=asked.requestId or None)
            for asked in legacy.operations
        )
        return EntityBatch(legacy.instanceId, _state(legacy), tuple(operations), names_requests=False)
    raise ValueError(f"A work item of the kind {kind or 'unknown'} has no entity operations.")


def _operations(request: pb.EntityRequest) -> Iterator[Operation]:
    for event in request.operationRequests:
        kind = event.WhichOneof("eventType")
        if kind == "entityOperationSignaled":
            signaled = event.entityOperationSignaled
            request_id = signaled.requestId or None
            yield Operation(signaled.operation, _text(signaled, "input"), is_signal=True, request_id=request_id)
        elif kind == "entityOperationCalled":
            called = event.entityOperationCalled
            yield Operation(
                called.operation,
                _text(called, "input"),
                is_signal=False,
                request_id=called.requestId or None,
                caller=_text(called, "parentInstanceId"),
                caller_execution=_text(called, "parentExecutionId"),
            )
        # Locks are the server's own matter; its lock messages ask nothing of the code.


def _state(request: Any) -> str | None:
    # Some servers send an empty text for an entity that does not exist; a state is JSON, which is never empty.
    return _text(request, "entityState") or None


def _text(holder: Any, field: str) -> str | None:
    return getattr(holder, field).value if holder.HasField(field) else None
