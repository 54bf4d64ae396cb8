"""Events, messages and small values ↔ the JSON text kept in rows.

A row carries the format number it was written under. Fields that this version does not know are ignored,
and every format ever released stays readable through ``UPGRADES``.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from perdure.core.events import HistoryEvent, ParentLink
from perdure.core.failures import FailureDetails
from perdure.core.instance import LockHolder
from perdure.core.messages import AnyMessage

STORED_FORMAT = 1
"""The format that this version writes."""

UPGRADES: dict[int, Callable[[Any], Any]] = {}
"""Format n → what makes a value of format n + 1 of it. Both are plain JSON values: a list of events, or a message."""

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode
_events: msgspec.json.Decoder[list[HistoryEvent]] = msgspec.json.Decoder(list[HistoryEvent])
_message: msgspec.json.Decoder[AnyMessage] = msgspec.json.Decoder(AnyMessage)
_failure = msgspec.json.Decoder(FailureDetails)
_parent = msgspec.json.Decoder(ParentLink)
_holder = msgspec.json.Decoder(LockHolder)
_tags = msgspec.json.Decoder(dict[str, str])
_names = msgspec.json.Decoder(tuple[str, ...])


class UnreadableText(ValueError):
    """A stored text is no JSON of the expected kind, or of a newer format."""


def write_events(events: Sequence[HistoryEvent]) -> bytes:
    """One episode's events as UTF-8 JSON. Raises UnicodeEncodeError for a lone surrogate."""
    return _encode(events)


def read_events(text: str | bytes, stored_format: int = STORED_FORMAT) -> list[HistoryEvent]:
    """The inverse of ``write_events``, for any format up to ours. Raises UnreadableText."""
    return _read(_events, text, stored_format)


def write_message(message: AnyMessage) -> bytes:
    """A message as UTF-8 JSON. Raises UnicodeEncodeError for a lone surrogate."""
    return _encode(message)


def read_message(text: str | bytes, stored_format: int = STORED_FORMAT) -> AnyMessage:
    """The inverse of ``write_message``, for any format up to ours. Raises UnreadableText."""
    return _read(_message, text, stored_format)


def write_failure(failure: FailureDetails) -> str:
    return _encode(failure).decode()


def read_failure(text: str) -> FailureDetails:
    """Raises UnreadableText."""
    return _read(_failure, text, STORED_FORMAT)


def write_parent(parent: ParentLink) -> str:
    return _encode(parent).decode()


def read_parent(text: str) -> ParentLink:
    """Raises UnreadableText."""
    return _read(_parent, text, STORED_FORMAT)


def write_holder(holder: LockHolder) -> str:
    return _encode(holder).decode()


def read_holder(text: str) -> LockHolder:
    """Raises UnreadableText."""
    return _read(_holder, text, STORED_FORMAT)


def write_tags(tags: Mapping[str, str]) -> str:
    return _encode(tags).decode()


def read_tags(text: str) -> dict[str, str]:
    """Raises UnreadableText."""
    return _read(_tags, text, STORED_FORMAT)


def write_names(names: tuple[str, ...]) -> str:
    return _encode(names).decode()


def read_names(text: str) -> tuple[str, ...]:
    """Raises UnreadableText."""
    return _read(_names, text, STORED_FORMAT)


def _read(decoder: msgspec.json.Decoder[T], text: str | bytes, stored_format: int) -> T:
    try:
        if stored_format == STORED_FORMAT:
            return decoder.decode(text)
        if not 0 < stored_format < STORED_FORMAT:
            raise UnreadableText(f"format {stored_format} is not known; this version reads up to {STORED_FORMAT}")
        value = msgspec.json.decode(text)
        for step in range(stored_format, STORED_FORMAT):
            value = UPGRADES[step](value)
        return decoder.decode(_encode(value))
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise UnreadableText(str(error)) from error
