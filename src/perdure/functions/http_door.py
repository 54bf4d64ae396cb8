"""The ASGI application in front of the app's HTTP functions: reads bodies within limits, writes replies."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from starlette.types import Receive, Scope, Send

from perdure.functions.descriptions import HttpFunction
from perdure.functions.host_settings import HttpSettings
from perdure.functions.http_replies import NOT_FOUND, TOO_LARGE, UNAUTHORIZED, Headers, HttpReply
from perdure.functions.http_triggers import HttpTriggers, IncomingRequest

BODY_BYTES_MAX = 104_857_600
"""Upstream's limit; the setting FUNCTIONS_REQUEST_BODY_SIZE_LIMIT overrides it."""

_HOME_PAGE = b"<!doctype html><title>perdure</title><h1>Your functions are running</h1>"


class _TooLarge(Exception):
    pass


class _Gone(Exception):
    pass


class FunctionsApp:
    """Takes what the host's own routes have left over. What no function serves is 404 without a body."""

    def __init__(
        self,
        triggers: HttpTriggers,
        settings: HttpSettings,
        *,
        body_bytes_max: int = BODY_BYTES_MAX,
        has_home_page: bool = True,
        admits: Callable[[Scope, HttpFunction], bool] = lambda _, __: True,
        is_master: Callable[[Scope], bool] = lambda _: False,
    ) -> None:
        """``admits`` tells whether the caller of that scope may call that function, ``is_master`` whether any one.

        Only a master reaches functions that are turned off; to everybody else they are not there.
        """
        self._triggers = triggers
        self._admits = admits
        self._is_master = is_master
        self._body_bytes_max = body_bytes_max
        self._home = HttpReply(200, ((b"content-type", b"text/html; charset=utf-8"),), _HOME_PAGE)
        if not has_home_page:
            self._home = HttpReply(204)
        self._extra = _encoded_headers(settings.custom_headers)
        hsts = settings.hsts_max_age
        self._hsts: Headers = ()
        if hsts is not None:
            self._hsts = ((b"strict-transport-security", b"max-age=%d" % int(hsts.total_seconds())),)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise ValueError(f"HTTP functions cannot serve {scope['type']} connections")
        try:
            reply = await self._reply(scope, receive)
        except _Gone:
            return
        extra = self._extra + (self._hsts if scope.get("scheme") == "https" else ())
        await _send(reply, extra, send)

    def has_function(self, scope: Scope) -> bool:
        """Whether a function serves this request."""
        return self._triggers.match(scope["method"], _raw_path(scope)) is not None

    async def _reply(self, scope: Scope, receive: Receive) -> HttpReply:
        raw_path = _raw_path(scope)
        match = self._triggers.match(scope["method"], raw_path)
        if match is None:
            match = self._triggers.match_disabled(scope["method"], raw_path)
            if match is None or not self._is_master(scope):
                return self._home if raw_path in ("", "/") else NOT_FOUND
        elif not self._admits(scope, match.function):
            return UNAUTHORIZED
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        try:
            body = await self._body(headers, receive)
        except _TooLarge:
            return TOO_LARGE
        query = scope["query_string"].decode("latin-1")
        url = f"{scope['scheme']}://{_host(scope, headers)}{raw_path}"
        request = IncomingRequest(scope["method"], f"{url}?{query}" if query else url, query, headers, body)
        return await self._triggers.invoke(match, request)

    async def _body(self, headers: tuple[tuple[str, str], ...], receive: Receive) -> bytes:
        announced = next((value for name, value in headers if name == "content-length"), "0")
        if announced.isdigit() and int(announced) > self._body_bytes_max:
            raise _TooLarge
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            chunk: bytes = message.get("body", b"")
            size += len(chunk)
            if size > self._body_bytes_max:
                raise _TooLarge
            chunks.append(chunk)
            if not message.get("more_body", False):
                return b"".join(chunks)


def _raw_path(scope: Scope) -> str:
    raw: bytes | None = scope.get("raw_path")
    return quote(scope["path"]) if raw is None else raw.decode("latin-1").partition("?")[0]


def _host(scope: Scope, headers: tuple[tuple[str, str], ...]) -> str:
    for name, value in headers:
        if name == "host":
            return value
    server: Any = scope.get("server") or ("localhost", None)
    return server[0] if server[1] is None else f"{server[0]}:{server[1]}"


def _encoded_headers(headers: Mapping[str, str]) -> Headers:
    return tuple((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items())


async def _send(reply: HttpReply, extra: Headers, send: Send) -> None:
    headers = [*reply.headers, *extra]
    if reply.status not in (204, 304):
        headers.append((b"content-length", str(len(reply.body)).encode()))
    if reply is TOO_LARGE:
        # The rest of the body was not read, so the connection cannot be used again.
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
