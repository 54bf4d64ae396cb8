"""Turns that are up when their partition goes: nothing of them is left, whoever has it next."""

import asyncio
from typing import Any

from perdure.core.messages import Envelope, RaiseEvent
from perdure.core.status import RuntimeStatus
from perdure.storage.memory.shared_storage import SharedMemoryStorage
from support.shared_hub import SteeredTables, until
from support.sharing_hosts import SharingHub, VirtualWorker, on_sharing_hub
from support.small_hub import Functions, text

COUNT = 12


def test_turns_that_are_up_go_with_a_partition_that_is_lost_and_comes_back_at_once():
    """In the middle of a round the engine does not hear that nobody had the partition for a while."""

    async def scenario(hub: SharingHub) -> None:
        functions = Functions()

        @functions.orchestrator
        def hears(recorder: Any, input: str | None) -> Any:
            return (yield recorder.wait_for_event("said", text))

        first = await hub.server()
        idle = SharedMemoryStorage(SteeredTables(hub.memory), hub.clock)
        await idle.open()
        assert await idle._keeping.announced()
        await until(lambda: not first.storage.offers.is_alone)
        ids = [f"order-{number}" for number in range(COUNT)]
        for instance_id in ids:
            await first.client.start("hears", instance_id=instance_id)
        turns = first.executor._turns
        assert turns is not None
        await until(lambda: len(turns._out) == COUNT)
        before = set(turns._out)
        first.tables.slow["load"] = 15.0
        loading = asyncio.ensure_future(first.storage.send(Envelope("nobody", RaiseEvent("said", "1"))))
        await until(lambda: first.tables.asked["load"] > 0)
        first.tables.slow.clear()
        # As if it had been dead for a while.
        hub.memory.depart(first.storage.process or 0)
        await until(lambda: len(turns._out.keys() - before) == COUNT)
        await loading
        # The engine looks after what it has abandoned now and then.
        await asyncio.sleep(10)
        assert not before & turns._out.keys()
        assert len(hub.memory._offers) == len(turns._out) == COUNT
        VirtualWorker(first.server, functions.registry)
        for instance_id in ids:
            await first.client.raise_event(instance_id, "said", "2")
            record = await first.client.wait_for_completion(instance_id, 30)
            assert record is not None
            assert record.progress.status is RuntimeStatus.Completed
        await idle.close()

    on_sharing_hub(scenario)
