"""The partitions this process holds, and the messages on their way to whoever runs them."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import chain

from perdure.contracts.errors import LeaseLost
from perdure.contracts.records import Backlog, Hold, PartitionLease, Round, Turnover
from perdure.core.checkpoint import Creation
from perdure.core.messages import Envelope
from perdure.core.partitions import partition_of
from perdure.storage.changes import Changes
from perdure.storage.senders import Arrival, Senders


def lease_lost(partitions: Iterable[int]) -> LeaseLost:
    """Of these partitions."""
    lost = frozenset(partitions)
    named = ", ".join(map(str, sorted(lost)))
    return LeaseLost(f"This process no longer holds the partitions {named}.", lost)


class Holding(Senders):
    """The queue behind ``receive``, and what ``turnover`` tells.

    Messages for a partition wait apart until it is in the hold of whoever receives, so that nobody gets a message
    before the backlog that comes before it.
    """

    def __init__(self, waiting_max: int, waiting_bytes_max: int) -> None:
        super().__init__(waiting_max, waiting_bytes_max)
        self.count = 1
        self.leases: dict[int, PartitionLease] = {}
        """What is in force."""
        self.going: set[int] = set()
        """Held, and asked back."""
        self._to_tell: set[int] = set()
        """Asked back, and not told yet."""
        self._queue: list[Envelope] = []
        self._early: dict[int, list[Envelope]] = {}
        self._before_backlog: dict[int, set[int]] = {}
        """Partition whose backlog is not read yet → positions of rows that were queued for it before."""
        self._wake: asyncio.Future[None] | None = None
        self._changed: asyncio.Future[None] | None = None

    def partition_of(self, instance_id: str) -> int:
        return partition_of(instance_id, self.count)

    # Leases

    def check(self, hold: Hold) -> None:
        """Raise LeaseLost unless all of it is in force."""
        if hold.leases == self.leases:
            return
        self.check_leases(hold.leases.values())

    def check_leases(self, leases: Iterable[PartitionLease]) -> None:
        """Raise LeaseLost, naming those that are not in force."""
        held = self.leases
        lost = [lease.partition for lease in leases if held.get(lease.partition) != lease]
        if lost:
            raise lease_lost(lost)

    def in_force(self, leases: Iterable[PartitionLease]) -> list[PartitionLease]:
        """Those of these that are."""
        return [lease for lease in leases if self.leases.get(lease.partition) == lease]

    def concerned(self, hold: Hold, round_: Round) -> set[int]:
        """The partitions that a round is about. Raises LeaseLost of those that are not in the hold."""
        of, held = self.partition_of, hold.leases
        partitions = {of(checkpoint.origin.instance_id) for checkpoint in round_.checkpoints}
        partitions.update(of(envelope.target) for envelope in chain(round_.kept, round_.discarded))
        # No fence would guard them.
        if missing := partitions - held.keys():
            raise lease_lost(missing)
        return partitions

    def fence(self, hold: Hold, concerned: Collection[int], changes: Changes) -> dict[int, int]:
        """What the write of a round is fenced by: the partitions it is about, and those of ours that it sends to.

        A message for a partition outside the fence takes the long way of messages for others.
        """
        of, held = self.partition_of, hold.leases
        partitions = {of(placed.envelope.target) for placed in changes.envelopes}
        for child in changes.children:
            partitions.add(of(child.creation.record.origin.instance_id))
            if child.creation.if_taken is not None:
                partitions.add(of(child.creation.if_taken.target))
        partitions.update(concerned)
        return {partition: held[partition].epoch for partition in partitions if partition in held}

    def lost_of(self, fence: Mapping[int, int]) -> frozenset[int]:
        """Those that are not in force under these epochs."""
        held = self.leases
        return frozenset(
            partition
            for partition, epoch in fence.items()
            if (lease := held.get(partition)) is None or lease.epoch != epoch
        )

    def gain(self, leases: Iterable[PartitionLease]) -> None:
        """From here on messages for them are kept in memory."""
        for lease in leases:
            self.leases[lease.partition] = lease
            self._early[lease.partition] = []
            self._before_backlog[lease.partition] = set()
        self._note_change()

    def takes(self, partition: int) -> bool:
        """Whether its messages may go through memory: what is in the store already comes before them.

        While its backlog is read, a row may have come that is not in it, and that is told after it.
        """
        return partition in self.leases and partition not in self._before_backlog

    def ask_back(self, partitions: Collection[int]) -> None:
        """Somebody else should have them; those that are not held do not matter."""
        held = self.leases.keys() & set(partitions)
        self.going |= held
        self._to_tell |= held
        if held:
            self._note_change()

    def let_go(self, partitions: Collection[int]) -> None:
        """Hand out nothing more of them; who receives hears of it. Messages without a row stay known."""
        gone = {partition for partition in partitions if self.leases.pop(partition, None) is not None}
        if not gone:
            return
        self.going -= gone
        self._to_tell -= gone
        for partition in gone:
            self._early.pop(partition, None)
            self._before_backlog.pop(partition, None)
        self._queue = [envelope for envelope in self._queue if self.partition_of(envelope.target) not in gone]
        for key, creation in list(self._created.items()):
            if self.partition_of(creation.start.target) in gone:
                del self._created[key]
        self._wake_receiver()
        self._note_change()

    def end(self) -> None:
        """The store is closed: nothing is held, and who waits looks up."""
        self.let_go(list(self.leases))
        self._wake_receiver()
        self._note_change()

    async def turnover(self, hold: Hold, check: Callable[[], None]) -> Turnover:
        """As ``Leases.turnover``; ``check`` raises when the store is closed."""
        while True:
            check()
            held = self.leases
            gained = [lease for partition, lease in held.items() if hold.leases.get(partition) != lease]
            lost = frozenset(p for p, lease in hold.leases.items() if held.get(p) != lease)
            wanted_back = frozenset(p for p in self._to_tell if held[p] == hold.leases.get(p))
            if gained or lost or wanted_back:
                self._to_tell -= wanted_back
                return Turnover(gained, lost, wanted_back)
            if any(partition in hold.leases for partition in self._early):
                self._wake_receiver()
            changed = self._changed = asyncio.get_running_loop().create_future()
            await changed

    # Messages

    def admit(self, envelope: Envelope, creation: Creation | None, partition: int) -> asyncio.Future[bool]:
        """Queue a message without a row for a partition that is held; the future ends when it is durable or consumed.

        Raises Overloaded.
        """
        saved = self.await_saving(envelope, creation)
        self._early.get(partition, self._queue).append(envelope)
        self._wake_receiver()
        return saved

    def deliver(self, envelope: Envelope, partition: int) -> None:
        """Queue a message that has a row, for a partition that is held."""
        if self._before_backlog and envelope.position is not None:
            before = self._before_backlog.get(partition)
            if before is not None:
                before.add(envelope.position)
        self._early.get(partition, self._queue).append(envelope)
        self._wake_receiver()

    def without_delivered(self, leases: Iterable[PartitionLease], backlog: Backlog) -> Backlog:
        """The backlog just read, without what has been queued already."""
        delivered: set[int | None] = set()
        for lease in leases:
            delivered |= self._before_backlog.pop(lease.partition, set())
        if delivered:
            backlog.ready = [envelope for envelope in backlog.ready if envelope.position not in delivered]
            backlog.due = [envelope for envelope in backlog.due if envelope.position not in delivered]
        return backlog

    def forget_start(self, start: Envelope) -> None:
        """Nobody here will consume this start of a committed creation."""
        self._created.pop(id(start), None)

    def undecided_of(self, partitions: Collection[int]) -> list[Arrival]:
        """Messages of these partitions without a row, in the order in which they came."""
        return [arrival for arrival in self.undecided() if self.partition_of(arrival.envelope.target) in partitions]

    def take(self, hold: Hold) -> list[Envelope]:
        """All that is queued for these partitions. Raises LeaseLost."""
        self.check(hold)
        if self._early:
            for partition in [partition for partition in self._early if partition in hold.leases]:
                self._queue += self._early.pop(partition)
        queue = self._queue
        if queue:
            self._queue = []
        return queue

    async def wait(self, hold: Hold, check: Callable[[], None]) -> list[Envelope]:
        """As ``take``, at least one; ``check`` raises when the store is closed."""
        check()
        while not (taken := self.take(hold)):
            wake = self._wake = asyncio.get_running_loop().create_future()
            await wake
            check()
        return taken

    def _wake_receiver(self) -> None:
        wake, self._wake = self._wake, None
        if wake is not None and not wake.done():
            wake.set_result(None)

    def _note_change(self) -> None:
        changed, self._changed = self._changed, None
        if changed is not None and not changed.done():
            changed.set_result(None)
