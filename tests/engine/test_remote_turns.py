"""Turns that wait for workers of other processes: nothing else waits, and nothing is told before it is true."""

import asyncio
from typing import Any

import msgspec
import pytest

from perdure.contracts.records import Round
from perdure.core import events as ev
from perdure.core.identifiers import EntityId
from perdure.core.messages import Envelope, Terminate
from perdure.core.status import RuntimeStatus
from perdure.testing.in_process_hub import default_options
from support.away_world import NEVER, AwayHub
from support.small_hub import Functions, on_virtual_time, text


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
        second = yield recorder.call_activity("echo", "2", text)
        return [first, second]

    @functions.orchestrator
    def items(recorder: Any, input: str | None) -> Any:
        found = []
        for _ in range(4):
            found.append((yield recorder.wait_for_event("item", text)))
        return found

    @functions.orchestrator
    def eternal(recorder: Any, input: str | None) -> Any:
        count = int(input or 0)
        found = yield recorder.wait_for_event("item", text)
        if count == 3:
            return found
        recorder.continue_as_new(str(count + 1), True)

    @functions.orchestrator
    def locking(recorder: Any, input: str | None) -> Any:
        with (yield recorder.lock_entities(["@counter@a"])):
            yield recorder.call_activity("echo", "1", text)

    return functions


async def ended(world: AwayHub, instance_id: str) -> Any:
    record = await world.hub.client.wait_for_completion(instance_id, 500)
    assert record is not None, await world.hub.client.history(instance_id)
    return record


async def status_of(world: AwayHub, instance_id: str) -> RuntimeStatus:
    record = await world.hub.client.get(instance_id)
    assert record is not None
    return record.progress.status


def test_workers_without_memory_see_the_whole_past(functions):
    async def scenario(clock):
        world = AwayHub(functions, clock)
        async with world.hub:
            instance_id = await world.hub.client.start("steps")
            record = await ended(world, instance_id)
            assert record.progress.output == '["1","2"]'
            other = await world.hub.client.start("items")
            await asyncio.sleep(1)
            for number in range(2):
                await world.hub.client.raise_event(other, "item", str(number))
                await world.hub.client.suspend(other)
                await asyncio.sleep(1)
                await world.hub.client.resume(other)
                await asyncio.sleep(1)
            await world.hub.restart()
            for number in range(2, 4):
                await world.hub.client.raise_event(other, "item", str(number))
                await asyncio.sleep(1)
            assert (await ended(world, other)).progress.output == '["0","1","2","3"]'

    on_virtual_time(scenario)


def test_what_comes_while_a_turn_waits_travels_with_it(functions):
    async def scenario(clock):
        world = AwayHub(functions, clock)
        world.work.wait_seconds = 10.0
        async with world.hub:
            instance_id = await world.hub.client.start("items")
            for number in range(4):
                await world.hub.client.raise_event(instance_id, "item", str(number))
            assert (await ended(world, instance_id)).progress.output == '["0","1","2","3"]'
            history = await world.hub.client.history(instance_id)
            assert sum(isinstance(event, ev.OrchestratorStarted) for event in history) == 1
            assert world.executor.recall_count == 4

    on_virtual_time(scenario)


def test_what_comes_while_a_turn_runs_comes_after_it(functions):
    async def scenario(clock):
        world = AwayHub(functions, clock)
        world.work.work_seconds = 10.0
        async with world.hub:
            instance_id = await world.hub.client.start("items")
            await asyncio.sleep(1)
            for number in range(4):
                await world.hub.client.raise_event(instance_id, "item", str(number))
            assert (await ended(world, instance_id)).progress.output == '["0","1","2","3"]'
            assert world.executor.recall_count == 0

    on_virtual_time(scenario)


@pytest.mark.parametrize("is_begun", [False, True])
def test_no_worker_is_needed_to_end_suspend_and_purge(functions, is_begun: bool):
    async def scenario(clock):
        world = AwayHub(functions, clock)
        async with world.hub:
            instance_id = await world.hub.client.start("items")
            if is_begun:
                await asyncio.sleep(1)
                world.work.wait_seconds = NEVER
                await world.hub.client.raise_event(instance_id, "item", "0")
            else:
                await world.hub.restart()
                world.work.wait_seconds = NEVER
                instance_id = await world.hub.client.start("items", instance_id="new")
            await world.hub.client.suspend(instance_id)
            await asyncio.sleep(1)
            assert await status_of(world, instance_id) is RuntimeStatus.Suspended
            await world.hub.client.resume(instance_id)
            await asyncio.sleep(1)
            expected = RuntimeStatus.Running if is_begun else RuntimeStatus.Pending
            assert await status_of(world, instance_id) is expected
            await world.hub.client.terminate(instance_id, "enough")
            await asyncio.sleep(1)
            assert await status_of(world, instance_id) is RuntimeStatus.Terminated
            assert await world.hub.client.purge(instance_id) == 1
            assert await world.hub.client.get(instance_id) is None

    on_virtual_time(scenario)


def test_a_rewound_orchestration_is_ended_without_a_worker(functions):
    @functions.orchestrator
    def failing(recorder: Any, input: str | None) -> Any:
        yield recorder.wait_for_event("item", text)
        raise ValueError("no")

    async def scenario(clock):
        world = AwayHub(functions, clock)
        async with world.hub:
            instance_id = await world.hub.client.start("failing")
            await world.hub.client.raise_event(instance_id, "item", "0")
            assert (await ended(world, instance_id)).progress.status is RuntimeStatus.Failed
            world.work.wait_seconds = NEVER
            await world.hub.client.rewind(instance_id)
            await asyncio.sleep(1)
            # What is stored has failed still, so that only somebody who was faster can have sent an end.
            await world.hub.storage.send(Envelope(instance_id, Terminate("enough")))
            await asyncio.sleep(1)
            assert await status_of(world, instance_id) is RuntimeStatus.Terminated
            history = await world.hub.client.history(instance_id)
            assert isinstance(history[-2], ev.ExecutionTerminated)
            assert any(isinstance(event, ev.ExecutionRewound) for event in history)

    on_virtual_time(scenario)


def test_an_execution_is_followed_through_its_generations(functions):
    async def scenario(clock):
        world = AwayHub(functions, clock)
        world.work.wait_seconds = 0.5
        async with world.hub:
            instance_id = await world.hub.client.start("eternal")
            for number in range(4):
                await world.hub.client.raise_event(instance_id, "item", str(number))
            assert (await ended(world, instance_id)).progress.output == '"3"'

    on_virtual_time(scenario)


@pytest.mark.parametrize("taken_max", [1, 2, 3])
def test_what_a_turn_did_not_take_comes_again_in_order(functions, taken_max: int):
    async def scenario(clock):
        world = AwayHub(functions, clock)
        world.work.wait_seconds, world.work.taken_max = 5.0, taken_max
        async with world.hub:
            instance_id = await world.hub.client.start("items")
            for number in range(4):
                await world.hub.client.raise_event(instance_id, "item", str(number))
            assert (await ended(world, instance_id)).progress.output == '["0","1","2","3"]'
            history = await world.hub.client.history(instance_id)
            episodes = sum(isinstance(event, ev.OrchestratorStarted) for event in history)
            assert episodes == -(-5 // taken_max)

    on_virtual_time(scenario)


@pytest.mark.parametrize("taken_max", [1, 2])
def test_events_that_came_with_a_start_may_be_taken_later(functions, taken_max: int):
    async def scenario(clock):
        world = AwayHub(functions, clock)
        async with world.hub:
            instance_id = await world.hub.client.start("eternal")
            await asyncio.sleep(1)
            world.work.work_seconds, world.work.taken_max = 5.0, taken_max
            await world.hub.client.raise_event(instance_id, "item", '"first"')
            await asyncio.sleep(1)
            for number in range(3):
                await world.hub.client.raise_event(instance_id, "item", str(number))
            record = await ended(world, instance_id)
            assert record.progress.output == '"2"'

    on_virtual_time(scenario)


@pytest.mark.parametrize("taken_max", [1, 2, 5])
def test_operations_that_a_batch_did_not_take_come_again_in_order(functions, taken_max: int):
    async def scenario(clock):
        world = AwayHub(functions, clock)
        world.work.wait_seconds, world.work.taken_max = 5.0, taken_max
        counter = EntityId("counter", "a")
        async with world.hub:
            locking = await world.hub.client.start("locking")
            for number in range(1, 6):
                await world.hub.client.signal_entity(counter, "add", str(number))
            assert (await ended(world, locking)).progress.status is RuntimeStatus.Completed
            await asyncio.sleep(100)
            assert await world.hub.client.read_entity(counter) == "15"
            assert not any(round_.discarded for round_ in world.storage.rounds)

    on_virtual_time(scenario)


def test_a_turn_or_result_is_settled_once_and_after_its_commit(functions):
    async def scenario(clock):
        world = AwayHub(functions, clock)
        world.work.work_seconds, world.work.losses = 1.0, 3
        unsettled: list[int] = []

        async def note(round_: Any) -> None:
            unsettled.append(world.executor.unsettled)

        world.storage.before_commit = note
        async with world.hub:
            instance_id = await world.hub.client.start("steps")
            await ended(world, instance_id)
            await asyncio.sleep(1)
            assert world.executor.unsettled == 0
            assert unsettled == [0, 1, 1, 1, 1, 1]

    on_virtual_time(scenario)


def test_nothing_is_settled_when_the_commit_failed(functions):
    async def scenario(clock):
        world = AwayHub(functions, clock)
        world.work.work_seconds = 1.0

        async def fail(round_: Any) -> None:
            if round_.checkpoints:
                raise asyncio.CancelledError

        async with world.hub:
            instance_id = await world.hub.client.start("steps")
            executor = world.executor
            world.storage.before_commit = fail
            await asyncio.sleep(5)
            assert executor.unsettled == 1
            world.storage.before_commit = None
            await world.hub.restart()
            assert (await ended(world, instance_id)).progress.status is RuntimeStatus.Completed
            assert executor.unsettled == 1

    on_virtual_time(scenario)


@pytest.mark.parametrize("way", ["ended at once", "replaced"])
def test_the_late_result_of_what_is_gone_is_dropped_and_settled(functions, way: str):
    async def scenario(clock):
        world = AwayHub(functions, clock)
        world.work.work_seconds = 10.0
        async with world.hub:
            instance_id = await world.hub.client.start("items")
            await asyncio.sleep(1)
            await world.hub.client.raise_event(instance_id, "item", "0")
            assert await world.hub.client.terminate_now([instance_id], "enough") == []
            record = await world.hub.client.get(instance_id)
            assert record is not None
            assert (record.progress.status, record.progress.output) == (RuntimeStatus.Terminated, "enough")
            if way == "replaced":
                await world.hub.client.start("steps", instance_id=instance_id)
            else:
                assert await world.hub.client.purge(instance_id) == 1
            await asyncio.sleep(11)
            assert world.executor.unsettled == 0
            if way == "replaced":
                assert (await ended(world, instance_id)).progress.output == '["1","2"]'
            else:
                assert await world.hub.client.get(instance_id) is None

    on_virtual_time(scenario)


def test_a_late_result_between_a_wish_for_the_end_and_the_end_drops_nothing(functions):
    async def scenario(clock):
        options = msgspec.structs.replace(default_options(), turns_per_round=1)
        world = AwayHub(functions, clock, options=options)
        async with world.hub:
            instance_id = await world.hub.client.start("items")
            await asyncio.sleep(1)
            world.work.work_seconds = 10.0
            await world.hub.client.raise_event(instance_id, "item", "0")
            await asyncio.sleep(9.5)
            others = [asyncio.ensure_future(world.hub.client.start("items")) for _ in range(5)]
            ending = asyncio.ensure_future(world.hub.client.terminate_now([instance_id]))

            async def slowly(round_: Any) -> None:
                await asyncio.sleep(0.2)

            world.storage.before_commit = slowly
            assert await ending == []
            await asyncio.gather(*others)
            await asyncio.sleep(20)
            before_end = [round_ for round_ in world.storage.rounds if not _ends(round_, instance_id)]
            assert not any(e.target == instance_id for round_ in before_end for e in round_.discarded)
            assert world.executor.unsettled == 0

    on_virtual_time(scenario)


def _ends(round_: Round, instance_id: str) -> bool:
    return any(
        checkpoint.progress.status.is_terminal
        for checkpoint in round_.checkpoints
        if checkpoint.origin.instance_id == instance_id
    )


def test_what_cannot_be_ended_at_once_is_named(functions):
    async def scenario(clock):
        world = AwayHub(functions, clock)
        client = world.hub.client
        async with world.hub:
            done = await client.start("steps")
            await ended(world, done)
            world.work.work_seconds = 10.0
            locking = await client.start("locking")
            await asyncio.sleep(25)
            busy = [await client.start("items") for _ in range(3)]
            waiting = await client.start("items", start_at=clock.now().replace(year=2100))
            await client.signal_entity(EntityId("counter", "b"), "add")
            await asyncio.sleep(1)
            ids = [busy[0], "nobody", done, locking, "@counter@b", busy[1], busy[1], waiting, busy[2]]
            assert await client.terminate_now(ids) == ["nobody", done, locking, "@counter@b"]
            assert (await ended(world, locking)).progress.status is RuntimeStatus.Completed

    on_virtual_time(scenario)
