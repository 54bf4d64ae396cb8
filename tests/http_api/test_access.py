"""Every route has a level, and a caller who is refused reaches nothing."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Scope

from perdure.host.admin_routes import PREFIX as ADMIN
from perdure.host.admin_routes import ROUTES as ADMIN_ROUTES
from perdure.host.cli_routes import PREFIX as COMMANDS
from perdure.host.cli_routes import ROUTES as COMMAND_ROUTES
from perdure.host.metrics_route import TEMPLATES as METRICS
from perdure.http_api.access import LEVELS, Level, Verdict
from perdure.http_api.app import management_routes
from perdure.http_api.health import HubFacts, health_routes
from perdure.http_api.operations import OPERATIONS
from perdure.http_api.options import ManagementOptions
from perdure.http_api.routes import ROUTES
from support.management_api import BASE, Api

pytestmark = pytest.mark.anyio


def facts() -> HubFacts:
    return HubFacts("ShopHub", "memory", "memory", "0")


def test_every_route_has_a_level_and_every_level_a_route():
    routes = {(route.method, route.template) for route in ROUTES}
    routes |= {(route.method, f"{COMMANDS}/{route.template}") for route in COMMAND_ROUTES}
    routes |= {(route.method, f"{ADMIN}/{route.template}") for route in ADMIN_ROUTES}
    routes |= {("GET", template) for template in METRICS}
    for route in health_routes(facts):
        assert isinstance(route, Route)
        routes |= {(method, route.path) for method in route.methods or () if method != "HEAD"}
    assert routes == set(LEVELS)
    assert set(LEVELS) <= set(OPERATIONS), "a route without a description"


@dataclass
class Refusing:
    """Refuses one level with one verdict."""

    verdict: Verdict
    level: Level

    def judge(self, scope: Scope, level: Level) -> Verdict:
        return self.verdict if level is self.level else Verdict.ALLOWED

    def admits(self, scope: Scope, level: Level, function_name: str) -> bool:
        return True


@pytest.fixture(params=[Verdict.UNKNOWN, Verdict.FORBIDDEN])
async def guarded(api: Api, request: pytest.FixtureRequest) -> AsyncIterator[tuple[Api, Verdict]]:
    access = Refusing(request.param, Level.SYSTEM)
    app = Starlette(routes=management_routes(api.client, ManagementOptions("ShopHub"), access))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as api.http:
        yield api, request.param


@pytest.mark.parametrize("key", sorted(key for key in LEVELS if not key[1].startswith("/")))
async def test_a_refused_caller_gets_an_empty_answer(guarded: tuple[Api, Verdict], key: tuple[str, str]):
    api, verdict = guarded
    method, template = key
    await api.client.start("ship_order", instance_id="id")
    path = template.replace("{id}", "id").replace("{name}", "counter").replace("{key}", "k").replace("{event}", "go")
    answer = await api.http.request(method, f"{BASE}/{path}")
    assert (answer.status_code, answer.content) == (verdict.value, b"")
    record = await api.client.get("id")
    assert record is not None
    assert len(await api.inbox("id")) == 1
    assert await api.inbox("@counter@k") == []
