"""History as it is kept: one row per event, nothing folded away (cli.md §2.4)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from perdure.core import events as ev
from perdure.core.failures import FailureDetails
from perdure.core.status import RuntimeStatus
from perdure.formats.http_json.history import failure_row
from perdure.formats.http_json.times import microseconds

_EVENT_TYPES: dict[type, str] = {
    ev.SubOrchestrationCreated: "SubOrchestrationInstanceCreated",
    ev.SubOrchestrationCompleted: "SubOrchestrationInstanceCompleted",
    ev.SubOrchestrationFailed: "SubOrchestrationInstanceFailed",
    ev.EntityCalled: "EntityOperationCalled",
    ev.EntitySignaled: "EntityOperationSignaled",
}
"""Where the name users know is not the class's."""
_NAMES = {"status": "OrchestrationStatus", "scheduled_start_at": "ScheduledStartTime", "failure": "FailureDetails"}
_UNSHOWN = frozenset({"at", "task_id", "scheduled_seq", "engine_flags"})


def raw_history_rows(events: Sequence[ev.HistoryEvent]) -> list[dict[str, Any]]:
    """Every event in order, and the end of each episode. Payloads are JSON texts in strings."""
    rows: list[dict[str, Any]] = []
    at: str | None = None
    for event in events:
        if isinstance(event, ev.OrchestratorStarted):
            if at is not None:
                rows.append(_row("OrchestratorCompleted", -1, at))
            at = microseconds(event.at)
        rows.append(_event_row(event, at))
    if at is not None:
        rows.append(_row("OrchestratorCompleted", -1, at))
    return rows


def _row(event_type: str, event_id: int, at: str | None) -> dict[str, Any]:
    return {"EventType": event_type, "EventId": event_id, "IsPlayed": False, "Timestamp": at}


def _event_row(event: ev.HistoryEvent, at: str | None) -> dict[str, Any]:
    kind = type(event)
    task_id: int | None = getattr(event, "task_id", None)
    completes = getattr(event, "scheduled_seq", None) is not None
    row = _row(_EVENT_TYPES.get(kind, kind.__name__), -1 if task_id is None or completes else task_id, at)
    if completes:
        row["TimerId" if kind is ev.TimerFired else "TaskScheduledId"] = task_id
    for field in msgspec.structs.fields(kind):
        value = getattr(event, field.name)
        if field.name not in _UNSHOWN and (value is not None or field.required or field.name in {"input", "result"}):
            row[_NAMES.get(field.name, field.name.title().replace("_", ""))] = _shown(value)
    return row


def _shown(value: object) -> Any:
    if isinstance(value, datetime):
        return microseconds(value)
    if isinstance(value, RuntimeStatus):
        return value.name
    if isinstance(value, FailureDetails):
        return failure_row(value)
    if isinstance(value, ev.ParentLink):
        return {"InstanceId": value.instance_id, "ExecutionId": value.execution_id, "Name": value.name}
    return value
