"""Thousands of workers that wait, and a few that work: what the ones cost, and what the others notice of them."""

import asyncio
import time
from pathlib import Path

import psutil
import pytest

from perdure.formats.protobuf import messages as pb
from perdure.host.open_files import connections_that_fit
from support.host_process import wait_until
from support.idle_workers import IdleWorker, beginning_of, connect
from support.scheduler_server import RawClient
from support.serve_process import ServeProcess
from support.work_item_world import RawWorker, sequence

IDLE = 5_000
BUSY = 50
INSTANCES = 300
AT_ONCE = 20
IDLE_SECONDS = 45.0
"""Longer than until a silent connection is asked whether it lives, twice, and a silent stream gets its ping."""
KIB_EACH_MAX = 40.0
SLOWER_MAX = 4.0
"""Other work of the machine alone makes a run twice as slow as the one before."""


def _taking(name: str) -> pb.WorkItemFilters:
    return pb.WorkItemFilters(
        orchestrations=[pb.OrchestrationFilter(name=name)], activities=[pb.ActivityFilter(name=name)]
    )


async def _busy(port: int, client: RawClient, label: str) -> float:
    """Run instances of three activities at the busy workers; the median of how long one takes."""
    workers = [RawWorker(port, f"busy-{number}") for number in range(BUSY)]
    for worker in workers:
        await worker.connect(workItemFilters=_taking("step"))
    serving = [asyncio.ensure_future(worker.serve(sequence(3))) for worker in workers]
    places = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> float:
        async with places:
            began = time.perf_counter()
            await client.StartInstance(instanceId=f"{label}-{number}", name="step")
            ended = await client.WaitForInstanceCompletion(instanceId=f"{label}-{number}")
            assert ended.orchestrationState.orchestrationStatus == pb.ORCHESTRATION_STATUS_COMPLETED
            return time.perf_counter() - began

    took = sorted(await asyncio.gather(*(one(number) for number in range(INSTANCES))))
    for task in serving:
        task.cancel()
    for worker in workers:
        await worker.close()
    return took[INSTANCES // 2]


async def _connect(port: int) -> list[IdleWorker]:
    beginning = beginning_of("default", workItemFilters=_taking("other"))
    workers: list[IdleWorker] = []
    while len(workers) < IDLE:
        some = await asyncio.gather(*(connect(port, beginning) for _ in range(100)))
        for worker in some:
            await worker.is_greeted
        workers += some
    return workers


@pytest.mark.slow
def test_five_thousand_workers_that_wait(tmp_path: Path) -> None:
    assert connections_that_fit(IDLE + BUSY) >= IDLE + BUSY, "this needs more open files: ulimit -n"
    with ServeProcess(tmp_path) as server:
        process = psutil.Process(server.pid)

        def kib() -> float:
            return process.memory_info().rss / 1024

        async def scenario() -> None:
            async with server.client() as client:
                await _busy(server.grpc_port, client, "warm")
                alone = await _busy(server.grpc_port, client, "alone")
                before, files = kib(), process.num_fds()
                began = time.perf_counter()
                idle = await _connect(server.grpc_port)
                connecting = time.perf_counter() - began
                used = sum(process.cpu_times()[:2])
                await asyncio.sleep(IDLE_SECONDS)
                share = (sum(process.cpu_times()[:2]) - used) / IDLE_SECONDS
                assert not any(worker.ended.done() for worker in idle)
                each = (kib() - before) / IDLE
                beside = await _busy(server.grpc_port, client, "beside")
                print(
                    f"{IDLE} connected in {connecting:.1f} s; {each:.1f} KiB each; {share:.1%} of a core while idle; "
                    f"three activities take {alone * 1000:.0f} ms alone, {beside * 1000:.0f} ms beside them"
                )
                assert each < KIB_EACH_MAX
                assert beside < SLOWER_MAX * alone
                for worker in idle:
                    worker.close()
                await asyncio.to_thread(wait_until, lambda: process.num_fds() <= files + 2 * BUSY, "they are gone")
                assert (await client.GetMetrics()).metrics.connectedWorkers.count <= BUSY

        asyncio.run(asyncio.wait_for(scenario(), 300))
