"""Times as the HTTP API writes and reads them: always UTC, always with a Z."""

import re
from datetime import UTC, datetime

_LOST_PLUS = re.compile(r" (\d\d:?\d\d)$")
"""An offset whose '+' a query string turned into a space."""


def whole_seconds(at: datetime) -> str:
    """``2026-02-03T04:05:06Z``."""
    return at.isoformat(timespec="seconds")[:19] + "Z"


def microseconds(at: datetime) -> str:
    """``2026-02-03T04:05:06.123456Z``."""
    return at.isoformat(timespec="microseconds")[:26] + "Z"


def ticks(at: datetime) -> str:
    """``2026-02-03T04:05:06.1234560Z``: seven digits, as .NET prints."""
    return at.isoformat(timespec="microseconds")[:26] + "0Z"


def read_time(text: str) -> datetime:
    """Read ISO 8601: any number of fractional digits, any offset; none means UTC. Raises ValueError."""
    text = text.strip()
    if "T" in text.upper():
        text = _LOST_PLUS.sub(r"+\1", text)
    at = datetime.fromisoformat(text.upper())
    if at.tzinfo is None:
        return at.replace(tzinfo=UTC)
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is out of range") from None
