"""Spans of a worker that speaks gRPC: of turns, activities and operations (grpc.md §10, portable-sdk.md §13).

An orchestration's span is recorded when it ends, under an id and a begin that were chosen in its first turn and came
back with each turn since. A call's id travels with the call; its span is recorded when the answer comes.
"""

import contextlib
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from durabletask.opentelemetry_use import Attributes, OpenTelemetry, opentelemetry_in_use
from durabletask.working.orchestrator_items import Answer, OrchestratorItem, Terminated
from perdure.core import actions as ac
from perdure.core import events as ev
from perdure.core.identifiers import EntityId
from perdure.core.registry import ActivityCall, EntityDefinition, EntityProgram, Operation, OperationOutcome

_TRACED = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?: |$)")
_CALLS = (ac.ScheduleActivity, ac.StartChild)
_ANSWERS = (ev.TaskCompleted, ev.TaskFailed, ev.SubOrchestrationCompleted, ev.SubOrchestrationFailed)


@dataclass(frozen=True, slots=True)
class WorkerSpans:
    """Nothing happens where the program does not use OpenTelemetry. Without ``emits``, contexts only travel."""

    emits: bool = True

    def turn(self, item: OrchestratorItem, answer: Answer, span: str | None) -> tuple[Answer, str | None]:
        """Record what a turn has ended, and give the answer with the contexts of its calls, and the span to keep.

        ``span`` is what came with the turn: ``id seconds nanoseconds``.
        """
        otel = opentelemetry_in_use()
        if otel is None:
            return answer, span
        events = [*item.past, *item.new]
        started = next((event for event in events if type(event) is ev.ExecutionStarted), None)
        parent = None if started is None else started.trace_context
        if started is None or parent is None or not _TRACED.match(parent):
            return answer, span
        if not self.emits:
            return _with_contexts(answer, lambda: parent), span
        turn = _Turn.of(item.instance_id, started, events, len(item.past), span)
        turn.record(otel, answer)
        return _with_contexts(answer, lambda: _at(parent, _new_id())), turn.kept

    @contextlib.contextmanager
    def activity(self, call: ActivityCall) -> Iterator["Outcome"]:
        """Round an activity's run: its span is current in it."""
        attributes = {
            "durabletask.type": "activity",
            "durabletask.task.name": call.name,
            "durabletask.task.instance_id": call.instance_id,
            "durabletask.task.task_id": str(call.task_id),
            **_version(call.version),
        }
        with self._around(_name("activity", call.name, call.version), call.trace_context, attributes) as outcome:
            yield outcome

    def entity(self, definition: EntityDefinition, contexts: Sequence[str | None]) -> EntityDefinition:
        """The entity with a span round each operation of one batch, under the context of the same position."""
        if opentelemetry_in_use() is None:
            return definition
        return replace(
            definition, open=lambda place, state: _Traced(definition.open(place, state), self, place, contexts)
        )

    @contextlib.contextmanager
    def operation(self, place: EntityId, operation: str, context: str | None) -> Iterator["Outcome"]:
        """Round an entity's operation."""
        attributes = {
            "durabletask.type": "entity",
            "durabletask.task.name": place.name,
            "durabletask.task.instance_id": str(place),
            "durabletask.entity.operation": operation,
        }
        with self._around(f"entity:{place.name}:{operation}", context, attributes) as outcome:
            yield outcome

    @contextlib.contextmanager
    def _around(self, name: str, context: str | None, attributes: Attributes) -> Iterator["Outcome"]:
        otel, outcome = opentelemetry_in_use(), Outcome()
        if otel is None:
            yield outcome
        elif not self.emits:
            with otel.within(context):
                yield outcome
        else:
            with otel.around(name, "SERVER", context, attributes) as span:
                yield outcome
                if outcome.error is not None:
                    otel.fail(span, outcome.error)


@dataclass(slots=True)
class Outcome:
    """How what a span is round has ended; ``error`` None: well."""

    error: str | None = None


class _Traced:
    """See ``EntityProgram``."""

    def __init__(
        self, program: EntityProgram, spans: WorkerSpans, place: EntityId, contexts: Sequence[str | None]
    ) -> None:
        self._program = program
        self._spans = spans
        self._place = place
        self._contexts = iter(contexts)

    def run(self, operation: Operation) -> OperationOutcome:
        context = next(self._contexts, None) or operation.trace_context
        with self._spans.operation(self._place, operation.name, context) as outcome:
            result = self._program.run(operation)
            outcome.error = None if result.failure is None else result.failure.message
            return result

    def roll_back(self, state: str | None) -> None:
        self._program.roll_back(state)


@dataclass(frozen=True, slots=True)
class _Turn:
    """One turn of an orchestration that is traced."""

    instance_id: str
    started: ev.ExecutionStarted
    parent: str
    span_id: int
    began_at: int
    """Nanoseconds since 1970, as all times here."""
    at: int
    times: Sequence[int]
    """Of each event, when its episode began."""
    events: Sequence[ev.HistoryEvent]
    new_from: int

    @classmethod
    def of(
        cls,
        instance_id: str,
        started: ev.ExecutionStarted,
        events: Sequence[ev.HistoryEvent],
        new_from: int,
        span: str | None,
    ) -> "_Turn":
        assert started.trace_context is not None
        times: list[int] = []
        at = 0
        for event in events:
            if type(event) is ev.OrchestratorStarted:
                at = _nanoseconds(event.at)
            times.append(at)
        span_id, began_at = _read_span(span)
        return cls(
            instance_id,
            started,
            started.trace_context,
            span_id or _new_id(),
            began_at or (times[events.index(started)] or at),
            at,
            times,
            events,
            new_from,
        )

    @property
    def kept(self) -> str:
        """What comes back with the next turn."""
        seconds, nanoseconds = divmod(self.began_at, 10**9)
        return f"{self.span_id:016x} {seconds} {nanoseconds}"

    @property
    def own(self) -> str:
        """The context of the orchestration's own span."""
        return _at(self.parent, self.span_id)

    def record(self, otel: OpenTelemetry, answer: Answer) -> None:
        """Record the spans that end with this turn."""
        for event in self.events[self.new_from :]:
            if isinstance(event, _ANSWERS):
                self._call(otel, event)
            elif isinstance(event, ev.TimerFired):
                self._timer(otel, event)
        for action in answer.actions:
            if isinstance(action, ac.SendEvent):
                self._sent(otel, action)
        if answer.ending is not None:
            self._end(otel, answer.ending)

    def _call(self, otel: OpenTelemetry, event: Any) -> None:
        asked, began_at = self._asked(event)
        if not isinstance(asked, ev.TaskScheduled | ev.SubOrchestrationCreated):
            return
        is_child = isinstance(asked, ev.SubOrchestrationCreated)
        kind = "orchestration" if is_child else "activity"
        failure = getattr(event, "failure", None)
        otel.record(
            _name(kind, asked.name, asked.version),
            "CLIENT",
            self.own,
            {
                "durabletask.type": kind,
                "durabletask.task.name": asked.name,
                "durabletask.task.instance_id": asked.instance_id if is_child else self.instance_id,
                "durabletask.task.task_id": str(asked.task_id),
                **_version(asked.version),
            },
            began_at=began_at,
            ended_at=self.at,
            span_id=_id_in(asked.trace_context),
            error=None if failure is None else failure.message,
        )

    def _timer(self, otel: OpenTelemetry, event: ev.TimerFired) -> None:
        asked, began_at = self._asked(event)
        if not isinstance(asked, ev.TimerCreated):
            return
        otel.record(
            f"orchestration:{self.started.name}:timer",
            "INTERNAL",
            self.own,
            {
                "durabletask.type": "timer",
                "durabletask.task.name": self.started.name,
                "durabletask.task.instance_id": self.instance_id,
                "durabletask.task.task_id": str(asked.task_id),
                "durabletask.fire_at": asked.fire_at.isoformat(),
            },
            began_at=began_at,
            ended_at=self.at,
        )

    def _sent(self, otel: OpenTelemetry, action: ac.SendEvent) -> None:
        otel.record(
            f"orchestration_event:{action.name}",
            "PRODUCER",
            self.own,
            {
                "durabletask.type": "event",
                "durabletask.task.name": action.name,
                "durabletask.task.instance_id": self.instance_id,
                "durabletask.event.target_instance_id": action.instance_id,
            },
            began_at=self.at,
            ended_at=self.at,
        )

    def _end(self, otel: OpenTelemetry, ending: ac.Ending | Terminated) -> None:
        started = self.started
        otel.record(
            _name("orchestration", started.name, started.version),
            "SERVER",
            self.parent,
            {
                "durabletask.type": "orchestration",
                "durabletask.task.name": started.name,
                "durabletask.task.instance_id": self.instance_id,
                "durabletask.task.status": _STATUS[type(ending)],
                **_version(started.version),
            },
            began_at=self.began_at,
            ended_at=max(_nanoseconds(datetime.now(UTC)), self.at),
            span_id=self.span_id,
            error=ending.failure.message if isinstance(ending, ac.Fail) else None,
        )

    def _asked(self, event: Any) -> tuple[ev.HistoryEvent | None, int]:
        """The event that this one answers, and when it was."""
        seq = event.scheduled_seq
        return (self.events[seq], self.times[seq]) if 0 <= seq < len(self.events) else (None, 0)


_STATUS: dict[type, str] = {
    ac.Complete: "Completed",
    ac.Fail: "Failed",
    ac.ContinueAsNew: "ContinuedAsNew",
    Terminated: "Terminated",
}


def _with_contexts(answer: Answer, context: Any) -> Answer:
    """The answer whose calls carry contexts, those that have one already excepted."""
    if not any(isinstance(action, _CALLS) for action in answer.actions):
        return answer
    return replace(
        answer,
        actions=[
            msgspec.structs.replace(action, trace_context=context())
            if isinstance(action, _CALLS) and action.trace_context is None
            else action
            for action in answer.actions
        ],
    )


def _name(kind: str, name: str, version: str | None) -> str:
    return f"{kind}:{name}@({version})" if version else f"{kind}:{name}"


def _version(version: str | None) -> dict[str, str]:
    return {"durabletask.task.version": version} if version else {}


def _at(kept: str, span_id: int) -> str:
    """The same trace's context with another span."""
    parent, space, state = kept.partition(" ")
    return f"{parent[:36]}{span_id:016x}{parent[52:]}{space}{state}"


def _id_in(kept: str | None) -> int | None:
    try:
        return int((kept or "")[36:52], 16) or None
    except ValueError:
        return None


def _read_span(span: str | None) -> tuple[int | None, int | None]:
    """Id and begin of a kept span; another SDK's may lack either."""
    if span is None:
        return None, None
    span_id, seconds, nanoseconds = span.rsplit(" ", 2)
    try:
        number = int(span_id, 16) if span_id else None
    except ValueError:
        number = None
    return number, int(seconds) * 10**9 + int(nanoseconds) if seconds else None


def _new_id() -> int:
    return random.getrandbits(64) or 1


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000) * 1000
