"""Reading instances: one, its history, what it waits for, many."""

from collections.abc import Sequence

import msgspec

from perdure.client.offered_reasons import with_offers
from perdure.client.options import ClientOptions
from perdure.contracts.clock import Clock
from perdure.contracts.errors import InvalidInput
from perdure.contracts.executor import ServedKind
from perdure.contracts.records import EndedFilter, EndedKey, EndedPage, InstanceFilter, Page, PageKey
from perdure.contracts.storage import Storage
from perdure.core.events import EntityLockRequested, HistoryEvent, SubOrchestrationCreated
from perdure.core.instance import InstanceKind, InstanceRecord
from perdure.core.versioning import Rejected, check
from perdure.core.waiting_on import IsServed, WaitingOn, WaitKind, missing_worker, waiting_on

PAGE_SIZE_MAX = 1000
UNKNOWN_EVENTS = "events, if any, whose names only its worker knows"


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
    storage: Storage, clock: Clock, options: ClientOptions, record: InstanceRecord
) -> list[WaitingOn]:
    """Why the instance is not moving; empty when it has ended or is an idle entity."""
    if record.progress.status.is_terminal:
        return []
    reasons = await _reasons(storage, clock, options, record)
    return reasons if storage.offers is None else await with_offers(storage, storage.offers, record, reasons)


async def _reasons(storage: Storage, clock: Clock, options: ClientOptions, record: InstanceRecord) -> list[WaitingOn]:
    origin, is_served = record.origin, _is_served(options)
    if origin.kind is InstanceKind.ENTITY:
        reasons = waiting_on(record, [], clock.now())
        return reasons if is_served is None else reasons + await _waiting_for_worker(storage, record, is_served)
    history = await storage.history(origin.instance_id)
    found = [
        await _lock_reason(storage, record, history, reason) if reason.kind is WaitKind.LOCK else reason
        for reason in waiting_on(record, history, clock.now(), is_served)
    ]
    if is_served is not None and not options.is_local(origin.name):
        found = await _with_worker(storage, record, found, is_served)
    versioning = options.versioning
    verdict = None if versioning is None else check(versioning, origin.version, origin.name)
    return [WaitingOn(WaitKind.VERSION, reason=verdict.text), *found] if isinstance(verdict, Rejected) else found


_KINDS = {
    WaitKind.ACTIVITY: ServedKind.ACTIVITY,
    WaitKind.ENTITY: ServedKind.ENTITY,
    WaitKind.TURN: ServedKind.ORCHESTRATOR,
}


def _is_served(options: ClientOptions) -> IsServed | None:
    serves = options.serves
    return None if serves is None else lambda kind, name, version: serves(_KINDS[kind], name, version)


async def _waiting_for_worker(storage: Storage, record: InstanceRecord, is_served: IsServed) -> list[WaitingOn]:
    """That somebody must be there who runs the entity, when there is work for it."""
    missing = missing_worker(is_served, WaitKind.ENTITY, record.origin.name, None)
    if missing is None or not await storage.backlog_sizes([record.origin.instance_id]):
        return []
    return [WaitingOn(WaitKind.TURN, since=record.progress.updated_at, reason=missing)]


async def _with_worker(
    storage: Storage, record: InstanceRecord, reasons: list[WaitingOn], is_served: IsServed
) -> list[WaitingOn]:
    """The reasons of an orchestration that runs at workers: what it has not taken, and what only they know."""
    if any(reason.kind in (WaitKind.SUSPENDED, WaitKind.SCHEDULED_START) for reason in reasons):
        return reasons
    origin, progress = record.origin, record.progress
    others = [reason for reason in reasons if reason.kind is not WaitKind.TURN]
    backlog = await storage.backlog_sizes([origin.instance_id])
    # The rows of timers are no backlog before they are due.
    if backlog.get(origin.instance_id, 0) > sum(reason.kind is WaitKind.TIMER for reason in others):
        missing = missing_worker(is_served, WaitKind.TURN, origin.name, origin.version)
        return [WaitingOn(WaitKind.TURN, since=progress.updated_at, reason=missing), *others]
    if all(reason.kind is WaitKind.TIMER for reason in others):
        unknown = WaitingOn(WaitKind.EVENT, since=progress.episode_at, reason=UNKNOWN_EVENTS)
        return [*others, unknown]
    return others


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


async def descendants(storage: Storage, instance_ids: Sequence[str]) -> list[str]:
    """These, and all orchestrations that they and their children have started and that are still theirs."""
    found = list(instance_ids)
    known = set(found)
    for parent_id in found:
        for event in await storage.history(parent_id):
            if isinstance(event, SubOrchestrationCreated) and event.instance_id not in known:
                child = await storage.get(event.instance_id)
                if child is not None and child.origin.parent and child.origin.parent.instance_id == parent_id:
                    known.add(event.instance_id)
                    found.append(event.instance_id)
    return found
