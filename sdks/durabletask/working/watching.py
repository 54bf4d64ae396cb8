"""Spans and hooks round the functions of an embedded worker: what a worker of a server has round its work items."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from durabletask.opentelemetry_use import opentelemetry_in_use
from durabletask.working.activity_hooks import ActivityHooks
from durabletask.working.described_failures import DescribedFailure
from durabletask.working.orchestrator_items import Answer, OrchestratorItem
from durabletask.working.spans import WorkerSpans
from perdure.core.actions import TurnResult
from perdure.core.events import HistoryEvent, OrchestratorStarted
from perdure.core.registry import (
    ActivityCall,
    ActivityDefinition,
    ActivityMode,
    EntityDefinition,
    OrchestratorDefinition,
)


@dataclass(frozen=True)
class Watching:
    """Adds nothing where the program does not use OpenTelemetry when the worker starts, and has no hooks.

    The hooks' requests are messages of protobuf, which must be installed for them.
    """

    spans: WorkerSpans = field(default_factory=WorkerSpans)
    hooks: ActivityHooks | None = None

    def orchestrator(self, definition: OrchestratorDefinition) -> OrchestratorDefinition:
        """With spans of its turns. An orchestration that is terminated from outside has none of its own."""
        return definition if opentelemetry_in_use() is None else replace(definition, around_turn=self._turn)

    def entity(self, definition: EntityDefinition) -> EntityDefinition:
        """With a span round each operation."""
        return self.spans.entity(definition, ())

    def activity(self, definition: ActivityDefinition) -> ActivityDefinition:
        """With a span round each run, and its hooks."""
        if opentelemetry_in_use() is not None:
            definition = self._with_spans(definition)
        return definition if self.hooks is None else _with_hooks(definition, self.hooks)

    def _turn(
        self, instance_id: str, past: Sequence[HistoryEvent], new: Sequence[HistoryEvent], result: TurnResult
    ) -> TurnResult:
        known = next((e.span for e in reversed(past) if type(e) is OrchestratorStarted and e.span is not None), None)
        item = OrchestratorItem(instance_id, past, new)
        answer, span = self.spans.turn(item, Answer(result.actions, result.ending), known)
        if span == known:
            return result if answer.actions is result.actions else _with_actions(result, answer)
        return msgspec.structs.replace(_with_actions(result, answer), span=span)

    def _with_spans(self, definition: ActivityDefinition) -> ActivityDefinition:
        def run(call: ActivityCall) -> Any:
            with self.spans.activity(call) as outcome:
                try:
                    return definition.run(call)
                except DescribedFailure as raised:
                    # Raised further out: inside, the span would tell of it in words of its own.
                    failure, outcome.error = raised, raised.failure_details.message
            raise failure

        async def run_async(call: ActivityCall) -> Any:
            with self.spans.activity(call) as outcome:
                try:
                    return await definition.run(call)
                except DescribedFailure as raised:
                    failure, outcome.error = raised, raised.failure_details.message
            raise failure

        return replace(definition, run=run_async if definition.mode is ActivityMode.LOOP else run)


def _with_actions(result: TurnResult, answer: Answer) -> TurnResult:
    return msgspec.structs.replace(result, actions=tuple(answer.actions))


def _with_hooks(definition: ActivityDefinition, hooks: ActivityHooks) -> ActivityDefinition:
    from durabletask.grpc_extra import require_grpc

    require_grpc()
    from durabletask.working.activity_requests import request_of

    def run(call: ActivityCall) -> Any:
        request = request_of(call)
        hooks.started(request)
        try:
            return definition.run(call)
        finally:
            hooks.completed(request)

    async def run_async(call: ActivityCall) -> Any:
        request = request_of(call)
        hooks.started(request)
        try:
            return await definition.run(call)
        finally:
            hooks.completed(request)

    return replace(definition, run=run_async if definition.mode is ActivityMode.LOOP else run)
