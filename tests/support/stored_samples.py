"""One value of every event and message, as the golden files of the stored format hold them."""

from datetime import UTC, datetime

from perdure.core import events as ev
from perdure.core import messages as ms
from perdure.core.actions import CarriedEvent
from perdure.core.failures import FailureDetails
from perdure.core.status import RuntimeStatus

AT = datetime(2026, 3, 18, 21, 54, 49, 123456, tzinfo=UTC)
FAILURE = FailureDetails(
    "ValueError", 'it\'s "wrong"', "  File x\n", FailureDetails("OSError", "ü"), is_non_retriable=True
)
PARENT = ev.ParentLink("parent", "5f0c8a3e-0000-4000-8000-000000000001", 7, 3, "parent_orchestrator")
EXECUTION = "5f0c8a3e-0000-4000-8000-000000000002"

_FIRST_EVENTS: list[ev.HistoryEvent] = [
    ev.OrchestratorStarted(AT),
    ev.ExecutionStarted(
        "hello", EXECUTION, '["Tokyo"]', "1.2", 3, PARENT, AT, "00-0af7651916cd43dd8448eb211c80319c-01", {"k": "v"}, 1
    ),
    ev.TaskScheduled(0, "say", '"Tokyo"'),
    ev.TaskCompleted(0, 2, '"Hello Tokyo"'),
    ev.TaskFailed(1, 4, FAILURE),
    ev.SubOrchestrationCreated(2, "child", "parent:0002", "null", "1.0"),
    ev.SubOrchestrationCompleted(2, 5, "[1]"),
    ev.SubOrchestrationFailed(3, 6, FAILURE),
    ev.TimerCreated(4, AT),
    ev.TimerFired(4, 8, AT),
    ev.EventRaised("go", '"\\ud800"'),
    ev.EventSent(5, "other", "go", None),
    ev.EntityCalled(6, "@counter@a", "add", "1"),
    ev.EntitySignaled(7, "@counter@a", "reset", None, AT),
    ev.EntityOperationCompleted(6, 12, "2"),
    ev.EntityOperationFailed(6, 12, FAILURE),
    ev.ExecutionSuspended("wait"),
    ev.ExecutionResumed(None),
    ev.ExecutionTerminated("stop", recursive=True),
    ev.ExecutionCompleted(RuntimeStatus.Failed, "text", FAILURE),
]

_FIRST_MESSAGES: list[ms.AnyMessage] = [
    ms.StartExecution(
        "hello", EXECUTION, '["Tokyo"]', "1.2", 3, PARENT, AT, "00-ab-01", {"k": "v"}, (CarriedEvent("go", "1"),)
    ),
    ms.ActivityCompleted(EXECUTION, 2, '"Hello"'),
    ms.ActivityFailed(EXECUTION, 2, FAILURE),
    ms.ChildCompleted(EXECUTION, 3, None),
    ms.ChildFailed(EXECUTION, 3, FAILURE),
    ms.TimerDue(EXECUTION, 4, AT),
    ms.RaiseEvent("go", "1"),
    ms.Suspend("wait"),
    ms.Resume(None),
    ms.Terminate("stop", recursive=True),
    ms.OperationRequest("add", "1", ms.ReplyTo("a", EXECUTION, 5)),
    ms.OperationCompleted(EXECUTION, 5, "2"),
    ms.OperationFailed(EXECUTION, 5, FAILURE),
]

SECTION = f"{EXECUTION}:8"
_LOCK_EVENTS: list[ev.HistoryEvent] = [
    ev.EntityLockRequested(8, SECTION, ("@counter@a", "@counter@b")),
    ev.EntityLockGranted(8, 3),
    ev.EntityUnlockSent(9, SECTION, "@counter@a"),
]
_LOCK_MESSAGES: list[ms.AnyMessage] = [
    ms.LockRequest(ms.ReplyTo("a", EXECUTION, 5), SECTION, ("@counter@a", "@counter@b"), 1),
    ms.LockRelease("a", SECTION, ("@counter@b",)),
    ms.LockGranted(EXECUTION, 5),
    ms.RemoveWhenEmpty(),
]

_REWIND_EVENTS: list[ev.HistoryEvent] = [
    ev.ExecutionRewound("fixed", EXECUTION, (ev.FormerLink(5, EXECUTION, 7),), (ev.Regain(6, 8, "s"),))
]
_REWIND_MESSAGES: list[ms.AnyMessage] = [ms.Rewind("fixed", PARENT)]

EVENT_FILES = {
    "events_1.json": _FIRST_EVENTS,
    "lock_events_1.json": _LOCK_EVENTS,
    "rewind_events_1.json": _REWIND_EVENTS,
}
"""Golden file → what it holds. Kinds that came later have files of their own."""
MESSAGE_FILES = {
    "messages_1.json": _FIRST_MESSAGES,
    "lock_messages_1.json": _LOCK_MESSAGES,
    "rewind_messages_1.json": _REWIND_MESSAGES,
}

EVENTS = [event for events in EVENT_FILES.values() for event in events]
MESSAGES = [message for messages in MESSAGE_FILES.values() for message in messages]
