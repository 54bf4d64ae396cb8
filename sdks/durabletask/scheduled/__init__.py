"""Schedules: orchestrations started again and again, kept by an entity and steered by clients."""

from durabletask.scheduled.async_client import AsyncScheduleClient, AsyncScheduledTaskClient
from durabletask.scheduled.client import ScheduleClient, ScheduledTaskClient
from durabletask.scheduled.errors import (
    ScheduleClientValidationError,
    ScheduleError,
    ScheduleInvalidTransitionError,
    ScheduleNotFoundError,
)
from durabletask.scheduled.options import (
    ScheduleCreationOptions,
    ScheduleDescription,
    ScheduleQuery,
    ScheduleStatus,
    ScheduleUpdateOptions,
)

__all__ = [
    "AsyncScheduleClient",
    "AsyncScheduledTaskClient",
    "ScheduleClient",
    "ScheduleClientValidationError",
    "ScheduleCreationOptions",
    "ScheduleDescription",
    "ScheduleError",
    "ScheduleInvalidTransitionError",
    "ScheduleNotFoundError",
    "ScheduleQuery",
    "ScheduleStatus",
    "ScheduleUpdateOptions",
    "ScheduledTaskClient",
]
