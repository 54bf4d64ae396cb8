"""Requests of ``call_http`` and when an accepted one is asked about again (functions-sdk.md §8). Pure."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, cast
from urllib.parse import urljoin, urlsplit

POLL_INTERVAL_DEFAULT = timedelta(seconds=30)
POLL_INTERVAL_FIELD = "pollAfterMilliseconds"
"""With a 202 the host says how long it waits when the server does not say; so that is part of the history."""

ACCEPTED = 202
_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "x-functions-key"})
_PORTS = {"http": 80, "https": 443}


def check_address(uri: str) -> None:
    """Raise ValueError for anything but an absolute http or https address."""
    parts = urlsplit(uri)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"call_http needs an http or https address with a host, not '{uri}'.")


def origin_of(uri: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port: what credentials are meant for."""
    parts = urlsplit(uri)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def without_secrets(headers: Mapping[str, Any]) -> dict[str, Any]:
    """The headers that another origin may see."""
    return {name: value for name, value in headers.items() if name.lower() not in _SECRET_HEADERS}


def header_of(headers: Mapping[str, Any], name: str) -> str | None:
    """A header's first value, whatever the case of its name; hosts write lists of values, too."""
    for key, value in headers.items():
        if key.lower() == name:
            values = cast(list[Any], value) if isinstance(value, list) else [value]
            return str(values[0]) if values else None
    return None


def next_poll(request: str, response: Mapping[str, Any], now: datetime) -> tuple[str, datetime] | None:
    """The request that asks again about an accepted one, and when; None when the response is final.

    Raises ValueError when the server names a place that is not HTTP.
    """
    headers: Mapping[str, Any] = response.get("headers") or {}
    location = header_of(headers, "location")
    if response.get("statusCode") != ACCEPTED or not location:
        return None
    asked: dict[str, Any] = json.loads(request)
    uri = urljoin(asked["uri"], location)
    check_address(uri)
    after = response.get(POLL_INTERVAL_FIELD)
    default = POLL_INTERVAL_DEFAULT if after is None else timedelta(milliseconds=after)
    return json.dumps(_polling(asked, uri)), _due_at(header_of(headers, "retry-after"), now, default)


def _polling(asked: Mapping[str, Any], uri: str) -> dict[str, Any]:
    has_moved = origin_of(uri) != origin_of(asked["uri"])
    headers: dict[str, Any] = asked.get("headers") or {}
    if has_moved:
        headers = without_secrets(headers)
    # A function's key is for the function, not for whoever reports on it.
    headers = {name: value for name, value in headers.items() if name.lower() != "x-functions-key"}
    polling: dict[str, Any] = {"method": "GET", "uri": uri, "content": None, "headers": headers}
    if asked.get("tokenSource") is not None and not has_moved:
        polling["tokenSource"] = asked["tokenSource"]
    return polling


def _due_at(retry_after: str | None, now: datetime, default: timedelta) -> datetime:
    text = (retry_after or "").strip()
    try:
        if text.isascii() and text.isdigit():
            return now + timedelta(seconds=int(text))
        if text:
            moment = parsedate_to_datetime(text)
            return max(moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment, now)
    except (ValueError, OverflowError):
        pass  # what cannot be read says nothing
    return now + default
