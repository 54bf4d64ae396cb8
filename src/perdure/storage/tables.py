"""What a store of one process must offer below the shared shell: rows, read and written. No messages in memory here."""

import asyncio
from datetime import datetime
from typing import Protocol

from perdure.contracts.records import (
    Backlog,
)
from perdure.core.messages import Envelope
from perdure.core.status import RuntimeStatus
from perdure.storage.changes import Changes, Outcome
from perdure.storage.instance_reads import InstanceTables


class Tables(InstanceTables, Protocol):
    """One hub's rows."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def describe(self) -> str: ...

    def first_number(self) -> int:
        """The lowest number that was never given; valid after ``open``."""
        ...

    def epoch(self) -> int:
        """The newest holder's epoch; valid after ``open``."""
        ...

    def status_of(self, instance_id: str) -> RuntimeStatus | None:
        """None when there is no such instance. A read by key, without waiting."""
        ...

    def write(self, changes: Changes, *, at_once: bool) -> asyncio.Future[Outcome]:
        """Make all of it true, durably, or nothing; changes are applied in the order of the calls.

        The future is done at the return when the write ran in the caller's turn.
        ``at_once`` writes without waiting for others of this turn of the loop to join.
        The future's errors: CheckpointRefused, StoreFull, Unavailable (nothing written), StoreFailed.
        """
        ...

    async def recover(self, now: datetime, horizon: datetime) -> Backlog: ...

    async def read_due(self, after: datetime, until: datetime) -> list[Envelope]: ...

    async def read_inbox(self, instance_id: str, now: datetime) -> list[Envelope]: ...
