"""Which of an entity's waiting messages form its next batch, and what becomes of its lock (semantics.md §9.1)."""

from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from perdure.core import messages as ms
from perdure.core.instance import LockHolder
from perdure.core.messages import Envelope
from perdure.core.registry import Operation


class Batch(msgspec.Struct, eq=False):
    """What an entity takes next. ``taken`` and ``operations`` correspond.

    ``consumed``: ``taken``, and the messages about the lock, in the order in which they take effect.
    ``held`` wait for a later batch, in order; ``dropped`` have no effect.
    ``locked_by``: who holds the entity afterwards; ``outbox``: what the lock's moves send.
    ``removes``: the batch is nothing but the wish to forget the entity.
    """

    locked_by: LockHolder | None
    taken: list[Envelope] = []
    operations: list[Operation] = []
    consumed: list[Envelope] = []
    held: list[Envelope] = []
    dropped: list[Envelope] = []
    outbox: list[Envelope] = []
    removes: bool = False
    removes_state: bool = False


def next_batch(
    queue: Sequence[Envelope],
    locked_by: LockHolder | None,
    operations_max: int,
    waiting: Sequence[Envelope] = (),
) -> Batch:
    """The oldest operations, first come first served.

    A lock request takes the lock when everything before it is taken; from then on only the holder's calls are taken,
    ahead of the rest, until its release. ``waiting`` are known to wait for that: what an earlier batch held.
    """
    scan = _Scan(Batch(locked_by, held=list(waiting)), queue, operations_max)
    scan.run()
    return scan.batch


class _Scan:
    """One pass over the queue; a release begins it anew with what had to wait."""

    def __init__(self, batch: Batch, queue: Sequence[Envelope], operations_max: int) -> None:
        self.batch = batch
        self._left = deque(queue)
        self._operations_max = operations_max
        self._removals: list[Envelope] = []

    def run(self) -> None:
        while self._left:
            envelope = self._left.popleft()
            step = _STEPS.get(type(envelope.message))
            if step is None:
                self.batch.dropped.append(envelope)
            else:
                step(self, envelope, envelope.message)
        self._settle_removals()

    def operate(self, envelope: Envelope, request: ms.OperationRequest) -> None:
        batch = self.batch
        may = self._is_holder(request.reply_to) if batch.locked_by is not None else not batch.held
        if may and len(batch.taken) < self._operations_max:
            batch.taken.append(envelope)
            batch.consumed.append(envelope)
            caller = request.reply_to
            batch.operations.append(
                Operation(
                    request.operation, request.input, True, request.request_id, trace_context=request.trace_context
                )
                if caller is None
                else Operation(
                    request.operation,
                    request.input,
                    False,
                    request.request_id,
                    caller.instance_id,
                    caller.execution_id,
                )
            )
        else:
            batch.held.append(envelope)

    def _is_holder(self, caller: ms.ReplyTo | None) -> bool:
        holder = self.batch.locked_by
        return (
            caller is not None
            and holder is not None
            and caller.execution_id == holder.execution_id
            and caller.instance_id == holder.instance_id
        )

    def lock(self, envelope: Envelope, request: ms.LockRequest) -> None:
        batch = self.batch
        if self._is_known(request):
            batch.dropped.append(envelope)
            return
        if batch.locked_by is not None or batch.held:
            batch.held.append(envelope)
            return
        holder = request.holder
        batch.locked_by = LockHolder(holder.instance_id, holder.execution_id, request.section_id)
        batch.consumed.append(envelope)
        place = request.place + 1
        if place < len(request.entity_ids):
            onward = ms.LockRequest(holder, request.section_id, request.entity_ids, place)
            batch.outbox.append(Envelope(request.entity_ids[place], onward))
        else:
            granted = ms.LockGranted(holder.execution_id, holder.scheduled_seq)
            batch.outbox.append(Envelope(holder.instance_id, granted))

    def release(self, envelope: Envelope, release: ms.LockRelease) -> None:
        batch = self.batch
        holder = batch.locked_by
        if holder is not None and (holder.instance_id, holder.section_id) == (release.holder_id, release.section_id):
            batch.locked_by = None
            self._left.extendleft(reversed(batch.held))
            batch.held = []
        elif (request := self._waiting_request(release.holder_id, release.section_id)) is not None:
            # It has come no further than here, so nothing beyond is locked for it.
            batch.held.remove(request)
            batch.consumed += (request, envelope)
            return
        elif not release.then:
            batch.dropped.append(envelope)
            return
        batch.consumed.append(envelope)
        if release.then:
            onward = ms.LockRelease(release.holder_id, release.section_id, release.then[1:])
            batch.outbox.append(Envelope(release.then[0], onward))

    def _waiting_request(self, holder_id: str, section_id: str) -> Envelope | None:
        for envelope in self.batch.held:
            message = envelope.message
            if (
                isinstance(message, ms.LockRequest)
                and message.section_id == section_id
                and message.holder.instance_id == holder_id
            ):
                return envelope
        return None

    def _is_known(self, request: ms.LockRequest) -> bool:
        """Whether its section holds the entity or waits for it."""
        holder, holder_id = self.batch.locked_by, request.holder.instance_id
        if holder is not None and (holder.instance_id, holder.section_id) == (holder_id, request.section_id):
            return True
        return self._waiting_request(holder_id, request.section_id) is not None

    def remove(self, envelope: Envelope, wish: ms.RemoveWhenEmpty) -> None:
        self._removals.append(envelope)

    def _settle_removals(self) -> None:
        batch = self.batch
        if self._removals and not (batch.consumed or batch.held or batch.locked_by):
            batch.removes = True
            batch.removes_state = any(_despite_state(envelope) for envelope in self._removals)
            batch.consumed += self._removals
        else:
            batch.dropped += self._removals


def _despite_state(envelope: Envelope) -> bool:
    return isinstance(envelope.message, ms.RemoveWhenEmpty) and envelope.message.despite_state


_STEPS: dict[type, Callable[..., None]] = {
    ms.OperationRequest: _Scan.operate,
    ms.LockRequest: _Scan.lock,
    ms.LockRelease: _Scan.release,
    ms.RemoveWhenEmpty: _Scan.remove,
}
