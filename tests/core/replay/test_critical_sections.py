"""Critical sections in orchestrator code: how they are entered and left, and what they forbid."""

from collections.abc import Callable
from typing import Any

import pytest

from perdure.core import actions as ac
from perdure.core import events as ev
from perdure.core.errors import InvalidIdentifier
from perdure.core.replay.critical_section import EntityLock
from perdure.core.replay.policy import ReplayPolicy
from perdure.core.replay.recorder import Recorder
from support.replay_world import EXECUTION, FUNCTIONS, PORTABLE, World, text

A, B, C = "@counter@a", "@counter@b", "@counter@c"
BOTH = pytest.mark.parametrize("policy", [FUNCTIONS, PORTABLE], ids=["functions", "portable"])


@BOTH
def test_a_section_is_asked_for_in_one_order_and_left_at_the_end_of_the_block(policy: ReplayPolicy) -> None:
    def code(r: Recorder) -> Any:
        with (yield r.lock_entities([B, "@Counter@a", B])) as lock:
            yield r.call_entity(A, "add", "1", text)
        return lock.entity_ids

    world = World(code, policy)
    first = policy.first_task_id
    section = f"{EXECUTION}:{first}"
    assert world.start().actions == (ac.LockEntities(first, section, (A, B)),)
    assert world.complete(first).actions == (ac.CallEntity(first + 1, A, "add", "1"),)
    ended = world.complete(first + 1, "1")
    assert ended.actions == (ac.UnlockEntity(first + 2, section, A), ac.UnlockEntity(first + 3, section, B))
    assert world.output == repr((A, B))


@pytest.mark.parametrize("form", ["with", "async with"])
def test_coroutines_enter_and_leave_in_both_forms(form: str) -> None:
    async def with_(r: Recorder) -> Any:
        with await r.lock_entities([A]) as lock:
            await r.call_entity(A, "add", "1", text)
        return lock.entity_ids

    async def async_with(r: Recorder) -> Any:
        async with r.lock_entities([A]) as lock:  # type: ignore[attr-defined]
            await r.call_entity(A, "add", "1", text)
        return lock.entity_ids

    world = World(with_ if form == "with" else async_with, PORTABLE)
    world.start()
    world.complete(1)
    assert [type(action) for action in world.complete(2).actions] == [ac.UnlockEntity]
    assert world.output == repr((A,))


def test_release_lets_go_once_and_another_section_may_follow() -> None:
    def code(r: Recorder) -> Any:
        lock = yield r.lock_entities([A])
        lock.release()
        lock.release()
        yield r.call_child("part", None, None, None, text)
        with (yield r.lock_entities([A, B])):
            lock.release()
            yield r.call_entity(B, "add", None, text)

    world = World(code)
    world.start()
    assert [type(action) for action in world.complete(0).actions] == [ac.UnlockEntity, ac.StartChild]
    assert [type(action) for action in world.complete(2).actions] == [ac.LockEntities]
    assert [type(action) for action in world.complete(3).actions] == [ac.CallEntity]


def test_an_exception_leaves_the_section() -> None:
    def code(r: Recorder) -> Any:
        with (yield r.lock_entities([A])):
            raise KeyError("mine")

    world = World(code)
    world.start()
    assert [type(action) for action in world.complete(0).actions] == [ac.UnlockEntity]
    assert world.failed_with.error_type == "KeyError"


Forbidden = Callable[[Recorder], Any]


def _section(forbidden: Forbidden) -> World:
    def code(r: Recorder) -> Any:
        lock: EntityLock = yield r.lock_entities([A, B])
        try:
            forbidden(r)
        except RuntimeError as error:
            return str(error)
        finally:
            lock.release()
        return "nothing was raised"

    world = World(code, PORTABLE)
    world.start()
    world.complete(1)
    return world


def _call_twice(r: Recorder) -> None:
    r.call_entity(A, "add", None, text)
    r.call_entity(A, "add", None, text)


@pytest.mark.parametrize(
    ("forbidden", "told"),
    [
        (lambda r: r.lock_entities([C]), "cannot be nested"),
        (lambda r: r.call_child("part", None, None, None, text), "Sub-orchestration 'part'"),
        (lambda r: r.call_child_with_retry("part", None, None, None, text, None), "Sub-orchestration 'part'"),
        (lambda r: r.call_entity(C, "add", None, text), f"does not lock it (locked: {A}, {B})"),
        (_call_twice, "an earlier call to it is open"),
        (lambda r: r.signal_entity("@COUNTER@b", "add", None), "Call it instead"),
    ],
)
def test_what_a_section_forbids_is_raised_in_the_code(forbidden: Forbidden, told: str) -> None:
    world = _section(forbidden)
    assert world.output is not None
    assert told in world.output


def test_what_a_section_allows() -> None:
    def code(r: Recorder) -> Any:
        with (yield r.lock_entities([A, B])):
            yield r.all_of([r.call_entity(A, "add", None, text), r.call_entity("@COUNTER@b", "add", None, text)])
            yield r.call_entity(A, "add", None, text)
            r.signal_entity(C, "add", None)
            r.send_event("other", "go", None)
            yield r.call_activity("pack", None, text)
        r.signal_entity(A, "add", None)
        return "well"

    world = World(code)
    world.start()
    world.complete(0)
    world.turn(world.completion(1), world.completion(2))
    world.complete(3)
    world.complete(6)
    assert world.output == "'well'"


def test_no_entity_is_called_before_the_section_is_entered() -> None:
    def code(r: Recorder) -> Any:
        lock = r.lock_entities([A])
        with pytest.raises(RuntimeError, match="before its critical section was entered"):
            r.call_entity(A, "add", None, text)
        with pytest.raises(RuntimeError, match="Sub-orchestration"):
            r.call_child("part", None, None, None, text)
        (yield lock).release()
        return "well"

    world = World(code, PORTABLE)
    world.start()
    world.complete(1)
    assert world.output == "'well'"


@pytest.mark.parametrize(("ids", "error"), [([], ValueError), (["counter"], InvalidIdentifier)])
def test_what_cannot_be_locked(ids: list[str], error: type[Exception]) -> None:
    def code(r: Recorder) -> Any:
        with pytest.raises(error):
            r.lock_entities(ids)
        return "well"

    world = World(code)
    world.start()
    assert world.output == "'well'"


def test_nothing_is_let_go_by_code_that_has_ended() -> None:
    """The engine lets go of what an execution leaves behind; a closed program asks for nothing."""

    def code(r: Recorder) -> Any:
        with (yield r.lock_entities([A])):
            r.continue_as_new("1")

    world = World(code)
    world.start()
    assert world.complete(0).actions == ()
    assert isinstance(world.last.ending, ac.ContinueAsNew)


@pytest.mark.parametrize(
    ("recorded", "now", "told"),
    [
        (lambda r: r.lock_entities([A]), lambda r: r.lock_entities([B]), f"a lock of '{A}'"),
        (lambda r: r.lock_entities([A]), lambda r: r.call_activity("pack", None, text), f"a lock of '{A}'"),
        (lambda r: r.call_activity("pack", None, text), lambda r: r.lock_entities([A]), f"a lock of '{A}'"),
    ],
)
def test_a_changed_section_is_a_divergence(recorded: Forbidden, now: Forbidden, told: str) -> None:
    code = recorded

    def program(r: Recorder) -> Any:
        yield code(r)

    world = World(program)
    world.start()
    completion = world.completion(0)
    code = now
    failed = world.fresh().advance([ev.OrchestratorStarted(world.now), completion])
    assert isinstance(failed.ending, ac.Fail)
    assert failed.ending.failure.error_type == "NonDeterministicOrchestrationException"
    assert told in failed.ending.failure.message


def test_a_release_that_is_not_repeated_is_a_divergence() -> None:
    keeps = False

    def program(r: Recorder) -> Any:
        lock = yield r.lock_entities([A])
        if not keeps:
            lock.release()
        yield r.call_activity("pack", None, text)

    world = World(program)
    world.start()
    world.complete(0)
    completion = world.completion(2)
    keeps = True
    failed = world.fresh().advance([ev.OrchestratorStarted(world.now), completion])
    assert isinstance(failed.ending, ac.Fail)
    assert f"the release of the lock of entity '{A}'" in failed.ending.failure.message
