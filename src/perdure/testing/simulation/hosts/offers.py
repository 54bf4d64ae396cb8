"""What is offered among the hosts of a hub, told from what was asked alone, and held against the rows."""

from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from perdure.contracts.executor import ServedKind
from perdure.contracts.offers import ClaimedOffer, Offer, OfferAnswer, OfferKey
from perdure.storage.changes import Placed
from perdure.storage.shared.tables import Epochs, PartitionRow

Require = Callable[[bool, str], None]
Standing = tuple[int | None, str | None]
"""Who does it, and the answer to it."""


class Up(msgspec.Struct, eq=False):
    """An offer that stands. ``doer``: the process that has claimed it."""

    offer: Offer
    doer: int | None = None
    token: int = 0
    answer: str | None = None

    @property
    def is_activity(self) -> bool:
        return self.offer.kind is ServedKind.ACTIVITY

    def belongs_to(self, process: int, claimed: ClaimedOffer) -> bool:
        """Whether that claim of that process is in force."""
        return self.doer == process and self.token == claimed.token and self.answer is None


class OffersAudit:
    """The promises of ``OfferedWork``, one method for each transaction.

    ``is_pending``: whether an activity waits for its result. ``came_of``: told of the result of an activity that
    counted, and of its row.
    """

    def __init__(
        self,
        require: Require,
        is_pending: Callable[[int], bool],
        came_of: Callable[[int, Placed], None],
        partition_of: Callable[[str], int],
    ) -> None:
        self._require = require
        self._is_pending = is_pending
        self._came_of = came_of
        self._partition_of = partition_of
        self.up: dict[int, Up] = {}
        self.offered_count = 0
        self.claim_count = 0
        self.turn_claim_count = 0
        self.counted = 0
        """Results and answers of others that counted."""

    def doer_of(self, number: int) -> int | None:
        """Who does it; None: nobody, or it is not up."""
        return None if (up := self.up.get(number)) is None else up.doer

    def offered(
        self, process: int, offers: Sequence[Offer], fence: Epochs, partitions: Mapping[int, PartitionRow]
    ) -> None:
        for offer in offers:
            row = partitions[offer.partition]
            self._require(
                offer.partition == self._partition_of(offer.instance_id)
                and fence.get(row.partition) == row.epoch
                and row.owner == process,
                f"I4: process {process} offers under {dict(fence)} what belongs to {row}: {offer}",
            )
            if offer.number not in self.up and not self._is_over(offer):
                self.up[offer.number] = Up(offer)
                self.offered_count += 1

    def claimed(self, process: int, keys: Collection[OfferKey], claimed: Sequence[ClaimedOffer]) -> None:
        for one in claimed:
            up = self.up.get(one.offer.number)
            self._require(
                up is not None and up.doer is None and up.answer is None and up.offer == one.offer,
                f"X2: process {process} claims what is not to be had, {up}: {one}",
            )
            assert up is not None
            self._require(one.offer.key in keys, f"process {process} got what it cannot do: {one}")
            up.doer, up.token = process, one.token
            self.claim_count += 1
            self.turn_claim_count += not up.is_activity

    def finished(
        self, process: int, handed_in: Sequence[tuple[ClaimedOffer, Placed | OfferAnswer]], counted: frozenset[int]
    ) -> None:
        right: set[int] = set()
        seen: set[tuple[int, int]] = set()
        for claimed, answer in handed_in:
            number = claimed.offer.number
            up = self.up.get(number)
            is_repeated = (number, claimed.token) in seen
            self._require(not is_repeated, f"I1: process {process} hands in twice what it has claimed as {claimed}")
            seen.add((number, claimed.token))
            # A claim of this process's former number may come together with the one that counts.
            if up is None or not up.belongs_to(process, claimed):
                continue
            right.add(number)
            self.counted += 1
            if isinstance(answer, OfferAnswer):
                up.answer, up.doer = answer.body, None
            else:
                del self.up[number]
                self._came_of(number, answer)
        self._require(
            right == counted, f"I1: process {process} hands in {handed_in}; {set(counted)} count, should be {right}"
        )

    def given_up(self, claimed: Sequence[ClaimedOffer]) -> list[int]:
        """Gives the numbers of those that are free again."""
        freed: list[int] = []
        for one in claimed:
            up = self.up.get(one.offer.number)
            if up is not None and up.doer is not None and up.belongs_to(up.doer, one):
                up.doer = None
                freed.append(one.offer.number)
        return freed

    def withdrawn(self, numbers: Collection[int], fence: Epochs, back: frozenset[int]) -> None:
        for number in numbers:
            up = self.up.get(number)
            is_back = up is not None and up.doer is None and up.offer.partition in fence
            self._require(is_back == (number in back), f"X2: taken back: {number in back}, though it stands as {up}")
            if is_back:
                del self.up[number]

    def process_gone(self, process: int) -> None:
        """Its claims are worth nothing."""
        for up in self.up.values():
            if up.doer == process:
                up.doer = None

    def partitions_claimed(self, partitions: Collection[int]) -> None:
        """Turns belonged to who had them before."""
        self._drop(lambda up: up.offer.partition in partitions and not up.is_activity)

    def activities_changed(self) -> None:
        """Some may not be waited for any more."""
        self._drop(lambda up: self._is_over(up.offer))

    def told(self, answers: Sequence[OfferAnswer]) -> None:
        """Answers as an owner reads them."""
        for answer in answers:
            up = self.up.get(answer.number)
            self._require(up is not None and up.answer == answer.body, f"an answer from nowhere: {answer}, {up}")

    def compare(self, stored: Mapping[int, Standing]) -> None:
        """With what the rows say."""
        standing = {number: (up.doer, up.answer) for number, up in self.up.items()}
        self._require(stored == standing, f"X2: offers stand as {stored}, should be {standing}")

    def _is_over(self, offer: Offer) -> bool:
        return offer.kind is ServedKind.ACTIVITY and not self._is_pending(offer.number)

    def _drop(self, is_dropped: Callable[[Up], bool]) -> None:
        for number in [number for number, up in self.up.items() if is_dropped(up)]:
            del self.up[number]
