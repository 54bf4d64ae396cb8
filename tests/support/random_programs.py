"""Random orchestrators: programs as data for hypothesis, and what runs them over anything with a recorder's words."""

from collections.abc import Callable, Generator
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from perdure.core.replay.recorder import Recorder
from perdure.core.replay.tasks import Task, TimerTask
from perdure.core.retry import RetryPolicy
from support.replay_world import text

NAMES = st.sampled_from(["A", "B"])
EVENTS = st.sampled_from(["Go", "stop"])


def _picky(value: str | None) -> Any:
    """A decoder that cannot read everything."""
    if value == "3":
        raise ValueError("cannot read 3")
    return value


_Strategy = st.SearchStrategy[Any]
_LEAVES: tuple[_Strategy, ...] = (
    st.tuples(st.just("activity"), NAMES),
    st.tuples(st.just("child"), NAMES),
    st.tuples(st.just("entity"), NAMES),
    st.tuples(st.just("event"), EVENTS),
    st.tuples(st.just("timer"), st.sampled_from([-1, 60, 86_400 * 10])),
    st.tuples(st.just("retry"), NAMES, st.integers(1, 3)),
    st.tuples(st.just("retry child"), NAMES, st.integers(1, 3)),
    st.tuples(st.just("again"), st.integers(0, 5)),
)


def _programs(*, leaves: _Strategy, statuses: list[str | None], more: tuple[_Strategy, ...] = ()) -> _Strategy:
    tasks = st.recursive(
        leaves,
        lambda inner: st.tuples(st.sampled_from(["all", "any"]), st.lists(inner, max_size=3)),
        max_leaves=6,
    )
    return st.recursive(
        st.one_of(
            st.tuples(st.just("yield"), tasks),
            st.tuples(st.just("try"), tasks),
            st.tuples(st.just("make"), tasks),
            st.tuples(st.just("drain"), st.lists(leaves, min_size=1, max_size=3)),
            st.tuples(st.just("signal"), NAMES),
            st.tuples(st.just("status"), st.sampled_from(statuses)),
            st.tuples(st.just("cancel")),
            st.tuples(st.just("raise")),
            st.tuples(st.just("continue")),
            *more,
        ),
        lambda inner: st.one_of(
            st.tuples(st.just("if even"), st.lists(inner, max_size=3), st.lists(inner, max_size=3)),
            st.tuples(st.just("finally"), st.lists(inner, max_size=3)),
            *(
                [st.tuples(st.just("section"), st.lists(NAMES, min_size=1, max_size=2), st.lists(inner, max_size=3))]
                if more
                else []
            ),
        ),
        max_leaves=8,
    )


PROGRAMS = st.lists(
    _programs(
        leaves=st.one_of(*_LEAVES, st.tuples(st.just("picky"), NAMES)),
        statuses=["1", "2", None],
        more=(st.tuples(st.just("send"), NAMES),),
    ),
    min_size=1,
    max_size=6,
)
"""Everything that a recorder offers."""

PLAIN_PROGRAMS = st.lists(_programs(leaves=st.one_of(*_LEAVES), statuses=["1", "2"]), min_size=1, max_size=6)
"""What orchestrators of the 1.x generation can ask for."""


TREE_MAX = 100
"""So many tasks at most hang together: groups of groups that are used again grow sixfold with each statement, and the
protocol writes each out whole."""


class Interpreter:
    """Runs one generated program over a recorder and keeps a diary of all that it saw."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.made: list[Task] = []
        self.cancelled: list[TimerTask] = []
        self.diary: list[Any] = []
        self._trees: dict[int, int] = {}
        """How many tasks hang together in one: its id → number."""

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
                task = self._group(recorder.all_of, members)
            case "any", members:
                task = self._group(recorder.any_of, members)
            case _:
                raise AssertionError(node)
        self.made.append(task)
        return task

    def _group(self, of: Callable[[list[Task]], Task], nodes: list[Any]) -> Task:
        members: list[Task] = []
        size = 1
        for member in map(self.make, nodes):
            member_size = self._trees.get(id(member), 1)
            if size + member_size <= TREE_MAX:
                members.append(member)
                size += member_size
        task = of(members)
        self._trees[id(task)] = size
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
                            self.cancelled.append(task)
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
