"""Answers that come late, or that tell more than anybody can read: the instance stays what it is, and readable."""

from typing import Any

import pytest

from perdure.formats.protobuf import messages as pb
from support.grpc_worker import Worker, completes
from support.scheduler_server import RawClient, run, scheduler
from support.work_item_world import schedule

FAILED, PENDING = pb.ORCHESTRATION_STATUS_FAILED, pb.ORCHESTRATION_STATUS_PENDING
TERMINATED = pb.ORCHESTRATION_STATUS_TERMINATED
CLIENT_BYTES_MAX = 4 * 1024 * 1024


def nested(levels: int) -> Any:
    """A list in a list in a list …"""
    value = pb.Value(string_value="x")
    for _ in range(levels):
        outer = pb.Value()
        outer.list_value.values.append(value)
        value = outer
    return value


def fails(**details: Any) -> Any:
    """An orchestrator fails."""
    action = pb.OrchestratorAction(id=1)
    action.completeOrchestration.orchestrationStatus = FAILED
    action.completeOrchestration.failureDetails.CopyFrom(pb.TaskFailureDetails(errorType="Broken", **details))
    return action


@pytest.mark.parametrize(
    "failure",
    [
        fails(properties={"p": nested(40)}),
        fails(errorMessage="m" * 5_000_000, stackTrace=pb.StringValue(value="s" * 5_000_000)),
        fails(properties={"p": pb.Value(string_value="v" * 5_000_000)}),
    ],
    ids=["deep", "long", "large"],
)
def test_whatever_a_worker_says_of_a_failure_can_be_read(failure: Any, store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await server.client.StartInstance(instanceId="a", name="flow")
            async with Worker(server.client) as worker:
                await worker.complete_turn(await worker.next_turn(), failure)
            answer = await server.client.GetInstance(instanceId="a")
            assert answer.orchestrationState.orchestrationStatus == FAILED
            assert answer.orchestrationState.failureDetails.errorType == "Broken"
            assert answer.ByteSize() < CLIENT_BYTES_MAX
            page = await server.client.QueryInstances()
            assert [state.instanceId for state in page.orchestrationState] == ["a"]

    run(scenario)


def test_an_activitys_endless_complaint_still_reaches_its_orchestration(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await server.client.StartInstance(instanceId="a", name="flow")
            async with Worker(server.client) as worker:
                await worker.complete_turn(await worker.next_turn(), schedule(1))
                item = await worker.next_item()
                failure = pb.TaskFailureDetails(errorType="Broken", errorMessage="m" * 5_000_000)
                await server.client.CompleteActivityTask(
                    instanceId="a", taskId=1, completionToken=item.completionToken, failureDetails=failure
                )
                told = (await worker.next_turn()).orchestratorRequest.newEvents[-1].taskFailed.failureDetails
                assert told.errorType == "Broken"
                assert told.errorMessage.startswith("mmm")
                assert told.errorMessage.endswith(" more characters)")

    run(scenario)


async def end_now(client: RawClient) -> None:
    """Make the instance Terminated at once, whoever has its turn."""
    batch = pb.InstanceBatch(instanceIds=["a"])
    answer = await client.SkipGracefulOrchestrationTerminations(instanceBatch=batch)
    assert not answer.unterminatedInstanceIds


@pytest.mark.parametrize("meanwhile", ["ended", "purged", "replaced"])
def test_an_answer_that_comes_too_late_is_acknowledged_and_changes_nothing(meanwhile: str, store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            client = server.client
            await client.StartInstance(instanceId="a", name="flow")
            async with Worker(client) as worker:
                item = await worker.next_turn()
                await end_now(client)
                if meanwhile != "ended":
                    assert (await client.PurgeInstances(instanceId="a")).deletedInstanceCount == 1
                if meanwhile == "replaced":
                    await client.StartInstance(instanceId="a", name="flow")
                # Twice: its answer may have been lost.
                for _ in range(2):
                    await worker.complete_turn(item, schedule(1), completes(2, '"late"'))
                state = (await client.GetInstance(instanceId="a", getInputsAndOutputs=True)).orchestrationState
                assert not state.HasField("output") or "late" not in state.output.value
                if meanwhile == "replaced":
                    await worker.complete_turn(await worker.next_turn(), completes(1, '"new"'))
                    done = await client.WaitForInstanceCompletion(instanceId="a", getInputsAndOutputs=True)
                    assert done.orchestrationState.output.value == '"new"'
                else:
                    assert state.orchestrationStatus == (TERMINATED if meanwhile == "ended" else 0)
                # What the late answer asked for was never begun.
                await client.StartInstance(instanceId="b", name="flow")
                assert (await worker.next_item()).orchestratorRequest.instanceId == "b"

    run(scenario)


@pytest.mark.parametrize("meanwhile", ["ended", "purged", "replaced"])
def test_an_activity_that_ends_too_late_is_acknowledged_and_changes_nothing(meanwhile: str, store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            client = server.client
            await client.StartInstance(instanceId="a", name="flow")
            async with Worker(client) as worker:
                await worker.complete_turn(await worker.next_turn(), schedule(1))
                item = fresh = await worker.next_item()
                await end_now(client)
                if meanwhile != "ended":
                    await client.PurgeInstances(instanceId="a")
                if meanwhile == "replaced":
                    await client.StartInstance(instanceId="a", name="flow")
                    await worker.complete_turn(await worker.next_turn(), schedule(1))
                    fresh = await worker.next_item()
                for _ in range(2):
                    await client.CompleteActivityTask(
                        instanceId="a", taskId=1, completionToken=item.completionToken, result={"value": '"late"'}
                    )
                if meanwhile == "replaced":
                    await client.CompleteActivityTask(
                        instanceId="a", taskId=1, completionToken=fresh.completionToken, result={"value": '"new"'}
                    )
                    turn = (await worker.next_turn()).orchestratorRequest
                    told = [
                        event.taskCompleted.result.value for event in turn.newEvents if event.HasField("taskCompleted")
                    ]
                    assert told == ['"new"']
                await client.StartInstance(instanceId="b", name="flow")
                assert (await worker.next_item()).orchestratorRequest.instanceId == "b"

    run(scenario)
