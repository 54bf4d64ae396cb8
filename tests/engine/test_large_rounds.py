"""Payloads of many megabytes at once: each transaction stays small, all of it becomes true, nobody waits for ever."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from perdure.contracts.records import Round
from perdure.core.decisions import DecisionLimits
from perdure.core.messages import ActivityCompleted, RaiseEvent
from perdure.core.status import RuntimeStatus
from perdure.core.versioning import Versioning
from perdure.engine.options import EngineOptions
from perdure.testing.simulated_loop import SimulatedClock
from perdure.testing.simulated_turns import simulated_turns
from support.small_hub import Functions, on_virtual_time, small_hub, text

BOUND = 1_000
LARGE = 300
OPTIONS = EngineOptions(DecisionLimits(), Versioning(), transaction_characters=BOUND)

worked: Counter[str] = Counter()


@pytest.fixture
def functions() -> Functions:
    worked.clear()
    functions = Functions()
    functions.counter()

    @functions.activity
    def work(value: str | None) -> str | None:
        worked[str(value)] += 1
        return '"' + "r" * LARGE + '"'

    @functions.orchestrator
    def large(recorder: Any, input: str | None) -> Any:
        result = yield recorder.call_activity("work", recorder.instance_id, text)
        return len(result)

    @functions.orchestrator
    def collects(recorder: Any, input: str | None) -> Any:
        got = []
        for _ in range(5):
            got.append(len((yield recorder.wait_for_event("item", text))))
        return got

    return functions


def payload(round_: Round) -> int:
    """What a round brings in, as this file's messages have it."""
    taken = [e.message for checkpoint in round_.checkpoints for e in checkpoint.consumed]
    size = 0
    for message in [*taken, *(e.message for e in round_.kept)]:
        if isinstance(message, ActivityCompleted):
            size += len(message.result or "")
        elif isinstance(message, RaiseEvent):
            size += len(message.input or "")
    return size


def test_what_is_ready_at_once_is_written_in_parts(functions: Functions):
    async def scenario(clock: SimulatedClock) -> None:
        hub, watched = small_hub(functions, clock, options=OPTIONS, activity_delay=lambda _: 1.0)
        async with hub:
            ids = [f"order-{number}" for number in range(40)]
            await asyncio.gather(*(hub.client.start("large", instance_id=i) for i in ids))
            for instance_id in ids:
                record = await hub.client.wait_for_completion(instance_id, 60)
                assert record is not None
                assert record.progress.status is RuntimeStatus.Completed
            sizes = [payload(round_) for round_ in watched.rounds]
            assert 2 * LARGE < max(sizes) <= BOUND
            assert worked == dict.fromkeys(ids, 1)

    on_virtual_time(scenario)


def test_the_next_round_takes_fewer_turns_and_others_get_theirs(functions: Functions):
    @functions.orchestrator
    def small(recorder: Any, input: str | None) -> Any:
        for _ in range(3):
            yield recorder.call_entity("@counter@one", "add", "1", text)

    async def scenario(clock: SimulatedClock) -> None:
        hub, watched = small_hub(functions, clock, options=OPTIONS)
        async with hub:
            ids = [f"order-{number}" for number in range(40)]
            await asyncio.gather(*(hub.client.start("collects", instance_id=i) for i in ids))
            sending = [
                asyncio.create_task(hub.client.raise_event(i, "item", "1" * (LARGE - number)))
                for number in range(5)
                for i in ids
            ]
            await hub.client.start("small", instance_id="small")
            record = await hub.client.wait_for_completion("small", 60)
            assert record is not None
            assert record.progress.status is RuntimeStatus.Completed
            await asyncio.gather(*sending)
            for instance_id in ids:
                record = await hub.client.wait_for_completion(instance_id, 60)
                assert record is not None
                assert record.progress.status is RuntimeStatus.Completed
            # One turn may be larger than all that a transaction should hold.
            assert max(payload(round_) for round_ in watched.rounds) <= 5 * LARGE

    on_virtual_time(scenario)


def test_what_is_held_back_gets_its_row_with_its_instance(functions: Functions):
    """A resumed instance reads the inbox as soon as its own part is true."""

    async def scenario(clock: SimulatedClock) -> None:
        hub, _ = small_hub(functions, clock, options=OPTIONS)
        async with hub:
            ids = [f"order-{number}" for number in range(10)]
            await asyncio.gather(*(hub.client.start("collects", instance_id=i) for i in ids))

            async def all_at_once(instance_id: str) -> None:
                calls = [hub.client.suspend(instance_id)]
                calls += [hub.client.raise_event(instance_id, "item", "1" * (LARGE - n)) for n in range(5)]
                calls.append(hub.client.resume(instance_id))
                await asyncio.gather(*calls)

            await asyncio.gather(*map(all_at_once, ids))
            for instance_id in ids:
                record = await hub.client.wait_for_completion(instance_id, 60)
                assert record is not None
                assert record.progress.output == f"[{','.join(str(LARGE - number) for number in range(5))}]"

    on_virtual_time(scenario)


def test_what_is_kept_for_turns_that_are_out_is_written_in_parts(functions: Functions):
    async def scenario(clock: SimulatedClock) -> None:
        hub, watched = small_hub(functions, clock, options=OPTIONS, turns=simulated_turns(lambda turn: 0.5))
        async with hub:
            await hub.client.start("collects", instance_id="busy")
            others = [f"order-{number}" for number in range(4)]
            await asyncio.gather(*(hub.client.start("collects", instance_id=i) for i in others))
            ids = ["busy", *others]
            await asyncio.gather(*(hub.client.raise_event(i, "item", "1" * LARGE) for _ in range(5) for i in ids))
            for instance_id in ids:
                record = await hub.client.wait_for_completion(instance_id, 60)
                assert record is not None
                assert record.progress.status is RuntimeStatus.Completed
            kept = [round_ for round_ in watched.rounds if round_.kept]
            assert kept
            assert max(payload(round_) for round_ in kept) <= 5 * LARGE

    on_virtual_time(scenario)
