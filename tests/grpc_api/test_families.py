"""Terminating and purging whole families, which a worker has built (grpc.md §7.3, §8.4)."""

import pytest

from perdure.formats.protobuf import messages as pb
from support.grpc_worker import Worker, completes, starts_child
from support.scheduler_server import Scheduler, run, scheduler

COMPLETED, TERMINATED = pb.ORCHESTRATION_STATUS_COMPLETED, pb.ORCHESTRATION_STATUS_TERMINATED


async def family(server: Scheduler, *endings: object) -> None:
    """'p' starts 'c', which starts 'g'; 'p' ends in the same turn when told to."""
    async with Worker(server.client) as worker:
        await server.client.StartInstance(instanceId="p", name="parent")
        await worker.complete_turn(await worker.next_turn(), starts_child(1, "c"), *endings)
        await worker.complete_turn(await worker.next_turn(), starts_child(1, "g"))
        await worker.next_turn()


async def statuses(server: Scheduler) -> dict[str, int]:
    answer = await server.client.QueryInstances(query=pb.InstanceQuery())
    return {state.instanceId: state.orchestrationStatus for state in answer.orchestrationState}


async def ended(server: Scheduler, instance_id: str) -> int:
    answer = await server.client.WaitForInstanceCompletion(instanceId=instance_id)
    return answer.orchestrationState.orchestrationStatus


@pytest.mark.parametrize("parent_has_ended", [False, True])
def test_a_family_is_terminated_without_its_worker(store_url: str, parent_has_ended: bool) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await family(server, *([completes(2)] if parent_has_ended else []))
            await server.client.TerminateInstance(instanceId="p", recursive=True)
            assert await ended(server, "p") == (COMPLETED if parent_has_ended else TERMINATED)
            assert await ended(server, "c") == TERMINATED
            assert await ended(server, "g") == TERMINATED

    run(scenario)


def test_children_go_on_when_their_parent_alone_is_terminated(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await family(server)
            await server.client.TerminateInstance(instanceId="p")
            assert await ended(server, "p") == TERMINATED
            assert TERMINATED not in {(await statuses(server))["c"], (await statuses(server))["g"]}

    run(scenario)


@pytest.mark.parametrize("recursive", [False, True])
def test_a_family_is_purged_when_asked_for(store_url: str, recursive: bool) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await family(server)
            await server.client.TerminateInstance(instanceId="p", recursive=True)
            for instance_id in ("p", "c", "g"):
                await ended(server, instance_id)
            answer = await server.client.PurgeInstances(instanceId="p", recursive=recursive)
            assert answer.deletedInstanceCount == (3 if recursive else 1)
            assert set(await statuses(server)) == (set() if recursive else {"c", "g"})

    run(scenario)


def test_the_history_of_an_instance_is_told_whole(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            await family(server, completes(2, '"done"'))
            chunks = await server.client.StreamInstanceHistory(instanceId="p")
            events = [event for chunk in chunks for event in chunk.events]
            kinds = [event.WhichOneof("eventType") for event in events]
            assert kinds[:3] == ["orchestratorStarted", "executionStarted", "subOrchestrationInstanceCreated"]
            assert kinds[-1] in ("executionCompleted", "orchestratorCompleted")
            assert "executionCompleted" in kinds
            assert all(event.HasField("timestamp") for event in events)
            [started] = [event.executionStarted for event in events if event.HasField("executionStarted")]
            execution = started.orchestrationInstance.executionId
            again = await server.client.StreamInstanceHistory(instanceId="p", executionId=execution)
            assert again == chunks

    run(scenario)


def test_a_long_history_comes_in_chunks_that_clients_take(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            large = pb.StringValue(value='"' + "x" * 400_000 + '"')
            async with Worker(server.client, capabilities=[pb.WORKER_CAPABILITY_HISTORY_STREAMING]) as worker:
                await server.client.StartInstance(instanceId="x", name="flow")
                await worker.complete_turn(await worker.next_turn())
                for number in range(12):
                    await server.client.RaiseEvent(instanceId="x", name="go", input=large)
                    await worker.complete_turn(await worker.next_turn(), *([completes(1)] if number == 11 else []))
            chunks = await server.client.StreamInstanceHistory(instanceId="x")
            assert len(chunks) > 2
            assert max(chunk.ByteSize() for chunk in chunks) < 1_000_000
            raised = [event for chunk in chunks for event in chunk.events if event.HasField("eventRaised")]
            assert len(raised) == 12

    run(scenario)


def test_instances_are_made_terminated_at_once(store_url: str) -> None:
    async def scenario() -> None:
        async with scheduler(store_url) as server:
            for instance_id in ("waiting", "over"):
                await server.client.StartInstance(instanceId=instance_id, name="nobody's")
            await server.client.TerminateInstance(instanceId="over")
            await server.client.SignalEntity(instanceId="@counter@a", name="add", requestId="")
            only_flow = pb.WorkItemFilters(orchestrations=[pb.OrchestrationFilter(name="flow")])
            async with Worker(server.client, workItemFilters=only_flow) as worker:
                await server.client.StartInstance(instanceId="busy", name="flow")
                item = await worker.next_turn()
                asked = pb.InstanceBatch(instanceIds=["busy", "waiting", "over", "missing", "@counter@a"])
                answer = await server.client.SkipGracefulOrchestrationTerminations(
                    instanceBatch=asked, reason=pb.StringValue(value="now")
                )
                assert sorted(answer.unterminatedInstanceIds) == ["@counter@a", "missing", "over"]
                assert await statuses(server) == dict.fromkeys(("busy", "waiting", "over"), TERMINATED)
                # What the worker makes of it comes too late, and that is no error.
                await worker.complete_turn(item, completes(1))
                assert await statuses(server) == dict.fromkeys(("busy", "waiting", "over"), TERMINATED)

    run(scenario)
