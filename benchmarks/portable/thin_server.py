"""``thin_server PORT``: the empty server again, on ``thin_http2`` in the place of grpcio."""

import asyncio
import sys

import uvloop

from benchmarks.portable.empty_server import SERVICE, Items
from benchmarks.portable.thin_http2 import Connection, Handler


async def serve(port: int) -> None:
    """Until the process is ended."""
    items = Items()
    handlers = {
        f"/{SERVICE}/Push": Handler(items.push),
        f"/{SERVICE}/Complete": Handler(items.complete),
        f"/{SERVICE}/Call": Handler(items.call),
        f"/{SERVICE}/Items": Handler(items.items, streams=True),
    }
    server = await asyncio.get_running_loop().create_server(lambda: Connection(handlers), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
