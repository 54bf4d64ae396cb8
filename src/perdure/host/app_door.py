"""What answers HTTP requests to a Functions host, from its parts: the host's own routes, then the app's functions."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Scope

from perdure import __version__
from perdure.functions.bindings import ClientTexts
from perdure.functions.descriptions import HttpFunction, LoadedApp
from perdure.functions.http_door import BODY_BYTES_MAX, FunctionsApp
from perdure.functions.http_triggers import HttpTriggers, UserCode
from perdure.functions.routes import RouteTable
from perdure.host.condition import Condition
from perdure.host.front_door import front_door
from perdure.host.gate import Gate
from perdure.host.hub import Hub
from perdure.host.late_route import LateRoute
from perdure.host.settings import BODY_LIMIT_SETTING, Settings
from perdure.http_api.access import LEVELS, Verdict
from perdure.http_api.answers import Answer
from perdure.http_api.app import ManagementRoute
from perdure.http_api.health import HubFacts, health_routes
from perdure.http_api.options import ManagementOptions
from perdure.storage.opening import trouble_of
from perdure.storage.places import FilePlace

if TYPE_CHECKING:
    from perdure.execution.remote import RemoteExecutor
    from perdure.functions.manual_runs import ManualRuns


@dataclass(frozen=True, slots=True)
class DoorParts:
    """What the door stands on."""

    settings: Settings
    app: LoadedApp
    hub: Hub
    gate: Gate
    condition: Condition
    user_code: UserCode
    clients: ClientTexts
    manual_runs: "Callable[[], ManualRuns]"
    links: ManagementOptions
    remote: "RemoteExecutor | None" = None
    started: float = field(default_factory=time.monotonic)


def app_door(parts: DoorParts) -> ASGIApp:
    """The door of a loaded app."""
    settings = parts.settings
    functions = _functions(parts)
    routes = _own_routes(parts, functions)
    door = front_door(routes, functions, settings.allowed_hosts, settings.cors, settings.host.http)
    return parts.gate.with_fresh_keys(door)


def _own_routes(parts: DoorParts, functions: FunctionsApp) -> list[BaseRoute]:
    """Every route of the host itself, in the order in which they are matched."""
    access = parts.gate.access
    management = ManagementRoute(parts.hub.client, parts.links, access)
    parts.gate.tell_links(parts.clients.use_code, management.use_code)
    return [
        management,
        *health_routes(lambda: _facts(parts)),
        LateRoute((b"/metrics", b"/admin/perdure/metrics"), lambda: _metrics_route(parts, functions)),
        LateRoute((b"/admin/perdure/",), lambda: _command_routes(parts)),
        LateRoute((b"/admin/host", b"/admin/functions"), lambda: _admin_routes(parts)),
    ]


def _functions(parts: DoorParts) -> FunctionsApp:
    settings, http = parts.settings, parts.settings.host.http
    turned_off = [f.function for f in parts.app.disabled if isinstance(f.function, HttpFunction)]
    routes, disabled = (RouteTable(functions, http.route_prefix) for functions in (parts.app.http, turned_off))
    return FunctionsApp(
        HttpTriggers(routes, parts.user_code, parts.clients, http, disabled),
        http,
        body_bytes_max=_body_limit(settings),
        has_home_page=(settings.app.get("AzureWebJobsDisableHomepage") or "").lower() != "true",
        admits=parts.gate.admits,
        is_master=parts.gate.is_master,
    )


def _admin_routes(parts: DoorParts) -> BaseRoute:
    from perdure.host.admin_routes import AdminParts, AdminRoutes

    admin = AdminParts(
        parts.app, parts.manual_runs(), parts.gate.keys, parts.links, parts.condition,
        host_id=parts.settings.hub_name.lower(),
        route_prefix=parts.settings.host.http.route_prefix,
        hub_status=parts.hub.status,
        started=parts.started,
    )  # fmt: skip
    return AdminRoutes(admin, parts.gate.access)


def _command_routes(parts: DoorParts) -> BaseRoute:
    from perdure.host.cli_routes import CommandRoutes, HubParts

    place = parts.hub.place
    file = place.path if isinstance(place, FilePlace) else None
    return CommandRoutes(HubParts(parts.hub.client, parts.hub.storage.verify, file), parts.gate.access)


def _metrics_route(parts: DoorParts, functions: FunctionsApp) -> BaseRoute:
    from perdure.host.metering import HubMeter
    from perdure.host.metrics_route import Found, MetricsRoute, unknown_hub

    name, hub = parts.settings.hub_name, parts.hub
    meter = HubMeter(name, hub.worker, parts.remote, hub.work_loads)

    def find(scope: Scope, said: str | None) -> Found:
        verdict = parts.gate.access.judge(scope, LEVELS["GET", "/metrics"])
        if verdict is not Verdict.ALLOWED:
            return Answer(verdict.value)
        return [meter] if said is None or said.lower() == name.lower() else unknown_hub(said)

    return MetricsRoute(find, functions.has_function)


def _facts(parts: DoorParts) -> HubFacts:
    settings = parts.settings
    return HubFacts(
        task_hub=settings.hub_name,
        store=settings.hub.store_url.partition(":")[0],
        durability=settings.hub.storage.durability.value,
        version=__version__,
        not_ready=parts.condition.not_ready or trouble_of(parts.hub.storage),
    )


def _body_limit(settings: Settings) -> int:
    text = settings.app.get(BODY_LIMIT_SETTING)
    if text is not None and text.isdigit():
        return int(text)
    return BODY_BYTES_MAX
