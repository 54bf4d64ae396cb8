"""``echo_worker ADDRESS``: answers the items of the empty server."""

import asyncio
import sys
from typing import Any

import grpc.aio
import uvloop

from benchmarks.portable.empty_server import SERVICE

ANSWER = b"y" * 100


async def work(address: str) -> None:
    """Take items and answer them, for ever."""
    async with grpc.aio.insecure_channel(address) as channel:
        complete = channel.unary_unary(f"/{SERVICE}/Complete")
        tasks: set[asyncio.Task[Any]] = set()

        async def report() -> None:
            await complete(ANSWER)

        async for _ in channel.unary_stream(f"/{SERVICE}/Items")(b""):
            task = asyncio.create_task(report())
            tasks.add(task)
            task.add_done_callback(tasks.discard)


if __name__ == "__main__":
    uvloop.run(work(sys.argv[1]))
