"""A history looks the same whether an engine in process shows it or a server tells of it."""

import dataclasses
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from durabletask import history
from durabletask.history import to_dict
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.transports.core_history import shown_history
from durabletask.transports.wire_history import shown_event
from perdure.core import events as ev
from perdure.core.failures import FailureDetails
from perdure.core.status import RuntimeStatus
from perdure.formats.protobuf.events import HistoryWriter, history_chunks

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
FAILURE = FailureDetails("ValueError", "no", "at line 1", FailureDetails("OSError", "deeper"), True, {"code": 7})
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
EXECUTION = str(uuid.UUID(int=7))


def all_kinds() -> list[ev.HistoryEvent]:
    """A history with an event of every kind, in two episodes."""
    kinds: list[ev.HistoryEvent] = [
        ev.OrchestratorStarted(AT),
        ev.ExecutionStarted(
            "main", EXECUTION, '"x"', "1.0",
            parent=ev.ParentLink("mother", EXECUTION, 1, 4, "mothers", "1.0"),
            scheduled_start_at=AT, trace_context=f"{TRACE} a=b", tags={"team": "a"},
        ),
        ev.TaskScheduled(1, "one", "1", "2.0", {"k": "v"}, TRACE),
        ev.SubOrchestrationCreated(2, "child", "kid", None, "3.0", {"k": "v"}, TRACE),
        ev.TimerCreated(3, AT + timedelta(hours=1)),
        ev.EventSent(4, "other", "ping", "[]"),
        ev.EntityCalled(5, "@counter@a", "add", "1"),
        ev.EntitySignaled(6, "@counter@a", "add", "1", AT),
        ev.EntityLockRequested(7, "section", ("@counter@a", "@counter@b")),
        ev.OrchestratorStarted(AT + timedelta(seconds=1)),
        ev.TaskCompleted(1, 3, "2"),
        ev.TaskFailed(1, 3, FAILURE),
        ev.SubOrchestrationCompleted(2, 4, None),
        ev.SubOrchestrationFailed(2, 4, FAILURE),
        ev.TimerFired(3, 5, AT + timedelta(hours=1)),
        ev.EventRaised("go", ""),
        ev.EntityOperationCompleted(5, 7, "1"),
        ev.EntityOperationFailed(5, 7, FAILURE),
        ev.EntityLockGranted(7, 9),
        ev.EntityUnlockSent(8, "section", "@counter@a"),
        ev.ExecutionSuspended("lunch"),
        ev.ExecutionResumed(),
        ev.ExecutionRewound("again"),
        ev.ExecutionTerminated('"stop"', True),
        ev.ExecutionCompleted(RuntimeStatus.Failed, None, FAILURE),
    ]  # fmt: skip
    assert {type(kind) for kind in kinds} == set(ev.HistoryEvent.__args__), "a kind of event is missing here"
    return kinds


def told(events: list[ev.HistoryEvent]) -> list[history.HistoryEvent]:
    """The history as it comes from a server."""
    chunks = history_chunks(HistoryWriter("instance", EXECUTION).whole(events))
    return [shown_event(event) for chunk in chunks for event in pb.HistoryChunk.FromString(chunk).events]


def test_every_kind_of_event_looks_the_same() -> None:
    for shown, expected in zip(shown_history("instance", EXECUTION, all_kinds()), told(all_kinds()), strict=True):
        assert shown == expected


def test_fields_are_plain_values_as_dictionaries() -> None:
    started = shown_history("instance", EXECUTION, all_kinds())[1]
    assert to_dict(started) == {
        "event_id": -1,
        "timestamp": AT.isoformat(),
        "name": "main",
        "version": "1.0",
        "input": '"x"',
        "orchestration_instance": {"instance_id": "instance", "execution_id": EXECUTION},
        "parent_instance": {
            "task_scheduled_id": 4,
            "name": "mothers",
            "version": "1.0",
            "orchestration_instance": {"instance_id": "mother", "execution_id": EXECUTION},
        },
        "scheduled_start_timestamp": AT.isoformat(),
        "parent_trace_context": {"trace_parent": TRACE, "span_id": TRACE[36:52], "trace_state": "a=b"},
        "orchestration_span_id": None,
        "tags": {"team": "a"},
    }


@pytest.mark.parametrize("kind", [field.name for field in pb.HistoryEvent.DESCRIPTOR.oneofs[0].fields])
def test_every_event_of_the_protocol_has_a_class_of_its_own(kind: str) -> None:
    event = pb.HistoryEvent(eventId=3)
    getattr(event, kind).SetInParent()
    shown = shown_event(event)
    assert shown.event_id == 3
    names = [field.name for field in dataclasses.fields(shown)][2:]
    message = getattr(event, kind)
    assert [name.replace("_", "") for name in names] == [field.name.lower() for field in message.DESCRIPTOR.fields]


def test_an_event_of_no_known_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="Event 9"):
        shown_event(pb.HistoryEvent(eventId=9))
