"""What a process of a shared hub need not ask the store, because it knows."""

import asyncio

from perdure.contracts.executor import ServedKind
from perdure.contracts.offers import Offer
from perdure.contracts.records import CreateOutcome, ReusePolicy
from perdure.core.checkpoint import Creation
from perdure.core.status import RuntimeStatus
from support.shared_hub import Process, SharedHub, on_shared_hub, until
from support.stored_instances import creation, episode, raised

COMPLETED = frozenset({RuntimeStatus.Completed})
ANY = frozenset({RuntimeStatus.Running, RuntimeStatus.Completed})


def with_new_id(instance_id: str) -> Creation:
    made = creation(instance_id)
    made.has_new_id = True
    return made


def test_a_start_under_an_id_made_for_it_is_one_write_and_nobody_looks() -> None:
    async def scenario(hub: SharedHub) -> None:
        process = await hub.join()
        starting = asyncio.create_task(process.storage.create_instance(with_new_id("new"), ReusePolicy.NON_RUNNING))
        await until(lambda: bool(process.received))
        process.tables.asked.clear()
        last = await process.run(process.received[0])
        assert await starting is CreateOutcome.CREATED
        waiting = asyncio.create_task(process.storage.wait_for_status("new", COMPLETED))
        await asyncio.sleep(0)
        await process.commit(episode(last, status=RuntimeStatus.Completed))
        assert (await waiting).progress.status is RuntimeStatus.Completed
        assert dict(process.tables.asked) == {"write": 2}

    on_shared_hub(scenario)


def test_what_is_wanted_already_is_read() -> None:
    async def scenario(hub: SharedHub) -> None:
        process = await hub.join()
        starting = asyncio.create_task(process.storage.create_instance(with_new_id("new"), ReusePolicy.NON_RUNNING))
        await until(lambda: bool(process.received))
        last = await process.run(process.received[0])
        await starting
        assert (await process.storage.wait_for_status("new", ANY)).progress.status is RuntimeStatus.Running
        await process.commit(episode(last, status=RuntimeStatus.Completed))
        assert (await process.storage.wait_for_status("new", COMPLETED)).progress.status is RuntimeStatus.Completed

    on_shared_hub(scenario)


def test_what_others_have_ended_since_is_read() -> None:
    async def scenario(hub: SharedHub) -> None:
        one = await hub.join()
        ids = [f"i{n}" for n in range(40)]
        starting = [one.storage.create_instance(with_new_id(i), ReusePolicy.NON_RUNNING) for i in ids]
        starts = [asyncio.create_task(start) for start in starting]
        await until(lambda: len(one.received) == len(ids))
        last = {envelope.target: await one.run(envelope) for envelope in one.received}
        await asyncio.gather(*starts)
        two = await hub.join()
        await until(lambda: len(two.hold.leases) == 16)
        moved = [i for i in ids if two.hold.partition_of(i) in two.hold.leases]
        assert moved
        stored = await two.storage.load(two.hold, moved)
        assert stored.keys() == set(moved)
        for instance_id in moved:
            await two.commit(episode(last[instance_id], status=RuntimeStatus.Completed))
            record = await asyncio.wait_for(one.storage.wait_for_status(instance_id, COMPLETED), 0.1)
            assert record.progress.status is RuntimeStatus.Completed

    on_shared_hub(scenario)


def test_what_began_while_its_partition_went_is_read() -> None:
    async def scenario(hub: SharedHub) -> None:
        one = await hub.join()
        ids = [f"i{n}" for n in range(40)]
        starts = [
            asyncio.create_task(one.storage.create_instance(with_new_id(i), ReusePolicy.NON_RUNNING)) for i in ids
        ]
        await until(lambda: len(one.received) == len(ids))
        one.tables.slow["write"] = 1.0
        runs = [asyncio.create_task(one.run(envelope)) for envelope in one.received]
        await asyncio.sleep(1.5)
        going = list(one.hold.leases.values())[:16]
        await one.storage.release(going)
        begun = await asyncio.gather(*runs)
        await asyncio.gather(*starts)
        one.tables.slow.clear()
        two = await hub.join()
        await until(lambda: {lease.partition for lease in going} <= two.hold.leases.keys())
        moved = [last for last in begun if two.hold.partition_of(last.origin.instance_id) in two.hold.leases]
        assert moved
        await two.storage.load(two.hold, [last.origin.instance_id for last in moved])
        for last in moved:
            await two.commit(episode(last, status=RuntimeStatus.Completed))
            waiting = one.storage.wait_for_status(last.origin.instance_id, COMPLETED)
            assert (await asyncio.wait_for(waiting, 0.1)).progress.status is RuntimeStatus.Completed

    on_shared_hub(scenario)


def test_a_message_to_another_partition_that_is_held_is_handed_over_in_memory() -> None:
    async def scenario(hub: SharedHub) -> None:
        process = await hub.join()
        starting = asyncio.create_task(process.storage.create_instance(with_new_id("new"), ReusePolicy.NON_RUNNING))
        await until(lambda: bool(process.received))
        process.tables.asked.clear()
        others = [f"other{n}" for n in range(5)]
        await process.run(process.received[0], outbox=[raised(other) for other in others])
        await starting
        await until(lambda: len(process.received) == 6)
        assert [envelope.target for envelope in process.received[1:]] == others
        assert dict(process.tables.asked) == {"write": 1}

    on_shared_hub(scenario)


def test_nobody_looks_for_answers_to_what_was_offered_before_a_partition_went_and_came_back() -> None:
    async def scenario(hub: SharedHub) -> None:
        first = await hub.join()
        offers = first.storage.offers
        turns = [turn_of(first, partition) for partition in first.hold.leases]
        await offers.offer(turns)
        second = await hub.join()
        await until(lambda: hub.held() == [16, 16])
        await second.stop()
        await until(lambda: hub.held() == [32])
        await offers.withdraw_offers({o.number: o.partition for o in turns if o.number in hub.memory._offers})
        first.tables.asked.clear()
        await asyncio.sleep(30)
        assert first.tables.asked["renew"] <= 11

    on_shared_hub(scenario)


def turn_of(process: Process, partition: int) -> Offer:
    return Offer(
        number=process.storage.offers.next_offer_number(),
        kind=ServedKind.ORCHESTRATOR,
        name="Order",
        instance_id=f"in {partition}",
        partition=partition,
        body="",
    )
