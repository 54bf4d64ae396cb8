"""Ten thousand activities at once, through a worker that takes no message over 4 MiB (scheduler.md §8)."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from perdure.formats.protobuf import messages as pb
from support.work_item_world import RawWorker, completed, run, schedule, serving

ACTIVITIES = 10_000
INPUT = '"' + "i" * 900 + '"'
PART_BYTES_MAX = 3_900_000
SECONDS_MAX = 180
LARGEST_ITEM = 4 * 1024 * 1024


async def ask_for_all(worker: RawWorker, item: Any) -> int:
    """Answer a turn with all activities, in parts as large as workers send; how many parts."""
    parts: list[list[pb.OrchestratorAction]] = [[]]
    size = 0
    for number in range(ACTIVITIES):
        action = schedule(number + 1, "step", INPUT)
        if (size := size + action.ByteSize() + 4) > PART_BYTES_MAX:
            parts.append([])
            size = 0
        parts[-1].append(action)
    for index, part in enumerate(parts):
        place = {"isPartial": index < len(parts) - 1, "chunkIndex": pb.Int32Value(value=index)}
        await worker.answer_turn(item, *part, **place)
    return len(parts)


@pytest.mark.slow
@pytest.mark.parametrize("asks_past", [True, False], ids=["asks for the past", "gets the past"])
def test_ten_thousand_activities(asks_past: bool, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(f"sqlite:{tmp_path / 'hub.db'}") as world, asyncio.timeout(SECONDS_MAX):
            worker, few = RawWorker(world.port, "w"), asyncio.Semaphore(100)
            await worker.connect(capabilities=[pb.WORKER_CAPABILITY_HISTORY_STREAMING] if asks_past else [])
            instance_id = await world.client.start("flow")
            ran, answering = set[int](), set[asyncio.Task[None]]()

            async def answer(item: Any) -> None:
                async with few:
                    await worker.answer_activity(item, "1")

            assert await ask_for_all(worker, await worker.take()) > 1
            ended: set[int] = set()
            while len(ended) < ACTIVITIES:
                item = await worker.take()
                assert item.ByteSize() <= LARGEST_ITEM
                if item.HasField("activityRequest"):
                    assert item.activityRequest.taskId not in ran, "an activity was given twice"
                    ran.add(item.activityRequest.taskId)
                    task = asyncio.ensure_future(answer(item))
                    answering.add(task)
                    task.add_done_callback(answering.discard)
                    continue
                turn = item.orchestratorRequest
                assert turn.requiresHistoryStreaming == asks_past
                past = list(turn.pastEvents)
                if asks_past:
                    past = [event for chunk in await worker.history(instanceId=instance_id) for event in chunk.events]
                told = [
                    e.taskCompleted.taskScheduledId for e in (*past, *turn.newEvents) if e.HasField("taskCompleted")
                ]
                assert len(told) == len(set(told))
                assert ended <= set(told)
                ended = set(told)
                await worker.answer_turn(item, *([completed('"all"')] if len(ended) == ACTIVITIES else []))
            await asyncio.gather(*answering)
            assert (await world.ended(instance_id)).progress.output == '"all"'
            await worker.close()

    run(scenario)
