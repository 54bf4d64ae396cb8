"""Where a page ends, as a text that clients give back: opaque, never ``0``, another one for each page."""

import base64
import binascii
from datetime import UTC, datetime, timedelta

from perdure.client import EndedKey, InvalidInput, PageKey

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LENGTH_MAX = 16 * 1024
_CREATED, _ENDED = "c", "e"


def write_page_token(key: PageKey) -> str:
    """The token of a page of instances or entities."""
    return _write(_CREATED, key.created_at, key.instance_id)


def read_page_token(token: str) -> PageKey:
    """Raises InvalidInput for what ``write_page_token`` did not write."""
    return PageKey(*_read(_CREATED, token))


def write_ended_token(key: EndedKey) -> str:
    """The token of a page of ids of ended instances."""
    return _write(_ENDED, key.completed_at, key.instance_id)


def read_ended_token(token: str) -> EndedKey:
    """Raises InvalidInput for what ``write_ended_token`` did not write."""
    return EndedKey(*_read(_ENDED, token))


def _write(kind: str, at: datetime, instance_id: str) -> str:
    text = f"{kind}|{(at - _EPOCH) // _MICROSECOND}|{instance_id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read(kind: str, token: str) -> tuple[datetime, str]:
    try:
        if len(token) > _LENGTH_MAX:
            raise ValueError
        text = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode()
        found, microseconds, instance_id = text.split("|", 2)
        place = _EPOCH + int(microseconds) * _MICROSECOND, instance_id
    except (ValueError, OverflowError, binascii.Error):
        raise _forged() from None
    if found != kind or _write(kind, *place) != token:
        raise _forged()
    return place


def _forged() -> InvalidInput:
    return InvalidInput("The continuation token was not given by this call of this server.")
