"""A route whose code is imported with the first request below its prefixes."""

from collections.abc import Callable

from starlette.datastructures import URLPath
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

from perdure.http_api.requests import raw_path


class LateRoute(BaseRoute):
    """Matches what lies at or below ``prefixes`` (lower case); ``make`` makes the route that answers it."""

    def __init__(self, prefixes: tuple[bytes, ...], make: Callable[[], BaseRoute]) -> None:
        self._prefixes = prefixes
        self._make = make
        self._made: BaseRoute | None = None

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As the route itself; it is made when something below its prefixes is asked for."""
        if scope["type"] != "http":
            return Match.NONE, {}
        path = raw_path(scope).lower()
        if not any(path.startswith(prefix) for prefix in self._prefixes):
            return Match.NONE, {}
        return self._route().matches(scope)

    def url_path_for(self, name: str, /, **path_params: object) -> URLPath:
        """Nothing here has a name."""
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._route().handle(scope, receive, send)

    def _route(self) -> BaseRoute:
        if self._made is None:
            self._made = self._make()
        return self._made
