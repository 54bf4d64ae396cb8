"""The one writer: whatever waits goes into the next transaction (group commit)."""

import asyncio
import sqlite3
from collections import deque
from functools import partial

from perdure.contracts.errors import CheckpointRefused, StoreFailed, StoreFull, Unavailable
from perdure.contracts.lanes import Lane
from perdure.storage.changes import Changes, Outcome
from perdure.storage.sqlite.checkpoints import apply
from perdure.storage.sqlite.log import Log

BUSY_PAUSE_SECONDS = 0.01


class Busy(Exception):
    """Somebody outside holds the file's write lock; nothing was written."""


class _Ticket:
    """One caller's changes and its answer."""

    __slots__ = ("changes", "written")

    def __init__(self, changes: Changes, written: asyncio.Future[Outcome]) -> None:
        self.changes = changes
        self.written = written

    def answer(self, outcome: Outcome | None, error: BaseException | None) -> None:
        if self.written.done():
            return
        if error is not None:
            self.written.set_exception(error)
        elif outcome is not None:
            self.written.set_result(outcome)


class Writer:
    """Brings changes to ``connection``, a transaction at a time, in the order of the calls.

    After StoreFailed nothing is written any more (reliability.md D6).
    """

    def __init__(
        self, connection: sqlite3.Connection, lane: Lane, place: str, log: Log, busy_seconds_max: float
    ) -> None:
        self._cursor = connection.cursor()
        self._connection = connection
        self._lane = lane
        self._place = place
        self._log = log
        self._busy_seconds_max = busy_seconds_max
        self._waiting: list[_Ticket] = []
        self._retried: deque[_Ticket] = deque()
        self._writing = False
        self._scheduled = False
        self._failed: StoreFailed | None = None

    def write(self, changes: Changes, *, at_once: bool) -> asyncio.Future[Outcome]:
        loop = asyncio.get_running_loop()
        ticket = _Ticket(changes, loop.create_future())
        self._waiting.append(ticket)
        if not self._writing:
            if at_once:
                self._begin()
            elif not self._scheduled:
                self._scheduled = True
                loop.call_soon(self._begin_scheduled)
        return ticket.written

    async def idle(self) -> None:
        """Wait until everything given is written or refused."""
        while self._writing or self._waiting:
            await asyncio.wait([self.write(Changes(), at_once=True)])

    def _begin_scheduled(self) -> None:
        self._scheduled = False
        if not self._writing and self._waiting:
            self._begin()

    def _begin(self) -> None:
        if self._retried:
            tickets = [self._retried.popleft()]
        else:
            tickets, self._waiting = self._waiting, []
        if self._failed is not None:
            for ticket in tickets:
                ticket.answer(None, self._failed)
            return
        changes = tickets[0].changes
        if len(tickets) > 1:
            changes = Changes()
            for ticket in tickets:
                changes.join(ticket.changes)
        self._writing = True
        self._run(tickets, changes, asyncio.get_running_loop().time() + self._busy_seconds_max)

    def _run(self, tickets: list[_Ticket], changes: Changes, deadline: float) -> None:
        running = asyncio.ensure_future(self._lane.run(partial(self._transact, changes)))
        if running.done():
            self._end(tickets, changes, deadline, running)
        else:
            running.add_done_callback(partial(self._end, tickets, changes, deadline))

    def _end(self, tickets: list[_Ticket], changes: Changes, deadline: float, running: asyncio.Future[Outcome]) -> None:
        error = running.exception()
        if isinstance(error, Busy):
            loop = asyncio.get_running_loop()
            if loop.time() < deadline:
                loop.call_later(BUSY_PAUSE_SECONDS, self._run, tickets, changes, deadline)
                return
            error = Unavailable(f"Another program keeps the store {self._place} locked.")
        self._writing = False
        if isinstance(error, StoreFailed):
            self._failed = error
        if isinstance(error, CheckpointRefused) and len(tickets) > 1:
            # Only whoever is at fault shall be refused.
            self._retried.extend(tickets)
        else:
            outcome = None if error is not None else running.result()
            for ticket in tickets:
                ticket.answer(outcome, error)
        self._go_on()

    def _go_on(self) -> None:
        if self._log.is_long and self._failed is None:
            self._writing = True
            folding = asyncio.ensure_future(self._lane.run(self._fold))
            if folding.done():
                self._folded(folding)
            else:
                folding.add_done_callback(self._folded)
            return
        while (self._retried or self._waiting) and not self._writing:
            self._begin()

    def _folded(self, folding: asyncio.Future[None]) -> None:
        self._writing = False
        error = folding.exception()
        if isinstance(error, StoreFailed):
            self._failed = error
        self._go_on()

    def _fold(self) -> None:
        """Fold the log into the file. Whoever waits has been answered: what is in the log is durable."""
        try:
            self._log.fold(self._cursor)
        except sqlite3.Error as error:
            meaning = self._meaning(error)
            # Busy and full: the log keeps everything, and is folded later.
            if isinstance(meaning, StoreFailed):
                raise meaning from error

    def _transact(self, changes: Changes) -> Outcome:
        if not changes:
            return Outcome()
        cursor = self._cursor
        try:
            cursor.execute("begin immediate")
            outcome = apply(cursor, changes)
            cursor.execute("commit")
            self._log.grown(self._connection.total_changes)
        except Exception as error:
            meaning = self._meaning(error)
            if self._connection.in_transaction:
                try:
                    cursor.execute("rollback")
                except sqlite3.Error as second:
                    meaning = StoreFailed(f"The store {self._place} cannot roll back ({second}) after: {error}")
            raise meaning from error
        return outcome

    def _meaning(self, error: Exception) -> Exception:
        """An error in a transaction → what it means for the store."""
        if isinstance(error, CheckpointRefused):
            return error
        if not isinstance(error, sqlite3.Error) or isinstance(error, _REFUSALS):
            return CheckpointRefused(f"{type(error).__name__}: {error}")
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return Busy()
        if code == sqlite3.SQLITE_FULL:
            return StoreFull(f"There is no space left for the store {self._place}: {error}.")
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        return StoreFailed(f"Writing the store {self._place} failed for good: {error} ({name}).")


_REFUSALS = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError, sqlite3.InterfaceError)
"""Errors that say something about the values, not about the file."""
