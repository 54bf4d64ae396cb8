"""Workers that answer nonsense, too much, never, or in parts: each gets the stated answer and nobody else notices."""

import asyncio
from typing import Any

import grpc
import grpc.aio
import pytest

from perdure.execution.remote_items import RemoteOptions
from perdure.formats.protobuf import messages as pb
from support.work_item_world import RawWorker, WorkItemWorld, completed, run, schedule, seen, sequence, serving

Code = grpc.StatusCode


async def refused(worker: RawWorker, name: str, request: Any) -> tuple[grpc.StatusCode, str]:
    """The status that the call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await worker.call(name, request)
    return caught.value.code(), caught.value.details() or ""


async def still_works(world: WorkItemWorld) -> None:
    """Another worker runs a sequence as if nothing had happened."""
    worker = RawWorker(world.port, "innocent")
    await worker.connect(workItemFilters=_only("innocent", "good-step"))
    serving_it = asyncio.ensure_future(worker.serve(sequence(2, "good-step")))
    instance_id = await world.client.start("innocent")
    assert (await world.ended(instance_id)).progress.output == "2"
    serving_it.cancel()
    await asyncio.gather(serving_it, return_exceptions=True)
    await worker.close()


def _only(name: str = "order", activity: str = "step") -> pb.WorkItemFilters:
    return pb.WorkItemFilters(
        orchestrations=[pb.OrchestrationFilter(name=name)], activities=[pb.ActivityFilter(name=activity)]
    )


@pytest.mark.parametrize(
    "name",
    [
        "GetWorkItems",
        "CompleteOrchestratorTask",
        "CompleteActivityTask",
        "CompleteEntityTask",
        "AbandonTaskOrchestratorWorkItem",
        "AbandonTaskActivityWorkItem",
        "AbandonTaskEntityWorkItem",
    ],
)
def test_bytes_that_are_no_message(name: str) -> None:
    async def scenario() -> None:
        async with serving() as world:
            worker = RawWorker(world.port)
            code, text = await refused(worker, name, b"\xff\xff\xff")
            assert code is Code.INVALID_ARGUMENT
            assert text
            await still_works(world)
            await worker.close()

    run(scenario)


def test_answers_to_nothing() -> None:
    async def scenario() -> None:
        async with serving() as world:
            worker = RawWorker(world.port)
            for name in ("CompleteOrchestratorTask", "CompleteActivityTask", "CompleteEntityTask"):
                code, text = await refused(worker, name, b"")
                assert code is Code.INVALID_ARGUMENT
                assert "token" in text
            # What was somebody's once is accepted and ignored.
            for token in ("default/activity/0", "x" * 10_000, "\N{BLACK STAR}"):
                await worker.call("CompleteOrchestratorTask", pb.OrchestratorResponse(completionToken=token))
                await worker.call("CompleteActivityTask", pb.ActivityResponse(completionToken=token))
                await worker.call("CompleteEntityTask", pb.EntityBatchResult(completionToken=token))
            await worker.call("CompleteActivityTask", pb.ActivityResponse(instanceId="nobody", taskId=1))
            await worker.close()

    run(scenario)


def test_an_answer_of_the_wrong_kind_or_instance_gives_the_item_to_others() -> None:
    async def scenario() -> None:
        async with serving() as world:
            worker = RawWorker(world.port)
            await worker.connect(workItemFilters=_only())
            await world.client.start("order", instance_id="order-1")
            turn = await worker.take()
            wrong = pb.ActivityResponse(instanceId="order-1", completionToken=turn.completionToken)
            code, text = await refused(worker, "CompleteActivityTask", wrong)
            assert (code, "of kind orchestration, not activity" in text) == (Code.INVALID_ARGUMENT, True)
            turn = await worker.take()
            other = pb.OrchestratorResponse(instanceId="order-2", completionToken=turn.completionToken)
            code, text = await refused(worker, "CompleteOrchestratorTask", other)
            assert (code, "'order-1', not 'order-2'" in text) == (Code.INVALID_ARGUMENT, True)
            turn = await worker.take()
            await worker.answer_turn(turn, schedule(1))
            activity = await worker.take()
            mistaken = pb.ActivityResponse(instanceId="order-1", taskId=9, completionToken=activity.completionToken)
            code, text = await refused(worker, "CompleteActivityTask", mistaken)
            assert (code, "activity 1 of 'order-1', not 9" in text) == (Code.INVALID_ARGUMENT, True)
            assert (await worker.take()).activityRequest.taskId == 1
            await still_works(world)
            await worker.close()

    run(scenario)


def test_an_action_that_cannot_be_carried_out_fails_the_orchestration() -> None:
    async def scenario() -> None:
        async with serving() as world:
            worker = RawWorker(world.port)
            await worker.connect(workItemFilters=_only())
            instance_id = await world.client.start("order")
            await worker.answer_turn(await worker.take(), schedule(1), pb.OrchestratorAction(id=2))
            record = await world.ended(instance_id)
            assert record.progress.failure is not None
            assert "Action 2" in record.progress.failure.message
            await still_works(world)
            await worker.close()

    run(scenario)


def test_a_message_that_is_too_large_is_refused() -> None:
    async def scenario() -> None:
        async with serving() as world:
            worker = RawWorker(world.port)
            await worker.connect(workItemFilters=_only())
            await world.client.start("order")
            turn = await worker.take()
            large = pb.OrchestratorResponse(completionToken=turn.completionToken)
            large.customStatus.value = "x" * (100 * 1024 * 1024)
            code, _ = await refused(worker, "CompleteOrchestratorTask", large)
            assert code is Code.RESOURCE_EXHAUSTED
            await still_works(world)
            await worker.answer_turn(turn, completed("1"))
            await worker.close()

    run(scenario)


def test_a_worker_that_never_answers_holds_nobody_up() -> None:
    async def scenario() -> None:
        async with serving() as world:
            worker = RawWorker(world.port)
            await worker.connect(maxConcurrentOrchestrationWorkItems=5, workItemFilters=_only())
            for n in range(20):
                await world.client.start("order", instance_id=f"order-{n}")
            for _ in range(5):
                await worker.take()
            await still_works(world)
            await worker.close()

    run(scenario)


def test_a_worker_that_abandons_in_loops_holds_nobody_up() -> None:
    async def scenario() -> None:
        async with serving() as world:
            worker = RawWorker(world.port, "abandons")
            await worker.connect(workItemFilters=_only())
            await world.client.start("order")

            async def abandon() -> None:
                while True:
                    item = await worker.take()
                    token = pb.AbandonOrchestrationTaskRequest(completionToken=item.completionToken)
                    await worker.call("AbandonTaskOrchestratorWorkItem", token)

            abandoning = asyncio.ensure_future(abandon())
            await still_works(world)
            abandoning.cancel()
            await asyncio.gather(abandoning, return_exceptions=True)
            await worker.close()

    run(scenario)


def part(item: pb.WorkItem, index: int, *, last: bool = False, **fields: Any) -> pb.OrchestratorResponse:
    """One part of an answer."""
    return pb.OrchestratorResponse(
        instanceId=item.orchestratorRequest.instanceId,
        completionToken=item.completionToken,
        isPartial=not last,
        chunkIndex=pb.Int32Value(value=index),
        **fields,
    )


def test_an_answer_in_parts_counts_when_it_is_whole() -> None:
    async def scenario() -> None:
        async with serving() as world:
            worker = RawWorker(world.port)
            await worker.connect(workItemFilters=_only())
            instance_id = await world.client.start("order")
            turn = await worker.take()

            async def send(message: pb.OrchestratorResponse) -> None:
                await worker.call("CompleteOrchestratorTask", message)

            await send(part(turn, 0, actions=[schedule(99)]))
            # Begun anew, and one part is sent twice.
            await send(part(turn, 0, actions=[schedule(1), schedule(2)]))
            await send(part(turn, 1, actions=[schedule(3)], numEventsProcessed=pb.Int32Value(value=0)))
            await send(part(turn, 1, actions=[schedule(3)], numEventsProcessed=pb.Int32Value(value=0)))
            assert await world.status(instance_id) == "Pending"
            await send(part(turn, 2, last=True, actions=[schedule(4)], numEventsProcessed=pb.Int32Value(value=0)))
            assert await world.status(instance_id) == "Running"
            activities = [(await worker.take()).activityRequest.taskId for _ in range(4)]
            assert activities == [1, 2, 3, 4]
            await worker.close()

    run(scenario)


def test_a_missing_part_gives_the_turn_to_others() -> None:
    async def scenario() -> None:
        async with serving(options=RemoteOptions(partial_bytes_max=10_000)) as world:
            worker = RawWorker(world.port)
            await worker.connect(workItemFilters=_only())
            await world.client.start("order")
            turn = await worker.take()
            code, text = await refused(worker, "CompleteOrchestratorTask", part(turn, 1))
            assert (code, "Part 1" in text) == (Code.INVALID_ARGUMENT, True)
            turn = await worker.take()
            large = part(turn, 0, customStatus=pb.StringValue(value="x" * 10_001))
            code, text = await refused(worker, "CompleteOrchestratorTask", large)
            assert (code, "more than 10000 bytes" in text) == (Code.INVALID_ARGUMENT, True)
            await still_works(world)
            await worker.close()

    run(scenario)


def test_a_worker_may_ask_for_the_turn_with_its_history_again() -> None:
    async def scenario() -> None:
        async with serving() as world:
            worker = RawWorker(world.port)
            await worker.connect(workItemFilters=_only())
            await world.client.start("order")
            turn = await worker.take()
            await worker.answer_turn(turn, requiresHistory=True)
            again = await worker.take()
            assert again.orchestratorRequest.newEvents == turn.orchestratorRequest.newEvents
            await worker.answer_turn(again, completed())
            await worker.close()

    run(scenario)


STREAMING = [pb.WORKER_CAPABILITY_HISTORY_STREAMING]


async def grow(world: WorkItemWorld, worker: RawWorker, inputs: int, size: int) -> pb.WorkItem:
    """The second turn of an orchestration that asked for so many activities with inputs of this size."""
    await world.client.start("order")
    turn = await worker.take()
    await worker.answer_turn(turn, *(schedule(n, "step", "x" * size) for n in range(inputs)))
    await worker.answer_activity(await worker.take(), "1")
    while not (item := await worker.take()).HasField("orchestratorRequest"):
        pass
    return item


def test_a_long_history_is_streamed_to_who_can_take_it_so() -> None:
    async def scenario() -> None:
        async with serving() as world:
            worker = RawWorker(world.port)
            await worker.connect(capabilities=STREAMING, maxConcurrentActivityWorkItems=1)
            item = await grow(world, worker, 70, 90_000)
            request = item.orchestratorRequest
            assert request.requiresHistoryStreaming
            assert not request.pastEvents
            assert [event.WhichOneof("eventType") for event in request.newEvents] == [
                "orchestratorStarted",
                "taskCompleted",
            ]
            chunks = await worker.history(instanceId=request.instanceId, executionId=request.executionId)
            assert max(chunk.ByteSize() for chunk in chunks) < 512 * 1024
            past = [event for chunk in chunks for event in chunk.events]
            kinds = [event.WhichOneof("eventType") for event in past]
            assert kinds == [
                "orchestratorStarted",
                "executionStarted",
                *["taskScheduled"] * 70,
                "orchestratorCompleted",
            ]
            assert all(len(event.taskScheduled.input.value) == 90_000 for event in past[2:-1])
            await worker.answer_turn(item, completed())
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await worker.history(instanceId=request.instanceId)
            assert caught.value.code() is Code.NOT_FOUND
            await worker.close()

    run(scenario)


def test_a_long_history_is_stripped_for_who_cannot() -> None:
    async def scenario() -> None:
        async with serving() as world:
            worker = RawWorker(world.port)
            await worker.connect(maxConcurrentActivityWorkItems=1)
            item = await grow(world, worker, 70, 60_000)
            request = item.orchestratorRequest
            assert item.ByteSize() < 4 * 1024 * 1024
            scheduled = seen(request, "taskScheduled")
            assert len(scheduled) == 70
            assert not any(event.HasField("input") for event in scheduled)
            await worker.answer_turn(item, completed())
            await worker.close()

    run(scenario)


def test_what_fits_nobody_fails_with_its_size() -> None:
    async def scenario() -> None:
        async with serving() as world:
            worker = RawWorker(world.port)
            await worker.connect(workItemFilters=_only())
            instance_id = await world.client.start("order")
            # Not a worker's limit but the server's is what the test's channel meets first.
            await worker.answer_turn(await worker.take(), schedule(1, "step", "x" * (5 * 1024 * 1024)))
            item = await worker.take()
            [failed] = seen(item.orchestratorRequest, "taskFailed")
            assert failed.failureDetails.errorType == "PayloadTooLarge"
            assert "at most 4194304" in failed.failureDetails.errorMessage
            await worker.answer_turn(item, completed())
            assert (await world.ended(instance_id)).progress.status.name == "Completed"
            await worker.close()

    run(scenario)


def test_an_input_that_fits_nobody_is_not_called_a_history() -> None:
    async def scenario() -> None:
        async with serving() as world:
            worker = RawWorker(world.port)
            await worker.connect()
            instance_id = await world.client.start("order", input='"' + "x" * (5 * 1024 * 1024) + '"')
            failure = (await world.ended(instance_id)).progress.failure
            assert failure.error_type == "PayloadTooLarge"
            assert failure.message.startswith("What arrived for orchestration")
            assert "at most 4194304" in failure.message
            # The worker goes on.
            other = await world.client.start("order")
            await worker.answer_turn(await worker.take(), completed())
            assert (await world.ended(other)).progress.status.name == "Completed"
            await worker.close()

    run(scenario)


def test_a_history_that_fits_nobody_fails_the_orchestration_and_says_so() -> None:
    async def scenario() -> None:
        async with serving() as world:
            instance_id = await world.client.start("order")
            for _ in range(6):
                await world.client.raise_event(instance_id, "approved", "9" * 1_000_000)
            worker = RawWorker(world.port)
            await worker.connect(workItemFilters=_only())
            ended = asyncio.ensure_future(world.ended(instance_id))
            while True:
                taking = asyncio.ensure_future(worker.take())
                await asyncio.wait([taking, ended], return_when=asyncio.FIRST_COMPLETED)
                if ended.done():
                    taking.cancel()
                    await asyncio.gather(taking, return_exceptions=True)
                    break
                assert taking.result().ByteSize() <= 4 * 1024 * 1024
                await worker.answer_turn(taking.result())
            failure = ended.result().progress.failure
            assert failure.error_type == "HistoryTooLarge"
            assert f"'{instance_id}' has grown to" in failure.message
            assert "take 4194304 in one message" in failure.message
            await still_works(world)
            await worker.close()

    run(scenario)
