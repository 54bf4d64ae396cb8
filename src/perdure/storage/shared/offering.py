"""Work offered to the processes of the hub, as an executor uses it (architecture.md J11)."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from perdure.contracts.executor import ServedKind
from perdure.contracts.offers import ClaimedOffer, FinishedOffer, Offer, OfferAnswer, OfferKey, OfferState
from perdure.storage.changes import Numbers, Placed
from perdure.storage.shared.holding import Holding, lease_lost
from perdure.storage.shared.ownership import Ownership
from perdure.storage.shared.tables import Epochs, PartitionsLost, ProcessBuried, SharedTables


class Offering:
    """Implements ``OfferedWork``. ``tell`` hints to one process, ``tell_all`` to the others, that offers stir."""

    def __init__(
        self,
        tables: SharedTables,
        holding: Holding,
        ownership: Ownership,
        numbers: Numbers,
        *,
        check: Callable[[], None],
        have_numbers: Callable[[], Awaitable[None]],
        tell: Callable[[int], None],
        tell_all: Callable[[], None],
        arrived: Callable[[int], None],
    ) -> None:
        self._tables = tables
        self._holding = holding
        self._ownership = ownership
        self._numbers = numbers
        self._check = check
        self._have_numbers = have_numbers
        self._tell = tell
        self._tell_all = tell_all
        self._arrived = arrived
        self._out: dict[int, tuple[int, int]] = {}
        """Numbers of our offers whose answer is to be taken, as far as we know → partition and epoch they belong to.

        What comes of an activity arrives.
        """
        self._stirred = asyncio.Event()

    @property
    def is_alone(self) -> bool:
        return not self._ownership.others

    def holds(self, partition: int) -> bool:
        return partition in self._holding.leases

    def epoch_of(self, partition: int) -> int | None:
        return None if (lease := self._holding.leases.get(partition)) is None else lease.epoch

    @property
    def is_owed(self) -> bool:
        """Whether answers to our offers are to come."""
        return any(self._is_held(partition, epoch) for partition, epoch in self._out.values())

    def stir(self) -> None:
        """There may be something."""
        self._stirred.set()

    def next_offer_number(self) -> int:
        return self._numbers.take()

    async def offer(self, offers: Sequence[Offer]) -> None:
        process, fence = await self._fence({offer.partition for offer in offers})
        with self._losses(process, fence):
            await self._tables.offer(process, offers, fence)
        # Those of a hold that has ended are gone, also when the partition has come back.
        self._out = {number: place for number, place in self._out.items() if self._is_held(*place)}
        for offer in offers:
            if offer.kind is not ServedKind.ACTIVITY:
                self._out[offer.number] = offer.partition, fence[offer.partition]
        self._stirred.set()
        self._tell_all()

    async def offer_claimed(self, offers: Sequence[Offer]) -> list[ClaimedOffer]:
        process, fence = await self._fence({offer.partition for offer in offers})
        with self._losses(process, fence):
            return await self._tables.offer_claimed(process, offers, fence)

    async def waiting_offers(self) -> list[OfferKey]:
        self._check()
        return await self._tables.waiting_offers()

    async def claim_offers(self, keys: Collection[OfferKey], limit: int) -> list[ClaimedOffer]:
        self._check()
        process = await self._ownership.process()
        try:
            return await self._tables.claim_offers(process, keys, limit)
        except ProcessBuried:
            self._ownership.keeping.buried(process)
            return []

    async def finish_offers(self, finished: Sequence[FinishedOffer]) -> frozenset[int]:
        self._check()
        await self._have_numbers()
        process = await self._ownership.process()
        handed_in = [
            (f.claimed, f.answer if isinstance(f.answer, OfferAnswer) else Placed(self._numbers.take(), f.answer))
            for f in finished
        ]
        try:
            counted = await self._tables.finish_offers(process, handed_in)
        except ProcessBuried:
            # What it claimed is up again.
            self._ownership.keeping.buried(process)
            return frozenset()
        self._tell_owners(claimed.offer for claimed, _ in handed_in if claimed.offer.number in counted)
        return counted

    def _tell_owners(self, offers: Iterable[Offer]) -> None:
        for partition, is_activity in {(offer.partition, offer.kind is ServedKind.ACTIVITY) for offer in offers}:
            owner = self._ownership.owner_of(partition)
            if is_activity:
                self._arrived(partition)
            elif owner == self._ownership.keeping.process:
                self._stirred.set()
            elif owner is not None:
                self._tell(owner)

    async def give_up_offers(self, claimed: Sequence[ClaimedOffer]) -> None:
        self._check()
        await self._tables.give_up_offers(claimed)
        self._tell_all()

    async def take_answers(self) -> list[OfferAnswer]:
        self._check()
        return await self._tables.take_answers(self._holding.leases.keys())

    async def withdraw_offers(self, numbers: Mapping[int, int]) -> frozenset[int]:
        process, fence = await self._fence(set(numbers.values()))
        with self._losses(process, fence):
            back = await self._tables.withdraw(process, numbers.keys(), fence)
        for number in back:
            self._out.pop(number, None)
        return back

    async def offers_of(self, instance_id: str) -> list[OfferState]:
        self._check()
        return await self._tables.offers_of(instance_id)

    async def offers_stirred(self) -> None:
        await self._stirred.wait()
        self._stirred.clear()

    def forget_all(self) -> None:
        """Nothing is ours any more."""
        self._out.clear()

    def _is_held(self, partition: int, epoch: int) -> bool:
        lease = self._holding.leases.get(partition)
        return lease is not None and lease.epoch == epoch

    async def _fence(self, partitions: set[int]) -> tuple[int, dict[int, int]]:
        """Our number, and the epochs of these partitions. Raises LeaseLost."""
        self._check()
        process = await self._ownership.process()
        leases = self._holding.leases
        if missing := partitions - leases.keys():
            raise lease_lost(missing)
        return process, {number: leases[number].epoch for number in partitions}

    @contextmanager
    def _losses(self, process: int, fence: Epochs) -> Iterator[None]:
        """What the tables say of lost partitions, as a storage says it."""
        try:
            yield
        except ProcessBuried as error:
            self._ownership.keeping.buried(process)
            raise lease_lost(fence) from error
        except PartitionsLost as error:
            raise lease_lost(error.partitions) from error
