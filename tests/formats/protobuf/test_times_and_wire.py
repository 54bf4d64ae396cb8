"""Times, durations and the bytes of single fields."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.times import read_duration, read_time, time_bytes, write_duration, write_time
from perdure.formats.protobuf.wire import read_varint, text, texts, varint
from support.struct_strategies import TEXT


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_come_back_exactly_and_encoded_alike(at: datetime) -> None:
    assert read_time(write_time(at)) == at
    assert pb.Timestamp.FromString(time_bytes(at)) == write_time(at)


def test_other_zones_are_the_same_moment_and_naive_times_are_refused() -> None:
    at = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert read_time(write_time(at)) == at
    with pytest.raises(ValueError, match="says no time zone"):
        write_time(datetime(2026, 1, 1))


def test_times_that_are_none_are_refused_with_their_name() -> None:
    with pytest.raises(ValueError, match="fireAt has 1000000000 nanoseconds"):
        read_time(pb.Timestamp(nanos=1_000_000_000), "fireAt")
    with pytest.raises(ValueError, match="outside of the years 1 to 9999"):
        read_time(pb.Timestamp(seconds=2**62))
    assert read_time(pb.Timestamp(nanos=1999)).microsecond == 1


@given(st.timedeltas())
def test_durations_come_back_exactly(span: timedelta) -> None:
    written = write_duration(span)
    assert read_duration(written) == span
    assert written.seconds * written.nanos >= 0


def test_durations_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="do not go together"):
        read_duration(pb.Duration(seconds=1, nanos=-1))
    with pytest.raises(ValueError, match=r"timeout of .* is too long"):
        read_duration(pb.Duration(seconds=2**60), "timeout")


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_are_encoded_as_the_format_demands(number: int) -> None:
    encoded = varint(number)
    assert pb.Timestamp.FromString(b"\x08" + encoded).seconds == number
    assert read_varint(b"x" + encoded, 1) == (number % 2**64, 1 + len(encoded))


@given(st.none() | TEXT | st.integers(1, 3).map(lambda n: "x" * 10**n * 3))
def test_absent_and_empty_texts_differ(value: str | None) -> None:
    read = pb.EventRaisedEvent.FromString(text(b"\x12", value))
    assert read.HasField("input") is (value is not None)
    assert read.input.value == (value or "")


@given(st.dictionaries(TEXT, TEXT, max_size=4))
def test_maps_of_texts(tags: dict[str, str]) -> None:
    assert dict(pb.TaskScheduledEvent.FromString(texts(b"\x2a", tags)).tags) == tags
