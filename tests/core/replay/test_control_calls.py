"""What acts at the call and needs no yield: continue-as-new, custom status, signals, events sent."""

from datetime import timedelta
from typing import Any

from perdure.core import actions as ac
from perdure.core import events as ev
from perdure.core.replay.recorder import Recorder
from support.replay_world import PORTABLE, T0, World, text


def test_continue_as_new_ends_the_turn_when_the_code_returns() -> None:
    def code(r: Recorder) -> Any:
        yield r.call_activity("work", None, text)
        assert not r.will_continue_as_new
        r.continue_as_new("4", "2.0")
        assert r.will_continue_as_new
        return "ignored"

    world = World(code)
    world.start()
    assert world.complete(0) == ac.TurnResult(ending=ac.ContinueAsNew("4", "2.0"))


def test_continue_as_new_ends_the_turn_when_the_code_yields_again() -> None:
    ran: list[str] = []

    def code(r: Recorder) -> Any:
        r.signal_entity("@log@x", "before", None)
        r.continue_as_new("1")
        r.signal_entity("@log@x", "after", None)
        r.send_event("other", "after", None)
        try:
            yield r.call_activity("after", None, text)
            ran.append("after")
        finally:
            ran.append("finally")

    result = World(code).start()
    assert result.actions == (ac.SignalEntity(0, "@log@x", "before"),)
    assert result.ending == ac.ContinueAsNew("1")
    assert ran == ["finally"]


def test_nothing_is_recorded_after_continue_as_new_at_the_call_either() -> None:
    async def code(r: Recorder) -> Any:
        r.continue_as_new("1")
        r.call_activity("after", None, text)
        await r.create_timer(r.now)

    assert World(code, PORTABLE).start() == ac.TurnResult(ending=ac.ContinueAsNew("1"))


def test_the_first_continue_as_new_counts() -> None:
    def code(r: Recorder) -> Any:
        r.continue_as_new("first")
        r.continue_as_new("second", "9")

    assert World(code).start().ending == ac.ContinueAsNew("first")


def test_an_exception_after_continue_as_new_fails_the_instance() -> None:
    def code(r: Recorder) -> Any:
        r.continue_as_new("1")
        raise ValueError("no")
        yield

    world = World(code)
    world.start()
    assert world.failed_with.message == "no"


def test_events_nobody_took_are_carried_in_order_of_arrival() -> None:
    def code(r: Recorder) -> Any:
        yield r.wait_for_event("go", text)
        yield r.call_activity("work", None, text)
        r.continue_as_new("1")

    world = World(code)
    world.start(ev.EventRaised("B", "1"))
    world.turn(ev.EventRaised("Go", "taken"), ev.EventRaised("A", "2"))
    world.turn(ev.EventRaised("b", "3"), world.completion(0), ev.EventRaised("go", "4"))
    assert world.last.ending == ac.ContinueAsNew(
        "1",
        carried=(
            ac.CarriedEvent("B", "1"),
            ac.CarriedEvent("A", "2"),
            ac.CarriedEvent("b", "3"),
            ac.CarriedEvent("go", "4"),
        ),
    )


def test_a_wait_that_is_open_when_the_code_continues_takes_nothing_any_more() -> None:
    def code(r: Recorder) -> Any:
        yield r.any_of([r.wait_for_event("Go", text), r.create_timer(r.now)])
        r.continue_as_new("1")

    world = World(code)
    world.start()
    world.turn(world.completion(0), ev.EventRaised("Go", "late"))
    assert world.last.ending == ac.ContinueAsNew("1", carried=(ac.CarriedEvent("Go", "late"),))


def test_continue_as_new_takes_an_id() -> None:
    def code(r: Recorder) -> Any:
        r.signal_entity("@log@x", "a", None)
        r.continue_as_new(None)
        seen.append(r.take_id())

    seen: list[int] = []
    World(code).start()
    assert seen == [2]


def test_a_custom_status_is_reported_by_the_turn_that_set_it() -> None:
    def code(r: Recorder) -> Any:
        r.set_custom_status('"one"')
        r.set_custom_status('"two"')
        yield r.call_activity("a", None, text)
        seen.append(r.custom_status)
        yield r.call_activity("b", None, text)
        r.set_custom_status(None)
        yield r.call_activity("c", None, text)

    seen: list[str | None] = []
    world = World(code)
    assert world.start().custom_status == ac.NewStatus('"two"')
    world.reload()
    assert world.complete(0).custom_status is None
    assert world.complete(1).custom_status == ac.NewStatus(None)
    assert seen == ['"two"']


def test_a_custom_status_set_after_continue_as_new_is_kept() -> None:
    def code(r: Recorder) -> Any:
        r.continue_as_new("1")
        r.set_custom_status('"done"')

    assert World(code).start() == ac.TurnResult(ending=ac.ContinueAsNew("1"), custom_status=ac.NewStatus('"done"'))


def test_signals_and_sent_events_act_at_the_call_and_never_block() -> None:
    def code(r: Recorder) -> Any:
        call = r.call_activity("a", None, text)
        signal = r.signal_entity("@log@x", "write", "1", T0 + timedelta(hours=1))
        yield signal
        yield r.all_of([signal, r.send_event("other", "Go", "2")])
        yield call

    assert World(code).start().actions == (
        ac.SignalEntity(0, "@log@x", "write", "1", T0 + timedelta(hours=1)),
        ac.SendEvent(1, "other", "Go", "2"),
        ac.ScheduleActivity(2, "a"),
    )


def test_calls_of_entities_and_children() -> None:
    def code(r: Recorder) -> Any:
        count = yield r.call_entity("@counter@x", "get", None, text)
        child = yield r.call_child("child", "1", None, "2.0", text)
        try:
            yield r.call_entity("@counter@x", "break", None, text)
        except Exception as error:
            return [count, child, str(error)]

    world = World(code)
    assert world.start().actions == (ac.CallEntity(0, "@counter@x", "get"),)
    assert world.complete(0, "42").actions == (ac.StartChild(1, "child", "1", None, "2.0"),)
    world.complete(1, "C")
    world.fail(2, "no such operation")
    assert world.output == "['42', 'C', 'Entity @counter@x: no such operation']"
