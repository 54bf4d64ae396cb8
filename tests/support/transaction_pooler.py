"""A pooler in transaction mode, as PgBouncer has it: each transaction gets whichever session is free."""

import asyncio
import struct
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

_SSL_REQUEST = struct.pack("!i", 80877103)
_REFUSAL = b"SFATAL\0VFATAL\0C08P01\0Munsupported startup parameter: jit\0\0"
_REFUSED = b"E" + struct.pack("!i", len(_REFUSAL) + 4) + _REFUSAL
_READY, _IDLE = b"Z", b"I"


class Session:
    """One connection to the server, greeted; ``greeting`` is what a client is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, greeting: bytes) -> None:
        self.reader = reader
        self.writer = writer
        self.greeting = greeting


class TransactionPooler:
    """Before a server that trusts everybody. The session used longest ago is taken first, so that nobody keeps one."""

    def __init__(self, url: str, sessions: int, refused: str | None = "jit") -> None:
        """``refused``: a setting that no client may begin with."""
        self._parts = urlsplit(url)
        self._count = sessions
        self._free: deque[Session] = deque()
        self._all: list[Session] = []
        self._room = asyncio.Semaphore(sessions)
        self._clients: set[asyncio.StreamWriter] = set()
        self._refused = None if refused is None else f"\0{refused}\0".encode()
        self.url = ""
        self.transactions = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["TransactionPooler"]:
        for _ in range(self._count):
            self._all.append(await self._greeted())
        self._free.extend(self._all)
        listening = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        user = self._parts.netloc.rpartition("@")[0]
        self.url = urlunsplit(self._parts._replace(netloc=f"{user}@127.0.0.1:{port}"))
        try:
            yield self
        finally:
            listening.close()
            for writer in (*self._clients, *(session.writer for session in self._all)):
                writer.transport.abort()
            await listening.wait_closed()

    async def _greeted(self) -> Session:
        reader, writer = await asyncio.open_connection(self._parts.hostname, self._parts.port)
        words = b"".join(
            word.encode() + b"\0"
            for word in ("user", self._parts.username or "", "database", self._parts.path.removeprefix("/"))
        )
        body = struct.pack("!i", 196608) + words + b"\0"
        writer.write(struct.pack("!i", len(body) + 4) + body)
        greeting = message = b""
        while not greeting.endswith(_IDLE) or message[:1] != _READY:
            message = await _message(reader)
            greeting += message
        return Session(reader, writer, greeting)

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        self._clients.add(to_client)
        with suppress(OSError, asyncio.IncompleteReadError):
            while _SSL_REQUEST in (start := await _start(client)):
                to_client.write(b"N")
            if self._refused is not None and self._refused in start:
                # Sessions are not the client's to set up.
                to_client.write(_REFUSED)
                await to_client.drain()
                return
            to_client.write(self._all[0].greeting)
            # Nothing of what the client says of itself reaches a session: it is not its own.
            while first := await client.read(1 << 16):
                if first[:1] == b"X":
                    break
                await self._transaction(first, client, to_client)
        to_client.transport.abort()
        self._clients.discard(to_client)

    async def _transaction(self, first: bytes, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        async with self._room:
            session = self._free.popleft()
            self.transactions += 1
            session.writer.write(first)
            asking = asyncio.create_task(_carry(client, session.writer))
            try:
                while True:
                    message = await _message(session.reader)
                    to_client.write(message)
                    if message[:1] == _READY and message[-1:] == _IDLE:
                        break
            finally:
                asking.cancel()
                await asyncio.wait([asking])
                self._free.append(session)


async def _carry(client: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
    while chunk := await client.read(1 << 16):
        server.write(chunk)


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(5)
    return head + await reader.readexactly(struct.unpack("!i", head[1:])[0] - 4)


async def _start(client: asyncio.StreamReader) -> bytes:
    """What a client begins with, without its length."""
    length = struct.unpack("!i", await client.readexactly(4))[0]
    return await client.readexactly(length - 4)
