"""The management API as one Starlette route that takes everything below its prefix, matched on the raw path."""

from dataclasses import replace
from typing import ClassVar

from starlette.datastructures import URLPath
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

from perdure.client import TaskHubClient
from perdure.http_api.access import LEVELS, Access, OpenAccess, Verdict
from perdure.http_api.answers import NOT_FOUND, Answer, ClientGone, ErrorShape, UnknownHub, answer_to, send_answer
from perdure.http_api.links import PREFIX
from perdure.http_api.options import ManagementOptions
from perdure.http_api.requests import Request, raw_path
from perdure.http_api.routes import ROUTES
from perdure.http_api.routing import Route, Router


def management_routes(
    client: TaskHubClient, options: ManagementOptions, access: Access | None = None
) -> list[BaseRoute]:
    """The routes to put into an application, before the app's own."""
    return [ManagementRoute(client, options, OpenAccess() if access is None else access)]


class ManagementRoute(BaseRoute):
    """Answers everything below ``/runtime/webhooks/durabletask``; what it does not know is 404, never 405."""

    prefix: ClassVar[bytes] = PREFIX.encode()
    request_type: ClassVar[type[Request]] = Request

    def __init__(self, client: TaskHubClient, options: ManagementOptions, access: Access) -> None:
        self._client = client
        self._options = options
        self._access = access
        self._router = Router(ROUTES)

    def use_code(self, code: str | None) -> None:
        """From now on links carry this key."""
        self._options = replace(self._options, code=code)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Every method below the prefix, which is compared without case."""
        if scope["type"] != "http":
            return Match.NONE, {}
        path = raw_path(scope)
        length = len(self.prefix)
        inside = path[:length].lower() == self.prefix and path[length : length + 1] in {b"", b"/"}
        return (Match.FULL if inside else Match.NONE), {}

    def url_path_for(self, name: str, /, **path_params: object) -> URLPath:
        """Nothing here has a name."""
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        shape = ErrorShape.LONG
        try:
            found = self._router.find(scope["method"], raw_path(scope)[len(self.prefix) :])
            if found is None:
                answer = NOT_FOUND
            else:
                route, parameters = found
                shape = route.error_shape
                answer = await self._answer(route, parameters, scope, receive)
        except ClientGone:
            return
        except Exception as error:
            answer = answer_to(error, shape)
        await send_answer(answer, send)

    async def _answer(self, route: Route, parameters: dict[str, str], scope: Scope, receive: Receive) -> Answer:
        level = LEVELS.get((route.method, route.template))
        verdict = Verdict.FORBIDDEN if level is None else self._access.judge(scope, level)
        if verdict is not Verdict.ALLOWED:
            return Answer(verdict.value)
        request = self.request_type(scope, receive, parameters, self._options.body_bytes_max)
        self._check_hub(request)
        return await route.handler(request, self._client, self._options)

    def _check_hub(self, request: Request) -> None:
        hub = request.query.text("taskHub")
        if hub is not None and hub.lower() != self._options.task_hub.lower():
            raise UnknownHub(f"There is no task hub '{hub}' here; this host serves '{self._options.task_hub}'.")
        for parameter in ("connection", "connectionName"):
            name = request.query.text(parameter)
            if name is not None and name.lower() != self._options.connection_name.lower():
                raise UnknownHub(
                    f"There is no connection setting '{name}' here; this host uses '{self._options.connection_name}'."
                )
