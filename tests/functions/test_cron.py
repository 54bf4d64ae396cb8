from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.functions.cron import CronExpression, parse_cron

START = datetime(2026, 2, 3, 4, 5, 6, 789)


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("* * * * * *", "2026-02-03T04:05:06", "2026-02-03T04:05:07"),
        ("0 */5 * * * *", "2026-02-03T04:05:00", "2026-02-03T04:10:00"),
        ("*/5 * * * *", "2026-02-03T04:05:00", "2026-02-03T04:10:00"),
        ("0 0 0 * * *", "2026-12-31T23:59:59", "2027-01-01T00:00:00"),
        ("0 30 9 * * 1-5", "2026-02-06T09:30:00", "2026-02-09T09:30:00"),
        ("0 30 9 * * Mon-Fri", "2026-02-06T09:30:00", "2026-02-09T09:30:00"),
        ("0 0 12 1 jan,JUL *", "2026-02-01T00:00:00", "2026-07-01T12:00:00"),
        ("0 0 0 29 feb *", "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
        ("0 0 0 13 * 5", "2026-01-01T00:00:00", "2026-02-13T00:00:00"),
        ("30-20 * * * * *", "2026-01-01T00:00:00", "2026-01-01T00:00:20"),
        ("0 50/5 * * * *", "2026-01-01T00:50:00", "2026-01-01T00:55:00"),
        ("0 0 8-18/5 * * *", "2026-01-01T14:00:00", "2026-01-01T18:00:00"),
        ("0 0 0 31 * *", "2026-01-31T00:00:00", "2026-03-31T00:00:00"),
        ("0 0 0 * * 0", "2026-02-03T00:00:00", "2026-02-08T00:00:00"),
    ],
)
def test_next_occurrence(text: str, after: str, expected: str) -> None:
    assert parse_cron(text).next_after(datetime.fromisoformat(after)) == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("* * * *", "has 4 fields"),
        ("* * * * * * *", "has 7 fields"),
        ("60 * * * * *", "second field has 60; it goes from 0 to 59"),
        ("* * 24 * * *", "hour field has 24"),
        ("* * * 0 * *", "day field has 0"),
        ("* * * * 13 *", "month field has 13"),
        ("* * * * * 7", "day of week field has 7"),
        ("? * * * * *", "second field has '?'"),
        ("* * * L * *", "day field has 'L'"),
        ("* * * * * 1#2", "day of week field has '1#2'"),
        ("@daily", "has 1 fields"),
        ("*/0 * * * * *", "a step is a number from 1 on"),
        ("*/x * * * * *", "step 'x'"),
        ("1, * * * * *", "second field has ''"),
        ("* * * * ma *", "can be March, May"),
        ("* * * * * t", "can be Tuesday, Thursday"),
        ("* * * * foo *", "month field has 'foo'"),
        ("-1 * * * * *", "second field has ''"),
        ("0 0 0 31 2 *", "never occurs"),
        ("0 0 0 30 feb *", "never occurs"),
        ("²  * * * * *", "second field"),
    ],
)
def test_refuses_bad_expressions(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match="(?i)" + reason.replace("?", r"\?").replace("*", r"\*")):
        parse_cron(text)


def test_rare_days_are_found_far_away() -> None:
    # A Thursday 29 February after 2096: 2100 is no leap year.
    assert parse_cron("0 0 0 29 2 4").next_after(datetime(2096, 3, 1)) == datetime(2120, 2, 29)


def _field(low: int, high: int) -> st.SearchStrategy[str]:
    value = st.integers(low, high)
    step = st.integers(1, high)
    element = st.one_of(
        st.just("*"),
        value.map(str),
        st.tuples(value, value).map(lambda pair: f"{pair[0]}-{pair[1]}"),
        st.tuples(value, value, step).map(lambda three: f"{three[0]}-{three[1]}/{three[2]}"),
        st.tuples(value, step).map(lambda pair: f"{pair[0]}/{pair[1]}"),
        step.map(lambda n: f"*/{n}"),
    )
    return st.lists(element, min_size=1, max_size=3).map(",".join)


def _expanded(word: str, low: int, high: int) -> set[int]:
    """The definition of a field, written as a test of every number."""
    values: set[int] = set()
    for element in word.split(","):
        span, _, step = element.partition("/")
        first, dash, last = span.partition("-")
        if span == "*":
            begin, end = low, high
        elif dash:
            begin, end = sorted((int(first), int(last)))
        else:
            begin, end = int(first), high if step else int(first)
        values |= {n for n in range(begin, end + 1) if (n - begin) % int(step or 1) == 0}
    return values


@settings(max_examples=50)  # each looks at up to 86,400 times
@given(
    second=_field(0, 59),
    minute=_field(0, 59),
    hour=_field(0, 23),
    start=st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),
)
def test_agrees_with_brute_force_within_a_day(second: str, minute: str, hour: str, start: datetime) -> None:
    found = parse_cron(f"{second} {minute} {hour} * * *").next_after(start)
    seconds, minutes, hours = _expanded(second, 0, 59), _expanded(minute, 0, 59), _expanded(hour, 0, 23)
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    times = [3600 * h + 60 * m + s for h in hours for m in minutes for s in seconds]
    now = (start - midnight).total_seconds()
    expected = min((t for t in times if t > now), default=86_400 + min(times))
    assert found == midnight + timedelta(seconds=expected)


@given(
    day=_field(1, 31),
    month=_field(1, 12),
    weekday=_field(0, 6),
    start=st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),
)
def test_agrees_with_brute_force_over_days(day: str, month: str, weekday: str, start: datetime) -> None:
    days, months, weekdays = _expanded(day, 1, 31), _expanded(month, 1, 12), _expanded(weekday, 0, 6)
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    expected = next(
        (
            candidate
            for n in range(1, 3000)
            if (candidate := midnight + timedelta(days=n)).day in days
            and candidate.month in months
            and candidate.isoweekday() % 7 in weekdays
        ),
        None,
    )
    try:
        cron: CronExpression | None = parse_cron(f"0 0 0 {day} {month} {weekday}")
    except ValueError:
        cron = None
    found = None if cron is None else cron.next_after(start)
    if expected is not None:
        assert found == expected
    else:
        assert found is None or found - midnight >= timedelta(days=3000)
