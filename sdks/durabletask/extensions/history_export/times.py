"""Times in what jobs keep and write: ISO 8601, in UTC where no zone is said."""

from datetime import UTC, datetime
from typing import Any


def text_of(at: datetime | None) -> str | None:
    """The time as text."""
    return None if at is None else _zoned(at).isoformat()


def time_of(text: Any) -> datetime | None:
    """The time of a text. Raises ValueError."""
    return None if text is None else _zoned(datetime.fromisoformat(str(text)))


def round_trip_text(at: datetime) -> str:
    """With seven digits of a second, as .NET writes it: names of documents are hashes of this text."""
    at = _zoned(at)
    offset = at.strftime("%z")
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06d}0{offset[:3]}:{offset[3:5]}"


def _zoned(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at
