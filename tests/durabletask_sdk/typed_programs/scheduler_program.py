"""Clients of a scheduler, in both styles."""

from collections.abc import Generator
from typing import Any, assert_type

from durabletask import task
from durabletask.azuremanaged import (
    AsyncDurableTaskSchedulerClient,
    DurableTaskSchedulerClient,
    DurableTaskSchedulerWorker,
)
from durabletask.client import OrchestrationState, Page, TaskHubGrpcClient
from durabletask.entities import EntityInstanceId, EntityMetadata
from durabletask.scheduled import AsyncScheduledTaskClient, ScheduledTaskClient


@task.orchestration
def process_order(ctx: task.OrchestrationContext, order: dict[str, Any]) -> Generator[task.Task[Any], Any, Any]:
    return (yield ctx.call_activity(ship_order, input=order))


@task.activity
def ship_order(ctx: task.ActivityContext, order: dict[str, Any]) -> None:
    """Ships."""


async def awaited(connection_string: str) -> None:
    async with DurableTaskSchedulerWorker(connection_string) as worker:
        worker.add_orchestration(process_order)
        worker.add_activity(ship_order)
        await worker.start()
        client = DurableTaskSchedulerClient(connection_string)
        instance_id = await client.schedule_new_orchestration(process_order, input={"id": "order-123"})
        assert_type(instance_id, str)
        result = await client.wait_for_orchestration_completion(instance_id)
        assert_type(result, OrchestrationState | None)
        assert_type(client.sync.get_orchestration_state(instance_id), OrchestrationState | None)
        assert_type([state async for state in client.iter_orchestration_states()], list[OrchestrationState])
        assert_type(await client.aio.list_instance_ids(), Page[str])
        await AsyncScheduledTaskClient(client.aio).list_schedules()
        await client.close()


async def twin(connection_string: str) -> None:
    async with AsyncDurableTaskSchedulerClient(connection_string) as client:
        assert_type(await client.get_entity(EntityInstanceId("a", "b")), EntityMetadata | None)


def blocking() -> None:
    with DurableTaskSchedulerClient(host_address="localhost:8080", taskhub="default", token_credential=None) as client:
        instance_id = client.schedule_new_orchestration(process_order, input={})
        assert_type(instance_id, str)
        assert_type(client.wait_for_orchestration_completion(instance_id, timeout=3), OrchestrationState | None)
        ScheduledTaskClient(client).list_schedules()
    said = DurableTaskSchedulerClient("Endpoint=http://localhost:8080", mode="sync")
    assert_type([state.name for state in said.iter_orchestration_states()], list[str])
    said.close()
    with TaskHubGrpcClient(host_address="localhost:4001") as plain:
        assert_type(plain.get_orchestration_state(instance_id), OrchestrationState | None)
