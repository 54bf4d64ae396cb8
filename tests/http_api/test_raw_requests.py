"""Bytes on the wire that no client library sends: refused or answered once, and nothing slips in behind them."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.routing import Router

from perdure.core.status import NON_TERMINAL
from perdure.host.http_server import HttpServer, bind
from perdure.http_api.allowed_hosts import AllowedHosts
from perdure.http_api.app import management_routes
from perdure.http_api.options import ManagementOptions
from support.management_api import Api, serving

pytestmark = pytest.mark.anyio
LIMIT = 10
API = "/runtime/webhooks/durabletask"
START = f"POST {API}/orchestrators/ship_order/a HTTP/1.1\r\n"
CLOSE = "Host: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
SMUGGLED = f"POST {API}/orchestrators/ship_order/smuggled HTTP/1.1\r\n{CLOSE}"


class Wire:
    """A served hub, and one connection for each exchange."""

    def __init__(self, api: Api, port: int) -> None:
        self.api = api
        self._port = port

    async def exchange(self, sent: bytes) -> bytes:
        """Everything that comes back until the server closes the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(sent)
            await writer.drain()
            return await asyncio.wait_for(reader.read(), LIMIT)
        except ConnectionError:
            return b""
        finally:
            writer.close()

    async def send_and_leave(self, sent: bytes, instance_id: str) -> None:
        """Send, wait until that instance exists, and close without reading."""
        _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(sent)
        await asyncio.wait_for(self.api.storage.wait_for_status(instance_id, NON_TERMINAL), LIMIT)
        writer.close()
        await writer.wait_closed()


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with serving() as api:
        app = AllowedHosts(Router(management_routes(api.client, ManagementOptions("H", body_bytes_max=1000))))
        server = HttpServer(app)
        bound = bind("127.0.0.1", 0)
        await server.start(bound)
        yield Wire(api, bound.getsockname()[1])
        server.stop_listening()
        assert await server.finish(LIMIT)


def answers(received: bytes) -> list[int]:
    """The status of each answer."""
    return [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]


async def test_an_ordinary_request_passes(wire: Wire):
    assert answers(await wire.exchange(f"{START}{CLOSE}".encode())) == [202]
    assert await wire.api.client.get("a") is not None


REFUSED = {
    "length and chunks": f"{START}Host: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": f"{START}Host: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two lengths": f"{START}Host: localhost\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "equal lengths": f"{START}Host: localhost\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "bad chunk": f"{START}Host: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n1\r\n0\r\n\r\n",
    "negative length": f"{START}Host: localhost\r\nContent-Length: -1\r\n\r\n",
    "signed length": f"{START}Host: localhost\r\nContent-Length: +0\r\n\r\n",
    "length in words": f"{START}Host: localhost\r\nContent-Length: four\r\n\r\n",
    "no host": f"{START}Content-Length: 0\r\n\r\n",
    "no host in 1.0": START.replace("1.1", "1.0") + "Content-Length: 0\r\n\r\n",
    "two hosts": f"{START}Host: localhost\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
    "foreign host": f"{START}Host: evil.example\r\nContent-Length: 0\r\n\r\n",
    "nul in a name": f"{START}Host: localhost\r\nX\0Y: 1\r\nContent-Length: 0\r\n\r\n",
    "nul in a value": f"{START}Host: localhost\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
    "space before the colon": f"{START}Host: localhost\r\nContent-Length : 0\r\n\r\n",
    "folded header": f"{START}Host: localhost\r\nTransfer-Encoding:\r\n chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "strange coding": f"{START}Host: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "no method": "/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "tls": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "version 2 preface": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


WELL_FRAMED = {"no host", "two hosts", "foreign host"}


@pytest.mark.parametrize("name", sorted(REFUSED))
async def test_what_is_not_http_is_refused_and_carries_nothing_in(wire: Wire, name: str):
    received = await wire.exchange((REFUSED[name] + SMUGGLED).encode("latin-1"))
    statuses = answers(received)
    assert await wire.api.client.get("a") is None
    if name in WELL_FRAMED:
        # The request is refused, and what follows it is a request of its own.
        assert statuses == [400, 202]
    else:
        assert statuses in ([], [400])
        assert await wire.api.client.get("smuggled") is None


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (f"GET {API}/instances?x={'y' * 8_200} HTTP/1.1\r\nHost: localhost\r\n", 414),
        (f"GET {API}/instances HTTP/1.1\r\nHost: localhost\r\nX: {'y' * 66_000}\r\n", 431),
        (f"GET {API}/instances HTTP/1.1\r\nHost: localhost\r\n" + "X: y\r\n" * 100, 431),
        (f"GET {API}/instances HTTP/1.1\r\nHost: localhost\r\n" + "Connection: close\r\n" + "X: y\r\n" * 98, 200),
        (f"GET {API}/instances?x={'y' * 8_000} HTTP/1.1\r\n{CLOSE[:-2]}", 200),
    ],
    ids=["target", "header", "lines", "lines at the limit", "target at the limit"],
)
async def test_the_limits_of_a_head(wire: Wire, head: str, status: int):
    assert answers(await wire.exchange(f"{head}\r\n".encode())) == [status]


async def test_a_chunked_body_over_the_limit_ends_the_connection(wire: Wire):
    chunk = "190\r\n" + "1" * 400 + "\r\n"
    request = f"{START}Host: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{chunk * 3}0\r\n\r\n"
    received = await wire.exchange((request + SMUGGLED).encode())
    assert answers(received)[0] == 413
    assert b"connection: close" in received.lower()
    assert await wire.api.client.get("a") is None
    assert await wire.api.client.get("smuggled") is None


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip", "GZIP"])
async def test_a_compressed_body_is_refused_unread(wire: Wire, coding: str):
    head = f"{START}Host: localhost\r\nContent-Encoding: {coding}\r\nContent-Length: 900\r\n\r\n"
    received = await wire.exchange(head.encode() + b"\x1f\x8b" + b"\0" * 898 + SMUGGLED.encode())
    assert answers(received)[0] == 415
    assert b"connection: close" in received.lower()
    assert await wire.api.client.get("a") is None
    assert await wire.api.client.get("smuggled") is None


async def test_an_announced_body_over_the_limit_is_refused_unread(wire: Wire):
    received = await wire.exchange(f"{START}Host: localhost\r\nContent-Length: 99999999\r\n\r\n1".encode())
    assert answers(received) == [413]
    assert await wire.api.client.get("a") is None


async def test_an_encoded_slash_stays_in_the_id(wire: Wire):
    refused = await wire.exchange(f"POST {API}/orchestrators/ship_order/a%2Fb HTTP/1.1\r\n{CLOSE}".encode())
    assert answers(refused) == [400]
    assert b"'/'" in refused
    unknown = await wire.exchange(f"POST {API}/orchestrators/ship_order/a/b HTTP/1.1\r\n{CLOSE}".encode())
    assert answers(unknown) == [404]


async def test_a_caller_who_goes_away_ends_the_waiting(wire: Wire):
    """The server's own task ends too: the fixture stops the server and finds nothing under way."""
    head = "HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
    await wire.send_and_leave(f"POST {API}/orchestrators/ship_order/a?timeout=3600 {head}".encode(), "a")
