"""Transactions of this process: written together, settled in memory, and told to whom they concern."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from functools import partial

from perdure.contracts.errors import StoreFailed, StoreFull
from perdure.contracts.records import Round
from perdure.core.messages import Envelope
from perdure.storage.changes import Changes, Outcome
from perdure.storage.settling import Settling
from perdure.storage.shared.holding import Holding
from perdure.storage.shared.living import Living
from perdure.storage.shared.tables import Epochs, IdsTaken, PartitionsLost, ProcessBuried, SharedTables
from perdure.storage.shared.writing import GroupWriter, Written

FULL_SECONDS = 1.0
"""How long new messages are refused after a full store, before one is let through to try."""


class Transacting:
    """Writes for whoever holds the partitions, and for clients.

    ``lost`` is told of partitions that turned out to be others', ``sent`` of foreign partitions that rows were written
    for, ``failed`` of StoreFailed.
    """

    def __init__(
        self,
        tables: SharedTables,
        holding: Holding,
        settling: Settling,
        living: Living,
        *,
        process: Callable[[], Awaitable[int]],
        buried: Callable[[int], None],
        lost: Callable[[Collection[int]], None],
        sent: Callable[[int], None],
        failed: Callable[[StoreFailed], None],
    ) -> None:
        self.borrowed: dict[int, int] = {}
        """Partition → epoch that we have beside what is held: to hand it over, or for one write."""
        self.full_until = 0.0
        self._tables = tables
        self._holding = holding
        self._settling = settling
        self._living = living
        self._process = process
        self._buried = buried
        self._lost = lost
        self._sent = sent
        self._failed = failed
        self._writer = GroupWriter(self._send, self._lost_of)

    @property
    def waiting(self) -> int:
        """How many wait for the next transaction."""
        return self._writer.waiting

    @property
    def waiting_characters(self) -> int:
        """How many characters of payload wait for it."""
        return self._writer.waiting_characters

    async def write_messages(self, changes: Changes, fence: Epochs) -> None:
        """Client messages and creations. Raises IdsTaken, and LeaseLost of what is in the fence."""
        await self._settled(changes, fence, partial(self._settle_messages, changes))

    async def write_round(self, round_: Round, changes: Changes, fence: Epochs) -> None:
        """Raises as ``Checkpoints.commit``, but IdsTaken for InstanceTaken."""
        await self._settled(changes, fence, partial(self._settle_round, round_, changes))

    async def purge(self, instance_ids: list[str]) -> int:
        """How many of these were removed."""
        written = await self._settled(Changes(purged=instance_ids), {}, self._note_failure)
        return len(written.outcome.purged.intersection(instance_ids))

    async def decided(self) -> None:
        """Wait until everything given so far is true or refused, and settled."""
        await self._writer.decided()

    def fail(self, error: BaseException) -> None:
        """Refuse everything that waits or is under way."""
        self._writer.fail(error)

    # Below

    async def _settled(
        self, changes: Changes, fence: Epochs, settle: Callable[[asyncio.Future[Written]], object]
    ) -> Written:
        """Write and settle; settling happens also when the caller is cancelled meanwhile."""
        writing = self._writer.write(changes, fence)
        writing.add_done_callback(settle)
        return await asyncio.shield(writing)

    async def _send(self, changes: Changes, fence: Epochs) -> Outcome:
        process = await self._process()
        try:
            return await self._tables.write(process, changes, fence)
        except ProcessBuried:
            self._buried(process)
            raise
        except PartitionsLost as error:
            self._lost(error.partitions)
            raise

    def _lost_of(self, fence: Epochs) -> frozenset[int]:
        lost = self._holding.lost_of(fence)
        if lost and self.borrowed:
            lost = frozenset(partition for partition in lost if self.borrowed.get(partition) != fence[partition])
        return lost

    def _note_failure(self, writing: asyncio.Future[Written]) -> bool:
        """Whether the write failed; what that means for the whole store."""
        error = writing.exception()
        if error is None:
            self.full_until = 0.0
            return False
        if isinstance(error, StoreFull):
            self.full_until = asyncio.get_running_loop().time() + FULL_SECONDS
        elif isinstance(error, StoreFailed):
            self._failed(error)
        return True

    def _settle_messages(self, changes: Changes, writing: asyncio.Future[Written]) -> None:
        if self._note_failure(writing):
            self._settling.messages_failed(changes)
            return
        self._living.committed(changes)
        self._settling.messages(changes)
        starts = [made.creation.start for made in changes.created]
        messages = [placed.envelope for placed in (*changes.kept, *changes.envelopes)]
        self._post([*starts, *messages], writing.result().fence)

    def _settle_round(self, round_: Round, changes: Changes, writing: asyncio.Future[Written]) -> None:
        if self._note_failure(writing):
            error = writing.exception()
            if isinstance(error, IdsTaken):
                self._holding.refuse(error.instance_ids)
            self._settling.round_failed(changes)
            return
        written = writing.result()
        if self._holding.lost_of(written.fence):
            # Partitions went while it was on its way: what lives there may be another process's by now.
            self._living.forget_all()
        else:
            self._living.committed(changes)
        sent = self._settling.round_(round_, changes, written.outcome)
        self._post([placed.envelope for placed in sent], written.fence)

    def _post(self, envelopes: Iterable[Envelope], fence: Epochs) -> None:
        """Hand out what was written under a fence of ours; the rest was marked for others, who are told."""
        holding = self._holding
        told: set[int] = set()
        for envelope in envelopes:
            partition = holding.partition_of(envelope.target)
            if partition not in fence:
                holding.forget_start(envelope)
                if partition not in told:
                    told.add(partition)
                    self._sent(partition)
            elif (lease := holding.leases.get(partition)) is not None and lease.epoch == fence[partition]:
                holding.deliver(envelope, partition)
            else:
                holding.forget_start(envelope)
