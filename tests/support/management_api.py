"""The management API over a hub that is moved by hand."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.applications import Starlette

from perdure.client import ClientOptions, FunctionKind, NotRegistered
from perdure.core.registry import not_registered_text
from perdure.http_api.app import management_routes
from perdure.http_api.options import ManagementOptions
from perdure.storage.opening import open_storage
from support.steered_hub import SteeredHub, SteppedClock

BASE = "http://localhost:7071/runtime/webhooks/durabletask"
_INSIDE = re.compile(rb"Traceback|\\.py\\b|site-packages|/src/perdure|sqlite:/|hub\\.db")
KNOWN = {FunctionKind.ORCHESTRATOR: ["ship_order", "bill_order"], FunctionKind.ENTITY: ["Counter"]}


def known(kind: FunctionKind, name: str) -> None:
    if name.lower() not in {each.lower() for each in KNOWN[kind]}:
        raise NotRegistered(not_registered_text(kind.value, name, KNOWN[kind]))


async def tells_nothing_inside(answer: httpx.Response) -> None:
    """No answer shows a traceback or a path of the installation (reliability.md S13)."""
    body = await answer.aread()
    assert not _INSIDE.search(body), body


class Api(SteeredHub):
    """The hub and an HTTP client of its management API."""

    http: httpx.AsyncClient

    async def post(self, path: str, **arguments: Any) -> httpx.Response:
        return await self.http.post(BASE + path, **arguments)

    async def get(self, path: str, **arguments: Any) -> httpx.Response:
        return await self.http.get(BASE + path, **arguments)

    async def delete(self, path: str, **arguments: Any) -> httpx.Response:
        return await self.http.delete(BASE + path, **arguments)


@asynccontextmanager
async def serving(
    options: ManagementOptions | None = None, payload_bytes_max: int = 1000, store_url: str = "memory:"
) -> AsyncIterator[Api]:
    clock = SteppedClock()
    storage = open_storage(store_url, clock)
    await storage.open()
    ids = iter(range(1, 1000))
    client_options = ClientOptions(
        known, default_version="1.0", payload_bytes_max=payload_bytes_max, new_id=lambda: f"{next(ids):032x}"
    )
    api = Api.over(storage, clock, client_options)
    options = options or ManagementOptions("ShopHub", code="Kx1", body_bytes_max=payload_bytes_max)
    app = Starlette(routes=management_routes(api.client, options))
    try:
        hooks = {"response": [tells_nothing_inside]}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), event_hooks=hooks) as api.http:
            yield api
    finally:
        await storage.close()
