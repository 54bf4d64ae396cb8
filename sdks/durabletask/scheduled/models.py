"""Where programs of the official package look for these names."""

from durabletask.scheduled.options import (
    ScheduleCreationOptions,
    ScheduleDescription,
    ScheduleQuery,
    ScheduleUpdateOptions,
)

__all__ = ["ScheduleCreationOptions", "ScheduleDescription", "ScheduleQuery", "ScheduleUpdateOptions"]
