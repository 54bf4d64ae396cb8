"""A hub that many processes share, in dictionaries: what a shared store must do, written to be read.

Each method is one transaction: it does everything or raises and does nothing. Commits are counted; the count of the
newest one is the mark, and a row that an outsider wrote bears the count of its commit.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain

from perdure.contracts.clock import Clock
from perdure.contracts.executor import ServedKind
from perdure.contracts.offers import ClaimedOffer, Offer, OfferAnswer, OfferKey, OfferState
from perdure.contracts.records import Backlog
from perdure.core.messages import Envelope
from perdure.core.partitions import partition_of
from perdure.storage.changes import Changes, Outcome, Placed
from perdure.storage.memory.tables import MemoryTables
from perdure.storage.shared.tables import (
    Arrived,
    Epochs,
    Errand,
    Hint,
    IdsTaken,
    PartitionRow,
    PartitionsLost,
    ProcessBuried,
    ProcessRow,
    Sight,
)

PARTITIONS = 32
BLOCK = 1 << 32
"""How many numbers a process gets at a time."""


class ArrivedRows(MemoryTables):
    """Rows whose messages are told in the order of their arrival, which is the order of the dictionary."""

    def write_now(self, changes: Changes) -> Outcome:
        """As ``write``, at once. Raises IdsTaken besides."""
        self._assert_free(changes)
        known = set(self.inbox)
        outcome = self.write(changes, at_once=True).result()
        for position in sorted(self.inbox.keys() - known):
            self.inbox[position] = self.inbox.pop(position)
        return outcome

    def _assert_free(self, changes: Changes) -> None:
        new = {numbered.checkpoint.origin.instance_id for numbered in changes.inserted}
        new |= {made.creation.record.origin.instance_id for made in changes.created}
        taken = {i for i in new if i in self.records and i not in changes.replaced}
        for instance_id in changes.replaced_if_ended:
            record = self.records.get(instance_id)
            if record is not None and not record.progress.status.is_terminal:
                taken.add(instance_id)
        if taken:
            raise IdsTaken(frozenset(taken))

    def told(self, envelopes: Iterable[Envelope]) -> list[Envelope]:
        """Copies, in the order of arrival."""
        return [Envelope(e.target, e.message, e.due_at, e.position) for e in envelopes]

    def _messages(self, envelopes: Iterable[Envelope]) -> list[Envelope]:
        return self.told(envelopes)


@dataclass
class _Process:
    name: str
    expires_at: datetime
    runs: bool = False


@dataclass
class _Offered:
    offer: Offer
    doer: int | None = None
    token: int = 0
    answer: str | None = None


@dataclass
class _Left:
    errand: Errand
    answer: str | None = None


class SharedMemory:
    """The database. Several ``SharedMemoryTables`` use one of these at once, all on one loop."""

    def __init__(self, clock: Clock, partition_count: int = PARTITIONS) -> None:
        self.rows = ArrivedRows()
        self.partition_count = partition_count
        self.partitions = {number: PartitionRow(number, 0, None) for number in range(partition_count)}
        self.listeners: dict[int, Callable[[Hint], None]] = {}
        self._clock = clock
        self._processes: dict[int, _Process] = {}
        self._newest_process = 0
        self._next_block = 1
        self._commits = 0
        self._arrivals: dict[int, int] = {}
        """Position of a row that an outsider wrote → the count of its commit."""
        self._offers: dict[int, _Offered] = {}
        self._tokens = 0
        self._errands: dict[int, _Left] = {}

    # Processes and partitions

    def announce(self, name: str, lease_seconds: float) -> int:
        self._newest_process += 1
        self._processes[self._newest_process] = _Process(name, self._after(lease_seconds))
        return self._newest_process

    def renew(self, process: int, lease_seconds: float, runs: bool) -> Sight | None:
        row = self._processes.get(process)
        if row is None:
            return None
        row.expires_at = self._after(lease_seconds)
        row.runs = runs
        now = self._clock.now()
        owned = {row.partition for row in self.partitions.values() if row.owner == process}
        return Sight(
            now=now,
            processes=[ProcessRow(n, p.name, p.expires_at > now, p.runs) for n, p in self._processes.items()],
            partitions=list(self.partitions.values()),
            has_arrivals=any(self._partition_of(self.rows.inbox[p].target) in owned for p in self._marked()),
            has_offers=any(
                o.doer is None and (o.answer is None or o.offer.partition in owned) for o in self._offers.values()
            ),
            has_errands=any(
                left.errand.partition in owned if left.answer is None else left.errand.asker == process
                for left in self._errands.values()
            ),
        )

    def bury(self, process: int) -> bool:
        row = self._processes.get(process)
        if row is None or row.expires_at > self._clock.now():
            return False
        self.depart(process)
        return True

    def depart(self, process: int) -> None:
        if self._processes.pop(process, None) is None:
            return
        self.listeners.pop(process, None)
        for row in list(self.partitions.values()):
            if row.owner == process:
                self.partitions[row.partition] = PartitionRow(row.partition, row.epoch, None)
        for offered in self._offers.values():
            if offered.doer == process and offered.answer is None:
                offered.doer = None
        for number in [n for n, left in self._errands.items() if left.errand.asker == process]:
            del self._errands[number]

    def claim(self, process: int, partitions: Collection[int]) -> dict[int, int]:
        self._check_process(process)
        claimed: dict[int, int] = {}
        for partition in partitions:
            row = self.partitions[partition]
            if row.owner is None:
                claimed[partition] = row.epoch + 1
                self.partitions[partition] = PartitionRow(partition, row.epoch + 1, process)
        self._drop_offers(lambda offer: offer.partition in claimed and offer.kind is not ServedKind.ACTIVITY)
        return claimed

    def give_back(self, process: int, epochs: Epochs) -> None:
        self._check_process(process)
        for partition, epoch in epochs.items():
            if self.partitions[partition] == PartitionRow(partition, epoch, process):
                self.partitions[partition] = PartitionRow(partition, epoch, None)

    def reserve_numbers(self) -> range:
        block = range(self._next_block, self._next_block + BLOCK)
        self._next_block = block.stop
        return block

    # Writing

    def write(self, process: int, changes: Changes, fence: Epochs) -> Outcome:
        self._check_fence(process, fence)
        outcome = self.rows.write_now(changes)
        self._commits += 1
        for placed in chain(changes.created, changes.children, changes.kept, changes.envelopes):
            row = self.rows.inbox.get(placed.position)
            if row is not None and self._partition_of(row.target) not in fence:
                self._arrivals[placed.position] = self._commits
        self._drop_offers(self._is_over)
        return outcome

    # Reading for owners

    def recover(self, partitions: Collection[int], now: datetime, horizon: datetime) -> tuple[Backlog, int]:
        messages = self._messages(partitions)
        pending = (self.rows.activities[number][1] for number in sorted(self.rows.activities))
        backlog = Backlog(
            ready=self.rows.told(e for e in messages if e.due_at is None or e.due_at <= now),
            due=self.read_due(partitions, now, horizon),
            activities=[
                activity
                for activity in pending
                if self._partition_of(activity.instance_id) in partitions and activity.number not in self._offers
            ],
        )
        return backlog, self._commits

    def arrivals(self, partitions: Collection[int], mark: int) -> Arrived:
        since = {position for position in self._marked() if self._arrivals[position] >= mark}
        return Arrived(self.rows.told(e for e in self._messages(partitions) if e.position in since), self._commits)

    def read_due(self, partitions: Collection[int], after: datetime, until: datetime) -> list[Envelope]:
        due = (e for e in self._messages(partitions) if e.due_at is not None and after < e.due_at <= until)
        return sorted(self.rows.told(due), key=lambda envelope: envelope.due_at or after)

    # Offers

    def offer(self, process: int, offers: Sequence[Offer], fence: Epochs) -> None:
        self._check_fence(process, fence)
        for offer in offers:
            if offer.number not in self._offers and not self._is_over(offer):
                self._offers[offer.number] = _Offered(offer)

    def offer_claimed(self, process: int, offers: Sequence[Offer], fence: Epochs) -> list[ClaimedOffer]:
        self._check_fence(process, fence)
        new = [offer for offer in offers if offer.number not in self._offers and not self._is_over(offer)]
        self._tokens += 1
        self._offers |= {offer.number: _Offered(offer, process, self._tokens) for offer in new}
        return [ClaimedOffer(offer, self._tokens) for offer in new]

    def waiting_offers(self) -> list[OfferKey]:
        free = (o.offer.key for o in self._offers.values() if o.doer is None and o.answer is None)
        return list(dict.fromkeys(free))

    def claim_offers(self, process: int, keys: Collection[OfferKey], limit: int) -> list[ClaimedOffer]:
        self._check_process(process)
        claimed: list[ClaimedOffer] = []
        for offered in self._offers.values():
            is_free = offered.doer is None and offered.answer is None
            if len(claimed) < limit and is_free and offered.offer.key in keys:
                self._tokens += 1
                offered.doer, offered.token = process, self._tokens
                claimed.append(ClaimedOffer(offered.offer, self._tokens))
        return claimed

    def finish_offers(
        self, process: int, finished: Sequence[tuple[ClaimedOffer, Placed | OfferAnswer]]
    ) -> frozenset[int]:
        self._check_process(process)
        return frozenset(c.offer.number for c, answer in finished if self.finish_offer(c, answer))

    def finish_offer(self, claimed: ClaimedOffer, answer: Placed | OfferAnswer) -> bool:
        offered = self._claimed(claimed)
        if offered is None or offered.answer is not None:
            return False
        if isinstance(answer, OfferAnswer):
            offered.answer, offered.doer = answer.body, None
            return True
        self._commits += 1
        ended = answer.envelope.ends_activity
        self.rows.write_now(Changes(kept=[answer], ended_activities=[] if ended is None else [ended]))
        self._arrivals[answer.position] = self._commits
        del self._offers[claimed.offer.number]
        return True

    def give_up_offers(self, claimed: Sequence[ClaimedOffer]) -> None:
        for one in claimed:
            offered = self._claimed(one)
            if offered is not None and offered.answer is None:
                offered.doer = None

    def take_answers(self, partitions: Collection[int]) -> list[OfferAnswer]:
        return [
            OfferAnswer(number, offered.answer)
            for number, offered in self._offers.items()
            if offered.answer is not None and offered.offer.partition in partitions
        ]

    def offers_of(self, instance_id: str) -> list[OfferState]:
        offered = (o for _, o in sorted(self._offers.items()) if o.offer.instance_id == instance_id)
        return [
            OfferState(o.offer.kind, o.offer.name, None if o.doer is None else self._processes[o.doer].name)
            for o in offered
        ]

    def withdraw(self, process: int, numbers: Collection[int], fence: Epochs) -> frozenset[int]:
        self._check_fence(process, fence)
        back: set[int] = set()
        for number in numbers:
            offered = self._offers.get(number)
            if offered is not None and offered.doer is None and offered.offer.partition in fence:
                del self._offers[number]
                back.add(number)
        return frozenset(back)

    # Errands

    def leave_errand(self, errand: Errand) -> None:
        self._errands[errand.number] = _Left(errand)

    def errands(self, partitions: Collection[int]) -> list[Errand]:
        return [
            self._errands[number].errand
            for number in sorted(self._errands)
            if self._errands[number].answer is None and self._errands[number].errand.partition in partitions
        ]

    def answer_errand(self, number: int, body: str) -> None:
        left = self._errands.get(number)
        if left is not None and left.answer is None:
            left.answer = body

    def collect_errands(self, process: int) -> dict[int, str]:
        answers = {
            number: left.answer
            for number, left in self._errands.items()
            if left.errand.asker == process and left.answer is not None
        }
        for number in answers:
            del self._errands[number]
        return answers

    def drop_errand(self, number: int) -> None:
        self._errands.pop(number, None)

    # Below

    def _after(self, seconds: float) -> datetime:
        return self._clock.now() + timedelta(seconds=seconds)

    def _check_process(self, process: int) -> None:
        if process not in self._processes:
            raise ProcessBuried(process)

    def _check_fence(self, process: int, fence: Epochs) -> None:
        self._check_process(process)
        lost = {p for p, epoch in fence.items() if self.partitions[p] != PartitionRow(p, epoch, process)}
        if lost:
            raise PartitionsLost(frozenset(lost))

    def _partition_of(self, instance_id: str) -> int:
        return partition_of(instance_id, self.partition_count)

    def _messages(self, partitions: Collection[int]) -> list[Envelope]:
        return [e for e in self.rows.inbox.values() if self._partition_of(e.target) in partitions]

    def _marked(self) -> list[int]:
        """Positions of the rows that outsiders wrote and that are still there."""
        for position in [p for p in self._arrivals if p not in self.rows.inbox]:
            del self._arrivals[position]
        return list(self._arrivals)

    def _claimed(self, claimed: ClaimedOffer) -> _Offered | None:
        offered = self._offers.get(claimed.offer.number)
        return offered if offered is not None and offered.doer is not None and offered.token == claimed.token else None

    def _is_over(self, offer: Offer) -> bool:
        """Whether nobody waits for it any more: an activity ends with its row, its owner takes back everything else."""
        return offer.kind is ServedKind.ACTIVITY and offer.number not in self.rows.activities

    def _drop_offers(self, is_dropped: Callable[[Offer], bool]) -> None:
        for number in [n for n, offered in self._offers.items() if is_dropped(offered.offer)]:
            del self._offers[number]
