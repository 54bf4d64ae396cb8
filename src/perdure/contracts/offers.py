"""Work that a process lets any process of the hub do (architecture.md J11).

Only a store that many processes share has offers; an executor gets them as ``OfferedWork``.
"""

from collections.abc import Collection, Sequence
from typing import Protocol

import msgspec

from perdure.contracts.executor import ServedKind
from perdure.core.messages import Envelope


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


class ClaimedOffer(msgspec.Struct, frozen=True):
    """An offer that this process does; ``token`` proves it."""

    offer: Offer
    token: int


class OfferAnswer(msgspec.Struct, frozen=True):
    """What came of an offer, as text; kept until its owner takes it back."""

    number: int
    body: str


class OfferedWork(Protocol):
    """Putting work up, and doing the work of others. All may raise Unavailable and StoreFailed."""

    def next_offer_number(self) -> int:
        """For an offer that is no activity."""
        ...

    async def offer(self, offers: Sequence[Offer]) -> None:
        """Put work up. What is up already stays as it is. Raises LeaseLost, naming partitions: then nothing is up."""
        ...

    async def claim_offers(self, served: Collection[tuple[ServedKind, str]], limit: int) -> list[ClaimedOffer]:
        """Take up to so many that nobody has, of these kinds and names, the oldest first; never one twice."""
        ...

    async def finish_offer(self, claimed: ClaimedOffer, answer: Envelope | OfferAnswer) -> bool:
        """Hand in what came of it, once: a message to the instance (then the offer is gone) or an answer.

        False when the offer was taken back, has ended with its instance, or is somebody else's now; nothing happened.
        """
        ...

    async def give_up_offers(self, claimed: Sequence[ClaimedOffer]) -> None:
        """Put them up again, undone."""
        ...

    async def take_answers(self) -> list[OfferAnswer]:
        """Answers to offers of the partitions held here; told again until they are withdrawn."""
        ...

    async def withdraw_offers(self, numbers: Collection[int]) -> frozenset[int]:
        """Take offers back that nobody does or whose answer is there; gives those that are back."""
        ...

    async def offers_stirred(self) -> None:
        """Wait until looking is worth while: there may be work to claim, or an answer to take. For one waiter.

        Cancelling it loses nothing.
        """
        ...
