"""When a timer fires next: an NCRONTAB expression in a time zone, or a fixed gap (functions-host.md §10). Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from perdure.functions.cron import CronExpression, parse_cron
from perdure.functions.durations import parse_timespan

_TRANSITION_LOOK_BACK = timedelta(hours=25)
"""Longer than any jump of a clock (a zone once skipped a whole day)."""
_TRANSITION_STEP = timedelta(days=7)
_SECOND = timedelta(seconds=1)


class Schedule(Protocol):
    """Answers when the next run is due."""

    @property
    def is_frequent(self) -> bool:
        """Whether it can fire more than once a minute; such a timer is not monitored."""
        ...

    def next_after(self, instant: datetime) -> datetime:
        """The first due time strictly after ``instant``; both aware UTC."""
        ...


@dataclass(frozen=True, slots=True)
class PeriodSchedule:
    """A fixed gap between starts."""

    period: timedelta

    @property
    def is_frequent(self) -> bool:
        return self.period < timedelta(minutes=1)

    def next_after(self, instant: datetime) -> datetime:
        return instant + self.period


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """A cron expression by the wall clock of a zone.

    Where clocks go forward, a time that does not exist fires by the old offset. Where they go back, an interval
    runs through the repeated hour and a point in time fires once, the first time.
    """

    cron: CronExpression
    zone: ZoneInfo

    @property
    def is_frequent(self) -> bool:
        return len(self.cron.seconds) > 1

    def next_after(self, instant: datetime) -> datetime:
        now = instant.astimezone(UTC).replace(tzinfo=None)
        due = [t for t in (self._next_in_recent_gap(now), self._next_existing(now)) if t is not None]
        if not due:
            raise ValueError(f"'{self.cron.text}' has no occurrence after {instant.isoformat()}")
        return min(due).replace(tzinfo=UTC)

    def _next_in_recent_gap(self, now: datetime) -> datetime | None:
        """A skipped local time that is due, by the old offset, after ``now``, with the gap just passed."""
        old, new = self._offset(now - _TRANSITION_LOOK_BACK), self._offset(now)
        if old >= new:
            return None
        gap_end = self._transition(now - _TRANSITION_LOOK_BACK, now) + new
        local = self.cron.next_after(now + old)
        return local - old if local is not None and local < gap_end else None

    def _next_existing(self, now: datetime) -> datetime | None:
        offset = self._offset(now)
        start = self._without_repeated(now, offset)
        due: list[datetime] = []
        while (local := self.cron.next_after(start)) is not None:
            transition = self._first_transition(now, local - offset)
            if transition is None:
                due.append(local - offset)
                break
            old, offset = offset, self._offset(transition)
            if offset > old and local < transition + offset:
                due.append(local - old)
            repeats = offset < old and self.cron.is_interval
            start = transition + (offset if repeats else max(old, offset)) - _SECOND
            now = transition
        return min(due, default=None)

    def _without_repeated(self, now: datetime, offset: timedelta) -> datetime:
        """Local time to search from: for a point in time, the end of the repeated hour that ``now`` is in."""
        old = self._offset(now - _TRANSITION_LOOK_BACK)
        if self.cron.is_interval or old <= offset:
            return now + offset
        repeated_end = self._transition(now - _TRANSITION_LOOK_BACK, now) + old
        return max(now + offset, repeated_end - _SECOND)

    def _first_transition(self, after: datetime, until: datetime) -> datetime | None:
        before = after
        while before < until:
            step = min(before + _TRANSITION_STEP, until)
            if self._offset(step) != self._offset(before):
                return self._transition(before, step)
            before = step
        return None

    def _transition(self, before: datetime, after: datetime) -> datetime:
        """The first whole second with the offset of ``after``."""
        low, high = before.replace(microsecond=0), after.replace(microsecond=0)
        if high < after:
            high += _SECOND
        new = self._offset(after)
        while high - low > _SECOND:
            middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
            if self._offset(middle) == new:
                high = middle
            else:
                low = middle
        return high

    def _offset(self, utc: datetime) -> timedelta:
        offset = utc.replace(tzinfo=UTC).astimezone(self.zone).utcoffset()
        assert offset is not None, f"zone {self.zone} has no offset at {utc}"
        return offset


def read_schedule(text: str, zone: ZoneInfo) -> Schedule:
    """Read a cron expression or a TimeSpan. Raises ValueError saying what is wrong."""
    if ":" not in text:
        return CronSchedule(parse_cron(text), zone)
    period = parse_timespan(text)
    if period < _SECOND:
        raise ValueError(f"'{text}' is shorter than a second")
    return PeriodSchedule(period)


def read_zone(name: str) -> ZoneInfo:
    """Look up an IANA time zone. Raises ValueError for a name that is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"'{name}' is not an IANA time zone such as 'Europe/Berlin'") from error
