"""A Storage around another one: passes everything on. Those that change something override what they change."""

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime

from perdure.contracts.clock import Clock
from perdure.contracts.offers import OfferedWork
from perdure.contracts.records import (
    Backlog,
    Committed,
    CreateOutcome,
    DamagedInstance,
    EndedFilter,
    EndedKey,
    EndedPage,
    Finding,
    Hold,
    InstanceFilter,
    Page,
    PageKey,
    PartitionLease,
    Replaceable,
    Round,
    StoredInstance,
    Turnover,
)
from perdure.contracts.storage import Storage
from perdure.core.checkpoint import Creation
from perdure.core.events import HistoryEvent
from perdure.core.instance import InstanceRecord
from perdure.core.messages import Envelope
from perdure.core.status import RuntimeStatus


class StorageShell:
    """Implements ``Storage`` by ``inner``."""

    def __init__(self, inner: Storage) -> None:
        self.inner = inner

    @property
    def offers(self) -> OfferedWork | None:
        return self.inner.offers

    @property
    def clock(self) -> Clock:
        return self.inner.clock

    @property
    def has_others(self) -> bool:
        return self.inner.has_others

    @property
    def partition_count(self) -> int:
        return self.inner.partition_count

    async def open(self) -> None:
        await self.inner.open()

    async def close(self) -> None:
        await self.inner.close()

    async def acquire(self, owner: str) -> list[PartitionLease]:
        return await self.inner.acquire(owner)

    async def turnover(self, hold: Hold) -> Turnover:
        return await self.inner.turnover(hold)

    async def renew(self, leases: Sequence[PartitionLease]) -> list[PartitionLease]:
        return await self.inner.renew(leases)

    async def release(self, leases: Sequence[PartitionLease]) -> None:
        await self.inner.release(leases)

    async def create_instance(self, creation: Creation, reuse: Replaceable) -> CreateOutcome:
        return await self.inner.create_instance(creation, reuse)

    async def send(self, envelope: Envelope) -> None:
        await self.inner.send(envelope)

    async def recover(self, leases: Sequence[PartitionLease], now: datetime, horizon: datetime) -> Backlog:
        return await self.inner.recover(leases, now, horizon)

    async def receive(self, hold: Hold) -> list[Envelope]:
        return await self.inner.receive(hold)

    def receive_now(self, hold: Hold) -> list[Envelope]:
        return self.inner.receive_now(hold)

    async def read_due(self, hold: Hold, after: datetime, until: datetime) -> list[Envelope]:
        return await self.inner.read_due(hold, after, until)

    async def read_inbox(self, hold: Hold, instance_id: str, now: datetime) -> list[Envelope]:
        return await self.inner.read_inbox(hold, instance_id, now)

    def creation_of(self, start: Envelope) -> Creation | None:
        return self.inner.creation_of(start)

    async def commit(self, hold: Hold, round_: Round) -> Committed:
        return await self.inner.commit(hold, round_)

    async def get(self, instance_id: str) -> InstanceRecord | None:
        return await self.inner.get(instance_id)

    async def load(self, hold: Hold, instance_ids: Collection[str]) -> dict[str, StoredInstance | DamagedInstance]:
        return await self.inner.load(hold, instance_ids)

    async def history(self, instance_id: str) -> list[HistoryEvent]:
        return await self.inner.history(instance_id)

    async def query(self, filter_: InstanceFilter, limit: int, after: PageKey | None = None) -> Page:
        return await self.inner.query(filter_, limit, after)

    async def ended(self, filter_: EndedFilter, limit: int, after: EndedKey | None = None) -> EndedPage:
        return await self.inner.ended(filter_, limit, after)

    async def backlog_sizes(self, instance_ids: Collection[str]) -> dict[str, int]:
        return await self.inner.backlog_sizes(instance_ids)

    async def purge(self, instance_ids: Collection[str]) -> int:
        return await self.inner.purge(instance_ids)

    async def purge_matching(self, filter_: InstanceFilter) -> int:
        return await self.inner.purge_matching(filter_)

    async def wait_for_status(self, instance_id: str, wanted: frozenset[RuntimeStatus]) -> InstanceRecord:
        return await self.inner.wait_for_status(instance_id, wanted)

    def describe(self) -> str:
        return self.inner.describe()

    def verify(self, liveness: bool) -> AsyncIterator[Finding]:
        return self.inner.verify(liveness)
