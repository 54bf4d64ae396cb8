"""HistoryEvent and FunctionContext: what another host tells an orchestrator beyond what its own past does."""

from datetime import datetime
from enum import IntEnum
from typing import Any

from perdure.formats.azure_json.contexts import read_time


class HistoryEventType(IntEnum):
    """What a history event tells."""

    EXECUTION_STARTED = 0
    EXECUTION_COMPLETED = 1
    EXECUTION_FAILED = 2
    EXECUTION_TERMINATED = 3
    TASK_SCHEDULED = 4
    TASK_COMPLETED = 5
    TASK_FAILED = 6
    SUB_ORCHESTRATION_INSTANCE_CREATED = 7
    SUB_ORCHESTRATION_INSTANCE_COMPLETED = 8
    SUB_ORCHESTRATION_INSTANCE_FAILED = 9
    TIMER_CREATED = 10
    TIMER_FIRED = 11
    ORCHESTRATOR_STARTED = 12
    ORCHESTRATOR_COMPLETED = 13
    EVENT_SENT = 14
    EVENT_RAISED = 15
    CONTINUE_AS_NEW = 16
    GENERIC_EVENT = 17
    HISTORY_STATE = 18
    EXECUTION_SUSPENDED = 19
    EXECUTION_RESUMED = 20


class HistoryEvent:
    """One event of an instance's past. Fields of its kind are attributes by the host's names; None where missing."""

    Name: str | None = None
    InstanceId: str | None = None
    TaskScheduledId: int | None = None
    Reason: str | None = None
    Details: str | None = None
    Input: Any = None

    def __init__(self, EventType: int, EventId: int, IsPlayed: bool, Timestamp: str, **kwargs: Any) -> None:
        self._event_type = EventType
        self._event_id = EventId
        self._is_played = IsPlayed
        self._timestamp = read_time(Timestamp)
        self.is_processed = False
        vars(self).update(kwargs)

    @property
    def event_type(self) -> int:
        """The kind, one of ``HistoryEventType``."""
        return self._event_type

    @property
    def event_id(self) -> int:
        """The task id for events that record what the orchestrator asked for; -1 for others."""
        return self._event_id

    @property
    def is_played(self) -> bool:
        """Whether the host says that the code has run over it before."""
        return self._is_played

    @property
    def timestamp(self) -> datetime:
        """When it happened, aware UTC."""
        return self._timestamp

    def __getattr__(self, name: str) -> Any:
        # For type checkers: any further field of the host's.
        raise AttributeError(f"This {type(self).__name__} of type {self._event_type} has no field {name!r}.")


class FunctionContext:
    """What the host sends with the trigger that the protocol does not know, as attributes."""

    def __init__(self, **kwargs: Any) -> None:
        vars(self).update(kwargs)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"The host sent no {name!r} with this trigger.")
