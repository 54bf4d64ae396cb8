"""Which of an entity's waiting messages form its next batch."""

from collections.abc import Sequence

import msgspec

from perdure.core.messages import Envelope, OperationRequest
from perdure.core.registry import Operation


class Batch(msgspec.Struct, eq=False):
    """What an entity takes next. ``taken`` and ``operations`` correspond.

    ``held`` wait for a later batch, in order; ``dropped`` are no operations and have no effect.
    """

    taken: list[Envelope]
    operations: list[Operation]
    held: list[Envelope]
    dropped: list[Envelope]


def next_batch(queue: Sequence[Envelope], locked_by: str | None, operations_max: int) -> Batch:
    """The oldest operations, first come first served.

    While an orchestration's critical section holds the entity, only that orchestration's calls are taken.
    """
    batch = Batch([], [], [], [])
    for envelope in queue:
        request = envelope.message
        if type(request) is not OperationRequest:
            batch.dropped.append(envelope)
        elif len(batch.taken) < operations_max and (locked_by is None or _caller(request) == locked_by):
            batch.taken.append(envelope)
            batch.operations.append(Operation(request.operation, request.input, request.reply_to is None))
        else:
            batch.held.append(envelope)
    return batch


def _caller(request: OperationRequest) -> str | None:
    return None if request.reply_to is None else request.reply_to.instance_id
