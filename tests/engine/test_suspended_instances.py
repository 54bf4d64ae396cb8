"""What arrives while an instance is suspended waits in the store, in order, and is not done twice."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from perdure.core.status import RuntimeStatus
from perdure.testing.simulated_loop import EPOCH
from perdure.testing.simulated_turns import simulated_turns
from support.small_hub import Functions, on_virtual_time, small_hub, text


@pytest.fixture
def functions() -> Functions:
    functions = Functions()
    functions.run_count = 0

    @functions.activity
    def slow(value: str | None) -> str | None:
        functions.run_count += 1
        return value

    @functions.orchestrator
    def collector(recorder: Any, input: str | None) -> Any:
        got = []
        while len(got) < 4:
            got.append((yield recorder.wait_for_event("item", text)))
        return got

    @functions.orchestrator
    def one_activity(recorder: Any, input: str | None) -> Any:
        return (yield recorder.call_activity("slow", "1", text))

    @functions.orchestrator
    def one_timer(recorder: Any, input: str | None) -> Any:
        yield recorder.create_timer(recorder.now + timedelta(seconds=int(input or 0)))
        return str(recorder.now.time())

    return functions


@pytest.mark.parametrize("restarted", [False, True])
def test_held_messages_get_rows_and_arrive_in_order_after_the_resume(functions, restarted):
    async def scenario(clock):
        hub, storage = small_hub(functions, clock)
        async with hub:
            instance_id = await hub.client.start("collector")
            await hub.client.raise_event(instance_id, "item", "0")
            await hub.client.suspend(instance_id)
            for number in range(1, 4):
                await hub.client.raise_event(instance_id, "item", str(number))
                assert [e.position is not None for e in storage.rounds[-1].kept] == [True]
            if restarted:
                await hub.restart()
            await hub.client.resume(instance_id)
            record = await hub.client.wait_for_completion(instance_id, 60)

            assert record is not None
            assert record.progress.output == '["0","1","2","3"]'

    on_virtual_time(scenario)


@pytest.mark.parametrize("restarted", [False, True])
def test_an_activity_that_ends_while_its_instance_is_suspended_is_not_run_again(functions, restarted):
    async def scenario(clock):
        hub, _ = small_hub(functions, clock, activity_delay=lambda activity: 5.0)
        async with hub:
            instance_id = await hub.client.start("one_activity")
            await hub.client.suspend(instance_id)
            assert await hub.client.wait_for_completion(instance_id, 10) is None
            if restarted:
                await hub.restart()
                assert await hub.client.wait_for_completion(instance_id, 10) is None
            await hub.client.resume(instance_id)
            record = await hub.client.wait_for_completion(instance_id, 10)

            assert record is not None
            assert record.progress.status is RuntimeStatus.Completed
            assert functions.run_count == 1

    on_virtual_time(scenario)


def test_a_timer_that_is_due_while_its_instance_is_suspended_fires_at_the_resume(functions):
    async def scenario(clock):
        hub, _ = small_hub(functions, clock)
        async with hub:
            instance_id = await hub.client.start("one_timer", input="10")
            await hub.client.suspend(instance_id)
            assert await hub.client.wait_for_completion(instance_id, 60) is None
            await hub.client.resume(instance_id)
            record = await hub.client.wait_for_completion(instance_id, 0.1)

            assert record is not None
            assert record.progress.output == '"00:01:00"'

    on_virtual_time(scenario)


def test_a_timer_that_was_held_back_fires_though_the_clock_has_gone_back(functions):
    async def scenario(clock):
        hub, _ = small_hub(functions, clock)
        async with hub:
            instance_id = await hub.client.start("one_timer", input="10")
            await hub.client.suspend(instance_id)
            await hub.client.wait_for_completion(instance_id, 60)
            clock.jump(timedelta(seconds=-55))
            await hub.client.resume(instance_id)
            record = await hub.client.wait_for_completion(instance_id, 60)

            assert record is not None
            assert record.progress.output == '"00:00:10"'

    on_virtual_time(scenario)


def test_a_resume_does_not_bring_a_timer_forward(functions):
    """Start, suspend and resume are taken in one episode, which asks for the timer."""

    async def scenario(clock):
        hub, _ = small_hub(functions, clock)
        async with hub:
            await hub.stop()
            instance_id = await hub.client.start("one_timer", input="100")
            await hub.client.suspend(instance_id)
            await hub.client.resume(instance_id)
            await hub.start()
            record = await hub.client.wait_for_completion(instance_id, 200)

            assert record is not None
            assert clock.now() == EPOCH + timedelta(seconds=100)

    on_virtual_time(scenario)


def test_a_timer_that_is_due_at_the_resume_is_taken_once(functions):
    """Its row is in the inbox, and it is about to ring as well."""

    async def scenario(clock):
        hub, storage = small_hub(functions, clock, turns=simulated_turns(lambda turn: 1.0))
        async with hub:
            instance_id = await hub.client.start("one_timer", input="10")
            await asyncio.sleep(5)

            async def slow(round_: Any) -> None:
                await asyncio.sleep(6)

            storage.before_commit = slow
            await asyncio.gather(hub.client.suspend(instance_id), hub.client.resume(instance_id))
            record = await hub.client.wait_for_completion(instance_id, 60)

            assert record is not None
            assert record.progress.status is RuntimeStatus.Completed

    on_virtual_time(scenario)


def test_a_suspended_instance_can_be_terminated(functions):
    async def scenario(clock):
        hub, _ = small_hub(functions, clock)
        async with hub:
            instance_id = await hub.client.start("collector")
            await hub.client.suspend(instance_id)
            await hub.client.terminate(instance_id, "enough")
            record = await hub.client.wait_for_completion(instance_id, 1)

            assert record is not None
            assert record.progress.status is RuntimeStatus.Terminated
            assert record.progress.output == "enough"

    on_virtual_time(scenario)
