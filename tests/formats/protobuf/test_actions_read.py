"""Answers of workers → turns: every row of the protocol's tables, and what cannot be carried out."""

from typing import Any

import pytest

from perdure.core import actions as ac
from perdure.core.failures import FailureDetails
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.actions import BAD_ACTION, merged, read_turn

TERMINATED = pb.ORCHESTRATION_STATUS_TERMINATED


def text(value: str) -> pb.StringValue:
    return pb.StringValue(value=value)


def turn_of(*actions: pb.OrchestratorAction, **fields: Any) -> ac.TurnResult:
    response = pb.OrchestratorResponse(instanceId="order-1", actions=actions, **fields)
    return read_turn(pb.OrchestratorResponse.FromString(response.SerializeToString()))


def ending_of(**fields: Any) -> ac.TurnResult:
    completion = pb.CompleteOrchestrationAction(**fields)
    return turn_of(pb.OrchestratorAction(id=5, completeOrchestration=completion))


def test_an_answer_without_anything_only_commits_events() -> None:
    assert turn_of() == ac.TurnResult(custom_status=ac.NewStatus(None))


@pytest.mark.parametrize(("reported", "kept"), [(None, None), (text(""), None), (text('"half"'), '"half"')])
def test_the_custom_status_is_replaced_by_what_is_reported(reported: pb.StringValue | None, kept: str | None) -> None:
    assert turn_of(customStatus=reported).custom_status == ac.NewStatus(kept)


def test_absent_and_empty_outputs_differ() -> None:
    assert ending_of(orchestrationStatus=pb.ORCHESTRATION_STATUS_COMPLETED).ending == ac.Complete(None)
    empty = ending_of(orchestrationStatus=pb.ORCHESTRATION_STATUS_COMPLETED, result=text(""))
    assert empty.ending == ac.Complete("")


def test_a_failure_is_one_by_being_there_whatever_its_texts() -> None:
    nameless = ending_of(orchestrationStatus=pb.ORCHESTRATION_STATUS_FAILED, failureDetails=pb.TaskFailureDetails())
    assert nameless.ending == ac.Fail(FailureDetails("", ""))
    legacy = ending_of(orchestrationStatus=pb.ORCHESTRATION_STATUS_FAILED, details=text("it broke"))
    assert legacy.ending == ac.Fail(FailureDetails("OrchestrationFailed", "it broke"))
    shown = ending_of(
        orchestrationStatus=pb.ORCHESTRATION_STATUS_FAILED, result=text("out"), failureDetails=pb.TaskFailureDetails()
    )
    assert shown.ending == ac.Fail(FailureDetails("", ""), "out")


@pytest.mark.parametrize("status", [TERMINATED, pb.ORCHESTRATION_STATUS_CANCELED])
def test_a_worker_that_says_terminated_ends_the_instance_by_a_message(status: pb.OrchestrationStatus) -> None:
    turn = ending_of(orchestrationStatus=status, result=text('"why"'))
    assert turn.ending is None
    assert turn.actions == (ac.TerminateInstance(5, "order-1", '"why"'),)


def test_continue_as_new_carries_events_tags_and_version() -> None:
    carried = [
        pb.HistoryEvent(eventId=-1, eventRaised=pb.EventRaisedEvent(name="Go", input=text("1"))),
        pb.HistoryEvent(eventId=-1, taskCompleted=pb.TaskCompletedEvent(taskScheduledId=3)),
        pb.HistoryEvent(eventId=-1, executionTerminated=pb.ExecutionTerminatedEvent(input=text('"x"'), recurse=True)),
        pb.HistoryEvent(eventId=-1, eventRaised=pb.EventRaisedEvent(name="stop")),
    ]
    unlock = pb.EntityUnlockSentEvent(criticalSectionId="s-1", targetInstanceId=text("@Counter@A"))
    turn = turn_of(
        pb.OrchestratorAction(
            id=7,
            completeOrchestration=pb.CompleteOrchestrationAction(
                orchestrationStatus=pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW,
                result=text("2"),
                newVersion=text("2.0"),
                carryoverEvents=carried,
                tags={"a": "b"},
            ),
        ),
        pb.OrchestratorAction(id=6, sendEntityMessage=pb.SendEntityMessageAction(entityUnlockSent=unlock)),
    )
    events = (ac.CarriedEvent("Go", "1"), ac.CarriedEvent("stop"))
    assert turn.ending == ac.ContinueAsNew("2", "2.0", events, {"a": "b"})
    assert turn.actions == (
        ac.TerminateInstance(7, "order-1", '"x"', recursive=True),
        ac.UnlockEntity(6, "s-1", "@counter@A"),
    )
    plain = ending_of(orchestrationStatus=pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW)
    assert plain.ending == ac.ContinueAsNew(None)


def test_how_many_events_were_taken_and_the_span_are_told() -> None:
    span = pb.OrchestrationTraceContext(
        spanID=text("b7ad6b7169203331"), spanStartTime=pb.Timestamp(seconds=5, nanos=100)
    )
    turn = turn_of(numEventsProcessed=pb.Int32Value(value=0), orchestrationTraceContext=span)
    assert turn.events_taken == 0
    assert turn.span == "b7ad6b7169203331 5 100"
    assert turn_of(numEventsProcessed=pb.Int32Value(value=-1)).events_taken is None


def test_a_child_without_an_id_gets_one_later() -> None:
    child = pb.CreateSubOrchestrationAction(name="leg", version=text(""))
    turn = turn_of(pb.OrchestratorAction(id=3, createSubOrchestration=child))
    assert turn.actions == (ac.StartChild(3, "leg", version=""),)


def test_pieces_of_an_answer_are_one() -> None:
    first = pb.OrchestratorResponse(
        instanceId="order-1", completionToken="t", isPartial=True, chunkIndex=pb.Int32Value(value=0),
        customStatus=text("1"), orchestrationTraceContext=pb.OrchestrationTraceContext(spanID=text("s")),
        actions=[pb.OrchestratorAction(id=1, scheduleTask=pb.ScheduleTaskAction(name="a"))],
    )  # fmt: skip
    last = pb.OrchestratorResponse(
        instanceId="order-1", completionToken="t", chunkIndex=pb.Int32Value(value=1),
        numEventsProcessed=pb.Int32Value(value=0), customStatus=text("2"),
        actions=[pb.OrchestratorAction(id=2, scheduleTask=pb.ScheduleTaskAction(name="b"))],
    )  # fmt: skip
    whole = merged([first, last])
    assert not whole.isPartial
    assert not whole.HasField("chunkIndex")
    turn = read_turn(whole)
    assert turn.actions == (ac.ScheduleActivity(1, "a"), ac.ScheduleActivity(2, "b"))
    assert turn.events_taken is None
    assert turn.span == "s  "
    assert turn.custom_status == ac.NewStatus("2")


def entity_message(**fields: Any) -> dict[str, Any]:
    return {"sendEntityMessage": pb.SendEntityMessageAction(**fields)}


BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "Action 1 (unknown) of the worker's answer cannot be carried out: it is of no kind that this server knows."),
    ({"scheduleTask": pb.ScheduleTaskAction()}, "the activity has no name"),
    ({"createSubOrchestration": pb.CreateSubOrchestrationAction(instanceId="x")}, "child orchestration has no name"),
    ({"createTimer": pb.CreateTimerAction()}, "the timer has no fireAt"),
    ({"createTimer": pb.CreateTimerAction(fireAt=pb.Timestamp(seconds=2**60))}, "outside of the years 1 to 9999"),
    ({"sendEvent": pb.SendEventAction(name="Go")}, "the event has no target"),
    (
        {"sendEvent": pb.SendEventAction(name="op", instance=pb.OrchestrationInstance(instanceId="@c@a"))},
        "use a worker for the Durable Task Scheduler",
    ),
    ({"terminateOrchestration": pb.TerminateOrchestrationAction()}, "it names no orchestration"),
    ({"rewindOrchestration": pb.RewindOrchestrationAction()}, "this server rewinds by itself"),
    (entity_message(), "the entity message is of no kind"),
    (
        entity_message(entityOperationCalled=pb.EntityOperationCalledEvent(operation="add")),
        "'' is not an entity id; expected '@name@key'.",
    ),
    (
        entity_message(entityLockRequested=pb.EntityLockRequestedEvent(criticalSectionId="s")),
        "names no entities",
    ),
    (
        {"completeOrchestration": pb.CompleteOrchestrationAction()},
        "no orchestration ends with status 0",
    ),
]


@pytest.mark.parametrize(("fields", "said"), BAD, ids=range(len(BAD)))
def test_what_cannot_be_carried_out_fails_the_orchestration_and_begins_nothing(
    fields: dict[str, Any], said: str
) -> None:
    good = pb.OrchestratorAction(id=0, scheduleTask=pb.ScheduleTaskAction(name="a"))
    turn = turn_of(good, pb.OrchestratorAction(id=1, **fields))
    assert turn.actions == ()
    assert isinstance(turn.ending, ac.Fail)
    assert turn.ending.failure.error_type == BAD_ACTION
    assert turn.ending.failure.is_non_retriable
    assert said in turn.ending.failure.message


def test_two_endings_are_refused() -> None:
    completion = pb.CompleteOrchestrationAction(orchestrationStatus=pb.ORCHESTRATION_STATUS_COMPLETED)
    action = pb.OrchestratorAction(id=2, completeOrchestration=completion)
    turn = turn_of(action, action)
    assert isinstance(turn.ending, ac.Fail)
    assert "ended twice" in turn.ending.failure.message
