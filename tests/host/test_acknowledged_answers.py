"""What a worker was told to be taken is on disk: the server is killed the moment its answer arrives."""

import asyncio
import signal
from pathlib import Path
from typing import Any

from perdure.formats.protobuf import messages as pb
from support.grpc_worker import Worker, completes
from support.scheduler_server import RawClient
from support.serve_process import ServeProcess
from support.work_item_world import schedule


def kinds(history: list[Any]) -> list[str]:
    return [event.WhichOneof("eventType") for chunk in history for event in chunk.events]


def test_an_acknowledged_answer_outlives_a_kill(tmp_path: Path) -> None:
    """A turn, an activity and a batch, each acknowledged just before a kill of its own."""
    with ServeProcess(tmp_path) as server:

        async def connected(scenario: Any) -> None:
            async with asyncio.timeout(60), server.client() as client:
                await scenario(client)

        async def turn(client: RawClient) -> None:
            await client.StartInstance(instanceId=instance_id, name="flow")
            async with Worker(client) as worker:
                await worker.complete_turn(await worker.next_turn(), schedule(1))
                server.kill()

        async def activity(client: RawClient) -> None:
            async with Worker(client) as worker:
                item = await worker.next_item()
                assert item.WhichOneof("request") == "activityRequest", "the turn was lost"
                await client.CompleteActivityTask(
                    instanceId=instance_id, taskId=1, completionToken=item.completionToken, result={"value": "1"}
                )
                server.kill()

        async def entity(client: RawClient) -> None:
            async with Worker(client) as worker:
                item = await worker.next_turn()
                assert item.orchestratorRequest.newEvents[-1].HasField("taskCompleted"), "the activity was lost"
                await worker.complete_turn(item, completes(2, '"done"'))
                await client.SignalEntity(instanceId=f"@counter@{instance_id}", name="add")
                await worker.complete_entity(await worker.next_entity(), state="5")
                server.kill()

        async def all_is_there(client: RawClient) -> None:
            done = await client.GetInstance(instanceId=instance_id, getInputsAndOutputs=True)
            assert done.orchestrationState.orchestrationStatus == pb.ORCHESTRATION_STATUS_COMPLETED
            assert done.orchestrationState.output.value == '"done"'
            history = kinds(await client.StreamInstanceHistory(instanceId=instance_id))
            assert history.count("taskScheduled") == history.count("taskCompleted") == 1
            found = await client.GetEntity(instanceId=f"@counter@{instance_id}", includeState=True)
            assert found.entity.serializedState.value == "5"

        instance_id = "x"
        for scenario in (turn, activity, entity):
            asyncio.run(connected(scenario))
            server.start()
        asyncio.run(connected(all_is_there))


def test_a_stop_in_the_middle_of_everything_ends_in_time_and_loses_nothing(tmp_path: Path) -> None:
    """Streams, waits, a large request and a large stream under way: exit code 0, and all is there again."""
    with ServeProcess(tmp_path) as server:

        async def begin() -> None:
            async with asyncio.timeout(60), server.client() as client, Worker(client) as worker:
                large = '"' + "x" * 3_000_000 + '"'
                await client.StartInstance(instanceId="held", name="flow")
                held = await worker.next_turn()
                waits = [asyncio.ensure_future(client.WaitForInstanceCompletion(instanceId="held")) for _ in range(200)]
                starts = [
                    asyncio.ensure_future(client.StartInstance(instanceId=f"x{n}", name="flow", input={"value": large}))
                    for n in range(5)
                ]
                await client.GetInstance(instanceId="held")
                server.send_signal(signal.SIGTERM)
                # The worker may finish what it has; the server waits for it.
                await worker.complete_turn(held, completes(1, '"done"'))
                answers = await asyncio.gather(*starts, return_exceptions=True)
                accepted.update(f"x{n}" for n, answer in enumerate(answers) if not isinstance(answer, BaseException))
                await asyncio.gather(*waits, return_exceptions=True)

        async def look() -> None:
            async with asyncio.timeout(60), server.client() as client:
                held = await client.GetInstance(instanceId="held")
                assert held.orchestrationState.orchestrationStatus == pb.ORCHESTRATION_STATUS_COMPLETED
                for instance_id in accepted:
                    assert (await client.GetInstance(instanceId=instance_id)).exists

        accepted = set[str]()
        asyncio.run(begin())
        assert server.ended(20) == 0
        server.start()
        asyncio.run(look())
