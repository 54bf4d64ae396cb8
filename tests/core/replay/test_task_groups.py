"""Groups of tasks: all, any, nested, shared, empty, and tasks that are yielded again."""

import contextlib
from typing import Any

import pytest

from perdure.core import events as ev
from perdure.core.actions import ScheduleActivity
from perdure.core.errors import OrchestratorMisuse
from perdure.core.replay.recorder import Recorder
from support.replay_world import FUNCTIONS, PORTABLE, World, text


def _calls(r: Recorder, count: int) -> list[Any]:
    return [r.call_activity(f"a{n}", None, text) for n in range(count)]


def test_all_gives_values_in_argument_order_whatever_completes_first() -> None:
    def code(r: Recorder) -> Any:
        return (yield r.all_of(_calls(r, 3)))

    world = World(code)
    assert [a.task_id for a in world.start().actions] == [0, 1, 2]
    world.complete(2, "c")
    world.turn(world.completion(0, "a"), world.completion(1, "b"))
    assert world.output == "['a', 'b', 'c']"


def test_all_fails_fast_and_its_siblings_may_still_be_yielded() -> None:
    def code(r: Recorder) -> Any:
        a, b = _calls(r, 2)
        group = r.all_of([a, b])
        try:
            yield group
        except Exception as error:
            seen = str(error)
        value = yield b
        return [seen, value, group.is_failed, str(group.result)]

    world = World(code)
    world.start()
    assert world.fail(0, "first").ending is None
    world.complete(1, "b")
    assert world.output == "['Activity a0: first', 'b', True, 'Activity a0: first']"


def test_all_that_waits_for_all_raises_the_first_failure_at_the_end() -> None:
    def code(r: Recorder) -> Any:
        try:
            yield r.all_of(_calls(r, 3))
        except Exception as error:
            return str(error)

    world = World(code, PORTABLE)
    world.start()
    world.fail(2, "second in order, first in time")
    world.fail(1, "later")
    assert world.last.ending is None
    world.complete(3)
    assert world.output == repr("Activity a1: second in order, first in time")


def test_all_over_an_already_failed_task_fails_when_yielded() -> None:
    def code(r: Recorder) -> Any:
        a, b = _calls(r, 2)
        with contextlib.suppress(Exception):
            yield a
        try:
            yield r.all_of([a, b])
        except Exception as error:
            return str(error)

    world = World(code)
    world.start()
    # The group is complete when it is yielded; b, which is new in it, is asked for all the same.
    assert [action.task_id for action in world.fail(0).actions] == [1]
    assert world.output == "'Activity a0: broken'"


def test_any_gives_the_very_task_that_completed_first() -> None:
    def code(r: Recorder) -> Any:
        a, b = _calls(r, 2)
        winner = yield r.any_of([a, b])
        return [winner is b, winner == b, winner.result, a.is_completed]

    world = World(code)
    world.start()
    world.complete(1, "b")
    assert world.output == "[True, True, 'b', False]"


def test_the_first_event_of_the_episode_decides_who_wins() -> None:
    def code(r: Recorder) -> Any:
        a, b = _calls(r, 2)
        winner = yield r.any_of([a, b])
        return winner is b

    world = World(code)
    world.start()
    world.turn(world.completion(1), world.completion(0))
    assert world.output == "True"


def test_among_completed_tasks_the_first_argument_wins() -> None:
    def code(r: Recorder) -> Any:
        a, b = _calls(r, 2)
        yield r.all_of([b, a])
        winner = yield r.any_of([a, b])
        return winner is a

    world = World(code)
    world.start()
    world.turn(world.completion(0), world.completion(1))
    assert world.output == "True"


def test_a_group_that_has_ended_is_not_changed_by_its_other_children() -> None:
    def code(r: Recorder) -> Any:
        a, b, c = _calls(r, 3)
        first = r.any_of([a, b, c])
        everything = r.all_of([a, b, c])
        yield r.any_of([first, everything])
        with contextlib.suppress(Exception):
            yield everything
        yield r.wait_for_event("Go", text)
        return [first.value is b, str(everything.error), everything.is_failed]

    world = World(code)
    world.start()
    world.complete(1)
    world.fail(2, "the first failure")
    world.fail(0, "the second")
    world.raise_event("Go")
    assert world.output == "[True, 'Activity a2: the first failure', True]"


def test_a_failed_child_wins_any_and_raises_when_it_is_yielded() -> None:
    def code(r: Recorder) -> Any:
        a, b = _calls(r, 2)
        winner = yield r.any_of([a, b])
        assert isinstance(winner.result, Exception)
        try:
            yield winner
        except Exception as error:
            return [winner is b, str(error)]

    world = World(code)
    world.start()
    world.fail(1)
    assert world.output == "[True, 'Activity a1: broken']"


def test_drain_by_any_schedules_nothing_twice() -> None:
    def code(r: Recorder) -> Any:
        pending = _calls(r, 3)
        order: list[Any] = []
        while pending:
            done = yield r.any_of(pending)
            pending.remove(done)
            order.append(done.result)
        return order

    world = World(code)
    assert len(world.start().actions) == 3
    assert world.complete(1, "one").actions == ()
    assert world.turn(world.completion(2, "two"), world.completion(0, "zero")).actions == ()
    assert world.output == "['one', 'two', 'zero']"


def test_a_drained_fan_out_does_not_pile_up_ended_groups() -> None:
    tasks: list[Any] = []

    def code(r: Recorder) -> Any:
        tasks.extend(_calls(r, 200))
        pending = list(tasks)
        while len(pending) > 1:
            pending.remove((yield r.any_of(pending)))

    world = World(code)
    world.start()
    world.turn(*(world.completion(n) for n in range(198)))
    assert len(tasks[199].take_watchers()) == 1


def test_every_group_that_holds_a_task_is_told() -> None:
    def code(r: Recorder) -> Any:
        a, b, c = _calls(r, 3)
        groups = [r.all_of([a, b]), r.any_of([a, c]), r.all_of([a, c])]
        yield r.any_of([groups[0], groups[2]])
        return [g.is_completed for g in groups]

    world = World(code)
    world.start()
    assert world.complete(0).ending is None
    world.complete(1)
    assert world.output == "[True, True, False]"


def test_one_task_twice_in_one_group() -> None:
    def code(r: Recorder) -> Any:
        (a,) = _calls(r, 1)
        return (yield r.all_of([a, a]))

    world = World(code)
    assert len(world.start().actions) == 1
    world.complete(0, "v")
    assert world.output == "['v', 'v']"


def test_nested_groups_take_ids_depth_first() -> None:
    def code(r: Recorder) -> Any:
        both = r.all_of(_calls(r, 2))
        timer = r.create_timer(r.now)
        winner = yield r.any_of([both, timer])
        if winner is both:
            timer.cancel()
            return both.result

    world = World(code)
    assert [(type(a).__name__, a.task_id) for a in world.start().actions] == [
        ("ScheduleActivity", 0),
        ("ScheduleActivity", 1),
        ("CreateTimer", 2),
    ]
    world.turn(world.completion(1, "B"), world.completion(0, "A"))
    assert world.output == "['A', 'B']"


def test_empty_groups_complete_at_once() -> None:
    def code(r: Recorder) -> Any:
        everything = yield r.all_of([])
        anything = yield r.any_of([])
        return [everything, anything]

    world = World(code)
    world.start()
    assert world.output == "[[], None]"


def test_groups_take_any_iterable() -> None:
    def code(r: Recorder) -> Any:
        return (yield r.all_of(r.call_activity("a", str(n), text) for n in range(2)))

    world = World(code)
    assert [a.input for a in world.start().actions if isinstance(a, ScheduleActivity)] == ["0", "1"]


@pytest.mark.parametrize("group", ["all_of", "any_of"])
def test_a_group_refuses_what_is_no_task(group: str) -> None:
    def code(r: Recorder) -> Any:
        with pytest.raises(OrchestratorMisuse, match="'int'"):
            getattr(r, group)([r.call_activity("a", None, text), 5])
        return "refused"

    world = World(code)
    world.start()
    assert world.output == "'refused'"


def test_thousands_of_nested_groups() -> None:
    def code(r: Recorder) -> Any:
        (task,) = _calls(r, 1)
        for _ in range(5_000):
            task = r.all_of([task])
        value = yield task
        for _ in range(5_000):
            (value,) = value
        return value

    world = World(code)
    assert len(world.start().actions) == 1
    world.complete(0, "deep")
    assert world.output == "'deep'"


def test_a_completed_task_is_yielded_again_without_an_action() -> None:
    def code(r: Recorder) -> Any:
        (a,) = _calls(r, 1)
        return [(yield a), (yield a), a.result, a.is_completed]

    world = World(code)
    world.start()
    assert world.complete(0, "v").actions == ()
    assert world.output == "['v', 'v', 'v', True]"


def test_a_failed_task_raises_the_same_exception_again() -> None:
    def code(r: Recorder) -> Any:
        (a,) = _calls(r, 1)
        errors: list[Any] = []
        for _ in range(2):
            try:
                yield a
            except Exception as error:
                errors.append(error)
        return errors[0] is errors[1] is a.result

    world = World(code)
    world.start()
    world.fail(0)
    assert world.output == "True"


def test_what_decoding_raises_is_raised_at_the_yield() -> None:
    def decode(value: str | None) -> Any:
        raise ValueError(f"cannot read {value}")

    def code(r: Recorder) -> Any:
        seen: list[str] = []
        for task in (r.call_activity("a", None, decode), r.wait_for_event("Go", decode)):
            try:
                yield task
            except ValueError as error:
                seen.append(str(error))
        return seen

    world = World(code)
    world.start()
    world.turn(world.completion(0, "x"), ev.EventRaised("Go", "y"))
    assert world.output == "['cannot read x', 'cannot read y']"


@pytest.mark.parametrize("policy", [FUNCTIONS, PORTABLE], ids=["functions", "portable"])
def test_a_task_that_is_never_yielded(policy: Any) -> None:
    """Functions: it never becomes an action. Portable: the call schedules."""

    def code(r: Recorder) -> Any:
        r.call_activity("dropped", None, text)
        r.all_of([r.call_activity("in a dropped group", None, text)])
        return (yield r.call_activity("wanted", None, text))

    names = [a.name for a in World(code, policy).start().actions if isinstance(a, ScheduleActivity)]
    assert names == (["wanted"] if policy is FUNCTIONS else ["dropped", "in a dropped group", "wanted"])


def test_a_later_yield_mixes_known_and_new_tasks() -> None:
    def code(r: Recorder) -> Any:
        a, b = _calls(r, 2)
        yield r.any_of([a, b])
        c = r.call_activity("c", None, text)
        yield r.all_of([a, b, c])

    world = World(code)
    world.start()
    actions = world.complete(1).actions
    assert [(a.task_id, a.name) for a in actions if isinstance(a, ScheduleActivity)] == [(2, "c")]
