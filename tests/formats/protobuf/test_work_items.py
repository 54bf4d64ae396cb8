"""Work items: what goes around a history, and what makes a long one fit."""

from datetime import UTC, datetime

import pytest

from perdure.contracts.records import PendingActivity
from perdure.core import events as ev
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.actions import read_turn
from perdure.formats.protobuf.events import HistoryWriter
from perdure.formats.protobuf.work_items import (
    HEALTH_PING,
    activity_item,
    orchestrator_item,
    streaming_item,
    stripped,
)

T0 = datetime(2026, 1, 1, tzinfo=UTC)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def text(value: str) -> pb.StringValue:
    return pb.StringValue(value=value)


def test_a_turn_holds_its_past_and_what_is_new() -> None:
    writer = HistoryWriter("order-1", "e-1")
    past = writer.append([ev.OrchestratorStarted(T0), ev.TaskScheduled(1, "a", "x" * 100_000)])
    new = writer.frames([ev.OrchestratorStarted(T0), ev.TaskCompleted(1, 1, "5")])
    item = pb.WorkItem.FromString(
        orchestrator_item(
            instance_id="order-1", execution_id="e-1", past=past, new=new, token="t-1", span="b7ad 1767225600 100"
        )
    )
    assert item.completionToken == "t-1"
    request = item.orchestratorRequest
    assert (request.instanceId, request.executionId) == ("order-1", text("e-1"))
    assert [event.WhichOneof("eventType") for event in request.pastEvents] == [
        "orchestratorStarted",
        "taskScheduled",
        "orchestratorCompleted",
    ]
    assert [event.WhichOneof("eventType") for event in request.newEvents] == ["orchestratorStarted", "taskCompleted"]
    assert not request.requiresHistoryStreaming
    assert request.orchestrationTraceContext == pb.OrchestrationTraceContext(
        spanID=text("b7ad"), spanStartTime=pb.Timestamp(seconds=1767225600, nanos=100)
    )
    shorter = pb.OrchestratorRequest.FromString(stripped(past))
    request.pastEvents[1].taskScheduled.ClearField("input")
    assert shorter.pastEvents == request.pastEvents


def test_a_turn_whose_past_is_asked_for_has_none() -> None:
    new = HistoryWriter("order-1", "e-1").frames([ev.OrchestratorStarted(T0)])
    item = pb.WorkItem.FromString(streaming_item(instance_id="order-1", execution_id="e-1", new=new, token="t-1"))
    request = item.orchestratorRequest
    assert request.requiresHistoryStreaming
    assert not request.pastEvents
    assert len(request.newEvents) == 1
    assert not request.HasField("orchestrationTraceContext")


def test_an_activity_with_everything_and_with_nothing() -> None:
    whole = PendingActivity(9, "order-1", "e-1", 4, 70_000, "a", "5", "2.0", {"t": "u"}, f"{TRACE} a=1")
    assert pb.WorkItem.FromString(activity_item(whole, "t-1")) == pb.WorkItem(
        completionToken="t-1",
        activityRequest=pb.ActivityRequest(
            name="a", version=text("2.0"), input=text("5"), taskId=70_000, tags={"t": "u"},
            orchestrationInstance=pb.OrchestrationInstance(instanceId="order-1", executionId=text("e-1")),
            parentTraceContext=pb.TraceContext(traceParent=TRACE, spanID="b7ad6b7169203331", traceState=text("a=1")),
        ),
    )  # fmt: skip
    bare = pb.WorkItem.FromString(activity_item(PendingActivity(9, "order-1", "e-1", 4, 0, "a"), "t-1"))
    assert {field.name for field, _ in bare.activityRequest.ListFields()} == {"name", "orchestrationInstance"}


def test_a_ping_asks_for_nothing() -> None:
    assert pb.WorkItem.FromString(HEALTH_PING).WhichOneof("request") == "healthPing"


@pytest.mark.parametrize("span", [None, pb.OrchestrationTraceContext(), pb.OrchestrationTraceContext(spanID=text(""))])
def test_a_span_that_says_nothing_is_not_kept(span: pb.OrchestrationTraceContext | None) -> None:
    assert read_turn(pb.OrchestratorResponse(orchestrationTraceContext=span)).span is None
