"""Instances leave memory and come back as they were; a restart forgets nothing and an idle hub asks nothing."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from perdure.contracts.errors import Unavailable
from perdure.core.decisions import DecisionLimits
from perdure.core.identifiers import EntityId
from perdure.core.status import RuntimeStatus
from perdure.core.versioning import Versioning
from perdure.engine.live_instances import LiveLimits
from perdure.engine.options import EngineOptions
from perdure.engine.worker import LAST_ROUNDS_SECONDS
from support.small_hub import Functions, on_virtual_time, small_hub, text


@pytest.fixture
def functions() -> Functions:
    functions = Functions()
    functions.counter()

    @functions.activity
    def echo(value: str | None) -> str | None:
        return value

    @functions.orchestrator
    def steps(recorder: Any, input: str | None) -> Any:
        first = yield recorder.call_activity("echo", "1", text)
        second = yield recorder.wait_for_event("go", text)
        yield recorder.create_timer(recorder.now + timedelta(hours=2))
        count = yield recorder.call_entity("@counter@a", "add", "1", text)
        return [first, second, count]

    return functions


def tiny(count: int, horizon: timedelta = timedelta(hours=1)) -> EngineOptions:
    return EngineOptions(DecisionLimits(), Versioning(), live=LiveLimits(instances_max=count), horizon=horizon)


@pytest.mark.parametrize("kept_in_memory", [0, 1, 100])
@pytest.mark.parametrize("restarted", [False, True])
def test_instances_come_back_as_they_were(functions, kept_in_memory, restarted):
    async def scenario(clock):
        hub, _ = small_hub(functions, clock, options=tiny(kept_in_memory))
        async with hub:
            ids = [await hub.client.start("steps") for _ in range(5)]
            for instance_id in ids:
                if restarted:
                    await hub.restart()
                await hub.client.raise_event(instance_id, "go", "2")
            assert hub.worker.live_count() <= max(kept_in_memory, 0) or kept_in_memory == 100
            outputs = [await hub.client.wait_for_completion(instance_id, 3 * 3600) for instance_id in ids]

            assert sorted(record.progress.output for record in outputs) == [
                f'["1","2","{number}"]' for number in range(1, 6)
            ]

    on_virtual_time(scenario)


def test_a_waiting_instance_leaves_memory_after_a_while(functions):
    async def scenario(clock):
        hub, storage = small_hub(functions, clock)
        async with hub:
            instance_id = await hub.client.start("steps")
            await hub.client.wait_for_completion(instance_id, 30)
            assert hub.worker.live_count() == 0

            await hub.client.raise_event(instance_id, "go", "2")
            assert storage.calls["load"] == 1

    on_virtual_time(scenario)


def test_a_timer_beyond_the_horizon_fires_on_time_after_a_restart(functions):
    async def scenario(clock):
        hub, _ = small_hub(functions, clock, options=tiny(0, horizon=timedelta(minutes=1)))
        async with hub:
            instance_id = await hub.client.start("steps")
            await hub.client.raise_event(instance_id, "go", "2")
            created_at = clock.now()
            await hub.client.wait_for_completion(instance_id, 600)
            await hub.restart()
            record = await hub.client.wait_for_completion(instance_id, 3 * 3600)

            assert record is not None
            assert record.progress.completed_at == created_at + timedelta(hours=2)

    on_virtual_time(scenario)


def test_a_timer_that_came_due_while_nobody_ran_fires_at_the_start(functions):
    async def scenario(clock):
        hub, _ = small_hub(functions, clock)
        async with hub:
            instance_id = await hub.client.start("steps")
            await hub.client.raise_event(instance_id, "go", "2")
            await hub.kill()
            clock.jump(timedelta(hours=5))
            await hub.start()
            record = await hub.client.wait_for_completion(instance_id, 1)

            assert record is not None
            assert record.progress.status is RuntimeStatus.Completed

    on_virtual_time(scenario)


def test_an_idle_hub_asks_its_store_nothing(functions):
    async def scenario(clock):
        hub, storage = small_hub(functions, clock)
        async with hub:
            instance_id = await hub.client.start("steps")
            await hub.client.signal_entity(EntityId("counter", "a"), "add")
            await hub.client.wait_for_completion(instance_id, 20)
            before = dict(storage.calls)
            await hub.client.wait_for_completion(instance_id, 600)

            asked = {name: count - before.get(name, 0) for name, count in storage.calls.items()}
            assert not any(asked.values())

    on_virtual_time(scenario)


def test_a_stop_without_a_store_takes_little_longer_than_its_grace(functions):
    async def scenario(clock):
        hub, storage = small_hub(functions, clock, activity_delay=lambda activity: 3600.0)
        await hub.start()
        instance_id = await hub.client.start("steps")
        await asyncio.sleep(1)

        async def away(hold: Any, round_: Any) -> Any:
            raise Unavailable("The store is away.")

        storage.commit = away
        raising = asyncio.create_task(hub.client.raise_event(instance_id, "go", "2"))
        await asyncio.sleep(1)
        begun = asyncio.get_running_loop().time()
        assert not await hub.stop(grace_seconds=8)
        assert 8 <= asyncio.get_running_loop().time() - begun <= 8 + LAST_ROUNDS_SECONDS
        raising.cancel()
        await hub.store.close()

    on_virtual_time(scenario)


def test_a_graceful_stop_lets_activities_end_and_keeps_what_is_waiting(functions):
    async def scenario(clock):
        hub, _ = small_hub(functions, clock, activity_delay=lambda activity: 5.0)
        async with hub:
            instance_id = await hub.client.start("steps")
            assert await hub.stop(grace_seconds=30)
            await hub.client.raise_event(instance_id, "go", "2")
            await hub.start()
            record = await hub.client.wait_for_completion(instance_id, 3 * 3600)

            assert record is not None
            assert record.progress.output == '["1","2","1"]'

    on_virtual_time(scenario)
