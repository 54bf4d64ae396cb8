"""HTTP/1.1 over kept connections, as cheap as Python can: the generator shares its cores with what it measures."""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple, cast

WIDTH = 128
ANSWER_SECONDS_MAX = 60.0


class Answer(NamedTuple):
    """What came back; the headers' names are in lower case."""

    status: int
    body: bytes
    headers: dict[str, str]


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self) -> None:
        self._buffer = b""
        self._answered: asyncio.Future[Answer] | None = None
        self._transport: asyncio.Transport | None = None
        self.is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(exc or ConnectionResetError("the host closed the connection"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        status, headers = _read_head(head)
        if headers.get("transfer-encoding") == "chunked":
            body, is_whole = _unchunked(rest)
        else:
            length = int(headers.get("content-length", "0"))
            body, is_whole = rest[:length], len(rest) >= length
        if is_whole and self._answered is not None and not self._answered.done():
            self._buffer = b""
            self._answered.set_result(Answer(status, body, headers))

    async def ask(self, request: bytes) -> Answer:
        """Send the request and wait for the answer."""
        assert self._transport is not None
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answered

    def close(self) -> None:
        """Close it."""
        if self._transport is not None:
            self._transport.close()


class Connections:
    """Up to ``width`` connections to one host; who finds none free waits in line."""

    def __init__(self, port: int, width: int = WIDTH) -> None:
        self._port = port
        self._free: deque[_Connection] = deque()
        self._all: list[_Connection] = []
        self._room = asyncio.Semaphore(width)

    async def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """One request. Raises OSError when the connection breaks, TimeoutError when no answer comes."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        if body:
            lines += "content-type: application/json\r\n"
        head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{self._port}\r\n{lines}content-length: {len(body)}\r\n\r\n"
        async with self._room, asyncio.timeout(ANSWER_SECONDS_MAX):
            connection = await self._connection()
            answer = await connection.ask(head.encode() + body)
            self._free.append(connection)
            return answer

    async def _connection(self) -> _Connection:
        while self._free:
            connection = self._free.pop()
            if connection.is_open:
                return connection
        _, made = await asyncio.get_running_loop().create_connection(_Connection, "127.0.0.1", self._port)
        self._all.append(made)
        return made

    def close(self) -> None:
        """Close all."""
        for connection in self._all:
            connection.close()


def _read_head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(first.split(" ", 2)[1]), headers


def _unchunked(rest: bytes) -> tuple[bytes, bool]:
    body = b""
    while True:
        size, end, rest = rest.partition(b"\r\n")
        if not end:
            return body, False
        length = int(size, 16)
        if length == 0:
            return body, True
        if len(rest) < length + 2:
            return body, False
        body, rest = body + rest[:length], rest[length + 2 :]
