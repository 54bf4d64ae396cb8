"""Several processes on one hub, on every store that many processes share: the same promises, in real time."""

import asyncio
from collections import Counter
from contextlib import suppress

import pytest

from perdure.contracts.errors import InstanceTaken, LeaseLost
from perdure.contracts.records import CreateOutcome, Hold, ReusePolicy, Round
from perdure.core.messages import Envelope
from perdure.core.status import RuntimeStatus
from perdure.storage.changes import Changes, Placed
from perdure.storage.shared.tables import PartitionsLost
from support.live_hub import LEASE_SECONDS, TIMES, LiveHub, LiveProcess, even, id_for, on_live_hub, until
from support.shared_tables_stage import HUBS
from support.stored_instances import creation, episode, later, names, raised

ANY, IF_ENDED = ReusePolicy.ANY, ReusePolicy.NON_RUNNING
CREATED, REPLACED, EXISTS = CreateOutcome.CREATED, CreateOutcome.REPLACED, CreateOutcome.EXISTS
COMPLETED = frozenset({RuntimeStatus.Completed})
on_each_store = pytest.mark.parametrize("kind", sorted(HUBS))


def runs(process: LiveProcess, **fields: object) -> None:
    """Commit the first episode of every start; leave out those that others have created first."""

    async def first_episode(envelope: Envelope) -> None:
        if names([envelope]) == ["StartExecution"]:
            with suppress(InstanceTaken):
                await process.run(envelope, **fields)

    process.does = first_episode


@on_each_store
def test_a_frozen_process_is_followed_and_commits_nothing_more(kind: str) -> None:
    async def scenario(hub: LiveHub) -> None:
        one, two = await hub.join(2)
        runs(one)
        instance_id = id_for(one)
        await two.storage.create_instance(creation(instance_id), IF_ENDED)
        await until(lambda: bool(one.received))
        await two.storage.wait_for_status(instance_id, frozenset({RuntimeStatus.Running}))
        [stored] = (await one.storage.load(one.hold, [instance_id])).values()
        number, epochs = one.storage.process, one.epochs()
        stale = Hold.of(*one.hold.leases.values(), count=one.hold.count)
        assert number is not None
        one.freeze()
        assert await until(lambda: not one.hold.leases) <= LEASE_SECONDS - TIMES.margin + 0.5
        await even(two)
        second = episode(stored.record, events=[])
        with pytest.raises(LeaseLost):
            await one.storage.commit(stale, Round([second]))
        # The store refuses it, too, whatever the process believes.
        message = Placed(1 << 40, raised(instance_id))
        with pytest.raises(PartitionsLost):
            await one.store_tables.write(number, Changes(kept=[message]), epochs)
        assert await two.storage.history(instance_id) == stored.history

    on_live_hub(kind, scenario)


@on_each_store
def test_a_killed_process_is_followed_within_its_lease(kind: str) -> None:
    async def scenario(hub: LiveHub) -> None:
        one, two, three = await hub.join(3)
        instance_id = id_for(one)
        await two.storage.send(raised(instance_id, "a"))
        await until(lambda: names(one.received) == ["a"])
        await one.kill()
        await two.storage.send(raised(instance_id, "b"))
        assert await until(lambda: len(two.hold.leases) + len(three.hold.leases) == 32) < LEASE_SECONDS + 5
        follower = two if two.hold.partition_of(instance_id) in two.hold.leases else three
        await until(lambda: names(follower.received) == ["a", "b"])

    on_live_hub(kind, scenario)


@on_each_store
def test_messages_come_once_and_in_order_while_partitions_move(kind: str) -> None:
    async def scenario(hub: LiveHub) -> None:
        taken: dict[str, list[str]] = {}

        def consumes(process: LiveProcess) -> None:
            async def consume(envelope: Envelope) -> None:
                while process.hold.partition_of(envelope.target) in process.hold.leases:
                    try:
                        await process.storage.commit(process.hold, Round([], [], [envelope]))
                    except LeaseLost as lost:
                        for partition in lost.partitions:
                            process.hold.leases.pop(partition, None)
                    else:
                        taken.setdefault(envelope.target, []).extend(names([envelope]))
                        return

            process.does = consume

        running = list(await hub.join(2))
        for process in running:
            consumes(process)

        async def sender(number: int) -> None:
            for n in range(40):
                await running[n % len(running)].storage.send(raised(f"t{number}", str(n)))

        senders = [asyncio.create_task(sender(number)) for number in range(6)]
        joining = hub.make()
        consumes(joining)
        await joining.start()
        running.append(joining)
        leaving = running[0]
        await until(lambda: len(joining.hold.leases) > 0)
        running.remove(leaving)
        await asyncio.gather(*senders)
        await leaving.stop()
        await until(lambda: sum(map(len, taken.values())) >= 6 * 40)
        for name, texts in taken.items():
            assert texts == [str(n) for n in range(40)], name

    on_live_hub(kind, scenario)


@on_each_store
@pytest.mark.parametrize("before", ["free", "finished"])
def test_of_many_starts_over_two_processes_one_wins(kind: str, before: str) -> None:
    async def scenario(hub: LiveHub) -> None:
        one, two = await hub.join(2)
        runs(one)
        runs(two)
        instance_id = id_for(two)
        if before == "finished":
            runs(two, status=RuntimeStatus.Completed)
            await one.storage.create_instance(creation(instance_id), IF_ENDED)
            await one.storage.wait_for_status(instance_id, COMPLETED)
            runs(two)
        starts = [
            process.storage.create_instance(creation(instance_id, created_at=later(n)), IF_ENDED)
            for n in range(1, 13)
            for process in (one, two)
        ]
        outcomes = await asyncio.gather(*starts)
        assert Counter(outcomes) == {CREATED if before == "free" else REPLACED: 1, EXISTS: 23}
        await one.storage.wait_for_status(instance_id, frozenset({RuntimeStatus.Running}))
        assert await one.storage.backlog_sizes([instance_id]) == {}

    on_live_hub(kind, scenario)


@on_each_store
def test_starts_and_ends_are_known_across_processes_at_once(kind: str) -> None:
    async def scenario(hub: LiveHub) -> None:
        one, two = await hub.join(2)
        runs(one, status=RuntimeStatus.Completed)
        runs(two, status=RuntimeStatus.Completed)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for n in range(20):
            instance_id = id_for(two, f"n{n}-")
            await one.storage.create_instance(creation(instance_id), IF_ENDED)
            record = await one.storage.wait_for_status(instance_id, COMPLETED)
            assert record.progress.status is RuntimeStatus.Completed
        # Found by looking, each would take a renewal.
        assert loop.time() - begun < 20 * TIMES.owed / 2

    on_live_hub(kind, scenario)


@on_each_store
def test_a_start_over_a_living_instance_is_done_by_its_owner_or_whoever_follows(kind: str) -> None:
    async def scenario(hub: LiveHub) -> None:
        one, two = await hub.join(2)
        runs(one)
        runs(two)
        instance_id = id_for(two)
        running = frozenset({RuntimeStatus.Running})
        await one.storage.create_instance(creation(instance_id), IF_ENDED)
        await one.storage.wait_for_status(instance_id, running)
        assert await one.storage.create_instance(creation(instance_id, created_at=later(1)), ANY) is REPLACED
        await one.storage.wait_for_status(instance_id, running)
        await two.kill()
        assert await one.storage.create_instance(creation(instance_id, created_at=later(2)), ANY) is REPLACED
        record = await one.storage.wait_for_status(instance_id, running)
        assert record.origin.created_at == later(2)

    on_live_hub(kind, scenario)


@on_each_store
def test_what_is_in_memory_of_a_process_that_stops_gets_rows(kind: str) -> None:
    async def scenario(hub: LiveHub) -> None:
        one, two = await hub.join(2)
        target, started = id_for(one), id_for(one, "s")
        sending = [asyncio.create_task(one.storage.send(raised(target, str(n)))) for n in range(5)]
        creating = asyncio.create_task(one.storage.create_instance(creation(started), IF_ENDED))
        await until(lambda: len(one.received) == 6)
        await one.stop()
        await asyncio.gather(*sending)
        assert await creating is CREATED
        await until(lambda: len(two.received) == 6)
        assert [name for name in names(two.received) if name != "StartExecution"] == [str(n) for n in range(5)]

    on_live_hub(kind, scenario)
