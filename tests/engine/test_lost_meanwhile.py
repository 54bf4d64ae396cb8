"""Partitions that go while a round is under way: nothing of them is done, nothing of the others is lost."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from perdure.contracts.errors import CheckpointRefused
from perdure.contracts.records import ReusePolicy
from perdure.core.decisions import DecisionLimits
from perdure.core.status import RuntimeStatus
from perdure.core.versioning import MatchStrategy, Versioning
from perdure.engine.options import EngineOptions
from perdure.testing.simulated_loop import SimulatedClock
from support.losing_hosts import LosingHosts
from support.small_hub import Functions, on_virtual_time, text

worked: Counter[str] = Counter()


@pytest.fixture
def functions() -> Functions:
    worked.clear()
    functions = Functions()

    @functions.activity
    def work(value: str | None) -> str | None:
        worked[str(value)] += 1
        if worked[str(value)] == 1 and str(value).startswith("fails"):
            raise ValueError("once")
        return value

    @functions.orchestrator
    def collects(recorder: Any, input: str | None) -> Any:
        got = []
        for _ in range(3):
            got.append((yield recorder.wait_for_event("item", text)))
        return got

    @functions.orchestrator
    def works(recorder: Any, input: str | None) -> Any:
        return (yield recorder.call_activity("work", recorder.instance_id, text))

    @functions.orchestrator
    def sleeps(recorder: Any, input: str | None) -> Any:
        yield recorder.create_timer(recorder.now + timedelta(seconds=100))
        return "woken"

    return functions


ALL_ITEMS = '["0","1","2"]'


async def give(hosts: LosingHosts, ids: list[str], *items: int) -> None:
    for item in items:
        await asyncio.gather(*(hosts.loser.client.raise_event(i, "item", str(item)) for i in ids))


@pytest.mark.parametrize("way", ["asking", "answering"])
@pytest.mark.parametrize("operation", ["load", "commit"])
def test_a_partition_goes_while_a_round_is_made(functions: Functions, operation: str, way: str):
    async def scenario(clock: SimulatedClock) -> None:
        async with LosingHosts(functions, clock) as hosts:
            ids = hosts.ids(6)
            for instance_id in ids:
                await hosts.loser.client.start("collects", instance_id=instance_id)
            await give(hosts, ids, 0)
            # They leave memory.
            await asyncio.sleep(30)

            async def lose(_: Any) -> None:
                await hosts.store.lose(*ids[:2])

            if way == "asking":
                hosts.store.asking[operation] = lose
            else:
                hosts.store.answering["write" if operation == "commit" else operation] = lose
            await give(hosts, ids, 1, 2)
            await hosts.all_end(ids, ALL_ITEMS)

    on_virtual_time(scenario)


@pytest.mark.parametrize("way", ["asking", "answering"])
def test_a_partition_goes_while_what_is_due_next_is_read(functions: Functions, way: str):
    async def scenario(clock: SimulatedClock) -> None:
        options = EngineOptions(DecisionLimits(), Versioning(), horizon=timedelta(minutes=1))
        async with LosingHosts(functions, clock, options=options) as hosts:
            ids = hosts.ids(6)
            begun = clock.now()
            for instance_id in ids:
                await hosts.loser.client.start("sleeps", instance_id=instance_id)

            async def lose(_: Any) -> None:
                await hosts.store.lose(*ids[:2])

            if way == "asking":
                hosts.store.asking["read_due"] = lose
            else:
                hosts.store.answering["read due"] = lose
            for instance_id in ids:
                assert await hosts.client.wait_for_completion(instance_id, 7_200) is not None
            assert (clock.now() - begun) < timedelta(seconds=110)
            await hosts.all_end(ids, '"woken"')

    on_virtual_time(scenario)


@pytest.mark.parametrize("lost", [0, 1], ids=["own", "another"])
@pytest.mark.parametrize("way", ["asking", "answering"])
def test_a_partition_goes_while_what_was_held_back_is_read(functions: Functions, way: str, lost: int):
    async def scenario(clock: SimulatedClock) -> None:
        async with LosingHosts(functions, clock) as hosts:
            ids = hosts.ids(6)
            for instance_id in ids:
                await hosts.loser.client.start("collects", instance_id=instance_id)
                await hosts.loser.client.suspend(instance_id)
            await give(hosts, ids, 0, 1)
            resumed: list[str] = []

            async def lose(_: Any) -> None:
                resumed.append(ids[lost])
                await hosts.store.lose(ids[lost])

            if way == "asking":
                hosts.store.asking["read_inbox"] = lose
            else:
                hosts.store.answering["read inbox"] = lose
            await hosts.loser.client.resume(ids[0])
            await asyncio.gather(*(hosts.loser.client.resume(i) for i in ids[1:]))
            await give(hosts, ids, 2)
            assert resumed
            await hosts.all_end(ids, ALL_ITEMS)

    on_virtual_time(scenario)


@pytest.mark.parametrize("lost", [0, 1], ids=["own", "another"])
@pytest.mark.parametrize("way", ["asking", "answering"])
def test_a_partition_goes_while_it_is_read_what_an_ended_one_may_take(functions: Functions, way: str, lost: int):
    """A parent hears that its child cannot be rewound only from who has the child."""

    async def scenario(clock: SimulatedClock) -> None:
        async with LosingHosts(functions, clock) as hosts:
            ids = hosts.ids(2)
            (parent,) = hosts.ids(1, host=1, prefix="parent")

            @functions.orchestrator
            def fails(recorder: Any, input: str | None) -> Any:
                return (yield recorder.call_activity("work", f"fails {recorder.instance_id}", text))

            @functions.orchestrator
            def over(recorder: Any, input: str | None) -> Any:
                return (yield recorder.call_child("fails", None, ids[0], None, text))

            await hosts.client.start("over", instance_id=parent)
            assert await hosts.client.wait_for_completion(parent, 60) is not None
            await asyncio.sleep(30)

            async def lose(_: Any) -> None:
                await hosts.store.lose(ids[lost])

            if way == "asking":
                hosts.store.asking["read_inbox"] = lose
            else:
                hosts.store.answering["read inbox"] = lose
            await hosts.client.rewind(parent)
            await hosts.all_end([parent, ids[0]])

    on_virtual_time(scenario)


def test_what_is_refused_is_answered_to_whoever_has_the_parent(functions: Functions):
    async def scenario(clock: SimulatedClock) -> None:
        async with LosingHosts(functions, clock) as hosts:
            (parent,) = hosts.ids(1, host=1)
            (child,) = hosts.ids(1)

            @functions.orchestrator
            def over(recorder: Any, input: str | None) -> Any:
                return (yield recorder.call_child("fails", None, child, None, text))

            @functions.orchestrator
            def fails(recorder: Any, input: str | None) -> Any:
                return (yield recorder.call_activity("work", "fails always", text))

            await hosts.client.start("over", instance_id=parent)
            assert await hosts.client.wait_for_completion(parent, 60) is not None

            async def purge(_: Any) -> None:
                # The parent's rewind is durable, and so is the message to its child.
                await hosts.store.purge([child])

            hosts.store.asking["load"] = purge
            await hosts.client.rewind(parent)
            await hosts.store.wait_for_status(parent, frozenset({RuntimeStatus.Running}))
            record = await hosts.client.wait_for_completion(parent, 60)
            assert record is not None
            assert record.progress.failure is not None
            assert f"'{child}' cannot be rewound" in record.progress.failure.message

    on_virtual_time(scenario)


@pytest.mark.parametrize("way", ["asking", "answering"])
def test_a_partition_goes_while_it_is_looked_why_a_round_was_refused(functions: Functions, way: str):
    async def scenario(clock: SimulatedClock) -> None:
        async with LosingHosts(functions, clock) as hosts:
            ids = hosts.ids(4)
            for instance_id in ids:
                await hosts.loser.client.start("collects", instance_id=instance_id)

            async def lose(_: Any) -> None:
                await hosts.store.lose(*ids[:2])

            async def refuse(_: Any) -> None:
                if way == "asking":
                    hosts.store.asking["read_inbox"] = lose
                else:
                    hosts.store.answering["read inbox"] = lose
                raise CheckpointRefused("a row is not there")

            # From another process, so that they have rows.
            hosts.store.asking["commit"] = refuse
            await asyncio.gather(*(hosts.client.raise_event(i, "item", "0") for i in ids))
            await asyncio.sleep(5)
            await give(hosts, ids, 1, 2)
            await hosts.all_end(ids, ALL_ITEMS)

    on_virtual_time(scenario)


@pytest.mark.parametrize("lost", [0, 1], ids=["own", "another"])
@pytest.mark.parametrize("operation", ["get", "load"])
def test_a_partition_goes_while_the_locks_of_what_is_replaced_are_read(functions: Functions, operation: str, lost: int):
    async def scenario(clock: SimulatedClock) -> None:
        async with LosingHosts(functions, clock) as hosts:
            ids = hosts.ids(3)
            for instance_id in ids:
                await hosts.loser.client.start("collects", instance_id=instance_id)
            await asyncio.sleep(30)

            async def lose(_: Any) -> None:
                await hosts.store.lose(ids[lost])

            hosts.store.asking[operation] = lose
            renewing = [
                asyncio.create_task(
                    hosts.loser.client.start("collects", instance_id=i, reuse=ReusePolicy.ANY, execution_id=f"new {i}")
                )
                for i in ids
            ]
            await asyncio.gather(*renewing)
            await give(hosts, ids, 0, 1, 2)
            await hosts.all_end(ids, ALL_ITEMS)
            for instance_id in ids:
                record = await hosts.client.get(instance_id)
                assert record is not None
                assert record.origin.execution_id == f"new {instance_id}"

    on_virtual_time(scenario)


class _Later:
    """Runs version 2.0 from some time on."""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        self._begins = clock.now() + timedelta(seconds=60)

    def compare(self, left: str | None, right: str | None) -> int:
        return 0 if left == right or self._clock.now() >= self._begins else 1


@pytest.mark.parametrize("lost", [0, 1], ids=["own", "another"])
@pytest.mark.parametrize("way", ["asking", "answering"])
def test_a_partition_goes_while_it_is_read_what_waits_for_a_version(functions: Functions, way: str, lost: int):
    async def scenario(clock: SimulatedClock) -> None:
        versioning = Versioning("1.0", MatchStrategy.STRICT, compare=_Later(clock).compare)
        options = EngineOptions(DecisionLimits(), versioning)
        async with LosingHosts(functions, clock, options=options) as hosts:
            ids = hosts.ids(3)
            for instance_id in ids:
                await hosts.loser.client.start("collects", instance_id=instance_id, version="2.0")
            await give(hosts, ids, 0, 1, 2)

            async def lose(_: Any) -> None:
                await hosts.store.lose(ids[lost])

            if way == "asking":
                hosts.store.asking["read_inbox"] = lose
            else:
                hosts.store.answering["read inbox"] = lose
            await hosts.all_end(ids, ALL_ITEMS)

    on_virtual_time(scenario)


def test_a_partition_goes_while_what_was_left_in_it_is_read(functions: Functions):
    async def scenario(clock: SimulatedClock) -> None:
        async with LosingHosts(functions, clock) as hosts:
            ids = hosts.ids(6, host=1)
            for instance_id in ids:
                await hosts.client.start("collects", instance_id=instance_id)
            await give(hosts, ids, 0)

            async def lose(leases: Any) -> None:
                assert {lease.partition for lease in leases} >= {hosts.partition_of(i) for i in ids}
                await hosts.store.lose(*ids[:2])

            hosts.store.asking["recover"] = lose
            await hosts.other.kill()
            await hosts.store.wait_for_status(ids[0], frozenset({RuntimeStatus.Running}))
            await asyncio.sleep(30)
            await hosts.other.start()
            await give(hosts, ids, 1, 2)
            await hosts.all_end(ids, ALL_ITEMS)

    on_virtual_time(scenario)
