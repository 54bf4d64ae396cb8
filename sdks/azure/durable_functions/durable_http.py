"""Durable HTTP: the request and the answer as values, and token sources. The host's built-in activity sends it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from azure.durable_functions.serialization import from_text, to_text
from perdure.formats.durable_http import check_address


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


class HttpHeaders(dict[str, Any]):
    """The headers as they came; reading one does not ask for the case of its name."""

    def __getitem__(self, name: str) -> Any:
        return super().__getitem__(self._as_came(name))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(self._as_came(name))

    def get(self, name: str, default: Any = None) -> Any:
        """The header's value, or the default."""
        return super().get(self._as_came(name), default)

    def _as_came(self, name: str) -> str:
        if super().__contains__(name):
            return name
        return next((key for key in self if key.lower() == name.lower()), name)


class DurableHttpResponse(dict[str, Any]):
    """The answer: a dictionary of ``statusCode``, ``headers`` and ``content`` that has them as attributes too."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        return self["statusCode"]

    @property
    def headers(self) -> HttpHeaders:
        """The headers."""
        return self["headers"]

    @property
    def content(self) -> str | None:
        """The body as text."""
        return self.get("content")


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
    response = DurableHttpResponse(from_text(text) or {})
    response["headers"] = HttpHeaders(response.get("headers") or {})
    return response
