"""A turn that does not return holds up nobody else, and nothing that was accepted waits for it."""

from typing import Any

import pytest

from perdure.core.status import RuntimeStatus
from perdure.testing.simulated_turns import simulated_turns
from support.small_hub import Functions, on_virtual_time, small_hub, text

SLOW_SECONDS = 40.0


@pytest.fixture
def functions() -> Functions:
    functions = Functions()
    functions.counter()

    @functions.activity
    def echo(value: str | None) -> str | None:
        return value

    @functions.orchestrator
    def blocking(recorder: Any, input: str | None) -> Any:
        return [(yield recorder.wait_for_event("item", text)), (yield recorder.wait_for_event("item", text))]

    @functions.orchestrator
    def quick(recorder: Any, input: str | None) -> Any:
        return (yield recorder.call_activity("echo", "1", text))

    return functions


def seconds_of(turn: Any) -> float:
    origin = getattr(getattr(turn, "session", None), "origin", None)
    return SLOW_SECONDS if origin is not None and origin.name == "blocking" else 0.0


def test_others_go_on_and_the_late_one_ends(functions):
    async def scenario(clock):
        hub, _ = small_hub(functions, clock, turns=simulated_turns(seconds_of))
        async with hub:
            late = await hub.client.start("blocking")
            started = clock.now()
            others = [await hub.client.start("quick") for _ in range(10)]
            for instance_id in others:
                assert await hub.client.wait_for_completion(instance_id, 1) is not None
            assert (clock.now() - started).total_seconds() < 1

            await hub.client.raise_event(late, "item", "a")
            await hub.client.raise_event(late, "item", "b")
            assert (clock.now() - started).total_seconds() < 1, "an accepted event waited for a late turn"
            record = await hub.client.wait_for_completion(late, 200)

            assert record is not None
            assert record.progress.output == '["a","b"]'

    on_virtual_time(scenario)


def test_what_a_late_turn_has_in_hand_survives_a_crash(functions):
    async def scenario(clock):
        hub, storage = small_hub(functions, clock, turns=simulated_turns(seconds_of))
        async with hub:
            late = await hub.client.start("blocking")
            assert [e.position is not None for e in storage.rounds[-1].kept] == [True]
            await hub.restart()
            await hub.client.raise_event(late, "item", "a")
            await hub.client.raise_event(late, "item", "b")
            record = await hub.client.wait_for_completion(late, 200)

            assert record is not None
            assert record.progress.status is RuntimeStatus.Completed

    on_virtual_time(scenario)
