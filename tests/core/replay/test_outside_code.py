"""Code that keeps nothing between turns: what it asks for becomes actions once, with the ids that it counts itself."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from perdure.core import actions as ac
from perdure.core import events as ev
from perdure.core.failures import FailureDetails
from perdure.core.replay import asked as ask
from perdure.core.replay.matching import ERROR_TYPE
from perdure.core.retry import RetryPolicy
from support.outside_world import OutsideWorld, Past, Script
from support.replay_world import T0

HOUR = T0 + timedelta(hours=1)
RETRY = RetryPolicy(timedelta(seconds=5), 2)


def activity(name: str, retry: RetryPolicy | None = None) -> ask.AskedActivity:
    return ask.AskedActivity(name, "1", retry)


def waiting(*actions: ask.AskedAction) -> ask.Asked:
    return ask.Asked(actions)


def done(*actions: ask.AskedAction, output: str = '"end"') -> ask.Asked:
    return ask.Asked(actions, is_done=True, output=output)


def always(answer: ask.Asked) -> Script:
    return lambda past: answer


def world_of(script: Script) -> OutsideWorld:
    return OutsideWorld.of_script(script)


def ids(result: ac.TurnResult) -> list[tuple[str, int]]:
    return [(type(action).__name__, action.task_id) for action in result.actions]


@pytest.fixture(params=["live", "reloaded"])
def go_on(request: pytest.FixtureRequest) -> Callable[[OutsideWorld], None]:
    """Before each turn: nothing, or a restart."""
    return OutsideWorld.reload if request.param == "reloaded" else lambda world: None


def test_a_chain_schedules_one_call_after_the_other(go_on):
    def chain(past: Past) -> ask.Asked:
        count = past.count(ev.TaskCompleted)
        calls = [activity("a"), activity("b")][: count + 1]
        return done(*calls) if count == 2 else waiting(*calls)

    world = world_of(chain)
    assert world.start().actions == (ac.ScheduleActivity(0, "a", "1"),)
    go_on(world)
    assert world.complete(0, "7").actions == (ac.ScheduleActivity(1, "b", "1"),)
    go_on(world)
    assert world.complete(1, "8") == ac.TurnResult(ending=ac.Complete('"end"'))


def test_a_fan_out_schedules_all_at_once_and_nothing_twice(go_on):
    calls = [activity(name) for name in "abc"]

    world = world_of(lambda past: done(*calls) if past.count(ev.TaskCompleted) == 3 else waiting(*calls))
    assert ids(world.start()) == [("ScheduleActivity", 0), ("ScheduleActivity", 1), ("ScheduleActivity", 2)]
    for task_id in (2, 0):
        go_on(world)
        assert world.complete(task_id) == ac.TurnResult()
    go_on(world)
    assert isinstance(world.complete(1).ending, ac.Complete)


def test_every_kind_of_action_in_one_answer():
    world = world_of(
        always(
            waiting(
                ask.AskedChild("child", "1", "child-1", "2.0"),
                ask.AskedTimer(HOUR, is_cancelled=False),
                ask.AskedEvent("Go"),
                ask.AskedCall("@counter@a", "get", None),
                ask.AskedSignal("@counter@a", "add", "5", HOUR),
                ask.AskedHttp('{"method":"GET"}'),
            )
        )
    )
    result = world.start()
    assert result.actions == (
        ac.StartChild(0, "child", "1", "child-1", "2.0"),
        ac.CreateTimer(1, HOUR),
        ac.CallEntity(2, "@counter@a", "get", None),
        ac.SignalEntity(3, "@counter@a", "add", "5", HOUR),
        ac.ScheduleActivity(4, "BuiltIn::HttpActivity", '{"method":"GET"}'),
    )
    assert result.awaited_events == ("Go",)


def test_a_retry_makes_its_timer_and_its_next_attempt_by_itself(go_on):
    call = activity("flaky", RETRY)
    world = world_of(lambda past: done(call) if past.has(ev.TaskCompleted) else waiting(call))
    assert ids(world.start()) == [("ScheduleActivity", 0)]
    go_on(world)
    assert world.fail(0).actions == (ac.CreateTimer(1, T0 + timedelta(seconds=5)),)
    go_on(world)
    assert world.complete(1).actions == (ac.ScheduleActivity(2, "flaky", "1"),)
    go_on(world)
    assert isinstance(world.complete(2).ending, ac.Complete)


def test_the_last_failure_is_followed_by_a_timer_that_is_due_at_once(go_on):
    """The code counts an id for it, and does not see the failure before that timer has fired."""
    call = activity("flaky", RetryPolicy(timedelta(seconds=5), 1))

    def code(past: Past) -> ask.Asked:
        return waiting(call, activity("undo")) if past.has(ev.TimerFired) else waiting(call)

    world = world_of(code)
    world.start()
    go_on(world)
    assert world.fail(0).actions == (ac.CreateTimer(1, T0),)
    go_on(world)
    assert ids(world.complete(1)) == [("ScheduleActivity", 2)]


def test_a_failure_that_is_not_to_be_tried_again_is_tried_again():
    """The code cannot tell, and counts the ids of the next attempt."""
    world = world_of(always(waiting(activity("flaky", RETRY))))
    world.start()
    assert ids(world.fail(0, is_non_retriable=True)) == [("CreateTimer", 1)]


def test_a_retried_child_keeps_its_instance_id_and_version(go_on):
    world = world_of(always(waiting(ask.AskedChild("child", None, "child-1", "2.0", RETRY))))
    world.start()
    go_on(world)
    world.fail(0)
    go_on(world)
    assert world.complete(1).actions == (ac.StartChild(2, "child", None, "child-1", "2.0"),)


@pytest.mark.parametrize("failure_first", [True, False])
def test_ids_of_a_retry_follow_those_of_what_earlier_events_of_the_turn_led_to(go_on, failure_first):
    """One turn brings a failure to be retried and a completion that the code answers with another call."""
    first = [activity("flaky", RETRY), activity("a")]

    def code(past: Past) -> ask.Asked:
        return waiting(*first, activity("b")) if past.has(ev.TaskCompleted) else waiting(*first)

    world = world_of(code)
    world.start()
    go_on(world)
    failure, completion = world.failure(0), world.completion(1)
    result = world.turn(failure, completion) if failure_first else world.turn(completion, failure)
    issued = [("CreateTimer", 2), ("ScheduleActivity", 3)] if failure_first else [
        ("ScheduleActivity", 2),
        ("CreateTimer", 3),
    ]  # fmt: skip
    assert ids(result) == issued
    # And so it stays when replayed: no divergence, nothing new.
    world.reload()
    assert world.turn() == ac.TurnResult()


def test_a_timer_cancelled_later_has_no_effect_when_it_fires(go_on):
    def code(past: Past) -> ask.Asked:
        event = ask.AskedEvent("Go")
        if past.has(ev.EventRaised):
            return waiting(ask.AskedTimer(HOUR, is_cancelled=True), event, activity("a"))
        return waiting(ask.AskedTimer(HOUR, is_cancelled=False), event)

    world = world_of(code)
    assert ids(world.start()) == [("CreateTimer", 0)]
    go_on(world)
    assert ids(world.raise_event("Go")) == [("ScheduleActivity", 1)]
    assert world.replayer.open_task_count == 1
    go_on(world)
    assert world.complete(0) == ac.TurnResult()


def test_a_timer_cancelled_before_it_was_asked_for_takes_its_id_and_asks_for_nothing(go_on):
    world = world_of(always(waiting(ask.AskedTimer(HOUR, is_cancelled=True), activity("a"))))
    assert ids(world.start()) == [("ScheduleActivity", 1)]
    go_on(world)
    assert world.complete(1) == ac.TurnResult()


def test_an_event_before_its_wait_is_taken_and_another_is_carried_over(go_on):
    def code(past: Past) -> ask.Asked:
        if not past.has(ev.TaskCompleted):
            return waiting(activity("a"))
        return waiting(activity("a"), ask.AskedEvent("go"), ask.AskedContinuation("2"))

    world = world_of(code)
    world.start()
    for text in ("1", "2"):
        go_on(world)
        assert world.raise_event("Go", text) == ac.TurnResult()
    go_on(world)
    assert world.complete(0).ending == ac.ContinueAsNew("2", carried=(ac.CarriedEvent("Go", "2"),))


def test_an_event_after_the_end_of_the_code_in_the_same_turn_is_carried_over(go_on):
    def code(past: Past) -> ask.Asked:
        wait = [activity("a"), ask.AskedEvent("Go")]
        return done(*wait, ask.AskedContinuation("2")) if past.has(ev.TaskCompleted) else waiting(*wait)

    world = world_of(code)
    world.start()
    go_on(world)
    result = world.turn(world.completion(0), ev.EventRaised("Go", "1"), ev.EventRaised("go", "2"))
    assert result.ending == ac.ContinueAsNew("2", carried=(ac.CarriedEvent("Go", "1"), ac.CarriedEvent("go", "2")))


def test_what_follows_continue_as_new_is_dropped():
    world = world_of(always(done(ask.AskedContinuation("2"), activity("late"), ask.AskedContinuation("3"))))
    assert world.start() == ac.TurnResult(ending=ac.ContinueAsNew("2"))


def test_a_failure_keeps_what_was_asked_for_before_it():
    failure = FailureDetails("ValueError", "wrong")
    world = world_of(always(ask.Asked((ask.AskedSignal("@log@a", "add", None),), failure=failure)))
    assert world.start() == ac.TurnResult((ac.SignalEntity(0, "@log@a", "add", None),), ac.Fail(failure))


def test_a_failure_after_continue_as_new_fails():
    failure = FailureDetails("ValueError", "wrong")
    world = world_of(always(ask.Asked((ask.AskedContinuation("2"),), failure=failure)))
    assert world.start().ending == ac.Fail(failure)


def test_what_the_code_raises_fails_the_instance():
    def code(past: Past) -> ask.Asked:
        raise KeyError("mine")

    ending = world_of(code).start().ending
    assert isinstance(ending, ac.Fail)
    assert (ending.failure.error_type, ending.failure.message) == ("KeyError", "'mine'")


def test_a_custom_status_is_news_when_it_changes(go_on):
    def code(past: Past) -> ask.Asked:
        status = '"two"' if past.count(ev.EventRaised) > 1 else '"one"'
        return ask.Asked((ask.AskedEvent("Go"), ask.AskedEvent("Go")), custom_status=status)

    world = world_of(code)
    assert world.start().custom_status == ac.NewStatus('"one"')
    go_on(world)
    assert world.raise_event("Go").custom_status is None
    go_on(world)
    assert world.raise_event("Go").custom_status == ac.NewStatus('"two"')


@pytest.mark.parametrize(
    ("after", "found"),
    [([activity("other")], "activity 'other'"), ([], "nothing"), ([ask.AskedTimer(T0, False)], "timer")],
)
def test_code_that_asks_for_something_else_than_recorded_fails_naming_both(after, found):
    changed: list[ask.AskedAction] = [activity("first")]
    world = world_of(lambda past: waiting(*changed))
    world.start()
    changed[:] = after
    world.reload()
    ending = world.complete(0).ending
    assert isinstance(ending, ac.Fail)
    assert ending.failure.error_type == ERROR_TYPE
    assert "activity 'first'" in ending.failure.message
    assert found in ending.failure.message


def test_code_that_raises_over_its_past_fails_at_the_next_turn():
    breaks = False

    def code(past: Past) -> ask.Asked:
        if breaks:
            raise RuntimeError("no module")
        return waiting(activity("a"))

    world = world_of(code)
    world.start()
    breaks = True
    world.reload()
    ending = world.complete(0).ending
    assert isinstance(ending, ac.Fail)
    assert ending.failure.message == "no module"


def test_completions_that_nobody_asked_for_are_no_reason_to_ask():
    asked = 0

    def code(past: Past) -> ask.Asked:
        nonlocal asked
        asked += 1
        return waiting(activity("a"))

    world = world_of(code)
    world.start()
    assert world.turn(ev.TaskCompleted(9, 9, None), ev.TimerFired(8, 8, T0)) == ac.TurnResult()
    assert asked == 1
