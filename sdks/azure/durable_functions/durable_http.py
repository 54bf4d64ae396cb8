"""Durable HTTP: the request and the answer as values, token sources, and when a 202 is asked about again.

The request runs in the host's built-in activity. What is decided here follows from recorded answers alone,
so every replay decides the same.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

from azure.durable_functions.serialization import from_text, to_text

POLL_INTERVAL_DEFAULT = timedelta(seconds=30)
POLL_INTERVAL_FIELD = "pollAfterMilliseconds"
"""With a 202 the activity says how long the host waits when the server does not; so it is part of the history."""

_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "x-functions-key"})
_ACCEPTED = 202


class TokenSource(ABC):
    """Where the host gets the bearer token of a request from."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The source by its wire names."""


class ManagedIdentityTokenSource(TokenSource):
    """Tokens of the identity that the host runs as, for one resource such as ``https://management.azure.com/``."""

    def __init__(self, resource: str) -> None:
        self._resource = resource
        self._kind = "AzureManagedIdentity"

    @property
    def resource(self) -> str:
        """The resource the token is for."""
        return self._resource

    def to_json(self) -> dict[str, Any]:
        """The source by its wire names."""
        return {"resource": self._resource, "kind": self._kind}


class DurableHttpRequest:
    """One HTTP request, as ``call_http`` sends it."""

    def __init__(
        self,
        method: str,
        uri: str,
        content: str | None = None,
        headers: dict[str, str] | None = None,
        token_source: TokenSource | None = None,
    ) -> None:
        self._method = method
        self._uri = uri
        self._content = content
        self._headers = headers
        self._token_source = token_source

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self._method

    @property
    def uri(self) -> str:
        """The address, http or https."""
        return self._uri

    @property
    def content(self) -> str | None:
        """The body."""
        return self._content

    @property
    def headers(self) -> dict[str, str] | None:
        """The headers."""
        return self._headers

    @property
    def token_source(self) -> TokenSource | None:
        """Where the bearer token comes from."""
        return self._token_source

    def to_json(self) -> dict[str, Any]:
        """The request by its wire names; a token source only when there is one."""
        written: dict[str, Any] = {
            "method": self._method,
            "uri": self._uri,
            "content": self._content,
            "headers": self._headers,
        }
        if self._token_source is not None:
            written["tokenSource"] = self._token_source.to_json()
        return written


class DurableHttpResponse(dict[str, Any]):
    """The answer: a dictionary of ``statusCode``, ``headers`` and ``content`` that has them as attributes too."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        return self["statusCode"]

    @property
    def headers(self) -> dict[str, Any]:
        """The headers as they came."""
        return self["headers"]

    @property
    def content(self) -> str | None:
        """The body as text."""
        return self.get("content")

    def header(self, name: str) -> str | None:
        """A header's first value, whatever the case of its name."""
        headers: dict[str, Any] = self.get("headers") or {}
        for key, value in headers.items():
            if key.lower() == name.lower():
                return str(value[0]) if isinstance(value, list) and value else str(value)
        return None


def write_request(
    method: str,
    uri: str,
    *,
    content: Any,
    headers: Mapping[str, str] | None,
    token_source: TokenSource | None,
    is_raw_str: bool,
) -> str:
    """The request as JSON text. Raises TypeError for raw content that is no text, ValueError for an address not HTTP.

    Content is written as JSON, text too, unless it is raw (D11).
    """
    if is_raw_str and content is not None and not isinstance(content, str):
        raise TypeError(f"With is_raw_str the content must be a str, not {type(content).__name__}.")
    check_address(uri)
    body = content if content is None or is_raw_str else to_text(content)
    given = None if headers is None else dict(headers)
    return to_text(DurableHttpRequest(method, uri, body, given, token_source).to_json())


def read_response(text: str | None) -> DurableHttpResponse:
    """What the activity wrote."""
    return DurableHttpResponse(from_text(text) or {})


def next_poll(request: str, response: DurableHttpResponse, now: datetime) -> tuple[str, datetime] | None:
    """The request that asks again about an accepted one, and when; None for an answer that is final.

    Raises ValueError when the server names a place that is not HTTP.
    """
    after = response.pop(POLL_INTERVAL_FIELD, None)
    location = response.header("location")
    if response.get("statusCode") != _ACCEPTED or not location:
        return None
    asked: dict[str, Any] = json.loads(request)
    uri = urljoin(asked["uri"], location)
    check_address(uri)
    default = POLL_INTERVAL_DEFAULT if after is None else timedelta(milliseconds=after)
    return to_text(_polling(asked, uri)), _due_at(response.header("retry-after"), now, default)


def check_address(uri: str) -> None:
    """Raise ValueError for anything but an absolute http or https address."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"call_http needs an http or https address with a host, not '{uri}'.")


def _polling(asked: Mapping[str, Any], uri: str) -> dict[str, Any]:
    has_moved = _origin(uri) != _origin(asked["uri"])
    dropped = _SECRET_HEADERS if has_moved else {"x-functions-key"}
    headers = {name: value for name, value in (asked.get("headers") or {}).items() if name.lower() not in dropped}
    polling: dict[str, Any] = {"method": "GET", "uri": uri, "content": None, "headers": headers}
    if asked.get("tokenSource") is not None and not has_moved:
        polling["tokenSource"] = asked["tokenSource"]
    return polling


def _origin(uri: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(uri)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _due_at(retry_after: str | None, now: datetime, default: timedelta) -> datetime:
    text = (retry_after or "").strip()
    try:
        if text.isascii() and text.isdigit():
            return now + timedelta(seconds=int(text))
        if text:
            moment = parsedate_to_datetime(text)
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
            return max(moment, now)
    except (ValueError, OverflowError):
        pass  # what cannot be read says nothing
    return now + default
