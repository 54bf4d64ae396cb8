"""Removing orchestrations for callers who take no missing or running one amiss, and who do not wait for ever."""

import asyncio
from collections.abc import Sequence

import msgspec

from perdure.client.management import PURGED_AT_ONCE, descendants
from perdure.contracts.errors import InvalidInput
from perdure.contracts.records import InstanceFilter
from perdure.contracts.storage import Storage
from perdure.core.instance import InstanceKind
from perdure.core.status import TERMINAL


class Purged(msgspec.Struct, frozen=True):
    """How many went, and whether nothing of what was asked for is left."""

    count: int
    is_complete: bool


async def purge_known(storage: Storage, instance_ids: Sequence[str], recursive: bool) -> int:
    """Remove those that are finished orchestrations, with ``recursive`` their finished descendants too."""
    found: list[str] = []
    for instance_id in dict.fromkeys(instance_ids):
        record = await storage.get(instance_id)
        if record is None or record.origin.kind is not InstanceKind.ORCHESTRATION:
            continue
        if record.progress.status.is_terminal:
            found.append(instance_id)
    return await storage.purge(await descendants(storage, found) if recursive else found)


async def purge_for(storage: Storage, filter_: InstanceFilter, seconds: float, recursive: bool) -> Purged:
    """Remove finished orchestrations that match, batch by batch, until none is left or the time is over."""
    if filter_.kind is not InstanceKind.ORCHESTRATION:
        raise InvalidInput("Only orchestrations are purged by a filter.")
    statuses = TERMINAL if filter_.statuses is None else filter_.statuses & TERMINAL
    if not statuses:
        return Purged(0, True)
    ended = msgspec.structs.replace(filter_, statuses=statuses)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    purged = 0
    page = await storage.query(ended, PURGED_AT_ONCE)
    while page.records:
        if loop.time() >= deadline:
            return Purged(purged, False)
        ids = [record.origin.instance_id for record in page.records]
        removed = await storage.purge(await descendants(storage, ids) if recursive else ids)
        purged += removed
        if not removed:
            # Somebody else was faster, or rewinds them.
            return Purged(purged, False)
        if page.next_key is None:
            break
        # Each batch goes on where the last one ended, so that what does not match is walked over once.
        page = await storage.query(ended, PURGED_AT_ONCE, page.next_key)
    return Purged(purged, True)
