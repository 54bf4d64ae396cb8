from datetime import timedelta

import pytest

from perdure.functions.durations import parse_timespan


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("00:05:00", timedelta(minutes=5)),
        ("01:02:03", timedelta(hours=1, minutes=2, seconds=3)),
        ("10:30", timedelta(hours=10, minutes=30)),
        ("1.00:00:00", timedelta(days=1)),
        ("6.23:59:59", timedelta(days=6, hours=23, minutes=59, seconds=59)),
        ("00:00:00.5", timedelta(milliseconds=500)),
        ("00:00:01.1234567", timedelta(seconds=1, microseconds=123456)),
        (" 00:00:10 ", timedelta(seconds=10)),
    ],
)
def test_reads_time_spans(text: str, expected: timedelta) -> None:
    assert parse_timespan(text) == expected


@pytest.mark.parametrize("text", ["", "5", "abc", "1:2:3:4", "00:60:00", "00:00:60", "-00:00:01", "1.2.00:00:00"])
def test_refuses_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"'.*'"):
        parse_timespan(text)


def test_hours_from_24_on_need_a_day_part() -> None:
    with pytest.raises(ValueError, match=r"write whole days in front, as in 1\.00:00:00"):
        parse_timespan("24:00:00")
