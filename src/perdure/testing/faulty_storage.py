"""A Storage that is slow, fails for a while, or takes its process with it, as a schedule says."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Protocol, cast

import msgspec

from perdure.contracts.errors import StorageError, Unavailable
from perdure.contracts.records import (
    Backlog,
    Committed,
    CreateOutcome,
    DamagedInstance,
    Hold,
    PartitionLease,
    Replaceable,
    Round,
    StoredInstance,
)
from perdure.contracts.storage import Storage
from perdure.core.checkpoint import Creation
from perdure.core.messages import Envelope, TimerDue
from perdure.testing.storage_shell import StorageShell


class CommitFate(Enum):
    """What happens around one commit."""

    FINE = "fine"
    CRASH_BEFORE = "the process dies before it"
    CRASH_AFTER = "the process dies after it, before anybody hears of it"


class FaultSchedule(Protocol):
    """What goes wrong when. Every question is asked once per call, in the order of the calls."""

    def seconds(self, operation: str) -> float:
        """How long the store takes, before and after."""
        ...

    def error(self, operation: str) -> StorageError | None:
        """What the store answers instead of doing it."""
        ...

    def fate(self) -> CommitFate:
        """What becomes of the process at the next commit."""
        ...

    def repeats_due_rows(self) -> bool:
        """Whether rows that are to become due are read twice."""
        ...


class NoFaults:
    """Nothing goes wrong."""

    def seconds(self, operation: str) -> float:
        return 0.0

    def error(self, operation: str) -> StorageError | None:
        return None

    def fate(self) -> CommitFate:
        return CommitFate.FINE

    def repeats_due_rows(self) -> bool:
        return False


class FaultyStorage(StorageShell):
    """``crash`` is called in the middle of the commit that kills the process; that commit never returns."""

    def __init__(self, inner: Storage, schedule: FaultSchedule, crash: Callable[[], None]) -> None:
        super().__init__(inner)
        self._schedule = schedule
        self._crash = crash

    async def create_instance(self, creation: Creation, reuse: Replaceable) -> CreateOutcome:
        await self._before("create")
        return await self.inner.create_instance(creation, reuse)

    async def send(self, envelope: Envelope) -> None:
        await self._before("send")
        await self.inner.send(envelope)

    async def receive(self, hold: Hold) -> list[Envelope]:
        if (seconds := self._schedule.seconds("receive")) > 0:
            await asyncio.sleep(seconds)
        return await self.inner.receive(hold)

    async def recover(self, leases: Sequence[PartitionLease], now: datetime, horizon: datetime) -> Backlog:
        await self._before("read")
        backlog = await self.inner.recover(leases, now, horizon)
        backlog.due = self._repeated(backlog.due)
        return backlog

    async def read_due(self, hold: Hold, after: datetime, until: datetime) -> list[Envelope]:
        await self._before("read")
        return self._repeated(await self.inner.read_due(hold, after, until))

    async def load(self, hold: Hold, instance_ids: Collection[str]) -> dict[str, StoredInstance | DamagedInstance]:
        await self._before("load")
        return await self.inner.load(hold, instance_ids)

    async def read_inbox(self, hold: Hold, instance_id: str, now: datetime) -> list[Envelope]:
        await self._before("read")
        return await self.inner.read_inbox(hold, instance_id, now)

    async def purge(self, instance_ids: Collection[str]) -> int:
        await self._before("purge")
        return await self.inner.purge(instance_ids)

    async def commit(self, hold: Hold, round_: Round) -> Committed:
        await self._before("commit")
        fate = self._schedule.fate()
        if fate is CommitFate.CRASH_BEFORE:
            await self._die()
        committed = await self.inner.commit(hold, round_)
        if fate is CommitFate.CRASH_AFTER:
            await self._die()
        await self._wait("commit")
        return committed

    async def _die(self) -> None:
        self._crash()
        await asyncio.get_running_loop().create_future()

    async def _before(self, operation: str) -> None:
        await self._wait(operation)
        if (error := self._schedule.error(operation)) is not None:
            raise error

    async def _wait(self, operation: str) -> None:
        if (seconds := self._schedule.seconds(operation)) > 0:
            await asyncio.sleep(seconds)

    def _repeated(self, due: Sequence[Envelope]) -> list[Envelope]:
        if not self._schedule.repeats_due_rows():
            return list(due)
        # Timers may come twice at any place; of other rows the engine is promised that they come once.
        return [*due, *(msgspec.structs.replace(e) for e in due if isinstance(e.message, TimerDue))]


class KilledProcessStorage:
    """What a dead process's store answers to whatever it is asked."""

    def __getattr__(self, name: str) -> Any:
        raise Unavailable("The process that held the store was killed.")


class FileStorage(StorageShell):
    """A store in a file, used by processes that are killed: after ``crash`` nothing reaches it until it is opened."""

    def __init__(self, reopen: Callable[[], Storage]) -> None:
        self._reopen = reopen
        self._held = reopen()
        super().__init__(self._held)

    def crash(self) -> None:
        """The process is gone: its requests reach the store no more."""
        self.inner = cast(Storage, KilledProcessStorage())

    async def open(self) -> None:
        if self.inner is not self._held:
            # Only now, when none of its tasks is left, are the dead process's handles taken away.
            await self._held.close()
            self._held = self.inner = self._reopen()
        await self.inner.open()

    async def close(self) -> None:
        await self._held.close()
