"""One orchestration over several processes: children, locks, entities and events meet at any of them, at once."""

import asyncio
from collections import Counter
from collections.abc import Generator
from typing import Any
from uuid import UUID

import msgspec
import pytest

from perdure.core.partitions import partition_of
from perdure.core.replay.recorder import Recorder
from perdure.core.status import RuntimeStatus
from perdure.storage.memory.shared_memory import SharedMemory
from perdure.storage.memory.shared_storage import SharedMemoryStorage
from perdure.testing.in_process_hub import InProcessHub, counted_ids
from perdure.testing.simulated_loop import SimulatedClock
from support.small_hub import Functions, on_virtual_time, text

PROCESSES = 3
ORDERS = 12
PUSHED_SECONDS = 1.0
"""Nothing here takes time but the ways between processes; who is not told of something looks after a second."""
Code = Generator[Any, Any, Any]


@pytest.fixture
def functions() -> Functions:
    functions = Functions()
    functions.counter()

    @functions.orchestrator
    def order(recorder: Recorder, input: str | None) -> Code:
        """Waits for an event, books under a lock of two entities, has a child count, and tells a third entity."""
        yield recorder.wait_for_event("go", text)
        ids = ["@counter@stock", "@counter@cash"]
        with (yield recorder.lock_entities(ids)):
            before = yield recorder.call_entity(ids[0], "add", "0", text)
            yield recorder.call_entity(ids[1], "add", "2", text)
            after = yield recorder.call_entity(ids[0], "add", "1", text)
        child = yield recorder.call_child("counts", input, None, None, text)
        recorder.signal_entity("@counter@told", "add", "1")
        return [int(before), int(after), child]

    @functions.orchestrator
    def counts(recorder: Recorder, input: str | None) -> Code:
        return (yield recorder.call_entity("@counter@counted", "add", "1", text))

    return functions


def test_steps_over_processes_are_pushed_and_locks_hold(functions: Functions) -> None:
    async def scenario(clock: SimulatedClock) -> None:
        memory = SharedMemory(clock)
        stores = [SharedMemoryStorage(memory, clock) for _ in range(PROCESSES)]
        hubs = [InProcessHub(functions.registry, clock, store=each, client_options=counted_ids()) for each in stores]
        for hub in hubs:
            await hub.start()
        await asyncio.sleep(20)
        names = [f"order-{number}" for number in range(ORDERS)]
        concerned = {partition_of(name, memory.partition_count) for name in (*names, "@counter@stock", "@counter@cash")}
        assert len({memory.partitions[partition].owner for partition in concerned}) == PROCESSES
        for number, name in enumerate(names):
            await hubs[number % PROCESSES].client.start("order", instance_id=name, execution_id=str(UUID(int=number)))
        began = clock.now()
        for number, name in enumerate(names):
            await hubs[(number + 1) % PROCESSES].client.raise_event(name, "go", "1")
        waiting = [hubs[(n + 2) % PROCESSES].client.wait_for_completion(name, 60) for n, name in enumerate(names)]
        records = await asyncio.gather(*waiting)
        seconds = (clock.now() - began).total_seconds()
        steps = Counter[int]()
        for record in records:
            assert record is not None
            assert record.progress.status is RuntimeStatus.Completed, record.progress.failure
            before, after, _ = msgspec.json.decode(record.progress.output or "")
            assert after == before + 1, "nobody came between"
            steps[after] += 1
        assert steps == {number: 1 for number in range(1, ORDERS + 1)}
        assert seconds < PUSHED_SECONDS, seconds
        for key, total in (("stock", ORDERS), ("cash", 2 * ORDERS), ("counted", ORDERS), ("told", ORDERS)):
            record = await hubs[0].client.get(f"@counter@{key}")
            assert record is not None
            assert record.progress.state == str(total), key
        for hub in hubs:
            await hub.stop()
            await hub.store.close()

    on_virtual_time(scenario)
