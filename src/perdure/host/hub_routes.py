"""The HTTP side of a server: the management API of each hub, chosen by ``taskHub``, and ``/health``."""

from collections.abc import Callable
from urllib.parse import parse_qs

from starlette.datastructures import URLPath
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

from perdure.grpc_api.access import Doorkeeper, Role, Standing, bearer_token
from perdure.host import hub_admin
from perdure.host.cli_routes import CommandRoutes, HubParts
from perdure.host.hub_directory import HubDirectory, RunningHub
from perdure.http_api.access import Access, Level, OpenAccess, Verdict, presented_key
from perdure.http_api.answers import NOT_FOUND, Answer, ErrorShape, answer_to, json_answer, send_answer
from perdure.http_api.app import ManagementRoute
from perdure.http_api.health import health_answer
from perdure.http_api.options import ManagementOptions
from perdure.http_api.requests import raw_path

_READ = frozenset({"GET", "HEAD"})


class TokenAccess:
    """Tokens decide: ``authorization: Bearer``, or where a key of a Functions host would stand."""

    def __init__(self, doorkeeper: Doorkeeper, hub: str) -> None:
        self._doorkeeper = doorkeeper
        self._hub = hub

    def judge(self, scope: Scope, level: Level) -> Verdict:
        """401 for no token or an unknown one, 403 for one without the right."""
        standing = standing_of(scope, self._doorkeeper)
        if standing is None or not standing.sees(self._hub):
            return Verdict.UNKNOWN
        if level is Level.ADMIN:
            allowed = {Role.ADMIN}
        elif scope["method"] in _READ:
            allowed = {Role.READER, Role.CONTRIBUTOR, Role.ADMIN}
        else:
            allowed = {Role.CONTRIBUTOR, Role.ADMIN}
        return Verdict.ALLOWED if standing.role in allowed else Verdict.FORBIDDEN

    def admits(self, scope: Scope, level: Level, function_name: str) -> bool:
        """There are no functions here."""
        return False


def standing_of(scope: Scope, doorkeeper: Doorkeeper) -> Standing | None:
    """What the caller of a request may do."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            token = bearer_token(value.decode("latin-1"))
            return None if token is None else doorkeeper.standing(token)
    key = presented_key(scope)
    return doorkeeper.standing(key.decode("latin-1")) if key else None


class HubRoutes(BaseRoute):
    """Passes a request on to the routes of the hub that its query names, else to those of the default hub."""

    def __init__(self, hubs: HubDirectory, doorkeeper: Doorkeeper | None) -> None:
        self._hubs = hubs
        self._doorkeeper = doorkeeper
        self._routes: dict[str, tuple[RunningHub, tuple[BaseRoute, ...]]] = {}

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """What any hub's routes take."""
        if scope["type"] != "http":
            return Match.NONE, {}
        _, path = _split(raw_path(scope))
        inside = path.lower().startswith((ManagementRoute.prefix, b"/admin/perdure/", hub_admin.PLACE))
        return (Match.FULL if inside else Match.NONE), {}

    def url_path_for(self, name: str, /, **path_params: object) -> URLPath:
        """Nothing here has a name."""
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        named, path = _split(raw_path(scope))
        if named is None and (managed := hub_admin.hub_named(path)) is not None:
            await send_answer(await self._manage(scope, managed), send)
            return
        if named is not None:
            scope = {**scope, "raw_path": path, "path": path.decode("latin-1")}
        said = named or _hub_said(scope)
        hub = self._hubs.now(said or self._hubs.default_name)
        if hub is None and said is not None and self._sees(scope, said) and await self._hubs.find(said) is not None:
            hub = self._hubs.now(said)
        if hub is None:
            await send_answer(_refusal(scope, self._doorkeeper, said or self._hubs.default_name), send)
            return
        for route in self._routes_of(hub):
            if route.matches(scope)[0] is Match.FULL:
                await route.handle(scope, receive, send)
                return
        await send_answer(NOT_FOUND, send)

    async def _manage(self, scope: Scope, name: str) -> Answer:
        keeper = self._doorkeeper
        standing = None if keeper is None else standing_of(scope, keeper)
        try:
            return await hub_admin.answer(scope, name, self._hubs, standing, asks_tokens=keeper is not None)
        except Exception as error:
            return answer_to(error, ErrorShape.SHORT)

    def _sees(self, scope: Scope, hub: str) -> bool:
        if self._doorkeeper is None:
            return True
        standing = standing_of(scope, self._doorkeeper)
        return standing is not None and standing.sees(hub)

    def _routes_of(self, hub: RunningHub) -> tuple[BaseRoute, ...]:
        known = self._routes.get(hub.name.lower())
        if known is not None and known[0] is hub:
            return known[1]
        access: Access = OpenAccess() if self._doorkeeper is None else TokenAccess(self._doorkeeper, hub.name)
        options = ManagementOptions(task_hub=hub.name, checks_keys=self._doorkeeper is not None)
        routes = (
            ManagementRoute(hub.client, options, access),
            CommandRoutes(HubParts(hub.client, hub.storage.verify, hub.file), access),
        )
        self._routes[hub.name.lower()] = (hub, routes)
        return routes


def hub_prefix(hub: str) -> str:
    """In front of a path: it is for that hub."""
    return f"/hubs/{hub}"


def _split(path: bytes) -> tuple[str | None, bytes]:
    """The hub that the path begins with, if it does so, and the rest."""
    if not path.startswith(b"/hubs/"):
        return None, path
    name, slash, rest = path.removeprefix(b"/hubs/").partition(b"/")
    return (name.decode("latin-1") or None, slash + rest) if slash else (None, path)


def _hub_said(scope: Scope) -> str | None:
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    for name, values in query.items():
        if name.lower() == "taskhub" and values[0]:
            return values[0]
    return None


def _refusal(scope: Scope, doorkeeper: Doorkeeper | None, hub: str) -> Answer:
    if doorkeeper is not None and standing_of(scope, doorkeeper) is None:
        return Answer(401)
    return json_answer(404, {"Message": f"Task hub not found: {hub}"})


class ServerHealth(BaseRoute):
    """GET /health: 200 when the server takes calls, else 503; which hubs there are, without a token too."""

    def __init__(self, facts: Callable[[], dict[str, object]]) -> None:
        self._facts = facts

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """That path alone."""
        mine = scope["type"] == "http" and raw_path(scope) == b"/health" and scope["method"] in _READ
        return (Match.FULL if mine else Match.NONE), {}

    def url_path_for(self, name: str, /, **path_params: object) -> URLPath:
        """It has no name."""
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        facts = self._facts()
        await send_answer(health_answer(facts, is_ready=bool(facts["ready"])), send)
