"""A Storage for stores that many processes hold together: joins the parts of this folder over ``SharedTables``."""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime

from perdure.contracts.clock import Clock
from perdure.contracts.errors import (
    CheckpointRefused,
    InstanceTaken,
    Overloaded,
    StorageError,
    StoreFailed,
    StoreFull,
    Unavailable,
)
from perdure.contracts.offers import OfferedWork
from perdure.contracts.records import (
    Backlog,
    Committed,
    CreateOutcome,
    Hold,
    PartitionLease,
    Replaceable,
    Round,
    Turnover,
)
from perdure.core.checkpoint import Creation
from perdure.core.instance import InstanceRecord
from perdure.core.messages import Envelope
from perdure.core.status import RuntimeStatus
from perdure.storage.changes import Changes, Placed, changes_of
from perdure.storage.instance_reads import InstanceReads
from perdure.storage.options import StorageOptions
from perdure.storage.settling import Settling
from perdure.storage.shared.arriving import ArrivalReading
from perdure.storage.shared.chores import Chore
from perdure.storage.shared.creating import Creating
from perdure.storage.shared.errands import Errands
from perdure.storage.shared.handing_over import HandingOver
from perdure.storage.shared.hearing import Hearing
from perdure.storage.shared.hints import Hints
from perdure.storage.shared.holding import Holding
from perdure.storage.shared.keeping import Keeping, LeaseTimes
from perdure.storage.shared.leaving import Leaving
from perdure.storage.shared.living import Living
from perdure.storage.shared.numbers import ReservedNumbers
from perdure.storage.shared.offering import Offering
from perdure.storage.shared.ownership import Ownership
from perdure.storage.shared.statuses import StatusReads
from perdure.storage.shared.store_clock import StoreClock
from perdure.storage.shared.tables import Hint, IdsTaken, SharedTables
from perdure.storage.shared.transacting import Transacting
from perdure.storage.shared.watching import Watching
from perdure.storage.status_waiters import StatusWaiters

_DEFAULT_TIMES = LeaseTimes()


class ManyProcessStorage(InstanceReads):
    """Implements ``Storage``; the promises are stated there."""

    def __init__(
        self,
        tables: SharedTables,
        clock: Clock,
        options: StorageOptions,
        times: LeaseTimes = _DEFAULT_TIMES,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(tables)
        self._tables = tables
        self._clock = StoreClock(clock, monotonic)
        self._options = options
        self._times = times
        self._unusable: StorageError | None = Unavailable("The store is not open.")
        self._releasing: set[asyncio.Task[None]] = set()
        """Never cancelled: each ends by itself, soon when the store is closed."""
        self._assemble()

    def _assemble(self) -> None:
        """All parts anew: nothing of one opening is left in the next one."""
        tables, options = self._tables, self._options
        self._numbers = ReservedNumbers()
        self._holding = holding = Holding(options.waiting_max, options.waiting_bytes_max)
        self._waiters = StatusWaiters()
        self._living = Living()
        self._hints = Hints(tables, lambda: self._keeping.process)
        self._ownership = Ownership(tables, holding, self._hints, lambda partitions: self._leaving.lose(partitions))
        self._keeping = Keeping(
            tables,
            self._clock,
            self._times,
            seen=lambda sight: self._hearing.seen(sight),
            gone=self._gone,
            heard=lambda hint: self._hearing.heard(hint),
            failed=self._shut,
        )
        self._keeping.owes = self._owes
        self._transacting = Transacting(
            tables,
            holding,
            Settling(holding, self._waiters),
            self._living,
            process=self._keeping.announced,
            buried=self._keeping.buried,
            lost=lambda partitions: self._leaving.lose(partitions),
            sent=self._tell_of_arrivals,
            failed=self._shut,
        )
        self._ownership.keeping = self._keeping
        self._ownership.transacting = self._transacting
        self._creating = Creating(
            holding, self._ownership, StatusReads(tables), self._transacting, self._numbers, tables.load
        )
        self._errands = Errands(
            tables, self._numbers, self._hints, self._creating.create_here, self._ownership.owner_of
        )
        self._creating.errands = self._errands
        self._watching = Watching(tables, self._waiters, self._hints, self._owner_of, lambda: self._keeping.process)
        self._arriving = ArrivalReading(tables, self._deliver)
        self._offering = Offering(
            tables,
            holding,
            self._ownership,
            self._numbers,
            check=self._check,
            have_numbers=self._have_numbers,
            tell=lambda process: self._hints.tell(process, Hint(sender=0, has_offers=True)),
            tell_all=self._tell_all_of_offers,
            arrived=self._tell_of_arrivals,
        )
        self._leaving = Leaving(
            holding,
            self._living,
            self._arriving,
            HandingOver(holding, self._creating, self._transacting, self._numbers),
            transacting=self._transacting,
            ownership=self._ownership,
            keeping=self._keeping,
            is_open=self._is_open,
        )
        self._hearing = Hearing(
            self._arriving.read,
            self._work_on_errands,
            ownership=self._ownership,
            keeping=self._keeping,
            hints=self._hints,
            watching=self._watching,
            offering=self._offering,
            waiters=self._waiters,
            is_open=self._is_open,
            failed=self._shut,
        )
        self._reserving = Chore(self._reserve, self._shut)

    @property
    def clock(self) -> Clock:
        return self._clock

    @property
    def has_others(self) -> bool:
        return True

    @property
    def partition_count(self) -> int:
        return self._tables.partition_count

    @property
    def process(self) -> int | None:
        """Our number among the processes of the hub; None while we have none."""
        return self._keeping.process

    @property
    def offers(self) -> OfferedWork:
        """For executors; of the present opening."""
        return self._offering

    async def open(self) -> None:
        if self._unusable is None:
            return
        if isinstance(self._unusable, StoreFailed):
            raise self._unusable
        self._assemble()
        await self._tables.open()
        self._holding.count = self._tables.partition_count
        self._unusable = None

    async def close(self) -> None:
        if self._unusable is None:
            others = self._ownership.others if self._keeping.process is not None else ()
            process = self._keeping.process
            self._stop(Unavailable("The store is closed."))
            await self._keeping.stop()
            for other in others:
                await self._tables.hint(other, Hint(sender=process or 0, has_partitions=True))
        if self._releasing:
            await asyncio.wait(self._releasing)
        await self._tables.close()

    def abandon(self, reason: StorageError) -> None:
        """Stop without a word, as a killed process does. Closed afterwards, but for the way to the store."""
        self._stop(reason)
        self._keeping.abandon()

    def describe(self) -> str:
        return self._tables.describe()

    # Leases

    async def acquire(self, owner: str) -> list[PartitionLease]:
        self._check()
        # Whoever holds partitions must be able to write what is in memory when they go.
        await self._have_numbers()
        return await self._ownership.acquire(owner)

    async def turnover(self, hold: Hold) -> Turnover:
        return await self._holding.turnover(hold, self._check)

    async def renew(self, leases: Sequence[PartitionLease]) -> list[PartitionLease]:
        self._check()
        return self._holding.in_force(leases)

    async def release(self, leases: Sequence[PartitionLease]) -> None:
        """Beyond what ``Leases`` says: whoever releases what it was not asked for takes no more until ``acquire``.

        It comes to its end also when the caller is cancelled meanwhile: senders wait for it.
        """
        self._check()
        releasing = asyncio.create_task(self._leaving.release(leases))
        self._releasing.add(releasing)
        releasing.add_done_callback(self._releasing.discard)
        await asyncio.shield(releasing)

    # Inboxes

    async def create_instance(self, creation: Creation, reuse: Replaceable) -> CreateOutcome:
        self._check_room()
        await self._have_numbers()
        return await self._creating.create(creation, reuse)

    async def send(self, envelope: Envelope) -> None:
        self._check_room()
        partition = self._holding.partition_of(envelope.target)
        if self._holding.takes(partition) and self._ownership.others:
            # What another process took from the same sender before is a row by now, and comes first.
            await self._hearing.arrivals.done()
            self._check()
        if self._holding.takes(partition):
            await self._holding.admit(envelope, None, partition)
            return
        await self._have_numbers()
        await self._transacting.write_messages(Changes(kept=[Placed(self._numbers.take(), envelope)]), {})

    async def recover(self, leases: Sequence[PartitionLease], now: datetime, horizon: datetime) -> Backlog:
        self._check()
        self._holding.check_leases(leases)
        partitions = [lease.partition for lease in leases]
        backlog, mark = await self._tables.recover(partitions, now, horizon)
        self._check()
        self._holding.check_leases(leases)
        self._arriving.begin(partitions, mark, [*backlog.ready, *backlog.due])
        # What the instances of these partitions have sent to ours before comes before what they send from now on.
        await self._hearing.arrivals.done()
        self._holding.check_leases(leases)
        self._hearing.errands.poke()
        return self._holding.without_delivered(leases, backlog)

    async def receive(self, hold: Hold) -> list[Envelope]:
        return await self._holding.wait(hold, self._check)

    def receive_now(self, hold: Hold) -> list[Envelope]:
        self._check()
        return self._holding.take(hold)

    async def read_due(self, hold: Hold, after: datetime, until: datetime) -> list[Envelope]:
        self._check_hold(hold)
        partitions = list(hold.partitions)
        return await self._arriving.without_unheard(partitions, lambda: self._tables.read_due(partitions, after, until))

    async def read_inbox(self, hold: Hold, instance_id: str, now: datetime) -> list[Envelope]:
        self._check_hold(hold)
        partition = self._holding.partition_of(instance_id)
        rows = await self._arriving.without_unheard([partition], lambda: self._tables.read_inbox(instance_id, now))
        self._hearing.arrivals.poke()
        return rows

    def creation_of(self, start: Envelope) -> Creation | None:
        return self._holding.creation_of(start)

    # Checkpoints

    async def commit(self, hold: Hold, round_: Round) -> Committed:
        self._check_hold(hold)
        await self._have_numbers()
        holding = self._holding
        concerned = holding.concerned(hold, round_)
        if holding.unsaved and any(id(envelope) in holding.unsaved for envelope in round_.discarded):
            raise CheckpointRefused("The start of an instance that has no row yet cannot be discarded.")
        changes = changes_of(round_, self._numbers, holding.unsaved, holding.claims)
        if changes.replaced:
            changes.replaced_if_ended = self._creating.ended_before(changes)
        try:
            await self._transacting.write_round(round_, changes, holding.fence(hold, concerned, changes))
        except IdsTaken as taken:
            raise InstanceTaken(taken.instance_ids) from taken
        self._watching.committed(round_.checkpoints)
        return Committed(changes.activities)

    # Instances

    async def wait_for_status(self, instance_id: str, wanted: frozenset[RuntimeStatus]) -> InstanceRecord:
        self._check()
        with self._waiters.waiting(instance_id, wanted) as announced:
            status = self._living.status_of(instance_id)
            if status is not None and status not in wanted:
                return await announced
            if self._holding.partition_of(instance_id) not in self._holding.leases:
                # Whom we ask must know whom to tell.
                await self._keeping.announced()
                self._watching.begin(instance_id)
            record = await self._tables.get(instance_id)
            if record is not None and record.progress.status in wanted:
                return record
            return await announced

    # What the hub tells

    def _gone(self) -> None:
        """Nothing is ours any more."""
        self._errands.fail(Unavailable("This process lost touch with the store; whether it was done is to be read."))
        self._offering.forget_all()
        self._leaving.lose(list(self._holding.leases))

    def _deliver(self, envelopes: Iterable[Envelope], partitions: Collection[int]) -> None:
        holding = self._holding
        for envelope in envelopes:
            partition = holding.partition_of(envelope.target)
            if partition in partitions and partition in holding.leases:
                holding.deliver(envelope, partition)

    # What is told to others

    def _tell_of_arrivals(self, partition: int) -> None:
        owner = self._ownership.owner_of(partition)
        if owner is None:
            return
        if owner == self._keeping.process:
            self._hearing.arrivals.poke()
        else:
            self._hints.tell(owner, Hint(sender=0, has_arrivals=True))

    def _tell_all_of_offers(self) -> None:
        for process in self._ownership.others:
            self._hints.tell(process, Hint(sender=0, has_offers=True))

    # Below

    async def _purge(self, instance_ids: list[str]) -> int:
        return await self._transacting.purge(instance_ids)

    def _owner_of(self, instance_id: str) -> int | None:
        return self._ownership.owner_of(self._holding.partition_of(instance_id))

    def _owes(self) -> bool:
        return self._errands.is_awaited or self._offering.is_owed or self._watching.is_waited_for

    async def _work_on_errands(self) -> None:
        if (process := self._keeping.process) is not None:
            await self._errands.collect(process)
            if self._holding.leases:
                await self._errands.serve(self._holding.leases.keys())

    async def _have_numbers(self) -> None:
        """So that nobody waits for a number later."""
        if self._numbers.is_empty:
            await self._reserve()
        elif self._numbers.is_short:
            self._reserving.poke()

    async def _reserve(self) -> None:
        self._numbers.add(await self._tables.reserve_numbers())

    def _is_open(self) -> bool:
        return self._unusable is None

    def _check(self) -> None:
        if self._unusable is not None:
            raise self._unusable

    def _check_hold(self, hold: Hold) -> None:
        self._check()
        self._holding.check(hold)

    def _check_room(self) -> None:
        self._check()
        full_until = self._transacting.full_until
        if full_until and asyncio.get_running_loop().time() < full_until:
            raise StoreFull("The store has no space left; nothing is accepted until there is.")
        waiting, characters = self._transacting.waiting, self._transacting.waiting_characters
        if waiting >= self._options.waiting_max or characters >= self._options.waiting_bytes_max:
            raise Overloaded(f"{waiting} messages with {characters} characters wait to be stored; try again.")

    def _shut(self, reason: StorageError) -> None:
        """After StoreFailed: refuse everything from here on; who waits gets the reason."""
        self._stop(reason)
        self._keeping.abandon()

    def _stop(self, reason: StorageError) -> None:
        if self._unusable is None:
            self._unusable = reason
        self._holding.end()
        self._transacting.fail(reason)
        self._holding.fail(reason)
        self._errands.fail(reason)
        self._waiters.fail(reason)
        self._arriving.stop()
        self._hearing.stop()
        self._reserving.stop()
        self._errands.stop()
        self._hints.stop()
        self._leaving.stop()
