"""Headers that every answer of the host carries: host.json's ``customHeaders`` and HSTS (functions-host.md §2)."""

from collections.abc import Mapping
from datetime import timedelta

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Headers = list[tuple[bytes, bytes]]


class ExtraHeaders:
    """ASGI middleware: adds what an answer does not have yet; HSTS to encrypted answers only."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str], hsts_max_age: timedelta | None) -> None:
        self._app = app
        self._plain = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        self._encrypted = self._plain
        if hsts_max_age is not None:
            hsts = (b"strict-transport-security", b"max-age=%d" % int(hsts_max_age.total_seconds()))
            self._encrypted = [*self._plain, hsts]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and mark its answer."""
        extra = self._encrypted if scope.get("scheme") == "https" else self._plain

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": _with(message["headers"], extra)}
            await send(message)

        await self._app(scope, receive, marked)


def _with(headers: Headers, extra: Headers) -> Headers:
    present = {name for name, _ in headers}
    return [*headers, *(header for header in extra if header[0] not in present)]
