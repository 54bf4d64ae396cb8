"""Waiting for an instance to begin or to end; pushed by the storage, never polled."""

import asyncio

from perdure.contracts.storage import Storage
from perdure.core.instance import InstanceRecord
from perdure.core.status import TERMINAL, RuntimeStatus

BEGUN = frozenset(RuntimeStatus) - {RuntimeStatus.Pending}


async def wait_for_completion(
    storage: Storage, instance_id: str, timeout_seconds: float | None
) -> InstanceRecord | None:
    """The record once the instance has ended; None when the time is over. It need not exist yet."""
    return await _wait_for(storage, instance_id, TERMINAL, timeout_seconds)


async def wait_for_start(storage: Storage, instance_id: str, timeout_seconds: float | None) -> InstanceRecord | None:
    """The record once the instance is no longer Pending; None when the time is over. It need not exist yet."""
    return await _wait_for(storage, instance_id, BEGUN, timeout_seconds)


async def wait_for_any_status(
    storage: Storage, instance_id: str, timeout_seconds: float | None
) -> InstanceRecord | None:
    """The record once there is such an instance; None when the time is over."""
    return await _wait_for(storage, instance_id, frozenset(RuntimeStatus), timeout_seconds)


async def _wait_for(
    storage: Storage, instance_id: str, wanted: frozenset[RuntimeStatus], timeout_seconds: float | None
) -> InstanceRecord | None:
    if timeout_seconds is not None and timeout_seconds <= 0:
        record = await storage.get(instance_id)
        return record if record is not None and record.progress.status in wanted else None
    if timeout_seconds is None:
        return await storage.wait_for_status(instance_id, wanted)
    try:
        async with asyncio.timeout(timeout_seconds):
            return await storage.wait_for_status(instance_id, wanted)
    except TimeoutError:
        return None
