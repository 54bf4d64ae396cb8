"""The outcomes of an entity's batch → Checkpoint."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from perdure.core.checkpoint import Checkpoint, Creation, HistoryChange
from perdure.core.entities.scheduling import Batch
from perdure.core.instance import InstanceKind, InstanceRecord, Origin, Progress
from perdure.core.messages import (
    Envelope,
    OperationCompleted,
    OperationFailed,
    OperationRequest,
    ReplyTo,
    StartExecution,
)
from perdure.core.registry import EntityStart, OperationOutcome
from perdure.core.status import RuntimeStatus


def decide_batch(
    origin: Origin,
    progress: Progress,
    batch: Batch,
    outcomes: Sequence[OperationOutcome],
    now: datetime,
    default_version: str | None = None,
) -> Checkpoint:
    """What the batch commits: the new state, exactly one answer per call, what was sent and started, the lock's moves.

    ``outcomes``: one for each of the batch's operations. An orchestration whose id is taken is not started.
    """
    outbox: list[Envelope] = []
    children: list[Creation] = []
    state = progress.state
    for envelope, outcome in zip(batch.taken, outcomes, strict=True):
        request = envelope.message
        assert isinstance(request, OperationRequest), f"an entity took a {type(request).__name__}"
        state = outcome.state
        outbox.extend(
            Envelope(
                signal.entity_id,
                OperationRequest(signal.operation, signal.input, None, signal.request_id, signal.trace_context),
                due_at=signal.due_at,
            )
            for signal in outcome.signals
        )
        children.extend(_creation(start, now, default_version) for start in outcome.starts)
        if request.reply_to is not None:
            outbox.append(Envelope(request.reply_to.instance_id, _answer(request.reply_to, outcome)))
    at = now if progress.updated_at < now else progress.updated_at
    return Checkpoint(
        origin=origin,
        progress=msgspec.structs.replace(
            progress, status=RuntimeStatus.Running, updated_at=at, state=state, locked_by=batch.locked_by
        ),
        expected_last_seq=progress.last_seq,
        consumed=list(batch.consumed),
        events=[],
        history=HistoryChange.REMOVE if batch.removes else HistoryChange.APPEND,
        outbox=outbox + batch.outbox,
        children=children,
    )


def _creation(start: EntityStart, now: datetime, default_version: str | None) -> Creation:
    version = default_version if start.version is None else start.version
    start_at, trace, tags = start.scheduled_start_at, start.trace_context, start.tags
    origin = Origin(
        instance_id=start.instance_id,
        kind=InstanceKind.ORCHESTRATION,
        name=start.name,
        execution_id=start.execution_id,
        created_at=now,
        version=version,
        input=start.input,
        scheduled_start_at=start_at,
        trace_context=trace,
        tags=tags,
    )
    message = StartExecution(
        start.name,
        start.execution_id,
        start.input,
        version,
        scheduled_start_at=start_at,
        trace_context=trace,
        tags=tags,
    )
    record = InstanceRecord(origin, Progress(RuntimeStatus.Pending, now))
    due_at = start_at if start_at is not None and start_at > now else None
    return Creation(record, Envelope(start.instance_id, message, due_at=due_at))


def _answer(reply_to: ReplyTo, outcome: OperationOutcome) -> OperationCompleted | OperationFailed:
    if outcome.failure is not None:
        return OperationFailed(reply_to.execution_id, reply_to.scheduled_seq, outcome.failure)
    return OperationCompleted(reply_to.execution_id, reply_to.scheduled_seq, outcome.result)
