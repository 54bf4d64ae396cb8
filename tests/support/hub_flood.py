"""Floods a hub of a server from a process of its own: ``python hub_flood.py PORT HUB CALLERS INSTANCES``."""

import asyncio
import sys
import time

import grpc.aio

from support.grpc_worker import Worker, completes
from support.scheduler_server import RawClient


async def flood(port: int, hub: str, callers: int, instances: int) -> None:
    """Start instances and run them, so many at once; says when it begins, and how many a second it was."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        client = RawClient(channel, {"taskhub": hub})
        starts, turns = iter(range(instances)), iter(range(instances))
        async with Worker(client) as worker:

            async def start() -> None:
                for number in starts:
                    await client.StartInstance(instanceId=f"n{number}", name="flood")

            async def work() -> None:
                for _ in turns:
                    await worker.complete_turn(await worker.next_turn(), completes(1))

            print("begins", flush=True)
            began = time.perf_counter()
            await asyncio.gather(*(each() for each in [start, work] * callers))
            print(round(instances / (time.perf_counter() - began)), flush=True)


if __name__ == "__main__":
    asyncio.run(flood(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
