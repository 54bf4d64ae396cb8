"""The task tree that orchestrator code yields: calls, timers, event waits, and groups of tasks.

A task knows how it completes and whom to tell; what it asks for goes through an ``Asker`` (the recorder).
"""

from collections.abc import Callable, Generator, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, ClassVar, Protocol

from perdure.core.actions import Action, CallEntity, CreateTimer, ScheduleActivity, StartChild
from perdure.core.failures import FailureDetails
from perdure.core.replay.policy import FailedKind

Decode = Callable[[str | None], Any]
"""Result text → the value that user code sees."""
Tags = dict[str, str] | None


class TaskState(Enum):
    """How far a task is."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


_RUNNING = TaskState.RUNNING
_SUCCEEDED = TaskState.SUCCEEDED
_FAILED = TaskState.FAILED


class Asker(Protocol):
    """What a task needs when it becomes an action."""

    instance_id: str
    now: datetime

    def take_id(self) -> int:
        """The next task id of this execution."""
        ...

    def open_call(self, task: "CallTask", action: Action) -> None:
        """Issue the action; a completion with the task's id is the task's."""
        ...

    def open_timer(self, task: "TimerTask", action: Action) -> None:
        """Issue the action; a fired timer with the task's id is the task's."""
        ...

    def forget_timer(self, task_id: int) -> None:
        """A fired timer of that id has no effect any more."""
        ...

    def await_event(self, task: "EventTask") -> None:
        """Complete the task with the oldest buffered event of its name, or with one to come."""
        ...

    def forget_event(self, task: "EventTask") -> None:
        """The task waits for its event no more."""
        ...

    def schedule(self, task: "Task") -> None:
        """Make the task, and whatever it is made of, actions."""
        ...


class Task:
    """Something that completes once, with a value or an error. Equality is identity."""

    __slots__ = ("_watchers", "error", "is_scheduled", "state", "value")
    id: int | None = None
    """The number of what was asked for; None before that, and for what asks for nothing."""

    def __init__(self) -> None:
        self.state = _RUNNING
        self.value: Any = None
        self.error: BaseException | None = None
        self.is_scheduled = False
        self._watchers: list[WatchingTask] | None = None

    @property
    def is_completed(self) -> bool:
        """Whether it ended, well or not."""
        return self.state is not _RUNNING

    @property
    def is_failed(self) -> bool:
        """Whether it ended with an error."""
        return self.state is _FAILED

    @property
    def result(self) -> Any:
        """The value, or the exception object of a failed task; None while it runs."""
        return self.error if self.state is _FAILED else self.value

    @property
    def parent(self) -> "WatchingTask | None":
        """The newest task that waits for this one; None where none does."""
        return self._watchers[-1] if self._watchers else None

    def __await__(self) -> Generator["Task", Any, Any]:
        return (yield self)

    def open(self, asker: Asker) -> Sequence["Task"]:
        """Become an action. Called once; returns the tasks to open next. A plain task asks for nothing."""
        return ()

    def succeed(self, value: Any) -> None:
        """Complete and tell every group that holds this task."""
        self.value = value
        self.state = _SUCCEEDED
        if self._watchers is not None:
            _tell_watchers(self)

    def fail(self, error: BaseException, /) -> None:
        """Complete with an error and tell every group that holds this task."""
        self.error = error
        self.state = _FAILED
        if self._watchers is not None:
            _tell_watchers(self)

    def watch(self, watcher: "WatchingTask") -> None:
        """Have ``watcher`` told when this task completes."""
        watchers = self._watchers
        if watchers is None:
            self._watchers = [watcher]
            return
        # A loop that waits for "any of what is left" would otherwise pile up one ended group per turn.
        while watchers and watchers[-1].state is not _RUNNING:
            watchers.pop()
        watchers.append(watcher)

    def take_watchers(self) -> "list[WatchingTask]":
        """Whom to tell, once."""
        watchers, self._watchers = self._watchers, None
        return watchers or []


class WatchingTask(Task):
    """A task that is made of others."""

    __slots__ = ()

    def note(self, child: Task) -> bool:
        """A watched task completed. Returns whether this task completed by it; then its watchers are told."""
        raise NotImplementedError


def _tell_watchers(task: Task) -> None:
    """Breadth first and without recursion: groups may be nested thousands deep."""
    completed = [task]
    for child in completed:
        for watcher in child.take_watchers():
            if watcher.state is _RUNNING and watcher.note(child):
                completed.append(watcher)


def completed_task(value: Any = None) -> Task:
    """A task that is done from the start and never becomes an action."""
    task = Task()
    task.value = value
    task.state = _SUCCEEDED
    task.is_scheduled = True
    return task


class CallTask(Task):
    """A call that somebody answers by task id. Its input is let go once it is an action."""

    __slots__ = ("_decode", "_input", "_tags", "failure", "id", "name")
    kind: ClassVar[FailedKind]

    def __init__(self, name: str, input: str | None, decode: Decode, tags: Tags = None) -> None:
        super().__init__()
        self.id: int | None = None
        self.name = name
        self.failure: FailureDetails | None = None
        self._input = input
        self._decode = decode
        self._tags = tags

    def action(self, task_id: int) -> Action:
        """What is asked for."""
        raise NotImplementedError

    def open(self, asker: Asker) -> Sequence[Task]:
        if self.id is None:
            self.id = asker.take_id()
        asker.open_call(self, self.action(self.id))
        self._input = None
        return ()

    def take_result(self, text: str | None) -> None:
        """The answer arrived; what decoding raises is the task's error."""
        try:
            value = self._decode(text)
        except BaseException as error:
            self.fail(error)
        else:
            self.succeed(value)

    def take_failure(self, failure: FailureDetails, error: BaseException) -> None:
        """The call failed; ``error`` is what user code sees of it."""
        self.failure = failure
        self.fail(error)


class ActivityTask(CallTask):
    """An activity call."""

    __slots__ = ()
    kind = FailedKind.ACTIVITY

    def action(self, task_id: int) -> Action:
        return ScheduleActivity(task_id, self.name, self._input, tags=self._tags)


class ChildTask(CallTask):
    """A child orchestration."""

    __slots__ = ("_instance_id", "_version")
    kind = FailedKind.CHILD

    def __init__(
        self,
        name: str,
        input: str | None,
        instance_id: str | None,
        version: str | None,
        decode: Decode,
        tags: Tags = None,
    ) -> None:
        super().__init__(name, input, decode, tags)
        self._instance_id = instance_id
        self._version = version

    def action(self, task_id: int) -> Action:
        return StartChild(task_id, self.name, self._input, self._instance_id, self._version, self._tags)


class EntityCallTask(CallTask):
    """A call of an entity's operation; ``name`` is the entity's id."""

    __slots__ = ("operation",)
    kind = FailedKind.ENTITY

    def __init__(self, entity_id: str, operation: str, input: str | None, decode: Decode) -> None:
        super().__init__(entity_id, input, decode)
        self.operation = operation

    def action(self, task_id: int) -> Action:
        return CallEntity(task_id, self.name, self.operation, self._input)


class TimerTask(Task):
    """A durable timer; its value is None."""

    __slots__ = ("_asker", "fire_at", "id", "is_cancelled")

    def __init__(self, asker: Asker, fire_at: datetime) -> None:
        super().__init__()
        self._asker = asker
        self.id: int | None = None
        self.fire_at = fire_at
        self.is_cancelled = False

    def open(self, asker: Asker) -> Sequence[Task]:
        self.ask(self.fire_at)
        return ()

    def ask(self, fire_at: datetime) -> None:
        """Ask to be woken; a timer that was cancelled before takes its id and asks for nothing."""
        self.id = self._asker.take_id()
        if not self.is_cancelled:
            self._asker.open_timer(self, CreateTimer(self.id, fire_at))

    def fire(self) -> None:
        """The time asked for has come."""
        self.succeed(None)

    def cancel(self) -> None:
        """Never complete. Raises ValueError for a timer that already has."""
        if self.state is not _RUNNING:
            raise ValueError("Cannot cancel a completed task.")
        self.is_cancelled = True
        if self.id is not None:
            self._asker.forget_timer(self.id)

    def is_canceled(self) -> bool:
        """The same as ``is_cancelled``, by the name that 1.x long timers have it under."""
        return self.is_cancelled


class EventTask(Task):
    """A wait for one external event."""

    __slots__ = ("_decode", "name")

    def __init__(self, name: str, decode: Decode) -> None:
        super().__init__()
        self.name = name
        self._decode = decode

    def open(self, asker: Asker) -> Sequence[Task]:
        asker.await_event(self)
        return ()

    def take_event(self, text: str | None) -> None:
        """An event of this name is this task's; what decoding raises is the task's error."""
        try:
            value = self._decode(text)
        except BaseException as error:
            self.fail(error)
        else:
            self.succeed(value)


class GroupTask(WatchingTask):
    """A task over several others, which may belong to any number of groups."""

    __slots__ = ("children",)

    def __init__(self, children: Sequence[Task]) -> None:
        super().__init__()
        self.children = tuple(children)

    def open(self, asker: Asker) -> Sequence[Task]:
        return self.children


class AllTask(GroupTask):
    """Completes with the list of its children's values, in their order; or with the first error."""

    __slots__ = ("_fails_fast", "_first_error", "_missing")

    def __init__(self, children: Sequence[Task], *, fails_fast: bool) -> None:
        super().__init__(children)
        self._fails_fast = fails_fast
        self._first_error: BaseException | None = None
        waited_for: list[Task] = []
        for child in self.children:
            if child.state is _RUNNING:
                waited_for.append(child)
            elif child.state is _FAILED and self._first_error is None:
                self._first_error = child.error
        self._missing = len(waited_for)
        if not self._settle():
            for child in waited_for:
                child.watch(self)

    def note(self, child: Task) -> bool:
        self._missing -= 1
        if child.state is _FAILED and self._first_error is None:
            self._first_error = child.error
        return self._settle()

    def _settle(self) -> bool:
        if self._first_error is not None and (self._fails_fast or not self._missing):
            self.error = self._first_error
            self.state = _FAILED
        elif not self._missing:
            self.value = [child.value for child in self.children]
            self.state = _SUCCEEDED
        return self.state is not _RUNNING


class AnyTask(GroupTask):
    """Completes with the child that completed first, itself; never fails. Without children its value is None."""

    __slots__ = ()

    def __init__(self, children: Sequence[Task]) -> None:
        super().__init__(children)
        if not self.children:
            self.state = _SUCCEEDED
        for child in self.children:
            if child.state is not _RUNNING:
                self.note(child)
                return
        for child in self.children:
            child.watch(self)

    def note(self, child: Task) -> bool:
        self.value = child
        self.state = _SUCCEEDED
        return True
