"""Reading instances: one, its history, what it waits for, many."""

from collections.abc import Sequence

import msgspec

from perdure.contracts.clock import Clock
from perdure.contracts.errors import InvalidInput
from perdure.contracts.records import EndedFilter, EndedKey, EndedPage, InstanceFilter, Page, PageKey
from perdure.contracts.storage import Storage
from perdure.core.events import EntityLockRequested, HistoryEvent
from perdure.core.instance import InstanceKind, InstanceRecord
from perdure.core.versioning import Rejected, Versioning, check
from perdure.core.waiting_on import WaitingOn, WaitKind, waiting_on

PAGE_SIZE_MAX = 1000


async def query(storage: Storage, filter_: InstanceFilter, limit: int, after: PageKey | None) -> Page:
    """One page. Raises InvalidInput for a page size out of 1..1000."""
    if not 1 <= limit <= PAGE_SIZE_MAX:
        raise InvalidInput(f"A page holds 1 to {PAGE_SIZE_MAX} instances, not {limit}.")
    return await storage.query(filter_, limit, after)


async def list_ended(storage: Storage, filter_: EndedFilter, limit: int, after: EndedKey | None) -> EndedPage:
    """One page. Raises InvalidInput for a page size out of 1..1000."""
    if not 1 <= limit <= PAGE_SIZE_MAX:
        raise InvalidInput(f"A page holds 1 to {PAGE_SIZE_MAX} instances, not {limit}.")
    return await storage.ended(filter_, limit, after)


async def reasons_for_waiting(
    storage: Storage, clock: Clock, versioning: Versioning | None, record: InstanceRecord
) -> list[WaitingOn]:
    """Why the instance is not moving; empty when it has ended or is an idle entity."""
    if record.progress.status.is_terminal:
        return []
    history = [] if record.origin.kind is InstanceKind.ENTITY else await storage.history(record.origin.instance_id)
    reasons = waiting_on(record, history, clock.now())
    if record.origin.kind is InstanceKind.ENTITY:
        return reasons
    found = [
        await _lock_reason(storage, record, history, reason) if reason.kind is WaitKind.LOCK else reason
        for reason in reasons
    ]
    verdict = None if versioning is None else check(versioning, record.origin.version, record.origin.name)
    return [WaitingOn(WaitKind.VERSION, reason=verdict.text), *found] if isinstance(verdict, Rejected) else found


async def _lock_reason(
    storage: Storage, record: InstanceRecord, history: Sequence[HistoryEvent], reason: WaitingOn
) -> WaitingOn:
    """Name the first entity of the section that somebody else holds, and who that is."""
    waiting = record.origin.instance_id
    asked = next((event for event in reversed(history) if isinstance(event, EntityLockRequested)), None)
    for entity_id in () if asked is None else asked.entity_ids:
        entity = await storage.get(entity_id)
        holder = None if entity is None else entity.progress.locked_by
        if holder is not None and holder.instance_id != waiting:
            return msgspec.structs.replace(reason, name=entity_id, reason=f"held by '{holder.instance_id}'")
    return reason
