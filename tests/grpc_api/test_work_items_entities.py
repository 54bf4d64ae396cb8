"""Batches of entity operations at workers over gRPC."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import grpc.aio
import pytest

from perdure.core.identifiers import EntityId
from perdure.execution.remote_items import RemoteOptions
from perdure.formats.protobuf import messages as pb
from support.work_item_world import RawWorker, completed, done, run, seen, serving

COUNTER = EntityId("counter", "k")
TEXT = pb.StringValue


def call(id: int, operation: str) -> pb.OrchestratorAction:
    """Call the counter."""
    event = pb.EntityOperationCalledEvent(
        requestId=str(uuid.UUID(int=id)), operation=operation, targetInstanceId=TEXT(value=str(COUNTER))
    )
    return pb.OrchestratorAction(id=id, sendEntityMessage=pb.SendEntityMessageAction(entityOperationCalled=event))


@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_calls_are_answered_by_the_worker_that_has_the_entity(store: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving("memory:" if store == "memory" else f"sqlite:{tmp_path}/hub.db") as world:
            worker = RawWorker(world.port)
            await worker.connect()
            instance_id = await world.client.start("order")
            await worker.answer_turn(await worker.take(), call(1, "add"), call(2, "fail"))
            item = await worker.take()
            request = item.entityRequestV2
            assert request.instanceId == "@counter@k"
            assert not request.HasField("entityState")
            calls = [event.entityOperationCalled for event in request.operationRequests]
            assert [(c.operation, c.requestId) for c in calls] == [
                ("add", str(uuid.UUID(int=1))),
                ("fail", str(uuid.UUID(int=2))),
            ]
            assert calls[0].parentInstanceId.value == instance_id
            failure = pb.TaskFailureDetails(errorType="ValueError", errorMessage="no")
            failed = pb.OperationResult(failure=pb.OperationResultFailure(failureDetails=failure))
            await worker.answer_batch(item, done("1"), failed, entityState=TEXT(value='{"n":1}'))
            item = await worker.take()
            [went_well] = seen(item.orchestratorRequest, "entityOperationCompleted")
            [went_wrong] = seen(item.orchestratorRequest, "entityOperationFailed")
            assert (went_well.requestId, went_well.output.value) == (str(uuid.UUID(int=1)), "1")
            assert (went_wrong.requestId, went_wrong.failureDetails) == (str(uuid.UUID(int=2)), failure)
            await worker.answer_turn(item, completed())
            await world.client.signal_entity(COUNTER, "add")
            item = await worker.take()
            assert item.entityRequestV2.entityState.value == '{"n":1}'
            assert item.entityRequestV2.operationRequests[0].entityOperationSignaled.operation == "add"
            await worker.answer_batch(item, done("2"))
            await worker.close()

    run(scenario)


def test_operations_that_were_not_done_come_again() -> None:
    async def scenario() -> None:
        async with serving(options=RemoteOptions(entity_operations_max=3)) as world:
            worker = RawWorker(world.port)
            for n in range(5):
                await world.client.signal_entity(COUNTER, f"op{n}")
            await worker.connect()
            taken: list[str] = []
            while len(taken) < 5:
                item = await worker.take()
                operations = [
                    event.entityOperationSignaled.operation for event in item.entityRequestV2.operationRequests
                ]
                assert len(operations) <= 3
                did = operations[:2]
                taken += did
                await worker.answer_batch(item, *(done("1") for _ in did), entityState=TEXT(value="1"))
            assert taken == [f"op{n}" for n in range(5)]
            await worker.close()

    run(scenario)


def test_a_batch_that_failed_as_a_whole_changes_nothing_and_comes_again() -> None:
    async def scenario() -> None:
        async with serving() as world:
            worker = RawWorker(world.port)
            await worker.connect()
            await world.client.signal_entity(COUNTER, "add")
            failure = pb.TaskFailureDetails(errorType="ValueError", errorMessage="no")
            await worker.answer_batch(await worker.take(), done("1"), failureDetails=failure)
            item = await worker.take()
            assert not item.entityRequestV2.HasField("entityState")
            await worker.answer_batch(item, requiresState=True)
            await worker.answer_batch(await worker.take(), done("1"), entityState=TEXT(value="1"))
            await worker.close()

    run(scenario)


def test_more_results_than_operations_are_nonsense() -> None:
    async def scenario() -> None:
        async with serving() as world:
            worker = RawWorker(world.port)
            await worker.connect()
            await world.client.signal_entity(COUNTER, "add")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await worker.answer_batch(await worker.take(), done("1"), done("2"))
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert "has 1 operations, not 2" in (caught.value.details() or "")
            await worker.answer_batch(await worker.take(), done("1"))
            await worker.close()

    run(scenario)


def test_an_entity_is_with_one_worker_at_a_time() -> None:
    async def scenario() -> None:
        async with serving() as world:
            workers = [RawWorker(world.port, f"w{n}") for n in range(2)]
            for worker in workers:
                await worker.connect()
            await world.client.signal_entity(COUNTER, "first")
            reading = [asyncio.ensure_future(worker.take()) for worker in workers]
            await asyncio.wait(reading, return_when=asyncio.FIRST_COMPLETED)
            for n in range(10):
                await world.client.signal_entity(COUNTER, f"more{n}")
            holder = next(worker for worker, read in zip(workers, reading, strict=True) if read.done())
            [item] = [read.result() for read in reading if read.done()]
            await holder.answer_batch(item, done("1"), entityState=TEXT(value="1"))
            # Whoever gets the rest gets all of it.
            reading = [read for read in reading if not read.done()] + [asyncio.ensure_future(holder.take())]
            await asyncio.wait(reading, return_when=asyncio.FIRST_COMPLETED)
            [item] = [read.result() for read in reading if read.done()]
            operations = [event.entityOperationSignaled.operation for event in item.entityRequestV2.operationRequests]
            assert operations == [f"more{n}" for n in range(10)]
            for read in reading:
                read.cancel()
            await asyncio.gather(*reading, return_exceptions=True)
            for worker in workers:
                await worker.close()

    run(scenario)


def test_a_late_answer_to_a_batch_that_another_worker_did_counts_no_more(tmp_path: Path) -> None:
    async def scenario() -> None:
        options = RemoteOptions(turn_grace_seconds=0.2)
        async with serving(f"sqlite:{tmp_path / 'hub.db'}", options) as world:
            lost, worker = RawWorker(world.port, "lost"), RawWorker(world.port, "there")
            await lost.connect()
            await world.client.signal_entity(COUNTER, "add")
            item = await lost.take()
            await lost.close_stream()
            await worker.connect()
            again = await worker.take()
            assert again.completionToken != item.completionToken
            signal = pb.OperationAction(id=0)
            signal.sendSignal.instanceId, signal.sendSignal.name = "@other@k", "late"
            await lost.answer_batch(item, done("1"), entityState=TEXT(value="100"), actions=[signal])
            # The one that holds it answers twice, as after a lost acknowledgement.
            for state in ("1", "2"):
                await worker.answer_batch(again, done("1"), entityState=TEXT(value=state))
            await lost.answer_batch(item, done("1"), entityState=TEXT(value="100"), actions=[signal])
            await world.client.signal_entity(COUNTER, "look")
            seen = (await worker.take()).entityRequestV2
            assert (seen.instanceId, seen.entityState.value) == (str(COUNTER), "1")
            assert await world.client.get("@other@k") is None
            for each in (lost, worker):
                await each.close()

    run(scenario)


def test_delayed_signals_come_in_time_and_never_before(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(f"sqlite:{tmp_path / 'hub.db'}") as world:
            worker = RawWorker(world.port)
            await worker.connect()
            lateness: list[float] = []
            for n in range(5):
                due = datetime.now(UTC) + timedelta(milliseconds=150)
                await world.client.signal_entity(EntityId("alarm", str(n)), "ring", due_at=due)
                item = await worker.take()
                lateness.append((datetime.now(UTC) - due).total_seconds())
                await worker.answer_batch(item, done("1"))
            assert min(lateness) >= 0
            # A machine that is busy may be late now and then, the server is not.
            assert sorted(lateness)[2] <= 0.1, lateness
            await worker.close()

    run(scenario)
