"""The built-in activity behind ``call_http``: one HTTP request, its redirects included (functions-sdk.md §8).

It runs with the host's rights and network, so what leaves it is bounded: http and https only, credentials for
their own origin only, limits of time and size, and the addresses that the host's settings allow.
"""

import asyncio
import functools
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from perdure import __version__
from perdure.core.registry import ActivityCall, ActivityDefinition, ActivityMode
from perdure.core.replay.recorder import HTTP_ACTIVITY
from perdure.formats.durable_http import (
    ACCEPTED,
    POLL_INTERVAL_DEFAULT,
    POLL_INTERVAL_FIELD,
    check_address,
    header_of,
    origin_of,
    without_secrets,
)
from perdure.functions.outgoing_addresses import ANY_ADDRESS, AddressRefused, AddressRules

if TYPE_CHECKING:
    import httpx

MANAGED_IDENTITY = "AzureManagedIdentity"
REDIRECTS_MAX = 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_FRAMING_HEADERS = frozenset({"content-length", "transfer-encoding", "connection"})
_CONTENT_HEADERS = frozenset({"content-type", "content-encoding", "content-language", "content-location"})

TokenOf = Callable[[str], Awaitable[str]]
"""Resource → bearer token."""


class HttpCallFailed(Exception):
    """No answer came, or none that may be taken."""


async def identity_token(resource: str) -> str:
    """A token of the identity that this process runs as. Raises HttpCallFailed without azure-identity."""
    scope = f"{resource.rstrip('/')}/.default"
    return await asyncio.to_thread(lambda: credential().get_token(scope).token)


@dataclass(frozen=True, slots=True)
class HttpCallOptions:
    """What the host allows. ``poll_interval`` is how long to wait after a 202 that does not say."""

    poll_interval: timedelta = POLL_INTERVAL_DEFAULT
    timeout_seconds: float = 100.0
    body_bytes_max: int = 16 * 1024 * 1024
    addresses: AddressRules = ANY_ADDRESS
    token_of: TokenOf = identity_token


def http_activity_definition(options: HttpCallOptions) -> ActivityDefinition:
    """The activity as the registry takes it: the request's JSON text in, the response's out."""

    async def run(call: ActivityCall) -> str:
        return json.dumps(await send(json.loads(call.input or "{}"), options))

    return ActivityDefinition(HTTP_ACTIVITY, run, ActivityMode.LOOP)


@dataclass(frozen=True, slots=True)
class _Hop:
    method: str
    uri: str
    headers: dict[str, str]
    content: bytes | None


async def send(request: Mapping[str, Any], options: HttpCallOptions) -> dict[str, Any]:
    """Send the request and give status, headers and content of the answer, whatever the status.

    A redirect that may not be followed is the answer. Raises HttpCallFailed, ValueError for what cannot be sent.
    """
    hop = await _first_hop(request, options)
    try:
        async with asyncio.timeout(options.timeout_seconds):
            for _ in range(REDIRECTS_MAX):
                answer = await _exchange(hop, options)
                following = _following(hop, answer)
                if following is None:
                    break
                hop = following
            else:
                answer = await _exchange(hop, options)
    except TimeoutError:
        raise HttpCallFailed(f"{_shown(hop)} took longer than {options.timeout_seconds:g} s.") from None
    if answer["statusCode"] == ACCEPTED and header_of(answer["headers"], "location"):
        answer[POLL_INTERVAL_FIELD] = options.poll_interval // timedelta(milliseconds=1)
    return answer


async def _first_hop(request: Mapping[str, Any], options: HttpCallOptions) -> _Hop:
    uri = str(request.get("uri") or "")
    check_address(uri)
    content = request.get("content")
    given: dict[str, Any] = request.get("headers") or {}
    headers = {
        name: ", ".join(map(str, value)) if isinstance(value, list) else str(value) for name, value in given.items()
    }
    headers = {name: value for name, value in headers.items() if name.lower() not in _FRAMING_HEADERS}
    content_type = header_of(headers, "content-type")
    if content_type is not None and content_type.strip().lower().startswith("multipart/"):
        raise ValueError(f"call_http does not send multipart content ('{content_type}'); send it from an activity.")
    if content is not None and content_type is None:
        headers["Content-Type"] = "text/plain"
    source = request.get("tokenSource")
    if source is not None:
        if source.get("kind") != MANAGED_IDENTITY:
            raise ValueError(f"The token source '{source.get('kind')}' is not known; '{MANAGED_IDENTITY}' is.")
        headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
        headers["Authorization"] = f"Bearer {await options.token_of(str(source.get('resource') or ''))}"
    body = None if content is None else str(content).encode("utf-8", "surrogatepass")
    return _Hop(str(request.get("method") or "GET").upper(), uri, headers, body)


def _following(hop: _Hop, answer: Mapping[str, Any]) -> _Hop | None:
    """Where a redirect leads; None for any other answer, and for a redirect that may not be followed."""
    location = header_of(answer["headers"], "location")
    status = answer["statusCode"]
    if status not in _REDIRECTS or not location:
        return None
    uri = urljoin(hop.uri, location)
    old, new = origin_of(hop.uri), origin_of(uri)
    if new[0] not in ("http", "https") or not new[1] or (old[0] == "https" and new[0] == "http"):
        return None
    headers = {name: value for name, value in hop.headers.items() if name.lower() != "host"}
    if new != old:
        headers = without_secrets(headers)
    becomes_get = (status == 303 and hop.method not in ("GET", "HEAD")) or (
        status in (301, 302) and hop.method == "POST"
    )
    if not becomes_get:
        return _Hop(hop.method, uri, headers, hop.content)
    return _Hop("GET", uri, {n: v for n, v in headers.items() if n.lower() not in _CONTENT_HEADERS}, None)


async def _exchange(hop: _Hop, options: HttpCallOptions) -> dict[str, Any]:
    import httpx  # not at the top: hosts whose apps never call out start without it

    try:
        address = await options.addresses.address_of(hop.uri)
    except AddressRefused as error:
        raise HttpCallFailed(f"{_shown(hop)} was not sent: {error}") from None
    except OSError as error:
        raise HttpCallFailed(f"{_shown(hop)} failed: {error}") from error
    request = _request(hop, address)
    # The transport and not a client: a client logs whole addresses, keys in queries included.
    transport = httpx.AsyncHTTPTransport(verify=_tls_context(), proxy=_proxy_for(hop.uri) if address is None else None)
    async with transport:
        try:
            response = await transport.handle_async_request(request)
            response.request = request
            content = await _content(response, options.body_bytes_max)
        except httpx.HTTPError as error:
            raise HttpCallFailed(f"{_shown(hop)} failed: {type(error).__name__}: {error}") from error
    headers: dict[str, str] = {}
    for raw_name, raw_value in response.headers.raw:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return {"statusCode": response.status_code, "headers": headers, "content": content}


def _request(hop: _Hop, address: str | None) -> "httpx.Request":
    """The request; with an ``address`` that was looked up and checked it goes there and nowhere else."""
    import httpx

    url = httpx.URL(hop.uri)
    defaults = {"Accept": "*/*", "User-Agent": f"perdure/{__version__}"}
    given = {name.lower() for name in hop.headers}
    headers = {**{n: v for n, v in defaults.items() if n.lower() not in given}, **hop.headers}
    extensions: dict[str, Any] = {"timeout": {"connect": 10.0, "read": None, "write": None, "pool": None}}
    if address is not None:
        headers.setdefault("Host", url.netloc.decode("ascii"))
        extensions["sni_hostname"] = url.host
        url = url.copy_with(host=address)
    return httpx.Request(hop.method, url, headers=headers, content=hop.content, extensions=extensions)


async def _content(response: "httpx.Response", bytes_max: int) -> str:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_bytes():
        size += len(chunk)
        if size > bytes_max:
            raise HttpCallFailed(
                f"The answer of {response.request.url.host} is larger than {bytes_max:,} bytes, the limit of call_http."
            )
        chunks.append(chunk)
    body = b"".join(chunks)
    try:
        return body.decode(response.charset_encoding or "utf-8", "replace")
    except LookupError:
        return body.decode("utf-8", "replace")


def _proxy_for(uri: str) -> str | None:
    import urllib.request

    parts = urlsplit(uri)
    proxies = urllib.request.getproxies()
    if not proxies or urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return proxies.get(parts.scheme) or proxies.get("all")


def _shown(hop: _Hop) -> str:
    parts = urlsplit(hop.uri)
    return f"{hop.method} {parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"


@functools.cache
def _tls_context() -> ssl.SSLContext:
    import httpx

    return httpx.create_ssl_context()


@functools.cache
def credential() -> Any:
    try:
        from azure.identity import DefaultAzureCredential  # pyright: ignore
    except ImportError:
        raise HttpCallFailed(
            "A token of a managed identity needs the package azure-identity: pip install 'perdure[azure]'"
        ) from None
    return DefaultAzureCredential()
