"""A live session decides what a replayed one decides, for random programs, results, orders and cuts into episodes."""

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perdure.core import actions as ac
from perdure.core import events as ev
from perdure.core.replay.policy import ReplayPolicy
from perdure.core.replay.recorder import Recorder
from perdure.core.replay.tasks import Task, TimerTask
from perdure.core.retry import RetryPolicy
from support.replay_world import FUNCTIONS, PORTABLE, World, text

EXAMPLES = max(200, settings.default.max_examples if settings.default else 0)
NAMES = st.sampled_from(["A", "B"])
EVENTS = st.sampled_from(["Go", "stop"])


def _picky(value: str | None) -> Any:
    """A decoder that cannot read everything."""
    if value == "3":
        raise ValueError("cannot read 3")
    return value


_LEAVES = st.one_of(
    st.tuples(st.just("activity"), NAMES),
    st.tuples(st.just("picky"), NAMES),
    st.tuples(st.just("child"), NAMES),
    st.tuples(st.just("entity"), NAMES),
    st.tuples(st.just("event"), EVENTS),
    st.tuples(st.just("timer"), st.sampled_from([-1, 60, 86_400 * 10])),
    st.tuples(st.just("retry"), NAMES, st.integers(1, 3)),
    st.tuples(st.just("retry child"), NAMES, st.integers(1, 3)),
    st.tuples(st.just("again"), st.integers(0, 5)),
)
_TASKS = st.recursive(
    _LEAVES,
    lambda inner: st.tuples(st.sampled_from(["all", "any"]), st.lists(inner, max_size=3)),
    max_leaves=6,
)
_STATEMENTS = st.recursive(
    st.one_of(
        st.tuples(st.just("yield"), _TASKS),
        st.tuples(st.just("try"), _TASKS),
        st.tuples(st.just("make"), _TASKS),
        st.tuples(st.just("drain"), st.lists(_LEAVES, min_size=1, max_size=3)),
        st.tuples(st.just("signal"), NAMES),
        st.tuples(st.just("send"), NAMES),
        st.tuples(st.just("status"), st.sampled_from(["1", "2", None])),
        st.tuples(st.just("cancel")),
        st.tuples(st.just("raise")),
        st.tuples(st.just("continue")),
    ),
    lambda inner: st.one_of(
        st.tuples(st.just("if even"), st.lists(inner, max_size=3), st.lists(inner, max_size=3)),
        st.tuples(st.just("finally"), st.lists(inner, max_size=3)),
        st.tuples(st.just("section"), st.lists(NAMES, min_size=1, max_size=2), st.lists(inner, max_size=3)),
    ),
    max_leaves=8,
)
PROGRAMS = st.lists(_STATEMENTS, min_size=1, max_size=6)


class Interpreter:
    """Runs one generated program over a recorder and keeps a diary of all that it saw."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.made: list[Task] = []
        self.diary: list[Any] = []

    def make(self, node: tuple[Any, ...]) -> Task:
        recorder = self.recorder
        match node:
            case "activity", name:
                task = recorder.call_activity(name, "1", text)
            case "picky", name:
                task = recorder.call_activity(name, "1", _picky)
            case "child", name:
                task = recorder.call_child(name, None, None, None, text)
            case "entity", name:
                task = recorder.call_entity(f"@counter@{name}", "add", "5", text)
            case "event", name:
                task = recorder.wait_for_event(name, text)
            case "timer", seconds:
                task = recorder.create_timer(recorder.now + timedelta(seconds=seconds))
            case "retry", name, attempts:
                policy = RetryPolicy(timedelta(seconds=5), attempts, 2.0)
                task = recorder.call_activity_with_retry(name, "2", text, policy)
            case "retry child", name, attempts:
                policy = RetryPolicy(timedelta(days=20), attempts)
                task = recorder.call_child_with_retry(name, None, None, None, text, policy)
            case "again", index:
                if self.made:
                    return self.made[index % len(self.made)]
                task = recorder.all_of([])
            case "all", members:
                task = recorder.all_of([self.make(m) for m in members])
            case "any", members:
                task = recorder.any_of([self.make(m) for m in members])
            case _:
                raise AssertionError(node)
        self.made.append(task)
        return task

    def note(self, value: Any) -> None:
        self.diary.append((self._shown(value), self.recorder.now.isoformat()))

    def _shown(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._shown(member) for member in value]
        return f"task {self.made.index(value)}" if isinstance(value, Task) else value

    def run(self, statements: list[Any]) -> Generator[Any, Any, None]:
        recorder = self.recorder
        for statement in statements:
            match statement:
                case "yield", node:
                    self.note((yield self.make(node)))
                case "try", node:
                    try:
                        self.note((yield self.make(node)))
                    except Exception as error:
                        self.note(str(error))
                case "make", node:
                    self.make(node)
                case "drain", nodes:
                    left = [self.make(n) for n in nodes]
                    while left:
                        winner = yield recorder.any_of(left)
                        self.note(winner)
                        left.remove(winner)
                case "signal", name:
                    self.note((yield recorder.signal_entity(f"@log@{name}", "write", None)))
                case "send", name:
                    recorder.send_event("other", name, "7")
                case "status", value:
                    recorder.set_custom_status(value)
                case ("cancel",):
                    for task in self.made:
                        if isinstance(task, TimerTask) and not task.is_completed:
                            task.cancel()
                case ("raise",):
                    raise KeyError("mine")
                case ("continue",):
                    recorder.continue_as_new(str(len(self.diary)))
                case "if even", then, otherwise:
                    yield from self.run(then if len(self.diary) % 2 == 0 else otherwise)
                case "finally", body:
                    try:
                        yield from self.run(body)
                    finally:
                        recorder.signal_entity("@log@end", "end", None)
                case "section", names, body:
                    try:
                        with (yield recorder.lock_entities([f"@counter@{name}" for name in names])) as lock:
                            self.note(lock.entity_ids)
                            yield from self.run(body)
                    except RuntimeError as error:
                        self.note(str(error))
                case _:
                    raise AssertionError(statement)

    def generator(self, statements: list[Any]) -> Generator[Any, Any, list[Any]]:
        yield from self.run(statements)
        return self.diary

    async def coroutine(self, statements: list[Any]) -> list[Any]:
        steps = self.run(statements)
        task = next(steps, None)
        while task is not None:
            try:
                value = await task
            except Exception as error:
                task = _next_of(steps.throw, error)
            else:
                task = _next_of(steps.send, value)
        return self.diary


def _next_of(resume: Any, value: Any) -> Any:
    try:
        return resume(value)
    except StopIteration:
        return None


def _world(statements: list[Any], policy: ReplayPolicy, form: str) -> World:
    return World(lambda recorder: getattr(Interpreter(recorder), form)(statements), policy)


@st.composite
def _messages(draw: st.DrawFn, world: World) -> list[ev.HistoryEvent]:
    """What may arrive next: some open work ends, in any order, well or not; some events are raised."""
    messages: list[ev.HistoryEvent] = []
    open_ids = {e.task_id for e in world.open.values()}
    for task_id in draw(st.lists(st.sampled_from(sorted(open_ids)), unique=True, max_size=3)) if open_ids else ():
        never_fails = ev.TimerCreated | ev.EntityLockRequested
        fails = draw(st.booleans()) and not isinstance(world.open[world.seq_of(task_id)], never_fails)
        if fails:
            non_retriable = draw(st.booleans())
            messages.append(world.failure(task_id, is_non_retriable=non_retriable))
        else:
            messages.append(world.completion(task_id, draw(st.sampled_from([None, "1", "2", "3"]))))
    for name in draw(st.lists(st.sampled_from(["GO", "go", "Stop", "else"]), max_size=2)):
        messages.append(ev.EventRaised(name, draw(st.sampled_from([None, "8", "9"]))))
    if draw(st.booleans()):
        messages.append(ev.TaskCompleted(999, 999, "nobody asked"))
    for message in messages:
        if isinstance(message, ev.TimerFired):
            world.now = max(world.now, message.fire_at)
    world.now += timedelta(seconds=draw(st.integers(0, 3)))
    return messages


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
        messages = data.draw(_messages(world))
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
        messages = data.draw(_messages(world))
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
