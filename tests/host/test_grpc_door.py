"""`perdure start --grpc-port`: an app and workers of other processes in one hub (architecture.md J17)."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import grpc.aio

from perdure.formats.protobuf import messages as pb
from support.grpc_worker import Worker, completes
from support.host_apps import write_app
from support.host_process import HostProcess, free_port
from support.scheduler_server import RawClient, code_of, text

APP = """
@app.orchestration_trigger(context_name="context")
def local_flow(context):
    return (yield context.call_activity("far_away", context.get_input()))

@app.activity_trigger(input_name="name")
def greet(name: str) -> str:
    return f"Hello {name}!"
"""
HOST_JSON = '{"version": "2.0", "extensions": {"durableTask": {"hubName": "ShopHub"}}}'


def talk(port: int, scenario: Callable[[RawClient], Coroutine[Any, Any, None]]) -> None:
    async def with_client() -> None:
        async with asyncio.timeout(30), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            await scenario(RawClient(channel, {}))

    asyncio.run(with_client())


def scheduled(task_id: int, name: str, payload: str) -> Any:
    action = pb.OrchestratorAction(id=task_id)
    action.scheduleTask.name = name
    action.scheduleTask.input.CopyFrom(text(payload))
    return action


def test_an_app_and_a_worker_of_another_process_use_each_other(tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", APP, host_json=HOST_JSON)
    port = free_port()

    with HostProcess(app, "--grpc-port", str(port)) as host:

        async def far_activity(client: RawClient) -> None:
            async with Worker(client) as worker:
                links = await asyncio.to_thread(host.start_instance, "/api/start/local_flow/x", [1, 2])
                item = await worker.next_item()
                assert (item.activityRequest.name, item.activityRequest.input.value) == ("far_away", "[1, 2]")
                await worker.client.CompleteActivityTask(
                    instanceId="x",
                    taskId=item.activityRequest.taskId,
                    result=text("42"),
                    completionToken=item.completionToken,
                )
                status = await asyncio.to_thread(host.completed, links)
                assert status["output"] == 42

        async def near_activity(client: RawClient) -> None:
            async with Worker(client.to(taskhub="shophub")) as worker:
                await client.StartInstance(instanceId="y", name="far_flow")
                await worker.complete_turn(await worker.next_turn(), scheduled(1, "greet", '"Tokyo"'))
                item = await worker.next_turn()
                [result] = [e.taskCompleted.result.value for e in item.orchestratorRequest.newEvents
                            if e.HasField("taskCompleted")]  # fmt: skip
                await worker.complete_turn(item, completes(2, result))
                answer = await client.WaitForInstanceCompletion(instanceId="y", getInputsAndOutputs=True)
                assert answer.orchestrationState.output.value == '"Hello Tokyo!"'

        async def missing_worker(client: RawClient) -> None:
            await client.StartInstance(instanceId="z", name="nobodys_flow")
            seen = await asyncio.to_thread(
                host.http.get, "/runtime/webhooks/durabletask/instances/z", params={"showWaitingOn": "true"}
            )
            assert "nobodys_flow" in str(seen.json()["waitingOn"]), seen.text

        async def other_hubs(client: RawClient) -> None:
            code, details = await code_of(client.to(taskhub="default").Hello())
            assert (code, details) == (grpc.StatusCode.NOT_FOUND, "Task hub not found: default")
            await client.CreateTaskHub()
            assert (await code_of(client.DeleteTaskHub()))[0] is grpc.StatusCode.INVALID_ARGUMENT

        for scenario in (far_activity, near_activity, missing_worker, other_hubs):
            talk(port, scenario)
    assert f"gRPC: http://localhost:{port} (this machine only; hub ShopHub)" in host.log()
