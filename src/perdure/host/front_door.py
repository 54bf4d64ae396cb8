"""The ASGI application in front of everything: the host's own routes, then the app's functions."""

from collections.abc import Collection, Sequence

from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from perdure.http_api.allowed_hosts import AllowedHosts


def front_door(routes: Sequence[BaseRoute], functions: ASGIApp, allowed_hosts: Collection[str]) -> ASGIApp:
    """Host routes are matched before function routes (functions-host.md §7)."""
    own = [Route("/admin/host/ping", _ping, methods=["GET", "POST"]), *routes]
    return AllowedHosts(Router(own, redirect_slashes=False, default=functions), allowed_hosts)


class _Ping:
    """200 without a body: somebody is at home."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})


_ping = _Ping()
