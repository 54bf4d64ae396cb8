"""A live session decides what a replayed one decides, for random programs, results, orders and cuts into episodes."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perdure.core import actions as ac
from perdure.core import events as ev
from perdure.core.replay.policy import ReplayPolicy
from support.random_messages import random_messages
from support.random_programs import PROGRAMS, Interpreter
from support.replay_world import FUNCTIONS, PORTABLE, World

EXAMPLES = max(100, settings.default.max_examples if settings.default else 0)


def _world(statements: list[Any], policy: ReplayPolicy, form: str) -> World:
    return World(lambda recorder: getattr(Interpreter(recorder), form)(statements), policy)


@pytest.mark.parametrize("form", ["generator", "coroutine"])
@pytest.mark.parametrize("policy", [FUNCTIONS, PORTABLE], ids=["functions", "portable"])
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
@given(program=PROGRAMS, data=st.data())
def test_live_equals_replayed(policy: ReplayPolicy, form: str, program: list[Any], data: st.DataObject) -> None:
    world = _world(program, policy, form)
    world.start()
    for _ in range(12):
        if world.last.ending is not None:
            break
        messages = data.draw(random_messages(world))
        episode = [ev.OrchestratorStarted(world.now), *messages]
        other = world.fresh()
        assert other.advance([]) == ac.TurnResult(awaited_events=world.last.awaited_events)
        replayed = other.advance(episode)
        live = world.replayer.advance(episode)
        assert live == replayed
        if data.draw(st.booleans(), label="go on with the replayed one"):
            world.replayer.close()
            world.replayer = other
        else:
            other.close()
        world.record(episode, live)
    world.replayer.close()


@pytest.mark.parametrize("policy", [FUNCTIONS, PORTABLE], ids=["functions", "portable"])
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
@given(program=PROGRAMS, data=st.data())
def test_episodes_may_be_cut_anywhere(policy: ReplayPolicy, program: list[Any], data: st.DataObject) -> None:
    """The same messages at the same time, in one episode or in several: the same actions, ending and status."""
    world = _world(program, policy, "generator")
    cut = _world(program, policy, "generator")
    world.start()
    cut.start()
    for _ in range(8):
        if world.last.ending is not None:
            break
        messages = data.draw(random_messages(world))
        whole = world.turn(*messages)
        cut.now = world.now
        parts = [cut.turn(_renumbered(message, cut)) for message in messages] or [cut.turn()]
        # An event after the code's end is carried by the whole turn; cut off, the engine carries it.
        assert [a for part in parts for a in part.actions] == list(whole.actions)
        endings = [part.ending for part in parts if part.ending is not None]
        assert [_without_carried(e) for e in endings] == ([_without_carried(whole.ending)] if whole.ending else [])
        statuses = [part.custom_status for part in parts if part.custom_status is not None]
        assert statuses[-1:] == ([whole.custom_status] if whole.custom_status else [])
        assert parts[-1].awaited_events == whole.awaited_events
        if data.draw(st.booleans(), label="reload"):
            cut.reload()


def _renumbered(message: ev.HistoryEvent, cut: World) -> ev.HistoryEvent:
    """The same message for a history whose scheduled events are at other places."""
    match message:
        case ev.TaskCompleted(task_id=999):
            return message
        case ev.TaskCompleted() | ev.SubOrchestrationCompleted() | ev.EntityOperationCompleted():
            return cut.completion(message.task_id, message.result)
        case ev.TaskFailed() | ev.SubOrchestrationFailed() | ev.EntityOperationFailed():
            return cut.failure(message.task_id, is_non_retriable=message.failure.is_non_retriable)
        case ev.TimerFired() | ev.EntityLockGranted():
            return cut.completion(message.task_id)
        case _:
            return message


def _without_carried(ending: ac.Ending | None) -> ac.Ending | None:
    return ac.ContinueAsNew(ending.input, ending.version) if isinstance(ending, ac.ContinueAsNew) else ending
