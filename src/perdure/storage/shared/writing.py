"""Group commit over a store far away: one transaction is under way at a time, what comes meanwhile is the next one."""

import asyncio
from collections.abc import Awaitable, Callable, Collection

import msgspec

from perdure.contracts.errors import CheckpointRefused, StorageError, Unavailable
from perdure.storage.changes import Changes, Outcome
from perdure.storage.senders import payload_size
from perdure.storage.shared.holding import lease_lost
from perdure.storage.shared.tables import Epochs, IdsTaken, PartitionsLost, ProcessBuried

BATCH_MAX = 2_000
"""So many callers at most go into one transaction: it shall not take a good part of a lease."""
BATCH_CHARACTERS_MAX = 16_000_000
"""With so many characters of payload a transaction takes no further callers: stores have limits of their own."""


class Written(msgspec.Struct, eq=False):
    """A transaction that came true: what it brought about, and the fence it was written under."""

    outcome: Outcome
    fence: Epochs


class _Ticket:
    """One caller's changes and its answer."""

    __slots__ = ("changes", "fence", "size", "written")

    def __init__(self, changes: Changes, fence: Epochs, written: asyncio.Future[Written]) -> None:
        self.changes = changes
        self.fence = fence
        self.written = written
        self.size = _size(changes)

    def new_ids(self) -> frozenset[str]:
        """Ids that must be free, or free to be replaced."""
        changes = self.changes
        return frozenset(
            [numbered.checkpoint.origin.instance_id for numbered in changes.inserted]
            + [made.creation.record.origin.instance_id for made in changes.created]
            + changes.replaced_if_ended
        )

    def refuse(self, error: BaseException) -> None:
        if not self.written.done():
            self.written.set_exception(error)


class GroupWriter:
    """Brings changes to the store in the order of the calls.

    ``send`` writes one transaction; ``lost_of`` tells which partitions of a fence are not held any more. Whoever is at
    fault leaves a transaction that was refused; the others go again at once.
    """

    def __init__(
        self,
        send: Callable[[Changes, Epochs], Awaitable[Outcome]],
        lost_of: Callable[[Epochs], Collection[int]],
    ) -> None:
        self._send = send
        self._lost_of = lost_of
        self._waiting: list[_Ticket] = []
        self.waiting_characters = 0
        """Of payload, in what waits for the next transaction."""
        self._under_way: list[_Ticket] = []
        self._running: asyncio.Task[None] | None = None

    def write(self, changes: Changes, fence: Epochs) -> asyncio.Future[Written]:
        """The future's errors: LeaseLost of partitions in the fence; IdsTaken of ids that these changes make;
        CheckpointRefused, StoreFull, Unavailable (nothing written), StoreFailed."""
        written: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        ticket = _Ticket(changes, fence, written)
        self._waiting.append(ticket)
        self.waiting_characters += ticket.size
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return written

    @property
    def waiting(self) -> int:
        """How many wait for the next transaction."""
        return len(self._waiting)

    async def decided(self) -> None:
        """Wait until everything given so far is written or refused."""
        await self.write(Changes(), {})

    def fail(self, error: BaseException) -> None:
        """Refuse everything that waits or is under way, and write nothing more of it here."""
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
        tickets, self._waiting, self._under_way = [*self._under_way, *self._waiting], [], []
        self.waiting_characters = 0
        for ticket in tickets:
            ticket.refuse(error)

    async def _run(self) -> None:
        try:
            while self._waiting:
                self._under_way = self._next_batch()
                await self._write(self._under_way)
            self._under_way = []
            self._running = None
        except BaseException as error:
            if self._running is asyncio.current_task():
                self._running = None
                self.fail(Unavailable("The process ends.") if isinstance(error, asyncio.CancelledError) else error)
            raise

    def _next_batch(self) -> list[_Ticket]:
        count = min(len(self._waiting), BATCH_MAX)
        size = self.waiting_characters
        if count < len(self._waiting) or size > BATCH_CHARACTERS_MAX:
            count = size = 0
            for ticket in self._waiting[:BATCH_MAX]:
                if count and size + ticket.size > BATCH_CHARACTERS_MAX:
                    break
                count += 1
                size += ticket.size
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        self.waiting_characters -= size
        return batch

    async def _write(self, tickets: list[_Ticket]) -> None:
        while tickets := self._still_held(tickets):
            fence: dict[int, int] = {}
            for ticket in tickets:
                fence.update(ticket.fence)
            changes = tickets[0].changes
            if len(tickets) > 1:
                changes = Changes()
                for ticket in tickets:
                    changes.join(ticket.changes)
            try:
                outcome = await self._send(changes, fence) if changes else Outcome()
            except ProcessBuried:
                tickets = _without(tickets, lambda ticket: lease_lost(ticket.fence) if ticket.fence else None)
            except PartitionsLost as lost:
                tickets = _without(tickets, lambda ticket, lost=lost.partitions: _lost(ticket, lost))
            except IdsTaken as taken:
                tickets = _without(tickets, lambda ticket, taken=taken.instance_ids: _taken(ticket, taken))
            except CheckpointRefused as error:
                if len(tickets) == 1:
                    tickets[0].refuse(error)
                else:
                    # Only whoever is at fault shall be refused.
                    for ticket in tickets:
                        await self._write([ticket])
                return
            except StorageError as error:
                for ticket in tickets:
                    ticket.refuse(error)
                return
            else:
                for ticket in tickets:
                    if not ticket.written.done():
                        ticket.written.set_result(Written(outcome, fence))
                return

    def _still_held(self, tickets: list[_Ticket]) -> list[_Ticket]:
        """What was lost since it was asked for need not be tried."""

        def lost(ticket: _Ticket) -> Exception | None:
            gone = self._lost_of(ticket.fence)
            return lease_lost(gone) if gone else None

        return _without(tickets, lost)


def _size(changes: Changes) -> int:
    """About how many characters of payload come from clients; a round bounds its own."""
    size = sum(payload_size(placed.envelope) for placed in changes.kept) if changes.kept else 0
    return size + sum(payload_size(made.creation.start) for made in changes.created) if changes.created else size


def _without(tickets: list[_Ticket], error_of: Callable[[_Ticket], Exception | None]) -> list[_Ticket]:
    """Those that have no error; the others are told theirs."""
    left: list[_Ticket] = []
    for ticket in tickets:
        if (error := error_of(ticket)) is None:
            left.append(ticket)
        else:
            ticket.refuse(error)
    return left


def _lost(ticket: _Ticket, partitions: Collection[int]) -> Exception | None:
    gone = [partition for partition in ticket.fence if partition in partitions]
    return lease_lost(gone) if gone else None


def _taken(ticket: _Ticket, instance_ids: frozenset[str]) -> Exception | None:
    mine = ticket.new_ids() & instance_ids
    return IdsTaken(mine) if mine else None
