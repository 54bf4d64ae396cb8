"""Activities of one process that others do: all have their part, each ends once, and a lone process pays nothing."""

import asyncio
from typing import Any

import pytest

from perdure.core.status import RuntimeStatus
from support.sharing_hosts import SharingHost, SharingHub, on_sharing_hub
from support.small_hub import Functions, text


@pytest.fixture
def functions() -> Functions:
    functions = Functions()

    @functions.activity
    def work(value: str | None) -> str | None:
        return value

    @functions.orchestrator
    def fan_out(recorder: Any, input: str | None) -> Any:
        tasks = [recorder.call_activity("work", str(number), text) for number in range(int(input or 0))]
        results = yield recorder.all_of(tasks)
        return len(set(results))

    return functions


async def run(host: SharingHost, count: int) -> float:
    """How long a fan-out of so many takes."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    instance_id = await host.client.start("fan_out", input=str(count))
    record = await host.client.wait_for_completion(instance_id, 600)
    assert record is not None
    assert record.progress.status is RuntimeStatus.Completed, record.progress
    assert record.progress.output == str(count)
    return loop.time() - begun


def offers_left(hub: SharingHub) -> int:
    return len(hub.memory._offers)


def test_one_fan_out_uses_all_processes_and_each_activity_runs_once(functions):
    async def scenario(hub: SharingHub) -> None:
        hosts = [await hub.app(functions.registry) for _ in range(3)]
        await hub.until_even()
        seconds = await run(hosts[0], 1_000)
        assert seconds < 2.5 / 2.2
        assert min(host.ran.total() for host in hosts) > 200
        assert sum((host.ran for host in hosts), start=type(hosts[0].ran)()) == {str(n): 1 for n in range(1_000)}
        await asyncio.sleep(5)
        assert offers_left(hub) == 0
        assert await hosts[1].storage.backlog_sizes([]) == {}

    on_sharing_hub(scenario)


def test_a_process_alone_offers_nothing(functions):
    async def scenario(hub: SharingHub) -> None:
        host = await hub.app(functions.registry)
        assert await run(host, 1_000) < 2.6
        assert host.tables.asked["offer"] == 0
        assert host.tables.asked["withdraw"] == 0
        assert host.tables.asked["claim offers"] == 0

    on_sharing_hub(scenario)


def test_what_is_done_in_a_moment_is_not_offered(functions):
    async def scenario(hub: SharingHub) -> None:
        hosts = [await hub.app(functions.registry, seconds=0.001) for _ in range(2)]
        await hub.until_even()
        await run(hosts[0], 1_000)
        assert sum(host.tables.asked["offer"] for host in hosts) == 0

    on_sharing_hub(scenario)


def test_an_idle_hub_asks_nothing_for_the_sake_of_offers(functions):
    async def scenario(hub: SharingHub) -> None:
        hosts = [await hub.app(functions.registry) for _ in range(2)]
        await hub.until_even()
        await run(hosts[0], 300)
        await asyncio.sleep(10)
        before = [host.tables.asked.total() for host in hosts]
        await asyncio.sleep(300)
        for host, asked in zip(hosts, before, strict=True):
            assert host.tables.asked.total() - asked <= 102

    on_sharing_hub(scenario)


@pytest.mark.parametrize("victim", ["owner", "claimer"])
def test_nothing_is_lost_when_a_process_dies_in_the_middle(functions, victim):
    async def scenario(hub: SharingHub) -> None:
        hosts = [await hub.app(functions.registry, seconds=1.0) for _ in range(3)]
        await hub.until_even()
        instance_id = await hosts[0].client.start("fan_out", input="300")
        partition = hosts[0].storage._holding.partition_of(instance_id)
        owner = next(host for host in hosts if partition in host.storage._holding.leases)
        others = [host for host in hosts if host is not owner]
        await asyncio.sleep(1.5)
        assert others[0].ran.total() > 0
        await (owner if victim == "owner" else others[0]).kill()
        record = await others[1].client.wait_for_completion(instance_id, 120)
        assert record is not None
        assert record.progress.output == "300"
        total = sum((host.ran for host in hosts), start=type(owner.ran)())
        assert len(total) == 300
        # What was with the dead one ran twice, nothing else did.
        assert total.total() <= 300 + 20

    on_sharing_hub(scenario)


def test_a_process_that_stops_gives_back_what_it_has_not_begun(functions):
    async def scenario(hub: SharingHub) -> None:
        hosts = [await hub.app(functions.registry, seconds=1.0) for _ in range(3)]
        await hub.until_even()
        instance_id = await hosts[0].client.start("fan_out", input="300")
        await asyncio.sleep(2.2)
        stopping = next(host for host in hosts if hosts[0].storage._holding.partition_of(instance_id)
                        not in host.storage._holding.leases)  # fmt: skip
        begun = asyncio.get_running_loop().time()
        assert await stopping.process.run(stopping.stop)
        assert asyncio.get_running_loop().time() - begun < 3
        left = next(host for host in hosts if host is not stopping)
        record = await left.client.wait_for_completion(instance_id, 120)
        assert record is not None
        assert record.progress.output == "300"
        assert sum((host.ran for host in hosts), start=type(left.ran)()).total() == 300

    on_sharing_hub(scenario)


def test_a_stopping_owner_leaves_its_offers_to_others(functions):
    async def scenario(hub: SharingHub) -> None:
        hosts = [await hub.app(functions.registry, seconds=1.0) for _ in range(2)]
        await hub.until_even()
        instance_id = await hosts[0].client.start("fan_out", input="200")
        await asyncio.sleep(1.5)
        partition = hosts[0].storage._holding.partition_of(instance_id)
        owner = next(host for host in hosts if partition in host.storage._holding.leases)
        [other] = [host for host in hosts if host is not owner]
        await owner.process.run(owner.stop)
        record = await other.client.wait_for_completion(instance_id, 120)
        assert record is not None
        assert record.progress.output == "200"
        assert (owner.ran + other.ran).total() == 200
        await asyncio.sleep(5)
        assert offers_left(hub) == 0

    on_sharing_hub(scenario)


def test_offers_of_an_instance_that_ends_are_gone_and_what_comes_of_them_is_nothing(functions):
    async def scenario(hub: SharingHub) -> None:
        hosts = [await hub.app(functions.registry, seconds=2.0) for _ in range(2)]
        await hub.until_even()
        instance_id = await hosts[0].client.start("fan_out", input="500")
        await asyncio.sleep(1.0)
        assert offers_left(hub) > 100
        await hosts[1].client.terminate(instance_id, "enough")
        record = await hosts[0].client.wait_for_completion(instance_id, 10)
        assert record is not None
        await asyncio.sleep(5)
        assert offers_left(hub) == 0
        ran = sum(host.ran.total() for host in hosts)
        await asyncio.sleep(20)
        assert sum(host.ran.total() for host in hosts) == ran < 150
        assert not hub.memory.rows.inbox

    on_sharing_hub(scenario)


def test_a_store_that_is_away_for_a_while_costs_no_result(functions):
    async def scenario(hub: SharingHub) -> None:
        hosts = [await hub.app(functions.registry, seconds=0.5) for _ in range(2)]
        await hub.until_even()
        instance_id = await hosts[0].client.start("fan_out", input="400")
        for _ in range(3):
            await asyncio.sleep(0.7)
            for host in hosts:
                host.tables.is_cut = True
            await asyncio.sleep(1.0)
            for host in hosts:
                host.tables.is_cut = False
        record = await hosts[0].client.wait_for_completion(instance_id, 120)
        assert record is not None
        assert record.progress.output == "400"
        assert sum(host.ran.total() for host in hosts) == 400

    on_sharing_hub(scenario)


def test_who_does_what_is_told_on_any_host(functions):
    async def scenario(hub: SharingHub) -> None:
        hosts = [await hub.app(functions.registry, seconds=3.0, at_once=5) for _ in range(2)]
        await hub.until_even()
        instance_id = await hosts[0].client.start("fan_out", input="20")
        await asyncio.sleep(1.5)
        partition = hosts[0].storage._holding.partition_of(instance_id)
        [claimer] = [n for n, h in enumerate(hosts, 1) if partition not in h.storage._holding.leases]
        for host in hosts:
            record = await host.client.get(instance_id)
            assert record is not None
            reasons = await host.client.waiting_on(record)
            assert {reason.reason for reason in reasons} == {
                f"of 20 with this name: 5 in process 'host{claimer}', 10 are offered to every process and not taken yet"
            }

    on_sharing_hub(scenario)


def test_what_was_claimed_and_has_become_ones_own_is_not_begun_twice(functions):
    """Its owner took it back after this process was thought dead, and died; now it is in this one's backlog."""

    async def scenario(hub: SharingHub) -> None:
        hosts = [await hub.app(functions.registry, seconds=3.0, at_once=5) for _ in range(2)]
        await hub.until_even()
        instance_id = await hosts[0].client.start("fan_out", input="10")
        await asyncio.sleep(1.5)
        partition = hosts[0].storage._holding.partition_of(instance_id)
        [claimer] = [host for host in hosts if partition not in host.storage._holding.leases]
        assert claimer.ran.total() == 5
        claimed = [hub.memory.rows.activities[number][1] for number in list(hub.memory._offers)]
        assert claimer.executor.begun() == set()
        claimer.executor.start_activities(claimed)
        assert claimer.executor.begun() == {activity.number for activity in claimed}
        await asyncio.sleep(5)
        assert claimer.ran.total() == 5
        assert claimer.tables.asked["finish offers"] == 0

    on_sharing_hub(scenario)
