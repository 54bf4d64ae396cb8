"""Processes on one shared store: they divide the work, and what one leaves behind the others finish."""

import asyncio
from collections import Counter
from random import Random
from typing import Any

import pytest

from perdure.core.status import RuntimeStatus
from perdure.storage.memory.shared_memory import SharedMemory
from perdure.storage.memory.shared_storage import SharedMemoryStorage
from perdure.testing.in_process_hub import InProcessHub, counted_ids
from perdure.testing.simulated_loop import SimulatedClock
from support.small_hub import Functions, on_virtual_time, text

ran: Counter[str] = Counter()


@pytest.fixture
def functions() -> Functions:
    ran.clear()
    functions = Functions()
    functions.counter()

    @functions.activity
    def work(value: str | None) -> str | None:
        ran[str(value)] += 1
        return value

    @functions.orchestrator
    def chain(recorder: Any, input: str | None) -> Any:
        for number in range(4):
            yield recorder.call_activity("work", f"{recorder.instance_id}/{number}", text)
        yield recorder.call_entity("@counter@all", "add", "1", text)
        return "done"

    return functions


class Hosts:
    """Processes with one store each; ids and executions are counted over all of them."""

    def __init__(self, functions: Functions, clock: SimulatedClock, count: int) -> None:
        self.memory = SharedMemory(clock)
        self.stores = [SharedMemoryStorage(self.memory, clock) for _ in range(count)]
        self.hubs = [
            InProcessHub(
                functions.registry, clock, store=store, client_options=counted_ids(), activity_delay=lambda _: 0.2
            )
            for store in self.stores
        ]

    async def __aenter__(self) -> "Hosts":
        for hub in self.hubs:
            await hub.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for hub in self.hubs:
            if hub.worker is not None:
                assert hub.worker.failed is not None
                assert not hub.worker.failed.done(), hub.worker.failed.result()
                await hub.stop()
            await hub.store.close()

    async def start(self, count: int) -> list[str]:
        """So many orchestrations, asked for at any process that lives."""
        ids = [f"order-{number}" for number in range(count)]
        alive = [hub for hub in self.hubs if hub.worker is not None]
        for number, instance_id in enumerate(ids):
            await alive[number % len(alive)].client.start("chain", instance_id=instance_id, execution_id=instance_id)
        return ids

    async def all_end(self, ids: list[str], seconds: float) -> None:
        alive = next(hub for hub in self.hubs if hub.worker is not None)
        for instance_id in ids:
            record = await alive.client.wait_for_completion(instance_id, seconds)
            assert record is not None, f"{instance_id} has not ended"
            assert record.progress.status is RuntimeStatus.Completed, record.progress.failure
        record = await alive.client.get("@counter@all")
        assert record is not None
        assert record.progress.state == str(len(ids))


def test_all_take_part_and_nothing_runs_twice(functions: Functions):
    async def scenario(clock: SimulatedClock) -> None:
        async with Hosts(functions, clock, 3) as hosts:
            await asyncio.sleep(20)
            counts = Counter(row.owner for row in hosts.memory.partitions.values())
            assert len(counts) == 3
            assert max(counts.values()) - min(counts.values()) <= 1
            ids = await hosts.start(60)
            await hosts.all_end(ids, 30)
            assert set(ran.values()) == {1}

    on_virtual_time(scenario)


def test_a_stop_hands_over_and_nothing_runs_twice(functions: Functions):
    async def scenario(clock: SimulatedClock) -> None:
        async with Hosts(functions, clock, 3) as hosts:
            await asyncio.sleep(20)
            ids = await hosts.start(60)
            await asyncio.sleep(0.3)
            before = clock.now()
            assert await hosts.hubs[0].stop()
            assert (clock.now() - before).total_seconds() < 2
            await hosts.hubs[0].store.close()
            await hosts.all_end(ids, 30)
            assert set(ran.values()) == {1}

    on_virtual_time(scenario)


@pytest.mark.parametrize("seed", range(3))
def test_what_killed_processes_leave_is_finished(functions: Functions, seed: int):
    async def scenario(clock: SimulatedClock) -> None:
        random = Random(seed)
        async with Hosts(functions, clock, 3) as hosts:
            await asyncio.sleep(20)
            ids = await hosts.start(60)
            for hub in random.sample(hosts.hubs, 2):
                await asyncio.sleep(random.random())
                await hub.kill()
            await hosts.all_end(ids, 120)
            assert len(ran) == 240

    on_virtual_time(scenario)
