"""What a rewind keeps of a failed execution's history, and that the code agrees with it."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.core import actions as ac
from perdure.core import events as ev
from perdure.core.failures import FailureDetails
from perdure.core.replay.matching import ERROR_TYPE
from perdure.core.replay.replayer import Replayer
from perdure.core.retry import RetryPolicy
from perdure.core.rewound_history import RewoundHistory, rewound_history
from perdure.core.status import RuntimeStatus
from support.replay_world import FUNCTIONS, PORTABLE, CallFailed, World, text

NEXT = "11111111-1111-1111-1111-111111111111"
POLICIES = pytest.mark.parametrize("policy", [FUNCTIONS, PORTABLE], ids=["functions", "portable"])


def fail_at_last(world: World) -> RewoundHistory:
    """End the world's history with the failure it has come to, and rewind it."""
    assert isinstance(world.last.ending, ac.Fail), world.last
    world.history.append(ev.ExecutionCompleted(RuntimeStatus.Failed, None, world.last.ending.failure))
    return rewound_history(world.history, NEXT, None)


def go_on(world: World, kept: RewoundHistory) -> ac.TurnResult:
    """The first turn after the rewind."""
    replayer = Replayer(world.definition, "order-1")
    replayer.replay(kept.events)
    return replayer.advance([ev.OrchestratorStarted(world.now), ev.ExecutionRewound("why")])


def asked(result: ac.TurnResult) -> list[tuple[str, int]]:
    assert result.ending is None, result.ending
    return [(type(action).__name__, action.task_id) for action in result.actions]


def shapes(kept: RewoundHistory) -> list[str]:
    return [type(event).__name__ for event in kept.events if not isinstance(event, ev.OrchestratorStarted)]


@POLICIES
def test_a_failed_activity_goes_with_its_schedule_and_the_end(policy):
    def code(recorder):
        yield recorder.call_activity("a", None, text)
        yield recorder.call_activity("b", None, text)

    world = World(code, policy)
    world.start()
    first = policy.first_task_id
    world.complete(first, "1")
    world.fail(first + 1)
    kept = fail_at_last(world)

    assert shapes(kept) == ["ExecutionStarted", "TaskScheduled", "TaskCompleted"]
    assert kept.events[1].execution_id == NEXT  # type: ignore[union-attr]
    assert asked(go_on(world, kept)) == [("ScheduleActivity", first + 1)]


@POLICIES
@pytest.mark.parametrize("call", ["call_child", "call_entity"])
def test_a_failed_child_keeps_its_creation_and_a_failed_entity_call_is_asked_again(policy, call):
    def code(recorder):
        if call == "call_child":
            yield recorder.call_child("c", None, "x", None, text)
        else:
            yield recorder.call_entity("@e@k", "get", None, text)

    world = World(code, policy)
    world.start()
    world.fail(policy.first_task_id)
    kept = fail_at_last(world)

    if call == "call_child":
        assert shapes(kept) == ["ExecutionStarted", "SubOrchestrationCreated"]
        assert asked(go_on(world, kept)) == []
    else:
        assert shapes(kept) == ["ExecutionStarted"]
        assert asked(go_on(world, kept)) == [("CallEntity", policy.first_task_id)]


def retrying(recorder: Any) -> Any:
    yield recorder.call_activity("a", None, text)
    yield recorder.call_activity_with_retry("b", None, text, RetryPolicy(timedelta(seconds=5), 3))


@POLICIES
def test_all_attempts_and_their_timers_go(policy):
    world = World(retrying, policy)
    world.start()
    world.complete(policy.first_task_id)
    while world.last.ending is None:
        [event] = world.open.values()
        if isinstance(event, ev.TimerCreated):
            world.complete(event.task_id)
        else:
            world.fail(event.task_id)
    kept = fail_at_last(world)

    assert shapes(kept) == ["ExecutionStarted", "TaskScheduled", "TaskCompleted"]
    assert asked(go_on(world, kept)) == [("ScheduleActivity", policy.first_task_id + 1)]


def test_numbers_close_up_behind_what_went():
    def code(recorder):
        bad = recorder.call_activity_with_retry("bad", None, text, RetryPolicy(timedelta(seconds=5), 2))
        other = recorder.call_activity("other", None, text)
        yield recorder.any_of([bad, other])
        later = recorder.call_activity("later", None, text)
        yield recorder.all_of([bad, later])

    world = World(code)
    world.start()
    world.fail(0)
    world.complete(1)
    world.complete(2)
    world.complete(3, "done")
    world.fail(4)
    kept = fail_at_last(world)

    assert [e.task_id for e in kept.events if isinstance(e, ev.TaskScheduled)] == [1, 2]
    assert asked(go_on(world, kept)) == [("ScheduleActivity", 0)]


def test_children_that_stay_keep_their_numbers_and_then_only_the_last_attempt_goes():
    def code(recorder):
        bad = recorder.call_activity_with_retry("bad", None, text, RetryPolicy(timedelta(seconds=5), 2))
        other = recorder.call_activity("other", None, text)
        yield recorder.any_of([bad, other])
        yield recorder.all_of([bad, recorder.call_child("c", None, None, None, text)])

    world = World(code)
    world.start()
    world.fail(0)
    world.complete(1)
    world.complete(2)
    world.fail(4)
    kept = fail_at_last(world)

    assert [e.task_id for e in kept.events if isinstance(e, ev.SubOrchestrationCreated)] == [3]
    assert asked(go_on(world, kept)) == [("ScheduleActivity", 4)]


def test_a_call_that_came_through_in_the_end_keeps_its_failures():
    def code(recorder):
        yield recorder.call_activity_with_retry("a", None, text, RetryPolicy(timedelta(seconds=5), 3))
        yield recorder.call_activity("b", None, text)

    world = World(code)
    world.start()
    world.fail(0)
    world.complete(1)
    world.complete(2)
    world.fail(3)
    kept = fail_at_last(world)

    assert shapes(kept).count("TaskFailed") == 1
    assert asked(go_on(world, kept)) == [("ScheduleActivity", 3)]


def test_what_the_code_got_over_stays_and_what_it_blames_goes():
    def code(recorder):
        tasks = [recorder.call_activity(name, None, text) for name in ("a", "b")]
        failures = []
        while tasks:
            done = yield recorder.any_of(tasks)
            tasks.remove(done)
            if done.is_failed:
                failures.append(str(done.result))
            else:
                yield recorder.call_activity("after", None, text)
        if failures:
            raise RuntimeError("; ".join(failures))

    world = World(code)
    world.start()
    world.fail(0, "the disk is full")
    world.complete(1)
    world.complete(2)
    assert asked(go_on(world, fail_at_last(world))) == [("ScheduleActivity", 0)]


def test_a_swallowed_failure_that_nobody_blames_stays():
    def code(recorder):
        with suppress(CallFailed):
            yield recorder.call_activity("a", None, text)
        yield recorder.wait_for_event("go", text)
        yield recorder.call_activity("b", None, text)
        raise RuntimeError("mine")

    world = World(code)
    world.start()
    world.fail(0, "not so bad")
    world.raise_event("go")
    world.complete(1)
    again = go_on(world, fail_at_last(world))

    assert isinstance(again.ending, ac.Fail)
    assert again.ending.failure.message == "mine"


def test_what_the_failing_turn_asked_for_is_asked_again():
    def code(recorder):
        try:
            yield recorder.call_activity("a", None, text)
        finally:
            recorder.signal_entity("@log@k", "add", None)

    world = World(code)
    world.start()
    world.fail(0)
    kept = fail_at_last(world)

    assert "EntitySignaled" not in shapes(kept)
    assert asked(go_on(world, kept)) == [("ScheduleActivity", 0)]


def test_sections_and_links_belong_to_the_new_execution():
    def code(recorder):
        with (yield recorder.lock_entities(["@e@k"])):
            yield recorder.call_activity("a", None, text)

    world = World(code)
    world.start()
    world.complete(0)
    world.fail(1)
    earlier = ev.ExecutionRewound("once", "old", (ev.FormerLink(7, "older", 7),))
    world.history = [_one_later(event, after=2) for event in world.history]
    world.history.insert(2, earlier)
    kept = fail_at_last(world)

    assert [e.section_id for e in kept.events if isinstance(e, ev.EntityLockRequested)] == [f"{NEXT}:0"]
    assert [(e.reason, e.links) for e in kept.events if isinstance(e, ev.ExecutionRewound)] == [("once", ())]


def _one_later(event: Any, after: int) -> Any:
    seq = getattr(event, "scheduled_seq", -1)
    return msgspec.structs.replace(event, scheduled_seq=seq + 1) if seq >= after else event


# Whatever the code does with retries, groups and rest: what is kept fits it.


def _random_code(plan: list[tuple[str, int]]) -> Callable[[Any], Any]:
    def code(recorder: Any) -> Any:
        pending: list[Any] = []
        for kind, number in plan:
            if kind == "call":
                pending.append(recorder.call_activity(f"n{number}", None, text))
            elif kind == "retry":
                policy = RetryPolicy(timedelta(seconds=5), 1 + number)
                pending.append(recorder.call_activity_with_retry(f"r{number}", None, text, policy))
            elif kind == "caught":
                try:
                    yield recorder.call_activity(f"c{number}", None, text)
                except CallFailed:
                    yield recorder.call_activity(f"undo{number}", None, text)
            elif kind == "signal":
                recorder.signal_entity("@e@k", "add", None)
            elif pending:
                group = recorder.all_of(pending) if number % 2 else recorder.any_of(pending)
                pending = []
                yield group
        if pending:
            yield recorder.all_of(pending)
        raise RuntimeError("mine")

    return code


_PLANS = st.lists(
    st.tuples(st.sampled_from(["call", "retry", "caught", "signal", "wait"]), st.integers(0, 3)), min_size=1, max_size=8
)


@POLICIES
def test_the_code_never_diverges_from_what_is_kept(policy):
    @given(_PLANS, st.randoms(use_true_random=False))
    def fits(plan: list[tuple[str, int]], chance: Any) -> None:
        world = World(_random_code(plan), policy)
        world.start()
        for _ in range(200):
            if world.last.ending is not None:
                break
            seq = chance.choice(sorted(world.open))
            event = world.open[seq]
            if isinstance(event, ev.TimerCreated) or chance.random() < 0.5:
                world.complete(event.task_id)
            else:
                world.fail(event.task_id, f"broken {seq}.")
        kept = fail_at_last(world)
        result = go_on(world, kept)
        failure = result.ending.failure if isinstance(result.ending, ac.Fail) else FailureDetails("", "")
        assert failure.error_type != ERROR_TYPE, failure.message
        assert all(getattr(event, "scheduled_seq", -1) < seq for seq, event in enumerate(kept.events)), (
            "a completion comes after what it completes"
        )

    fits()
