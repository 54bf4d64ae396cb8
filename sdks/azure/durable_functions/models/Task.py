"""Old import path; the code is in tasks."""

from azure.durable_functions.tasks import (
    AtomicTask,
    LongTimerTask,
    RetryAbleTask,
    TaskBase,
    TaskState,
    TimerTask,
    WhenAllTask,
    WhenAnyTask,
)

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
