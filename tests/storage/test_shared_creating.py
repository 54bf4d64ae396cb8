"""Starts that race over several processes: exactly one wins, wherever its instance runs (reliability.md X4)."""

import asyncio
from collections import Counter
from contextlib import suppress

import pytest

from perdure.contracts.errors import InstanceTaken, LeaseLost, Unavailable
from perdure.contracts.records import CreateOutcome, ReusePolicy, Round
from perdure.core.checkpoint import Creation
from perdure.core.messages import Envelope
from perdure.core.status import RuntimeStatus
from perdure.storage.shared.keeping import LeaseTimes
from support.shared_hub import Process, SharedHub, on_shared_hub, until
from support.stored_instances import creation, episode, first_events, later, names, raised

CREATED, REPLACED, EXISTS = CreateOutcome.CREATED, CreateOutcome.REPLACED, CreateOutcome.EXISTS
TIMES = LeaseTimes()


async def pair(hub: SharedHub) -> tuple[Process, Process]:
    one, two = await hub.join(), await hub.join()
    await until(lambda: [len(one.hold.leases), len(two.hold.leases)] == [16, 16])
    return one, two


def runs(process: Process, **fields: object) -> None:
    """Commit the first episode of every start; leave out those that others have created first."""

    async def first_episode(envelope: Envelope) -> None:
        if names([envelope]) != ["StartExecution"]:
            return
        with suppress(InstanceTaken):
            await process.run(envelope, **fields)

    process.does = first_episode


async def create(process: Process, made: Creation, reuse: ReusePolicy = ReusePolicy.NON_RUNNING) -> CreateOutcome:
    return await process.storage.create_instance(made, reuse)


@pytest.mark.parametrize("before", ["free", "finished"])
def test_of_many_starts_over_two_processes_one_wins(before: str) -> None:
    async def scenario(hub: SharedHub) -> None:
        one, two = await pair(hub)
        runs(one)
        runs(two)
        instance_id = hub.id_for(two)
        expected = CREATED
        if before == "finished":
            runs(two, status=RuntimeStatus.Completed)
            await create(one, creation(instance_id))
            await one.storage.wait_for_status(instance_id, frozenset({RuntimeStatus.Completed}))
            runs(two)
            expected = REPLACED
        outcomes = await asyncio.gather(
            *(
                create(process, creation(instance_id, created_at=later(n)))
                for n in range(1, 25)
                for process in (one, two)
            )
        )
        assert Counter(outcomes) == {expected: 1, EXISTS: 47}
        await until(lambda: hub.memory.rows.records[instance_id].progress.status is RuntimeStatus.Running)
        assert not hub.memory.rows.inbox

    on_shared_hub(scenario)


def test_a_start_in_memory_gives_way_to_one_that_was_committed_elsewhere() -> None:
    async def scenario(hub: SharedHub) -> None:
        one, two = await pair(hub)
        instance_id, other_id = hub.id_for(two), hub.id_for(two, "other")
        mine = asyncio.create_task(create(two, creation(instance_id)))
        beside = asyncio.create_task(create(two, creation(other_id)))
        await until(lambda: len(two.received) == 2)
        assert await create(one, creation(instance_id, created_at=later(1))) is CREATED
        records = {start.target: two.storage.creation_of(start) for start in two.received}
        starts = {start.target: start for start in two.received}
        episodes = {
            target: episode(made.record, [starts[target]], first_events(made.record))
            for target, made in records.items()
            if made is not None
        }
        with pytest.raises(InstanceTaken) as taken:
            await two.commit(*episodes.values())
        assert taken.value.instance_ids == {instance_id}
        assert await mine is EXISTS
        await two.commit(episodes[other_id])
        assert await beside is CREATED
        await until(lambda: [e.target for e in two.received].count(instance_id) == 2)
        assert two.received[-1].position is not None
        await two.run(two.received[-1])
        record = await one.storage.get(instance_id)
        assert record is not None
        assert record.origin.created_at == later(1)

    on_shared_hub(scenario)


def test_a_start_over_a_living_instance_of_another_process_is_done_by_that_process() -> None:
    async def scenario(hub: SharedHub) -> None:
        one, two = await pair(hub)
        runs(one)
        runs(two)
        instance_id, elsewhere = hub.id_for(two), hub.id_for(one)
        assert await create(one, creation(instance_id), ReusePolicy.ANY) is CREATED
        await until(lambda: hub.memory.rows.records[instance_id].progress.status is RuntimeStatus.Running)
        successor = creation(instance_id, created_at=later(1))
        successor.releases = [raised(elsewhere, "let go")]
        loop = asyncio.get_running_loop()
        begun = loop.time()
        assert await create(one, successor, ReusePolicy.ANY) is REPLACED
        assert loop.time() - begun < 0.1
        record = await one.storage.get(instance_id)
        assert record is not None
        assert (record.origin.created_at, record.progress.status) == (later(1), RuntimeStatus.Running)
        await until(lambda: names(one.received) == ["let go"])
        assert await create(one, creation(instance_id, created_at=later(2))) is EXISTS

    on_shared_hub(scenario)


def test_a_start_over_a_living_instance_waits_for_the_next_owner() -> None:
    async def scenario(hub: SharedHub) -> None:
        one, two = await pair(hub)
        three = await hub.join()
        await until(lambda: [len(p.hold.leases) for p in (one, two, three)] == [11, 11, 10])
        for process in (one, two, three):
            runs(process)
        instance_id = hub.id_for(two)
        await create(one, creation(instance_id))
        await until(lambda: hub.memory.rows.records[instance_id].progress.status is RuntimeStatus.Running)
        await two.kill()
        successor = asyncio.create_task(create(one, creation(instance_id, created_at=later(1)), ReusePolicy.ANY))
        await until(successor.done)
        assert await successor is REPLACED
        record = await one.storage.get(instance_id)
        assert record is not None
        assert record.origin.created_at == later(1)
        assert not hub.memory.errands(range(32))

    on_shared_hub(scenario)


def test_where_nobody_runs_whoever_asks_does_it() -> None:
    async def scenario(hub: SharedHub) -> None:
        one = hub.make()
        await one.storage.open()
        assert await create(one, creation("a"), ReusePolicy.ANY) is CREATED
        assert await create(one, creation("a", created_at=later(1)), ReusePolicy.ANY) is REPLACED
        assert await create(one, creation("a", created_at=later(2))) is EXISTS
        assert hub.held() == []
        [record] = hub.memory.rows.records.values()
        assert record.origin.created_at == later(1)

    on_shared_hub(scenario)


def test_where_the_owner_dies_and_nobody_follows_whoever_asks_does_it() -> None:
    async def scenario(hub: SharedHub) -> None:
        two, one = await hub.join(), hub.make()
        await one.storage.open()
        runs(two)
        assert await create(one, creation("a"), ReusePolicy.ANY) is CREATED
        await until(lambda: hub.memory.rows.records["a"].progress.status is RuntimeStatus.Running)
        await two.kill()
        successor = asyncio.create_task(create(one, creation("a", created_at=later(1)), ReusePolicy.ANY))
        assert await until(successor.done) < TIMES.lease + 2 * TIMES.renewal
        assert await successor is REPLACED
        assert hub.memory.rows.records["a"].origin.created_at == later(1)
        assert not hub.memory.errands(range(32))

    on_shared_hub(scenario)


def test_an_owner_that_does_not_answer_is_not_waited_for_forever() -> None:
    async def scenario(hub: SharedHub) -> None:
        one, two = await pair(hub)
        instance_id = hub.id_for(two)
        await create(one, creation(instance_id))
        await until(lambda: bool(two.received))
        await two.run(two.received[0])
        # It takes the start into memory, and never runs it.
        asking = asyncio.create_task(create(one, creation(instance_id, created_at=later(1)), ReusePolicy.ANY))
        assert 29 < await until(asking.done) < 32
        with pytest.raises(Unavailable, match="has not answered for 30 s"):
            await asking
        await until(lambda: not hub.memory.errands(range(32)))

    on_shared_hub(scenario)


def test_who_leaves_takes_its_errand_along() -> None:
    async def scenario(hub: SharedHub) -> None:
        one, two = await pair(hub)
        instance_id = hub.id_for(two)
        await create(one, creation(instance_id))
        await until(lambda: bool(two.received))
        await two.run(two.received[0])
        two.tables.slow["errands"] = 5.0
        asking = asyncio.create_task(create(one, creation(instance_id, created_at=later(1)), ReusePolicy.ANY))
        await until(lambda: bool(hub.memory.errands(range(32))))
        asking.cancel()
        await until(lambda: not hub.memory.errands(range(32)))

    on_shared_hub(scenario)


def test_a_child_in_another_partition_is_created_once_or_refused() -> None:
    async def scenario(hub: SharedHub) -> None:
        one, two = await pair(hub)
        parent, child = hub.id_for(one), hub.id_for(two, "child")
        asking = asyncio.create_task(create(one, creation(parent)))
        await until(lambda: bool(one.received))
        first = await one.run(one.received[0], children=[creation(child, if_taken=raised(parent, "taken"))])
        await asking
        await until(lambda: bool(two.received))
        assert two.received[0].target == child
        await two.run(two.received[0])
        await one.commit(episode(first, children=[creation(child, if_taken=raised(parent, "taken"))]))
        await until(lambda: names(one.received) == ["StartExecution", "taken"])
        assert len(two.received) == 1

    on_shared_hub(scenario)


def test_starts_in_hand_survive_a_change_of_owner() -> None:
    async def scenario(hub: SharedHub) -> None:
        one = await hub.join()
        clients = [asyncio.create_task(create(one, creation(f"i{n}"))) for n in range(64)]
        await until(lambda: len(one.received) == 64)
        two = await hub.join()
        await until(lambda: len(two.hold.leases) == 16)
        moved = [client for n, client in enumerate(clients) if one.hold.partition_of(f"i{n}") in two.hold.leases]
        assert len(moved) > 16
        assert [await client for client in moved] == [CREATED] * len(moved)
        assert not any(client.done() for client in clients if client not in moved)
        await until(lambda: len(two.received) == len(moved))
        for start in two.received:
            await two.run(start)

    on_shared_hub(scenario)


def test_a_lost_commit_answer_is_found_out_before_anybody_hears() -> None:
    async def scenario(hub: SharedHub) -> None:
        one = await hub.join()
        instance_id = hub.id_for(one)
        client = asyncio.create_task(create(one, creation(instance_id)))
        await until(lambda: bool(one.received))
        one.tables.slow["write"] = 0.5
        committing = asyncio.create_task(one.run(one.received[0]))
        await asyncio.sleep(0.6)
        one.tables.is_cut = True
        await asyncio.sleep(1.0)
        assert not client.done()
        assert not committing.done()
        assert instance_id in hub.memory.rows.records
        one.tables.is_cut = False
        await committing
        assert await client is CREATED

    on_shared_hub(scenario)


def test_a_round_without_what_was_lost_may_be_committed() -> None:
    async def scenario(hub: SharedHub) -> None:
        one, two = await pair(hub)
        mine, going = hub.id_for(one), hub.id_for(one, "going")
        while one.hold.partition_of(going) == one.hold.partition_of(mine):
            going += "x"
        clients = [asyncio.create_task(create(one, creation(instance_id))) for instance_id in (mine, going)]
        await until(lambda: len(one.received) == 2)
        episodes = {
            start.target: episode(made.record, [start], first_events(made.record))
            for start in one.received
            if (made := one.storage.creation_of(start)) is not None
        }
        lost = one.hold.partition_of(going)
        row = hub.memory.partitions[lost]
        hub.memory.give_back(row.owner or 0, {lost: row.epoch})
        hub.memory.claim(two.storage.process or 0, [lost])
        with pytest.raises(LeaseLost) as error:
            await one.storage.commit(one.hold, Round([*episodes.values()]))
        assert error.value.partitions == {lost}
        one.hold.leases.pop(lost, None)
        await one.commit(episodes[mine])
        assert [await client for client in clients] == [CREATED, CREATED], "the other one is a row for its new owner"
        assert not hub.memory.rows.histories[hub.memory.rows.records[going].origin.number or 0]

    on_shared_hub(scenario)
