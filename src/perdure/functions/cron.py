"""NCRONTAB expressions → next local time (functions-host.md §10). Pure; time zones are the schedule's business."""

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

_MONTHS = [name.lower() for name in calendar.month_name][1:]
_WEEKDAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
_YEARS_AHEAD = 45
"""29 February on a given weekday can be 40 years away, across a century without a leap day."""


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, tuple(_MONTHS)),
    _Field("day of week", 0, 6, tuple(_WEEKDAYS)),
)


@dataclass(frozen=True, slots=True)
class CronExpression:
    """When something is due, in local time. Day and day of week must both match, unlike Unix cron."""

    text: str
    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    """0 is Sunday."""
    is_interval: bool
    """Second, minute or hour hold ``*``, ``/`` or ``-``: such a schedule keeps running through a repeated hour."""

    def next_after(self, instant: datetime) -> datetime | None:
        """The first matching time strictly after the naive ``instant``; None when there is none in 45 years."""
        start = instant.replace(microsecond=0) + timedelta(seconds=1)
        if self._is_due_on(start.date()):
            time = self._time_from(start.hour, start.minute, start.second)
            if time is not None:
                return start.replace(hour=time[0], minute=time[1], second=time[2])
        day = self._day_after(start.date())
        if day is None:
            return None
        return datetime(day.year, day.month, day.day, self.hours[0], self.minutes[0], self.seconds[0])

    def _is_due_on(self, day: date) -> bool:
        return day.month in self.months and day.day in self.days and day.isoweekday() % 7 in self.weekdays

    def _time_from(self, hour: int, minute: int, second: int) -> tuple[int, int, int] | None:
        for due_hour in _from(self.hours, hour):
            if due_hour > hour:
                return due_hour, self.minutes[0], self.seconds[0]
            for due_minute in _from(self.minutes, minute):
                if due_minute > minute:
                    return due_hour, due_minute, self.seconds[0]
                for due_second in _from(self.seconds, second):
                    return due_hour, due_minute, due_second
        return None

    def _day_after(self, today: date) -> date | None:
        for year in range(today.year, min(today.year + _YEARS_AHEAD, 9999) + 1):
            for month in self.months:
                if (year, month) < (today.year, today.month):
                    continue
                last = calendar.monthrange(year, month)[1]
                for number in self.days:
                    if number > last:
                        break
                    day = date(year, month, number)
                    if day > today and day.isoweekday() % 7 in self.weekdays:
                        return day
        return None


def parse_cron(text: str) -> CronExpression:
    """Read six fields, or five without seconds.

    Raises ValueError naming the field and what is wrong with it, and when no day can ever match.
    """
    words = text.split()
    if len(words) == 5:
        words = ["0", *words]
    if len(words) != 6:
        raise ValueError(
            f"'{text}' has {len(text.split())} fields; a schedule has six: second minute hour day month day-of-week"
        )
    values = [_read_field(word, field) for word, field in zip(words, _FIELDS, strict=True)]
    is_interval = any(sign in word for word in words[:3] for sign in "*/-")
    cron = CronExpression(text, *values, is_interval=is_interval)
    if cron.next_after(datetime(2000, 1, 1)) is None:
        raise ValueError(f"'{text}' never occurs: no such day exists")
    return cron


def _from(values: Sequence[int], low: int) -> Sequence[int]:
    return [value for value in values if value >= low]


def _read_field(word: str, field: _Field) -> tuple[int, ...]:
    values: set[int] = set()
    for element in word.split(","):
        values.update(_read_element(element, field))
    return tuple(sorted(values))


def _read_element(element: str, field: _Field) -> range:
    span, slash, step_text = element.partition("/")
    step = 1
    if slash:
        if not step_text.isascii() or not step_text.isdigit() or int(step_text) == 0:
            raise ValueError(f"the {field.name} field has the step '{step_text}'; a step is a number from 1 on")
        step = int(step_text)
    if span == "*":
        return range(field.low, field.high + 1, step)
    first_text, dash, last_text = span.partition("-")
    first = _read_value(first_text, field)
    alone = field.high if slash else first
    last = _read_value(last_text, field) if dash else alone
    return range(min(first, last), max(first, last) + 1, step)


def _read_value(text: str, field: _Field) -> int:
    if re.fullmatch(r"[0-9]+", text):
        value = int(text)
        if not field.low <= value <= field.high:
            raise ValueError(f"the {field.name} field has {value}; it goes from {field.low} to {field.high}")
        return value
    if text and field.names:
        found = [n for n, name in enumerate(field.names) if name.startswith(text.lower())]
        if len(found) == 1:
            return found[0] + field.low
        if found:
            names = ", ".join(field.names[n].capitalize() for n in found)
            raise ValueError(f"the {field.name} field has '{text}', which can be {names}")
    raise ValueError(f"the {field.name} field has '{text}', which is not a value, range, list or step")
