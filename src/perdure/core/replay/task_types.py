"""Which classes a family's tasks have. The recorder makes tasks of these and asks nothing else of them."""

from dataclasses import dataclass

from perdure.core.replay.critical_section import LockTask
from perdure.core.replay.repeating_tasks import LongTimerTask, RetryTask
from perdure.core.replay.tasks import (
    ActivityTask,
    ChildTask,
    EntityCallTask,
    EventTask,
    TimerTask,
)


@dataclass(frozen=True, slots=True)
class TaskTypes:
    """The core's own classes, or subclasses of them that behave as an SDK's users expect."""

    activity: type[ActivityTask] = ActivityTask
    child: type[ChildTask] = ChildTask
    entity_call: type[EntityCallTask] = EntityCallTask
    lock: type[LockTask] = LockTask
    timer: type[TimerTask] = TimerTask
    long_timer: type[LongTimerTask] = LongTimerTask
    event: type[EventTask] = EventTask
    retry: type[RetryTask] = RetryTask


CORE_TASKS = TaskTypes()
