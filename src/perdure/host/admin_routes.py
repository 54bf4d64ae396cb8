"""The admin endpoints (functions-host.md §15): functions, keys, the host's state, restart and drain.

Below ``/admin/host`` and ``/admin/functions``. All but the ping need the master key.
"""

import json
import os
import platform
import socket
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote

from starlette.datastructures import URLPath
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

from perdure import __version__
from perdure.contracts.errors import StorageError
from perdure.functions.all_functions import AnyFunction, all_functions, function_name
from perdure.functions.descriptions import (
    ActivityFunction,
    BrokenFunction,
    DisabledFunction,
    EntityFunction,
    ForeignFunction,
    HttpFunction,
    LoadedApp,
    OrchestratorFunction,
    TimerFunction,
)
from perdure.functions.manual_runs import ManualRuns, NoSuchFunction, UnusableInput
from perdure.functions.routes import full_route
from perdure.host.condition import Condition
from perdure.host.key_store import KeyStore
from perdure.http_api.access import LEVELS, Access, Verdict
from perdure.http_api.answers import NOT_FOUND, Answer, ClientGone, ErrorShape, answer_to, json_answer, send_answer
from perdure.http_api.keys import (
    MASTER,
    MASTER_NAMES,
    FunctionKeys,
    HostKeys,
    InvalidKey,
    KeyPlace,
    SystemKeys,
    new_key,
)
from perdure.http_api.links import origin_of
from perdure.http_api.options import ManagementOptions
from perdure.http_api.requests import Request, raw_path
from perdure.http_api.routing import Route, Router

PREFIX = "/admin"
_AREAS = (b"/admin/host", b"/admin/functions")
BODY_BYTES_MAX = 1024 * 1024


@dataclass(frozen=True, slots=True)
class AdminParts:
    """What the routes stand on."""

    app: LoadedApp
    manual_runs: ManualRuns
    keys: KeyStore
    links: ManagementOptions
    condition: Condition
    host_id: str
    route_prefix: str
    hub_status: Callable[[], Awaitable[dict[str, Any]]]
    instance_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    started: float = field(default_factory=time.monotonic)

    def function(self, name: str) -> AnyFunction | None:
        """The function of that name, in any case."""
        return next((f for f in all_functions(self.app) if function_name(f).lower() == name.lower()), None)


class AdminRoutes(BaseRoute):
    """Answers everything in its areas; what it does not know is 404."""

    def __init__(self, parts: AdminParts, access: Access) -> None:
        self._parts = parts
        self._access = access

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Every method inside the areas."""
        if scope["type"] != "http":
            return Match.NONE, {}
        path = raw_path(scope).lower()
        inside = any(path == area or path.startswith(area + b"/") for area in _AREAS)
        return (Match.FULL if inside else Match.NONE), {}

    def url_path_for(self, name: str, /, **path_params: object) -> URLPath:
        """Nothing here has a name."""
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            answer = await self._answer(scope, receive)
        except ClientGone:
            return
        except (InvalidKey, UnusableInput) as error:
            answer = json_answer(400, {"Message": str(error)})
        except NoSuchFunction:
            answer = NOT_FOUND
        except Exception as error:
            answer = answer_to(error, ErrorShape.SHORT)
        await send_answer(answer, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        found = _ROUTER.find(scope["method"], raw_path(scope)[len(PREFIX) :])
        if found is None:
            return NOT_FOUND
        route, parameters = found
        verdict = self._access.judge(scope, LEVELS[route.method, f"{PREFIX}/{route.template}"])
        if verdict is not Verdict.ALLOWED:
            return Answer(verdict.value)
        return await route.handler(Request(scope, receive, parameters, BODY_BYTES_MAX), self._parts)


async def _ping(request: Request, parts: AdminParts) -> Answer:
    return Answer(200)


async def _status(request: Request, parts: AdminParts) -> Answer:
    errors = [function.reason for function in parts.app.broken]
    hub: dict[str, Any] | None = None
    try:
        hub = await parts.hub_status()
    except StorageError as error:
        errors.append(str(error))
    return json_answer(
        200,
        {
            "id": parts.host_id,
            "state": parts.condition.state,
            "version": __version__,
            "versionDetails": f"perdure {__version__}, Python {platform.python_version()}",
            "instanceId": parts.instance_id,
            "computerName": socket.gethostname(),
            "processUptime": int((time.monotonic() - parts.started) * 1000),
            "processId": os.getpid(),
            "errors": errors,
            "hub": hub,
            "extensionBundle": None,
        },
    )


async def _restart(request: Request, parts: AdminParts) -> Answer:
    parts.condition.restart_asked.set()
    return Answer(200)


async def _drain(request: Request, parts: AdminParts) -> Answer:
    parts.condition.drain.begin()
    return Answer(202)


async def _drain_status(request: Request, parts: AdminParts) -> Answer:
    return json_answer(200, {"state": parts.condition.drain.state.value})


async def _functions(request: Request, parts: AdminParts) -> Answer:
    functions = sorted(all_functions(parts.app), key=lambda function: function_name(function).lower())
    return json_answer(200, [_shown(request, parts, function) for function in functions])


async def _function(request: Request, parts: AdminParts) -> Answer:
    return json_answer(200, _shown(request, parts, _known(request, parts)))


async def _function_status(request: Request, parts: AdminParts) -> Answer:
    function = _known(request, parts)
    return json_answer(200, {"errors": [function.reason] if isinstance(function, BrokenFunction) else []})


async def _run(request: Request, parts: AdminParts) -> Answer:
    body: Any = json.loads(await request.json_text())
    if not isinstance(body, dict) or "input" not in body:
        raise UnusableInput('The body is a JSON object with the member "input", such as {"input": ""}.')
    parts.manual_runs.run_by_hand(request.parameters["name"], cast(dict[str, Any], body)["input"])
    return Answer(202)


def _known(request: Request, parts: AdminParts) -> AnyFunction:
    function = parts.function(request.parameters["name"])
    if function is None:
        raise NoSuchFunction
    return function


def _shown(request: Request, parts: AdminParts, function: AnyFunction) -> dict[str, Any]:
    name, origin = function_name(function), origin_of(request, parts.links)
    shown: dict[str, Any] = {
        "name": name,
        "href": f"{origin}{PREFIX}/functions/{quote(name)}",
        "language": "python",
        "isDisabled": isinstance(function, DisabledFunction),
        "config": {"bindings": [_trigger(function)]},
    }
    if isinstance(function, HttpFunction):
        shown["invoke_url_template"] = f"{origin}/{full_route(parts.route_prefix, function.route)}"
    return shown


def _trigger(function: AnyFunction) -> dict[str, Any]:
    match function:
        case HttpFunction(route=route, methods=methods, auth_level=level):
            fields = {"route": route, "methods": [m.lower() for m in methods], "authLevel": level.value}
            return {"type": "httpTrigger", "direction": "in", **fields}
        case TimerFunction(schedule_text=schedule):
            return {"type": "timerTrigger", "direction": "in", "schedule": schedule}
        case ActivityFunction():
            return {"type": "activityTrigger", "direction": "in"}
        case OrchestratorFunction():
            return {"type": "orchestrationTrigger", "direction": "in"}
        case EntityFunction():
            return {"type": "entityTrigger", "direction": "in"}
        case ForeignFunction(trigger=trigger) | DisabledFunction(trigger=trigger):
            return {"type": trigger, "direction": "in"}
        case BrokenFunction():
            return {"type": "unknown", "direction": "in"}


async def _list_keys(request: Request, parts: AdminParts) -> Answer:
    place = _place(request, parts)
    ring = parts.keys.ring()
    kept = dict(ring.keys_at(place))
    if request.parameters.get("kind", "").lower() == "keys" and ring.master is not None:
        kept = {MASTER: ring.master, **kept}
    rows = [{"name": name, "value": value} for name, value in kept.items()]
    return json_answer(200, {"keys": rows, "links": _self_link(request, parts)})


async def _show_key(request: Request, parts: AdminParts) -> Answer:
    place, name = _place(request, parts), request.parameters["key"]
    ring = parts.keys.ring()
    is_master = isinstance(place, HostKeys) and name in MASTER_NAMES
    value = ring.master if is_master else ring.keys_at(place).get(name)
    return NOT_FOUND if value is None else _key_answer(request, parts, name, value)


async def _make_key(request: Request, parts: AdminParts) -> Answer:
    return await _keep_key(request, parts, new_key())


async def _set_key(request: Request, parts: AdminParts) -> Answer:
    body: Any = json.loads(await request.json_text())
    said = cast(dict[str, Any], body) if isinstance(body, dict) else {}
    value = said.get("value")
    if not isinstance(value, str) or not isinstance(said.get("name", ""), str):
        raise InvalidKey('The body is a JSON object with "value", the key\'s value as a string; "name" is not needed.')
    return await _keep_key(request, parts, value)


async def _keep_key(request: Request, parts: AdminParts, value: str) -> Answer:
    place, name = _place(request, parts), request.parameters["key"]
    await parts.keys.save(parts.keys.ring().with_key(place, name, value))
    return _key_answer(request, parts, name, value)


async def _delete_key(request: Request, parts: AdminParts) -> Answer:
    ring = parts.keys.ring()
    without = ring.without_key(_place(request, parts), request.parameters["key"])
    if without == ring:
        return NOT_FOUND
    await parts.keys.save(without)
    return Answer(204)


def _place(request: Request, parts: AdminParts) -> KeyPlace:
    kind = request.parameters.get("kind")
    if kind is None:
        return FunctionKeys(function_name(_known(request, parts)))
    places = {"keys": HostKeys(), "functionkeys": HostKeys(), "systemkeys": SystemKeys()}
    place = places.get(kind.lower())
    if place is None:
        raise NoSuchFunction
    return place


def _key_answer(request: Request, parts: AdminParts, name: str, value: str) -> Answer:
    return json_answer(200, {"name": name, "value": value, "links": _self_link(request, parts)})


def _self_link(request: Request, parts: AdminParts) -> list[dict[str, str]]:
    return [{"rel": "self", "href": request.url(origin_of(request, parts.links)).partition("?")[0]}]


Handler = Callable[[Request, AdminParts], Awaitable[Answer]]
ROUTES: tuple[Route[Handler], ...] = (
    Route("GET", "host/ping", _ping),
    Route("POST", "host/ping", _ping),
    Route("GET", "host/status", _status),
    Route("POST", "host/restart", _restart),
    Route("POST", "host/drain", _drain),
    Route("GET", "host/drain/status", _drain_status),
    Route("GET", "host/{kind}", _list_keys),
    Route("GET", "host/{kind}/{key}", _show_key),
    Route("POST", "host/{kind}/{key}", _make_key),
    Route("PUT", "host/{kind}/{key}", _set_key),
    Route("DELETE", "host/{kind}/{key}", _delete_key),
    Route("GET", "functions", _functions),
    Route("GET", "functions/{name}", _function),
    Route("POST", "functions/{name}", _run),
    Route("GET", "functions/{name}/status", _function_status),
    Route("GET", "functions/{name}/keys", _list_keys),
    Route("GET", "functions/{name}/keys/{key}", _show_key),
    Route("POST", "functions/{name}/keys/{key}", _make_key),
    Route("PUT", "functions/{name}/keys/{key}", _set_key),
    Route("DELETE", "functions/{name}/keys/{key}", _delete_key),
)
"""Every route, below the prefix."""
_ROUTER: Router[Handler] = Router(ROUTES)
