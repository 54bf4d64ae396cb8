"""Workers that are killed again and again in the middle of their work: everything is done all the same."""

import asyncio
import random
import subprocess
import sys
from pathlib import Path

import pytest

from perdure.execution.remote_items import RemoteOptions
from support.work_item_world import WorkItemWorld, run, serving

WORKER = """
import asyncio, sys
sys.path[:0] = sys.argv[2:]
from support.work_item_world import RawWorker, sequence

async def main():
    worker = RawWorker(int(sys.argv[1]))
    await worker.connect()
    print("connected", flush=True)
    await worker.serve(sequence(5))

asyncio.run(main())
"""
ORCHESTRATIONS = 40


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kills", [50])
def test_killed_workers_lose_nothing(kills: int, tmp_path: Path) -> None:
    async def scenario() -> None:
        seed = random.randrange(2**32)
        print(f"seed {seed}")
        pauses = random.Random(seed)
        options = RemoteOptions(turn_grace_seconds=0.1, activity_grace_seconds=0.1)
        async with serving(f"sqlite:{tmp_path}/hub.db", options) as world:
            ids: list[str] = []
            for kill in range(kills):
                ids += [await world.client.start("order") for _ in range(ORCHESTRATIONS * kill // kills - len(ids))]
                worker = await _worker(world)
                await asyncio.sleep(pauses.uniform(0, 0.1))
                worker.kill()
                await worker.wait()
            worker = await _worker(world)
            try:
                async with asyncio.timeout(60):
                    records = [await world.client.wait_for_completion(id) for id in ids]
            finally:
                worker.kill()
                await worker.wait()
            assert [record.progress.output for record in records if record is not None] == ["5"] * len(ids)
            for id in ids:
                kinds = [type(event).__name__ for event in await world.client.history(id)]
                assert (kinds.count("TaskScheduled"), kinds.count("TaskCompleted")) == (5, 5)

    run(scenario)


async def _worker(world: WorkItemWorld) -> asyncio.subprocess.Process:
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER, str(world.port), *filter(None, sys.path), stdout=subprocess.PIPE
    )
    assert worker.stdout is not None
    async with asyncio.timeout(30):
        assert await worker.stdout.readline() == b"connected\n"
    return worker
