"""Durable timers, their hops and cancellation; calls with retries and the ids they take."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from perdure.core import actions as ac
from perdure.core.replay.recorder import Recorder
from perdure.core.retry import RetryPolicy
from support.replay_world import FUNCTIONS, PORTABLE, T0, World, text

FIVE_SECONDS = timedelta(seconds=5)


def _sleep(seconds: float) -> Any:
    def code(r: Recorder) -> Any:
        yield r.create_timer(r.now + timedelta(seconds=seconds))
        return r.now

    return code


def test_a_timer_wakes_the_code_at_its_time() -> None:
    world = World(_sleep(60))
    assert world.start().actions == (ac.CreateTimer(0, T0 + timedelta(seconds=60)),)
    world.complete(0)
    assert world.output == repr(T0 + timedelta(seconds=60))


def test_a_timer_in_the_past_is_an_action_too() -> None:
    assert World(_sleep(-60)).start().actions == (ac.CreateTimer(0, T0 - timedelta(seconds=60)),)


def test_times_are_utc_and_naive_ones_are_refused() -> None:
    def code(r: Recorder) -> Any:
        with pytest.raises(ValueError, match="no time zone"):
            r.create_timer(datetime(2026, 1, 1))
        yield r.create_timer(datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))))

    (timer,) = World(code).start().actions
    assert timer == ac.CreateTimer(0, T0)
    assert isinstance(timer, ac.CreateTimer)
    assert timer.fire_at.tzinfo is UTC


def test_cancelling() -> None:
    def code(r: Recorder) -> Any:
        timer = r.create_timer(r.now + timedelta(hours=1))
        event = r.wait_for_event("Go", text)
        yield r.any_of([timer, event])
        timer.cancel()
        timer.cancel()
        winner = yield r.any_of([timer, r.wait_for_event("End", text)])
        return [winner is timer, timer.is_cancelled, timer.is_completed]

    world = World(code)
    world.start()
    fired = world.completion(0)
    world.raise_event("Go")
    assert world.turn(fired).ending is None
    world.raise_event("End")
    assert world.output == "[False, True, False]"


def test_cancelling_a_completed_timer() -> None:
    def code(r: Recorder) -> Any:
        timer = r.create_timer(r.now)
        yield timer
        with pytest.raises(ValueError, match=r"^Cannot cancel a completed task\.$"):
            timer.cancel()
        return timer.is_cancelled

    world = World(code)
    world.start()
    world.complete(0)
    assert world.output == "False"


def test_a_timer_cancelled_before_its_yield_takes_its_id_and_asks_for_nothing() -> None:
    def code(r: Recorder) -> Any:
        timer = r.create_timer(r.now)
        timer.cancel()
        yield r.any_of([timer, r.call_activity("a", None, text)])

    assert World(code).start().actions == (ac.ScheduleActivity(1, "a"),)


def test_a_long_timer_is_made_of_hops_and_is_one_task() -> None:
    world = World(_sleep(86_400 * 10))
    days = [a.fire_at for a in world.start().actions if isinstance(a, ac.CreateTimer)]
    for task_id in (0, 1):
        days += [a.fire_at for a in world.complete(task_id).actions if isinstance(a, ac.CreateTimer)]
    assert [(day - T0).days for day in days] == [3, 6, 10]
    assert [event.task_id for event in world.open.values()] == [2]
    world.complete(2)
    assert world.output == repr(T0 + timedelta(days=10))


def test_a_timer_of_the_longest_length_is_one_hop() -> None:
    world = World(_sleep(86_400 * 6))
    world.start()
    world.complete(0)
    assert world.output == repr(T0 + timedelta(days=6))


def test_a_hop_that_fires_late_is_followed_by_what_is_left() -> None:
    world = World(_sleep(86_400 * 10))
    world.start()
    world.now = T0 + timedelta(days=9)
    assert world.complete(0).actions == (ac.CreateTimer(1, T0 + timedelta(days=10)),)


def test_cancelling_a_long_timer_cancels_the_hop_under_way() -> None:
    def code(r: Recorder) -> Any:
        timer = r.create_timer(r.now + timedelta(days=10))
        yield r.any_of([timer, r.wait_for_event("Go", text)])
        timer.cancel()
        yield r.any_of([timer, r.wait_for_event("End", text)])

    world = World(code)
    world.start()
    world.complete(0)
    world.raise_event("Go")
    assert world.complete(1).actions == ()


def _retried(attempts: int = 3, **options: Any) -> Any:
    def code(r: Recorder) -> Any:
        policy = RetryPolicy(FIVE_SECONDS, attempts, **options)
        try:
            return (yield r.call_activity_with_retry("flaky", "in", text, policy))
        except Exception as error:
            return str(error)

    return code


def test_each_attempt_takes_a_new_id_and_so_does_each_timer() -> None:
    world = World(_retried())
    assert world.start().actions == (ac.ScheduleActivity(0, "flaky", "in"),)
    assert world.fail(0).actions == (ac.CreateTimer(1, T0 + FIVE_SECONDS),)
    assert world.complete(1).actions == (ac.ScheduleActivity(2, "flaky", "in"),)
    world.complete(2, "ok")
    assert world.output == "'ok'"


def test_portable_attempts_keep_the_id_of_the_call() -> None:
    world = World(_retried(), PORTABLE)
    assert world.start().actions == (ac.ScheduleActivity(1, "flaky", "in"),)
    assert world.fail(1).actions == (ac.CreateTimer(2, T0 + FIVE_SECONDS),)
    assert world.complete(2).actions == (ac.ScheduleActivity(1, "flaky", "in"),)
    world.reload()
    assert world.fail(1).actions == (ac.CreateTimer(3, T0 + 2 * FIVE_SECONDS),)
    assert world.complete(3).actions == (ac.ScheduleActivity(1, "flaky", "in"),)
    world.complete(1, "ok")
    assert world.output == "'ok'"


def test_the_last_failure_is_raised_without_a_further_timer() -> None:
    world = World(_retried(2))
    world.start()
    world.fail(0, "first")
    world.complete(1)
    assert world.fail(2, "second").actions == ()
    assert world.output == "'Activity flaky: second'"


def test_backing_off() -> None:
    world = World(_retried(5, backoff_coefficient=3.0, max_interval=timedelta(seconds=20)))
    world.start()
    waits: list[float] = []
    for attempt in (0, 2, 4, 6):
        (timer,) = world.fail(attempt).actions
        assert isinstance(timer, ac.CreateTimer)
        waits.append((timer.fire_at - world.now).total_seconds())
        world.complete(timer.task_id)
    assert waits == [5, 15, 20, 20]


def test_the_timeout_counts_from_the_first_attempt_on_the_orchestration_clock() -> None:
    world = World(_retried(9, retry_timeout=timedelta(seconds=12)))
    world.start()
    for attempt, timer in ((0, 1), (2, 3), (4, 5)):
        assert world.fail(attempt).actions
        world.complete(timer)
    assert world.fail(6).actions == ()
    assert world.output == "'Activity flaky: broken'"


def test_a_non_retriable_failure_is_raised_at_once() -> None:
    world = World(_retried())
    world.start()
    world.fail(0, "never", is_non_retriable=True)
    assert world.output == "'Activity flaky: never'"


def test_the_handler_may_refuse_and_what_it_raises_is_raised_at_the_yield() -> None:
    world = World(_retried(handler=lambda failure: failure.message != "fatal"))
    world.start()
    world.fail(0, "passing")
    world.complete(1)
    world.fail(2, "fatal")
    assert world.output == "'Activity flaky: fatal'"

    def broken(failure: Any) -> bool:
        raise RuntimeError("handler broken")

    world = World(_retried(handler=broken))
    world.start()
    world.fail(0)
    assert world.output == "'handler broken'"


def test_a_result_that_cannot_be_decoded_is_not_tried_again() -> None:
    def decode(value: str | None) -> Any:
        raise ValueError("unreadable")

    def code(r: Recorder) -> Any:
        try:
            yield r.call_activity_with_retry("flaky", None, decode, RetryPolicy(FIVE_SECONDS, 3))
        except ValueError as error:
            return str(error)

    world = World(code)
    world.start()
    assert world.complete(0).actions == ()
    assert world.output == "'unreadable'"


def test_retries_side_by_side_take_ids_as_their_events_come() -> None:
    def code(r: Recorder) -> Any:
        policy = RetryPolicy(FIVE_SECONDS, 2)
        return (yield r.all_of([r.call_activity_with_retry(n, None, text, policy) for n in "ab"]))

    world = World(code)
    world.start()
    assert world.turn(world.failure(1), world.failure(0)).actions == (
        ac.CreateTimer(2, T0 + FIVE_SECONDS),
        ac.CreateTimer(3, T0 + FIVE_SECONDS),
    )
    assert world.complete(3).actions == (ac.ScheduleActivity(4, "a"),)
    assert world.complete(2).actions == (ac.ScheduleActivity(5, "b"),)
    world.turn(world.completion(4, "A"), world.completion(5, "B"))
    assert world.output == "['A', 'B']"


@pytest.mark.parametrize("explicit", [None, "child-1"])
def test_a_retried_child_has_a_new_id_unless_it_was_given_one(explicit: str | None) -> None:
    def code(r: Recorder) -> Any:
        return (yield r.call_child_with_retry("child", "1", explicit, "2.0", text, RetryPolicy(FIVE_SECONDS, 2)))

    world = World(code, FUNCTIONS)
    assert world.start().actions == (ac.StartChild(0, "child", "1", explicit, "2.0"),)
    world.fail(0)
    # The engine makes an id of the task id when none is given, so a new task id is a new child.
    assert world.complete(1).actions == (ac.StartChild(2, "child", "1", explicit, "2.0"),)
    world.complete(2, "ok")
    assert world.output == "'ok'"


def test_a_retried_call_may_lose_against_a_timer() -> None:
    def code(r: Recorder) -> Any:
        call = r.call_activity_with_retry("flaky", None, text, RetryPolicy(FIVE_SECONDS, 3))
        limit = r.create_timer(r.now + timedelta(seconds=3))
        winner = yield r.any_of([call, limit])
        return winner is limit

    world = World(code)
    world.start()
    world.fail(0)
    world.complete(1)
    assert world.output == "True"


def test_a_retry_delay_beyond_the_longest_timer_is_made_of_hops() -> None:
    def code(r: Recorder) -> Any:
        return (yield r.call_activity_with_retry("flaky", None, text, RetryPolicy(timedelta(days=7), 2)))

    world = World(code)
    world.start()
    assert world.fail(0).actions == (ac.CreateTimer(1, T0 + timedelta(days=3)),)
    assert world.complete(1).actions == (ac.CreateTimer(2, T0 + timedelta(days=7)),)
    assert world.complete(2).actions == (ac.ScheduleActivity(3, "flaky"),)
