"""Times and durations, both ways, exact to the microsecond."""

from datetime import UTC, datetime, timedelta

from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.wire import varint

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def write_time(at: datetime) -> pb.Timestamp:
    """An aware time. Raises ValueError for a naive one."""
    seconds, nanos = _parts(at)
    return pb.Timestamp(seconds=seconds, nanos=nanos)


def time_bytes(at: datetime) -> bytes:
    """``write_time``, encoded."""
    seconds, nanos = _parts(at)
    return b"\x08" + varint(seconds) + b"\x10" + varint(nanos) if nanos else b"\x08" + varint(seconds)


def time_field(opening: bytes, at: datetime) -> bytes:
    """``time_bytes`` as a field."""
    raw = time_bytes(at)
    return opening + varint(len(raw)) + raw


def read_time(stamp: pb.Timestamp, what: str = "time") -> datetime:
    """Aware UTC; what is finer than a microsecond is cut off. Raises ValueError, naming ``what``."""
    seconds, nanos = stamp.seconds, stamp.nanos
    if not 0 <= nanos < 1_000_000_000:
        raise ValueError(f"The {what} has {nanos} nanoseconds; a second has 0 to 999999999.")
    try:
        return _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)
    except OverflowError:
        raise ValueError(f"The {what} is {seconds} seconds from 1970, outside of the years 1 to 9999.") from None


def write_duration(span: timedelta) -> pb.Duration:
    """Both parts of a negative duration are negative, as the format demands."""
    total = span // timedelta(microseconds=1)
    sign = -1 if total < 0 else 1
    seconds, microseconds = divmod(abs(total), 1_000_000)
    return pb.Duration(seconds=sign * seconds, nanos=sign * microseconds * 1000)


def read_duration(duration: pb.Duration, what: str = "duration") -> timedelta:
    """What is finer than a microsecond is cut off. Raises ValueError, naming ``what``."""
    seconds, nanos = duration.seconds, duration.nanos
    if abs(nanos) >= 1_000_000_000 or seconds * nanos < 0:
        raise ValueError(f"The {what} has {seconds} seconds and {nanos} nanoseconds, which do not go together.")
    microseconds = nanos // 1000 if nanos >= 0 else -(-nanos // 1000)
    try:
        return timedelta(seconds=seconds, microseconds=microseconds)
    except OverflowError:
        raise ValueError(f"The {what} of {seconds} seconds is too long.") from None


def _parts(at: datetime) -> tuple[int, int]:
    if at.tzinfo is None:
        raise ValueError(f"The time {at.isoformat()} says no time zone.")
    since = at - _EPOCH
    return since.days * 86400 + since.seconds, since.microseconds * 1000
