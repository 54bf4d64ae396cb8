"""Starting instances: exactly one wins, and what a start may replace."""

import asyncio

import pytest

from perdure.contracts.errors import Unavailable
from perdure.contracts.records import CreateOutcome, ReusePolicy, StoredInstance
from perdure.core import events as ev
from perdure.core import messages as ms
from perdure.core.checkpoint import NewActivity
from perdure.core.instance import LockHolder
from perdure.core.messages import Envelope
from perdure.core.status import TERMINAL, RuntimeStatus
from support.store_stage import Stage
from support.stored_instances import (
    activity_done,
    creation,
    entity,
    episode,
    first_events,
    later,
    names,
    raised,
    timer,
)

CREATED, REPLACED, EXISTS = CreateOutcome.CREATED, CreateOutcome.REPLACED, CreateOutcome.EXISTS
LIVE = (RuntimeStatus.Running, RuntimeStatus.Suspended, RuntimeStatus.Pending, RuntimeStatus.ContinuedAsNew)


async def test_without_a_holder_a_start_is_written_at_once(stage: Stage) -> None:
    assert await stage.create(creation("a")) is CREATED
    await stage.crash()
    record = await stage.storage.get("a")
    assert record is not None
    assert record.progress.status is RuntimeStatus.Pending
    backlog = await stage.backlog()
    assert [(e.target, e.message) for e in backlog.ready] == [("a", creation("a").start.message)]
    assert backlog.ready[0].position is not None


async def test_a_held_start_has_no_row_and_its_client_waits_for_the_commit(stage: Stage) -> None:
    await stage.hold()
    client = stage.creating(creation("a"))
    [start] = await stage.receive()
    assert start.position is None
    assert not client.done()
    assert await stage.storage.get("a") is None
    record = stage.record_of(start)
    assert record is not None
    assert record.origin.number is None
    await stage.commit(episode(record, [start], first_events(record)))
    assert await client is CREATED
    assert record.origin.number is not None
    stored = await stage.storage.get("a")
    assert stored is not None
    assert stored.progress.status is RuntimeStatus.Running
    assert stage.record_of(start) is None


async def test_an_unwritten_start_is_promised_to_nobody(stage: Stage) -> None:
    await stage.hold()
    client = stage.creating(creation("a"))
    await stage.receive()
    await stage.crash()
    with pytest.raises(Unavailable):
        await client
    assert await stage.storage.get("a") is None
    assert (await stage.backlog()).ready == []


async def test_a_kept_start_becomes_a_pending_instance_with_a_message(stage: Stage) -> None:
    await stage.hold()
    client = stage.creating(creation("a", due_at=later(60)))
    [start] = await stage.receive()
    await stage.commit(kept=[start])
    assert await client is CREATED
    assert start.position is not None
    assert stage.record_of(start) is None
    await stage.crash()
    backlog = await stage.backlog()
    assert backlog.ready == []
    [again] = backlog.due
    assert (again.position, again.due_at, again.message) == (start.position, later(60), start.message)
    loaded = await stage.storage.load(stage.held, ["a"])
    assert isinstance(loaded["a"], StoredInstance)
    assert loaded["a"].record.progress.status is RuntimeStatus.Pending
    assert loaded["a"].history == []
    await stage.commit(episode(loaded["a"].record, [again], first_events(loaded["a"].record)))
    assert (await stage.storage.get("a")).progress.status is RuntimeStatus.Running  # type: ignore[union-attr]


@pytest.mark.parametrize("held", [True, False])
async def test_of_many_starts_of_one_id_exactly_one_wins(stage: Stage, held: bool) -> None:
    if held:
        await stage.hold()
    clients = [stage.creating(creation("a", created_at=later(n))) for n in range(50)]
    if held:
        [start] = await stage.receive()
        record = stage.record_of(start)
        assert record is not None
        # Ended in its first episode: whoever asked while it lived still hears that it existed.
        await stage.commit(episode(record, [start], first_events(record), status=RuntimeStatus.Completed))
    outcomes = await asyncio.gather(*clients)
    assert sorted(outcomes, key=lambda outcome: outcome.value) == [CREATED] + [EXISTS] * 49


@pytest.mark.parametrize("status", LIVE)
async def test_a_live_instance_keeps_its_id(stage: Stage, status: RuntimeStatus) -> None:
    await stage.hold()
    first = await stage.begin(creation("a"), status=status)
    assert await stage.create(creation("a", created_at=later(9))) is EXISTS
    record = await stage.storage.get("a")
    assert record is not None
    assert record.origin.execution_id == first.origin.execution_id
    assert stage.storage.receive_now(stage.held) == []


@pytest.mark.parametrize("status", sorted(TERMINAL))
@pytest.mark.parametrize("held", [True, False])
async def test_a_finished_instance_is_replaced_whole(stage: Stage, status: RuntimeStatus, held: bool) -> None:
    await stage.hold()
    old = await stage.begin(creation("a"), status=status, output='"old"', custom_status='"mark"')
    if not held:
        await stage.storage.release(stage.leases)
    client = stage.creating(creation("a", created_at=later(9), name="other"))
    if held:
        [start] = await stage.receive()
        record = stage.record_of(start)
        assert record is not None
        await stage.commit(episode(record, [start], first_events(record)))
    assert await client is REPLACED
    new = await stage.storage.get("a")
    assert new is not None
    assert new.origin.number != old.origin.number
    assert (new.origin.name, new.origin.created_at) == ("other", later(9))
    assert new.progress.output is None
    assert new.progress.custom_status is None
    history = await stage.storage.history("a")
    assert history == (first_events(new) if held else [])
    assert await stage.findings(liveness=False) == []


async def test_any_state_replaces_a_live_instance_and_leaves_its_messages(stage: Stage) -> None:
    await stage.hold()
    old = await stage.begin(
        creation("a"),
        [ev.TaskScheduled(0, "work"), ev.TimerCreated(1, later(60))],
        activities=[NewActivity(2, 0, "work")],
    )
    await stage.commit(kept=[timer(old, 3, later(60))])
    client = stage.creating(creation("a", created_at=later(9)), ReusePolicy.ANY)
    [start] = await stage.receive()
    record = stage.record_of(start)
    assert record is not None
    await stage.commit(episode(record, [start], first_events(record)))
    assert await client is REPLACED
    await stage.crash()
    backlog = await stage.backlog()
    assert backlog.activities == []
    # What answers the old execution is dropped by its execution id when it is taken.
    assert [type(e.message) for e in backlog.due] == [ms.TimerDue]
    assert await stage.storage.history("a") == first_events(record)


@pytest.mark.parametrize("how", ["consumed", "kept", "nobody holds", "given back"])
async def test_what_lets_go_of_locks_is_sent_with_the_replacement(stage: Stage, how: str) -> None:
    await stage.hold()
    await stage.begin(creation("a"))
    if how == "nobody holds":
        await stage.storage.release(stage.leases)
    successor = creation("a", created_at=later(9))
    successor.releases = [Envelope("@ledger@a", ms.LockRelease("a", "s1")), raised("b")]
    client = stage.creating(successor, ReusePolicy.ANY)
    if how in ("consumed", "kept"):
        [start] = await stage.receive()
        record = stage.record_of(start)
        assert record is not None
        if how == "kept":
            await stage.commit(kept=[start])
        else:
            await stage.commit(episode(record, [start], first_events(record)))
        assert await stage.receive(2) == successor.releases, "they are handed out as any message of a commit"
    elif how == "given back":
        await asyncio.sleep(0)
        await stage.storage.release(stage.leases)
    assert await client is REPLACED
    await stage.crash()
    sent = [e for e in (await stage.backlog()).ready if e.target != "a"]
    assert names(sent) == ["LockRelease", "go"]
    assert [e.position for e in sent] == [e.position for e in successor.releases]
    assert await stage.findings(liveness=False) == []


async def test_a_start_that_replaces_nobody_lets_go_of_nothing(stage: Stage) -> None:
    await stage.hold()
    made = creation("a")
    made.releases = [raised("b")]
    await stage.begin(made)
    assert stage.storage.receive_now(stage.held) == []


async def test_starts_of_any_state_follow_one_another(stage: Stage) -> None:
    await stage.hold()
    clients = [stage.creating(creation("a", created_at=later(n)), ReusePolicy.ANY) for n in range(3)]
    for _ in clients:
        [start] = await stage.receive()
        record = stage.record_of(start)
        assert record is not None
        await stage.commit(episode(record, [start], first_events(record)))
    assert [await client for client in clients] == [CREATED, REPLACED, REPLACED]
    assert await stage.findings(liveness=False) == []


async def test_a_child_gets_its_record_and_its_start(stage: Stage) -> None:
    await stage.hold()
    parent = await stage.begin(creation("p"))
    child = creation("p:0001", created_at=later(1))
    await stage.commit(episode(parent, outbox=[raised("p:0001")], children=[child], events=parent.events[:1]))
    start, event = await stage.receive(2)
    # The start comes before what was sent to the child in the same breath.
    assert names([start, event]) == ["StartExecution", "go"]
    assert start.position is not None
    assert event.position is not None
    assert start.position < event.position
    record = stage.record_of(start)
    assert record is not None
    assert record.origin.number is not None
    assert record.progress.status is RuntimeStatus.Pending
    await stage.commit(episode(record, [start, event], first_events(record)))
    assert stage.record_of(start) is None
    assert await stage.storage.history("p:0001") == first_events(record)


async def test_a_child_whose_id_is_taken_answers_its_parent_instead(stage: Stage) -> None:
    await stage.hold()
    await stage.begin(creation("child", text='"mine"'))
    parent = await stage.begin(creation("p"))
    refusal = raised("p", "taken")
    await stage.commit(episode(parent, children=[creation("child", if_taken=refusal)]))
    assert names(await stage.receive()) == ["taken"]
    assert refusal.position is not None
    record = await stage.storage.get("child")
    assert record is not None
    assert record.origin.input == '"mine"'
    await stage.crash()
    assert names((await stage.backlog()).ready) == ["taken"]


async def test_a_taken_child_without_an_answer_is_dropped(stage: Stage) -> None:
    await stage.hold()
    await stage.begin(creation("child"))
    parent = await stage.begin(creation("p"))
    await stage.commit(episode(parent, children=[creation("child")]))
    assert stage.storage.receive_now(stage.held) == []
    await stage.storage.release(stage.leases)
    assert (await stage.backlog()).ready == []


async def test_a_child_replaces_a_finished_instance(stage: Stage) -> None:
    await stage.hold()
    await stage.begin(creation("child"), status=RuntimeStatus.Failed)
    parent = await stage.begin(creation("p"))
    await stage.commit(episode(parent, children=[creation("child", created_at=later(5), if_taken=raised("p"))]))
    [start] = await stage.receive()
    record = stage.record_of(start)
    assert record is not None
    assert await stage.storage.history("child") == []
    await stage.commit(episode(record, [start], first_events(record)))
    assert await stage.storage.history("child") == first_events(record)


async def test_of_two_children_of_one_id_the_first_is_created(stage: Stage) -> None:
    await stage.hold()
    one = await stage.begin(creation("p1"))
    two = await stage.begin(creation("p2"))
    await stage.commit(
        episode(one, children=[creation("child", text='"one"', if_taken=raised("p1", "taken"))]),
        episode(two, children=[creation("child", text='"two"', if_taken=raised("p2", "taken"))]),
    )
    start, refusal = await stage.receive(2)
    assert isinstance(start.message, ms.StartExecution)
    assert start.message.input == '"one"'
    assert (refusal.target, names([refusal])) == ("p2", ["taken"])


async def test_a_child_gives_way_to_a_client_whose_start_came_first(stage: Stage) -> None:
    await stage.hold()
    parent = await stage.begin(creation("p"))
    client = stage.creating(creation("child", text='"client"'))
    [start] = await stage.receive()
    await stage.commit(episode(parent, children=[creation("child", if_taken=raised("p", "taken"))]))
    assert names(await stage.receive()) == ["taken"]
    record = stage.record_of(start)
    assert record is not None
    await stage.commit(episode(record, [start], first_events(record)))
    assert await client is CREATED
    assert (await stage.storage.get("child")).origin.input == '"client"'  # type: ignore[union-attr]


async def test_a_client_hears_of_a_child_that_was_created_meanwhile(stage: Stage) -> None:
    await stage.hold()
    parent = await stage.begin(creation("p"))
    commit = asyncio.ensure_future(stage.commit(episode(parent, children=[creation("child")])))
    client = stage.creating(creation("child"))
    await commit
    assert await client is EXISTS


async def test_a_new_entity_is_inserted_and_then_updated(stage: Stage) -> None:
    await stage.hold()
    record = entity("@counter@a", state="1")
    first = episode(record, state="1")
    await stage.commit(first)
    assert record.origin.number is not None
    await stage.commit(episode(first, state="2", locked_by=LockHolder("someone", "e1", "s1")))
    stored = await stage.storage.get("@counter@a")
    assert stored is not None
    assert (stored.progress.state, stored.progress.locked_by) == ("2", LockHolder("someone", "e1", "s1"))
    assert stored.progress.last_seq == -1


async def test_a_start_that_ends_at_once_leaves_no_message(stage: Stage) -> None:
    await stage.hold()
    done = await stage.begin(creation("a"), status=RuntimeStatus.Completed, output="[1]")
    await stage.crash()
    backlog = await stage.backlog()
    assert (backlog.ready, backlog.due, backlog.activities) == ([], [], [])
    record = await stage.storage.get("a")
    assert record is not None
    assert record.progress == done.progress


async def test_an_activity_result_in_memory_needs_no_row(stage: Stage) -> None:
    await stage.hold()
    a = await stage.begin(creation("a"), [ev.TaskScheduled(0, "work")], activities=[NewActivity(2, 0, "work")])
    await stage.storage.release(stage.leases)
    [pending] = (await stage.backlog()).activities
    done = activity_done(a, 2, pending.number)
    await stage.commit(episode(a, [done], [ev.TaskCompleted(0, 2, '"done"')]))
    await stage.crash()
    backlog = await stage.backlog()
    assert (backlog.ready, backlog.activities) == ([], [])
