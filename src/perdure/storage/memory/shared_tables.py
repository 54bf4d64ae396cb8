"""``SharedMemory`` as one process reaches it: over a way that may be slow, and break."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from datetime import datetime
from typing import TypeVar

from perdure.contracts.errors import Unavailable
from perdure.contracts.offers import ClaimedOffer, Offer, OfferAnswer, OfferKey, OfferState
from perdure.contracts.records import (
    Backlog,
    DamagedInstance,
    EndedFilter,
    EndedKey,
    EndedPage,
    Finding,
    InstanceFilter,
    Page,
    PageKey,
    StoredInstance,
)
from perdure.core.events import HistoryEvent
from perdure.core.instance import InstanceRecord
from perdure.core.messages import Envelope
from perdure.core.status import RuntimeStatus
from perdure.storage.changes import Changes, Outcome, Placed
from perdure.storage.filters import PurgeKey
from perdure.storage.memory.shared_memory import SharedMemory
from perdure.storage.shared.tables import Arrived, Epochs, Errand, Hint, Sight

T = TypeVar("T")

REACH_AGAIN_SECONDS = 0.1


class SharedMemoryTables:
    """Implements ``SharedTables``.

    ``before`` and ``after`` stand around everything that is asked, and ``carry`` around each hint: a simulation
    overrides them to be slow, to break the way (by raising Unavailable), and to lose hints. What was asked is done
    between the two, at one moment.
    """

    def __init__(self, memory: SharedMemory) -> None:
        self.memory = memory

    async def before(self, operation: str) -> None:
        """The way to the store. Unavailable: nothing is done."""

    async def after(self, operation: str) -> None:
        """The way back. Unavailable: the answer is lost."""

    async def carry(self, process: int, hint: Hint) -> None:
        """The way of a hint. Unavailable: it is lost."""

    async def open(self) -> None:
        await self.before("open")

    async def close(self) -> None:
        pass

    def describe(self) -> str:
        return "store memory: for several processes, durability none"

    @property
    def partition_count(self) -> int:
        return self.memory.partition_count

    # Processes and partitions

    async def announce(self, name: str, lease_seconds: float) -> int:
        return await self._change("announce", lambda: self.memory.announce(name, lease_seconds))

    async def renew(self, process: int, lease_seconds: float, *, runs: bool) -> Sight | None:
        return await self._read("renew", lambda: self.memory.renew(process, lease_seconds, runs))

    async def bury(self, process: int) -> bool:
        return await self._change("bury", lambda: self.memory.bury(process))

    async def depart(self, process: int) -> None:
        await self._change("depart", lambda: self.memory.depart(process))

    async def claim(self, process: int, partitions: Collection[int]) -> dict[int, int]:
        return await self._change("claim", lambda: self.memory.claim(process, partitions))

    async def give_back(self, process: int, epochs: Epochs) -> None:
        await self._change("give back", lambda: self.memory.give_back(process, epochs))

    async def reserve_numbers(self) -> range:
        return await self._read("reserve", self.memory.reserve_numbers)

    # Writing

    async def write(self, process: int, changes: Changes, fence: Epochs) -> Outcome:
        return await self._change("write", lambda: self.memory.write(process, changes, fence))

    # Reading for owners

    async def recover(self, partitions: Collection[int], now: datetime, horizon: datetime) -> tuple[Backlog, int]:
        return await self._read("recover", lambda: self.memory.recover(partitions, now, horizon))

    async def arrivals(self, partitions: Collection[int], mark: int) -> Arrived:
        return await self._read("arrivals", lambda: self.memory.arrivals(partitions, mark))

    async def read_due(self, partitions: Collection[int], after: datetime, until: datetime) -> list[Envelope]:
        return await self._read("read due", lambda: self.memory.read_due(partitions, after, until))

    async def read_inbox(self, instance_id: str, now: datetime) -> list[Envelope]:
        return await self._ask("read inbox", lambda: self.memory.rows.read_inbox(instance_id, now))

    async def load(self, instance_ids: Collection[str]) -> dict[str, StoredInstance | DamagedInstance]:
        return await self._ask("load", lambda: self.memory.rows.load(instance_ids))

    # Reading for everybody

    async def statuses_of(self, instance_ids: Collection[str]) -> dict[str, RuntimeStatus]:
        return await self._read("statuses", lambda: self._statuses_of(instance_ids))

    async def get(self, instance_id: str) -> InstanceRecord | None:
        return await self._ask("get", lambda: self.memory.rows.get(instance_id))

    async def history(self, instance_id: str) -> list[HistoryEvent]:
        return await self._ask("history", lambda: self.memory.rows.history(instance_id))

    async def query(self, filter_: InstanceFilter, limit: int, after: PageKey | None) -> Page:
        return await self._ask("query", lambda: self.memory.rows.query(filter_, limit, after))

    async def ended(self, filter_: EndedFilter, limit: int, after: EndedKey | None) -> EndedPage:
        return await self._ask("ended", lambda: self.memory.rows.ended(filter_, limit, after))

    async def backlog_sizes(self, instance_ids: Collection[str]) -> dict[str, int]:
        return await self._ask("backlog sizes", lambda: self.memory.rows.backlog_sizes(instance_ids))

    async def purgeable(self, filter_: InstanceFilter, limit: int, after: PurgeKey | None) -> list[PurgeKey]:
        return await self._ask("purgeable", lambda: self.memory.rows.purgeable(filter_, limit, after))

    def verify(self, liveness: bool) -> AsyncIterator[Finding]:
        return self.memory.rows.verify(liveness)

    # Offers

    async def offer(self, process: int, offers: Sequence[Offer], fence: Epochs) -> None:
        await self._change("offer", lambda: self.memory.offer(process, offers, fence))

    async def offer_claimed(self, process: int, offers: Sequence[Offer], fence: Epochs) -> list[ClaimedOffer]:
        return await self._change("offer claimed", lambda: self.memory.offer_claimed(process, offers, fence))

    async def waiting_offers(self) -> list[OfferKey]:
        return await self._read("waiting offers", self.memory.waiting_offers)

    async def claim_offers(self, process: int, keys: Collection[OfferKey], limit: int) -> list[ClaimedOffer]:
        return await self._change("claim offers", lambda: self.memory.claim_offers(process, keys, limit))

    async def finish_offers(
        self, process: int, finished: Sequence[tuple[ClaimedOffer, Placed | OfferAnswer]]
    ) -> frozenset[int]:
        return await self._change("finish offers", lambda: self.memory.finish_offers(process, finished))

    async def give_up_offers(self, claimed: Sequence[ClaimedOffer]) -> None:
        await self._change("give up offers", lambda: self.memory.give_up_offers(claimed))

    async def take_answers(self, partitions: Collection[int]) -> list[OfferAnswer]:
        return await self._read("take answers", lambda: self.memory.take_answers(partitions))

    async def offers_of(self, instance_id: str) -> list[OfferState]:
        return await self._read("offers of", lambda: self.memory.offers_of(instance_id))

    async def withdraw(self, process: int, numbers: Collection[int], fence: Epochs) -> frozenset[int]:
        return await self._change("withdraw", lambda: self.memory.withdraw(process, numbers, fence))

    # Errands

    async def leave_errand(self, errand: Errand) -> None:
        await self._change("leave errand", lambda: self.memory.leave_errand(errand))

    async def errands(self, partitions: Collection[int]) -> list[Errand]:
        return await self._read("errands", lambda: self.memory.errands(partitions))

    async def answer_errand(self, number: int, body: str) -> None:
        await self._change("answer errand", lambda: self.memory.answer_errand(number, body))

    async def collect_errands(self, process: int) -> dict[int, str]:
        return await self._change("collect errands", lambda: self.memory.collect_errands(process))

    async def drop_errand(self, number: int) -> None:
        await self._change("drop errand", lambda: self.memory.drop_errand(number))

    # Hints

    async def hint(self, process: int, hint: Hint) -> None:
        try:
            await self.carry(process, hint)
        except Unavailable:
            return
        if (heard := self.memory.listeners.get(process)) is not None:
            heard(hint)

    def listen(self, process: int, heard: Callable[[Hint], None]) -> None:
        self.memory.listeners[process] = heard

    # Below

    def _statuses_of(self, instance_ids: Collection[str]) -> dict[str, RuntimeStatus]:
        found = ((instance_id, self.memory.rows.status_of(instance_id)) for instance_id in instance_ids)
        return {instance_id: status for instance_id, status in found if status is not None}

    async def _read(self, operation: str, ask: Callable[[], T]) -> T:
        await self.before(operation)
        answer = ask()
        await self.after(operation)
        return answer

    async def _ask(self, operation: str, ask: Callable[[], Awaitable[T]]) -> T:
        """Rows in memory are read without waiting, so this is one moment, too."""
        await self.before(operation)
        answer = await ask()
        await self.after(operation)
        return answer

    async def _change(self, operation: str, make: Callable[[], T]) -> T:
        """After a lost answer: find out what came of it, however long that takes."""
        await self.before(operation)
        made = make()
        while True:
            try:
                await self.after(operation)
                return made
            except Unavailable:
                await asyncio.sleep(REACH_AGAIN_SECONDS)
