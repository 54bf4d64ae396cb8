"""One entity in memory: schedule → run batch → decide."""

from datetime import datetime

from perdure.contracts.executor import EntityTurn, Executor, Turn
from perdure.core.checkpoint import Checkpoint, HistoryChange
from perdure.core.entities.decisions import decide_batch
from perdure.core.entities.scheduling import Batch, next_batch
from perdure.core.failures import FailureDetails
from perdure.core.identifiers import read_entity_id
from perdure.core.instance import InstanceRecord
from perdure.core.messages import AnyMessage, Envelope, OperationRequest
from perdure.core.registry import OperationOutcome
from perdure.engine.live import Begun

CHARGE_PER_ENTITY = 2048


class LiveEntity:
    """See ``LiveInstance``."""

    history_bytes = 0
    leaves_activities = False
    revives = False
    __slots__ = (
        "_arrived", "_batch", "_default_version", "_entity", "_is_removed", "_now", "_operations_max", "_record",
        "_waiting", "_waiting_count", "execution_id", "instance_id", "queue", "turn", "used_at",
    )  # fmt: skip

    def __init__(self, record: InstanceRecord, operations_max: int, default_version: str | None = None) -> None:
        self.instance_id = record.origin.instance_id
        self.execution_id = record.origin.execution_id
        self.queue: list[Envelope] = []
        self.turn: Turn | None = None
        self.used_at = 0.0
        self._entity = read_entity_id(self.instance_id)
        self._record = record
        self._operations_max = operations_max
        self._default_version = default_version
        self._batch: Batch | None = None
        self._is_removed = False
        self._waiting_count = 0
        """So many at the head of the queue are known to wait for the lock's release, and have rows."""
        self._waiting: list[Envelope] = []
        self._arrived: list[Envelope] = []
        """The queue that the batch was made of: those known to wait, and the others."""
        self._now = record.progress.updated_at

    def begin(self, now: datetime, executor: Executor) -> Begun:
        """Take the next batch from the queue; the rest stays in it."""
        progress = self._record.progress
        waiting, arrived = self.queue[: self._waiting_count], self.queue[self._waiting_count :]
        batch = next_batch(arrived, progress.locked_by, self._operations_max, waiting)
        self._waiting, self._arrived = waiting, arrived
        # A list of its own: what comes while the batch is in user code is no part of the batch.
        self.queue = list(batch.held)
        begun = Begun(kept=batch.held, dropped=batch.dropped)
        # Under a lock that stays, what waits now waits until the release comes; the next batch need not look at it.
        stays = progress.locked_by is not None and batch.locked_by is progress.locked_by
        self._waiting_count = len(batch.held) if stays and len(batch.taken) < self._operations_max else 0
        if batch.removes and progress.state is not None and not batch.removes_state:
            begun.dropped += batch.consumed
            return begun
        if not batch.consumed:
            return begun
        self._batch = batch
        self._now = now
        if batch.taken:
            self.turn = begun.turn = EntityTurn(self._entity, progress.state, batch.operations)
        else:
            begun.checkpoint = decide_batch(self._record.origin, progress, batch, [], now)
        return begun

    def leave_behind(self, envelope: Envelope) -> bool:
        """An entity is never replaced."""
        return False

    def in_hand(self) -> list[Envelope]:
        """What the batch in user code consumes."""
        return self._batch.consumed if self._batch is not None else []

    def may_take_back(self, message: AnyMessage) -> bool:
        """Any message may be taken with those before it."""
        return True

    def take_back(self, envelope: Envelope) -> None:
        """The batch was recalled: its queue is as it was, without what had no effect."""
        self.turn = None
        self._restore_queue()
        self.queue.append(envelope)
        self._batch = None

    def can_be_left(self) -> bool:
        """An entity has no end."""
        return False

    def leave(self) -> list[Envelope]:
        """An entity has no end."""
        raise AssertionError(f"'{self.instance_id}' cannot be left")

    def _restore_queue(self) -> None:
        assert self._batch is not None
        later = self.queue[len(self._batch.held) :]
        dropped = {id(envelope) for envelope in self._batch.dropped}
        self._waiting_count = len(self._waiting)
        self.queue = [*self._waiting, *(e for e in self._arrived if id(e) not in dropped), *later]

    def _shorten(self, count: int) -> Batch:
        """The batch of only the first ``count`` operations; what that leaves waits at the head of the queue."""
        progress = self._record.progress
        self._restore_queue()
        arrived = self.queue[self._waiting_count :]
        self._batch = batch = next_batch(arrived, progress.locked_by, count, self._waiting)
        # What had an effect only after the operations that are left has none now, and its row goes all the same.
        batch.consumed += batch.dropped
        self.queue, self._waiting_count = batch.held, 0
        return batch

    def finish(self) -> Checkpoint:
        """What the finished batch commits."""
        turn, batch = self.turn, self._batch
        assert isinstance(turn, EntityTurn)
        assert turn.result is not None
        assert batch is not None
        self.turn = None
        if 0 < len(turn.result) < len(batch.operations):
            batch = self._shorten(len(turn.result))
        record = self._record
        return decide_batch(record.origin, record.progress, batch, turn.result, self._now, self._default_version)

    def refuse(self, envelopes: list[Envelope], now: datetime, failure: FailureDetails) -> Begun:
        """All operations fail; whatever concerns the lock waits."""
        requests = [envelope for envelope in envelopes if type(envelope.message) is OperationRequest]
        batch = next_batch(requests, None, len(requests))
        batch.locked_by = self._record.progress.locked_by
        self.queue = [envelope for envelope in envelopes if type(envelope.message) is not OperationRequest]
        self.turn, self._waiting_count = None, 0
        if not requests:
            return Begun(kept=self.queue)
        self._batch, self._now = batch, now
        return Begun(checkpoint=self.fail(failure), kept=self.queue)

    def fail(self, failure: FailureDetails) -> Checkpoint:
        """All operations of the batch fail and the state is as before."""
        batch, record = self._batch, self._record
        assert batch is not None
        outcomes = [OperationOutcome(record.progress.state, failure=failure) for _ in batch.operations]
        return decide_batch(record.origin, record.progress, batch, outcomes, self._now)

    def apply(self, checkpoint: Checkpoint) -> bool:
        """The checkpoint is durable."""
        self._batch = None
        self._waiting, self._arrived = [], []
        self._record = InstanceRecord(checkpoint.origin, checkpoint.progress)
        self._is_removed = checkpoint.history is HistoryChange.REMOVE
        return False

    def is_finished(self) -> bool:
        """Only when it was removed from the store."""
        return self._is_removed

    def may_rest(self, now: datetime) -> bool:
        """It waits for nothing but operations."""
        return self.turn is None and not self.queue

    def charge(self) -> int:
        """An estimate of the memory it holds, in bytes."""
        return CHARGE_PER_ENTITY + len(self._record.progress.state or "")

    def close(self) -> None:
        """There is no session."""
