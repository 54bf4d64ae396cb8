"""The tasks that orchestrators yield or await. They are the core's tasks with the portable family's manners."""

from collections.abc import Generator, Sequence
from datetime import timedelta
from typing import Any, Generic, TypeVar, overload

from durabletask.failures import FailureDetails, TaskCancelledError, TaskFailedError, details_of, shown_failure
from perdure.core.failures import FailureDetails as StoredFailure
from perdure.core.replay import repeating_tasks, tasks
from perdure.core.replay.critical_section import LockTask as CoreLockTask
from perdure.core.replay.task_types import TaskTypes
from perdure.core.replay.tasks import Asker, TaskState, WatchingTask

T = TypeVar("T")
_RUNNING = TaskState.RUNNING


class Task(tasks.Task, Generic[T]):
    """Something that completes once, with a value or an error."""

    __slots__ = ()

    @property
    def is_complete(self) -> bool:
        """Whether it ended, well or not."""
        return self.state is not _RUNNING

    @property
    def is_failed(self) -> bool:
        """Whether it ended with an error; a cancelled task did not."""
        return self.state is TaskState.FAILED and not isinstance(self.error, TaskCancelledError)

    @property
    def result(self) -> T:
        """The value; see ``get_result``."""
        return self.get_result()

    def get_result(self) -> T:
        """The value. Raises ValueError while the task runs, and the task's error when it has one."""
        if self.state is _RUNNING:
            raise ValueError("The task has not completed.")
        if self.error is not None:
            raise self.error
        return self.value

    def get_exception(self) -> TaskFailedError:
        """The error of a failed task. Raises ValueError for any other."""
        if not self.is_failed:
            raise ValueError("The task has not failed.")
        error = self.error
        assert error is not None
        return error if isinstance(error, TaskFailedError) else TaskFailedError(str(error), error)

    def __await__(self) -> Generator[Any, Any, T]:
        return (yield self)


class CompletableTask(Task[T]):
    """A task that somebody completes or fails."""

    __slots__ = ()

    def complete(self, result: T) -> None:
        """End with a value. Raises ValueError when it has ended."""
        self._check_running()
        self.succeed(result)

    def fail(self, message: str | BaseException, details: FailureDetails | BaseException | None = None) -> None:
        """End with a failure. Raises ValueError when it has ended."""
        if isinstance(message, BaseException):
            super().fail(message)
            return
        self._check_running()
        super().fail(TaskFailedError(message, Exception(message) if details is None else details))

    def _check_running(self) -> None:
        if self.state is not _RUNNING:
            raise ValueError("The task has already completed.")


class CancellableTask(CompletableTask[T]):
    """A task that code may give up waiting for."""

    __slots__ = ()

    @property
    def is_cancelled(self) -> bool:
        """Whether ``cancel`` ended it."""
        return isinstance(self.error, TaskCancelledError)

    def cancel(self) -> bool:
        """End without a value; reading it raises TaskCancelledError. False: it had ended already."""
        if self.state is not _RUNNING:
            return False
        self._forget()
        tasks.Task.fail(self, TaskCancelledError())
        return True

    def _forget(self) -> None:
        """Nobody need complete it any more."""


class _Call(CompletableTask[T]):
    """What calls of all kinds add: the portable text of their failure."""

    __slots__ = ()

    def take_failure(self, failure: StoredFailure, error: BaseException) -> None:
        """The call failed."""
        assert isinstance(self, tasks.CallTask), "a call is one of the core's calls"
        described = TaskFailedError(self._failure_text(failure.message), shown_failure(failure))
        tasks.CallTask.take_failure(self, failure, described)

    def _failure_text(self, reason: str) -> str:
        raise NotImplementedError


class ActivityTask(_Call[T], tasks.ActivityTask):
    """An activity call."""

    __slots__ = ("_instance_id",)

    def open(self, asker: Asker) -> Sequence[tasks.Task]:
        self._instance_id = asker.instance_id
        return tasks.ActivityTask.open(self, asker)

    def _failure_text(self, reason: str) -> str:
        return f"{self._instance_id}: Activity task #{self.id} failed: {reason}"


class SubOrchestrationTask(_Call[T], tasks.ChildTask):
    """A sub-orchestration."""

    __slots__ = ()

    def _failure_text(self, reason: str) -> str:
        return f"Sub-orchestration task #{self.id} failed: {reason}"


class EntityCallTask(_Call[T], tasks.EntityCallTask):
    """A call of an entity's operation."""

    __slots__ = ()

    def _failure_text(self, reason: str) -> str:
        return f"Operation '{self.operation}' on entity '{self.name}' failed with error: {reason}"


class LockTask(CoreLockTask, CompletableTask[T]):
    """A request for the locks of a critical section; ``async with`` waits for it and leaves the section at the end."""

    __slots__ = ()


class TimerTask(tasks.TimerTask, CancellableTask[None]):
    """A durable timer."""

    __slots__ = ()

    def cancel(self) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride] - the core's returns nothing
        """Never fire. False: it had ended already."""
        if self.state is not _RUNNING:
            return False
        tasks.TimerTask.cancel(self)
        tasks.Task.fail(self, TaskCancelledError())
        return True


class LongTimerTask(repeating_tasks.LongTimerTask, TimerTask):
    """A durable timer that is several to the engine."""

    __slots__ = ()


class ExternalEventTask(tasks.EventTask, WatchingTask, CancellableTask[T]):
    """A wait for one external event, for ever or until a timer fires."""

    __slots__ = ("_asker", "_limit", "_timer")

    def __init__(self, name: str, decode: tasks.Decode) -> None:
        super().__init__(name, decode)
        self._asker: Asker | None = None
        self._timer: tasks.TimerTask | None = None
        self._limit = timedelta()

    def open(self, asker: Asker) -> Sequence[tasks.Task]:
        self._asker = asker
        return tasks.EventTask.open(self, asker)

    def give_up_with(self, timer: tasks.TimerTask, limit: timedelta) -> None:
        """Fail when the timer fires first; an event that comes first cancels the timer."""
        if self.state is _RUNNING:
            self._timer, self._limit = timer, limit
            timer.watch(self)
        else:
            timer.cancel()

    def take_event(self, text: str | None) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        super().take_event(text)

    def note(self, child: tasks.Task) -> bool:
        if child is not self._timer or child.state is not TaskState.SUCCEEDED:
            return False
        self._forget()
        late = TimeoutError(f"No event named '{self.name}' came within {self._limit}.")
        self.error = TaskFailedError(str(late), details_of(late))
        self.error.__cause__ = late
        self.state = TaskState.FAILED
        return True

    def _forget(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.state is _RUNNING:
            timer.cancel()
        if self._asker is not None:
            self._asker.forget_event(self)


class RetryableTask(repeating_tasks.RetryTask, CompletableTask[T]):
    """A call that is tried again as its RetryPolicy says."""

    __slots__ = ()


class CompositeTask(Task[T]):
    """A task over several others."""

    __slots__ = ()

    def get_tasks(self) -> list[Task[Any]]:
        """The tasks it is made of, in their order."""
        assert isinstance(self, tasks.GroupTask), "a composite is one of the core's groups"
        return list(self.children)  # pyright: ignore[reportReturnType] - only tasks of this family are let in


class WhenAllTask(tasks.AllTask, CompositeTask[list[T]]):
    """Completes when all its tasks have, with the list of their values, or with the error that came first."""

    __slots__ = ()

    def __init__(self, tasks: Sequence[Task[T]]) -> None:
        super().__init__(_checked(tasks), fails_fast=False)

    @property
    def pending_tasks(self) -> int:
        """How many of its tasks run."""
        return sum(task.state is _RUNNING for task in self.children)

    def get_completed_tasks(self) -> int:
        """How many of its tasks have ended."""
        return len(self.children) - self.pending_tasks


class WhenAnyTask(tasks.AnyTask, CompositeTask[Task[T]]):
    """Completes with the task that does so first; the others go on."""

    __slots__ = ()

    def __init__(self, tasks: Sequence[Task[T]]) -> None:
        super().__init__(_checked(tasks))


@overload
def when_all(tasks: Sequence[Task[T]]) -> WhenAllTask[T]: ...
@overload
def when_all(tasks: Sequence[Task[Any]]) -> WhenAllTask[Any]: ...
def when_all(tasks: Sequence[Task[Any]]) -> WhenAllTask[Any]:
    """Wait for all tasks. None at all: an empty list at once. Raises TypeError when one is not a task."""
    return WhenAllTask(tasks)


@overload
def when_any(tasks: Sequence[Task[T]]) -> WhenAnyTask[T]: ...
@overload
def when_any(tasks: Sequence[Task[Any]]) -> WhenAnyTask[Any]: ...
def when_any(tasks: Sequence[Task[Any]]) -> WhenAnyTask[Any]:
    """Wait for the first task to end, well or not. Raises TypeError when one is not a task."""
    return WhenAnyTask(tasks)


def _checked(given: Sequence[Task[T]]) -> list[Task[T]]:
    members = list(given)
    for member in members:
        if not isinstance(member, Task):
            raise TypeError(f"when_all and when_any take tasks; found a value of type {type(member).__name__!r}.")
    return members


PORTABLE_TASKS = TaskTypes(
    activity=ActivityTask,
    child=SubOrchestrationTask,
    entity_call=EntityCallTask,
    lock=LockTask,
    timer=TimerTask,
    long_timer=LongTimerTask,
    event=ExternalEventTask,
    retry=RetryableTask,
)

for _public in (
    Task,
    CompletableTask,
    CancellableTask,
    TimerTask,
    RetryableTask,
    CompositeTask,
    WhenAllTask,
    WhenAnyTask,
):
    _public.__module__ = "durabletask.task"
