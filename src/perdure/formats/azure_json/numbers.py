"""The numbers of the out-of-process protocol (replay-protocol.md): kinds of events and actions, answer versions."""

from datetime import timedelta
from enum import IntEnum

STATE_LABEL = "\n\n$OutOfProcData$:"
"""Stands in the text of a failure between the message and the JSON of the answer (§6)."""


class EventType(IntEnum):
    """``EventType`` of a history event (§2)."""

    ExecutionStarted = 0
    ExecutionCompleted = 1
    ExecutionFailed = 2
    ExecutionTerminated = 3
    TaskScheduled = 4
    TaskCompleted = 5
    TaskFailed = 6
    SubOrchestrationInstanceCreated = 7
    SubOrchestrationInstanceCompleted = 8
    SubOrchestrationInstanceFailed = 9
    TimerCreated = 10
    TimerFired = 11
    OrchestratorStarted = 12
    OrchestratorCompleted = 13
    EventSent = 14
    EventRaised = 15
    ContinueAsNew = 16
    GenericEvent = 17
    HistoryState = 18
    ExecutionSuspended = 19
    ExecutionResumed = 20
    ExecutionRewound = 21


class ActionType(IntEnum):
    """``actionType`` of an action (§5)."""

    CallActivity = 0
    CallActivityWithRetry = 1
    CallSubOrchestrator = 2
    CallSubOrchestratorWithRetry = 3
    ContinueAsNew = 4
    CreateTimer = 5
    WaitForExternalEvent = 6
    CallEntity = 7
    CallHttp = 8
    SignalEntity = 9
    ScheduledSignalEntity = 10
    WhenAny = 11
    WhenAll = 12


class SchemaVersion(IntEnum):
    """How an answer is laid out (§1, §5). The numbers are those of ``upperSchemaVersion``."""

    V1 = 0
    V2 = 1
    V3 = 2


MAX_INTERVAL_DEFAULT = timedelta(days=6)
"""The longest wait between two attempts where an action does not say another."""
