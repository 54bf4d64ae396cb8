"""How partitions leave this process: given back in order, or lost. Messages without a row become rows either way."""

import asyncio
from collections.abc import Callable, Collection, Sequence

from perdure.contracts.errors import StorageError
from perdure.contracts.records import PartitionLease
from perdure.storage.senders import Arrival
from perdure.storage.shared.arriving import ArrivalReading
from perdure.storage.shared.handing_over import HandingOver
from perdure.storage.shared.holding import Holding
from perdure.storage.shared.keeping import Keeping
from perdure.storage.shared.living import Living
from perdure.storage.shared.ownership import Ownership, look_if_reachable
from perdure.storage.shared.transacting import Transacting


class Leaving:
    """Of one opening. ``is_open``: whether the store may still be written to."""

    def __init__(
        self,
        holding: Holding,
        living: Living,
        arriving: ArrivalReading,
        handing_over: HandingOver,
        *,
        transacting: Transacting,
        ownership: Ownership,
        keeping: Keeping,
        is_open: Callable[[], bool],
    ) -> None:
        self._holding = holding
        self._living = living
        self._arriving = arriving
        self._handing_over = handing_over
        self._transacting = transacting
        self._ownership = ownership
        self._keeping = keeping
        self._is_open = is_open
        self._rescuing: set[asyncio.Task[None]] = set()

    def lose(self, partitions: Collection[int]) -> None:
        """They are others' now; what has no row is written for these, if the store can be reached."""
        arrivals = self._holding.undecided_of(frozenset(partitions) & self._holding.leases.keys())
        self._let_go(partitions)
        if arrivals and self._is_open():
            task = asyncio.create_task(self._rescue(arrivals))
            self._rescuing.add(task)
            task.add_done_callback(self._rescuing.discard)

    async def release(self, leases: Sequence[PartitionLease]) -> None:
        """Give back those of these that are still held, with rows for all that has none."""
        holding = self._holding
        async with self._ownership.changing_hands():
            epochs = {lease.partition: lease.epoch for lease in holding.in_force(leases)}
            if not epochs:
                return
            ends = not epochs.keys() <= holding.going
            if ends:
                self._keeping.runs = False
            arrivals = holding.undecided_of(epochs)
            self._let_go(epochs)
            borrowed = self._transacting.borrowed
            borrowed.update(epochs)
            try:
                await self._handing_over.write(arrivals, epochs)
            finally:
                for partition in epochs:
                    borrowed.pop(partition, None)
                await self._ownership.give_back(epochs)
        if ends:
            # Others count us until they are told.
            await look_if_reachable(self._keeping)
        self._ownership.tell_others()

    def stop(self) -> None:
        """Write nothing more for what was lost."""
        for task in self._rescuing:
            task.cancel()

    async def _rescue(self, arrivals: Sequence[Arrival]) -> None:
        try:
            await self._handing_over.write(arrivals, {})
        except StorageError:
            # Their senders have heard it.
            return

    def _let_go(self, partitions: Collection[int]) -> None:
        self._holding.let_go(partitions)
        self._living.forget_all()
        self._arriving.end(partitions)
