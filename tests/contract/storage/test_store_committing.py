"""Making episodes true: all of a round or nothing, each message once, in order."""

import asyncio

import pytest

from perdure.contracts.errors import CheckpointRefused, InstanceTaken
from perdure.contracts.records import Answer, CreateOutcome, InstanceFilter, ReusePolicy, Round, StoredInstance
from perdure.core import events as ev
from perdure.core import messages as ms
from perdure.core.checkpoint import NewActivity
from perdure.core.failures import FailureDetails
from perdure.core.instance import LockHolder
from perdure.core.status import RuntimeStatus
from support.store_stage import Stage
from support.stored_instances import (
    activity_done,
    creation,
    entity,
    episode,
    first_events,
    later,
    names,
    next_execution,
    raised,
    started,
    timer,
)


async def kept_event(stage: Stage, target: str, name: str = "go") -> ms.Envelope:
    """An event with a row."""
    client = stage.sending(raised(target, name))
    [envelope] = await stage.receive()
    await stage.commit(kept=[envelope])
    await client
    return envelope


async def test_everything_a_checkpoint_says_is_there_after_a_crash(stage: Stage) -> None:
    await stage.hold()
    parent = ev.ParentLink("p", "e", 3, 1, "parents")
    made = creation(
        "a", parent=parent, version="1.2", trace_context="00-aa-bb-01", tags={"k": "v"}, scheduled_start_at=later(1)
    )
    first = await stage.begin(
        made,
        [ev.TaskScheduled(0, "work", "[1]", "2", {"team": "a"}), ev.TimerCreated(1, later(60))],
        activities=[NewActivity(2, 0, "work", "[1]", "2", {"team": "a"})],
        outbox=[raised("b", "hello", '"x"')],
        custom_status='"half"',
        awaited_events=("one", "two"),
    )
    await stage.commit(kept=[timer(first, 3, later(60))])
    await stage.crash()
    backlog = await stage.backlog()
    assert [(e.target, e.message, e.due_at) for e in backlog.ready] == [("b", ms.RaiseEvent("hello", '"x"'), None)]
    assert [(e.message, e.due_at) for e in backlog.due] == [(timer(first, 3, later(60)).message, later(60))]
    [pending] = backlog.activities
    assert (pending.instance_id, pending.execution_id) == ("a", made.record.origin.execution_id)
    assert (pending.seq, pending.task_id, pending.name, pending.input) == (2, 0, "work", "[1]")
    assert (pending.version, pending.tags) == ("2", {"team": "a"})
    loaded = await stage.storage.load(stage.held, ["a"])
    assert isinstance(loaded["a"], StoredInstance)
    assert loaded["a"].record.progress == first.progress
    assert loaded["a"].record.origin == first.origin
    assert loaded["a"].history == first.events


async def test_episodes_follow_one_another(stage: Stage) -> None:
    await stage.hold()
    last = await stage.begin(creation("a"))
    history = list(last.events)
    for n in range(1, 20):
        events: list[ev.HistoryEvent] = [started(later(n)), ev.EventRaised("go", str(n))]
        last = episode(last, events=events, at=later(n))
        await stage.commit(last)
        history += events
    assert await stage.storage.history("a") == history
    record = await stage.storage.get("a")
    assert record is not None
    assert record.progress == last.progress


async def test_a_wrong_last_seq_undoes_the_whole_round(stage: Stage) -> None:
    await stage.hold()
    a = await stage.begin(creation("a"))
    b = await stage.begin(creation("b"))
    event = await kept_event(stage, "a")
    wrong = episode(b, events=[started()])
    wrong.expected_last_seq += 1
    with pytest.raises(CheckpointRefused):
        await stage.commit(episode(a, [event], events=[started()], outbox=[raised("b")]), wrong)
    assert (await stage.storage.get("a")).progress == a.progress  # type: ignore[union-attr]
    assert await stage.storage.history("a") == a.events
    assert stage.storage.receive_now(stage.held) == []
    # Nothing of it stands in the way of the right round.
    await stage.commit(episode(a, [event], events=[started()]), episode(b, events=[started()]))
    assert len(await stage.storage.history("b")) == len(b.events) + 1


async def test_one_round_lets_instances_of_every_kind_go_on(stage: Stage) -> None:
    await stage.hold()
    plain = await stage.begin(creation("plain"))
    waiting = await stage.begin(creation("waiting"), status=RuntimeStatus.Suspended, awaited_events=("go",))
    failed = await stage.begin(
        creation("failed"), status=RuntimeStatus.Failed, output="no", failure=FailureDetails("E", "no")
    )
    last = await stage.begin(creation("last"))
    counter = episode(entity("@counter@a"), state="1", locked_by=LockHolder("plain", "e", "s"))
    free = episode(entity("@counter@b"), state="1")
    await stage.commit(counter, free)
    round_ = [
        episode(plain, events=[started(later(1))], at=later(1), custom_status='"half"', awaited_events=("one",)),
        episode(waiting, events=[started(later(1))], at=later(1)),
        episode(failed, events=[started(later(1))], at=later(1)),
        episode(last, events=[started(later(1))], at=later(1), status=RuntimeStatus.Completed, output="1"),
        episode(counter, at=later(1)),
        episode(free, at=later(1), state="2"),
    ]
    await stage.commit(*round_)
    for checkpoint in round_:
        record = await stage.storage.get(checkpoint.origin.instance_id)
        assert record is not None
        assert record.progress == checkpoint.progress
    for status, ids in {
        RuntimeStatus.Running: {"plain", "waiting", "failed"},
        RuntimeStatus.Completed: {"last"},
    }.items():
        page = await stage.storage.query(InstanceFilter(statuses=frozenset({status})), 10)
        assert {record.origin.instance_id for record in page.records} == ids
    assert await stage.findings(liveness=False) == []


async def test_an_episode_committed_twice_is_refused(stage: Stage) -> None:
    await stage.hold()
    a = await stage.begin(creation("a"))
    again = episode(a, events=[started()])
    await stage.commit(again)
    with pytest.raises(CheckpointRefused):
        await stage.commit(again)
    assert len(await stage.storage.history("a")) == len(a.events) + 1


async def test_a_message_is_consumed_once(stage: Stage) -> None:
    await stage.hold()
    a = await stage.begin(creation("a"))
    event = await kept_event(stage, "a")
    b = episode(a, [event], events=[started()])
    await stage.commit(b)
    with pytest.raises(CheckpointRefused):
        await stage.commit(episode(b, [event], events=[started()]))
    assert await stage.storage.history("a") == a.events + b.events


async def test_a_message_named_twice_in_a_round_is_refused(stage: Stage) -> None:
    await stage.hold()
    a = await stage.begin(creation("a"))
    b = await stage.begin(creation("b"))
    event = await kept_event(stage, "a")
    with pytest.raises(CheckpointRefused):
        await stage.commit(episode(a, [event]), episode(b, [event]))
    assert names(await stage.storage.read_inbox(stage.held, "a", later(0))) == ["go"]


async def test_an_unknown_instance_cannot_be_updated(stage: Stage) -> None:
    await stage.hold()
    record = creation("ghost").record
    record.origin.number = 987_654
    with pytest.raises(CheckpointRefused):
        await stage.commit(episode(record, events=[started()]))
    assert await stage.storage.get("ghost") is None


async def test_an_instance_is_not_inserted_twice(stage: Stage) -> None:
    await stage.hold()
    await stage.begin(creation("a"))
    record = creation("a", created_at=later(5)).record
    # Where another process may have created it, that is what is said.
    with pytest.raises((CheckpointRefused, InstanceTaken)):
        await stage.commit(episode(record, events=first_events(record)))


async def test_a_discarded_message_is_gone_and_may_be_gone_already(stage: Stage) -> None:
    await stage.hold()
    await stage.begin(creation("a"))
    event = await kept_event(stage, "a")
    await stage.commit(discarded=[event])
    assert await stage.storage.read_inbox(stage.held, "a", later(0)) == []
    await stage.commit(discarded=[event])


async def test_a_discarded_message_without_a_row_lets_its_sender_go(stage: Stage) -> None:
    await stage.hold()
    client = stage.sending(raised("nobody"))
    [envelope] = await stage.receive()
    await stage.commit(discarded=[envelope])
    await client
    await stage.storage.release(stage.leases)
    assert (await stage.backlog()).ready == []


async def test_an_answer_to_a_discarded_message_is_sent(stage: Stage) -> None:
    await stage.hold()
    await stage.begin(creation("a"))
    event = await kept_event(stage, "a")
    await stage.storage.commit(stage.held, Round([], [], [event], [Answer(event, raised("b", "refused"))]))
    [answer] = await stage.receive()
    assert (answer.target, names([answer]), answer.position is None) == ("b", ["refused"], False)
    assert await stage.storage.read_inbox(stage.held, "a", later(0)) == []
    [row] = await stage.storage.read_inbox(stage.held, "b", later(0))
    assert row.position == answer.position


async def test_the_start_of_an_unwritten_instance_cannot_be_discarded(stage: Stage) -> None:
    await stage.hold()
    client = stage.creating(creation("a"))
    [start] = await stage.receive()
    with pytest.raises(CheckpointRefused):
        await stage.commit(discarded=[start])
    await stage.commit(kept=[start])
    await client


async def test_kept_messages_stay_in_their_order(stage: Stage) -> None:
    await stage.hold()
    await stage.begin(creation("a"))
    clients = []
    for n in range(5):
        clients.append(stage.sending(raised("a", str(n))))
        await asyncio.sleep(0)
    received = await stage.receive(5)
    await stage.commit(kept=received)
    await asyncio.gather(*clients)
    assert names(await stage.storage.read_inbox(stage.held, "a", later(0))) == list("01234")
    await stage.crash()
    assert names((await stage.backlog()).ready) == list("01234")


async def test_kept_results_end_their_activity(stage: Stage) -> None:
    await stage.hold()
    a = await stage.begin(creation("a"), [ev.TaskScheduled(0, "work")])
    [pending] = (await stage.commit(episode(a, activities=[NewActivity(2, 0, "work")]))).activities
    done = activity_done(a, 2, pending.number)
    await stage.commit(kept=[done])
    await stage.crash()
    backlog = await stage.backlog()
    assert backlog.activities == []
    assert [e.message for e in backlog.ready] == [done.message]
    # A row is consumed as a row, whatever it once ended.
    [again] = backlog.ready
    loaded = await stage.storage.load(stage.held, ["a"])
    assert isinstance(loaded["a"], StoredInstance)
    await stage.commit(episode(loaded["a"].record, [again], [ev.TaskCompleted(0, 2, '"done"')]))
    assert await stage.storage.read_inbox(stage.held, "a", later(0)) == []


async def test_discarded_results_end_their_activity(stage: Stage) -> None:
    await stage.hold()
    a = await stage.begin(creation("a"), [ev.TaskScheduled(0, "work")])
    [pending] = (await stage.commit(episode(a, activities=[NewActivity(2, 0, "work")]))).activities
    await stage.commit(discarded=[activity_done(a, 2, pending.number)])
    await stage.crash()
    assert (await stage.backlog()).activities == []


async def test_new_activities_are_numbered_in_order(stage: Stage) -> None:
    await stage.hold()
    a = await stage.begin(creation("a"))
    b = await stage.begin(creation("b"))
    committed = await stage.commit(
        episode(a, activities=[NewActivity(0, 0, "x"), NewActivity(1, 1, "y")]),
        episode(b, activities=[NewActivity(0, 0, "z", '"in"')]),
    )
    assert [(p.instance_id, p.name) for p in committed.activities] == [("a", "x"), ("a", "y"), ("b", "z")]
    numbers = [p.number for p in committed.activities]
    assert numbers == sorted(set(numbers))
    assert committed.activities[2].input == '"in"'
    assert committed.activities[2].execution_id == b.origin.execution_id


async def test_the_outbox_comes_back_with_rows_in_order_per_sender(stage: Stage) -> None:
    await stage.hold()
    a = await stage.begin(creation("a"))
    b = await stage.begin(creation("b"))
    await stage.commit(
        episode(a, outbox=[raised("x", "a1"), raised("b", "a2"), raised("x", "a3")]),
        episode(b, outbox=[raised("x", "b1"), raised("x", "b2")]),
    )
    received = await stage.receive(5)
    assert [name for name in names(received) if name[0] == "a"] == ["a1", "a2", "a3"]
    assert [name for name in names(received) if name[0] == "b"] == ["b1", "b2"]
    positions = [e.position for e in received]
    assert None not in positions
    assert positions == sorted(positions, key=lambda position: position or 0)
    assert stage.storage.receive_now(stage.held) == []


async def test_positions_rise_over_crashes(stage: Stage) -> None:
    await stage.hold()
    a = await stage.begin(creation("a"))
    highest = 0
    for _ in range(3):
        event = await kept_event(stage, "a")
        assert event.position is not None
        assert event.position > highest
        highest = event.position
        await stage.commit(discarded=[event])
        await stage.crash()
        await stage.hold()
    b = await stage.begin(creation("b"))
    assert b.origin.number not in (None, a.origin.number)


async def test_positions_rise_over_a_crash_after_a_refused_round(stage: Stage) -> None:
    await stage.hold()
    ghost = creation("ghost").record
    ghost.origin.number = 987_654
    with pytest.raises(CheckpointRefused):
        await stage.commit(episode(ghost))
    await stage.begin(creation("a"))
    event = await kept_event(stage, "a")
    await stage.commit(discarded=[event])
    await stage.crash()
    await stage.hold()
    again = await kept_event(stage, "a")
    assert (again.position or 0) > (event.position or 0)


async def test_an_instance_moves_in_the_round_that_replaces_it(stage: Stage) -> None:
    """Both sides of a replacement may be in one round: what the old one did goes with it."""
    await stage.hold()
    old = await stage.begin(creation("a"), activities=[NewActivity(0, 0, "old")])
    client = stage.creating(creation("a", created_at=later(1)), ReusePolicy.ANY)
    [start] = await stage.receive()
    record = stage.record_of(start)
    assert record is not None
    await stage.commit(
        episode(old, events=[started()], activities=[NewActivity(2, 1, "last")]),
        episode(record, [start], first_events(record), activities=[NewActivity(0, 0, "new")]),
    )
    assert await client is CreateOutcome.REPLACED
    assert await stage.storage.history("a") == first_events(record)
    assert await stage.findings(liveness=False) == []
    await stage.crash()
    assert [pending.name for pending in (await stage.backlog()).activities] == ["new"]


async def test_an_activity_that_nobody_waits_for_outlives_its_instance(stage: Stage) -> None:
    await stage.hold()
    a = await stage.begin(creation("a"))
    end = episode(a, status=RuntimeStatus.Completed, activities=[NewActivity(2, 0, "mail")])
    [pending] = (await stage.commit(end)).activities
    await stage.crash()
    assert (await stage.backlog()).activities == [pending]
    await stage.commit(discarded=[activity_done(a, 2, pending.number)])
    await stage.crash()
    assert (await stage.backlog()).activities == []


async def test_continue_as_new_drops_history_and_activities(stage: Stage) -> None:
    await stage.hold()
    a = await stage.begin(creation("a"), [ev.TaskScheduled(0, "work")], activities=[NewActivity(2, 0, "work")])
    event = await kept_event(stage, "a")
    again = next_execution(a, [event], outbox=[raised("other")])
    await stage.commit(again)
    assert await stage.storage.history("a") == []
    record = await stage.storage.get("a")
    assert record is not None
    assert record.origin.number == a.origin.number
    assert (record.origin.execution_id, record.origin.generation) == (again.origin.execution_id, 1)
    assert record.origin.input == '"again"'
    assert record.origin.created_at == a.origin.created_at
    other, start = await stage.receive(2)
    assert names([other, start]) == ["go", "StartExecution"]
    await stage.commit(episode(again, [start], first_events(record)), discarded=[other])
    assert await stage.storage.history("a") == first_events(record)
    await stage.crash()
    backlog = await stage.backlog()
    assert (backlog.ready, backlog.activities) == ([], [])


async def test_a_first_episode_may_continue_as_new(stage: Stage) -> None:
    await stage.hold()
    client = stage.creating(creation("a"))
    [start] = await stage.receive()
    record = stage.record_of(start)
    assert record is not None
    again = next_execution(record, [start])
    await stage.commit(again)
    await client
    assert again.origin.number is not None
    [second] = await stage.receive()
    await stage.commit(episode(again, [second], first_events(again), status=RuntimeStatus.Completed))
    stored = await stage.storage.get("a")
    assert stored is not None
    assert (stored.origin.generation, stored.progress.status) == (1, RuntimeStatus.Completed)


@pytest.mark.parametrize("status", [RuntimeStatus.Completed, RuntimeStatus.Failed, RuntimeStatus.Terminated])
async def test_an_end_takes_the_instances_messages_and_activities_along(stage: Stage, status: RuntimeStatus) -> None:
    await stage.hold()
    a = await stage.begin(creation("a"), [ev.TaskScheduled(0, "work")], activities=[NewActivity(2, 0, "work")])
    b = await stage.begin(creation("b"), [ev.TaskScheduled(0, "work")], activities=[NewActivity(2, 0, "work")])
    left = await kept_event(stage, "a", "left")
    await stage.commit(kept=[timer(a, 9, later(60)), timer(b, 9, later(60))])
    failure = FailureDetails("ValueError", "no", "stack", FailureDetails("OSError", "why", is_non_retriable=True))
    end = episode(a, status=status, output='"out"', failure=failure, outbox=[raised("b", "bye")], at=later(7))
    await stage.commit(end)
    # The engine may still hold what went with the instance.
    await stage.commit(discarded=[left])
    await stage.crash()
    backlog = await stage.backlog()
    assert [(e.target, *names([e])) for e in backlog.ready] == [("b", "bye")]
    assert [e.target for e in backlog.due] == ["b"]
    assert [p.instance_id for p in backlog.activities] == ["b"]
    record = await stage.storage.get("a")
    assert record is not None
    assert record.progress == end.progress


async def test_a_result_that_comes_after_the_end_is_discarded(stage: Stage) -> None:
    await stage.hold()
    a = await stage.begin(creation("a"), [ev.TaskScheduled(0, "work")])
    [pending] = (await stage.commit(episode(a, activities=[NewActivity(2, 0, "work")]))).activities
    await stage.commit(episode(a, status=RuntimeStatus.Completed))
    await stage.commit(discarded=[activity_done(a, 2, pending.number)])
    assert (await stage.storage.get("a")).progress.status is RuntimeStatus.Completed  # type: ignore[union-attr]


async def test_an_empty_round_is_true_at_once(stage: Stage) -> None:
    await stage.hold()
    assert (await stage.commit()).activities == []


async def test_ten_thousand_envelopes_in_one_round(stage: Stage) -> None:
    await stage.hold()
    a = await stage.begin(creation("a"))
    fan = episode(
        a,
        outbox=[raised(f"target{n % 100}", str(n)) for n in range(10_000)],
        activities=[NewActivity(n, n, "work") for n in range(10_000)],
    )
    committed = await stage.commit(fan)
    assert len(committed.activities) == 10_000
    received = await stage.receive(10_000)
    assert names(received) == [str(n) for n in range(10_000)]
    done = [activity_done(a, p.seq, p.number) for p in committed.activities]
    await stage.commit(episode(fan, [*received, *done]))
    await stage.crash()
    backlog = await stage.backlog()
    assert (backlog.ready, backlog.activities) == ([], [])


async def test_a_thousand_instances_in_one_round(stage: Stage) -> None:
    await stage.hold()
    clients = [stage.creating(creation(f"i{n}")) for n in range(1_000)]
    starts = await stage.receive(1_000)
    records = [stage.record_of(start) for start in starts]
    firsts = [episode(r, [s], first_events(r)) for s, r in zip(starts, records, strict=True) if r is not None]
    await stage.commit(*firsts)
    await asyncio.gather(*clients)
    await stage.commit(*(episode(first, events=[started()]) for first in firsts))
    await stage.crash()
    await stage.hold()
    loaded = await stage.storage.load(stage.held, [f"i{n}" for n in range(1_000)])
    assert len(loaded) == 1_000
    assert all(isinstance(i, StoredInstance) and len(i.history) == 3 for i in loaded.values())


async def test_commits_that_wait_together_are_each_true_or_refused_alone(stage: Stage) -> None:
    await stage.hold()
    a = await stage.begin(creation("a"))
    b = await stage.begin(creation("b"))
    c = await stage.begin(creation("c"), status=RuntimeStatus.Completed)
    wrong = episode(b, events=[started()])
    wrong.expected_last_seq = 77
    results = await asyncio.gather(
        stage.commit(episode(a, events=[started()])),
        stage.commit(wrong),
        stage.storage.purge([c.origin.instance_id]),
        stage.commit(episode(b, events=[started(), started()])),
        return_exceptions=True,
    )
    assert isinstance(results[1], CheckpointRefused)
    assert results[2] == 1
    assert len(await stage.storage.history("a")) == len(a.events) + 1
    assert len(await stage.storage.history("b")) == len(b.events) + 2
    assert await stage.findings(liveness=False) == []


async def test_a_cancelled_commit_still_lets_the_senders_go(stage: Stage) -> None:
    await stage.hold()
    client = stage.creating(creation("a"))
    [start] = await stage.receive()
    record = stage.record_of(start)
    assert record is not None
    committing = asyncio.ensure_future(stage.commit(episode(record, [start], first_events(record))))
    await asyncio.sleep(0)
    committing.cancel()
    await asyncio.wait([committing])
    await client
    assert await stage.storage.history("a") == first_events(record)
