"""How many commits a run costs: one per step, and none for messages that are consumed in their round."""

from typing import Any

import pytest

from perdure.core.status import RuntimeStatus
from support.small_hub import Functions, on_virtual_time, small_hub, text


@pytest.fixture
def functions() -> Functions:
    functions = Functions()

    @functions.activity
    def echo(value: str | None) -> str | None:
        return value

    @functions.orchestrator
    def sequence(recorder: Any, input: str | None) -> Any:
        results = []
        for number in range(int(input or 0)):
            results.append((yield recorder.call_activity("echo", str(number), text)))
        return results

    return functions


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_a_sequence_of_n_activities_is_n_plus_one_commits(functions, steps):
    async def scenario(clock):
        hub, storage = small_hub(functions, clock)
        async with hub:
            instance_id = await hub.client.start("sequence", input=str(steps))
            record = await hub.client.wait_for_completion(instance_id, 60)

            assert record is not None
            assert record.progress.status is RuntimeStatus.Completed
            assert len(storage.rounds) == steps + 1

    on_virtual_time(scenario)


def test_a_start_joins_the_first_episode_and_gets_no_row(functions):
    async def scenario(clock):
        hub, storage = small_hub(functions, clock)
        async with hub:
            await hub.client.start("sequence", input="1")

            [first] = storage.rounds
            [checkpoint] = first.checkpoints
            assert [envelope.position for envelope in checkpoint.consumed] == [None]
            assert not first.kept

    on_virtual_time(scenario)


def test_what_is_ready_together_is_committed_together(functions):
    async def scenario(clock):
        hub, storage = small_hub(functions, clock, activity_delay=lambda activity: 1.0)
        async with hub:
            ids = [await hub.client.start("sequence", input="3") for _ in range(20)]
            for instance_id in ids:
                await hub.client.wait_for_completion(instance_id, 60)

            # Twenty starts, one after the other; then three rounds of twenty results.
            assert len(storage.rounds) == 20 + 3

    on_virtual_time(scenario)
