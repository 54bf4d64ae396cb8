"""Activities that run while their partition goes to another process: they go on, and end once."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from perdure.core.instance import InstanceRecord
from perdure.core.status import RuntimeStatus
from perdure.execution import offer_batches
from support.shared_hub import until
from support.sharing_hosts import SharingHost, SharingHub, VirtualWorker, on_sharing_hub
from support.small_hub import Functions, text

GRACE_SECONDS = 60.0


@pytest.fixture
def functions() -> Functions:
    functions = Functions()

    @functions.activity
    def work(value: str | None) -> str | None:
        if value == "fails":
            raise ValueError("no")
        return value

    @functions.orchestrator
    def fan_out(recorder: Any, input: str | None) -> Any:
        tasks = [recorder.call_activity("work", str(number), text) for number in range(int(input or 0))]
        results = yield recorder.all_of(tasks)
        return len(set(results))

    @functions.orchestrator
    def one(recorder: Any, input: str | None) -> Any:
        try:
            result = yield recorder.call_activity("work", input, text)
        except Exception as error:
            return type(error).__name__
        return result

    return functions


def owner_of(hub: SharingHub, instance_id: str) -> SharingHost | None:
    partition = hub.hosts[0].storage._holding.partition_of(instance_id)
    owner = hub.memory.partitions[partition].owner
    return next((host for host in hub.hosts if owner is not None and host.storage.process == owner), None)


def others_than(hub: SharingHub, host: SharingHost) -> list[SharingHost]:
    return [each for each in hub.hosts if each is not host]


def ran(hub: SharingHub) -> Counter[str]:
    return sum((host.ran for host in hub.hosts), start=Counter[str]())


def begun(hub: SharingHub, count: int) -> Callable[[], bool]:
    return lambda: ran(hub).total() == count


async def started(hub: SharingHub, name: str, input: str) -> tuple[str, SharingHost]:
    """An instance whose activities have begun, and the host that has both."""
    instance_id = await hub.hosts[0].client.start(name, input=input, instance_id=name)
    await until(begun(hub, int(input) if name == "fan_out" else 1))
    owner = owner_of(hub, instance_id)
    assert owner is not None
    return instance_id, owner


async def completed(host: SharingHost, instance_id: str, seconds: float = 120) -> InstanceRecord:
    record = await host.client.wait_for_completion(instance_id, seconds)
    assert record is not None
    assert record.progress.status is RuntimeStatus.Completed, record.progress
    return record


async def nothing_left(hub: SharingHub) -> None:
    await asyncio.sleep(5)
    assert not hub.memory._offers
    assert not hub.memory.rows.activities
    assert not hub.memory.rows.inbox


def stopping(host: SharingHost, grace_seconds: float = GRACE_SECONDS) -> "asyncio.Task[bool]":
    stop: Awaitable[bool] = host.process.run(lambda: host.stop(grace_seconds))
    return asyncio.ensure_future(stop)


def test_a_process_that_stops_is_rid_of_its_partitions_at_once_and_ends_what_it_runs(functions):
    async def scenario(hub: SharingHub) -> None:
        for _ in range(3):
            await hub.app(functions.registry, seconds=20.0)
        await hub.until_even()
        instance_id, owner = await started(hub, "fan_out", "10")
        other = others_than(hub, owner)[0]
        stop = stopping(owner)
        assert await until(lambda: hub.held(owner) == 0) < 0.1
        assert await until(lambda: owner_of(hub, instance_id) is not None) < 0.5
        reasons = await other.client.waiting_on((await other.client.get(instance_id)) or pytest.fail("it is gone"))
        assert all("in process 'host" in (reason.reason or "") for reason in reasons)
        assert len(reasons) == 10
        record = await completed(other, instance_id)
        assert record.progress.output == "10"
        assert await stop
        assert ran(hub) == {str(number): 1 for number in range(10)}
        await nothing_left(hub)

    on_sharing_hub(scenario)


def test_partitions_may_leave_long_before_their_process_does(functions):
    async def scenario(hub: SharingHub) -> None:
        for _ in range(2):
            await hub.app(functions.registry, seconds=5.0)
        await hub.until_even()
        instance_id, owner = await started(hub, "fan_out", "10")
        [other] = others_than(hub, owner)
        for _ in range(2):
            owner.process.call_soon(owner.worker.leave)
        assert await until(lambda: hub.held(other) == 32) < 0.5
        await completed(owner, instance_id)
        # It may be asked for more, which others do.
        await completed(owner, await owner.client.start("fan_out", input="3"))
        assert hub.held(other) == 32
        assert await stopping(owner)
        assert (owner.ran.total(), other.ran.total()) == (10, 3)
        await nothing_left(hub)

    on_sharing_hub(scenario)


def test_a_process_alone_leaves_what_it_ran_to_its_successor(functions):
    async def scenario(hub: SharingHub) -> None:
        owner = await hub.app(functions.registry, seconds=20.0)
        instance_id, _ = await started(hub, "fan_out", "10")
        assert await stopping(owner)
        successor = await hub.app(functions.registry, seconds=20.0)
        await completed(successor, instance_id)
        assert ran(hub).total() == 10
        await nothing_left(hub)

    on_sharing_hub(scenario)


def test_a_partition_that_moves_leaves_its_activities_where_they_run(functions):
    async def scenario(hub: SharingHub) -> None:
        await hub.app(functions.registry, seconds=20.0, at_once=100)
        ids = [
            await hub.hosts[0].client.start("one", input=str(number), instance_id=f"one-{number}")
            for number in range(60)
        ]
        await until(begun(hub, 60))
        for _ in range(2):
            await hub.app(functions.registry, seconds=20.0, at_once=100)
        await hub.until_even()
        owners = [owner_of(hub, instance_id) for instance_id in ids]
        assert all(host in owners for host in hub.hosts)
        for instance_id in ids:
            await completed(hub.hosts[1], instance_id)
        assert ran(hub) == {str(number): 1 for number in range(60)}
        await nothing_left(hub)

    on_sharing_hub(scenario)


def test_a_partition_may_come_back_while_they_run(functions):
    async def scenario(hub: SharingHub) -> None:
        first = await hub.app(functions.registry, seconds=60.0)
        ids = [await first.client.start("one", input=str(number), instance_id=f"one-{number}") for number in range(20)]
        await until(begun(hub, 20))
        second = await hub.app(functions.registry, seconds=60.0)
        await hub.until_even()
        assert len(hub.memory._offers) > 5
        await stopping(second)
        await until(lambda: hub.held(first) == 32)
        third = await hub.app(functions.registry, seconds=60.0)
        await until(lambda: hub.held(third) == 16)
        for instance_id in ids:
            await completed(third, instance_id)
        assert ran(hub).total() == 20
        await nothing_left(hub)

    on_sharing_hub(scenario)


def test_what_has_not_ended_in_time_runs_again_elsewhere(functions):
    async def scenario(hub: SharingHub) -> None:
        for _ in range(2):
            await hub.app(functions.registry, seconds=20.0)
        await hub.until_even()
        instance_id, owner = await started(hub, "fan_out", "10")
        [other] = others_than(hub, owner)
        assert not await stopping(owner, 5.0)
        assert other.ran.total() == 0
        assert await until(lambda: other.ran.total() == 10) < 2
        await completed(other, instance_id)
        assert ran(hub).total() == 20
        await nothing_left(hub)

    on_sharing_hub(scenario)


@pytest.mark.parametrize("operation", ["offer claimed", "write", "give back", "finish offers"])
def test_a_process_that_dies_while_it_hands_over_costs_a_second_run_and_no_more(functions, operation):
    async def scenario(hub: SharingHub) -> None:
        for _ in range(2):
            await hub.app(functions.registry, seconds=20.0)
        await hub.until_even()
        instance_id, owner = await started(hub, "fan_out", "10")
        [other] = others_than(hub, owner)
        owner.tables.slow[operation] = 3.0
        asked = owner.tables.asked[operation]
        stop = stopping(owner)
        if operation == "write":
            # Nothing is without a row, so nothing is written.
            await asyncio.sleep(1.0)
        else:
            await until(lambda: owner.tables.asked[operation] > asked)
            # It has come to the store, and its answer has not come back.
            await asyncio.sleep(4.5)
        await owner.kill()
        stop.cancel()
        await completed(other, instance_id)
        assert set(ran(hub).values()) <= {1, 2}
        await nothing_left(hub)

    on_sharing_hub(scenario)


@pytest.mark.parametrize("seconds", [0.5, 0.9, 1.0, 1.0005, 1.001, 1.5, 2.0, 2.5, 3.0, 3.5])
def test_an_activity_may_end_at_any_moment_of_it(functions, seconds):
    async def scenario(hub: SharingHub) -> None:
        for _ in range(2):
            await hub.app(functions.registry, seconds=seconds)
        await hub.until_even()
        instance_id, owner = await started(hub, "fan_out", "10")
        [other] = others_than(hub, owner)
        # There and back each.
        owner.tables.slow |= {"offer claimed": 0.5, "write": 0.5, "give back": 0.5}
        stop = stopping(owner)
        await completed(other, instance_id)
        assert await stop
        assert ran(hub).total() == 10
        await nothing_left(hub)

    on_sharing_hub(scenario)


def test_a_store_that_is_away_delays_it(functions):
    async def scenario(hub: SharingHub) -> None:
        for _ in range(2):
            await hub.app(functions.registry, seconds=3.0)
        await hub.until_even()
        instance_id, owner = await started(hub, "fan_out", "10")
        [other] = others_than(hub, owner)
        owner.tables.is_cut = True
        stop = stopping(owner)
        await asyncio.sleep(4)
        owner.tables.is_cut = False
        await completed(other, instance_id)
        assert await stop
        assert ran(hub).total() == 10
        await nothing_left(hub)

    on_sharing_hub(scenario)


def test_a_failure_is_heard_by_the_next_owner_too(functions):
    async def scenario(hub: SharingHub) -> None:
        for _ in range(2):
            await hub.app(functions.registry, seconds=5.0)
        await hub.until_even()
        instance_id, owner = await started(hub, "one", "fails")
        stop = stopping(owner)
        record = await completed(others_than(hub, owner)[0], instance_id)
        assert record.progress.output == '"CallFailed"'
        assert await stop
        assert ran(hub).total() == 1

    on_sharing_hub(scenario)


@pytest.mark.parametrize("what", ["terminate", "purge"])
def test_nobody_hears_of_it_when_the_instance_has_ended_meanwhile(functions, what):
    async def scenario(hub: SharingHub) -> None:
        for _ in range(2):
            await hub.app(functions.registry, seconds=10.0)
        await hub.until_even()
        instance_id, owner = await started(hub, "fan_out", "10")
        [other] = others_than(hub, owner)
        stop = stopping(owner)
        await until(lambda: owner_of(hub, instance_id) is other)
        await other.client.terminate(instance_id, "enough")
        record = await other.client.wait_for_completion(instance_id, 5)
        assert record is not None
        assert record.progress.status is RuntimeStatus.Terminated
        if what == "purge":
            await other.client.purge(instance_id)
        assert await stop
        assert ran(hub).total() == 10
        await nothing_left(hub)
        assert (await other.client.get(instance_id) is None) == (what == "purge")

    on_sharing_hub(scenario)


def test_what_waits_goes_with_its_instance(functions):
    async def scenario(hub: SharingHub) -> None:
        for _ in range(2):
            await hub.app(functions.registry, seconds=2.0, at_once=5)
        await hub.until_even()
        instance_id = await hub.hosts[0].client.start("fan_out", input="40", instance_id="fan")
        await asyncio.sleep(3.0)
        owner = owner_of(hub, instance_id)
        assert owner is not None
        [other] = others_than(hub, owner)
        stop = stopping(owner)
        await completed(other, instance_id)
        assert await stop
        assert ran(hub).total() == 40
        await nothing_left(hub)

    on_sharing_hub(scenario)


def test_what_is_done_for_others_ends_while_its_process_stops(functions):
    async def scenario(hub: SharingHub) -> None:
        for _ in range(2):
            await hub.app(functions.registry, seconds=5.0, at_once=5)
        await hub.until_even()
        instance_id = await hub.hosts[0].client.start("fan_out", input="10", instance_id="fan")
        await until(begun(hub, 10))
        owner = owner_of(hub, instance_id)
        assert owner is not None
        [claimer] = others_than(hub, owner)
        assert claimer.ran.total() == 5
        assert await stopping(claimer)
        await completed(owner, instance_id)
        assert ran(hub).total() == 10
        await nothing_left(hub)

    on_sharing_hub(scenario)


def test_forgetting_spares_what_is_done_for_others(functions):
    """A partition that goes takes its own activities with it, not those that were claimed of another one."""

    async def scenario(hub: SharingHub) -> None:
        for _ in range(2):
            await hub.app(functions.registry, seconds=1.0, at_once=5)
        await hub.until_even()
        first = await hub.hosts[0].client.start("fan_out", input="40", instance_id="fan")
        owner = owner_of(hub, first)
        assert owner is not None
        [claimer] = others_than(hub, owner)
        ids = (f"own-{number}" for number in range(100))
        own = next(each for each in ids if owner_of(hub, each) is claimer)
        claimer.tables.slow["claim offers"] = 0.3
        await until(lambda: claimer.tables.asked["claim offers"] == 1)
        await claimer.client.start("fan_out", input="5", instance_id=own)
        # What is claimed comes after its own, and waits for that.
        await until(lambda: len(claimer.executor._claims._activities) == 5)
        assert len(claimer.inner.begun()) == 5
        assert len(claimer.executor.begun()) == 5
        claimer.executor.forget(lambda activity: True)
        assert claimer.executor.take_back(lambda activity: True) == []
        for instance_id in (first, own):
            await completed(owner, instance_id)
        await nothing_left(hub)

    on_sharing_hub(scenario)


@pytest.fixture
def everything(functions: Functions) -> Functions:
    """What the workers of servers have."""
    return functions


async def two_servers(hub: SharingHub, everything: Functions) -> tuple[SharingHost, SharingHost, list[VirtualWorker]]:
    """Two, each with a worker that has everything; in 5 seconds each does one thing."""
    first, second = await hub.server(), await hub.server()
    await hub.until_even()
    return first, second, [VirtualWorker(host.server, everything.registry, 5.0) for host in (first, second)]


def test_what_a_worker_does_counts_though_its_server_stops(everything):
    async def scenario(hub: SharingHub) -> None:
        first, second, workers = await two_servers(hub, everything)
        ids = [await first.client.start("one", input=str(number), instance_id=f"one-{number}") for number in range(8)]
        assert {owner is first for owner in [owner_of(hub, each) for each in ids]} == {True, False}
        await asyncio.sleep(7)
        stop = stopping(first)
        assert await until(lambda: hub.held(first) == 0) < 0.5
        for instance_id in ids:
            await completed(second, instance_id)
        assert await stop
        assert sum(worker.ran["work"] for worker in workers) == 8
        await nothing_left(hub)

    on_sharing_hub(scenario)


def test_a_stopping_server_waits_for_no_worker_that_is_gone(everything):
    async def scenario(hub: SharingHub) -> None:
        first, second, workers = await two_servers(hub, everything)
        ids = [await first.client.start("one", input=str(number), instance_id=f"one-{number}") for number in range(8)]
        await asyncio.sleep(7)
        stop = stopping(first)
        await until(lambda: hub.held(first) == 0)
        done_by_the_other = workers[1].ran["work"]
        given = workers[0].ran["work"]
        await workers[0].vanish()
        assert await stop
        assert await until(lambda: workers[1].ran["work"] == done_by_the_other + given) < 2
        for instance_id in ids:
            await completed(second, instance_id)
        await nothing_left(hub)

    on_sharing_hub(scenario)


def test_a_worker_that_leaves_after_a_partition_moved_is_replaced_by_any(everything):
    async def scenario(hub: SharingHub) -> None:
        first = await hub.server()
        gone = VirtualWorker(first.server, everything.registry, 5.0)
        ids = [await first.client.start("one", input=str(number), instance_id=f"one-{number}") for number in range(8)]
        await asyncio.sleep(7)
        second = await hub.server()
        other = VirtualWorker(second.server, everything.registry, 5.0)
        await hub.until_even()
        assert hub.memory._offers
        await gone.vanish()
        for instance_id in ids:
            await completed(second, instance_id)
        assert gone.ran["work"] == 8
        assert other.ran["work"] == 8
        await nothing_left(hub)

    on_sharing_hub(scenario)


def test_large_inputs_and_results_go_to_the_store_in_several_calls(functions, monkeypatch):
    monkeypatch.setattr(offer_batches, "CHARACTERS_MAX", 1_000)

    async def scenario(hub: SharingHub) -> None:
        for _ in range(2):
            await hub.app(functions.registry, seconds=20.0, at_once=100)
        ids = [f"one-{number}" for number in range(20)]
        for instance_id in ids:
            await hub.hosts[0].client.start("one", input=instance_id + "x" * 300, instance_id=instance_id)
        await until(begun(hub, 20))
        owner = max(hub.hosts, key=hub.held)
        [other] = others_than(hub, owner)
        sizes: list[int] = []
        offer_claimed, finish = owner.tables.offer_claimed, owner.tables.finish_offers

        async def watched_offers(process: int, offers: Any, fence: Any) -> Any:
            sizes.append(sum(len(offer.body) for offer in offers))
            return await offer_claimed(process, offers, fence)

        async def watched_results(process: int, finished: Any) -> Any:
            sizes.append(sum(len(placed.envelope.message.result) for _, placed in finished))
            return await finish(process, finished)

        owner.tables.offer_claimed, owner.tables.finish_offers = watched_offers, watched_results  # type: ignore[method-assign]
        assert await stopping(owner)
        for instance_id in ids:
            await completed(other, instance_id)
        assert len(sizes) > 6
        # The bodies hold a little more than the inputs.
        assert max(sizes) < 2_000
        assert ran(hub).total() == 20
        await nothing_left(hub)

    on_sharing_hub(scenario)
