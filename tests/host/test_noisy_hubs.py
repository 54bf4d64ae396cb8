"""One hub that is flooded leaves another its latency (scheduler.md §9, row 4)."""

import asyncio
import os
import statistics
import sys
import time
from pathlib import Path

import pytest

from support import hub_flood
from support.grpc_worker import Worker, completes
from support.scheduler_server import RawClient
from support.serve_process import ServeProcess

RATIO_MAX = 8
"""So many times the quiet latency at most, in the middle of those measured beside the flood. All hubs share one
process, so a call waits for what is under way for others; each hub's share of that is bounded."""
QUIET_SECONDS_MIN = 0.01
"""A quiet latency below this counts as this."""
CALLERS = 32
INSTANCES = 5_000


async def latency(client: RawClient, worker: Worker, instance_id: str) -> float:
    """From a start until its caller knows the end."""
    began = time.perf_counter()
    await client.StartInstance(instanceId=instance_id, name="quiet")
    await worker.complete_turn(await worker.next_turn(), completes(1))
    await client.WaitForInstanceCompletion(instanceId=instance_id)
    return time.perf_counter() - began


@pytest.mark.slow
def test_a_flooded_hub_leaves_the_other_its_latency(tmp_path: Path) -> None:
    with ServeProcess(tmp_path, "--hubs", "quiet,noisy") as server:

        async def scenario() -> None:
            async with server.client(taskhub="quiet") as client, Worker(client) as worker:
                alone = [await latency(client, worker, f"alone{number}") for number in range(50)]
                flood = await asyncio.create_subprocess_exec(
                    sys.executable, hub_flood.__file__, str(server.grpc_port), "noisy", str(CALLERS), str(INSTANCES),
                    stdout=asyncio.subprocess.PIPE,
                    env={**os.environ, "PYTHONPATH": str(Path(hub_flood.__file__).parents[1])},
                )  # fmt: skip
                assert flood.stdout is not None
                assert await flood.stdout.readline() == b"begins\n"
                rate = asyncio.ensure_future(flood.stdout.readline())
                beside: list[float] = []
                while not rate.done():
                    beside.append(await latency(client, worker, f"beside{len(beside)}"))
                assert await flood.wait() == 0
            usual, slowed = (statistics.median(each) for each in (alone, beside))
            told = (
                f"{len(beside)} beside {rate.result().decode().strip()} a second: alone {usual * 1000:.1f} ms, "
                f"beside the flood {slowed * 1000:.1f} ms, at worst {max(beside) * 1000:.0f} ms"
            )
            assert len(beside) >= 10, told
            assert slowed < RATIO_MAX * max(usual, QUIET_SECONDS_MIN), told

        asyncio.run(scenario())
