"""Only requests whose Host names this host: a page that rebinds its name to us stays outside (reliability.md S6)."""

from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

from perdure.formats.http_json import error_body
from perdure.http_api.answers import json_answer, send_answer

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
ANY_HOST = "*"


class AllowedHosts:
    """ASGI middleware: 400 for a missing, repeated or foreign Host. Ports are not compared."""

    def __init__(self, app: ASGIApp, allowed: Collection[str] = LOOPBACK_NAMES) -> None:
        self._app = app
        self._allowed = frozenset(host_name(host.lower()) for host in allowed)
        self._any = ANY_HOST in self._allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "lifespan" or self._admits(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await send_answer(json_answer(400, error_body("The Host header does not name this host.")), send)

    def _admits(self, scope: Scope) -> bool:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1:
            return False
        return self._any or host_name(hosts[0].decode("latin-1").strip().lower()) in self._allowed


def host_name(host: str) -> str:
    """A Host value without its port and final dot; an IPv6 address keeps its brackets."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    if host.count(":") > 1:
        return f"[{host}]"
    return host.partition(":")[0].removesuffix(".")
