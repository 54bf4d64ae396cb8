"""Who holds which partition of a hub that several processes share (reliability.md O1 to O5)."""

import asyncio
from datetime import timedelta

import pytest

from perdure.contracts.errors import LeaseLost, Unavailable
from perdure.contracts.records import Round
from perdure.storage.shared.keeping import LeaseTimes
from support.shared_hub import PARTITIONS, SharedHub, on_shared_hub, until
from support.stored_instances import creation, episode, raised, started

TIMES = LeaseTimes()


def test_a_lone_process_has_all_partitions() -> None:
    async def scenario(hub: SharedHub) -> None:
        process = await hub.join()
        assert sorted(process.hold.partitions) == list(range(PARTITIONS))
        assert await process.storage.acquire("again") == []

    on_shared_hub(scenario)


def test_a_lease_granted_again_to_the_same_process_is_another_one() -> None:
    async def scenario(hub: SharedHub) -> None:
        process = await hub.join()
        instance_id = hub.id_for(process)
        client = asyncio.create_task(process.storage.create_instance(creation(instance_id), frozenset()))
        await until(lambda: bool(process.received))
        first = await process.run(process.received[0])
        await client
        old = dict(process.hold.leases)
        process.tables.is_cut = True
        await until(lambda: not process.hold.leases)
        process.tables.is_cut = False
        await until(lambda: len(process.hold.leases) == PARTITIONS)
        stale = type(process.hold).of(*old.values(), count=PARTITIONS)
        with pytest.raises(LeaseLost) as lost:
            await process.storage.commit(stale, Round([episode(first, events=[started()])]))
        assert lost.value.partitions == set(range(PARTITIONS))
        with pytest.raises(LeaseLost):
            await process.storage.recover(list(old.values()), hub.clock.now(), hub.clock.now())
        assert await process.storage.history(instance_id) == first.events

    on_shared_hub(scenario)


def test_a_slow_renewal_does_not_stretch_the_lease() -> None:
    async def scenario(hub: SharedHub) -> None:
        slow, other = await hub.join(), await hub.join()
        await until(lambda: hub.held() == [16, 16])
        taken_at: list[float] = []
        loop = asyncio.get_running_loop()
        had = set(slow.hold.partitions)
        slow.tables.slow["renew"] = 8.0
        stopped_after = await until(lambda: not slow.hold.leases)
        stopped_at = loop.time()
        await until(lambda: bool(had & set(other.hold.partitions)))
        taken_at.append(loop.time())
        assert stopped_at < taken_at[0], "nobody may begin before the former owner has stopped"
        assert stopped_after <= TIMES.renewal + TIMES.lease - TIMES.margin + 0.1

    on_shared_hub(scenario)


def test_a_paused_process_commits_nothing_when_it_wakes() -> None:
    """Its own clock stood still, too: only the fence is left."""

    async def scenario(hub: SharedHub) -> None:
        zombie, other = await hub.join(), await hub.join()
        await until(lambda: hub.held() == [16, 16])
        instance_id = hub.id_for(zombie)
        client = asyncio.create_task(zombie.storage.create_instance(creation(instance_id), frozenset()))
        await until(lambda: bool(zombie.received))
        first = await zombie.run(zombie.received[0])
        await client
        # The store takes it for dead, and it has not heard of that.
        zombie.tables.slow["renew"] = 30.0
        hub.store_clock.jump(timedelta(seconds=60))
        await until(lambda: hub.held() == [32] and len(other.hold.leases) == 32)
        zombie_number = zombie.storage.process
        with pytest.raises(LeaseLost):
            await zombie.commit(episode(first, events=[started()]))
        assert await other.storage.history(instance_id) == first.events
        zombie.tables.slow.clear()
        await until(lambda: hub.held() == [16, 16])
        assert zombie.storage.process not in (None, zombie_number), "it comes back under a new number"

    on_shared_hub(scenario)


def test_what_a_zombie_accepted_before_is_written_for_the_next_owner() -> None:
    async def scenario(hub: SharedHub) -> None:
        zombie, other = await hub.join(), await hub.join()
        await until(lambda: hub.held() == [16, 16])
        target = hub.id_for(zombie)
        sender = asyncio.create_task(zombie.storage.send(raised(target)))
        await until(lambda: bool(zombie.received))
        assert not sender.done()
        zombie.tables.slow["renew"] = 30.0
        hub.store_clock.jump(timedelta(seconds=60))
        await until(lambda: zombie.hold.partition_of(target) in other.hold.leases)
        assert not sender.done(), "nothing is acknowledged before it is durable"
        await sender
        await until(lambda: [e.target for e in other.received] == [target])

    on_shared_hub(scenario)


def test_what_a_cut_process_did_not_write_is_refused() -> None:
    async def scenario(hub: SharedHub) -> None:
        process = await hub.join()
        sender = asyncio.create_task(process.storage.send(raised("anybody")))
        await until(lambda: bool(process.received))
        process.tables.is_cut = True
        with pytest.raises(Unavailable):
            await sender
        process.tables.is_cut = False
        await until(lambda: len(process.hold.leases) == PARTITIONS)
        assert len(process.received) == 1

    on_shared_hub(scenario)


def test_a_killed_process_is_followed_within_the_lease_and_five_seconds() -> None:
    async def scenario(hub: SharedHub) -> None:
        one, two = await hub.join(), await hub.join()
        await until(lambda: hub.held() == [16, 16])
        await one.kill()
        assert await until(lambda: len(two.hold.leases) == 32) <= TIMES.lease + 5

    on_shared_hub(scenario)


def test_a_process_that_stops_hands_over_at_once() -> None:
    async def scenario(hub: SharedHub) -> None:
        one, two, three = [await hub.join() for _ in range(3)]
        await until(lambda: hub.held() == [11, 11, 10])
        await one.stop()
        assert await until(lambda: hub.held() == [16, 16]) < 2
        assert await until(lambda: len(two.hold.leases) + len(three.hold.leases) == 32) < 2

    on_shared_hub(scenario)


def test_a_process_that_joins_gets_its_share_at_once() -> None:
    async def scenario(hub: SharedHub) -> None:
        one = await hub.join()
        two = await hub.join()
        assert await until(lambda: hub.held() == [16, 16] and len(two.hold.leases) == 16) < 2
        assert len(one.hold.leases) == 16

    on_shared_hub(scenario)


def test_lost_hints_only_delay_the_balance() -> None:
    async def scenario(hub: SharedHub) -> None:
        one = hub.make()
        one.tables.loses_hints = True
        await one.start()
        two = hub.make()
        two.tables.loses_hints = True
        await two.start()
        assert await until(lambda: hub.held() == [16, 16]) < 3 * TIMES.lease

    on_shared_hub(scenario)


def test_partitions_even_out_and_hardly_move() -> None:
    async def scenario(hub: SharedHub) -> None:
        first = [await hub.join() for _ in range(3)]
        await until(lambda: [len(process.hold.leases) for process in first] == [11, 11, 10])
        for process in first:
            process.gained.clear()
        fourth = await hub.join()
        assert await until(lambda: hub.held() == [8, 8, 8, 8] and len(fourth.hold.leases) == 8) < 3 * TIMES.lease
        await fourth.kill()
        await until(lambda: sum(len(process.hold.leases) for process in first) == PARTITIONS)
        assert sorted(hub.held()) == [10, 11, 11]
        moves = [partition for process in [*first, fourth] for partition in process.gained]
        assert max(moves.count(partition) for partition in set(moves)) <= 2
        assert len(moves) == 16, "eight came to the fourth, eight went back"

    on_shared_hub(scenario)


def test_a_process_that_was_buried_by_mistake_goes_on_under_a_new_number() -> None:
    async def scenario(hub: SharedHub) -> None:
        process = await hub.join()
        number = process.storage.process
        assert number is not None
        hub.memory.depart(number)
        await process.storage.send(raised("anybody"))
        await until(lambda: len(process.hold.leases) == PARTITIONS and process.storage.process != number)
        await until(lambda: len(process.received) == 2)
        # What it had in hand went with the partition, and came back as a row.
        assert [e.target for e in process.received] == ["anybody", "anybody"]
        assert process.received[0].position == process.received[1].position is not None

    on_shared_hub(scenario)


def test_a_cut_process_refuses_instead_of_waiting() -> None:
    async def scenario(hub: SharedHub) -> None:
        process = await hub.join()
        process.tables.is_cut = True
        await until(lambda: not process.hold.leases)
        with pytest.raises(Unavailable):
            await process.storage.send(raised("anybody"))
        with pytest.raises(Unavailable):
            await process.storage.create_instance(creation("anybody"), frozenset())
        with pytest.raises(Unavailable):
            await process.storage.get("anybody")

    on_shared_hub(scenario)


def test_a_process_that_only_asks_gets_no_partition_and_leaves_all_to_the_others() -> None:
    async def scenario(hub: SharedHub) -> None:
        runs = await hub.join()
        asks = hub.make()
        await asks.storage.open()
        await asks.storage.send(raised("somebody"))
        await asyncio.sleep(3 * TIMES.lease)
        assert hub.held() == [PARTITIONS]
        assert [e.target for e in runs.received] == ["somebody"]

    on_shared_hub(scenario)


def test_an_idle_process_asks_seldom() -> None:
    async def scenario(hub: SharedHub) -> None:
        processes = [await hub.join() for _ in range(3)]
        await until(lambda: hub.held() == [11, 11, 10])
        await asyncio.sleep(10)
        for process in processes:
            process.tables.asked.clear()
        await asyncio.sleep(600)
        for process in processes:
            assert process.tables.asked.total() < 0.5 * 600

    on_shared_hub(scenario)
