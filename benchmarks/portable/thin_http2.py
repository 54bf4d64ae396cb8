"""As little HTTP/2 as gRPC's clients need, in asyncio itself: what a server costs that is not grpcio's.

A measurement, not a server: it expects no hostile bytes, reads no compressed messages and knows no limits
(docs/decisions/0015-grpc-stack.md says what came of it). As with grpcio each call is a task; what is written in one
turn of the loop goes out in one piece.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 3, 4, 6, 8
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 1, 1, 4, 8, 32
FRAME_MAX = 16384
WINDOW = 1 << 30
WINDOW_FIRST = 65535
_SECONDS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Handler:
    """What answers a call: with bytes, or with ``Stream.write`` when it streams."""

    answer: Callable[[bytes, Any], Awaitable[Any]]
    streams: bool = False


Handlers = Mapping[str, Handler]
"""By the call's path."""


def frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    """One frame."""
    return len(body).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + body


def _literal(name: bytes, value: bytes) -> bytes:
    assert len(value) < 127, "longer texts are not for a measurement"
    return b"\x00" + bytes((len(name),)) + name + bytes((len(value),)) + value


HEAD = b"\x88" + _literal(b"content-type", b"application/grpc")
GOOD_END = _literal(b"grpc-status", b"0")
GREETING = frame(SETTINGS, 0, 0, b"\x00\x04" + WINDOW.to_bytes(4, "big")) + frame(
    WINDOW_UPDATE, 0, 0, (WINDOW - WINDOW_FIRST).to_bytes(4, "big")
)


class Stream:
    """One call under way; also its context, as far as grpcio's is used."""

    __slots__ = ("_ends_at", "_headers", "body", "connection", "has_head", "number", "status", "task", "window")

    def __init__(self, connection: "Connection", number: int, headers: Headers) -> None:
        self.connection = connection
        self.number = number
        self.body = bytearray()
        self.window = connection.first_window
        self.has_head = False
        self.status: tuple[int, str] | None = None
        self.task: asyncio.Task[None] | None = None
        self._headers = headers
        timeout = next((value for name, value in headers if name == "grpc-timeout"), None)
        now = asyncio.get_running_loop().time
        self._ends_at = None if timeout is None else now() + int(timeout[:-1]) * _SECONDS[timeout[-1]]

    def invocation_metadata(self) -> Headers:
        """The call's headers."""
        return self._headers

    def peer(self) -> str:
        """The connection."""
        return self.connection.peer

    def time_remaining(self) -> float | None:
        """Until the caller's deadline."""
        return None if self._ends_at is None else self._ends_at - asyncio.get_running_loop().time()

    async def abort(self, code: grpc.StatusCode, text: str = "") -> None:
        """End it with a status."""
        self.status = code.value[0], text
        raise grpc.aio.AbortError

    async def write(self, message: bytes) -> None:
        """Send one message."""
        connection, number = self.connection, self.number
        size = len(message)
        data = b"\x00" + size.to_bytes(4, "big") + message
        if not self.has_head:
            self.has_head = True
            connection.put(frame(HEADERS, END_HEADERS, number, HEAD))
        size += 5
        if size <= FRAME_MAX and size <= self.window and size <= connection.window:
            self.window -= size
            connection.window -= size
            connection.put(frame(DATA, 0, number, data))
            return
        at = 0
        while at < size:
            part = min(size - at, FRAME_MAX, self.window, connection.window)
            if part <= 0:
                await connection.widened()
                continue
            self.window -= part
            connection.window -= part
            connection.put(frame(DATA, 0, number, data[at : at + part]))
            at += part

    def end(self) -> None:
        """The last frame."""
        ending = GOOD_END
        if self.status is not None:
            code, text = self.status
            told = "".join(c if " " <= c <= "~" and c != "%" else "?" for c in text)[:120]
            ending = _literal(b"grpc-status", str(code).encode()) + _literal(b"grpc-message", told.encode())
        if not self.has_head:
            ending = HEAD + ending
        self.connection.put(frame(HEADERS, END_HEADERS | END_STREAM, self.number, ending))


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers
        self._in = bytearray()
        self._out: list[bytes] = []
        self._streams: dict[int, Stream] = {}
        self._decoder = hpack.Decoder()
        self._known: dict[bytes, Headers] = {}
        self._is_greeted = False
        self._received = 0
        self._waiters: list[asyncio.Future[None]] = []
        self.first_window = self.window = WINDOW_FIRST
        self.peer = ""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        host, port = transport.get_extra_info("peername")[:2]
        self.peer = f"ipv4:{host}:{port}"
        self.put(GREETING)

    def connection_lost(self, exc: Exception | None) -> None:
        for stream in self._streams.values():
            if stream.task is not None:
                stream.task.cancel()

    def data_received(self, data: bytes) -> None:
        buffer = self._in
        buffer += data
        at = 0
        if not self._is_greeted:
            if len(buffer) < len(PREFACE):
                return
            self._is_greeted, at = True, len(PREFACE)
        end = len(buffer)
        while end - at >= 9:
            size = int.from_bytes(buffer[at : at + 3], "big")
            if end - at < 9 + size:
                break
            number = int.from_bytes(buffer[at + 5 : at + 9], "big")
            self._take(buffer[at + 3], buffer[at + 4], number, bytes(buffer[at + 9 : at + 9 + size]))
            at += 9 + size
        del buffer[:at]

    def put(self, data: bytes) -> None:
        """Send, with whatever else this turn of the loop sends."""
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out.append(data)

    async def widened(self) -> None:
        """Wait for the client to take more."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    def _flush(self) -> None:
        out, self._out = self._out, []
        self._transport.write(b"".join(out))

    def _take(self, kind: int, flags: int, number: int, body: bytes) -> None:
        if kind == DATA:
            self._received += len(body)
            if self._received > WINDOW // 2:
                self.put(frame(WINDOW_UPDATE, 0, 0, self._received.to_bytes(4, "big")))
                self._received = 0
            stream = self._streams[number]
            stream.body += body[1 : -body[0]] if flags & PADDED else body
            if flags & END_STREAM:
                self._begin(stream)
        elif kind == HEADERS:
            assert flags & END_HEADERS, "headers in several frames are not for a measurement"
            self._streams[number] = Stream(self, number, self._read(body[5:] if flags & PRIORITY else body))
        elif kind == PING and not flags & ACK:
            self.put(frame(PING, ACK, 0, body))
        elif kind == SETTINGS and not flags & ACK:
            self._take_settings(body)
        elif kind == WINDOW_UPDATE:
            self._widen(number, int.from_bytes(body, "big"))
        elif kind == RESET and (found := self._streams.pop(number, None)) is not None and found.task is not None:
            found.task.cancel()

    def _take_settings(self, body: bytes) -> None:
        for at in range(0, len(body), 6):
            if body[at : at + 2] == b"\x00\x04":
                wider = int.from_bytes(body[at + 2 : at + 6], "big")
                for stream in self._streams.values():
                    stream.window += wider - self.first_window
                self.first_window = wider
        self.put(frame(SETTINGS, ACK, 0, b""))

    def _widen(self, number: int, by: int) -> None:
        if number == 0:
            self.window += by
        elif (found := self._streams.get(number)) is not None:
            found.window += by
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _read(self, block: bytes) -> Headers:
        """Headers. Equal bytes mean equal headers for as long as the table has not changed."""
        headers = self._known.get(block)
        if headers is None:
            table = self._decoder.header_table.dynamic_entries
            before = len(table), table[0] if table else None
            headers = tuple((str(name), str(value)) for name, value in self._decoder.decode(block))
            if before == (len(table), table[0] if table else None):
                self._known[block] = headers
            else:
                self._known.clear()
        return headers

    def _begin(self, stream: Stream) -> None:
        stream.task = asyncio.get_running_loop().create_task(self._serve(stream))

    async def _serve(self, stream: Stream) -> None:
        path = next(value for name, value in stream.invocation_metadata() if name == ":path")
        handler = self._handlers.get(path)
        try:
            if handler is None:
                stream.status = grpc.StatusCode.UNIMPLEMENTED.value[0], path
            else:
                answer = await handler.answer(bytes(stream.body[5:]), stream)
                if not handler.streams:
                    await stream.write(answer)
        except grpc.aio.AbortError:
            assert stream.status is not None
        stream.end()
        self._streams.pop(stream.number, None)
