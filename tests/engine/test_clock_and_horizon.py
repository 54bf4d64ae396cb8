"""Timers and delayed signals fire once and not early, whatever the clock does (reliability.md P3)."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from perdure.core.decisions import DecisionLimits
from perdure.core.events import TimerFired
from perdure.core.identifiers import EntityId
from perdure.core.status import RuntimeStatus
from perdure.core.versioning import Versioning
from perdure.engine.options import EngineOptions
from perdure.testing.simulated_loop import EPOCH
from perdure.testing.simulated_turns import simulated_turns
from support.small_hub import Functions, on_virtual_time, small_hub, text

NEAR_HORIZON = EngineOptions(DecisionLimits(), Versioning(), horizon=timedelta(seconds=60))
NOTICED_SECONDS = 30.0
"""A jump of the clock is noticed after this at the latest."""


@pytest.fixture
def functions() -> Functions:
    functions = Functions()
    functions.counter()

    @functions.orchestrator
    def one_timer(recorder: Any, input: str | None) -> Any:
        yield recorder.create_timer(recorder.now + timedelta(seconds=int(input or 0)))

    @functions.orchestrator
    def waiting(recorder: Any, input: str | None) -> Any:
        return [(yield recorder.wait_for_event("go", text)), (yield recorder.wait_for_event("go", text))]

    return functions


@pytest.mark.parametrize("seconds", [0, 1, 59, 61, 3600, 86_400])
def test_a_timer_fires_on_its_microsecond(functions, seconds):
    async def scenario(clock):
        hub, _ = small_hub(functions, clock, options=NEAR_HORIZON)
        async with hub:
            instance_id = await hub.client.start("one_timer", input=str(seconds))
            await hub.client.wait_for_completion(instance_id)

            assert clock.now() == EPOCH + timedelta(seconds=seconds)

    on_virtual_time(scenario)


@pytest.mark.parametrize("seconds", [10, 50, 70, 500])
def test_a_timer_that_the_clock_jumps_over_fires_once_and_soon(functions, seconds):
    async def scenario(clock):
        hub, _ = small_hub(functions, clock, options=NEAR_HORIZON)
        async with hub:
            instance_id = await hub.client.start("one_timer", input=str(seconds))
            await asyncio.sleep(5)
            clock.jump(timedelta(hours=1))
            record = await hub.client.wait_for_completion(instance_id, NOTICED_SECONDS * 2)

            assert record is not None
            assert record.progress.status is RuntimeStatus.Completed
            fired = [event for event in await hub.client.history(instance_id) if isinstance(event, TimerFired)]
            assert len(fired) == 1

    on_virtual_time(scenario)


@pytest.mark.parametrize("seconds", [10, 70])
def test_a_clock_that_goes_back_delays_a_timer_by_no_more_than_that(functions, seconds):
    async def scenario(clock):
        hub, _ = small_hub(functions, clock, options=NEAR_HORIZON)
        loop = asyncio.get_running_loop()
        async with hub:
            instance_id = await hub.client.start("one_timer", input=str(seconds))
            await asyncio.sleep(5)
            clock.jump(timedelta(hours=-1))
            await hub.client.wait_for_completion(instance_id)

            assert clock.now() >= EPOCH + timedelta(seconds=seconds)
            assert loop.time() <= seconds + 3600 + NOTICED_SECONDS

    on_virtual_time(scenario)


def test_a_delayed_signal_is_taken_once_while_the_clock_jumps_to_and_fro(functions):
    def slow(turn: Any) -> float:
        return 8.0

    async def scenario(clock):
        hub, _ = small_hub(functions, clock, options=NEAR_HORIZON, turns=simulated_turns(slow))
        entity = EntityId("counter", "a")
        async with hub:
            for seconds in range(0, 7200, 400):
                await hub.client.signal_entity(entity, "add", due_at=clock.now() + timedelta(seconds=seconds))
            for hours in (1, -1, 1, 1, -2, 2):
                clock.jump(timedelta(hours=hours))
                await asyncio.sleep(45)
            await asyncio.sleep(7200)

            assert await hub.client.read_entity(entity) == "18"

    on_virtual_time(scenario)


def test_an_instance_does_not_rest_while_its_episode_is_on_its_way_to_the_store(functions):
    async def scenario(clock):
        hub, storage = small_hub(functions, clock)

        async def slow(round_: Any) -> None:
            await asyncio.sleep(20)

        async with hub:
            instance_id = await hub.client.start("waiting")
            await asyncio.sleep(9)
            storage.before_commit = slow
            await hub.client.raise_event(instance_id, "go", "1")
            storage.before_commit = None
            await hub.client.raise_event(instance_id, "go", "2")
            record = await hub.client.wait_for_completion(instance_id, 60)

            assert record is not None
            assert record.progress.output == '["1","2"]'

    on_virtual_time(scenario)
