"""Which pages of other origins may call (functions-host.md §7, reliability.md S6): none, unless the settings say so.

Named origins may call the app's functions and the management API; ``*`` reaches functions only, and never goes
together with credentials. The admin endpoints are for no page at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from perdure.http_api.links import PREFIX
from perdure.http_api.requests import raw_path

ANY_ORIGIN = "*"
_MANAGEMENT = PREFIX.encode() + b"/"
_ADMIN = b"/admin/"
_EXPOSED = b"location, retry-after, x-ms-continuation-token"
_PREFLIGHT_SECONDS = b"600"

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class CorsRules:
    """``origins`` are scheme, host and port in lower case, or ``*``."""

    origins: frozenset[str] = frozenset()
    allows_credentials: bool = False

    def admits(self, origin: str, path: bytes) -> bool:
        """Whether a page of that origin may call that path."""
        path = path.lower()
        if path.startswith(_ADMIN):
            return False
        if ANY_ORIGIN in self.origins and not path.startswith(_MANAGEMENT):
            return True
        return origin.lower() in self.origins - {ANY_ORIGIN}


def read_origins(given: Sequence[str], *, allows_credentials: bool, checks_keys: bool) -> CorsRules:
    """Rules from origins as they were written. Raises ValueError saying what is wrong with one."""
    origins = frozenset(origin.strip().rstrip("/").lower() for origin in given if origin.strip())
    for origin in origins - {ANY_ORIGIN}:
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path or parts.query or parts.username:
            raise ValueError(f"CORS: '{origin}' is no origin; write it as https://app.example or http://localhost:3000")
    if ANY_ORIGIN in origins and allows_credentials:
        raise ValueError("CORS: '*' and credentials do not go together; name the origins.")
    if ANY_ORIGIN in origins and checks_keys:
        raise ValueError("CORS: '*' and keys do not go together; name the origins.")
    return CorsRules(origins, allows_credentials)


class Cors:
    """ASGI middleware: answers preflights and marks the answers that a page of another origin may read."""

    def __init__(self, app: ASGIApp, rules: CorsRules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; a preflight of an admitted origin is answered here."""
        headers = dict(scope["headers"]) if scope["type"] == "http" else {}
        origin = headers.get(b"origin")
        if origin is None:
            await self._app(scope, receive, send)
            return
        shown = self._shown_to(origin, raw_path(scope))
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            if shown:
                shown += _wishes_granted(headers)
            await send({"type": "http.response.start", "status": 204, "headers": [*shown, (b"vary", b"Origin")]})
            await send({"type": "http.response.body"})
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = _others(message["headers"]) if shown else message["headers"]
                message = {**message, "headers": [*kept, *shown, (b"vary", b"Origin")]}
            await send(message)

        await self._app(scope, receive, marked)

    def _shown_to(self, origin: bytes, path: bytes) -> Headers:
        if not self._rules.admits(origin.decode("latin-1"), path):
            return []
        shown = [(b"access-control-allow-origin", origin), (b"access-control-expose-headers", _EXPOSED)]
        if self._rules.allows_credentials:
            shown.append((b"access-control-allow-credentials", b"true"))
        return shown


def _wishes_granted(headers: dict[bytes, bytes]) -> Headers:
    granted: Headers = [
        (b"access-control-allow-methods", headers[b"access-control-request-method"]),
        (b"access-control-max-age", _PREFLIGHT_SECONDS),
    ]
    wished = headers.get(b"access-control-request-headers")
    return granted if wished is None else [*granted, (b"access-control-allow-headers", wished)]


def _others(headers: Headers) -> Headers:
    """What a function itself says about CORS is outdone: one header of each name, or browsers refuse both."""
    return [(name, value) for name, value in headers if not name.startswith(b"access-control-")]
