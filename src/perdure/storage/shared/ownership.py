"""Which partitions are this process's: claimed, asked back, given back, borrowed; and whose the others are."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

from perdure.contracts.errors import Unavailable
from perdure.contracts.records import PartitionLease
from perdure.storage.shared.balance import balance
from perdure.storage.shared.hints import Hints
from perdure.storage.shared.holding import Holding
from perdure.storage.shared.keeping import Keeping
from perdure.storage.shared.tables import Epochs, Hint, ProcessBuried, SharedTables, Sight
from perdure.storage.shared.transacting import Transacting

logger = logging.getLogger("perdure.storage")


class Ownership:
    """Acts on each sight of the hub, so that partitions are spread evenly over the processes that run.

    ``lost`` is called with partitions that turn out to be others'.
    """

    def __init__(
        self, tables: SharedTables, holding: Holding, hints: Hints, lost: Callable[[Collection[int]], None]
    ) -> None:
        self.keeping: Keeping
        self.transacting: Transacting
        self.others: tuple[int, ...] = ()
        """The other processes that are alive."""
        self._tables = tables
        self._holding = holding
        self._hints = hints
        self._lost = lost
        self._owners: dict[int, int | None] = {}
        self._changing_hands = asyncio.Lock()
        self._acquiring = asyncio.Lock()
        self._looks_again = False

    async def process(self) -> int:
        """Our number. Raises Unavailable."""
        return await self.keeping.announced()

    def owner_of(self, partition: int) -> int | None:
        """Who holds it, as far as we know: ourselves, another process, or nobody."""
        return self.keeping.process if partition in self._holding.leases else self._owners.get(partition)

    async def acquire(self, name: str) -> list[PartitionLease]:
        """Take partitions from here on; those that are to be had now. Raises Unavailable."""
        async with self._acquiring:
            holding, keeping = self._holding, self.keeping
            before = dict(holding.leases)
            async with self._changing_hands:
                keeping.name = name
                begins, keeping.runs = not keeping.runs, True
            await keeping.look()
            while self._looks_again:
                await keeping.look()
            if begins:
                self.tell_others()
            return [lease for lease in holding.leases.values() if before.get(lease.partition) != lease]

    async def seen(self, sight: Sight) -> None:
        """Bury, claim, ask back. Raises Unavailable."""
        process = self.keeping.process
        self.others = tuple(row.number for row in sight.processes if row.is_alive and row.number != process)
        self._owners = {row.partition: row.owner for row in sight.partitions}
        self._looks_again = False
        if process is None or self._changing_hands.locked():
            # Whoever is changing hands pokes when it is done.
            return
        async with self._changing_hands:
            try:
                await self._even_out(sight, process)
            except ProcessBuried:
                self.keeping.buried(process)

    @asynccontextmanager
    async def changing_hands(self) -> AsyncIterator[None]:
        """Meanwhile nothing is claimed or given back by a sight."""
        try:
            async with self._changing_hands:
                yield
        finally:
            self.keeping.poke()

    @asynccontextmanager
    async def borrowed(self, partition: int) -> AsyncIterator[int | None]:
        """Hold a partition that nobody holds for one write: its epoch; None when somebody has it."""
        async with self.changing_hands():
            process = await self.process()
            try:
                epochs = await self._tables.claim(process, [partition])
            except ProcessBuried:
                self.keeping.buried(process)
                epochs = {}
            try:
                self.transacting.borrowed.update(epochs)
                yield epochs.get(partition)
            finally:
                self.transacting.borrowed.pop(partition, None)
                await self._give_back(process, epochs)

    async def give_back(self, epochs: Epochs) -> None:
        """Let others have them. What does not reach the store now is given back at a later look."""
        if self.keeping.process is not None:
            await self._give_back(self.keeping.process, epochs)

    def tell_others(self) -> None:
        """There are partitions to be had, or to be shared."""
        for process in self.others:
            self._hints.tell(process, Hint(sender=0, has_partitions=True))

    async def _give_back(self, process: int, epochs: Epochs) -> None:
        self._owners.update(dict.fromkeys(epochs))
        try:
            await self._tables.give_back(process, epochs)
        except ProcessBuried:
            # They were taken from us before.
            self.keeping.buried(process)
        except Unavailable:
            self.keeping.poke()

    async def _even_out(self, sight: Sight, process: int) -> None:
        holding = self._holding
        ours = {row.partition: row.epoch for row in sight.partitions if row.owner == process}
        if lost := [p for p, lease in holding.leases.items() if ours.get(p) != lease.epoch]:
            self._lost(lost)
        # What is ours by the rows only: an earlier giving back did not reach the store.
        left = {partition: epoch for partition, epoch in ours.items() if partition not in holding.leases}
        if left:
            await self._give_back(process, left)
            self.tell_others()
            self._look_again()
            return
        plan = balance(sight, process, holding.going)
        for number in plan.bury:
            if await self._tables.bury(number):
                _tell_of(number, sight)
            self._look_again()
        if plan.claim:
            claimed = await self._tables.claim(process, plan.claim)
            # Our time may have run out on the way.
            if self.keeping.process == process:
                name = self.keeping.name
                holding.gain(PartitionLease(partition, epoch, name) for partition, epoch in claimed.items())
                self._owners.update(dict.fromkeys(claimed, process))
                if claimed:
                    # They shall know whom to tell.
                    self.tell_others()
        holding.ask_back(plan.give_back)

    def _look_again(self) -> None:
        self._looks_again = True
        self.keeping.poke()


def _tell_of(buried: int, sight: Sight) -> None:
    left = sum(row.owner == buried for row in sight.partitions)
    if left:
        name = next(row.name for row in sight.processes if row.number == buried)
        logger.warning("'%s' has not renewed its lease: the %d partitions it had go to the others.", name, left)


async def look_if_reachable(keeping: Keeping) -> None:
    """Look now; when the store cannot be reached, as soon as it can."""
    try:
        await keeping.look()
    except Unavailable:
        keeping.poke()
