"""Work offered to the processes of the hub, as an executor uses it (architecture.md J11)."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence

from perdure.contracts.executor import ServedKind
from perdure.contracts.offers import ClaimedOffer, Offer, OfferAnswer
from perdure.core.messages import Envelope
from perdure.storage.changes import Numbers, Placed
from perdure.storage.shared.holding import Holding, lease_lost
from perdure.storage.shared.ownership import Ownership
from perdure.storage.shared.tables import PartitionsLost, ProcessBuried, SharedTables


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
        self._out: set[int] = set()
        """Numbers of our offers that are up, as far as we know."""
        self._stirred = asyncio.Event()

    @property
    def is_owed(self) -> bool:
        """Whether answers to our offers are to come."""
        return bool(self._out)

    def stir(self) -> None:
        """There may be something."""
        self._stirred.set()

    def next_offer_number(self) -> int:
        return self._numbers.take()

    async def offer(self, offers: Sequence[Offer]) -> None:
        self._check()
        leases = self._holding.leases
        partitions = {offer.partition for offer in offers}
        if missing := partitions - leases.keys():
            raise lease_lost(missing)
        process = await self._ownership.process()
        try:
            await self._tables.offer(process, offers, {number: leases[number].epoch for number in partitions})
        except ProcessBuried as error:
            self._ownership.keeping.buried(process)
            raise lease_lost(partitions) from error
        except PartitionsLost as error:
            raise lease_lost(error.partitions) from error
        self._out.update(offer.number for offer in offers)
        self._stirred.set()
        self._tell_all()

    async def claim_offers(self, served: Collection[tuple[ServedKind, str]], limit: int) -> list[ClaimedOffer]:
        self._check()
        process = await self._ownership.process()
        try:
            return await self._tables.claim_offers(process, served, limit)
        except ProcessBuried:
            self._ownership.keeping.buried(process)
            return []

    async def finish_offer(self, claimed: ClaimedOffer, answer: Envelope | OfferAnswer) -> bool:
        self._check()
        if isinstance(answer, OfferAnswer):
            finished = await self._tables.finish_offer(claimed, answer)
            owner = self._ownership.owner_of(claimed.offer.partition)
            if finished and owner == self._ownership.keeping.process:
                self._stirred.set()
            elif finished and owner is not None:
                self._tell(owner)
            return finished
        await self._have_numbers()
        placed = Placed(self._numbers.take(), answer)
        finished = await self._tables.finish_offer(claimed, placed)
        if finished:
            self._out.discard(claimed.offer.number)
            self._arrived(claimed.offer.partition)
        return finished

    async def give_up_offers(self, claimed: Sequence[ClaimedOffer]) -> None:
        self._check()
        await self._tables.give_up_offers(claimed)
        self._tell_all()

    async def take_answers(self) -> list[OfferAnswer]:
        self._check()
        return await self._tables.take_answers(self._holding.leases.keys())

    async def withdraw_offers(self, numbers: Collection[int]) -> frozenset[int]:
        self._check()
        back = await self._tables.withdraw(numbers)
        self._out -= back
        return back

    async def offers_stirred(self) -> None:
        await self._stirred.wait()
        self._stirred.clear()

    def forget(self, numbers: Collection[int]) -> None:
        """These ended otherwise."""
        self._out.difference_update(numbers)

    def forget_all(self) -> None:
        """Nothing is ours any more."""
        self._out.clear()
