"""``own_empty_server PORT``: the empty server again, on our own HTTP/2 in the place of grpcio."""

import asyncio
import sys

import uvloop

from benchmarks.portable.empty_server import SERVICE, Items
from perdure.grpc_api.server import GrpcServer
from perdure.grpc_api.server_calls import Handler


async def serve(port: int) -> None:
    """Until the process is ended."""
    items = Items()
    server = GrpcServer()
    unary = {"Push": items.push, "Complete": items.complete, "Call": items.call}
    handlers = {name: Handler(answer) for name, answer in unary.items()}
    server.mount({**handlers, "Items": Handler(items.items, streams=True)}, SERVICE)
    server.listen("127.0.0.1", port)
    await server.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
