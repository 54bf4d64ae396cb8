"""The ASGI application in front of everything: the host's own routes, then the app's functions."""

from collections.abc import Collection, Sequence

from starlette.routing import BaseRoute, Router
from starlette.types import ASGIApp

from perdure.functions.host_settings import HttpSettings
from perdure.http_api.allowed_hosts import AllowedHosts
from perdure.http_api.cors import Cors, CorsRules


def front_door(
    routes: Sequence[BaseRoute],
    functions: ASGIApp,
    allowed_hosts: Collection[str],
    cors: CorsRules = CorsRules(),  # noqa: B008 - a frozen value
    headers: HttpSettings = HttpSettings(),  # noqa: B008 - a frozen value
) -> ASGIApp:
    """Host routes are matched before function routes (functions-host.md §7)."""
    door: ASGIApp = Router(routes, redirect_slashes=False, default=functions)
    if cors.origins:
        door = Cors(door, cors)
    if headers.custom_headers or headers.hsts_max_age is not None:
        from perdure.http_api.extra_headers import ExtraHeaders

        door = ExtraHeaders(door, headers.custom_headers, headers.hsts_max_age)
    return AllowedHosts(door, allowed_hosts)
