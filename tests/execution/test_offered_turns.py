"""Workers of several servers, each of which knows only some names: every server runs every instance all the same."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from perdure.core.identifiers import EntityId
from perdure.core.status import RuntimeStatus
from perdure.core.waiting_on import WaitKind
from support.sharing_hosts import SharingHost, SharingHub, VirtualWorker, on_sharing_hub
from support.small_hub import Functions, text


@pytest.fixture
def caller() -> Functions:
    """What worker A has."""
    functions = Functions()

    @functions.orchestrator
    def order(recorder: Any, input: str | None) -> Any:
        packed = yield recorder.call_activity("pack", "1", text)
        billed = yield recorder.call_child("bill", "2", None, None, text)
        counted = yield recorder.call_entity("@counter@a", "add", "3", text)
        return [packed, billed, counted]

    @functions.orchestrator
    def many(recorder: Any, input: str | None) -> Any:
        calls = [recorder.call_activity("pack", str(n), text) for n in range(20)]
        calls += [recorder.call_child("bill", str(n), None, None, text) for n in range(20)]
        calls += [recorder.call_entity("@counter@b", "add", "1", text) for _ in range(20)]
        return len((yield recorder.all_of(calls)))

    @functions.orchestrator
    def listening(recorder: Any, input: str | None) -> Any:
        heard: list[Any] = []
        for _ in range(int(input or 1)):
            heard.append((yield recorder.wait_for_event("said", text)))
        return heard

    return functions


@pytest.fixture
def called() -> Functions:
    """What worker B has."""
    functions = Functions()
    functions.counter()

    @functions.activity
    def pack(value: str | None) -> str | None:
        return f'"packed {value}"'

    @functions.orchestrator
    def bill(recorder: Any, input: str | None) -> Any:
        return (yield recorder.call_activity("pack", input, text))

    return functions


ORDERED = '["\\"packed 1\\"","\\"\\\\\\"packed 2\\\\\\"\\"","3"]'


async def two_servers(hub: SharingHub, caller: Functions, called: Functions) -> tuple[SharingHost, SharingHost]:
    """Each with one worker."""
    first, second = await hub.server(), await hub.server()
    VirtualWorker(first.server, caller.registry)
    VirtualWorker(second.server, called.registry)
    await hub.until_even()
    return first, second


async def output(host: SharingHost, instance_id: str, seconds: float = 60) -> str | None:
    record = await host.client.wait_for_completion(instance_id, seconds)
    assert record is not None
    assert record.progress.status is RuntimeStatus.Completed, record.progress
    return record.progress.output


def test_each_calls_what_only_the_other_server_has(caller, called):
    async def scenario(hub: SharingHub) -> None:
        first, second = await two_servers(hub, caller, called)
        orders = [await host.client.start("order") for host in (first, second) for _ in range(10)]
        outputs = [await output(second, instance_id, 5) for instance_id in orders]
        assert sum(text.endswith(',"3"]') for text in outputs if text) == 1
        assert {text[: text.rindex(",")] for text in outputs if text} == {ORDERED[: ORDERED.rindex(",")]}
        assert await first.client.read_entity(EntityId("counter", "a")) == str(3 * len(orders))
        many = await first.client.start("many")
        assert await output(first, many) == "60"
        assert await first.client.read_entity(EntityId("counter", "b")) == "20"
        await asyncio.sleep(5)
        assert not hub.memory._offers

    on_sharing_hub(scenario)


@pytest.mark.parametrize("victim", [0, 1])
def test_either_server_may_die_when_its_worker_finds_the_other_one(caller, called, victim):
    async def scenario(hub: SharingHub) -> None:
        servers = await two_servers(hub, caller, called)
        orders = [await host.client.start("order") for host in servers for _ in range(10)]
        orders.append(await servers[0].client.start("many"))
        await asyncio.sleep(0.02)
        await servers[victim].kill()
        left = servers[1 - victim]
        await asyncio.sleep(1)
        VirtualWorker(left.server, (caller, called)[victim].registry)
        for instance_id in orders:
            assert await output(left, instance_id, 60) is not None
        assert await left.client.read_entity(EntityId("counter", "a")) == str(3 * (len(orders) - 1))
        assert await left.client.read_entity(EntityId("counter", "b")) == "20"

    on_sharing_hub(scenario)


def test_a_worker_that_comes_later_finds_what_waits_for_it(caller, called):
    async def scenario(hub: SharingHub) -> None:
        first, second = await hub.server(), await hub.server()
        VirtualWorker(first.server, caller.registry)
        await hub.until_even()
        orders = [await host.client.start("order") for host in (first, second) for _ in range(3)]
        await asyncio.sleep(30)
        worker = VirtualWorker(second.server, called.registry)
        for instance_id in orders:
            assert await output(first, instance_id) is not None
        assert worker.ran["pack"] == 2 * len(orders)

    on_sharing_hub(scenario)


def test_what_waits_for_a_worker_that_has_left_goes_to_another_server(caller, called):
    async def scenario(hub: SharingHub) -> None:
        first, second = await hub.server(), await hub.server()
        await hub.until_even()
        gone = [VirtualWorker(host.server, caller.registry, limit=1, seconds=50.0) for host in (first, second)]
        orders = [await host.client.start("listening", input="0") for host in (first, second) for _ in range(6)]
        await asyncio.sleep(1)
        for worker in gone:
            await worker.vanish()
        await asyncio.sleep(1)
        VirtualWorker(second.server, caller.registry)
        for instance_id in orders:
            assert await output(first, instance_id, 20) == "[]"

    on_sharing_hub(scenario)


def test_what_cannot_be_given_back_at_once_is_given_back_later(caller, called):
    async def scenario(hub: SharingHub) -> None:
        first, second = await hub.server(), await hub.server()
        await hub.until_even()
        gone = VirtualWorker(second.server, caller.registry, limit=1, seconds=50.0)
        orders = [await first.client.start("listening", input="0") for _ in range(12)]
        await asyncio.sleep(1)
        second.tables.is_cut = True
        await gone.vanish()
        await asyncio.sleep(3)
        second.tables.is_cut = False
        VirtualWorker(first.server, caller.registry)
        for instance_id in orders:
            assert await output(first, instance_id, 20) == "[]"

    on_sharing_hub(scenario)


def test_an_instance_that_nobody_runs_says_so_and_can_be_ended(caller, called):
    async def scenario(hub: SharingHub) -> None:
        first, second = await hub.server(), await hub.server()
        await hub.until_even()
        waiting = [await first.client.start("order") for _ in range(4)]
        await asyncio.sleep(3)
        for instance_id in waiting:
            record = await second.client.get(instance_id)
            assert record is not None
            [reason] = await second.client.waiting_on(record)
            assert reason.kind is WaitKind.TURN
            assert reason.reason == "offered to every process of the hub, and none has taken it"
            await second.client.terminate(instance_id, "enough")
            record = await second.client.wait_for_completion(instance_id, 10)
            assert record is not None
            assert record.progress.status is RuntimeStatus.Terminated
        await asyncio.sleep(10)
        assert not hub.memory._offers

    on_sharing_hub(scenario)


def test_events_that_come_while_a_turn_waits_elsewhere_are_taken_with_it(caller, called):
    async def scenario(hub: SharingHub) -> None:
        first, second = await hub.server(), await hub.server()
        await hub.until_even()
        ids = [await first.client.start("listening", input="5") for _ in range(6)]
        for number in range(5):
            await asyncio.sleep(0.3)
            for instance_id in ids:
                await first.client.raise_event(instance_id, "said", str(number))
        worker = VirtualWorker(second.server, caller.registry)
        for instance_id in ids:
            assert await output(second, instance_id) == '["0","1","2","3","4"]'
        # All that waited for one instance came with one turn.
        assert worker.ran["listening"] <= 2 * len(ids)

    on_sharing_hub(scenario)


def test_a_rewound_instance_runs_elsewhere_too(caller, called):
    async def scenario(hub: SharingHub) -> None:
        attempts: Counter[str] = Counter()
        functions = Functions()

        @functions.activity
        def fragile(value: str | None) -> str | None:
            attempts[value or ""] += 1
            if attempts[value or ""] == 1:
                raise ValueError("not yet")
            return value

        @functions.orchestrator
        def hopeful(recorder: Any, input: str | None) -> Any:
            return (yield recorder.call_activity("fragile", input, text))

        first, second = await hub.server(), await hub.server()
        VirtualWorker(second.server, functions.registry)
        await hub.until_even()
        ids = [await first.client.start("hopeful", input=str(number)) for number in range(8)]
        for instance_id in ids:
            record = await first.client.wait_for_completion(instance_id, 20)
            assert record is not None
            assert record.progress.status is RuntimeStatus.Failed
            await first.client.rewind(instance_id, "again")
        for number, instance_id in enumerate(ids):
            async with asyncio.timeout(30):
                record = await first.storage.wait_for_status(instance_id, frozenset({RuntimeStatus.Completed}))
            assert record.progress.output == f'"{number}"'

    on_sharing_hub(scenario)


def test_a_turn_whose_worker_dies_is_run_by_another_one(caller, called):
    async def scenario(hub: SharingHub) -> None:
        first, second = await hub.server(), await hub.server()
        slow = VirtualWorker(second.server, caller.registry, seconds=100.0)
        await hub.until_even()
        ids = [await first.client.start("listening", input="0") for _ in range(6)]
        await asyncio.sleep(2)
        await slow.vanish()
        VirtualWorker(first.server, caller.registry)
        for instance_id in ids:
            assert await output(first, instance_id, 30) == "[]"

    on_sharing_hub(scenario)


def test_partitions_may_move_while_turns_are_out(caller, called):
    async def scenario(hub: SharingHub) -> None:
        first, second = await two_servers(hub, caller, called)
        orders = [await first.client.start("order") for _ in range(30)]
        await asyncio.sleep(0.01)
        third = await hub.server()
        await asyncio.sleep(0.5)
        orders += [await third.client.start("order") for _ in range(30)]
        await asyncio.sleep(0.01)
        await third.process.run(third.stop)
        for instance_id in orders:
            assert await output(second, instance_id, 30) is not None
        assert await first.client.read_entity(EntityId("counter", "a")) == str(3 * len(orders))
        await asyncio.sleep(5)
        assert not hub.memory._offers

    on_sharing_hub(scenario)
