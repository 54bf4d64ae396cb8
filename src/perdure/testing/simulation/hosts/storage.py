"""Both ends of a host's store, with the audit listening: what engine and client are given, and the rows."""

from collections.abc import Collection, Sequence
from datetime import datetime

from perdure.contracts.errors import StorageError
from perdure.contracts.offers import ClaimedOffer, Offer, OfferAnswer, OfferKey
from perdure.contracts.records import (
    Backlog,
    Committed,
    CreateOutcome,
    Hold,
    PartitionLease,
    PendingActivity,
    Replaceable,
    Round,
)
from perdure.contracts.storage import Storage
from perdure.core.checkpoint import Creation
from perdure.core.messages import Envelope
from perdure.storage.changes import Changes, Outcome, Placed
from perdure.storage.memory.shared_memory import SharedMemory
from perdure.storage.shared.tables import Epochs
from perdure.testing.simulated_loop import SimulatedClock
from perdure.testing.simulation.audited_parts import client_name
from perdure.testing.simulation.hosts.audit import HostsAudit, HostView
from perdure.testing.simulation.hosts.offers import OffersAudit
from perdure.testing.simulation.hosts.rounds import GivenRound
from perdure.testing.simulation.hosts.runs import Right, RunsAudit
from perdure.testing.storage_shell import StorageShell


class AuditedMemory(SharedMemory):
    """The rows. ``asker``: the host whose question is just being carried out."""

    def __init__(self, clock: SimulatedClock, partition_count: int, audit: HostsAudit) -> None:
        super().__init__(clock, partition_count)
        self.asker: HostView | None = None
        self._audit = audit
        self._names: dict[int, str] = {}
        self.offered = OffersAudit(audit.require, audit.is_pending, audit.came_of, audit.partition_of)
        audit.runs = RunsAudit(audit.require, self)
        self.handed_over_count = 0
        """Activities that ran while their partition went elsewhere."""

    def write(self, process: int, changes: Changes, fence: Epochs) -> Outcome:
        outcome = super().write(process, changes, fence)
        assert self.asker is not None
        self._audit.check_owner(process, changes, fence, self.partitions)
        self._audit.written(self.asker, changes, fence, outcome, self.rows)
        self.offered.activities_changed()
        self._compare_offers()
        return outcome

    def now(self) -> datetime:
        """The store's time."""
        return self._clock.now()

    def holds(self, hold: Hold) -> bool:
        """Whether all of it is in force."""
        rows = self.partitions
        return all(rows[lease.partition].epoch == lease.epoch for lease in hold.leases.values())

    def check_used(self, host: HostView, hold: Hold) -> None:
        """O2: who still uses a lease that somebody else has got since must have slept until now."""
        taken = [lease for lease in hold.leases.values() if self.partitions[lease.partition].epoch > lease.epoch]
        self._audit.require(not taken or host.has_overslept, f"O2: {host.name} still uses {taken}: {self.partitions}")

    def name_of(self, process: int | None) -> str | None:
        """Which host that process is of."""
        return None if process is None else self._names[process]

    def announce(self, name: str, lease_seconds: float) -> int:
        number = super().announce(name, lease_seconds)
        assert self.asker is not None
        self._names[number] = self.asker.name
        self._audit.note("announced", number)
        return number

    def depart(self, process: int) -> None:
        super().depart(process)
        self.offered.process_gone(process)
        self._compare_offers()

    def bury(self, process: int) -> bool:
        buried = super().bury(process)
        if buried:
            self._audit.note("buried", process)
        return buried

    def claim(self, process: int, partitions: Collection[int]) -> dict[int, int]:
        claimed = super().claim(process, partitions)
        self.offered.partitions_claimed(claimed)
        self._compare_offers()
        if claimed:
            self._audit.note("claimed", process, list(claimed))
            self._audit.takeover_count += sum(epoch > 1 for epoch in claimed.values())
        return claimed

    def give_back(self, process: int, epochs: Epochs) -> None:
        super().give_back(process, epochs)
        self._audit.note("gave back", process, list(epochs))

    # Offers

    def offer(self, process: int, offers: Sequence[Offer], fence: Epochs) -> None:
        super().offer(process, offers, fence)
        self.offered.offered(process, offers, fence, self.partitions)
        self._compare_offers()

    def offer_claimed(self, process: int, offers: Sequence[Offer], fence: Epochs) -> list[ClaimedOffer]:
        claimed = super().offer_claimed(process, offers, fence)
        self.offered.offered(process, offers, fence, self.partitions)
        self.offered.claimed(process, {offer.key for offer in offers}, claimed)
        self._compare_offers()
        self.handed_over_count += len(claimed)
        self._audit.note("handed over", process, [one.offer.number for one in claimed])
        return claimed

    def claim_offers(self, process: int, keys: Collection[OfferKey], limit: int) -> list[ClaimedOffer]:
        claimed = super().claim_offers(process, keys, limit)
        self.offered.claimed(process, keys, claimed)
        self._compare_offers()
        self._audit.note("claimed offers", process, [one.offer.number for one in claimed])
        return claimed

    def finish_offers(
        self, process: int, finished: Sequence[tuple[ClaimedOffer, Placed | OfferAnswer]]
    ) -> frozenset[int]:
        counted = super().finish_offers(process, finished)
        self.offered.finished(process, finished, counted)
        self._compare_offers()
        return counted

    def give_up_offers(self, claimed: Sequence[ClaimedOffer]) -> None:
        super().give_up_offers(claimed)
        assert self.asker is not None
        for number in self.offered.given_up(claimed):
            if self.asker.is_out_of_grace:
                self._audit.runs.given_up(self.asker.name, number)
        self._compare_offers()

    def take_answers(self, partitions: Collection[int]) -> list[OfferAnswer]:
        answers = super().take_answers(partitions)
        self.offered.told(answers)
        return answers

    def withdraw(self, process: int, numbers: Collection[int], fence: Epochs) -> frozenset[int]:
        back = super().withdraw(process, numbers, fence)
        self.offered.withdrawn(numbers, fence, back)
        self._compare_offers()
        return back

    def doers(self) -> set[str]:
        """The hosts that have claimed something."""
        return {self._names[up.doer] for up in self.offered.up.values() if up.doer is not None}

    def _compare_offers(self) -> None:
        self.offered.compare({number: (offered.doer, offered.answer) for number, offered in self._offers.items()})

    # Rights

    def is_listed(self, process: int) -> bool:
        return process in self._processes

    def was_struck(self, host: str) -> bool:
        return any(name == host and number not in self._processes for number, name in self._names.items())

    def is_of(self, process: int, host: str) -> bool:
        return self._names.get(process) == host

    def doer_of(self, number: int) -> int | None:
        return self.offered.doer_of(number)

    def right_to(self, activity: PendingActivity) -> Right | None:
        if not self._audit.is_pending(activity.number):
            return None
        if activity.number in self.offered.up:
            doer = self.doer_of(activity.number)
            return None if doer is None else Right(doer, None)
        row = self.partitions[self._audit.partition_of(activity.instance_id)]
        return None if row.owner is None else Right(row.owner, row.epoch)


class HostStorage(StorageShell):
    """What engine and client of one host are given."""

    def __init__(self, inner: Storage, view: HostView, memory: AuditedMemory) -> None:
        super().__init__(inner)
        self._view = view
        self._memory = memory

    async def create_instance(self, creation: Creation, reuse: Replaceable) -> CreateOutcome:
        view, start = self._view, creation.start
        view.sends(start, client_name.get(), creation)
        try:
            outcome = await self.inner.create_instance(creation, reuse)
        except StorageError:
            # Another process may have been asked to do it, and do it still.
            view.forgets(start)
            raise
        if not view.is_dead:
            if outcome is CreateOutcome.EXISTS:
                view.refuses(start)
            else:
                view.answers(start)
        return outcome

    async def send(self, envelope: Envelope) -> None:
        view = self._view
        view.sends(envelope, client_name.get())
        try:
            await self.inner.send(envelope)
        except StorageError:
            if not view.is_dead:
                view.refuses(envelope)
            raise
        if not view.is_dead:
            view.answers(envelope)

    async def recover(self, leases: Sequence[PartitionLease], now: datetime, horizon: datetime) -> Backlog:
        backlog = await self.inner.recover(leases, now, horizon)
        if not self._view.is_dead:
            self._view.recovered(leases, backlog)
        return backlog

    async def receive(self, hold: Hold) -> list[Envelope]:
        envelopes = await self.inner.receive(hold)
        self._received(hold, envelopes)
        return envelopes

    def receive_now(self, hold: Hold) -> list[Envelope]:
        envelopes = self.inner.receive_now(hold)
        self._received(hold, envelopes)
        return envelopes

    async def read_due(self, hold: Hold, after: datetime, until: datetime) -> list[Envelope]:
        envelopes = await self.inner.read_due(hold, after, until)
        self._view.audit.read(envelopes)
        return envelopes

    async def read_inbox(self, hold: Hold, instance_id: str, now: datetime) -> list[Envelope]:
        envelopes = await self.inner.read_inbox(hold, instance_id, now)
        self._view.audit.read(envelopes)
        return envelopes

    async def commit(self, hold: Hold, round_: Round) -> Committed:
        view = self._view
        given = GivenRound(round_, self.inner.creation_of)
        is_ours = self._memory.holds(hold)
        view.gives(given)
        try:
            committed = await self.inner.commit(hold, round_)
        except StorageError:
            # A commit that is cancelled may come true all the same.
            if not view.is_dead:
                view.is_over(given)
            raise
        if not view.is_dead:
            view.is_over(given)
            if not given.signs:
                view.audit.require(is_ours, f"I4: {view.name} decides for partitions that are not its own: {round_}")
                if not given.is_true:
                    view.audit.came_true(given, committed.activities)
            view.audit.require(given.is_true, f"I3: a round counts as committed that is not: {round_}")
        return committed

    def _received(self, hold: Hold, envelopes: list[Envelope]) -> None:
        if not self._view.is_dead:
            self._memory.check_used(self._view, hold)
            self._view.received(envelopes, self.inner.creation_of)
