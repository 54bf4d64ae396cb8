"""How code begins, goes on and ends: generators, coroutines, plain functions, misuse, errors, closing."""

import asyncio
import contextlib
from datetime import timedelta
from types import coroutine
from typing import Any, get_args

import pytest

from perdure.core import actions as ac
from perdure.core import events as ev
from perdure.core.registry import OrchestratorDefinition, Returned
from perdure.core.replay.recorder import Recorder
from perdure.core.replay.replayer import Replayer
from support.replay_world import FUNCTIONS, T0, World, text


def test_a_sequence() -> None:
    def code(r: Recorder) -> Any:
        first = yield r.call_activity("hello", '"Seattle"', text)
        second = yield r.call_activity("hello", '"Tokyo"', text)
        return [first, second]

    world = World(code)
    assert world.start().actions == (ac.ScheduleActivity(0, "hello", '"Seattle"'),)
    assert world.complete(0, "a").actions == (ac.ScheduleActivity(1, "hello", '"Tokyo"'),)
    assert world.complete(1, "b") == ac.TurnResult(ending=ac.Complete("['a', 'b']"))


def test_a_coroutine() -> None:
    async def helper(r: Recorder) -> Any:
        return await r.call_activity("inner", None, text)

    async def code(r: Recorder) -> Any:
        first = await helper(r)
        both = await r.all_of([r.call_activity("a", None, text), r.call_activity("b", None, text)])
        try:
            await r.call_activity("c", None, text)
        except Exception as error:
            return [first, both, str(error)]

    world = World(code)
    world.start()
    world.complete(0, "inner")
    world.turn(world.completion(1, "a"), world.completion(2, "b"))
    world.fail(3)
    assert world.output == "['inner', ['a', 'b'], 'Activity c: broken']"


def test_a_plain_function_completes_at_once() -> None:
    def code(r: Recorder) -> Any:
        r.signal_entity("@log@x", "write", "1")
        return 42

    assert World(code).start() == ac.TurnResult((ac.SignalEntity(0, "@log@x", "write", "1"),), ac.Complete("42"))


def test_returning_nothing_is_no_output() -> None:
    def code(r: Recorder) -> Any:
        yield r.signal_entity("@log@x", "write", None)

    assert World(code).start().ending == ac.Complete(None)


def test_identity_and_time() -> None:
    def code(r: Recorder) -> Any:
        seen = [r.instance_id, r.execution_id, r.name, r.generation, r.version, r.parent_instance_id, r.now]
        yield r.call_activity("a", None, text)
        seen.append(r.now)
        return seen

    world = World(code)
    parent = ev.ParentLink("parent-1", "e", 3, 1)
    world.start(version="1.0", generation=2, parent=parent)
    world.now = T0 + timedelta(seconds=5)
    world.turn()
    world.now = T0 - timedelta(days=1)  # a clock that went back moves nothing
    world.complete(0)
    expected = ["order-1", world.history[1].execution_id, "orchestrator", 2, "1.0", "parent-1", T0]  # type: ignore[union-attr]
    assert world.output == repr([*expected, T0 + timedelta(seconds=5)])


def test_is_replaying_while_the_history_is_read_again_and_only_then() -> None:
    seen: list[bool] = []

    def code(r: Recorder) -> Any:
        for _ in range(3):
            seen.append(r.is_replaying)
            yield r.call_activity("a", None, text)

    world = World(code)
    world.start()
    world.complete(0)
    world.complete(1)
    assert seen == [False, False, False]
    seen.clear()
    world.fresh()
    assert seen == [True, True, True]
    seen.clear()
    del world.history[-3:]
    world.fresh().advance([ev.OrchestratorStarted(T0), ev.TaskCompleted(1, 5, None)])
    assert seen == [True, True, False]


@pytest.mark.parametrize("value", [5, None, "text", [1], object()], ids=lambda v: type(v).__name__)
def test_yielding_what_is_no_task_names_the_type_and_the_line(value: Any) -> None:
    def code(r: Recorder) -> Any:
        yield r.signal_entity("@log@x", "write", None)
        yield value

    world = World(code)
    world.start()
    failure = world.failed_with
    assert f"'{type(value).__name__}'" in failure.message
    assert f"{__file__}, line {code.__code__.co_firstlineno + 2}, in code" in failure.message


def test_misuse_is_found_in_the_innermost_generator() -> None:
    def helper() -> Any:
        yield 5

    def code(r: Recorder) -> Any:
        yield from helper()

    world = World(code)
    world.start()
    assert f"line {helper.__code__.co_firstlineno + 1}, in helper" in world.failed_with.message


def test_misuse_is_not_raised_into_the_code() -> None:
    def code(r: Recorder) -> Any:
        try:
            yield 5
        except Exception:
            yield r.call_activity("a", None, text)

    result = World(code).start()
    assert isinstance(result.ending, ac.Fail)
    assert result.actions == ()


def test_awaiting_something_foreign_names_the_line_in_user_code() -> None:
    @coroutine
    def foreign() -> Any:
        yield object()

    async def code(r: Recorder) -> Any:
        await asyncio.sleep(0)

    async def other(r: Recorder) -> Any:
        await foreign()

    world = World(code)
    world.start()
    message = world.failed_with.message
    assert (
        f"awaited a value of type 'NoneType' ({__file__}, line {code.__code__.co_firstlineno + 1}, in code)" in message
    )
    world = World(other)
    world.start()
    assert "'object'" in world.failed_with.message


def test_awaiting_a_future_of_a_running_loop() -> None:
    async def code(r: Recorder) -> Any:
        await asyncio.get_running_loop().create_future()

    async def start_on_a_loop() -> None:
        world.start()

    world = World(code)
    asyncio.run(start_on_a_loop())
    assert "'Future'" in world.failed_with.message
    assert f"line {code.__code__.co_firstlineno + 1}, in code" in world.failed_with.message


def test_an_exception_of_the_code_fails_it() -> None:
    def code(r: Recorder) -> Any:
        try:
            yield r.call_activity("a", None, text)
        except Exception as error:
            raise KeyError("city") from error

    world = World(code)
    world.start()
    world.fail(0)
    failure = world.failed_with
    assert (failure.error_type, failure.message) == ("KeyError", "'city'")
    assert failure.cause is not None
    assert failure.cause.message == "Activity a: broken"
    assert "in code" in (failure.stack_trace or "")


def test_an_exception_without_text_shows_its_type() -> None:
    def code(r: Recorder) -> Any:
        raise KeyError
        yield

    world = World(code)
    world.start()
    assert world.failed_with.message == "<class 'KeyError'>"


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration, asyncio.CancelledError])
@pytest.mark.parametrize("form", ["generator", "coroutine", "plain"])
def test_no_exception_of_the_code_leaves_the_replayer(kind: type[BaseException], form: str) -> None:
    def generator(r: Recorder) -> Any:
        yield r.signal_entity("@log@x", "write", None)
        raise kind("away")

    async def coroutine_(r: Recorder) -> Any:
        raise kind("away")

    def plain(r: Recorder) -> Any:
        raise kind("away")

    world = World({"generator": generator, "coroutine": coroutine_, "plain": plain}[form])
    world.start()
    assert world.failed_with.message


def test_an_output_that_cannot_be_written_fails_it() -> None:
    def write(value: Any) -> str | None:
        raise TypeError("Object of type X is not JSON serializable")

    definition = OrchestratorDefinition("o", lambda r, i: Returned(1), write, FUNCTIONS)
    result = Replayer(definition, "x").advance([ev.OrchestratorStarted(T0), ev.ExecutionStarted("o", "e")])
    assert isinstance(result.ending, ac.Fail)
    assert result.ending.failure.message == "Object of type X is not JSON serializable"


def test_input_reaches_the_definition() -> None:
    seen: list[Any] = []

    def begin(r: Recorder, input: str | None) -> Any:
        seen.append(input)
        return Returned(None)

    definition = OrchestratorDefinition("o", begin, lambda v: None, FUNCTIONS)
    Replayer(definition, "x").advance([ev.OrchestratorStarted(T0), ev.ExecutionStarted("o", "e", "[1]")])
    assert seen == ["[1]"]


def test_after_the_end_nothing_happens() -> None:
    def code(r: Recorder) -> Any:
        a, b = r.call_activity("a", None, text), r.call_activity("b", None, text)
        yield r.any_of([a, b])
        return "done"

    world = World(code)
    world.start()
    late = world.completion(1)
    assert world.complete(0).ending == ac.Complete("'done'")
    assert world.turn(late, ev.EventRaised("Go")) == ac.TurnResult()


def test_completions_nobody_asked_for_are_ignored() -> None:
    def code(r: Recorder) -> Any:
        return (yield r.all_of([r.call_activity("a", None, text), r.create_timer(r.now)]))

    world = World(code)
    world.start()
    fired = world.completion(1)
    foreign = [
        ev.TaskCompleted(7, 90),
        ev.TimerFired(0, 91, T0),
        ev.TaskCompleted(1, 92),
        ev.EntityOperationCompleted(5, 93),
    ]
    assert world.turn(*foreign) == ac.TurnResult()
    world.turn(fired, fired)
    world.complete(0, "v")
    assert world.output == "['v', None]"


def test_closing_runs_finally_blocks_that_can_ask_for_nothing() -> None:
    ran: list[str] = []

    def code(r: Recorder) -> Any:
        try:
            yield r.call_activity("a", None, text)
        finally:
            ran.append("finally")
            r.signal_entity("@lock@x", "release", None)
            r.continue_as_new("1")

    world = World(code)
    world.start()
    world.replayer.close()
    world.replayer.close()
    assert ran == ["finally"]
    assert world.replayer.advance([]) == ac.TurnResult()


def test_code_that_yields_or_fails_while_it_is_closed() -> None:
    ran: list[str] = []

    def yielding(r: Recorder) -> Any:
        try:
            yield r.call_activity("a", None, text)
        finally:
            yield r.call_activity("clean up", None, text)
            ran.append("cleaned up")

    def failing(r: Recorder) -> Any:
        try:
            yield r.call_activity("a", None, text)
        finally:
            raise ValueError("in finally")

    for code in (yielding, failing):
        world = World(code)
        world.start()
        world.replayer.close()
        assert world.turn(world.completion(0)) == ac.TurnResult()
    assert ran == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_code_that_never_closes_is_let_go() -> None:
    def code(r: Recorder) -> Any:
        while True:
            with contextlib.suppress(GeneratorExit):
                yield r.call_activity("a", None, text)

    world = World(code)
    world.start()
    world.replayer.close()
    del world


def test_an_unfinished_coroutine_closes_without_a_warning() -> None:
    async def code(r: Recorder) -> Any:
        await r.call_activity("a", None, text)

    world = World(code)
    world.start()
    world.replayer.close()


def test_every_event_has_a_step() -> None:
    def code(r: Recorder) -> Any:
        yield r.wait_for_event("never", text)

    assert set(Replayer._steps) == set(get_args(ev.HistoryEvent))  # pyright: ignore[reportPrivateUsage]


def test_open_tasks_are_counted() -> None:
    def code(r: Recorder) -> Any:
        calls = [r.call_activity("a", None, text) for _ in range(3)]
        yield r.all_of([*calls, r.create_timer(r.now), r.wait_for_event("Go", text)])

    world = World(code)
    world.start()
    assert world.replayer.open_task_count == 4
    world.complete(0)
    assert world.replayer.open_task_count == 3


def test_nothing_of_the_input_is_kept_once_a_call_is_an_action() -> None:
    tasks: list[Any] = []

    def code(r: Recorder) -> Any:
        tasks.append(r.call_activity("a", "x" * 1000, text))
        yield tasks[0]

    world = World(code)
    world.start()
    assert not any(
        getattr(tasks[0], name) == "x" * 1000
        for cls in type(tasks[0]).__mro__
        for name in getattr(cls, "__slots__", ())
    )
