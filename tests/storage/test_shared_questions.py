"""What a process of a shared hub need not ask the store, because it knows."""

import asyncio

from perdure.contracts.records import CreateOutcome, ReusePolicy
from perdure.core.checkpoint import Creation
from perdure.core.status import RuntimeStatus
from support.shared_hub import SharedHub, on_shared_hub, until
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
