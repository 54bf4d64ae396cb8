"""Sending the client's HTTP requests. Each answer is ``[status, body]``, the body read as JSON."""

import asyncio
import functools
import json
import ssl
import sys
from typing import Any

TOTAL_SECONDS = 240.0
CONNECT_SECONDS = 10.0
CONTINUATION = "x-ms-continuation-token"


class HostUnreachable(ConnectionError):
    """The host did not answer; whether it has taken the request is not known."""


class JsonText(str):
    """A body that is JSON already; any other value is written as JSON."""


class Answer(list[Any]):
    """``[status, body]``, and where the next page begins."""

    def __init__(self, status: int, body: Any, continuation: str | None = None) -> None:
        super().__init__([status, body])
        self.continuation = continuation


async def post_request(
    url: str,
    data: Any = None,
    trace_parent: str | None = None,
    trace_state: str | None = None,
    function_invocation_id: str | None = None,
) -> Answer:
    """POST ``data`` as JSON, or nothing when it is None."""
    headers = {
        "traceparent": trace_parent,
        "tracestate": trace_state,
        "X-Azure-Functions-InvocationId": function_invocation_id,
        "Content-Type": None if data is None else "application/json",
    }
    body = data if data is None or isinstance(data, JsonText) else json.dumps(data)
    return await _exchange("POST", url, headers, body)


async def get_request(url: str, continuation: str | None = None) -> Answer:
    """GET, from a page on; an empty body is the empty text."""
    answer = await _exchange("GET", url, {CONTINUATION: continuation}, None)
    if answer[1] is None:
        answer[1] = ""
    return answer


async def delete_request(url: str) -> Answer:
    """DELETE."""
    return await _exchange("DELETE", url, {}, None)


async def _exchange(method: str, url: str, headers: dict[str, str | None], body: str | None) -> Answer:
    import httpx  # not at the top: inside a host nothing is sent

    timeouts = {"connect": CONNECT_SECONDS, "read": None, "write": None, "pool": None}
    given = {name: value for name, value in headers.items() if value}
    content = None if body is None else body.encode("utf-8", "surrogatepass")
    request = httpx.Request(method, url, headers=given, content=content, extensions={"timeout": timeouts})
    try:
        # The transport and not a client, which would log whole addresses, keys included.
        async with asyncio.timeout(TOTAL_SECONDS), httpx.AsyncHTTPTransport(verify=_tls_context()) as transport:
            response = await transport.handle_async_request(request)
            response.request = request
            text = (await response.aread()).decode("utf-8", "replace")
    except (httpx.HTTPError, TimeoutError) as error:
        host = f"{request.url.scheme}://{request.url.netloc.decode()}"
        raise HostUnreachable(f"The host at {host} gave no answer: {str(error) or type(error).__name__}.") from error
    return Answer(response.status_code, _read(text), response.headers.get(CONTINUATION) or None)


def _read(text: str) -> Any:
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


@functools.cache
def _tls_context() -> ssl.SSLContext:
    import httpx

    return httpx.create_ssl_context()


def active_trace() -> tuple[str | None, str | None]:
    """``traceparent`` and ``tracestate`` of the span under way; (None, None) where nothing is traced."""
    trace: Any = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None, None
    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return None, None
    parent = f"00-{span.trace_id:032x}-{span.span_id:016x}-{int(span.trace_flags):02x}"
    return parent, span.trace_state.to_header() or None
