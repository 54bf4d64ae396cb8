"""Code asked anew through the JSON protocol wants what the same code wants as a live program, with the same ids."""

import dataclasses
from collections.abc import Callable, Generator
from datetime import datetime, timedelta
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import azure.durable_functions as df
from perdure.core import actions as ac
from perdure.core.failures import FailureDetails
from perdure.core.replay.protocol_retries import TrailingRetryTask
from perdure.core.replay.replayer import Replayer
from perdure.core.replay.task_types import TaskTypes
from perdure.core.retry import RetryPolicy
from support.outside_world import OutsideWorld
from support.random_messages import random_messages
from support.random_programs import PLAIN_PROGRAMS, Interpreter
from support.replay_world import World

EXAMPLES = max(80, settings.default.max_examples if settings.default else 0)


class ContextWords:
    """A 1.x context with the words of a recorder."""

    def __init__(self, context: df.DurableOrchestrationContext) -> None:
        self._context = context
        self.create_timer = context.create_timer
        self.all_of = context.task_all
        self.any_of = context.task_any
        self.set_custom_status = context.set_custom_status
        self.continue_as_new = context.continue_as_new

    @property
    def now(self) -> datetime:
        return self._context.current_utc_datetime

    def call_activity(self, name: str, input: str | None, decode: Any) -> Any:
        return self._context.call_activity(name, input)

    def call_child(self, name: str, input: None, instance_id: None, version: None, decode: Any) -> Any:
        return self._context.call_sub_orchestrator(name)

    def call_activity_with_retry(self, name: str, input: str, decode: Any, retry: RetryPolicy) -> Any:
        return self._context.call_activity_with_retry(name, _options(retry), input)

    def call_child_with_retry(self, *call: Any) -> Any:
        return self._context.call_sub_orchestrator_with_retry(call[0], _options(call[-1]))

    def call_entity(self, entity_id: str, operation: str, input: str, decode: Any) -> Any:
        return self._context.call_entity(_entity(entity_id), operation, input)

    def signal_entity(self, entity_id: str, operation: str, input: None) -> Any:
        return self._context.signal_entity(_entity(entity_id), operation, input)

    def wait_for_event(self, name: str, decode: Any) -> Any:
        return self._context.wait_for_external_event(name)


Runs = list[Interpreter]


def orchestrator_of(program: list[Any], runs: Runs) -> Callable[..., Generator[Any, Any, list[Any]]]:
    """The program as an orchestrator function of the 1.x generation; each run is added to ``runs``."""

    def orchestrator(context: df.DurableOrchestrationContext) -> Generator[Any, Any, list[Any]]:
        words: Any = ContextWords(context)
        runs.append(Interpreter(words))
        return (yield from runs[-1].generator(program))

    return orchestrator


def native_world(program: list[Any], runs: Runs) -> World:
    """The program as a live one, whose retries end with one more timer, as the protocol counts."""
    world = World(lambda recorder: None)
    definition = df.Orchestrator.create(orchestrator_of(program, runs)).definition("orchestrator")
    world.definition = dataclasses.replace(definition, tasks=TaskTypes(retry=TrailingRetryTask))
    world.replayer = Replayer(world.definition, "order-1")
    return world


def _options(retry: RetryPolicy) -> df.RetryOptions:
    return df.RetryOptions(
        int(retry.first_interval / timedelta(milliseconds=1)),
        retry.max_attempts,
        backoff_coefficient=retry.backoff_coefficient,
    )


def _entity(entity_id: str) -> df.EntityId:
    _, name, key = entity_id.split("@")
    return df.EntityId(name, key)


class Seen:
    """What an engine would see of an execution, turn by turn.

    A status that is set again is no news; a timer cancelled in the turn that asked for it need not be asked for.
    """

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._status: ac.NewStatus | None = None

    def of(self, result: ac.TurnResult) -> list[Any]:
        ending = result.ending
        if isinstance(ending, ac.Fail):
            # Where it was raised differs: the stack.
            ending = ac.Fail(FailureDetails("", ending.failure.message))
        needless = {timer.id for run in self._runs for timer in run.cancelled}
        actions = [
            _without_empty_input(action)
            for action in result.actions
            if not (isinstance(action, ac.CreateTimer) and action.task_id in needless)
        ]
        self._status = result.custom_status or self._status
        return [actions, ending, self._status, () if ending else sorted(result.awaited_events)]


def _without_empty_input(action: ac.Action) -> ac.Action:
    """The protocol writes no input as "null"."""
    is_empty = getattr(action, "input", None) == "null"
    return msgspec.structs.replace(action, input=None) if is_empty else action


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
@given(program=PLAIN_PROGRAMS, data=st.data())
def test_outside_equals_native(program: list[Any], data: st.DataObject) -> None:
    native_runs: Runs = []
    native = native_world(program, native_runs)
    outside = OutsideWorld.of_handle(orchestrator_of(program, []))
    seen_native, seen_outside = Seen(native_runs), Seen([])
    assert seen_outside.of(outside.start()) == seen_native.of(native.start())
    for _ in range(12):
        if native.last.ending is not None:
            break
        messages = data.draw(random_messages(native, are_final=st.just(False)))
        outside.now = native.now
        if data.draw(st.booleans(), label="reload"):
            outside.reload()
        assert seen_outside.of(outside.turn(*messages)) == seen_native.of(native.turn(*messages))
    native.replayer.close()
    outside.replayer.close()
