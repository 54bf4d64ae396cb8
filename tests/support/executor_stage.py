"""An executor under test: functions that every suite run registers, and what an engine would ask of it.

``PERDURE_EXECUTOR_FACTORIES=module:factory`` puts other executors through the contract suite.
"""

import asyncio
import importlib
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from perdure.contracts.executor import (
    ActivityResult,
    EntityTurn,
    Executor,
    OrchestrationSession,
    OrchestrationTurn,
    Turn,
)
from perdure.contracts.records import PendingActivity
from perdure.core import events as ev
from perdure.core.actions import TurnResult
from perdure.core.failures import FailureDetails
from perdure.core.identifiers import EntityId
from perdure.core.instance import InstanceKind, Origin
from perdure.core.registry import (
    ActivityCall,
    ActivityDefinition,
    ActivityMode,
    EntityDefinition,
    Operation,
    OperationOutcome,
    OrchestratorDefinition,
    Registry,
)
from perdure.core.replay.definition import Returned
from perdure.core.replay.recorder import Recorder
from perdure.execution.inline_activities import InlineActivities
from perdure.execution.local import ExecutionLimits, LocalExecutor, inline_turns, turn_threads
from perdure.execution.router import RoutedExecutor
from perdure.execution.turns import TurnPatience
from perdure.execution.user_loop import UserLoop
from perdure.testing.away_executor import AwayExecutor, PromptWork
from support.remote_in_process import InProcessRemote
from support.replay_world import EXECUTION, FUNCTIONS, SCHEDULED, text

T0 = datetime(2026, 1, 1, tzinfo=UTC)

ExecutorFactory = Callable[[Registry], Executor]
"""Makes an executor that runs what the registry knows; not started."""


class _OwnUserLoop(LocalExecutor):
    """With a users' loop that begins and ends with it."""

    def __init__(self, registry: Registry) -> None:
        self._loop = UserLoop()
        limits = ExecutionLimits(threads_max=4, activities_max=8)
        super().__init__(registry, self._loop, limits, turn_threads(TurnPatience(), []))

    async def start(self) -> None:
        self._loop.start()
        await super().start()

    async def stop(self) -> None:
        await super().stop()
        self._loop.stop()


def _inline(registry: Registry) -> Executor:
    limits = ExecutionLimits(threads_max=1, activities_max=1)
    return LocalExecutor(registry, UserLoop(), limits, inline_turns, InlineActivities(registry, lambda activity: 0.0))


def _away(registry: Registry) -> AwayExecutor:
    return AwayExecutor(_inline(registry), PromptWork())


def _routed(registry: Registry) -> Executor:
    """Some of the functions here, and all of them away: an unknown name is refused there."""
    here = Registry()
    here.orchestrators = {name: registry.orchestrators[name] for name in ("two_steps", "raises")}
    here.activities = {name: registry.activities[name] for name in ("echo_async", "fails")}
    here.entities = {"raises": registry.entities["raises"]}
    return RoutedExecutor(here, _OwnUserLoop(here), _away(registry))


def known_factories() -> dict[str, ExecutorFactory]:
    """Ours, and what PERDURE_EXECUTOR_FACTORIES names as ``module:attribute``, separated by commas."""
    known: dict[str, ExecutorFactory] = {
        "local-threads": _OwnUserLoop,
        "local-inline": _inline,
        "away": _away,
        "routed": _routed,
        "remote": InProcessRemote,
    }
    for name in filter(None, os.environ.get("PERDURE_EXECUTOR_FACTORIES", "").split(",")):
        module, _, attribute = name.partition(":")
        known[name] = getattr(importlib.import_module(module), attribute)
    return known


class ExecutorStage:
    """The executor and shorthand for its use."""

    def __init__(self, factory: ExecutorFactory) -> None:
        self.executor = factory(functions())
        self._numbers = 0

    def open(self, name: str, history: Sequence[ev.HistoryEvent] = (), id: str = "order-1") -> OrchestrationSession:
        """A session on an orchestration."""
        return self.executor.open(Origin(id, InstanceKind.ORCHESTRATION, name, EXECUTION, T0), history)

    def first(self, name: str, input: str | None = None, id: str = "order-1") -> OrchestrationTurn:
        """The first turn of a new orchestration."""
        return OrchestrationTurn(self.open(name, (), id), [*started(name, input)])

    async def run(self, *turns: Turn) -> None:
        """Run turns, the late ones included; what they come to counts as committed."""
        late = list(await self.executor.advance(turns))
        while late:
            ended = await self.executor.late_turns()
            late = [turn for turn in late if all(turn is not e for e in ended)]
        for turn in turns:
            if isinstance(turn, OrchestrationTurn) and turn.result is not None and turn.session.follow is not None:
                turn.session.follow([*turn.events, *(SCHEDULED[type(a)](a) for a in turn.result.actions)])

    async def result_of(self, turn: OrchestrationTurn) -> TurnResult:
        """Run one turn; what came of it."""
        await self.run(turn)
        assert turn.result is not None
        return turn.result

    async def outcomes_of(self, entity: str, state: str | None, *operations: str) -> list[OperationOutcome]:
        """Run one batch; what came of it."""
        turn = EntityTurn(EntityId(entity, "k"), state, [Operation(name, None, False) for name in operations])
        await self.run(turn)
        assert turn.result is not None
        return turn.result

    def pending(self, name: str, input: str | None = None) -> PendingActivity:
        """An activity that was scheduled."""
        self._numbers += 1
        return PendingActivity(self._numbers, "order-1", EXECUTION, self._numbers, self._numbers, name, input)

    async def results_of(self, *activities: PendingActivity) -> list[ActivityResult]:
        """Run activities; their results in the order of the activities."""
        self.executor.start_activities(activities)
        found: dict[int, ActivityResult] = {}
        while len(found) < len(activities):
            for result in await self.executor.activity_results():
                assert result.activity.number not in found, "given twice"
                found[result.activity.number] = result
        return [found[activity.number] for activity in activities]


def started(name: str, input: str | None = None) -> list[ev.HistoryEvent]:
    """What the first episode of an orchestration begins with."""
    return [ev.OrchestratorStarted(T0), ev.ExecutionStarted(name, EXECUTION, input)]


class NoOrdinaryError(BaseException):
    """What user code may raise all the same."""


def functions() -> Registry:
    """The functions that the suite runs; an executor of another process must register the same."""
    registry = Registry()

    def orchestrator(code: Callable[[Recorder, str | None], Any]) -> None:
        def begin(recorder: Recorder, input: str | None) -> Any:
            begun = code(recorder, input)
            return begun if hasattr(begun, "send") else Returned(begun)

        def write(value: Any) -> str | None:
            return None if value is None else msgspec.json.encode(value).decode()

        registry.add_orchestrator(OrchestratorDefinition(code.__name__, begin, write, FUNCTIONS))

    @orchestrator
    def two_steps(recorder: Recorder, input: str | None) -> Any:
        first = yield recorder.call_activity("echo", input, text)
        second = yield recorder.call_activity("echo", first, text)
        return [first, second]

    @orchestrator
    def returns_at_once(recorder: Recorder, input: str | None) -> Any:
        return input

    @orchestrator
    def raises(recorder: Recorder, input: str | None) -> Any:
        raise {"ValueError": ValueError, "SystemExit": SystemExit, "NoOrdinaryError": NoOrdinaryError}[input or ""](
            "boom"
        )

    @orchestrator
    def yields_no_task(recorder: Recorder, input: str | None) -> Any:
        yield 5

    @orchestrator
    def objects_to_its_end(recorder: Recorder, input: str | None) -> Any:
        while True:
            try:
                yield recorder.wait_for_event("never", text)
            except GeneratorExit:
                raise NoOrdinaryError("not now") from None

    def activity(code: Callable[[str | None], Any]) -> None:
        registry.add_activity(ActivityDefinition(code.__name__, lambda call: code(call.input)))

    @activity
    def echo(input: str | None) -> str | None:
        return input

    @activity
    def fails(input: str | None) -> str | None:
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise ValueError("boom") from error

    @activity
    def exits(input: str | None) -> str | None:
        raise SystemExit(3)

    async def echo_async(call: ActivityCall) -> str | None:
        await asyncio.sleep(0)
        return call.input

    async def fails_async(call: ActivityCall) -> str | None:
        await asyncio.sleep(0)
        raise ValueError("boom")

    registry.add_activity(ActivityDefinition("echo_async", echo_async, ActivityMode.LOOP))
    registry.add_activity(ActivityDefinition("fails_async", fails_async, ActivityMode.LOOP))
    registry.add_entity(EntityDefinition("counter", _Counter))
    registry.add_entity(EntityDefinition("raises", _raise_when_opened))
    return registry


class _Counter:
    def __init__(self, entity: EntityId, state: str | None) -> None:
        self._count = int(state or 0)

    def run(self, operation: Operation) -> OperationOutcome:
        self._count += 1
        if operation.name == "fail":
            return OperationOutcome(str(self._count), failure=FailureDetails("ValueError", "boom"))
        if operation.name == "raise":
            raise NoOrdinaryError("boom")
        return OperationOutcome(str(self._count), str(self._count))

    def roll_back(self, state: str | None) -> None:
        self._count = int(state or 0)


def _raise_when_opened(entity: EntityId, state: str | None) -> Any:
    raise ValueError("cannot open")
