"""The observer that makes spans of what the engine has committed (functions-host.md §5, version V2).

A commit is announced once and never again by a replay, so no span is repeated. A span is written when it ends; those
that were open when the process ended are missing, and what hangs under them still belongs to the trace.
"""

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Any

from opentelemetry.trace import SpanKind

from perdure.contracts.observer import EpisodeCommitted, Fact
from perdure.core import events as ev
from perdure.core.checkpoint import Checkpoint, HistoryChange
from perdure.core.failures import FailureDetails
from perdure.core.identifiers import is_entity, read_entity_id
from perdure.core.instance import InstanceKind, Origin
from perdure.core.messages import OperationRequest
from perdure.core.status import RuntimeStatus
from perdure.telemetry.spans import Finished, Spans
from perdure.telemetry.trace_contexts import (
    SpanPlace,
    activity_span,
    call_span,
    orchestration_span,
    parent_of,
    read_place,
)

REMEMBERED_MAX = 50_000
"""Open steps and instances whose trace is kept in memory; the oldest are forgotten first."""


class Traces:
    """Which trace an instance of this process belongs to: its execution id and its own span."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[str, SpanPlace]] = OrderedDict()

    def learn(self, origin: Origin) -> SpanPlace | None:
        """The instance's own span; None when it has no trace."""
        parent = parent_of(origin)
        if parent is None:
            return None
        place = parent.at(orchestration_span(origin.instance_id, origin.created_at))
        _remember(self._known, origin.instance_id, (origin.execution_id, place))
        return place

    def of(self, instance_id: str) -> tuple[str, SpanPlace] | None:
        """Execution id and span; None when the instance is not known here."""
        return self._known.get(instance_id)


class TracingObserver:
    """Spans of orchestrations, activities, timers, events and entities as the engine sees them."""

    wants: frozenset[type] = frozenset({EpisodeCommitted})

    def __init__(self, spans: Spans, traces: Traces, *, with_payloads: bool = False) -> None:
        self._spans = spans
        self._traces = traces
        self._with_payloads = with_payloads
        self._open: OrderedDict[tuple[str, int], tuple[ev.HistoryEvent, datetime]] = OrderedDict()

    def announce(self, fact: Fact) -> None:
        """See ``contracts.observer.Observer``."""
        if not isinstance(fact, EpisodeCommitted):
            return
        checkpoint = fact.checkpoint
        if checkpoint.origin.kind is InstanceKind.ENTITY:
            self._entity(checkpoint)
            return
        place = self._traces.learn(checkpoint.origin)
        if place is not None:
            self._orchestration(checkpoint, place)

    def _orchestration(self, checkpoint: Checkpoint, place: SpanPlace) -> None:
        origin, at = checkpoint.origin, checkpoint.progress.updated_at
        first = 0 if checkpoint.history is HistoryChange.REPLACE else checkpoint.expected_last_seq + 1
        for seq, event in enumerate(checkpoint.events, first):
            if isinstance(event, ev.OrchestratorStarted):
                at = event.at
                continue
            write = _WRITERS.get(type(event))
            if write is not None:
                write(self, origin, place, seq, event, at)

    def opened(self, origin: Origin, place: SpanPlace, seq: int, event: Any, at: datetime) -> None:
        """A step that has a span when it ends."""
        _remember(self._open, (origin.execution_id, seq), (event, at))

    def step_ended(self, origin: Origin, place: SpanPlace, seq: int, event: Any, at: datetime) -> None:
        """The end of a step that was opened here."""
        found = self._open.pop((origin.execution_id, event.scheduled_seq), None)
        if found is None:
            return
        asked, began_at = found
        failure: FailureDetails | None = getattr(event, "failure", None)
        attributes: dict[str, Any] = {"durabletask.task.instance_id": origin.instance_id}
        match asked:
            case ev.TaskScheduled(name=name, task_id=task_id):
                title, kind, span_id = f"activity:{name}", SpanKind.CLIENT, activity_span(origin.execution_id, task_id)
                attributes |= {"durabletask.type": "activity", "durabletask.task.name": name,
                               "durabletask.task.task_id": task_id}  # fmt: skip
            case ev.SubOrchestrationCreated(name=name, instance_id=child, task_id=task_id, version=version):
                title, kind = _orchestration_name(name, version), SpanKind.CLIENT
                span_id = call_span(origin.execution_id, event.scheduled_seq)
                attributes |= {"durabletask.type": "orchestration", "durabletask.task.name": name,
                               "durabletask.task.instance_id": child, "durabletask.task.task_id": task_id}  # fmt: skip
            case ev.EntityCalled(entity_id=entity, operation=operation, task_id=task_id):
                title, kind = _entity_title(entity, operation), SpanKind.CLIENT
                span_id = call_span(origin.execution_id, event.scheduled_seq)
                attributes |= {"durabletask.type": "entity", "durabletask.task.operation": "call_entity",
                               "durabletask.event.target_instance_id": entity,
                               "durabletask.task.task_id": task_id}  # fmt: skip
                if failure is not None:
                    attributes["durabletask.entity.error_message"] = failure.message
            case ev.TimerCreated(fire_at=fire_at, task_id=task_id):
                title, kind = f"{_orchestration_name(origin.name, origin.version)}:timer", SpanKind.INTERNAL
                span_id = call_span(origin.execution_id, event.scheduled_seq)
                attributes |= {"durabletask.type": "timer", "durabletask.fire_at": fire_at.isoformat(),
                               "durabletask.task.name": origin.name, "durabletask.task.task_id": task_id}  # fmt: skip
            case _:
                return
        self._payloads(attributes, getattr(asked, "input", None), getattr(event, "result", None))
        error = None if failure is None else failure.message
        self._emit(Finished(title, kind, began_at, at, place, span_id, attributes, error))

    def event_sent(self, origin: Origin, place: SpanPlace, seq: int, event: Any, at: datetime) -> None:
        """An event for another orchestration."""
        attributes = {"durabletask.type": "event", "durabletask.task.name": event.name,
                      "durabletask.task.instance_id": origin.instance_id,
                      "durabletask.event.target_instance_id": event.instance_id}  # fmt: skip
        title, span_id = f"orchestration_event:{event.name}", call_span(origin.execution_id, seq)
        self._emit(Finished(title, SpanKind.PRODUCER, at, at, place, span_id, attributes))

    def entity_signaled(self, origin: Origin, place: SpanPlace, seq: int, event: Any, at: datetime) -> None:
        """A signal for an entity."""
        attributes = {"durabletask.type": "entity", "durabletask.task.operation": "signal_entity",
                      "durabletask.task.instance_id": origin.instance_id,
                      "durabletask.event.target_instance_id": event.entity_id}  # fmt: skip
        if event.due_at is not None:
            attributes["durabletask.task.scheduled_time"] = event.due_at.isoformat()
        title, span_id = _entity_title(event.entity_id, event.operation), call_span(origin.execution_id, seq)
        self._emit(Finished(title, SpanKind.PRODUCER, at, at, place, span_id, attributes))

    def ended(self, origin: Origin, place: SpanPlace, seq: int, event: Any, at: datetime) -> None:
        """The end of an orchestration: its own span."""
        status: RuntimeStatus = event.status
        failure: FailureDetails | None = event.failure
        attributes: dict[str, Any] = {
            "durabletask.type": "orchestration", "durabletask.task.name": origin.name,
            "durabletask.task.instance_id": origin.instance_id, "durabletask.task.execution_id": origin.execution_id,
            "durabletask.task.status": status.name,
        }  # fmt: skip
        if origin.version:
            attributes["durabletask.task.version"] = origin.version
        self._payloads(attributes, origin.input, event.result)
        error = None
        if failure is not None:
            error = failure.message
        elif status is RuntimeStatus.Terminated:
            error = event.result or "Terminated"
        title = _orchestration_name(origin.name, origin.version)
        began_at = max(origin.created_at, origin.scheduled_start_at or origin.created_at)
        self._emit(Finished(title, SpanKind.SERVER, began_at, at, parent_of(origin), place.span_id, attributes, error))

    def _entity(self, checkpoint: Checkpoint) -> None:
        at, entity = checkpoint.progress.updated_at, checkpoint.origin.instance_id
        for envelope in checkpoint.consumed:
            message = envelope.message
            if not isinstance(message, OperationRequest):
                continue
            parent = read_place(message.trace_context)
            if message.reply_to is not None and (known := self._traces.of(message.reply_to.instance_id)) is not None:
                parent = known[1].at(call_span(message.reply_to.execution_id, message.reply_to.scheduled_seq))
            is_call = message.reply_to is not None
            attributes = {"durabletask.type": "entity", "durabletask.task.instance_id": entity,
                          "durabletask.task.operation": "call_entity" if is_call else "signal_entity"}  # fmt: skip
            kind = SpanKind.SERVER if is_call else SpanKind.CONSUMER
            title = _entity_title(entity, message.operation)
            self._emit(Finished(title, kind, at, at, parent, attributes=attributes))

    def _payloads(self, attributes: dict[str, Any], given: str | None, result: str | None) -> None:
        if self._with_payloads:
            for name, text in (("input", given), ("output", result)):
                if text is not None:
                    attributes[f"durabletask.task.{name}"] = text

    def _emit(self, finished: Finished) -> None:
        self._spans.emit(finished)


_Writer = Callable[[TracingObserver, Origin, SpanPlace, int, Any, datetime], None]
_WRITERS: dict[type, _Writer] = {
    ev.TaskScheduled: TracingObserver.opened,
    ev.SubOrchestrationCreated: TracingObserver.opened,
    ev.TimerCreated: TracingObserver.opened,
    ev.EntityCalled: TracingObserver.opened,
    ev.TaskCompleted: TracingObserver.step_ended,
    ev.TaskFailed: TracingObserver.step_ended,
    ev.SubOrchestrationCompleted: TracingObserver.step_ended,
    ev.SubOrchestrationFailed: TracingObserver.step_ended,
    ev.EntityOperationCompleted: TracingObserver.step_ended,
    ev.EntityOperationFailed: TracingObserver.step_ended,
    ev.TimerFired: TracingObserver.step_ended,
    ev.EventSent: TracingObserver.event_sent,
    ev.EntitySignaled: TracingObserver.entity_signaled,
    ev.ExecutionCompleted: TracingObserver.ended,
}


def _orchestration_name(name: str, version: str | None) -> str:
    return f"orchestration:{name}@({version})" if version else f"orchestration:{name}"


def _entity_title(entity_id: str, operation: str) -> str:
    name = read_entity_id(entity_id).name if is_entity(entity_id) else entity_id
    return f"entity:{name}:{operation}"


def _remember(known: "OrderedDict[Any, Any]", key: Any, value: Any) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > REMEMBERED_MAX:
        known.popitem(last=False)
