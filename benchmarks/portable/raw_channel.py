"""A client of gRPC that costs as little as one can in Python: frames written and read by hand, headers never read.

For measurements only: it expects a server that keeps the rules, and takes the end of a stream for success.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from perdure.grpc_api.http2.frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    FIRST_WINDOW,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    SETTINGS_ACK,
    WINDOW_UPDATE,
    Setting,
    frame,
    settings_frame,
    window_frame,
)
from perdure.grpc_api.http2.header_writer import literal

WINDOW = 1 << 30
FRAME_BYTES_MAX = 16_384
_POST_HTTP = b"\x83\x86"
_END = object()


class RawChannel(asyncio.Protocol):
    """One connection."""

    def __init__(self, authority: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._authority = authority.encode()
        self._rest = b""
        self._next = 1
        self._out: list[bytes] = []
        self._waiting: list[bytes] = []
        """Frames of data that the server's window has no room for yet."""
        self._window = FIRST_WINDOW
        self._received = 0
        self._heads: dict[str, bytes] = {}
        self._takers: dict[int, Callable[[Any], None]] = {}
        self._bodies: dict[int, bytes] = {}
        self.ended: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        settings = {Setting.ENABLE_PUSH: 0, Setting.INITIAL_WINDOW_SIZE: WINDOW}
        self._put(PREFACE + settings_frame(settings) + window_frame(0, WINDOW - FIRST_WINDOW))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def stream(self, path: str, message: bytes, take: Callable[[bytes], None]) -> None:
        """A call with many answers."""
        self._ask(path, message, lambda answer: None if answer is _END else take(answer))

    def unary(self, path: str, message: bytes) -> None:
        """A call whose answer nobody waits for."""
        self._ask(path, message, lambda answer: None)

    def _ask(self, path: str, message: bytes, take: Callable[[Any], None]) -> None:
        stream, self._next = self._next, self._next + 2
        self._takers[stream] = take
        body = b"\0" + len(message).to_bytes(4, "big") + message
        self._put(frame(HEADERS, END_HEADERS, stream, self._head(path)))
        parts = [body[at : at + FRAME_BYTES_MAX] for at in range(0, len(body), FRAME_BYTES_MAX)]
        for part in parts:
            self._waiting.append(frame(DATA, END_STREAM if part is parts[-1] else 0, stream, part))
        self._send_waiting()

    def _head(self, path: str) -> bytes:
        head = self._heads.get(path)
        if head is None:
            head = self._heads[path] = (
                _POST_HTTP
                + literal(b":path", path.encode())
                + literal(b":authority", self._authority)
                + literal(b"te", b"trailers")
                + literal(b"content-type", b"application/grpc")
            )
        return head

    def _send_waiting(self) -> None:
        sent = 0
        for data in self._waiting:
            size = len(data) - 9
            if size > self._window:
                break
            self._window -= size
            self._put(data)
            sent += 1
        del self._waiting[:sent]

    def _put(self, data: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        out, self._out = self._out, []
        self._transport.write(b"".join(out))

    def data_received(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        at, end = 0, len(data)
        while end - at >= 9:
            stop = at + 9 + int.from_bytes(data[at : at + 3], "big")
            if stop > end:
                break
            number = int.from_bytes(data[at + 5 : at + 9], "big")
            self._take(data[at + 3], data[at + 4], number, data[at + 9 : stop])
            at = stop
        self._rest = data[at:]

    def _take(self, kind: int, flags: int, number: int, body: bytes) -> None:
        if kind == DATA:
            self._received += len(body)
            if self._received > WINDOW // 4:
                self._put(window_frame(0, self._received))
                self._received = 0
            self._give(number, body)
        elif kind == PING and not flags & ACK:
            self._put(frame(PING, ACK, 0, body))
        elif kind == SETTINGS and not flags & ACK:
            self._put(SETTINGS_ACK)
        elif kind == WINDOW_UPDATE and number == 0:
            self._window += int.from_bytes(body, "big")
            self._send_waiting()
        elif kind == RST_STREAM:
            raise RuntimeError(f"The server ends a call with code {int.from_bytes(body, 'big')}.")
        elif kind == GOAWAY:
            self._transport.close()
        if flags & END_STREAM and kind in (DATA, HEADERS):
            self._bodies.pop(number, None)
            self._takers.pop(number)(_END)

    def _give(self, number: int, body: bytes) -> None:
        """Whole messages to whoever asked; a stream's window is wide enough for a benchmark."""
        if (begun := self._bodies.pop(number, None)) is not None:
            body = begun + body
        take = self._takers[number]
        at, end = 0, len(body)
        while end - at >= 5:
            stop = at + 5 + int.from_bytes(body[at + 1 : at + 5], "big")
            if stop > end:
                break
            take(body[at + 5 : stop])
            at = stop
        if at < end:
            self._bodies[number] = body[at:]


async def connect(address: str) -> RawChannel:
    """A channel to ``host:port``."""
    host, port = address.rsplit(":", 1)
    _, channel = await asyncio.get_running_loop().create_connection(lambda: RawChannel(address), host, int(port))
    return channel
