"""A Storage for stores that one process holds: messages in memory and rows brought together over ``Tables``."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from perdure.contracts.clock import Clock
from perdure.contracts.errors import CheckpointRefused, LeaseLost, StorageError, StoreFailed, StoreFull, Unavailable
from perdure.contracts.records import (
    Backlog,
    Committed,
    CreateOutcome,
    Hold,
    PartitionLease,
    Replaceable,
    Round,
    Turnover,
    may_replace,
)
from perdure.core.checkpoint import Creation
from perdure.core.instance import InstanceRecord
from perdure.core.messages import Envelope
from perdure.core.status import RuntimeStatus
from perdure.storage.arrivals import Arrivals
from perdure.storage.changes import Changes, Numbers, Outcome, Placed, changes_of, create
from perdure.storage.instance_reads import InstanceReads
from perdure.storage.options import StorageOptions
from perdure.storage.settling import Settling
from perdure.storage.status_waiters import StatusWaiters
from perdure.storage.tables import Tables

FULL_SECONDS = 1.0
"""How long new messages are refused after a full store, before one is let through to try."""


class OneProcessStorage(InstanceReads):
    """Implements ``Storage``; the promises are stated there. One partition; the lease is this process's hold."""

    partition_count = 1
    has_others = False
    offers = None

    def __init__(self, tables: Tables, clock: Clock, options: StorageOptions) -> None:
        super().__init__(tables)
        self.clock = clock
        self._tables = tables
        self._options = options
        self._arrivals = Arrivals(options.waiting_max, options.waiting_bytes_max)
        self._waiters = StatusWaiters()
        self._settling = Settling(self._arrivals, self._waiters)
        self._changing_hands = asyncio.Lock()
        self._numbers = Numbers(1)
        self._epoch = 0
        self._full_until = 0.0
        self._unusable: StorageError | None = Unavailable("The store is not open.")

    async def open(self) -> None:
        if self._unusable is None:
            return
        if isinstance(self._unusable, StoreFailed):
            raise self._unusable
        await self._tables.open()
        self._numbers = Numbers(self._tables.first_number())
        self._epoch = self._tables.epoch()
        self._changing_hands = asyncio.Lock()
        self._unusable = None

    async def close(self) -> None:
        self._shut(Unavailable("The store is closed."))
        await self._tables.close()

    def describe(self) -> str:
        return self._tables.describe()

    # Leases

    async def acquire(self, owner: str) -> list[PartitionLease]:
        self._check()
        async with self._changing_hands:
            if self._arrivals.lease is not None:
                return []
            self._epoch += 1
            lease = PartitionLease(0, self._epoch, owner)
            # Held from before the write, so that no message gets a row between this and the reading of the backlog.
            self._arrivals.hold(lease)
            try:
                await self._write(Changes(epoch=lease.epoch), self._note_failure)
            except StorageError as error:
                self._arrivals.let_go()
                self._arrivals.fail(error)
                raise
            return [lease]

    async def turnover(self, hold: Hold) -> Turnover:
        self._check()
        try:
            await self._arrivals.until_let_go(hold)
            raise LeaseLost("The partition was released.", frozenset(hold.partitions))
        except LeaseLost:
            self._check()
            raise

    async def renew(self, leases: Sequence[PartitionLease]) -> list[PartitionLease]:
        self._check()
        return [lease for lease in leases if lease == self._arrivals.lease]

    async def release(self, leases: Sequence[PartitionLease]) -> None:
        """Beyond what ``Leases`` says: messages that were handed out and not decided on are written too."""
        self._check()
        async with self._changing_hands:
            if self._arrivals.lease is None or self._arrivals.lease not in leases:
                return
            self._arrivals.let_go()
            # A commit under way decides first.
            await self._write(Changes(), self._note_failure)
            changes = Changes()
            for arrival in self._arrivals.undecided():
                if arrival.creation is None:
                    changes.kept.append(Placed(self._numbers.take(), arrival.envelope))
                else:
                    create(changes, arrival.creation, self._numbers)
            changes.numbers_reserved = self._numbers.reservation()
            try:
                await self._write(changes, partial(self._settle, changes))
            except StorageError as error:
                self._arrivals.fail(error)
                raise

    # Inboxes

    async def create_instance(self, creation: Creation, reuse: Replaceable) -> CreateOutcome:
        self._check_room()
        arrivals = self._arrivals
        instance_id = creation.record.origin.instance_id
        while instance_id in arrivals.claims:
            if await arrivals.claims.wait(instance_id) and not may_replace(reuse, RuntimeStatus.Pending):
                # It lived while this call was waiting.
                return CreateOutcome.EXISTS
        self._check()
        status = None if creation.has_new_id else self._tables.status_of(instance_id)
        if status is not None and not may_replace(reuse, status):
            return CreateOutcome.EXISTS
        creation.replaces = status is not None
        if arrivals.lease is not None:
            saved = arrivals.admit(creation.start, creation)
            arrivals.claims.add(instance_id)
            await saved
        else:
            changes = Changes()
            create(changes, creation, self._numbers)
            changes.numbers_reserved = self._numbers.reservation()
            arrivals.claims.add(instance_id)
            await self._write(changes, partial(self._settle, changes), at_once=False)
        return CreateOutcome.CREATED if status is None else CreateOutcome.REPLACED

    async def send(self, envelope: Envelope) -> None:
        self._check_room()
        if self._arrivals.lease is not None:
            await self._arrivals.admit(envelope, None)
            return
        changes = Changes(kept=[Placed(self._numbers.take(), envelope)])
        changes.numbers_reserved = self._numbers.reservation()
        await self._write(changes, partial(self._settle, changes), at_once=False)

    async def recover(self, leases: Sequence[PartitionLease], now: datetime, horizon: datetime) -> Backlog:
        self._check()
        self._arrivals.check_leases(leases)
        return await self._tables.recover(now, horizon)

    async def receive(self, hold: Hold) -> list[Envelope]:
        self._check()
        try:
            return await self._arrivals.wait(hold)
        except LeaseLost:
            self._check()
            raise

    def receive_now(self, hold: Hold) -> list[Envelope]:
        self._check()
        return self._arrivals.take(hold)

    async def read_due(self, hold: Hold, after: datetime, until: datetime) -> list[Envelope]:
        self._check_hold(hold)
        return await self._tables.read_due(after, until)

    async def read_inbox(self, hold: Hold, instance_id: str, now: datetime) -> list[Envelope]:
        self._check_hold(hold)
        return await self._tables.read_inbox(instance_id, now)

    def creation_of(self, start: Envelope) -> Creation | None:
        return self._arrivals.creation_of(start)

    # Checkpoints

    async def commit(self, hold: Hold, round_: Round) -> Committed:
        self._check_hold(hold)
        arrivals = self._arrivals
        if arrivals.unsaved and any(id(envelope) in arrivals.unsaved for envelope in round_.discarded):
            raise CheckpointRefused("The start of an instance that has no row yet cannot be discarded.")
        changes = changes_of(round_, self._numbers, arrivals.unsaved, arrivals.claims)
        await self._write(changes, partial(self._settle_round, round_, changes))
        return Committed(changes.activities)

    # Instances

    async def wait_for_status(self, instance_id: str, wanted: frozenset[RuntimeStatus]) -> InstanceRecord:
        self._check()
        # Nearly always it is too early: the status alone is a quarter of the work of a record.
        while (status := self._tables.status_of(instance_id)) is not None and status in wanted:
            record = await self._tables.get(instance_id)
            if record is not None and record.progress.status in wanted:
                return record
        with self._waiters.waiting(instance_id, wanted) as announced:
            return await announced

    # Below

    async def _purge(self, instance_ids: list[str]) -> int:
        outcome = await self._write(Changes(purged=instance_ids), self._note_failure, at_once=False)
        return len(outcome.purged.intersection(instance_ids))

    def _check(self) -> None:
        if self._unusable is not None:
            raise self._unusable

    def _check_hold(self, hold: Hold) -> None:
        self._check()
        self._arrivals.check(hold)

    def _check_room(self) -> None:
        self._check()
        if self._full_until and asyncio.get_running_loop().time() < self._full_until:
            raise StoreFull("The store has no space left; nothing is accepted until there is.")

    async def _write(
        self, changes: Changes, settle: Callable[[asyncio.Future[Outcome]], object], *, at_once: bool = True
    ) -> Outcome:
        """Write and settle; settling happens also when the caller is cancelled meanwhile."""
        writing = self._tables.write(changes, at_once=at_once)
        if writing.done():
            settle(writing)
            return writing.result()
        writing.add_done_callback(settle)
        return await asyncio.shield(writing)

    def _note_failure(self, writing: asyncio.Future[Outcome]) -> bool:
        """Whether the write failed; what that means for the whole store."""
        error = writing.exception()
        if error is None:
            self._full_until = 0.0
            return False
        if isinstance(error, StoreFull):
            self._full_until = asyncio.get_running_loop().time() + FULL_SECONDS
        elif isinstance(error, StoreFailed):
            self._shut(error)
        return True

    def _settle(self, changes: Changes, writing: asyncio.Future[Outcome]) -> None:
        """Client messages and creations got their rows, or did not."""
        if self._note_failure(writing):
            self._settling.messages_failed(changes)
            return
        self._numbers.reserved(changes.numbers_reserved)
        self._settling.messages(changes)

    def _settle_round(self, round_: Round, changes: Changes, writing: asyncio.Future[Outcome]) -> None:
        if self._note_failure(writing):
            self._settling.round_failed(changes)
            return
        self._numbers.reserved(changes.numbers_reserved)
        sent = self._settling.round_(round_, changes, writing.result())
        if sent and self._arrivals.lease is not None:
            self._arrivals.deliver([placed.envelope for placed in sent])

    def _shut(self, reason: StorageError) -> None:
        """Refuse everything from here on; who waits gets the reason."""
        if self._unusable is None:
            self._unusable = reason
        self._arrivals.let_go()
        self._arrivals.fail(reason)
        self._waiters.fail(reason)
