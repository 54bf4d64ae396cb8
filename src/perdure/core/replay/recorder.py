"""Recorder: what orchestrator code may ask for. It records actions and hands out tasks; it never drives the code."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from perdure.core.actions import Action, ContinueAsNew, NewStatus, SendEvent, SignalEntity, UnlockEntity
from perdure.core.errors import OrchestratorMisuse
from perdure.core.events import ExecutionStarted
from perdure.core.replay.critical_section import NESTED, CriticalSection
from perdure.core.replay.external_events import ExternalEvents
from perdure.core.replay.policy import AllMode, ReplayPolicy, ScheduleAt, UntakenEvents
from perdure.core.replay.repeating_tasks import Poll, PollingTask
from perdure.core.replay.task_types import CORE_TASKS, TaskTypes
from perdure.core.replay.tasks import (
    AllTask,
    AnyTask,
    CallTask,
    Decode,
    EventTask,
    Tags,
    Task,
    TimerTask,
    completed_task,
)
from perdure.core.retry import RetryPolicy

HTTP_ACTIVITY = "BuiltIn::HttpActivity"
"""The activity that sends requests; every host registers one."""

BEFORE_ALL_TIME = datetime.min.replace(tzinfo=UTC)


class Recorder:
    """One execution as its code sees it. Both SDK contexts sit on it.

    ``now`` is the episode's time, aware UTC, and never goes back. After ``continue_as_new`` nothing more is recorded.
    """

    __slots__ = (
        "_ending",
        "_is_sealed",
        "_new_status",
        "_next_id",
        "_policy",
        "_schedules_at_call",
        "_section",
        "_tasks",
        "_untaken",
        "actions",
        "custom_status",
        "events",
        "execution_id",
        "generation",
        "instance_id",
        "is_replaying",
        "name",
        "now",
        "open_calls",
        "open_timers",
        "parent_instance_id",
        "tags",
        "version",
    )

    def __init__(self, instance_id: str, policy: ReplayPolicy, tasks: TaskTypes = CORE_TASKS) -> None:
        self.instance_id = instance_id
        self.execution_id = ""
        self.generation = 0
        self.name = ""
        self.parent_instance_id: str | None = None
        self.version: str | None = None
        self.tags: dict[str, str] | None = None
        self.now = BEFORE_ALL_TIME
        self.is_replaying = False
        self.custom_status: str | None = None
        self.actions: list[Action] = []
        self.open_calls: dict[int, CallTask] = {}
        self.open_timers: dict[int, TimerTask] = {}
        self.events = ExternalEvents()
        self._policy = policy
        self._tasks = tasks
        self._schedules_at_call = policy.schedule_at is ScheduleAt.CALL
        self._next_id = policy.first_task_id
        self._ending: ContinueAsNew | None = None
        self._new_status: NewStatus | None = None
        self._untaken = UntakenEvents.CARRIED
        self._is_sealed = False
        self._section: CriticalSection | None = None

    @property
    def will_continue_as_new(self) -> bool:
        """Whether ``continue_as_new`` was called."""
        return self._ending is not None

    def call_activity(self, name: str, input: str | None, decode: Decode, tags: Tags = None) -> Task:
        """Run an activity."""
        return self._asked(self._tasks.activity(name, input, decode, tags))

    def call_activity_with_retry(
        self, name: str, input: str | None, decode: Decode, retry: RetryPolicy, tags: Tags = None
    ) -> Task:
        """Run an activity, again after failures as ``retry`` says."""
        return self._asked(self._retried(lambda: self._tasks.activity(name, input, decode, tags), retry))

    def call_child(
        self,
        name: str,
        input: str | None,
        instance_id: str | None,
        version: str | None,
        decode: Decode,
        tags: Tags = None,
    ) -> Task:
        """Run a child orchestration; without an id it gets one that follows from this instance's."""
        if self._section is not None:
            self._section.check_child(name)
        return self._asked(self._tasks.child(name, input, instance_id, version, decode, tags))

    def call_child_with_retry(
        self,
        name: str,
        input: str | None,
        instance_id: str | None,
        version: str | None,
        decode: Decode,
        retry: RetryPolicy,
        tags: Tags = None,
    ) -> Task:
        """Run a child orchestration, again after failures as ``retry`` says; an explicit id is used each time."""
        if self._section is not None:
            self._section.check_child(name)
        return self._asked(
            self._retried(lambda: self._tasks.child(name, input, instance_id, version, decode, tags), retry)
        )

    def call_http(self, request: str, decode: Decode, poll: Poll) -> Task:
        """Send a request by the host's built-in activity, again and again as ``poll`` says."""
        return self._asked(
            PollingTask(
                self,
                request,
                lambda text: self._tasks.activity(HTTP_ACTIVITY, text, decode),
                self._new_timer,
                poll,
            )
        )

    def create_timer(self, fire_at: datetime) -> TimerTask:
        """Wake me at ``fire_at`` or after. Raises ValueError for a naive time."""
        timer = self._new_timer(fire_at)
        self._asked(timer)
        return timer

    def wait_for_event(self, name: str, decode: Decode) -> Task:
        """Take one external event of this name, whatever its case."""
        return self._asked(self._tasks.event(name, decode))

    def call_entity(self, entity_id: str, operation: str, input: str | None, decode: Decode) -> Task:
        """Run an entity's operation and wait for its answer. ``entity_id`` is ``@name@key``."""
        task = self._tasks.entity_call(entity_id, operation, input, decode)
        if self._section is not None:
            self._section.check_call(task)
        return self._asked(task)

    def lock_entities(self, entity_ids: Sequence[str]) -> Task:
        """Enter a critical section over these entities (``@name@key``); the task's value is an ``EntityLock``.

        Raises RuntimeError inside another section, ValueError for no entities, InvalidIdentifier.
        """
        section = self._section
        if section is not None and not section.is_left:
            raise RuntimeError(NESTED)
        self._section = section = CriticalSection(self, entity_ids, self._tasks.lock)
        self._asked(section.request)
        return section.request

    def signal_entity(self, entity_id: str, operation: str, input: str | None, due_at: datetime | None = None) -> Task:
        """Send an operation to an entity now, yielded or not. The task returned is complete."""
        if self._section is not None:
            self._section.check_signal(entity_id)
        if not self._is_sealed:
            self.actions.append(SignalEntity(self.take_id(), entity_id, operation, input, due_at))
        return completed_task()

    def send_event(self, instance_id: str, name: str, input: str | None) -> Task:
        """Raise an event to another orchestration now, yielded or not. The task returned is complete."""
        if not self._is_sealed:
            self.actions.append(SendEvent(self.take_id(), instance_id, name, input))
        return completed_task()

    def all_of(self, tasks: Iterable[Task]) -> Task:
        """A task with all values, in order. Raises OrchestratorMisuse when a member is not a task."""
        return AllTask(_checked(tasks), fails_fast=self._policy.all_mode is AllMode.FAIL_FAST)

    def any_of(self, tasks: Iterable[Task]) -> Task:
        """A task whose value is the member that completes first. Raises OrchestratorMisuse when one is not a task."""
        return AnyTask(_checked(tasks))

    @property
    def next_task_id(self) -> int:
        """The number that the next action would get."""
        return self._next_id

    def set_custom_status(self, text: str | None) -> None:
        """Show this JSON text as the instance's custom status; None clears it. The turn's last call wins."""
        self.custom_status = text
        self._new_status = NewStatus(text)

    def continue_as_new(
        self, input: str | None, version: str | None = None, untaken: UntakenEvents = UntakenEvents.CARRIED
    ) -> None:
        """Begin the next execution with this input. The first call counts; nothing is recorded after it."""
        if not self._is_sealed:
            self._untaken = untaken
            self.take_id()
            self._ending = ContinueAsNew(input, version)
            self._is_sealed = True

    def take_id(self) -> int:
        task_id = self._next_id
        self._next_id = task_id + 1
        return task_id

    def open_call(self, task: CallTask, action: Action) -> None:
        self.open_calls[action.task_id] = task
        self.actions.append(action)

    def open_timer(self, task: TimerTask, action: Action) -> None:
        self.open_timers[action.task_id] = task
        self.actions.append(action)

    def unlock(self, section_id: str, entity_ids: Sequence[str]) -> None:
        if not self._is_sealed:
            self.actions.extend(UnlockEntity(self.take_id(), section_id, entity_id) for entity_id in entity_ids)

    def forget_timer(self, task_id: int) -> None:
        self.open_timers.pop(task_id, None)

    def await_event(self, task: EventTask) -> None:
        self.events.wait(task)

    def forget_event(self, task: EventTask) -> None:
        self.events.forget(task)

    def schedule(self, task: Task) -> None:
        """Open the task and what it is made of, depth first, each once."""
        if task.is_scheduled or self._is_sealed:
            return
        task.is_scheduled = True
        unopened = [*reversed(task.open(self))]
        while unopened:
            member = unopened.pop()
            if not member.is_scheduled:
                member.is_scheduled = True
                unopened.extend(reversed(member.open(self)))

    def begin(self, started: ExecutionStarted) -> None:
        """Take the identity of the execution."""
        self.name = started.name
        self.execution_id = started.execution_id
        self.generation = started.generation
        self.version = started.version
        self.tags = started.tags
        self.parent_instance_id = None if started.parent is None else started.parent.instance_id

    def continuation(self) -> ContinueAsNew:
        """How the execution ends after ``continue_as_new``, with the events that nobody took if they go along."""
        assert self._ending is not None
        carried = self.events.carried() if self._untaken is UntakenEvents.CARRIED else ()
        return ContinueAsNew(self._ending.input, self._ending.version, carried)

    def take_actions(self) -> list[Action]:
        """The actions recorded since the last call."""
        actions = self.actions
        self.actions = []
        return actions

    def take_new_status(self) -> NewStatus | None:
        """The custom status set since the last call."""
        new_status = self._new_status
        self._new_status = None
        return new_status

    def seal(self) -> None:
        """Record nothing any more, and let go of open tasks."""
        self._is_sealed = True
        self.open_calls.clear()
        self.open_timers.clear()

    def _asked(self, task: Task) -> Task:
        if self._schedules_at_call:
            self.schedule(task)
        return task

    def _retried(self, new_attempt: Callable[[], CallTask], retry: RetryPolicy) -> Task:
        return self._tasks.retry(self, new_attempt, self._new_timer, retry, self._policy.retry_ids)

    def _new_timer(self, fire_at: datetime) -> TimerTask:
        if fire_at.tzinfo is not UTC:
            if fire_at.utcoffset() is None:
                raise ValueError(f"The timer's time {fire_at} has no time zone.")
            fire_at = fire_at.astimezone(UTC)
        longest, hop = self._policy.longest_timer, self._policy.timer_hop
        if longest is not None and hop is not None and fire_at - self.now > longest:
            return self._tasks.long_timer(self, fire_at, longest, hop)
        return self._tasks.timer(self, fire_at)


def _checked(tasks: Iterable[Any]) -> list[Task]:
    members = list(tasks)
    for member in members:
        if not isinstance(member, Task):
            raise OrchestratorMisuse(f"A group is made of tasks; found a value of type {type(member).__name__!r}.")
    return members
