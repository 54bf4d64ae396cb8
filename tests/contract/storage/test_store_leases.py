"""The right to run the hub's partition, and what happens to messages when it comes and goes."""

import asyncio

import pytest

from perdure.contracts.errors import LeaseLost, Unavailable
from perdure.contracts.records import CreateOutcome, Hold, PartitionLease, Round
from support.store_stage import Stage
from support.stored_instances import HOUR, T0, creation, episode, first_events, later, names, raised


async def test_a_partition_has_one_holder(stage: Stage) -> None:
    await stage.hold("one")
    assert sorted(lease.partition for lease in stage.leases) == list(range(stage.storage.partition_count))
    assert {lease.owner for lease in stage.leases} == {"one"}
    assert await stage.storage.acquire("two") == []
    assert await stage.storage.acquire("one") == []
    assert await stage.storage.renew(stage.leases) == stage.leases


async def test_of_two_that_acquire_at_once_one_gets_it(stage: Stage) -> None:
    got = await asyncio.gather(stage.storage.acquire("one"), stage.storage.acquire("two"))
    assert sorted(len(leases) for leases in got) == [0, stage.storage.partition_count]


async def test_the_epoch_rises_over_releases_and_crashes(stage: Stage) -> None:
    epochs = []
    for n in range(4):
        lease = await stage.hold()
        epochs.append(lease.epoch)
        if n == 1:
            await stage.crash()
        else:
            await stage.storage.release(stage.leases)
    assert epochs == sorted(set(epochs))


async def test_a_former_holder_can_do_nothing(stage: Stage) -> None:
    await stage.hold()
    a = await stage.begin(creation("a"))
    old, leases = stage.held, stage.leases
    await stage.storage.release(leases)
    await stage.hold()
    with pytest.raises(LeaseLost):
        await stage.storage.commit(old, Round([episode(a, events=a.events[:1])]))
    with pytest.raises(LeaseLost):
        await stage.storage.receive(old)
    with pytest.raises(LeaseLost):
        stage.storage.receive_now(old)
    with pytest.raises(LeaseLost):
        await stage.storage.load(old, ["a"])
    with pytest.raises(LeaseLost):
        await stage.storage.recover(leases, T0, T0)
    with pytest.raises(LeaseLost):
        await stage.storage.read_inbox(old, "a", T0)
    with pytest.raises(LeaseLost):
        await stage.storage.read_due(old, T0, T0)
    assert await stage.storage.renew(leases) == []
    assert await stage.storage.history("a") == a.events
    await stage.commit(episode(a, events=a.events[:1]))


async def test_a_lease_of_a_killed_process_is_worth_nothing(stage: Stage) -> None:
    await stage.hold()
    a = await stage.begin(creation("a"))
    old = stage.held
    await stage.crash()
    with pytest.raises(LeaseLost):
        await stage.storage.commit(old, Round([episode(a)]))
    await stage.hold()
    with pytest.raises(LeaseLost):
        await stage.storage.commit(old, Round([episode(a)]))


async def test_a_made_up_lease_is_worth_nothing(stage: Stage) -> None:
    lease = await stage.hold()
    with pytest.raises(LeaseLost):
        await stage.storage.commit(Hold.of(PartitionLease(0, lease.epoch + 1, "test")), Round([]))
    with pytest.raises(LeaseLost):
        await stage.storage.commit(Hold.of(PartitionLease(99, lease.epoch, "test")), Round([]))


async def test_who_waits_for_messages_hears_that_the_lease_is_gone(stage: Stage) -> None:
    await stage.hold()
    receiving = asyncio.create_task(stage.storage.receive(stage.held))
    await asyncio.sleep(0)
    await stage.storage.release(stage.leases)
    with pytest.raises(LeaseLost):
        await receiving


async def test_release_writes_what_has_no_row(stage: Stage) -> None:
    await stage.hold()
    clients: list[asyncio.Task[CreateOutcome | None]] = [stage.creating(creation("handed"))]
    handed = await stage.receive()
    clients.append(stage.sending(raised("handed", "early")))
    handed += await stage.receive()
    clients += [stage.creating(creation("queued")), stage.sending(raised("queued", "late"))]
    await asyncio.sleep(0)
    await stage.storage.release(stage.leases)
    assert [await client for client in clients] == [CreateOutcome.CREATED, None, CreateOutcome.CREATED, None]
    assert all(envelope.position is not None for envelope in handed)
    await stage.crash()
    backlog = await stage.backlog()
    assert names(e for e in backlog.ready if e.target == "handed") == ["StartExecution", "early"]
    # Sent at the same time as the start, and so not after it.
    assert sorted(names(e for e in backlog.ready if e.target == "queued")) == ["StartExecution", "late"]
    loaded = await stage.storage.load(stage.held, ["handed", "queued"])
    assert set(loaded) == {"handed", "queued"}


async def test_a_commit_under_way_is_true_when_the_lease_is_released(stage: Stage) -> None:
    await stage.hold()
    client = stage.creating(creation("a"))
    [start] = await stage.receive()
    record = stage.record_of(start)
    assert record is not None
    committing = asyncio.ensure_future(
        stage.commit(episode(record, [start], first_events(record), outbox=[raised("b")]))
    )
    await asyncio.sleep(0)
    await stage.storage.release(stage.leases)
    await committing
    assert await client is CreateOutcome.CREATED
    backlog = await stage.backlog()
    assert [(e.target, *names([e])) for e in backlog.ready] == [("b", "go")]
    assert await stage.storage.history("a") == first_events(record)


async def test_messages_sent_while_the_lease_changes_hands_come_once(stage: Stage) -> None:
    sent = [stage.sending(raised("a", "before"))]
    await asyncio.sleep(0)
    acquiring = asyncio.create_task(stage.storage.acquire("test"))
    sent.append(stage.sending(raised("a", "during")))
    await asyncio.sleep(0)
    stage.leases = await acquiring
    sent.append(stage.sending(raised("a", "after")))
    await asyncio.sleep(0)
    backlog = await stage.storage.recover(stage.leases, T0, T0)
    received = [*backlog.ready, *stage.storage.receive_now(stage.held)]
    assert sorted(names(received)) == ["after", "before", "during"]
    await stage.commit(discarded=received)
    await asyncio.gather(*sent)


async def test_release_without_a_lease_changes_nothing(stage: Stage) -> None:
    lease = await stage.hold()
    await stage.storage.release([PartitionLease(lease.partition, lease.epoch - 1, "test")])
    assert await stage.storage.renew(stage.leases) == stage.leases
    await stage.storage.release(stage.leases)
    await stage.storage.release(stage.leases)
    assert await stage.storage.renew(stage.leases) == []


async def test_the_backlog_is_cut_by_due_time(stage: Stage) -> None:
    for seconds, name in ((None, "now"), (-5, "past"), (0, "just"), (10, "soon"), (3600, "edge"), (3601, "far")):
        await stage.storage.send(raised("a", name, due_at=None if seconds is None else later(seconds)))
    backlog = await stage.backlog(T0, T0 + HOUR)
    assert names(backlog.ready) == ["now", "past", "just"]
    assert names(backlog.due) == ["soon", "edge"]
    due = await stage.storage.read_due(stage.held, later(0), later(3600))
    assert names(due) == ["soon", "edge"]
    assert names(await stage.storage.read_due(stage.held, later(10), later(4000))) == ["edge", "far"]
    assert names(await stage.storage.read_inbox(stage.held, "a", later(10))) == ["now", "past", "just", "soon"]


async def test_due_messages_come_in_order_of_their_time(stage: Stage) -> None:
    for seconds in (30, 10, 20, 10):
        await stage.storage.send(raised("a", str(seconds), due_at=later(seconds)))
    backlog = await stage.backlog()
    assert names(backlog.due) == ["10", "10", "20", "30"]
    assert (backlog.due[0].position or 0) < (backlog.due[1].position or 0)


async def test_a_closed_store_refuses_and_opens_again(stage: Stage) -> None:
    await stage.hold()
    a = await stage.begin(creation("a"))
    client = stage.sending(raised("a"))
    await asyncio.sleep(0)
    await stage.storage.close()
    await stage.storage.close()
    with pytest.raises(Unavailable):
        await client
    with pytest.raises(Unavailable):
        await stage.storage.get("a")
    with pytest.raises(Unavailable):
        await stage.create(creation("b"))
    await stage.storage.open()
    await stage.storage.open()
    assert await stage.storage.history("a") == a.events
