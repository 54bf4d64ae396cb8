"""Work that a process lets any process of the hub do (architecture.md J11).

Only a store that many processes share has offers; an executor gets them as ``OfferedWork``.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import msgspec

from perdure.contracts.executor import ServedKind
from perdure.core.messages import Envelope


class OfferKey(msgspec.Struct, frozen=True):
    """What decides who can do it. Names and versions are compared exactly; no version is the version ``None``."""

    kind: ServedKind
    name: str
    version: str | None = None


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """Work that an owner lets any process do that can.

    ``number`` is unique in the hub; for an activity it is the activity's. ``body`` is what the doer needs beyond the
    rows of the instance, as text; the store does not read it.
    """

    number: int
    kind: ServedKind
    name: str
    version: str | None = None
    instance_id: str
    partition: int
    body: str

    @property
    def key(self) -> OfferKey:
        """Who can do it."""
        return OfferKey(self.kind, self.name, self.version or None)


class ClaimedOffer(msgspec.Struct, frozen=True):
    """An offer that this process does; ``token`` proves it."""

    offer: Offer
    token: int


class OfferAnswer(msgspec.Struct, frozen=True):
    """What came of an offer, as text; kept until its owner takes it back."""

    number: int
    body: str


class FinishedOffer(msgspec.Struct, frozen=True):
    """What is handed in: a message to the instance (then the offer is gone) or an answer for its owner."""

    claimed: ClaimedOffer
    answer: Envelope | OfferAnswer


class OfferState(msgspec.Struct, frozen=True):
    """An offer of one instance, as anybody may see it. ``doer``: the process that does it; None while nobody does."""

    kind: ServedKind
    name: str
    doer: str | None = None


class OfferedWork(Protocol):
    """Putting work up, and doing the work of others. All that is awaited may raise Unavailable and StoreFailed.

    Work that is no activity belongs to the present holder of its partition: it is gone when another one comes.
    """

    @property
    def is_alone(self) -> bool:
        """Whether no other process is known, so that nobody else could do anything."""
        ...

    def holds(self, partition: int) -> bool:
        """Whether this process has the partition now."""
        ...

    def epoch_of(self, partition: int) -> int | None:
        """Under which epoch this process has the partition now; None when it has not."""
        ...

    def next_offer_number(self) -> int:
        """For an offer that is no activity."""
        ...

    async def offer(self, offers: Sequence[Offer]) -> None:
        """Put work up. What is up already stays as it is. Raises LeaseLost, naming partitions: then nothing is up."""
        ...

    async def offer_claimed(self, offers: Sequence[Offer]) -> list[ClaimedOffer]:
        """Put up activities that this process does already, claimed by it from the start; gives those that now are.

        The others have ended, or are up already. Raises LeaseLost, naming partitions: then nothing is up.
        """
        ...

    async def waiting_offers(self) -> list[OfferKey]:
        """What there is that nobody has: each key once."""
        ...

    async def claim_offers(self, keys: Collection[OfferKey], limit: int) -> list[ClaimedOffer]:
        """Take up to so many that nobody has, with these keys, the oldest first; never one twice."""
        ...

    async def finish_offers(self, finished: Sequence[FinishedOffer]) -> frozenset[int]:
        """Hand in what came of them, each once; gives the numbers of those that counted.

        The others were taken back, have ended with their instance, or are somebody else's now; nothing came of them.
        """
        ...

    async def give_up_offers(self, claimed: Sequence[ClaimedOffer]) -> None:
        """Put them up again, undone."""
        ...

    async def take_answers(self) -> list[OfferAnswer]:
        """Answers to offers of the partitions held here; told again until they are withdrawn."""
        ...

    async def withdraw_offers(self, numbers: Mapping[int, int]) -> frozenset[int]:
        """Take offers back that nobody does or whose answer is there; gives those that are back.

        ``numbers``: of offers → the partition of each. Raises LeaseLost, naming partitions: then nothing is back.
        """
        ...

    async def offers_of(self, instance_id: str) -> list[OfferState]:
        """What of an instance is up."""
        ...

    async def offers_stirred(self) -> None:
        """Wait until looking is worth while: there may be work to claim, or an answer to take. For one waiter.

        Cancelling it loses nothing.
        """
        ...
