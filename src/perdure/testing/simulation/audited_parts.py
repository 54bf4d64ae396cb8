"""The seams, with the audit listening: right above the real store, and around the executor."""

import contextvars
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Protocol

from perdure.contracts.errors import CheckpointRefused, StorageError
from perdure.contracts.executor import ActivityResult, Executor, OrchestrationSession, Turn
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
from perdure.core.checkpoint import Checkpoint, Creation
from perdure.core.events import HistoryEvent
from perdure.core.instance import Origin
from perdure.core.messages import Envelope, Rewind
from perdure.testing.in_process_hub import CrashableStorage
from perdure.testing.simulation.audit import Audit
from perdure.testing.storage_shell import StorageShell

client_name: contextvars.ContextVar[str] = contextvars.ContextVar("client_name", default="client")
"""Who is asking: messages of one client to one instance keep their order."""


class AuditedStorage(StorageShell):
    """Reports what goes through it and compares what the store holds with what was committed."""

    def __init__(self, store: CrashableStorage, audit: Audit) -> None:
        super().__init__(store)
        self._store = store
        self._audit = audit
        self._has_crashed = False

    def crash(self) -> None:
        self._store.crash()
        self._has_crashed = True

    async def open(self) -> None:
        await self.inner.open()
        self._audit.see_rows()
        if self._has_crashed:
            self._has_crashed = False
            self._audit.process_died()

    async def release(self, leases: Sequence[PartitionLease]) -> None:
        await self.inner.release(leases)
        self._audit.see_rows()
        self._audit.process_stopped()

    async def create_instance(self, creation: Creation, reuse: Replaceable) -> CreateOutcome:
        self._audit.sent(creation.start, client_name.get(), creation)
        try:
            outcome = await self.inner.create_instance(creation, reuse)
        except StorageError:
            if not self._has_crashed:
                self._audit.refused(creation.start)
            raise
        if outcome is CreateOutcome.EXISTS:
            self._audit.refused(creation.start)
        else:
            self._audit.answered(creation.start)
        return outcome

    async def send(self, envelope: Envelope) -> None:
        self._audit.sent(envelope, client_name.get())
        try:
            await self.inner.send(envelope)
        except StorageError:
            if not self._has_crashed:
                self._audit.refused(envelope)
            raise
        self._audit.answered(envelope)

    async def recover(self, leases: Sequence[PartitionLease], now: datetime, horizon: datetime) -> Backlog:
        backlog = await self.inner.recover(leases, now, horizon)
        self._audit.see_rows()
        self._audit.recovered(backlog, max(now, horizon))
        return backlog

    async def receive(self, hold: Hold) -> list[Envelope]:
        envelopes = await self.inner.receive(hold)
        self._audit.received(envelopes)
        return envelopes

    def receive_now(self, hold: Hold) -> list[Envelope]:
        envelopes = self.inner.receive_now(hold)
        self._audit.received(envelopes)
        return envelopes

    async def read_due(self, hold: Hold, after: datetime, until: datetime) -> list[Envelope]:
        envelopes = await self.inner.read_due(hold, after, until)
        self._audit.read(envelopes)
        return envelopes

    async def read_inbox(self, hold: Hold, instance_id: str, now: datetime) -> list[Envelope]:
        envelopes = await self.inner.read_inbox(hold, instance_id, now)
        self._audit.inbox_read(instance_id, envelopes, now)
        return envelopes

    async def commit(self, hold: Hold, round_: Round) -> Committed:
        self._audit.see_rows()
        try:
            committed = await self.inner.commit(hold, round_)
        except CheckpointRefused as error:
            is_lawful = [await self._is_purged_rewind(checkpoint) for checkpoint in round_.checkpoints]
            self._audit.require(any(is_lawful), f"the store refused a round: {error}")
            raise
        self._audit.committed(round_, committed)
        for checkpoint in round_.checkpoints:
            await self._compare(checkpoint.origin.instance_id)
            for creation in checkpoint.children:
                await self._compare(creation.record.origin.instance_id)
        return committed

    async def _is_purged_rewind(self, checkpoint: Checkpoint) -> bool:
        """A rewind follows the end, so its instance may be purged meanwhile: the engine then leaves it out."""
        if not any(isinstance(envelope.message, Rewind) for envelope in checkpoint.consumed):
            return False
        record = await self.inner.get(checkpoint.origin.instance_id)
        return record is None or record.origin.number != checkpoint.origin.number

    async def purge(self, instance_ids: Collection[str]) -> int:
        shadow = self._audit.shadow
        present = {instance_id: shadow.instances.get(instance_id) for instance_id in instance_ids}
        shadow.purging.extend(present)
        try:
            purged = await self.inner.purge(instance_ids)
        finally:
            for instance_id in present:
                shadow.purging.remove(instance_id)
        for instance_id, instance in present.items():
            if (
                purged
                and instance is not None
                and instance.is_terminal
                and shadow.instances.get(instance_id) is instance
            ):
                shadow.purge(instance_id)
        return purged

    async def _compare(self, instance_id: str) -> None:
        record = await self.inner.get(instance_id)
        self._audit.stored(instance_id, record, await self.inner.history(instance_id))


class ActivityListener(Protocol):
    """Who hears of activities."""

    def activities_started(self, activities: Sequence[PendingActivity]) -> None: ...

    def activities_ended(self, results: Sequence[ActivityResult]) -> None: ...


class AuditedExecutor:
    """An executor that reports what it was told to start and what came of it."""

    def __init__(self, executor: Executor, audit: ActivityListener) -> None:
        self._executor = executor
        self._audit = audit

    def open(self, origin: Origin, history: Sequence[HistoryEvent]) -> OrchestrationSession:
        return self._executor.open(origin, history)

    async def advance(self, turns: Sequence[Turn]) -> Sequence[Turn]:
        return await self._executor.advance(turns)

    async def late_turns(self) -> list[Turn]:
        return await self._executor.late_turns()

    def recall(self, turn: Turn) -> bool:
        return self._executor.recall(turn)

    def start_activities(self, activities: Sequence[PendingActivity]) -> None:
        self._audit.activities_started(activities)
        self._executor.start_activities(activities)

    def forget(self, is_gone: Callable[[PendingActivity], bool]) -> None:
        self._executor.forget(is_gone)

    async def hand_over(self, is_leaving: Callable[[str], bool]) -> None:
        await self._executor.hand_over(is_leaving)

    def begun(self) -> set[int]:
        return self._executor.begun()

    def take_back(self, is_wanted: Callable[[PendingActivity], bool]) -> list[PendingActivity]:
        return self._executor.take_back(is_wanted)

    def room(self, name: str, version: str | None) -> int:
        return self._executor.room(name, version)

    async def activity_results(self) -> list[ActivityResult]:
        results = await self._executor.activity_results()
        self._audit.activities_ended(results)
        return results

    async def start(self) -> None:
        await self._executor.start()

    async def drain(self, seconds: float) -> bool:
        return await self._executor.drain(seconds)

    async def stop(self) -> None:
        await self._executor.stop()
