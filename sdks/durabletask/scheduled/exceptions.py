"""Where programs of the official package look for these names."""

from durabletask.scheduled.errors import (
    ScheduleClientValidationError,
    ScheduleError,
    ScheduleInvalidTransitionError,
    ScheduleNotFoundError,
)

__all__ = ["ScheduleClientValidationError", "ScheduleError", "ScheduleInvalidTransitionError", "ScheduleNotFoundError"]
