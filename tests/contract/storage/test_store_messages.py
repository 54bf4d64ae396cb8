"""Messages on their way: handed out once, in order, never lost."""

import asyncio

import pytest

from perdure.contracts.errors import Overloaded
from perdure.core import messages as ms
from support.store_stage import Stage
from support.stored_instances import creation, episode, first_events, later, names, raised, timer


async def test_a_message_is_handed_out_once(stage: Stage) -> None:
    await stage.hold()
    client = stage.sending(raised("a"))
    [event] = await stage.receive()
    assert stage.storage.receive_now(stage.held) == []
    receiving = asyncio.create_task(stage.storage.receive(stage.held))
    await asyncio.sleep(0)
    assert not receiving.done()
    receiving.cancel()
    await asyncio.wait([receiving])
    await stage.commit(discarded=[event])
    await client


async def test_a_message_wakes_who_receives(stage: Stage) -> None:
    await stage.hold()
    receiving = asyncio.create_task(stage.storage.receive(stage.held))
    await asyncio.sleep(0)
    client = stage.sending(raised("a"))
    [event] = await receiving
    assert event.position is None
    await stage.commit(kept=[event])
    await client


async def test_a_cancelled_receive_loses_nothing(stage: Stage) -> None:
    await stage.hold()
    receiving = asyncio.create_task(stage.storage.receive(stage.held))
    await asyncio.sleep(0)
    client = stage.sending(raised("a"))
    await asyncio.sleep(0)
    receiving.cancel()
    await asyncio.wait([receiving])
    received = [] if receiving.cancelled() else receiving.result()
    received += stage.storage.receive_now(stage.held)
    assert names(received) == ["go"]
    await stage.commit(discarded=received)
    await client


async def test_what_is_sent_while_a_commit_runs_comes_next(stage: Stage) -> None:
    await stage.hold()
    a = await stage.begin(creation("a"))
    committing = asyncio.ensure_future(stage.commit(episode(a, outbox=[raised("b", "row")])))
    client = stage.sending(raised("b", "memory"))
    await committing
    received = await stage.receive(2)
    assert sorted(names(received)) == ["memory", "row"]
    await stage.commit(discarded=received)
    await client


async def test_a_client_keeps_its_order(stage: Stage) -> None:
    await stage.hold()
    for n in range(3):
        client = stage.sending(raised("a", str(n)))
        [event] = await stage.receive()
        await stage.commit(kept=[event])
        await client
    await stage.storage.release(stage.leases)
    for n in range(3, 6):
        await stage.storage.send(raised("a", str(n)))
    assert names((await stage.backlog()).ready) == list("012345")


async def test_a_client_that_went_away_has_still_sent(stage: Stage) -> None:
    await stage.hold()
    client = stage.sending(raised("a"))
    creating = stage.creating(creation("b"))
    [event, start] = await stage.receive(2)
    client.cancel()
    creating.cancel()
    await asyncio.wait([client, creating])
    await stage.commit(kept=[event, start])
    await stage.crash()
    assert names((await stage.backlog()).ready) == ["go", "StartExecution"]
    assert await stage.storage.get("b") is not None


async def test_messages_not_due_yet_are_handed_out_too(stage: Stage) -> None:
    await stage.hold()
    a = await stage.begin(creation("a"))
    await stage.commit(episode(a, outbox=[timer(a, 0, later(9_999))]))
    [due] = await stage.receive()
    assert (due.due_at, due.position is not None) == (later(9_999), True)
    client = stage.sending(raised("a", due_at=later(5)))
    [event] = await stage.receive()
    assert event.due_at == later(5)
    await stage.commit(kept=[event])
    await client
    assert await stage.storage.read_inbox(stage.held, "a", later(4)) == []


async def test_a_message_to_nobody_is_kept(stage: Stage) -> None:
    await stage.storage.send(raised("nobody"))
    await stage.storage.send(ms.Envelope("@counter@x", ms.OperationRequest("add", "1")))
    backlog = await stage.backlog()
    assert [e.target for e in backlog.ready] == ["nobody", "@counter@x"]


async def test_too_many_that_wait_are_refused(stage: Stage) -> None:
    await stage.hold()
    clients = [stage.sending(raised("a", str(n))) for n in range(20_000)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await stage.storage.send(raised("a"))
    with pytest.raises(Overloaded):
        await stage.create(creation("b"))
    received = await stage.receive(20_000)
    await stage.commit(discarded=received)
    await asyncio.gather(*clients)
    # Refused is not half accepted: the id is free, and there is room again.
    client = stage.creating(creation("b"))
    [start] = await stage.receive()
    record = stage.record_of(start)
    assert record is not None
    await stage.commit(episode(record, [start], first_events(record)))
    await client


async def test_every_kind_of_message_comes_back_as_it_was(stage: Stage) -> None:
    sent: list[ms.AnyMessage] = [
        ms.StartExecution("o", "e", "1", "v", 2, None, later(1), "tc", {"a": "b"}),
        ms.ActivityCompleted("e", 3, "1"),
        ms.TimerDue("e", 4, later(2)),
        ms.Suspend("why"),
        ms.Resume(None),
        ms.Terminate("stop", recursive=True),
        ms.OperationRequest("add", "1", ms.ReplyTo("a", "e", 5)),
        ms.OperationCompleted("e", 5, "null"),
    ]
    for message in sent:
        await stage.storage.send(ms.Envelope("a", message))
    await stage.crash()
    assert [e.message for e in (await stage.backlog()).ready] == sent
