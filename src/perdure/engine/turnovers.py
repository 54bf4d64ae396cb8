"""How the held partitions change: the store tells, and between two rounds the runner follows."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from perdure.contracts.records import PartitionLease, PendingActivity, Turnover
from perdure.contracts.storage import Storage
from perdure.engine.held_partitions import HeldPartitions
from perdure.engine.patience import until_available

GIVE_BACK_SECONDS = 1.0
"""So long at most the turns that are out are waited for, before their partition is released."""

Concerned = Callable[[str], bool]
"""Whether an instance belongs to the partitions that are meant."""


class Holder(Protocol):
    """What has the partitions in memory."""

    async def gain(self, leases: Sequence[PartitionLease]) -> None:
        """Take them into the hold, with what was left behind in them."""
        ...

    async def hand_over(self, is_leaving: Concerned) -> None:
        """Let what runs for these instances go on, for whoever has them next."""
        ...

    async def write_down(self, is_leaving: Concerned) -> None:
        """Give a row to all that is in hand for these instances and has none."""
        ...

    def drop(self, is_gone: Concerned) -> None:
        """Forget all about these instances; nothing of it may reach the store any more."""
        ...

    def partitions_out(self) -> set[int]:
        """The partitions of the turns that are in user code."""
        ...


class Turnovers:
    """Gains, losses, and partitions that others want back."""

    def __init__(self, held: HeldPartitions, storage: Storage, holder: Holder, wake: Callable[[], None]) -> None:
        self._held = held
        self._storage = storage
        self._holder = holder
        self._wake = wake
        self._pending: list[Turnover] = []
        self._leaving: dict[int, float] = {}
        """Partitions that are to be given back → until when their turns are waited for."""
        self._changed = asyncio.Event()
        self._is_ending = False
        self._left: asyncio.Future[None] | None = None
        """Who waits until nothing is held any more."""
        self._leaves_at = 0.0

    @property
    def are_due(self) -> bool:
        """Whether there is anything to do between two rounds."""
        return bool(self._pending or self._held.lost or self._leaving or self._left)

    @property
    def are_told(self) -> bool:
        """Whether there is anything to do that is worth a round of its own."""
        return bool(self._pending or self._held.lost)

    async def leave(self) -> None:
        """Give everything back, as if all of it were wanted back; nothing is gained any more."""
        self._is_ending = True
        loop = asyncio.get_running_loop()
        assert self._left is None, "it is leaving already"
        self._left = loop.create_future()
        self._leaves_at = loop.time() + GIVE_BACK_SECONDS
        waking = loop.call_at(self._leaves_at, self._wake)
        self._wake()
        try:
            await self._left
        finally:
            waking.cancel()

    def still_ours(self, activities: Sequence[PendingActivity]) -> list[PendingActivity]:
        """Those of them whose partition is held by all that the store has told, whether that was followed or not."""
        leases = self._held.hold.leases
        lost = set(self._held.lost)
        for turnover in self._pending:
            lost.update(turnover.lost)
            lost.update(lease.partition for lease in turnover.gained if leases.get(lease.partition) != lease)
        is_lost = self._concerned(lost)
        return [activity for activity in activities if not is_lost(activity.instance_id)]

    def is_leaving(self, instance_id: str) -> bool:
        """Whether nothing is begun for the instance here, because its partition is about to be given back."""
        return bool(self._leaving) and self._held.hold.partition_of(instance_id) in self._leaving

    async def watch(self) -> None:
        """Ask the store how the partitions change, anew whenever the hold has become another one."""
        while True:
            self._changed.clear()
            asking = asyncio.ensure_future(until_available(lambda: self._storage.turnover(self._held.hold)))
            changing = asyncio.ensure_future(self._changed.wait())
            try:
                await asyncio.wait([asking, changing], return_when=asyncio.FIRST_COMPLETED)
                if not asking.done():
                    asking.cancel()
                    await asyncio.wait([asking])
                if not asking.cancelled():
                    self._pending.append(asking.result())
                    self._changed.clear()
                    self._wake()
                    await self._changed.wait()
            finally:
                asking.cancel()
                changing.cancel()

    async def follow(self) -> None:
        """Bring the hold up to date; between rounds only."""
        has_changed = bool(self._pending)
        while self._pending:
            await self._follow(self._pending.pop(0))
        self.drop_lost()
        if self._left is not None:
            self._leaving = dict.fromkeys(self._held.hold.leases, self._leaves_at) | self._leaving
        if await self._give_back() or has_changed:
            self._changed.set()
        if self._left is not None and not self._held.hold.leases:
            if not self._left.done():
                self._left.set_result(None)
            self._left = None

    async def end(self) -> None:
        """Nothing more is gained, and what is wanted back is given back at once."""
        self._is_ending = True
        self._leaving = dict.fromkeys(self._leaving, 0.0)
        await self.follow()

    async def _follow(self, turnover: Turnover) -> None:
        leases = self._held.hold.leases
        # What was gained is told again when something else has changed before this was followed.
        gained = [lease for lease in turnover.gained if leases.get(lease.partition) != lease]
        # A partition that comes with a new epoch was lost meanwhile.
        self._held.lose({*turnover.lost, *(lease.partition for lease in gained)})
        self.drop_lost()
        if gained and self._is_ending:
            await until_available(lambda: self._storage.release(gained))
        elif gained:
            await self._holder.gain(gained)
        wanted = turnover.wanted_back & leases.keys()
        if wanted:
            loop = asyncio.get_running_loop()
            seconds = 0.0 if self._is_ending else GIVE_BACK_SECONDS
            for partition in wanted:
                self._leaving.setdefault(partition, loop.time() + seconds)
            loop.call_later(seconds, self._wake)

    def drop_lost(self) -> None:
        """Forget what is in memory of partitions that are lost."""
        if self._held.lost:
            lost = self._held.take_lost()
            for partition in lost:
                self._leaving.pop(partition, None)
            self._holder.drop(self._concerned(lost))
            self._changed.set()

    async def _give_back(self) -> bool:
        if not self._leaving:
            return False
        out, now = self._holder.partitions_out(), asyncio.get_running_loop().time()
        back = {partition for partition, until in self._leaving.items() if partition not in out or until <= now}
        if not back:
            return False
        # First: whatever has ended before this is in hand, and written down with the rest.
        await self._holder.hand_over(self._concerned(back))
        await self._holder.write_down(self._concerned(back))
        self.drop_lost()
        for partition in back:
            self._leaving.pop(partition, None)
        leases = self._held.let_go(back)
        self._holder.drop(self._concerned(back))
        # Whatever came without a row meanwhile is written by this.
        if leases:
            await until_available(lambda: self._storage.release(leases))
        return True

    def _concerned(self, partitions: Collection[int]) -> Concerned:
        hold = self._held.hold
        return lambda instance_id: hold.partition_of(instance_id) in partitions
