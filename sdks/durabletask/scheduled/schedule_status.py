"""Where programs of the official package look for these names."""

from durabletask.scheduled.options import ScheduleStatus

__all__ = ["ScheduleStatus"]
