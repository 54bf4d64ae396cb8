"""The store as one runner may use it: only for the partitions it holds. A lease that turns out to be lost is noted."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import partial

from perdure.contracts.errors import LeaseLost
from perdure.contracts.observer import Fact, PartitionsHeld
from perdure.contracts.records import Backlog, DamagedInstance, Hold, PartitionLease, StoredInstance
from perdure.contracts.storage import Storage
from perdure.core.messages import Envelope
from perdure.engine.patience import until_available


class HeldPartitions:
    """The runner's hold, and what it reads by it.

    ``lost``: partitions that are out of the hold, while what the runner had in memory of them is not dropped yet.
    """

    def __init__(self, hold: Hold, storage: Storage, announce: Callable[[Fact], None]) -> None:
        self.hold = hold
        self.lost: set[int] = set()
        self._storage = storage
        self._announce = announce
        self._changed: asyncio.Future[None] | None = None
        """Whoever waits for the hold to become another one."""

    @property
    def has_all(self) -> bool:
        """Whether every partition of the hub is held."""
        return len(self.hold.leases) == self.hold.count

    def has(self, instance_id: str) -> bool:
        """Whether the instance's partition is held."""
        return self.hold.partition_of(instance_id) in self.hold.leases

    def is_lost(self, instance_id: str) -> bool:
        """Whether what is in memory of it is to be dropped."""
        return self.hold.partition_of(instance_id) in self.lost

    def lose(self, partitions: Collection[int]) -> None:
        """These are somebody else's now; those not held do not matter."""
        gone = [partition for partition in partitions if self.hold.leases.pop(partition, None) is not None]
        if gone:
            self.lost.update(gone)
            self._tell()

    def note(self, error: LeaseLost) -> None:
        """The store says so; raises the error when it tells nothing new, so that nobody asks again and again."""
        known = len(self.hold.leases)
        self.lose(error.partitions or list(self.hold.partitions))
        if len(self.hold.leases) == known:
            raise error

    def take_lost(self) -> frozenset[int]:
        """What is to be dropped now."""
        lost = frozenset(self.lost)
        self.lost.clear()
        return lost

    def let_go(self, partitions: Collection[int]) -> list[PartitionLease]:
        """Take these out of the hold; gives their leases."""
        leases = self.hold.leases
        gone = [lease for partition in partitions if (lease := leases.pop(partition, None)) is not None]
        if gone:
            self._tell()
        return gone

    async def recover(self, leases: Sequence[PartitionLease], now: datetime, horizon: datetime) -> Backlog:
        """The backlog of these; from here on they are held, except those that are lost already."""
        wanted: list[PartitionLease] = list(leases)
        backlog = Backlog([], [], [])
        while wanted:
            try:
                backlog = await until_available(partial(self._storage.recover, wanted, now, horizon))
                break
            except LeaseLost as error:
                gone = error.partitions or {lease.partition for lease in wanted}
                left: list[PartitionLease] = [lease for lease in wanted if lease.partition not in gone]
                if len(left) == len(wanted):
                    raise
                self.lose(gone)
                wanted = left
        for lease in wanted:
            self.hold.leases[lease.partition] = lease
        if wanted:
            self._tell()
        return backlog

    async def receive(self) -> list[Envelope]:
        """Wait for messages; none when a partition was lost, and is out of the hold now."""
        try:
            return await until_available(lambda: self._storage.receive(self.hold))
        except LeaseLost:
            if not self.hold.leases:
                raise
            # A round may be under way, and the hold is to be the same in all of it. Turnovers tell of it, too.
            changed = self._changed = asyncio.get_running_loop().create_future()
            await changed
            return []

    def receive_now(self) -> list[Envelope]:
        """What has come."""
        while self.hold.leases:
            try:
                return self._storage.receive_now(self.hold)
            except LeaseLost as error:
                self.note(error)
        return []

    async def load(self, instance_ids: Collection[str]) -> dict[str, StoredInstance | DamagedInstance]:
        """Those of these that are stored, and held."""
        wanted: Collection[str] = instance_ids
        while wanted:
            try:
                return await until_available(partial(self._storage.load, self.hold, wanted))
            except LeaseLost as error:
                self.note(error)
                wanted = [instance_id for instance_id in instance_ids if self.has(instance_id)]
        return {}

    async def read_due(self, after: datetime, until: datetime) -> list[Envelope]:
        """See ``Storage``."""
        while self.hold.leases:
            try:
                return await until_available(lambda: self._storage.read_due(self.hold, after, until))
            except LeaseLost as error:
                self.note(error)
        return []

    async def read_inbox(self, instance_id: str, now: datetime) -> list[Envelope]:
        """See ``Storage``; nothing when its partition is lost."""
        while self.has(instance_id):
            try:
                return await until_available(lambda: self._storage.read_inbox(self.hold, instance_id, now))
            except LeaseLost as error:
                self.note(error)
        return []

    def _tell(self) -> None:
        changed, self._changed = self._changed, None
        if changed is not None and not changed.done():
            changed.set_result(None)
        self._announce(PartitionsHeld(frozenset(self.hold.leases)))
