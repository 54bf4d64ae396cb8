"""Core history → the events that workers and clients read: every row of the protocol's table."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from perdure.core import events as ev
from perdure.core.decisions import failed_output
from perdure.core.failures import FailureDetails
from perdure.core.status import RuntimeStatus
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.events import HistoryWriter, history_chunks, joined, past_frames

T0 = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
T1 = T0 + timedelta(hours=1)
EXECUTION = "9a528a9e-926f-4b46-b7d3-deaa134b7e8a"
FAILURE = FailureDetails("builtins.ValueError", "", "line 1", FailureDetails("KeyError", "k"), True, {"code": 7})
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def writer() -> HistoryWriter:
    return HistoryWriter("order-1", EXECUTION)


def past_of(*history: ev.HistoryEvent) -> list[pb.HistoryEvent]:
    return list(pb.OrchestratorRequest.FromString(writer().append(history)).pastEvents)


def whole_of(*history: ev.HistoryEvent) -> list[pb.HistoryEvent]:
    chunks = history_chunks(writer().whole(history))
    return [event for chunk in chunks for event in pb.HistoryChunk.FromString(chunk).events]


def text(value: str) -> pb.StringValue:
    return pb.StringValue(value=value)


def stamp(at: datetime) -> pb.Timestamp:
    written = pb.Timestamp()
    written.FromDatetime(at)
    return written


WRITTEN_FAILURE = pb.TaskFailureDetails(
    errorType="builtins.ValueError",
    stackTrace=text("line 1"),
    innerFailure=pb.TaskFailureDetails(errorType="KeyError", errorMessage="k"),
    isNonRetriable=True,
    properties={"code": pb.Value(number_value=7)},
)
TRACE_MESSAGE = pb.TraceContext(traceParent=TRACE, spanID="b7ad6b7169203331", traceState=text("a=1"))
HERE = pb.OrchestrationInstance(instanceId="order-1", executionId=text(EXECUTION))

ROWS: list[tuple[ev.HistoryEvent, int, dict[str, Any]]] = [
    (
        ev.ExecutionStarted("order", EXECUTION),
        -1,
        {"executionStarted": pb.ExecutionStartedEvent(name="order", orchestrationInstance=HERE)},
    ),
    (
        ev.ExecutionStarted(
            "order", EXECUTION, "", "", parent=ev.ParentLink("boss", "e-1", 4, 2, "lead", "1.0"), scheduled_start_at=T1,
            trace_context=f"{TRACE} a=1", tags={"a": "b", "": ""},
        ),
        -1,
        {
            "executionStarted": pb.ExecutionStartedEvent(
                name="order", version=text(""), input=text(""), orchestrationInstance=HERE,
                parentInstance=pb.ParentInstanceInfo(
                    taskScheduledId=2, name=text("lead"), version=text("1.0"),
                    orchestrationInstance=pb.OrchestrationInstance(instanceId="boss", executionId=text("e-1")),
                ),
                scheduledStartTimestamp=stamp(T1), parentTraceContext=TRACE_MESSAGE, tags={"a": "b", "": ""},
            )
        },
    ),
    (
        ev.ExecutionTerminated('"why"', recursive=True),
        -1,
        {"executionTerminated": pb.ExecutionTerminatedEvent(input=text('"why"'), recurse=True)},
    ),
    (ev.ExecutionSuspended("r"), -1, {"executionSuspended": pb.ExecutionSuspendedEvent(input=text("r"))}),
    (ev.ExecutionResumed(), -1, {"executionResumed": pb.ExecutionResumedEvent()}),
    (
        ev.TaskScheduled(7, "step", "1", "v2", {"t": "u"}, f"{TRACE} a=1"),
        7,
        {
            "taskScheduled": pb.TaskScheduledEvent(
                name="step", version=text("v2"), input=text("1"), parentTraceContext=TRACE_MESSAGE, tags={"t": "u"}
            )
        },
    ),
    (ev.TaskScheduled(0, "step"), 0, {"taskScheduled": pb.TaskScheduledEvent(name="step")}),
    (ev.TaskCompleted(7, 2, "é" * 3000), -1,
     {"taskCompleted": pb.TaskCompletedEvent(taskScheduledId=7, result=text("é" * 3000))}),
    (ev.TaskCompleted(70_000, 2), -1, {"taskCompleted": pb.TaskCompletedEvent(taskScheduledId=70_000)}),
    (ev.TaskFailed(7, 2, FAILURE), -1,
     {"taskFailed": pb.TaskFailedEvent(taskScheduledId=7, failureDetails=WRITTEN_FAILURE)}),
    (
        ev.SubOrchestrationCreated(3, "leg", "order-1:0003", "5", "1.0", {"t": "u"}, f"{TRACE} a=1"),
        3,
        {
            "subOrchestrationInstanceCreated": pb.SubOrchestrationInstanceCreatedEvent(
                instanceId="order-1:0003", name="leg", version=text("1.0"), input=text("5"),
                parentTraceContext=TRACE_MESSAGE, tags={"t": "u"},
            )
        },
    ),
    (ev.SubOrchestrationCompleted(3, 2, "6"), -1, {
        "subOrchestrationInstanceCompleted": pb.SubOrchestrationInstanceCompletedEvent(
            taskScheduledId=3, result=text("6"))}),
    (ev.SubOrchestrationFailed(3, 2, FAILURE), -1, {
        "subOrchestrationInstanceFailed": pb.SubOrchestrationInstanceFailedEvent(
            taskScheduledId=3, failureDetails=WRITTEN_FAILURE)}),
    (ev.TimerCreated(1, T1), 1, {"timerCreated": pb.TimerCreatedEvent(fireAt=stamp(T1))}),
    (ev.TimerFired(1, 2, T1), -1, {"timerFired": pb.TimerFiredEvent(fireAt=stamp(T1), timerId=1)}),
    (ev.EventRaised("Go", "1"), -1, {"eventRaised": pb.EventRaisedEvent(name="Go", input=text("1"))}),
    (ev.EventSent(4, "other", "Go", "1"), 4,
     {"eventSent": pb.EventSentEvent(instanceId="other", name="Go", input=text("1"))}),
    (
        ev.EntityCalled(5, "@counter@a", "add", "1", "2b6d"),
        5,
        {
            "entityOperationCalled": pb.EntityOperationCalledEvent(
                requestId="2b6d", operation="add", input=text("1"), parentInstanceId=text("order-1"),
                parentExecutionId=text(EXECUTION), targetInstanceId=text("@counter@a"),
            )
        },
    ),
    (
        ev.EntitySignaled(6, "@counter@a", "add", "1", T1, "2b6e"),
        6,
        {
            "entityOperationSignaled": pb.EntityOperationSignaledEvent(
                requestId="2b6e", operation="add", input=text("1"), scheduledTime=stamp(T1),
                targetInstanceId=text("@counter@a"),
            )
        },
    ),
    (
        ev.EntityLockRequested(8, "s-1", ("@a@1", "@b@1")),
        8,
        {
            "entityLockRequested": pb.EntityLockRequestedEvent(
                criticalSectionId="s-1", lockSet=["@a@1", "@b@1"], parentInstanceId=text("order-1")
            )
        },
    ),
    (
        ev.EntityUnlockSent(9, "s-1", "@a@1"),
        9,
        {
            "entityUnlockSent": pb.EntityUnlockSentEvent(
                criticalSectionId="s-1", parentInstanceId=text("order-1"), targetInstanceId=text("@a@1")
            )
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize(("event", "event_id", "fields"), ROWS, ids=lambda row: type(row).__name__)
def test_each_kind_is_written_with_its_id_the_episodes_time_and_every_field(
    event: ev.HistoryEvent, event_id: int, fields: dict[str, Any]
) -> None:
    started, written, ended = past_of(ev.OrchestratorStarted(T0), event)
    assert written == pb.HistoryEvent(eventId=event_id, timestamp=stamp(T0), **fields)
    assert started.WhichOneof("eventType") == "orchestratorStarted"
    assert ended.WhichOneof("eventType") == "orchestratorCompleted"
    assert started.timestamp == ended.timestamp == stamp(T0)


def test_answers_of_entities_name_the_request_and_grants_the_section() -> None:
    events = past_of(
        ev.OrchestratorStarted(T0),
        ev.EntityCalled(1, "@c@a", "add", None, "2b6d"),
        ev.EntityCalled(2, "@c@a", "add"),
        ev.EntityLockRequested(3, "s-1", ("@c@a",)),
        ev.OrchestratorStarted(T1),
        ev.EntityOperationFailed(1, 1, FAILURE),
        ev.EntityOperationCompleted(2, 2, "9"),
        ev.EntityLockGranted(3, 3),
    )
    assert events[6].entityOperationFailed == pb.EntityOperationFailedEvent(
        requestId="2b6d", failureDetails=WRITTEN_FAILURE
    )
    made = events[2].entityOperationCalled.requestId
    assert len(made) == 36
    assert events[7].entityOperationCompleted == pb.EntityOperationCompletedEvent(requestId=made, output=text("9"))
    assert events[8].entityLockGranted.criticalSectionId == "s-1"


def test_every_episode_is_closed() -> None:
    events = past_of(ev.OrchestratorStarted(T0), ev.TaskScheduled(1, "a"), ev.OrchestratorStarted(T1))
    assert [event.WhichOneof("eventType") for event in events] == [
        "orchestratorStarted",
        "taskScheduled",
        "orchestratorCompleted",
        "orchestratorStarted",
        "orchestratorCompleted",
    ]


def test_a_turn_settled_is_what_the_committed_episode_would_be() -> None:
    first = [ev.OrchestratorStarted(T0), ev.ExecutionStarted("order", EXECUTION), ev.EntityCalled(1, "@c@a", "add")]
    second = [ev.OrchestratorStarted(T1), ev.EntityOperationCompleted(1, 2, "1")]
    asked = [ev.TimerCreated(2, T1)]
    alive = writer()
    past = alive.append(first)
    alive.frames([ev.OrchestratorStarted(T0)])
    frames = alive.frames(second)
    past += alive.settle(frames, asked)
    assert past == writer().append([*first, *second, *asked])
    told = pb.OrchestratorRequest.FromString(joined(b"\x22", frames)).newEvents
    assert [event.WhichOneof("eventType") for event in told] == ["orchestratorStarted", "entityOperationCompleted"]


def test_how_it_ended_and_that_it_was_rewound_is_for_clients_only() -> None:
    history = [
        ev.OrchestratorStarted(T0),
        ev.ExecutionRewound("again"),
        ev.ExecutionCompleted(RuntimeStatus.Failed, "out", FAILURE),
    ]
    assert [event.WhichOneof("eventType") for event in past_of(*history)] == [
        "orchestratorStarted",
        "orchestratorCompleted",
    ]
    _, rewound, _, ended = whole_of(*history)
    assert rewound.executionRewound == pb.ExecutionRewoundEvent(reason=text("again"))
    assert ended == pb.HistoryEvent(
        eventId=-1,
        timestamp=stamp(T0),
        executionCompleted=pb.ExecutionCompletedEvent(
            orchestrationStatus=pb.ORCHESTRATION_STATUS_FAILED, result=text("out"), failureDetails=WRITTEN_FAILURE
        ),
    )


def test_an_output_made_of_the_failure_is_not_told_beside_it() -> None:
    started = ev.ExecutionStarted("order", EXECUTION)
    for output, told in ((failed_output("order", FAILURE), None), ("own", text("own"))):
        completed = ev.ExecutionCompleted(RuntimeStatus.Failed, output, FAILURE)
        ended = whole_of(ev.OrchestratorStarted(T0), started, completed)[-1].executionCompleted
        assert ended == pb.ExecutionCompletedEvent(
            orchestrationStatus=pb.ORCHESTRATION_STATUS_FAILED, result=told, failureDetails=WRITTEN_FAILURE
        )


def test_locks_granted_again_after_a_rewind_are_told_to_clients_only() -> None:
    history = [
        ev.OrchestratorStarted(T0),
        ev.EntityLockRequested(1, "s-1", ("@c@a",)),
        ev.OrchestratorStarted(T0),
        ev.EntityLockGranted(1, 1),
        ev.OrchestratorStarted(T1),
        ev.ExecutionRewound(regains=(ev.Regain(1, 1, "s-1"),)),
    ]
    again: list[ev.HistoryEvent] = [ev.OrchestratorStarted(T1), ev.EntityLockGranted(1, 1)]

    def grants(events: Any) -> int:
        return sum(event.HasField("entityLockGranted") for event in events)

    assert grants(past_of(*history, *again)) == 1
    assert grants(whole_of(*history, *again)) == 2
    alive = writer()
    alive.append(history)
    assert len(alive.frames(again)) == 1


def test_chunks_hold_whole_events_and_lose_none() -> None:
    history = [ev.OrchestratorStarted(T0), *(ev.EventRaised("Go", "x" * n) for n in range(200))]
    past = writer().append(history)
    frames = list(past_frames(past))
    assert joined(b"\x1a", frames) == past
    chunks = list(history_chunks(frames, 1000))
    assert len(chunks) > 10
    assert all(len(chunk) < 1300 for chunk in chunks)
    events = [event for chunk in chunks for event in pb.HistoryChunk.FromString(chunk).events]
    assert events == list(pb.OrchestratorRequest.FromString(past).pastEvents)
    assert list(history_chunks([])) == []


def test_a_text_that_utf8_cannot_hold_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        past_of(ev.OrchestratorStarted(T0), ev.EventRaised("Go", "\ud800"))
