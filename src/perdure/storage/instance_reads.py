"""What every storage does alike with the instances in its tables, once it may be asked."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection
from typing import Protocol

from perdure.contracts.records import (
    DamagedInstance,
    EndedFilter,
    EndedKey,
    EndedPage,
    Finding,
    Hold,
    InstanceFilter,
    Page,
    PageKey,
    StoredInstance,
)
from perdure.core.events import HistoryEvent
from perdure.core.instance import InstanceRecord
from perdure.storage.filters import PurgeKey

PURGE_BATCH = 500


class InstanceTables(Protocol):
    """Reads see the newest commit. The methods that ``Storage`` has too promise the same."""

    async def get(self, instance_id: str) -> InstanceRecord | None: ...

    async def load(self, instance_ids: Collection[str]) -> dict[str, StoredInstance | DamagedInstance]: ...

    async def history(self, instance_id: str) -> list[HistoryEvent]: ...

    async def query(self, filter_: InstanceFilter, limit: int, after: PageKey | None) -> Page: ...

    async def ended(self, filter_: EndedFilter, limit: int, after: EndedKey | None) -> EndedPage: ...

    async def backlog_sizes(self, instance_ids: Collection[str]) -> dict[str, int]: ...

    async def purgeable(self, filter_: InstanceFilter, limit: int, after: PurgeKey | None) -> list[PurgeKey]:
        """Up to ``limit`` terminal orchestrations that match, in the order of ``query``."""
        ...

    def verify(self, liveness: bool) -> AsyncIterator[Finding]: ...


class InstanceReads(ABC):
    """The part of ``Storage`` that reads and removes instances; the promises are stated there."""

    def __init__(self, instances: InstanceTables) -> None:
        self._instances = instances

    async def get(self, instance_id: str) -> InstanceRecord | None:
        self._check()
        return await self._instances.get(instance_id)

    async def load(self, hold: Hold, instance_ids: Collection[str]) -> dict[str, StoredInstance | DamagedInstance]:
        self._check_hold(hold)
        return await self._instances.load(instance_ids)

    async def history(self, instance_id: str) -> list[HistoryEvent]:
        self._check()
        return await self._instances.history(instance_id)

    async def query(self, filter_: InstanceFilter, limit: int, after: PageKey | None = None) -> Page:
        self._check()
        return await self._instances.query(filter_, limit, after)

    async def ended(self, filter_: EndedFilter, limit: int, after: EndedKey | None = None) -> EndedPage:
        self._check()
        return await self._instances.ended(filter_, limit, after)

    async def backlog_sizes(self, instance_ids: Collection[str]) -> dict[str, int]:
        self._check()
        return await self._instances.backlog_sizes(instance_ids)

    async def purge(self, instance_ids: Collection[str]) -> int:
        self._check()
        ids = list(dict.fromkeys(instance_ids))
        purged = 0
        for first in range(0, len(ids), PURGE_BATCH):
            purged += await self._purge(ids[first : first + PURGE_BATCH])
        return purged

    async def purge_matching(self, filter_: InstanceFilter) -> int:
        self._check()
        purged = 0
        after: PurgeKey | None = None
        # Each batch goes on where the last one ended, so that what does not match is walked over once.
        while found := await self._instances.purgeable(filter_, PURGE_BATCH, after):
            purged += await self.purge([instance_id for _, instance_id in found])
            after = found[-1]
        return purged

    def verify(self, liveness: bool) -> AsyncIterator[Finding]:
        self._check()
        return self._instances.verify(liveness)

    @abstractmethod
    def _check(self) -> None:
        """Raise whatever makes the store unusable."""

    @abstractmethod
    def _check_hold(self, hold: Hold) -> None:
        """The same, and LeaseLost unless all of it is held."""

    @abstractmethod
    async def _purge(self, instance_ids: list[str]) -> int:
        """Remove those of these that have ended; how many."""
