"""Workers that hold a connection and a stream of work items, and do no more than their keep-alive."""

import asyncio
from typing import Any

import hpack

from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.service import RPCS
from perdure.grpc_api.http2.frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    SETTINGS,
    frame,
)
from support.http2_peer import REQUEST, framed

HEAD_BYTES = 9


class IdleWorker(asyncio.Protocol):
    """One connection. ``ended`` is what the server said last, once the connection is gone."""

    def __init__(self, beginning: bytes) -> None:
        loop = asyncio.get_running_loop()
        self._beginning = beginning
        self._transport: asyncio.Transport | None = None
        self._left = b""
        self.is_greeted: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[bytes] = loop.create_future()
        self._farewell = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(self._beginning)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        data = self._left + data
        while len(data) >= HEAD_BYTES and len(data) >= (whole := HEAD_BYTES + int.from_bytes(data[:3], "big")):
            kind, flags, body = data[3], data[4], data[HEAD_BYTES:whole]
            if kind == PING and not flags & ACK:
                self._transport.write(frame(PING, ACK, 0, body))
            elif kind == SETTINGS and not self.is_greeted.done():
                self.is_greeted.set_result(None)
            elif kind == GOAWAY:
                self._farewell = body[8:]
            data = data[whole:]
        self._left = data

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_greeted.cancel()
        self.ended.set_result(self._farewell)

    def close(self) -> None:
        assert self._transport is not None
        self._transport.abort()


def beginning_of(hub: str, **request: Any) -> bytes:
    """What such a worker sends: it opens its stream of work items."""
    encoder = hpack.Encoder()
    headers = {**REQUEST, ":path": RPCS["GetWorkItems"].path, "taskhub": hub, "workerid": "idle"}
    block = encoder.encode(list(headers.items()))
    message = pb.GetWorkItemsRequest(**request).SerializeToString()
    return b"".join(
        [
            PREFACE,
            frame(SETTINGS, 0, 0, b""),
            frame(SETTINGS, ACK, 0, b""),
            frame(HEADERS, END_HEADERS, 1, block),
            frame(DATA, END_STREAM, 1, framed(message)),
        ]
    )


async def connect(port: int, beginning: bytes) -> IdleWorker:
    """Open one connection."""
    loop = asyncio.get_running_loop()
    _, worker = await loop.create_connection(lambda: IdleWorker(beginning), "127.0.0.1", port)
    return worker
