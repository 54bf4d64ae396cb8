"""The tasks that context methods return, by their 1.x names."""

from perdure.core.replay.repeating_tasks import LongTimerTask, RetryTask
from perdure.core.replay.tasks import AllTask, AnyTask, CallTask, Task, TaskState, TimerTask

TaskBase = Task
AtomicTask = CallTask
WhenAllTask = AllTask
WhenAnyTask = AnyTask
RetryAbleTask = RetryTask

__all__ = [
    "AtomicTask",
    "LongTimerTask",
    "RetryAbleTask",
    "TaskBase",
    "TaskState",
    "TimerTask",
    "WhenAllTask",
    "WhenAnyTask",
]
