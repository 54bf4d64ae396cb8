from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.functions.cron import CronExpression, parse_cron
from perdure.functions.schedules import CronSchedule, PeriodSchedule, read_schedule, read_zone

BERLIN = ZoneInfo("Europe/Berlin")
"""29 March 2026 02:00 → 03:00; 25 October 2026 03:00 → 02:00."""


def _run(text: str, zone: str, start: str, count: int) -> list[str]:
    schedule = read_schedule(text, ZoneInfo(zone))
    now = datetime.fromisoformat(start)
    found: list[str] = []
    for _ in range(count):
        now = schedule.next_after(now)
        assert now.tzinfo is UTC
        found.append(f"{now:%m-%dT%H:%M}")
    return found


def test_utc_by_default_rules() -> None:
    assert _run("0 0 2 * * *", "UTC", "2026-03-28T12:00:00+00:00", 2) == ["03-29T02:00", "03-30T02:00"]


def test_local_time_follows_the_zone() -> None:
    assert _run("0 0 9 * * *", "Europe/Berlin", "2026-03-27T12:00:00+00:00", 3) == [
        "03-28T08:00",
        "03-29T07:00",
        "03-30T07:00",
    ]


def test_a_skipped_point_in_time_fires_at_the_shifted_time() -> None:
    assert _run("0 30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00+00:00", 3) == [
        "03-28T01:30",
        "03-29T01:30",  # 02:30 does not exist; it is 03:30 in summer time
        "03-30T00:30",
    ]


def test_every_skipped_time_fires() -> None:
    assert _run("0 15,45 2 * * *", "Europe/Berlin", "2026-03-29T00:00:00+00:00", 3) == [
        "03-29T01:15",
        "03-29T01:45",
        "03-30T00:15",
    ]


def test_an_interval_runs_on_through_the_skipped_hour() -> None:
    assert _run("0 */30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00+00:00", 4) == [
        "03-29T00:30",
        "03-29T01:00",
        "03-29T01:30",
        "03-29T02:00",
    ]


def test_a_repeated_point_in_time_fires_once_the_first_time() -> None:
    assert _run("0 30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00+00:00", 2) == ["10-25T00:30", "10-26T01:30"]
    # Also when the question is asked within the second pass.
    assert _run("0 30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00+00:00", 1) == ["10-26T01:30"]


def test_an_interval_keeps_running_through_the_repeated_hour() -> None:
    assert _run("0 */30 * * * *", "Europe/Berlin", "2026-10-24T23:45:00+00:00", 5) == [
        "10-25T00:00",
        "10-25T00:30",
        "10-25T01:00",
        "10-25T01:30",
        "10-25T02:00",
    ]


def test_a_zone_that_skipped_a_whole_day() -> None:
    # Samoa had no 30 December 2011.
    assert _run("0 0 12 * * *", "Pacific/Apia", "2011-12-29T00:00:00+00:00", 3) == [
        "12-29T22:00",
        "12-30T22:00",  # what would have been noon of the 30th, by the old offset, is noon of the 31st by the new one
        "12-31T22:00",
    ]


def _definition(cron: CronExpression, zone: ZoneInfo, begin: datetime, end: datetime) -> list[datetime]:
    """All due times of a minute schedule, found by looking at every minute and every skipped minute."""
    due: set[datetime] = set()
    seen_local: set[datetime] = set()
    minute, offset = begin - timedelta(days=1), None
    while minute <= end:
        local = minute.astimezone(zone).replace(tzinfo=None)
        new_offset = local - minute.replace(tzinfo=None)
        if offset is not None and new_offset > offset:
            skipped = minute.replace(tzinfo=None) + offset
            while skipped < local:
                if _matches(cron, skipped):
                    due.add((skipped - offset).replace(tzinfo=UTC))
                skipped += timedelta(minutes=1)
        offset = new_offset
        if _matches(cron, local) and (cron.is_interval or local not in seen_local):
            due.add(minute)
        seen_local.add(local)
        minute += timedelta(minutes=1)
    return sorted(time for time in due if begin < time <= end)


def _matches(cron: CronExpression, local: datetime) -> bool:
    return local.hour in cron.hours and local.minute in cron.minutes


_HOURS = st.lists(st.integers(0, 4), min_size=1, max_size=3, unique=True).map(lambda ns: ",".join(map(str, ns)))
_MINUTES = st.lists(st.sampled_from([0, 15, 30, 45]), min_size=1, max_size=2, unique=True).map(
    lambda ns: ",".join(map(str, ns))
)


@given(
    minutes=st.one_of(_MINUTES, st.just("*/20")),
    hours=st.one_of(_HOURS, st.just("*"), st.just("1-3")),
    change=st.sampled_from(
        [
            ("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC)),
            ("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
            ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
            ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
        ]
    ),
    lead=st.integers(-200, 300),
)
def test_agrees_with_the_definition_around_changes_of_the_clock(
    minutes: str, hours: str, change: tuple[str, datetime], lead: int
) -> None:
    zone = ZoneInfo(change[0])
    begin = change[1] - timedelta(minutes=lead)
    end = change[1] + timedelta(hours=5)
    cron = parse_cron(f"0 {minutes} {hours} * * *")
    schedule = CronSchedule(cron, zone)
    expected = [time for time in _definition(cron, zone, begin, end) if time > begin]
    found: list[datetime] = []
    now = begin
    while (now := schedule.next_after(now)) <= end:
        found.append(now)
    assert found == expected
    assert all(a < b for a, b in pairwise(found))


@given(start=st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)))
def test_next_is_strictly_after_and_nothing_lies_between(start: datetime) -> None:
    schedule = CronSchedule(parse_cron("0 0 */3 * * *"), BERLIN)
    first = schedule.next_after(start)
    assert start < first <= start + timedelta(hours=4)
    assert schedule.next_after(first - timedelta(microseconds=1)) == first


def test_a_time_span_is_a_fixed_gap() -> None:
    schedule = read_schedule("00:10:00", BERLIN)
    assert schedule == PeriodSchedule(timedelta(minutes=10))
    start = datetime(2026, 1, 1, 0, 3, tzinfo=UTC)
    assert schedule.next_after(start) == start + timedelta(minutes=10)


@pytest.mark.parametrize(
    ("text", "is_frequent"),
    [("00:00:30", True), ("00:01:00", False), ("*/10 * * * * *", True), ("0 * * * * *", False), ("* * * * *", False)],
)
def test_frequent_schedules_are_recognised(text: str, is_frequent: bool) -> None:
    assert read_schedule(text, BERLIN).is_frequent is is_frequent


@pytest.mark.parametrize("text", ["", "hourly", "24:00:00", "00:00:00", "0 0 25 * * *"])
def test_refuses_what_is_no_schedule(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_schedule(text, BERLIN)


@pytest.mark.parametrize("name", ["W. Europe Standard Time", "Nowhere/City", "../../etc/passwd", ""])
def test_refuses_what_is_no_zone(name: str) -> None:
    with pytest.raises(ValueError, match="is not an IANA time zone"):
        read_zone(name)
