"""Code against history: what was changed illegally is found and named from both sides; the rest raises no alarm."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from perdure.core import actions as ac
from perdure.core import events as ev
from perdure.core.failures import FailureDetails
from perdure.core.replay.recorder import Recorder
from perdure.core.replay.replayer import Replayer
from perdure.core.retry import RetryPolicy
from perdure.core.status import RuntimeStatus
from support.replay_world import T0, World, define, text

RETRY = RetryPolicy(timedelta(seconds=5), 3)


def _order(r: Recorder) -> Any:
    """What the instance began with: 11 tasks, up to the wait for the last activity."""
    r.set_custom_status('"began"')
    a = yield r.call_activity("Charge", "1", text)  # 0
    yield r.all_of([r.call_activity("Pack", n, text) for n in "12"])  # 1, 2
    r.signal_entity("@stock@x", "reserve", "1")  # 3
    yield r.call_entity("@stock@x", "count", None, text)  # 4
    r.send_event("warehouse", "Ready", "1")  # 5
    yield r.any_of([r.wait_for_event("Go", text), r.create_timer(r.now + timedelta(hours=1))])  # 6
    yield r.call_child("Ship", "1", None, None, text)  # 7
    yield r.call_activity_with_retry("Notify", "1", text, RETRY)  # 8, timer 9, 10
    yield r.call_activity("Last", a, text)  # 11
    return "done"


def _history() -> list[ev.HistoryEvent]:
    world = World(_order)
    world.start()
    world.complete(0, "ok")
    world.turn(world.completion(2), world.completion(1))
    world.complete(4)
    world.raise_event("go")
    world.complete(7)
    world.fail(8)
    world.complete(9)
    world.complete(10)
    assert [e.task_id for e in world.open.values()] == [6, 11]
    return world.history


def _changed(**changes: Any) -> Callable[[Recorder], Any]:
    """The same orchestrator with some steps replaced by others."""

    def step(name: str, default: Callable[[Recorder], Any]) -> Callable[[Recorder], Any]:
        return changes.get(name, default)

    def code(r: Recorder) -> Any:
        step("first", lambda r: None)(r)
        yield step("charge", lambda r: r.call_activity("Charge", "1", text))(r)
        yield step("pack", lambda r: r.all_of([r.call_activity("Pack", n, text) for n in "12"]))(r)
        step("reserve", lambda r: r.signal_entity("@stock@x", "reserve", "1"))(r)
        yield step("count", lambda r: r.call_entity("@stock@x", "count", None, text))(r)
        step("ready", lambda r: r.send_event("warehouse", "Ready", "1"))(r)
        yield step("go", lambda r: r.any_of([r.wait_for_event("Go", text), r.create_timer(r.now)]))(r)
        yield step("ship", lambda r: r.call_child("Ship", "1", None, None, text))(r)
        yield step("notify", lambda r: r.call_activity_with_retry("Notify", "1", text, RETRY))(r)
        yield step("last", lambda r: r.call_activity("Last", None, text))(r)
        yield step("more", lambda r: r.signal_entity("@log@x", "end", None))(r)
        return step("output", lambda r: "done")(r)

    return code


def _run(code: Callable[[Recorder], Any]) -> ac.TurnResult:
    """Replay the history with this code, then complete the last activity."""
    history = _history()
    replayer = Replayer(define(code), "order-1")
    replayer.replay(history)
    seq = next(n for n, e in enumerate(history) if isinstance(e, ev.TaskScheduled) and e.name == "Last")
    return replayer.advance([ev.OrchestratorStarted(T0), ev.TaskCompleted(11, seq, None)])


def _twice(r: Recorder) -> Any:
    r.send_event("warehouse", "Ready", "1")
    r.send_event("warehouse", "Ready", "1")


ILLEGAL: dict[str, tuple[Callable[[Recorder], Any], str, str]] = {
    "activity renamed": (
        _changed(charge=lambda r: r.call_activity("Debit", "1", text)), "activity 'Charge'", "activity 'Debit'",
    ),
    "activity became a child": (
        _changed(charge=lambda r: r.call_child("Charge", "1", None, None, text)),
        "activity 'Charge'", "child orchestration 'Charge'",
    ),
    "activity became a timer": (
        _changed(charge=lambda r: r.create_timer(r.now)), "activity 'Charge'", "asks for a timer",
    ),
    "activity removed": (
        _changed(charge=lambda r: r.signal_entity("@stock@x", "reserve", "1")),
        "activity 'Charge'", "a signal of operation 'reserve' to entity '@stock@x'",
    ),
    "step inserted before": (
        _changed(first=lambda r: r.signal_entity("@log@x", "begin", None)),
        "activity 'Charge'", "a signal of operation 'begin' to entity '@log@x'",
    ),
    "one more in the fan-out": (
        _changed(pack=lambda r: r.all_of([r.call_activity("Pack", n, text) for n in "123"])),
        "a signal of operation 'reserve' to entity '@stock@x'", "activity 'Pack'",
    ),
    "one less in the fan-out": (
        _changed(pack=lambda r: r.all_of([r.call_activity("Pack", n, text) for n in "1"])), "activity 'Pack'",
        "asks for nothing",
    ),
    "fan-out became a sequence": (
        _changed(pack=lambda r: r.call_activity("Pack", "1", text)), "activity 'Pack'", "asks for nothing",
    ),
    "signal to another entity": (
        _changed(reserve=lambda r: r.signal_entity("@stock@y", "reserve", "1")), "'@stock@x'", "'@stock@y'",
    ),
    "signal of another operation": (
        _changed(reserve=lambda r: r.signal_entity("@stock@x", "release", "1")), "'reserve'", "'release'",
    ),
    "signal removed": (
        _changed(reserve=lambda r: None),
        "a signal of operation 'reserve'", "a call of operation 'count' of entity '@stock@x'",
    ),
    "call of another entity": (
        _changed(count=lambda r: r.call_entity("@stock@y", "count", None, text)), "'@stock@x'", "'@stock@y'",
    ),
    "call became a signal": (
        _changed(count=lambda r: r.signal_entity("@stock@x", "count", None)),
        "a call of operation 'count'", "a signal of operation 'count'",
    ),
    "event sent to another instance": (
        _changed(ready=lambda r: r.send_event("shop", "Ready", "1")),
        "event 'Ready' sent to instance 'warehouse'", "event 'Ready' sent to instance 'shop'",
    ),
    "another event sent": (
        _changed(ready=lambda r: r.send_event("warehouse", "Late", "1")), "event 'Ready'", "event 'Late'",
    ),
    "event sent twice": (_changed(ready=_twice), "a timer", "event 'Ready'"),
    "timer removed": (_changed(go=lambda r: r.wait_for_event("Go", text)), "a timer", "asks for nothing"),
    "timer became an activity": (
        _changed(go=lambda r: r.any_of([r.wait_for_event("Go", text), r.call_activity("Nap", None, text)])),
        "a timer", "activity 'Nap'",
    ),
    "child renamed": (
        _changed(ship=lambda r: r.call_child("Mail", "1", None, None, text)),
        "child orchestration 'Ship'", "child orchestration 'Mail'",
    ),
    "retry removed": (
        _changed(notify=lambda r: r.call_activity("Notify", "1", text)), "a timer", "asks for nothing",
    ),
    "retries renamed": (
        _changed(notify=lambda r: r.call_activity_with_retry("Tell", "1", text, RETRY)),
        "activity 'Notify'", "activity 'Tell'",
    ),
    "fewer attempts": (
        _changed(notify=lambda r: r.call_activity_with_retry("Notify", "1", text, RetryPolicy(T0 - T0, 1))),
        "a timer", "asks for nothing",
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", ILLEGAL)
def test_an_illegal_change_is_found_and_named_from_both_sides(change: str) -> None:
    code, expected, found = ILLEGAL[change]
    result = _run(code)
    assert result.actions == ()
    assert isinstance(result.ending, ac.Fail)
    failure = result.ending.failure
    assert failure.error_type == "NonDeterministicOrchestrationException"
    assert failure.message.startswith("Non-Deterministic orchestrator: event ")
    history_says, code_says = failure.message.split(";")
    assert expected in history_says
    assert found in code_says


def _status_only(r: Recorder) -> Any:
    r.set_custom_status('"changed"')


def _looking_around(r: Recorder) -> Any:
    r.call_activity("Dropped", None, text)
    r.create_timer(r.now)
    return r.all_of([r.call_activity("Pack", n, text) for n in "12"])


LEGAL: dict[str, Callable[[Recorder], Any]] = {
    "nothing changed": _changed(),
    "other custom status": _changed(first=_status_only),
    "other input of an activity": _changed(charge=lambda r: r.call_activity("Charge", "99", text)),
    "other case of an activity's name": _changed(charge=lambda r: r.call_activity("CHARGE", "1", text)),
    "other decoder": _changed(charge=lambda r: r.call_activity("Charge", "1", lambda value: 5)),
    "other grouping of the same calls": _changed(
        pack=lambda r: r.all_of([r.all_of([r.call_activity("Pack", "1", text)]), r.call_activity("Pack", "2", text)])
    ),
    "tasks made and dropped": _changed(pack=_looking_around),
    "other input of a signal": _changed(reserve=lambda r: r.signal_entity("@stock@x", "reserve", "7")),
    "signal delayed": _changed(reserve=lambda r: r.signal_entity("@stock@x", "reserve", "1", T0)),
    "other input of an entity call": _changed(count=lambda r: r.call_entity("@stock@x", "count", "5", text)),
    "other content of a sent event": _changed(ready=lambda r: r.send_event("warehouse", "Ready", "2")),
    "other case of a sent event's name": _changed(ready=lambda r: r.send_event("warehouse", "READY", "1")),
    "other time of a timer": _changed(
        go=lambda r: r.any_of([r.wait_for_event("Go", text), r.create_timer(r.now + timedelta(days=5))])
    ),
    "other case of an event's name": _changed(
        go=lambda r: r.any_of([r.wait_for_event("GO", text), r.create_timer(r.now)])
    ),
    "order of timer and event": _changed(go=lambda r: r.any_of([r.create_timer(r.now), r.wait_for_event("Go", text)])),
    "child given an id": _changed(ship=lambda r: r.call_child("Ship", "1", "ship-1", None, text)),
    "child given a version": _changed(ship=lambda r: r.call_child("Ship", "1", None, "2.0", text)),
    "more attempts": _changed(
        notify=lambda r: r.call_activity_with_retry("Notify", "1", text, RetryPolicy(timedelta(seconds=5), 9))
    ),
    "other waits between attempts": _changed(
        notify=lambda r: r.call_activity_with_retry("Notify", "1", text, RetryPolicy(timedelta(hours=5), 3))
    ),
    "new steps at the end": _changed(more=lambda r: r.call_activity("New", None, text)),
    "other output": _changed(output=lambda r: "changed"),
}


@pytest.mark.parametrize("change", LEGAL)
def test_a_legal_change_raises_no_alarm(change: str) -> None:
    result = _run(LEGAL[change])
    if change == "new steps at the end":
        assert result.actions == (ac.ScheduleActivity(12, "New"),)
    else:
        assert isinstance(result.ending, ac.Complete)


def test_the_message_names_the_event_the_task_and_what_to_look_for() -> None:
    result = _run(ILLEGAL["activity renamed"][0])
    assert isinstance(result.ending, ac.Fail)
    assert result.ending.failure.message == (
        "Non-Deterministic orchestrator: event 2 of the history says that task 0 is activity 'Charge'; "
        "the code, run again over the same history, asks for activity 'Debit' under that number. "
        "Either the orchestrator's code was changed while this instance was under way, or it depends on something "
        "that differs from run to run (time, random numbers, environment, I/O, the order of a set)."
    )


def test_the_divergence_is_reported_once_and_the_code_does_not_run_on() -> None:
    def code(r: Recorder) -> Any:
        yield r.call_activity("Debit", None, text)
        raise AssertionError("ran on")

    replayer = Replayer(define(code), "order-1")
    replayer.replay(_history())
    assert isinstance(replayer.advance([]).ending, ac.Fail)
    assert replayer.advance([ev.OrchestratorStarted(T0), ev.TaskCompleted(0, 2)]) == ac.TurnResult()


def test_actions_beyond_the_history_are_new_work() -> None:
    def code(r: Recorder) -> Any:
        a = r.call_activity("a", None, text)
        yield r.all_of([a, r.call_activity("b", None, text)])

    def longer(r: Recorder) -> Any:
        yield r.all_of([r.call_activity(name, None, text) for name in "abcd"])

    world = World(code)
    world.start()
    replayer = Replayer(define(longer), "order-1")
    replayer.replay(world.history)
    assert replayer.advance([]).actions == (ac.ScheduleActivity(2, "c"), ac.ScheduleActivity(3, "d"))
    assert replayer.advance([]).actions == ()


def _raising(r: Recorder) -> Any:
    yield r.call_activity("Charge", "1", text)
    raise ValueError("mine")


def test_an_exception_that_the_history_does_not_know_is_the_cause_of_the_divergence() -> None:
    result = _run(_raising)
    assert isinstance(result.ending, ac.Fail)
    assert result.ending.failure.error_type == "NonDeterministicOrchestrationException"
    cause = result.ending.failure.cause
    assert cause is not None
    assert cause.message == "mine"


def test_an_exception_that_is_the_recorded_end_is_not_masked() -> None:
    world = World(_raising)
    world.start()
    world.complete(0)
    end = ev.ExecutionCompleted(RuntimeStatus.Failed, "", FailureDetails("ValueError", "mine"))
    for history in (
        [*world.history, end],
        [*world.history, ev.TaskScheduled(5, "was here once"), end],
    ):
        replayer = Replayer(world.definition, "order-1")
        replayer.replay(history)
        ending = replayer.advance([]).ending
        assert isinstance(ending, ac.Fail)
        assert ending.failure.message == "mine"


def test_a_live_session_is_never_asked_to_match() -> None:
    world = World(_order)
    with pytest.raises(AssertionError, match="never their input"):
        world.start(ev.TaskScheduled(0, "Charge"))
