"""What a store that many processes share must offer below ``ManyProcessStorage``: rows, processes, offers, hints.

One transaction makes true what one call gives; a call either did all of it or nothing, and it does not end before that
is known (reliability.md D9): after a lost answer the tables find out. Time is the store's own.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from perdure.contracts.offers import ClaimedOffer, Offer, OfferAnswer, OfferKey, OfferState
from perdure.contracts.records import (
    Backlog,
)
from perdure.core.messages import Envelope
from perdure.core.status import RuntimeStatus
from perdure.storage.changes import Changes, Outcome, Placed
from perdure.storage.instance_reads import InstanceTables

Epochs = Mapping[int, int]
"""Partition → the epoch under which the writer believes to hold it."""


class PartitionsLost(Exception):
    """A fence did not hold: nothing was written. ``partitions`` are those that the writer holds no longer."""

    def __init__(self, partitions: frozenset[int]) -> None:
        super().__init__(f"the partitions {sorted(partitions)} are held by another process")
        self.partitions = partitions


class ProcessBuried(PartitionsLost):
    """The process has been taken off the list: nothing was written, and nothing it held is its own any more."""

    def __init__(self, process: int, partitions: frozenset[int] = frozenset()) -> None:
        super().__init__(partitions)
        self.args = (f"process {process} of the hub has been taken off the list",)
        self.process = process


class IdsTaken(Exception):
    """Instances that were to be new exist: nothing was written. ``instance_ids`` are theirs."""

    def __init__(self, instance_ids: frozenset[str]) -> None:
        super().__init__(f"{len(instance_ids)} instances exist already")
        self.instance_ids = instance_ids


class ProcessRow(msgspec.Struct, frozen=True):
    """One process that has announced itself. ``is_alive`` as the store's clock judged when it was read.

    ``runs``: whether it takes partitions, as it said when it last renewed.
    """

    number: int
    name: str
    is_alive: bool
    runs: bool


class PartitionRow(msgspec.Struct, frozen=True):
    """One partition. ``owner`` is the number of the process that holds it, None when it was given back."""

    partition: int
    epoch: int
    owner: int | None


class Sight(msgspec.Struct, frozen=True):
    """What a process sees of the hub when it renews.

    ``has_arrivals``: rows for its partitions that others wrote may be there (false only when there are none).
    ``has_offers``: somebody may offer work, or an answer to an offer of its own may be there.
    ``has_errands``: errands for its partitions, or answers to its own, may be there.
    """

    now: datetime
    processes: Sequence[ProcessRow]
    partitions: Sequence[PartitionRow]
    has_arrivals: bool
    has_offers: bool
    has_errands: bool


class Arrived(msgspec.Struct, frozen=True):
    """Rows that other processes wrote into inboxes, in the order of their arrival; ``mark`` is where to go on.

    A row may be told of again by the next reading; its position says that it is the same.
    """

    envelopes: Sequence[Envelope]
    mark: int


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """What one process asks the owner of a partition to do, because only an owner can; ``body`` as text.

    ``number`` is from ``reserve_numbers``, ``asker`` the number of the process that waits for the answer.
    """

    number: int
    asker: int
    partition: int
    body: str


class Hint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One process tells another that looking is worth while. It may be lost, doubled and late (J12).

    ``has_partitions``: partitions were given back, or the sender has come or goes.
    ``watched``: instance ids whose status the sender wants to hear of. ``reached``: ids that have changed theirs.
    """

    sender: int
    has_arrivals: bool = False
    has_offers: bool = False
    has_errands: bool = False
    has_partitions: bool = False
    watched: tuple[str, ...] = ()
    reached: tuple[str, ...] = ()


class SharedTables(InstanceTables, Protocol):
    """One hub's rows, as one process uses them. The methods that ``Tables`` and ``Storage`` have promise the same.

    All may raise Unavailable (nothing was done; the store cannot be reached now) and StoreFailed.
    """

    async def open(self) -> None:
        """Connect, migrate under a lock, check. Raises StoreUnusable."""
        ...

    async def close(self) -> None: ...

    def describe(self) -> str: ...

    @property
    def partition_count(self) -> int:
        """How many partitions the hub has, for ever; valid after ``open``."""
        ...

    # Processes and partitions

    async def announce(self, name: str, lease_seconds: float) -> int:
        """Make this process known; its number is new, higher than any before, and never used again.

        It takes no partitions until it says so by ``renew``.
        """
        ...

    async def renew(self, process: int, lease_seconds: float, *, runs: bool) -> Sight | None:
        """Stay alive for so long from now on by the store's clock, and say whether it takes partitions.

        None when the process has been buried.
        """
        ...

    async def bury(self, process: int) -> bool:
        """Take a process that has expired off the list: fence it out for good, free its partitions, put its claimed
        offers up again, drop its errands. False when it is alive after all or gone already."""
        ...

    async def depart(self, process: int) -> None:
        """This process ends in order: as ``bury``, of itself. Twice-safe."""
        ...

    async def claim(self, process: int, partitions: Collection[int]) -> Mapping[int, int]:
        """Take those of these partitions that are free; gives their new epochs. Raises ProcessBuried.

        Their offers that are no activities, which were the former holder's, are gone.
        """
        ...

    async def give_back(self, process: int, epochs: Epochs) -> None:
        """Free those that are still held under these epochs; what was committed before is seen by the next owner.

        Raises ProcessBuried.
        """
        ...

    async def reserve_numbers(self) -> range:
        """A block of numbers that nobody else gets, above all blocks given before; at least 2**32 of them."""
        ...

    # Writing

    async def write(self, process: int, changes: Changes, fence: Epochs) -> Outcome:
        """Make all of it true, durably, or nothing.

        ``fence``: partitions that must be held by this process under these epochs when it commits. Messages and
        creations for instances of partitions outside the fence are marked as arrivals for whoever holds those.
        The inbox rows of one transaction arrive in the order of their positions.
        IdsTaken names ``created`` and ``inserted`` ids that exist and are not in ``replaced``, and ids of
        ``replaced_if_ended`` whose instance has not ended or whose row somebody else takes away in the same moment.
        Others: as ``Tables.write``.
        Raises PartitionsLost, ProcessBuried, IdsTaken, CheckpointRefused, StoreFull, Unavailable: nothing was written.
        """
        ...

    # Reading for owners

    async def recover(self, partitions: Collection[int], now: datetime, horizon: datetime) -> tuple[Backlog, int]:
        """The backlog of these partitions and the mark from which on ``arrivals`` tells what is not in it.

        Activities that stand among the offers are left out.
        """
        ...

    async def arrivals(self, partitions: Collection[int], mark: int) -> Arrived:
        """Rows that others wrote for these partitions and that may not have been there at ``mark``."""
        ...

    async def read_due(self, partitions: Collection[int], after: datetime, until: datetime) -> list[Envelope]: ...

    async def read_inbox(self, instance_id: str, now: datetime) -> list[Envelope]: ...

    # Reading for everybody

    async def statuses_of(self, instance_ids: Collection[str]) -> dict[str, RuntimeStatus]:
        """By id; those that do not exist are left out. One query."""
        ...

    # Offers

    async def offer(self, process: int, offers: Sequence[Offer], fence: Epochs) -> None:
        """Put work up. What is up already stays as it is. Raises PartitionsLost, ProcessBuried."""
        ...

    async def offer_claimed(self, process: int, offers: Sequence[Offer], fence: Epochs) -> list[ClaimedOffer]:
        """Put activities up as claimed by this process; gives those that were not up.

        Raises PartitionsLost, ProcessBuried.
        """
        ...

    async def waiting_offers(self) -> list[OfferKey]:
        """The keys of the offers that nobody has, each once."""
        ...

    async def claim_offers(self, process: int, keys: Collection[OfferKey], limit: int) -> list[ClaimedOffer]:
        """Take up to so many that nobody has, with these keys, the oldest first; never one twice.

        Raises ProcessBuried.
        """
        ...

    async def finish_offers(
        self, process: int, finished: Sequence[tuple[ClaimedOffer, Placed | OfferAnswer]]
    ) -> frozenset[int]:
        """Hand in what came of them: a message (then the offer is gone) or an answer for the owner to take.

        A message becomes a row marked as an arrival, and ends the activity whose number the offer has.
        Gives the numbers of those that counted. The others were taken back, have ended with their instance, or are
        somebody else's now; nothing came of them. Raises ProcessBuried: then nothing came of any.
        """
        ...

    async def give_up_offers(self, claimed: Sequence[ClaimedOffer]) -> None:
        """Put them up again, undone."""
        ...

    async def take_answers(self, partitions: Collection[int]) -> list[OfferAnswer]:
        """Answers to offers of these partitions; they stay until ``withdraw``."""
        ...

    async def offers_of(self, instance_id: str) -> list[OfferState]:
        """What of an instance is up, by number; ``doer`` is a process's name."""
        ...

    async def withdraw(self, process: int, numbers: Collection[int], fence: Epochs) -> frozenset[int]:
        """Take offers back that nobody does or whose answer is there; gives those that are back.

        They are of the partitions of the fence: what a former holder takes back would be nobody's.
        Raises PartitionsLost, ProcessBuried.
        """
        ...

    # Errands

    async def leave_errand(self, errand: Errand) -> None:
        """Put it down for whoever owns its partition."""
        ...

    async def errands(self, partitions: Collection[int]) -> list[Errand]:
        """Those of these partitions that have no answer yet, in the order of their numbers."""
        ...

    async def answer_errand(self, number: int, body: str) -> None:
        """Keep this answer for the asker; nothing happens when it has one or is gone."""
        ...

    async def collect_errands(self, process: int) -> dict[int, str]:
        """The answers to this process's errands, by number; those errands are gone with it."""
        ...

    async def drop_errand(self, number: int) -> None:
        """Nobody waits for its answer any more. Twice-safe."""
        ...

    # Hints

    async def hint(self, process: int, hint: Hint) -> None:
        """Tell another process, outside any transaction. May be lost; never raises."""
        ...

    def listen(self, process: int, heard: Callable[[Hint], None]) -> None:
        """From now on call this on the loop with what others tell this process."""
        ...
