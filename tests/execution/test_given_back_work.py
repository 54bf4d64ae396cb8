"""A worker that stops gives back what it has: a server without another one lets a worker of another server have it."""

import asyncio
from typing import Any

import pytest

from perdure.core.identifiers import EntityId
from perdure.core.status import RuntimeStatus
from support.sharing_hosts import SharingHub, VirtualWorker, on_sharing_hub
from support.small_hub import Functions, text

LONG = 50.0
COUNTERS = 8
"""In the partitions of either server."""


@pytest.fixture
def functions() -> Functions:
    functions = Functions()
    functions.counter()

    @functions.orchestrator
    def echoes(recorder: Any, input: str | None) -> Any:
        return (yield recorder.call_activity("echo", input, text))

    @functions.activity
    def echo(value: str | None) -> str | None:
        return value

    return functions


@pytest.mark.parametrize("leaves_first", [0, 1])
def test_batches_of_operations(functions: Functions, leaves_first: int) -> None:
    async def scenario(hub: SharingHub) -> None:
        servers = [await hub.server(), await hub.server()]
        await hub.until_even()
        leaving = VirtualWorker(servers[leaves_first].server, functions.registry, seconds=LONG)
        counters = [EntityId("counter", f"c{number}") for number in range(COUNTERS)]
        for counter in counters:
            await servers[0].client.signal_entity(counter, "add", "1")
        await asyncio.sleep(3)
        assert leaving.ran["counter"] == COUNTERS
        await leaving.leave()
        other = VirtualWorker(servers[1 - leaves_first].server, functions.registry)
        for counter in counters:
            await servers[0].client.signal_entity(counter, "add", "1")
        await asyncio.sleep(10)
        assert other.ran["counter"] >= COUNTERS
        for counter in counters:
            assert await servers[0].client.read_entity(counter) == "2"

    on_sharing_hub(scenario)


@pytest.mark.parametrize("leaves_first", [0, 1])
def test_turns_and_activities(functions: Functions, leaves_first: int) -> None:
    async def scenario(hub: SharingHub) -> None:
        servers = [await hub.server(), await hub.server()]
        await hub.until_even()
        leaving = VirtualWorker(servers[leaves_first].server, functions.registry, seconds=LONG)
        ids = [await servers[0].client.start("echoes", input='"x"') for _ in range(COUNTERS)]
        await asyncio.sleep(LONG + 3)
        assert leaving.ran["echoes"]
        await leaving.leave()
        VirtualWorker(servers[1 - leaves_first].server, functions.registry)
        for instance_id in ids:
            record = await servers[0].client.wait_for_completion(instance_id, 20)
            assert record is not None
            assert record.progress.status is RuntimeStatus.Completed

    on_sharing_hub(scenario)
