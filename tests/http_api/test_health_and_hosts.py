"""GET /health, and the check of the Host header before everything."""

import httpx
import pytest
from starlette.applications import Starlette
from starlette.types import Message, Scope

from perdure.http_api.allowed_hosts import LOOPBACK_NAMES, AllowedHosts, host_name
from perdure.http_api.health import HubFacts, health_routes

pytestmark = pytest.mark.anyio


async def health(reason: str | None) -> httpx.Response:
    facts = HubFacts("ShopHub", "sqlite", "full", "0.1.0", reason)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(Starlette(routes=health_routes(lambda: facts)))) as http:
        return await http.get("http://localhost/health")


async def test_ready():
    answer = await health(None)
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "live": True,
        "ready": True,
        "reason": None,
        "taskHub": "ShopHub",
        "store": "sqlite",
        "durability": "full",
        "version": "0.1.0",
    }


async def test_not_ready_says_why():
    answer = await health("starting")
    assert answer.status_code == 503
    assert (answer.json()["status"], answer.json()["reason"], answer.json()["live"]) == ("notReady", "starting", True)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("localhost:7071", "localhost"),
        ("localhost.", "localhost"),
        ("[::1]:7071", "[::1]"),
        ("::1", "[::1]"),
        ("shop.example", "shop.example"),
        ("", ""),
    ],
)
def test_the_name_in_a_host(value: str, name: str):
    assert host_name(value) == name


async def asked(hosts: list[bytes], allowed: frozenset[str] = LOOPBACK_NAMES, kind: str = "http") -> list[Message]:
    sent: list[Message] = []

    async def app(scope: Scope, receive: object, send: object) -> None:
        sent.append({"type": "reached"})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": kind, "headers": [(b"host", host) for host in hosts], "path": "/"}
    await AllowedHosts(app, allowed)(scope, receive, send)
    return sent


@pytest.mark.parametrize("host", [b"localhost:7071", b"LOCALHOST", b"127.0.0.1:7071", b"[::1]:7071", b"localhost."])
async def test_loopback_names_are_let_in(host: bytes):
    assert await asked([host]) == [{"type": "reached"}]


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        [b""],
        [b"evil.example"],
        [b"localhost.evil.example"],
        [b"localhost", b"localhost"],
        [b"127.0.0.1.nip.io:7071"],
        [b"localhost@evil.example"],
        [b"\xff"],
    ],
)
async def test_other_hosts_are_refused(hosts: list[bytes]):
    sent = await asked(hosts)
    assert sent[0]["status"] == 400
    assert b"Host" in sent[1]["body"]


async def test_allowed_hosts_can_be_named_or_open():
    named = frozenset({"Shop.example:443", "fe80::1"})
    assert await asked([b"shop.example"], named) == [{"type": "reached"}]
    assert await asked([b"[fe80::1]:7071"], named) == [{"type": "reached"}]
    assert (await asked([b"localhost"], named))[0]["status"] == 400
    assert await asked([b"evil.example"], frozenset({"*"})) == [{"type": "reached"}]
    assert (await asked([b"a", b"b"], frozenset({"*"})))[0]["status"] == 400


async def test_websockets_are_closed_and_lifespan_passes():
    assert await asked([b"evil.example"], kind="websocket") == [{"type": "websocket.close", "code": 1008}]
    assert await asked([], kind="lifespan") == [{"type": "reached"}]
