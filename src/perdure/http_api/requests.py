"""One management request: its path parameters, query, headers and body, read within limits."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive, Scope

from perdure.client import PayloadTooLarge
from perdure.formats.http_json import QueryParameters, json_text
from perdure.http_api.answers import BodyRefused, ClientGone

T = TypeVar("T")


class Request:
    """``parameters`` are the decoded path segments that the route names. Raises InvalidQuery."""

    def __init__(self, scope: Scope, receive: Receive, parameters: dict[str, str], body_bytes_max: int) -> None:
        self._scope = scope
        self._receive = receive
        self._body_bytes_max = body_bytes_max
        self.parameters = parameters
        self.query = QueryParameters(scope.get("query_string", b""))

    def header(self, name: bytes) -> str | None:
        """The first header of that lower-case name."""
        for key, value in self._scope["headers"]:
            if key == name:
                return value.decode("latin-1")
        return None

    def url(self, origin: str) -> str:
        """The URL as it was requested, seen from ``origin``."""
        path = raw_path(self._scope).decode("latin-1")
        query = self._scope.get("query_string", b"").decode("latin-1")
        return f"{origin}{path}?{query}" if query else f"{origin}{path}"

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""
        return self._scope.get("scheme", "http")

    async def body(self) -> bytes:
        """The whole body. Raises PayloadTooLarge, BodyRefused for compressed ones, ClientGone."""
        self._check_form()
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._body_bytes_max:
                raise self._too_large(f"more than {self._body_bytes_max:,}")
            chunks.append(chunk)
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _check_form(self) -> None:
        encoding = self.header(b"content-encoding")
        if encoding is not None and encoding.strip().lower() not in {"", "identity"}:
            raise BodyRefused(415, "Compressed request bodies are not accepted; send the body as it is.")
        length = self.header(b"content-length")
        if length is not None and length.isascii() and length.isdigit() and int(length[:20]) > self._body_bytes_max:
            raise self._too_large(f"{int(length[:20]):,}")

    def _too_large(self, size: str) -> PayloadTooLarge:
        return PayloadTooLarge(f"The request body has {size} bytes; at most {self._body_bytes_max:,} are allowed.")

    async def json_text(self) -> str:
        """The body as JSON text. Raises InvalidJson, also for an empty one, and what ``body`` raises."""
        return json_text(await self.body())

    async def optional_json_text(self) -> str | None:
        """As ``json_text``; None for an empty body."""
        body = await self.body()
        return json_text(body) if body and not body.isspace() else None

    def is_json(self) -> bool:
        """Whether the content type's media type is JSON, whatever its parameters."""
        content_type = self.header(b"content-type") or ""
        return content_type.partition(";")[0].strip().lower() == "application/json"

    async def unless_gone(self, waiting: Coroutine[Any, Any, T]) -> T:
        """Await, and stop waiting when the caller closes the connection. Raises ClientGone.

        The body must have been read.
        """
        waiter = asyncio.ensure_future(waiting)
        gone = asyncio.ensure_future(self._disconnected())
        try:
            await asyncio.wait({waiter, gone}, return_when=asyncio.FIRST_COMPLETED)
            if waiter.done():
                return waiter.result()
            raise ClientGone
        finally:
            for task in (waiter, gone):
                task.cancel()
            await asyncio.gather(waiter, gone, return_exceptions=True)

    async def _disconnected(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


def raw_path(scope: Scope) -> bytes:
    """The path as it came, percent-encoded."""
    path = scope.get("raw_path")
    return path if path is not None else scope["path"].encode()
