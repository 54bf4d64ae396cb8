"""The JSON context that an out-of-process orchestrator is called with → history events (worker side).

What the host keeps for itself, scheduled events first of all, is left out: the host compares, not the worker.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from perdure.core import events as ev
from perdure.core.failures import FailureDetails
from perdure.formats.azure_json.numbers import EventType, SchemaVersion

Fields = Mapping[str, Any]

_KNOWN = frozenset(
    {
        "history",
        "input",
        "instanceId",
        "isReplaying",
        "parentInstanceId",
        "upperSchemaVersion",
        "upperSchemaVersionNew",
        "maximumShortTimerDuration",
        "longRunningTimerIntervalDuration",
    }
)
EVENTS_MIN = 2
"""An execution's history has its first episode's start and the execution's own."""


class ShortHistory(Exception):
    """The history lacks even its first two events; the official package's words."""

    def __init__(self, count: int) -> None:
        super().__init__(
            f"Internal Durable Functions error: received History array of size {count} when a minimum size of "
            f"{EVENTS_MIN} is expected. Please report this issue at "
            "https://github.com/Azure/azure-functions-durable-python/issues."
        )


class BadContext(ValueError):
    """The text is no context of the protocol."""


@dataclass(frozen=True, slots=True)
class Part:
    """Events in a row that the code has all seen before, or that are all new to it."""

    was_seen: bool
    events: tuple[ev.HistoryEvent, ...]


@dataclass(frozen=True, slots=True)
class OrchestratorContext:
    """One call of an orchestrator: who it is, what is past, how to answer.

    ``longest_timer`` and ``timer_hop`` are given where the host wants longer timers cut. ``extra`` is what the
    protocol does not know.
    """

    instance_id: str
    parent_instance_id: str | None
    input: str | None
    is_replaying: bool
    schema: SchemaVersion
    longest_timer: timedelta | None
    timer_hop: timedelta | None
    history: tuple[Fields, ...]
    extra: Fields

    def started(self) -> ev.ExecutionStarted | None:
        """How the execution began; None when the history does not say. Raises BadContext."""
        return next((event for event in _EventReader(self).read() if isinstance(event, ev.ExecutionStarted)), None)

    def began_at(self) -> datetime | None:
        """When its first episode began; None when the history does not say. Raises BadContext."""
        events = (event for event in _EventReader(self).read() if isinstance(event, ev.OrchestratorStarted))
        return next((event.at for event in events), None)

    def parts(self) -> tuple[Part, ...]:
        """The history as events of the core. Raises ShortHistory, BadContext."""
        if len(self.history) < EVENTS_MIN:
            raise ShortHistory(len(self.history))
        return tuple(_in_parts(_EventReader(self).read(), self.history))


def read_context(text: str) -> OrchestratorContext:
    """Read a context. Raises BadContext, and ValueError for a schema that this package does not know."""
    fields = _object(text)
    try:
        history = tuple(dict(event) for event in fields["history"])
        instance_id = _text(fields, "instanceId")
    except (KeyError, TypeError, ValueError) as error:
        raise BadContext(
            f"The orchestrator's context has no readable 'history' and 'instanceId': {error!r}."
        ) from error
    schema = _schema(fields.get("upperSchemaVersion", 0), fields.get("upperSchemaVersionNew"))
    longest, hop = fields.get("maximumShortTimerDuration"), fields.get("longRunningTimerIntervalDuration")
    is_cutting = schema is SchemaVersion.V3 and bool(longest) and bool(hop)
    return OrchestratorContext(
        instance_id=instance_id,
        parent_instance_id=fields.get("parentInstanceId"),
        input=_payload(fields.get("input")),
        is_replaying=bool(fields.get("isReplaying")),
        schema=schema,
        longest_timer=read_time_span(longest) or None if is_cutting else None,
        timer_hop=read_time_span(hop) or None if is_cutting else None,
        history=history,
        extra={name: value for name, value in fields.items() if name not in _KNOWN},
    )


_TIME_SPAN = re.compile(r"(-)?(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})(?:\.(\d{1,7}))?")


def read_time_span(text: Any) -> timedelta:
    """Read a .NET TimeSpan, ``[-][d.]hh:mm:ss[.fffffff]``. Raises BadContext."""
    match = _TIME_SPAN.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise BadContext(f"{text!r} is no TimeSpan; expected '[-][d.]hh:mm:ss[.fffffff]', such as '6.00:00:00'.")
    sign, days, hours, minutes, seconds, fraction = match.groups()
    span = timedelta(
        days=int(days or 0),
        hours=int(hours),
        minutes=int(minutes),
        seconds=int(seconds),
        microseconds=int((fraction or "0").ljust(6, "0")[:6]),
    )
    return -span if sign else span


def read_time(text: Any) -> datetime:
    """Read an ISO time; one without a zone is UTC. Raises BadContext."""
    try:
        at = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise BadContext(f"{text!r} is no ISO time.") from error
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _object(text: str) -> dict[str, Any]:
    try:
        fields: Any = json.loads(text)
    except ValueError as error:
        raise BadContext(f"The context is not JSON: {error}.") from error
    if not isinstance(fields, dict):
        raise BadContext(f"The context is no JSON object but {text[:40]!r}.")
    return fields  # pyright: ignore[reportUnknownVariableType]


def _schema(upper: Any, newer: Any) -> SchemaVersion:
    try:
        schema = SchemaVersion(upper)
    except ValueError:
        known = ", ".join(str(version.value) for version in SchemaVersion)
        raise ValueError(
            f"{upper!r} is not a valid upperSchemaVersion; this package speaks the replay schemas {known}."
        ) from None
    if isinstance(newer, int) and newer > schema:
        return SchemaVersion(min(newer, max(SchemaVersion)))
    return schema


def _payload(value: Any) -> str | None:
    """Payloads are JSON text; whatever else stands there is a value to be written as such."""
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _in_parts(events: Iterator[ev.HistoryEvent | None], history: Sequence[Fields]) -> Iterator[Part]:
    # The newest episode is what is new, and the hosts that mark events as played may say otherwise of its events.
    episodes = [n for n, row in enumerate(history) if row.get("EventType") == EventType.OrchestratorStarted]
    first_new = episodes[-1] if episodes else 0
    run: list[ev.HistoryEvent] = []
    run_was_seen = False
    for n, event in enumerate(events):
        was_seen = n < first_new or bool(history[n].get("IsPlayed"))
        if run and was_seen is not run_was_seen:
            yield Part(run_was_seen, tuple(run))
            run = []
        run_was_seen = was_seen
        if event is not None:
            run.append(event)
    if run:
        yield Part(run_was_seen, tuple(run))


class _EventReader:
    """Rows → events, one for one; None for what says nothing to the code."""

    def __init__(self, context: OrchestratorContext) -> None:
        self._context = context
        self._has_started = False
        self._requests: dict[str, int] = {}
        """Id of an entity request → task id of the call."""

    def read(self) -> Iterator[ev.HistoryEvent | None]:
        for n, row in enumerate(self._context.history):
            try:
                reader = self._readers.get(row.get("EventType", -1))
                yield None if reader is None else reader(self, row)
            except (KeyError, TypeError, AttributeError) as error:
                raise BadContext(f"Event {n} of the history cannot be read: {error!r}.") from error

    def _orchestrator_started(self, row: Fields) -> ev.HistoryEvent:
        return ev.OrchestratorStarted(read_time(row["Timestamp"]))

    def _execution_started(self, row: Fields) -> ev.HistoryEvent | None:
        if self._has_started:
            return None
        self._has_started = True
        context = self._context
        parent_id = context.parent_instance_id
        own: Fields = row.get("OrchestrationInstance") or {}
        return ev.ExecutionStarted(
            name=_text(row, "Name") if row.get("Name") else "",
            execution_id=own.get("ExecutionId") or "",
            input=context.input,
            version=None if row.get("Version") is None else _text(row, "Version"),
            parent=None if parent_id is None else ev.ParentLink(parent_id, "", 0, 0),
            tags=row.get("Tags"),
        )

    def _task_completed(self, row: Fields) -> ev.HistoryEvent:
        return ev.TaskCompleted(_number(row, "TaskScheduledId"), 0, _payload(row.get("Result")))

    def _task_failed(self, row: Fields) -> ev.HistoryEvent:
        return ev.TaskFailed(_number(row, "TaskScheduledId"), 0, _failure(row))

    def _child_completed(self, row: Fields) -> ev.HistoryEvent:
        return ev.SubOrchestrationCompleted(_number(row, "TaskScheduledId"), 0, _payload(row.get("Result")))

    def _child_failed(self, row: Fields) -> ev.HistoryEvent:
        return ev.SubOrchestrationFailed(_number(row, "TaskScheduledId"), 0, _failure(row))

    def _timer_fired(self, row: Fields) -> ev.HistoryEvent:
        fire_at = row.get("FireAt") or row["Timestamp"]
        return ev.TimerFired(_number(row, "TimerId"), 0, read_time(fire_at))

    def _event_sent(self, row: Fields) -> None:
        try:
            request = json.loads(row.get("Input") or "null")
        except ValueError:
            return
        if isinstance(request, dict) and not request.get("signal") and isinstance(request.get("id"), str):  # pyright: ignore[reportUnknownMemberType]
            self._requests[request["id"]] = _number(row, "EventId")

    def _event_raised(self, row: Fields) -> ev.HistoryEvent:
        name, text = _text(row, "Name"), _payload(row.get("Input"))
        task_id = self._requests.pop(name, None)
        return ev.EventRaised(name, text) if task_id is None else _entity_answer(task_id, text)

    _readers: ClassVar[dict[int, Callable[["_EventReader", Fields], ev.HistoryEvent | None]]] = {
        EventType.OrchestratorStarted: _orchestrator_started,
        EventType.ExecutionStarted: _execution_started,
        EventType.TaskCompleted: _task_completed,
        EventType.TaskFailed: _task_failed,
        EventType.SubOrchestrationInstanceCompleted: _child_completed,
        EventType.SubOrchestrationInstanceFailed: _child_failed,
        EventType.TimerFired: _timer_fired,
        EventType.EventSent: _event_sent,
        EventType.EventRaised: _event_raised,
    }


def _number(row: Fields, name: str) -> int:
    value = row[name]
    if type(value) is not int:
        raise TypeError(f"{name} is no number but {value!r}")
    return value


def _text(row: Fields, name: str) -> str:
    value = row[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is no text but {value!r}")
    return value


_FAILED = "TaskFailed"
_TIMED_OUT = "Timeout value of"


def _failure(row: Fields) -> FailureDetails:
    return FailureDetails(_FAILED, f"{row.get('Reason')} \n {row.get('Details')}")


def _entity_answer(task_id: int, text: str | None) -> ev.HistoryEvent:
    """``{"result": <JSON text>, "exceptionType": …}``; a host that waited in vain says so in plain words (§7)."""
    answer: Any = json.loads(text or "{}")
    result = _payload(answer.get("result"))
    if result is not None and result.strip().startswith(_TIMED_OUT):
        return ev.EntityOperationFailed(task_id, 0, FailureDetails("TimeoutException", result))
    if "exceptionType" not in answer:
        return ev.EntityOperationCompleted(task_id, 0, result)
    error_type = answer["exceptionType"]
    return ev.EntityOperationFailed(task_id, 0, FailureDetails(str(error_type), _plain_text(result)))


def _plain_text(result: str | None) -> str:
    try:
        return str(json.loads(result or "null"))
    except ValueError:
        return result or ""
