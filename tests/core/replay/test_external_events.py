"""External events: buffered, matched without case, given to one waiter each."""

from datetime import timedelta
from typing import Any

import pytest

from perdure.core import actions as ac
from perdure.core import events as ev
from perdure.core.replay.recorder import Recorder
from support.replay_world import FUNCTIONS, PORTABLE, World, text


def _go(r: Recorder) -> Any:
    return r.wait_for_event("Go", text)


def test_a_waiter_takes_the_event_whatever_its_case() -> None:
    def code(r: Recorder) -> Any:
        return (yield _go(r))

    world = World(code)
    assert world.start() == ac.TurnResult(awaited_events=("Go",))
    assert world.raise_event("other", "1").awaited_events == ("Go",)
    world.raise_event("gO", "2")
    assert world.output == "'2'"


def test_events_without_a_waiter_are_kept_in_order_per_name() -> None:
    def code(r: Recorder) -> Any:
        yield r.call_activity("a", None, text)
        first = yield _go(r)
        stop = yield r.wait_for_event("STOP", text)
        second = yield _go(r)
        return [first, stop, second]

    world = World(code)
    world.start()
    world.raise_event("go", "1")
    world.turn(ev.EventRaised("GO", "2"), ev.EventRaised("stop", "3"))
    world.reload()
    world.complete(0)
    assert world.output == "['1', '3', '2']"


def test_events_before_the_start_of_code_are_kept() -> None:
    def code(r: Recorder) -> Any:
        return (yield _go(r))

    world = World(code)
    world.turn(ev.EventRaised("Go", "early"))
    world.start()
    assert world.output == "'early'"


def test_an_event_without_input_gives_what_the_decoder_makes_of_none() -> None:
    def code(r: Recorder) -> Any:
        return (yield _go(r)) is None

    world = World(code)
    world.start(ev.EventRaised("go"))
    assert world.output == "True"


def test_one_event_completes_one_waiter_the_oldest_first() -> None:
    def code(r: Recorder) -> Any:
        return (yield r.all_of([_go(r), _go(r)]))

    world = World(code)
    world.start()
    world.raise_event("Go", "1")
    assert world.last.ending is None
    world.raise_event("Go", "2")
    assert world.output == "['1', '2']"


def test_an_abandoned_wait_does_not_swallow_the_event_meant_for_the_current_one() -> None:
    """The loop of every monitor: a new wait and a new timer each time round."""

    def code(r: Recorder) -> Any:
        rounds = 0
        while True:
            stop = r.wait_for_event("Stop", text)
            pause = r.create_timer(r.now + timedelta(seconds=30))
            winner = yield r.any_of([stop, pause])
            if winner is stop:
                return [rounds, stop.result]
            rounds += 1

    world = World(code)
    world.start()
    world.complete(0)
    world.complete(1)
    world.reload()
    world.raise_event("stop", "now")
    assert world.output == "[2, 'now']"


def test_waits_the_code_does_not_stand_at_take_events_too_the_oldest_first() -> None:
    def code(r: Recorder) -> Any:
        first, second = _go(r), _go(r)
        yield r.any_of([first, second, r.create_timer(r.now)])
        yield r.call_activity("meanwhile", None, text)
        return [first.result, second.result]

    world = World(code)
    world.start()
    world.complete(0)
    world.turn(ev.EventRaised("go", "1"), ev.EventRaised("go", "2"))
    world.complete(1)
    assert world.output == "['1', '2']"


@pytest.mark.parametrize("policy", [FUNCTIONS, PORTABLE], ids=["functions", "portable"])
def test_when_a_wait_begins(policy: Any) -> None:
    """Functions: at its first yield. Portable: at the call, so it takes an event although nobody yields it."""

    def code(r: Recorder) -> Any:
        waits = [_go(r), _go(r)]
        yield r.call_activity("a", None, text)
        value = yield waits[1]
        return [value, waits[0].result]

    world = World(code, policy)
    assert world.start().awaited_events == (() if policy is FUNCTIONS else ("Go",))
    world.raise_event("go", "1")
    world.complete(policy.first_task_id)
    if policy is PORTABLE:
        world.raise_event("go", "2")
    assert world.output == ("['1', None]" if policy is FUNCTIONS else "['2', '1']")


def test_awaited_names_are_those_of_open_waits_each_once() -> None:
    def code(r: Recorder) -> Any:
        names = ["Go", "Stop", "GO", "pause"]
        yield r.all_of([r.wait_for_event(name, text) for name in names])

    world = World(code)
    assert world.start().awaited_events == ("Go", "Stop", "pause")
    assert world.raise_event("stop").awaited_events == ("Go", "pause")
    assert world.raise_event("go").awaited_events == ("GO", "pause")
    assert world.fresh().advance([]).awaited_events == ("GO", "pause")


def test_an_event_that_is_there_lets_the_other_tasks_be_scheduled_too() -> None:
    def code(r: Recorder) -> Any:
        yield r.call_activity("a", None, text)
        event = _go(r)
        winner = yield r.any_of([event, r.call_activity("b", None, text)])
        return winner is event

    world = World(code)
    world.start(ev.EventRaised("go"))
    assert world.complete(0).actions == (ac.ScheduleActivity(1, "b"),)
    assert world.output == "True"
