"""Payloads of many megabytes at once: each transaction stays small, all of it becomes true, nobody waits for ever."""

import asyncio
from collections import Counter
from collections.abc import Collection
from datetime import timedelta
from typing import Any

import pytest

from perdure.client import ClientOptions, ReusePolicy
from perdure.contracts.records import Hold, Round
from perdure.core.decisions import DecisionLimits
from perdure.core.messages import ActivityCompleted, RaiseEvent, StartExecution
from perdure.core.status import RuntimeStatus
from perdure.core.versioning import Versioning
from perdure.engine.live_instances import LiveLimits
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


def test_what_a_later_start_replaces_loses_nothing_before_that_is_written(functions: Functions):
    """The process is killed between the parts: what was sent to the former instance is still there, or not accepted."""

    async def scenario(clock: SimulatedClock) -> None:
        anything = ClientOptions(reuse=ReusePolicy.ANY)
        hub, watched = small_hub(functions, clock, options=OPTIONS, client_options=anything)
        is_next = asyncio.Event()

        async def replaces(round_: Round) -> None:
            if any(isinstance(e.message, StartExecution) and e.due_at for e in round_.kept):
                assert not round_.checkpoints
                is_next.set()
                await asyncio.Event().wait()

        async with hub:
            others = [f"order-{number}" for number in range(10)]
            await asyncio.gather(*(hub.client.start("collects", instance_id=i) for i in [*others, "it"]))
            watched.before_commit = replaces
            client, later = hub.client, clock.now() + timedelta(hours=1)
            filling = [asyncio.create_task(client.raise_event(i, "item", "1" * LARGE)) for i in others]
            raising = asyncio.create_task(client.raise_event("it", "item", "7"))
            starting = asyncio.create_task(client.start("collects", instance_id="it", start_at=later))
            await is_next.wait()
            await asyncio.sleep(1)
            was_accepted = raising.done()
            await hub.kill()
            watched.before_commit = None
            cut_off: list[asyncio.Task[Any]] = [*filling, raising, starting]
            await asyncio.gather(*cut_off, return_exceptions=True)
            await hub.start()
            for _ in range(4 if was_accepted else 5):
                await client.raise_event("it", "item", "7")
            record = await client.wait_for_completion("it", 60)
            assert record is not None
            assert record.progress.output == "[1,1,1,1,1]"


@pytest.mark.parametrize("size", [1, 1_000], ids=["small", "large"])
def test_what_a_restart_finds_is_loaded_bit_by_bit(functions: Functions, size: int):
    """Small instances soon all at once, large ones so many as memory should hold."""

    async def scenario(clock: SimulatedClock) -> None:
        options = EngineOptions(DecisionLimits(), Versioning(), loaded_bytes=100_000)
        hub, watched = small_hub(functions, clock, options=options)
        ids = [f"order-{number}" for number in range(400)]
        loads: list[int] = []
        load = watched.load

        async def counted(hold: Hold, instance_ids: Collection[str]) -> Any:
            loads.append(len(instance_ids))
            return await load(hold, instance_ids)

        watched.load = counted  # type: ignore[method-assign]
        async with hub:
            await asyncio.gather(*(hub.client.start("collects", instance_id=i, input="1" * size) for i in ids))
            await hub.stop()
            for item in range(5):
                for instance_id in ids:
                    await hub.client.raise_event(instance_id, "item", "1" * (item + 1))
            loads.clear()
            await hub.start()
            for instance_id in ids:
                record = await hub.client.wait_for_completion(instance_id, 60)
                assert record is not None
                assert record.progress.output == "[1,2,3,4,5]"
            assert sum(loads) == len(ids), "each is loaded once"
            if size == 1:
                assert loads == [256, 144]
            else:
                assert loads[0] == 256
                assert max(loads[1:]) <= 100

    on_virtual_time(scenario)


def test_what_was_loaded_leaves_memory_as_soon_as_it_is_too_much(functions: Functions):
    async def scenario(clock: SimulatedClock) -> None:
        live = LiveLimits(bytes_max=200_000)
        options = EngineOptions(DecisionLimits(), Versioning(), live=live, loaded_bytes=100_000)
        hub, _ = small_hub(functions, clock, options=options)
        ids = [f"order-{number}" for number in range(300)]
        async with hub:
            await asyncio.gather(*(hub.client.start("collects", instance_id=i, input="1" * 1_000) for i in ids))
            await hub.stop()
            for instance_id in ids:
                await hub.client.raise_event(instance_id, "item", "1")
            await hub.start()
            # Sooner than it is looked for what may rest.
            await asyncio.sleep(1)
            assert hub.worker is not None
            assert hub.worker.live_count() < 150
            for _ in range(4):
                await asyncio.gather(*(hub.client.raise_event(i, "item", "1") for i in ids))
            for instance_id in ids:
                assert await hub.client.wait_for_completion(instance_id, 60) is not None

    on_virtual_time(scenario)
