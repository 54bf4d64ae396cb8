"""Faults are off: whatever is left ends, once it is resumed and given the events it waits for (I9)."""

import asyncio

from perdure.client import TaskHubClient
from perdure.contracts.errors import InstanceFinished
from perdure.testing.simulation.audit import Audit
from perdure.testing.simulation.shadow import ShadowInstance

SETTLE_SECONDS = 60.0
SETTLE_ROUNDS = 240


async def settle(audit: Audit, client: TaskHubClient, seconds: float = SETTLE_SECONDS) -> None:
    """Help every so many seconds until nothing lives. Raises Violation when something never ends."""
    shadow = audit.shadow
    for _ in range(SETTLE_ROUNDS):
        await asyncio.sleep(seconds)
        living = list(shadow.living())
        if not living:
            return
        for instance in living:
            await _help(instance, client)
    waits = [
        f"{instance.origin.instance_id}: {instance.progress.status.name}, {instance.progress.awaited_events}, "
        f"inbox {shadow.inbox_of(instance.origin.instance_id)}, "
        f"activities {shadow.activities_of(instance.record)}, history {instance.history}"
        for instance in shadow.living()
    ]
    audit.require(False, f"I9: still not at the end: {waits}")


async def _help(instance: ShadowInstance, client: TaskHubClient) -> None:
    instance_id = instance.origin.instance_id
    try:
        if instance.is_suspended:
            await client.resume(instance_id)
            return
        for name in instance.progress.awaited_events:
            await client.raise_event(instance_id, name, '"at the end"')
    except InstanceFinished:
        # It has ended since the list was made.
        return
