"""The door of the official 1.x package's client: JSON text inside a JSON string, Python's words for true and false."""

import json

import httpx
import pytest
from starlette.applications import Starlette

from perdure.http_api.access import OpenAccess
from perdure.http_api.options import ManagementOptions
from perdure.http_api.rpc import RpcRoute

pytestmark = pytest.mark.anyio


@pytest.fixture
async def rpc(api):
    app = Starlette(routes=[RpcRoute(api.client, ManagementOptions("ShopHub"), OpenAccess())])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:17071/durabletask") as client:
        yield client


@pytest.mark.parametrize(("body", "input"), [('{"a": 1}', {"a": 1}), ('"text"', "text"), ("5", 5)])
async def test_a_start_unwraps_its_body(rpc, body, input):
    assert (await rpc.post("/orchestrators/ship_order/o1", json=body)).status_code == 202
    shown = await rpc.get("/instances/o1?showInput=True")
    assert shown.json()["input"] == input


async def test_an_event_unwraps_its_body(rpc, api):
    await rpc.post("/orchestrators/ship_order/o1")
    answer = await rpc.post("/instances/o1/raiseEvent/Go", json=json.dumps({"b": [1]}))
    assert answer.status_code == 202


async def test_a_signal_unwraps_its_body(rpc):
    assert (await rpc.post("/entities/Counter/a?op=add", json="5")).status_code == 202


async def test_python_words_for_true_and_false(rpc):
    await rpc.post("/orchestrators/ship_order/o1", json='"in"')
    hidden = await rpc.get("/instances/o1?showInput=False&showHistory=False&showHistoryOutput=False")
    shown = await rpc.get("/instances/o1?showInput=True&showHistory=True&showHistoryOutput=True")
    assert hidden.json()["input"] is None
    assert shown.json()["input"] == "in"


async def test_links_lead_to_the_door_for_everybody(api):
    options = ManagementOptions("ShopHub", origin="http://localhost:7071")
    app = Starlette(routes=[RpcRoute(api.client, options, OpenAccess())])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:17071") as rpc:
        links = (await rpc.post("/durabletask/orchestrators/ship_order")).json()
    assert links["statusQueryGetUri"].startswith("http://localhost:7071/runtime/webhooks/durabletask/instances/")
