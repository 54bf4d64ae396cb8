"""``empty_server PORT``: what gRPC alone costs. Items of 200 bytes go out on a stream, unary calls answer them.

``Push`` takes how many items are to go through, and is answered when all have been.
"""

import asyncio
import sys
from typing import Any

import grpc.aio
import uvloop

SERVICE = "benchmarks.Empty"
IN_FLIGHT_MAX = 64
ITEM = b"x" * 200


class Items:
    """Pushes items and counts answers."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._to_push = 0
        self._to_answer = 0
        self._all_answered = asyncio.Event()

    async def push(self, request: bytes, context: Any) -> bytes:
        """So many items, a window at a time."""
        self._to_push = self._to_answer = int(request)
        self._all_answered.clear()
        for _ in range(min(IN_FLIGHT_MAX, self._to_push)):
            self._next()
        await self._all_answered.wait()
        return b""

    async def items(self, request: bytes, context: Any) -> None:
        """The worker's stream."""
        while True:
            await context.write(await self._queue.get())

    async def complete(self, request: bytes, context: Any) -> bytes:
        """An item is answered."""
        self._to_answer -= 1
        if self._to_push:
            self._next()
        elif not self._to_answer:
            self._all_answered.set()
        return b""

    async def call(self, request: bytes, context: Any) -> bytes:
        """A client's call."""
        return b""

    def _next(self) -> None:
        self._to_push -= 1
        self._queue.put_nowait(ITEM)


async def serve(port: int) -> None:
    """Until the process is ended."""
    items = Items()
    handlers: dict[str, Any] = {
        "Push": grpc.unary_unary_rpc_method_handler(items.push),  # type: ignore[arg-type]
        "Complete": grpc.unary_unary_rpc_method_handler(items.complete),  # type: ignore[arg-type]
        "Call": grpc.unary_unary_rpc_method_handler(items.call),  # type: ignore[arg-type]
        "Items": grpc.unary_stream_rpc_method_handler(items.items),  # type: ignore[arg-type]
    }
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
