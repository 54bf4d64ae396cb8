"""Histories and turns come back from the wire as they were, and code replays from what came."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from perdure.core import actions as ac
from perdure.core import events as ev
from perdure.core.failures import FailureDetails
from perdure.core.replay.policy import ReplayPolicy
from perdure.core.replay.replayer import Replayer
from perdure.core.status import RuntimeStatus
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.actions import read_turn
from perdure.formats.protobuf.actions_written import Answered, write_turn
from perdure.formats.protobuf.events import HistoryWriter, history_chunks, joined, made_request_id
from perdure.formats.protobuf.events_read import HistoryReader, UnreadableEvent, read_history
from perdure.formats.protobuf.work_items import stripped
from support.random_messages import random_messages
from support.random_programs import PROGRAMS, Interpreter
from support.replay_world import EXECUTION, FUNCTIONS, PORTABLE, T0, World
from support.struct_strategies import TEXT

INSTANCE = "order-1"
TURN = Answered(INSTANCE, EXECUTION, "token-1", completion_id=9)

NAMES = TEXT.filter(bool)
MAYBE_TEXT = st.none() | TEXT
TIMES = st.datetimes(timezones=st.just(UTC))
IDS = st.integers(0, 2**31 - 1)
TAGS = st.none() | st.dictionaries(TEXT, TEXT, min_size=1, max_size=3)
TRACES = st.none() | st.sampled_from(
    [
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7-01 a=1,b=2",
        "x",
    ]
)
ENTITIES = TEXT.filter(bool).map(lambda key: f"@counter@{key}")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def _failures(causes: int) -> st.SearchStrategy[FailureDetails]:
    cause = st.none() | _failures(causes - 1) if causes else st.none()
    properties = st.none() | st.dictionaries(TEXT, JSON, min_size=1, max_size=3)
    return st.builds(FailureDetails, TEXT, TEXT, MAYBE_TEXT, cause, st.booleans(), properties)


FAILURES = _failures(3)


def read_back(data: bytes) -> list[ev.HistoryEvent]:
    return HistoryReader().read(pb.OrchestratorRequest.FromString(data).pastEvents)


ALONE = st.one_of(
    st.builds(
        ev.ExecutionStarted, NAMES, st.just(EXECUTION), MAYBE_TEXT, MAYBE_TEXT,
        parent=st.none() | st.builds(ev.ParentLink, NAMES, TEXT, st.just(-1), IDS, TEXT),
        scheduled_start_at=st.none() | TIMES, trace_context=TRACES, tags=TAGS,
    ),
    st.builds(ev.ExecutionTerminated, MAYBE_TEXT, st.booleans()),
    st.builds(ev.ExecutionSuspended, MAYBE_TEXT),
    st.builds(ev.ExecutionResumed, MAYBE_TEXT),
    st.builds(ev.TaskScheduled, IDS, NAMES, MAYBE_TEXT, MAYBE_TEXT, TAGS, TRACES),
    st.builds(ev.SubOrchestrationCreated, IDS, NAMES, NAMES, MAYBE_TEXT, MAYBE_TEXT, TAGS, TRACES),
    st.builds(ev.TimerCreated, IDS, TIMES),
    st.builds(ev.EventRaised, TEXT, MAYBE_TEXT),
    st.builds(ev.EventSent, IDS, NAMES, TEXT, MAYBE_TEXT),
    st.builds(ev.EntityCalled, IDS, ENTITIES, TEXT, MAYBE_TEXT, NAMES),
    st.builds(ev.EntitySignaled, IDS, ENTITIES, TEXT, MAYBE_TEXT, st.none() | TIMES, NAMES),
    st.builds(ev.EntityLockRequested, IDS, NAMES, st.lists(ENTITIES, max_size=3).map(tuple)),
    st.builds(ev.EntityUnlockSent, IDS, NAMES, ENTITIES),
)  # fmt: skip


@given(event=ALONE, at=TIMES)
def test_every_event_comes_back_with_every_field(event: ev.HistoryEvent, at: datetime) -> None:
    history = [ev.OrchestratorStarted(at), event]
    assert read_back(HistoryWriter(INSTANCE, EXECUTION).append(history)) == history


@given(failure=FAILURES, result=MAYBE_TEXT, task_id=IDS)
def test_every_completion_finds_what_it_answers(failure: FailureDetails, result: str | None, task_id: int) -> None:
    for scheduled, completions in (
        (ev.TaskScheduled(task_id, "a"), (ev.TaskCompleted(task_id, 1, result), ev.TaskFailed(task_id, 1, failure))),
        (
            ev.SubOrchestrationCreated(task_id, "a", "b"),
            (ev.SubOrchestrationCompleted(task_id, 1, result), ev.SubOrchestrationFailed(task_id, 1, failure)),
        ),
        (
            ev.EntityCalled(task_id, "@c@a", "add", None, "r-1"),
            (ev.EntityOperationCompleted(task_id, 1, result), ev.EntityOperationFailed(task_id, 1, failure)),
        ),
        (ev.TimerCreated(task_id, T0), (ev.TimerFired(task_id, 1, T0),)),
        (ev.EntityLockRequested(task_id, "s-1", ("@c@a",)), (ev.EntityLockGranted(task_id, 1),)),
    ):
        for completion in completions:
            history = [ev.OrchestratorStarted(T0), scheduled, ev.OrchestratorStarted(T0), completion]
            assert read_back(HistoryWriter(INSTANCE, EXECUTION).append(history)) == history


@given(failure=FAILURES, output=MAYBE_TEXT, status=st.sampled_from(RuntimeStatus), reason=MAYBE_TEXT)
def test_ends_and_rewinds_come_back_to_clients(
    failure: FailureDetails, output: str | None, status: RuntimeStatus, reason: str | None
) -> None:
    history: list[ev.HistoryEvent] = [
        ev.OrchestratorStarted(T0),
        ev.ExecutionRewound(reason),
        ev.ExecutionCompleted(status, output, failure),
    ]
    chunks = history_chunks(HistoryWriter(INSTANCE, EXECUTION).whole(history))
    read = [event for chunk in chunks for event in HistoryReader().read(pb.HistoryChunk.FromString(chunk).events)]
    assert read == history


def test_causes_beyond_the_limit_are_cut_off() -> None:
    failure = FailureDetails("E", "last")
    for n in range(20):
        failure = FailureDetails("E", str(n), cause=failure)
    history = [ev.OrchestratorStarted(T0), ev.TaskFailed(1, -1, failure)]
    read = read_back(HistoryWriter(INSTANCE, EXECUTION).append(history))[1]
    assert isinstance(read, ev.TaskFailed)
    link, links = read.failure, 1
    while link.cause is not None:
        link, links = link.cause, links + 1
    assert links == 8
    deep = pb.TaskFailureDetails()
    inner = deep
    for _ in range(40):
        inner = inner.innerFailure
        inner.errorType = "E"
    again = pb.HistoryEvent(eventId=-1, taskFailed=pb.TaskFailedEvent(taskScheduledId=1, failureDetails=deep))
    assert HistoryReader().read([again])


@pytest.mark.parametrize("policy", [FUNCTIONS, PORTABLE], ids=["functions", "portable"])
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(program=PROGRAMS, data=st.data())
def test_code_decides_from_what_it_is_sent_what_it_decided_live(
    policy: ReplayPolicy, program: list[Any], data: st.DataObject
) -> None:
    world = World(lambda recorder: Interpreter(recorder).generator(program), policy)
    world.start()
    writer = HistoryWriter(INSTANCE, EXECUTION)
    past = writer.append(world.history)
    for _ in range(8):
        if world.last.ending is not None:
            break
        episode = [ev.OrchestratorStarted(world.now), *data.draw(random_messages(world))]
        frames = writer.frames(episode)
        request = pb.OrchestratorRequest.FromString(past + joined(b"\x22", frames))
        read_past, read_new = read_history(request.pastEvents, request.newEvents)
        assert read_past == [_as_read(event) for event in world.history]
        assert read_new == [_as_read(event) for event in episode]
        elsewhere = Replayer(world.definition, INSTANCE)
        elsewhere.replay(read_past)
        there = elsewhere.advance(read_new)
        elsewhere.close()
        here = world.replayer.advance(episode)
        assert there == here
        done = len(world.history) + len(episode)
        world.record(episode, here)
        past += writer.settle(frames, world.history[done:])
    world.replayer.close()
    assert past == HistoryWriter(INSTANCE, EXECUTION).append(world.history)
    assert [_without_input(event) for event in read_back(stripped(past))] == [
        _without_input(_as_read(event)) for event in world.history
    ]


def _as_read(event: ev.HistoryEvent) -> ev.HistoryEvent:
    """Requests have ids on the wire; what answers nothing has no place."""
    if isinstance(event, ev.EntityCalled | ev.EntitySignaled):
        return msgspec.structs.replace(event, request_id=made_request_id(EXECUTION, event.task_id))
    if isinstance(event, ev.TaskCompleted) and event.task_id == 999:
        return msgspec.structs.replace(event, scheduled_seq=-1)
    return event


_STRIPPED = (ev.TaskScheduled, ev.SubOrchestrationCreated, ev.EventSent, ev.EntityCalled, ev.EntitySignaled)


def _without_input(event: ev.HistoryEvent) -> ev.HistoryEvent:
    return msgspec.structs.replace(event, input=None) if isinstance(event, _STRIPPED) else event


ACTIONS = st.one_of(
    st.builds(ac.ScheduleActivity, IDS, NAMES, MAYBE_TEXT, MAYBE_TEXT, TAGS, TRACES),
    st.builds(ac.CreateTimer, IDS, TIMES),
    st.builds(ac.StartChild, IDS, NAMES, MAYBE_TEXT, NAMES, MAYBE_TEXT, TAGS, TRACES),
    st.builds(ac.CallEntity, IDS, ENTITIES, TEXT, MAYBE_TEXT, NAMES),
    st.builds(ac.SignalEntity, IDS, ENTITIES, TEXT, MAYBE_TEXT, st.none() | TIMES, NAMES),
    st.builds(ac.SendEvent, IDS, NAMES.filter(lambda name: name[0] != "@"), TEXT, MAYBE_TEXT),
    st.builds(ac.LockEntities, IDS, NAMES, st.sets(ENTITIES, min_size=1, max_size=3).map(lambda s: tuple(sorted(s)))),
    st.builds(ac.UnlockEntity, IDS, NAMES, ENTITIES),
    st.builds(ac.TerminateInstance, IDS, NAMES, MAYBE_TEXT, st.booleans()),
)
ENDINGS = st.one_of(
    st.none(),
    st.builds(ac.Complete, MAYBE_TEXT),
    st.builds(ac.Fail, FAILURES, st.none() | NAMES),
    st.builds(
        ac.ContinueAsNew, MAYBE_TEXT, MAYBE_TEXT,
        st.lists(st.builds(ac.CarriedEvent, TEXT, MAYBE_TEXT), max_size=3).map(tuple), TAGS,
    ),
)  # fmt: skip


@given(
    actions=st.lists(ACTIONS, max_size=6).map(tuple),
    ending=ENDINGS,
    custom_status=st.none() | NAMES,
    taken=st.none() | IDS,
    span=st.none() | st.sampled_from(["b7ad6b7169203331 1767225600 123456700", "b7ad6b7169203331  ", " 5 0"]),
)
@example(actions=(), ending=ac.Complete(""), custom_status=None, taken=0, span=None)
def test_turns_come_back(
    actions: tuple[ac.Action, ...],
    ending: ac.Ending | None,
    custom_status: str | None,
    taken: int | None,
    span: str | None,
) -> None:
    turn = ac.TurnResult(actions, ending, ac.NewStatus(custom_status), events_taken=taken, span=span)
    written = write_turn(turn, TURN, custom_status=custom_status, span=span)
    assert read_turn(pb.OrchestratorResponse.FromString(written.SerializeToString())) == turn
    assert read_turn(written, known_span=span).span is None


def test_what_code_leaves_to_the_runtime_is_named_before_it_is_sent() -> None:
    actions = (ac.StartChild(2, "leg"), ac.CallEntity(3, "@c@a", "add"), ac.LockEntities(4, "s", ("@b@1", "@a@1")))
    written = write_turn(ac.TurnResult(actions, ac.Complete("1")), TURN)
    child, call, lock, completion = written.actions
    assert child.createSubOrchestration.instanceId == "order-1:0002"
    assert call.sendEntityMessage.entityOperationCalled.requestId == made_request_id(EXECUTION, 3)
    assert list(lock.sendEntityMessage.entityLockRequested.lockSet) == ["@a@1", "@b@1"]
    assert completion.id == 9


@pytest.mark.parametrize("kind", ["historyState", "continueAsNew", None])
def test_kinds_that_code_cannot_be_replayed_with_are_refused(kind: str | None) -> None:
    event = pb.HistoryEvent(eventId=4)
    if kind is not None:
        getattr(event, kind).SetInParent()
    with pytest.raises(UnreadableEvent, match=rf"id 4\) of the kind {kind or 'unknown'}"):
        HistoryReader().read([event])


def test_a_number_used_again_is_answered_where_it_was_asked_last() -> None:
    scheduled = pb.HistoryEvent(eventId=1, taskScheduled=pb.TaskScheduledEvent(name="a"))
    failed = pb.HistoryEvent(eventId=-1, taskFailed=pb.TaskFailedEvent(taskScheduledId=1))
    closed = pb.HistoryEvent(eventId=-1, orchestratorCompleted=pb.OrchestratorCompletedEvent())
    ignored = pb.HistoryEvent(eventId=-1, genericEvent=pb.GenericEvent())
    past, new = read_history([scheduled, closed, failed, ignored, scheduled], [failed])
    assert [event.scheduled_seq for event in (past[1], new[0]) if isinstance(event, ev.TaskFailed)] == [0, 2]


def test_long_delays_stay_exact() -> None:
    at = T0 + timedelta(days=3_650, microseconds=1)
    history = [ev.OrchestratorStarted(T0), ev.TimerCreated(1, at)]
    assert read_back(HistoryWriter(INSTANCE, EXECUTION).append(history)) == history
