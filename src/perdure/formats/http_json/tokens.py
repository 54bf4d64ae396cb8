"""The continuation token of listings: opaque to clients, versioned, checked when it comes back."""

import base64
import binascii
from datetime import UTC, datetime, timedelta

from perdure.contracts.records import PageKey

_VERSION = "1"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LENGTH_MAX = 16 * 1024


def write_token(key: PageKey | None) -> str:
    """The token of a page's end; empty on the last page."""
    if key is None:
        return ""
    text = f"{_VERSION}|{(key.created_at - _EPOCH) // _MICROSECOND}|{key.instance_id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_token(token: str) -> PageKey:
    """The place a token stands for. Raises ValueError for what ``write_token`` did not write."""
    try:
        if len(token) > _LENGTH_MAX:
            raise ValueError
        text = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode()
        version, microseconds, instance_id = text.split("|", 2)
        key = PageKey(_EPOCH + int(microseconds) * _MICROSECOND, instance_id)
    except (ValueError, OverflowError, binascii.Error):
        raise _forged() from None
    if version != _VERSION or not instance_id:
        raise _forged()
    if write_token(key) != token:
        raise _forged()
    return key


def _forged() -> ValueError:
    return ValueError("The continuation token was not given by this API.")
