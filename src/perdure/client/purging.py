"""Removing orchestrations that have ended: one, some, or all that match."""

import asyncio
from collections.abc import Sequence
from math import inf

import msgspec

from perdure.client.management import require_orchestration
from perdure.client.queries import descendants
from perdure.client.waiting import wait_for_completion
from perdure.contracts.errors import InstanceRunning, InvalidInput
from perdure.contracts.records import InstanceFilter, PageKey
from perdure.contracts.storage import Storage
from perdure.core.instance import InstanceKind
from perdure.core.messages import Envelope, Terminate
from perdure.core.status import TERMINAL

FORCED_END_SECONDS = 30.0
"""How long a forced purge waits for the instance to end."""
PURGED_AT_ONCE = 500


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


async def purge(storage: Storage, instance_id: str, recursive: bool) -> int:
    """Remove a finished orchestration. Raises InstanceNotFound, InstanceRunning."""
    record = await require_orchestration(storage, instance_id)
    if not record.progress.status.is_terminal:
        raise InstanceRunning(
            f"The instance '{instance_id}' is {record.progress.status.name}; "
            "only finished instances are purged. Terminate it first."
        )
    return await storage.purge(await descendants(storage, [instance_id]) if recursive else [instance_id])


async def terminate_and_purge(storage: Storage, instance_id: str, recursive: bool) -> int:
    """Remove an orchestration, ending it first. Raises InstanceNotFound; InstanceRunning when it does not end."""
    record = await require_orchestration(storage, instance_id)
    if not record.progress.status.is_terminal:
        terminate = Terminate(reason="Purged by force.", recursive=recursive)
        await storage.send(Envelope(target=instance_id, message=terminate))
        if await wait_for_completion(storage, instance_id, FORCED_END_SECONDS) is None:
            raise InstanceRunning(
                f"The instance '{instance_id}' has not ended {FORCED_END_SECONDS:.0f} s after it was terminated."
            )
    ids = await descendants(storage, [instance_id]) if recursive else [instance_id]
    for child_id in ids[1:]:
        # They were told to end, too, and those that do not are left alone.
        await wait_for_completion(storage, child_id, FORCED_END_SECONDS)
    return await storage.purge(ids)


async def purge_matching(storage: Storage, filter_: InstanceFilter, recursive: bool) -> int:
    """Remove all finished orchestrations that match, and with ``recursive`` their finished descendants."""
    if recursive:
        return (await purge_for(storage, filter_, inf, recursive)).count
    _check_kind(filter_)
    return await storage.purge_matching(filter_)


async def purge_for(storage: Storage, filter_: InstanceFilter, seconds: float, recursive: bool) -> Purged:
    """As ``purge_matching``, batch by batch, until none is left or the time is over."""
    _check_kind(filter_)
    statuses = TERMINAL if filter_.statuses is None else filter_.statuses & TERMINAL
    if not statuses:
        return Purged(0, True)
    ended = msgspec.structs.replace(filter_, statuses=statuses)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    purged = 0
    after: PageKey | None = None
    while True:
        # Each batch goes on where the last one ended, so that what does not match is walked over once.
        page = await storage.query(ended, PURGED_AT_ONCE, after)
        if page.records and loop.time() >= deadline:
            return Purged(purged, False)
        ids = [record.origin.instance_id for record in page.records]
        purged += await storage.purge(await descendants(storage, ids) if recursive else ids)
        if (after := page.next_key) is None:
            return Purged(purged, True)


def _check_kind(filter_: InstanceFilter) -> None:
    if filter_.kind is not InstanceKind.ORCHESTRATION:
        raise InvalidInput("Only orchestrations are purged; entities are deleted by their own operations.")
