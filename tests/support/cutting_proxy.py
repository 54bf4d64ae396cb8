"""A TCP proxy before a database that cuts connections at chosen moments, or stops carrying anything."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import Enum
from urllib.parse import urlsplit, urlunsplit

CHUNK = 1 << 16


class Cut(Enum):
    """Where the next request is cut."""

    REQUEST = "request"
    """It never reaches the server."""
    ANSWER = "answer"
    """The server does it, and its answer is lost."""
    AT_ONCE = "at once"
    """It is forwarded, and the connection ends: what the server does with it is open."""


class CuttingProxy:
    """``url`` is that of the server behind it, by way of the proxy."""

    def __init__(self, url: str, address: str = "127.0.0.1") -> None:
        """``address``: where it listens."""
        parts = urlsplit(url)
        self._address = address
        self._parts = parts
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 5432
        self._cut: Cut | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._carrying = asyncio.Event()
        self._carrying.set()
        self._lost: list[asyncio.Event] = []
        """Of connections that carry nothing any more."""
        self.url = ""
        self.cuts = 0
        self.delay_seconds = 0.0
        """Each answer comes so much later."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["CuttingProxy"]:
        await self._listen(0)
        port = self._listening.sockets[0].getsockname()[1]
        user = self._parts.netloc.rpartition("@")[0]
        self.url = urlunsplit(self._parts._replace(netloc=f"{user}@{self._address}:{port}"))
        try:
            yield self
        finally:
            for carrying in (self._carrying, *self._lost):
                carrying.set()
            await self._stop()

    @asynccontextmanager
    async def closed(self) -> AsyncIterator[None]:
        """As if there were no server."""
        port = self._listening.sockets[0].getsockname()[1]
        await self._stop()
        yield
        await self._listen(port)

    async def _listen(self, port: int) -> None:
        self._listening = await asyncio.start_server(self._serve, self._address, port)

    async def _stop(self) -> None:
        self._listening.close()
        self.cut_all()
        await self._listening.wait_closed()

    def cut_next(self, cut: Cut) -> None:
        """What is asked next over any connection."""
        self._cut = cut

    def cut_all(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    def swallow(self) -> None:
        """From here on nothing is carried, and nobody is told."""
        self._carrying.clear()

    def swallow_for_good(self) -> None:
        """The connections there are carry nothing any more, and nobody is told; new ones do."""
        self._lost.append(self._carrying)
        self._carrying.clear()
        self._carrying = asyncio.Event()
        self._carrying.set()

    def carry(self) -> None:
        self._carrying.set()

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        self._open.add(to_client)
        with suppress(OSError):
            server, to_server = await asyncio.open_connection(self._host, self._port)
            self._open.add(to_server)
            losing, carrying = asyncio.Event(), self._carrying
            ways = [
                asyncio.create_task(self._ask(client, to_server, carrying, losing)),
                asyncio.create_task(self._answer(server, to_client, carrying, losing)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
            to_server.transport.abort()
            self._open.discard(to_server)
        to_client.transport.abort()
        self._open.discard(to_client)

    async def _ask(
        self,
        client: asyncio.StreamReader,
        server: asyncio.StreamWriter,
        carrying: asyncio.Event,
        losing: asyncio.Event,
    ) -> None:
        with suppress(OSError):
            while chunk := await client.read(CHUNK):
                await carrying.wait()
                cut, self._cut = self._cut, None
                self.cuts += cut is not None
                if cut is Cut.REQUEST:
                    return
                if cut is Cut.ANSWER:
                    losing.set()
                server.write(chunk)
                await server.drain()
                if cut is Cut.AT_ONCE:
                    return

    async def _answer(
        self,
        server: asyncio.StreamReader,
        client: asyncio.StreamWriter,
        carrying: asyncio.Event,
        losing: asyncio.Event,
    ) -> None:
        with suppress(OSError):
            while chunk := await server.read(CHUNK):
                await carrying.wait()
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                if losing.is_set():
                    return
                client.write(chunk)
                await client.drain()
