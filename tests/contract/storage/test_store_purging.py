"""Removing instances: only what has ended, and whole."""

import asyncio

import pytest

from perdure.contracts.records import CreateOutcome, InstanceFilter
from perdure.core.checkpoint import NewActivity
from perdure.core.instance import InstanceKind
from perdure.core.status import NON_TERMINAL, TERMINAL, RuntimeStatus
from support.store_stage import Stage
from support.stored_instances import creation, entity, episode, first_events, later, raised


@pytest.mark.parametrize("status", sorted(TERMINAL))
async def test_a_finished_instance_goes_whole(stage: Stage, status: RuntimeStatus) -> None:
    await stage.hold()
    a = await stage.begin(creation("a"), activities=[NewActivity(1, 0, "work")])
    await stage.commit(episode(a, status=status))
    client = stage.sending(raised("a"))
    await stage.commit(kept=await stage.receive())
    await client
    assert await stage.storage.purge(["a"]) == 1
    assert await stage.storage.get("a") is None
    assert await stage.storage.history("a") == []
    assert await stage.storage.read_inbox(stage.held, "a", later(0)) == []
    assert await stage.storage.purge(["a"]) == 0
    await stage.crash()
    backlog = await stage.backlog()
    assert (backlog.ready, backlog.activities) == ([], [])
    assert await stage.findings() == []


@pytest.mark.parametrize("status", sorted(NON_TERMINAL))
async def test_a_live_instance_stays(stage: Stage, status: RuntimeStatus) -> None:
    await stage.hold()
    a = await stage.begin(creation("a"), status=status)
    assert await stage.storage.purge(["a"]) == 0
    assert await stage.storage.purge_matching(InstanceFilter()) == 0
    assert await stage.storage.history("a") == a.events


async def test_entities_and_strangers_stay(stage: Stage) -> None:
    await stage.hold()
    await stage.commit(episode(entity("@c@a"), state="1"), episode(entity("@c@b")))
    assert await stage.storage.purge(["@c@a", "@c@b", "nobody"]) == 0
    assert await stage.storage.purge_matching(InstanceFilter(InstanceKind.ENTITY)) == 0
    assert await stage.storage.get("@c@a") is not None


async def test_the_number_purged_counts_each_once(stage: Stage) -> None:
    await stage.hold()
    for name in "abc":
        await stage.begin(creation(name), status=RuntimeStatus.Completed)
    assert await stage.storage.purge(["a", "b", "a", "nobody"]) == 2
    assert await stage.storage.purge([]) == 0
    assert await stage.storage.get("c") is not None


async def test_two_who_purge_the_same_count_it_once(stage: Stage) -> None:
    await stage.hold()
    for n in range(10):
        await stage.begin(creation(f"i{n}"), status=RuntimeStatus.Completed)
    ids = [f"i{n}" for n in range(10)]
    counts = await asyncio.gather(stage.storage.purge(ids), stage.storage.purge(ids))
    assert max(counts) == 10
    assert await stage.storage.query(InstanceFilter(), 10) is not None
    assert (await stage.storage.query(InstanceFilter(), 10)).records == []


async def test_a_filter_bounds_what_is_purged(stage: Stage) -> None:
    await stage.hold()
    for n in range(6):
        status = RuntimeStatus.Failed if n % 2 else RuntimeStatus.Completed
        await stage.begin(creation(f"i{n}", created_at=later(n)), status=status)
    running = frozenset({RuntimeStatus.Running})
    assert await stage.storage.purge_matching(InstanceFilter(statuses=running)) == 0
    failed = frozenset({RuntimeStatus.Failed, RuntimeStatus.Running})
    bounds = InstanceFilter(created_from=later(1), created_to=later(3), statuses=failed)
    assert await stage.storage.purge_matching(bounds) == 2
    left = await stage.storage.query(InstanceFilter(), 10)
    assert [record.origin.instance_id for record in left.records] == ["i0", "i2", "i4", "i5"]
    assert await stage.storage.purge_matching(InstanceFilter(id_prefix="i")) == 4


@pytest.mark.parametrize("at_once", [1, 5_000])
async def test_many_are_purged_in_batches(stage: Stage, at_once: int) -> None:
    await stage.hold()
    clients = [stage.creating(creation(f"i{n}", created_at=later(-(-n // at_once)))) for n in range(1_203)]
    starts = await stage.receive(1_203)
    checkpoints = []
    for start in starts:
        record = stage.record_of(start)
        assert record is not None
        checkpoints.append(episode(record, [start], first_events(record), status=RuntimeStatus.Completed))
    await stage.commit(*checkpoints)
    await asyncio.gather(*clients)
    assert await stage.storage.purge_matching(InstanceFilter(created_from=later(1))) == 1_202
    left = await stage.storage.query(InstanceFilter(), 10)
    assert [record.origin.instance_id for record in left.records] == ["i0"]
    assert await stage.findings() == []


async def test_a_purged_id_is_free(stage: Stage) -> None:
    await stage.hold()
    old = await stage.begin(creation("a"), status=RuntimeStatus.Completed)
    await stage.storage.purge(["a"])
    client = stage.creating(creation("a", created_at=later(1)))
    [start] = await stage.receive()
    record = stage.record_of(start)
    assert record is not None
    await stage.commit(episode(record, [start], first_events(record)))
    assert await client is CreateOutcome.CREATED
    assert record.origin.number != old.origin.number


async def test_a_purge_races_with_a_start_of_the_same_id(stage: Stage) -> None:
    await stage.hold()
    await stage.begin(creation("a"), status=RuntimeStatus.Completed)
    purging = asyncio.ensure_future(stage.storage.purge(["a"]))
    client = stage.creating(creation("a", created_at=later(1)))
    [start] = await stage.receive()
    record = stage.record_of(start)
    assert record is not None
    await stage.commit(episode(record, [start], first_events(record)))
    assert await purging == 1
    assert await client in (CreateOutcome.CREATED, CreateOutcome.REPLACED)
    assert await stage.storage.history("a") == first_events(record)
