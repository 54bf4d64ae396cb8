"""Messages on their way to the engine of this process, before and after they have a row (architecture.md J1)."""

import asyncio
from collections.abc import Iterable

from perdure.contracts.errors import LeaseLost
from perdure.contracts.records import Hold, PartitionLease
from perdure.core.checkpoint import Creation
from perdure.core.messages import Envelope
from perdure.storage.senders import Senders


class Arrivals(Senders):
    """The queue behind ``receive`` and the senders that wait for what it handed out."""

    def __init__(self, waiting_max: int, waiting_bytes_max: int) -> None:
        super().__init__(waiting_max, waiting_bytes_max)
        self.lease: PartitionLease | None = None
        self._queue: list[Envelope] = []
        self._wake: asyncio.Future[None] | None = None
        self._let_go: asyncio.Future[None] | None = None

    def check(self, hold: Hold) -> None:
        """Raise LeaseLost unless its only lease is the one in force."""
        leases, held = hold.leases, self.lease
        if held is None or leases.get(0) != held or len(leases) != 1:
            raise _lost(hold)

    def check_leases(self, leases: Iterable[PartitionLease]) -> None:
        """Raise LeaseLost unless they are in force."""
        for lease in leases:
            if lease != self.lease:
                raise _lost(Hold.of(lease))

    def hold(self, lease: PartitionLease) -> None:
        """From here on messages are handed out."""
        self.lease = lease

    def let_go(self) -> None:
        """Hand out nothing more; who waits in ``receive`` gets LeaseLost. Messages without a row stay known."""
        self.lease = None
        self._queue.clear()
        self.forget_created()
        self._wake_receiver()
        if self._let_go is not None:
            self._let_go.set_result(None)
            self._let_go = None

    async def until_let_go(self, hold: Hold) -> None:
        """Wait until this is not what is in force."""
        self.check(hold)
        if self._let_go is None:
            self._let_go = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._let_go)

    def admit(self, envelope: Envelope, creation: Creation | None) -> asyncio.Future[bool]:
        """Queue a message without a row; the future ends when it is durable or consumed. Raises Overloaded."""
        saved = self.await_saving(envelope, creation)
        self._queue.append(envelope)
        self._wake_receiver()
        return saved

    def deliver(self, envelopes: Iterable[Envelope]) -> None:
        """Queue messages that have a row, in this order."""
        self._queue.extend(envelopes)
        self._wake_receiver()

    def take(self, hold: Hold) -> list[Envelope]:
        """All that is queued. Raises LeaseLost."""
        self.check(hold)
        queue = self._queue
        if queue:
            self._queue = []
        return queue

    async def wait(self, hold: Hold) -> list[Envelope]:
        """As ``take``, at least one."""
        while not (taken := self.take(hold)):
            wake = self._wake = asyncio.get_running_loop().create_future()
            await wake
        return taken

    def _wake_receiver(self) -> None:
        wake = self._wake
        if wake is not None:
            self._wake = None
            if not wake.done():
                wake.set_result(None)


def _lost(hold: Hold) -> LeaseLost:
    leases = list(hold.leases.values())
    if not leases:
        return LeaseLost("The partition is not held here.")
    what = ", ".join(f"Partition {lease.partition} (owner '{lease.owner}', epoch {lease.epoch})" for lease in leases)
    return LeaseLost(f"{what} is no longer held.", frozenset(hold.partitions))
