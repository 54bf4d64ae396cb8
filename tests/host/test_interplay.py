"""A Functions app and a portable worker of another process in one task hub, seen through every door alike."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from durabletask import task
from durabletask.azuremanaged import DurableTaskSchedulerClient
from durabletask.client import OrchestrationStatus, TaskHubGrpcClient
from durabletask.entities import EntityInstanceId
from durabletask.worker import TaskHubGrpcWorker
from support.commands import value_of
from support.host_apps import write_app
from support.host_process import HostProcess, free_port, wait_until

APP = """
@app.orchestration_trigger(context_name="context")
def near_flow(context):
    said = yield context.call_activity("far_activity", "near_flow")
    child = yield context.call_sub_orchestrator("far_child", 4, f"{context.instance_id}-child")
    counter = df.EntityId("FarCounter", context.instance_id)
    yield context.call_entity(counter, "add", 2)
    context.signal_entity(counter, "add", 3)
    return [said, child, (yield context.call_entity(counter, "get"))]

@app.orchestration_trigger(context_name="context")
def near_child(context):
    return (yield context.call_activity("near_activity", context.get_input()))

@app.activity_trigger(input_name="value")
def near_activity(value):
    return f"near {value}"

@app.entity_trigger(context_name="context")
def near_counter(context):
    state = context.get_state(lambda: 0)
    if context.operation_name == "add":
        state += context.get_input()
        context.set_state(state)
    context.set_result(state)

@app.orchestration_trigger(context_name="context")
def near_failing(context):
    yield context.call_activity("far_failing", None)

@app.orchestration_trigger(context_name="context")
def near_waiting(context):
    return (yield context.wait_for_external_event("go"))
"""
HOST_JSON = '{"version": "2.0", "extensions": {"durableTask": {"hubName": "ShopHub"}}}'
INSTANCES = "/runtime/webhooks/durabletask/instances"


def far_flow(ctx: task.OrchestrationContext, value: Any) -> Any:
    """At the worker: an activity, a child and an entity of the app."""
    said = yield ctx.call_activity("near_activity", input="far_flow")
    child = yield ctx.call_sub_orchestrator("near_child", input=5)
    counter = EntityInstanceId("near_counter", ctx.instance_id)
    ctx.signal_entity(counter, "add", 6)
    return [said, child, (yield ctx.call_entity(counter, "get"))]


def far_child(ctx: task.OrchestrationContext, value: int) -> Any:
    """A child of the app's orchestrator, which goes back to the app."""
    return (yield ctx.call_activity("near_activity", input=value * 10))


def far_activity(ctx: task.ActivityContext, value: str) -> str:
    """An activity that the app does not have."""
    return f"far {value}"


def far_failing(ctx: task.ActivityContext, value: Any) -> None:
    """Fails."""
    raise LookupError("nothing in stock")


def far_counter(ctx: Any, value: int) -> int:
    """An entity that the app does not have."""
    total = ctx.get_state(int, 0)
    if ctx.operation == "add":
        total += value
        ctx.set_state(total)
    return total


class World:
    """A running host, and how to reach it."""

    def __init__(self, host: HostProcess, grpc_port: int) -> None:
        self.host = host
        self.grpc_port = grpc_port

    @property
    def address(self) -> str:
        return f"localhost:{self.grpc_port}"

    @contextmanager
    def client(self) -> Iterator[TaskHubGrpcClient]:
        client = TaskHubGrpcClient(host_address=self.address)
        yield client
        client.close()

    @contextmanager
    def worker(self) -> Iterator[TaskHubGrpcWorker]:
        """A worker that takes only what it has."""
        worker = TaskHubGrpcWorker(host_address=self.address)
        for function in (far_flow, far_child):
            worker.add_orchestrator(function)
        for function in (far_activity, far_failing):
            worker.add_activity(function)
        worker.add_entity(far_counter, "farcounter")
        worker.use_work_item_filters()
        assert worker.start().wait(20)
        yield worker
        worker.stop()

    def over_http(self, instance_id: str, **query: str) -> Any:
        return self.host.http.get(f"{INSTANCES}/{instance_id}", params=query).json()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    app = write_app(tmp_path_factory.mktemp("interplay"), APP, host_json=HOST_JSON)
    port = free_port()
    with HostProcess(app, "--grpc-port", str(port)) as host:
        yield World(host, port)


def test_the_app_uses_what_only_a_worker_has(world: World) -> None:
    with world.worker():
        ended = world.host.completed(world.host.start_instance("/api/start/near_flow/n1"))
        assert ended["output"] == ["far near_flow", "near 40", 5]


def test_a_worker_uses_what_only_the_app_has(world: World) -> None:
    with world.worker(), world.client() as client:
        client.schedule_new_orchestration("far_flow", instance_id="f1")
        state = client.wait_for_orchestration_completion("f1", timeout=20)
        assert state is not None
        assert state.get_output() == ["near far_flow", "near 5", 6]


def test_a_failure_crosses_over(world: World) -> None:
    with world.worker():
        ended = world.host.finished(world.host.start_instance("/api/start/near_failing/e1"))
        assert ended["runtimeStatus"] == "Failed"
        assert "nothing in stock" in str(ended["output"])


def test_every_door_tells_the_same(world: World) -> None:
    with world.client() as client:
        links = world.host.start_instance("/api/start/near_waiting/s1", {"a": 1})
        world.host.awaits_event(links)
        client.suspend_orchestration("s1")
        wait_until(lambda: world.over_http("s1")["runtimeStatus"] == "Suspended", "suspended")
        world.host.http.post(f"{INSTANCES}/s1/resume")
        wait_until(lambda: _status(client, "s1") is OrchestrationStatus.RUNNING, "running")
        client.raise_orchestration_event("s1", "go", data=[1])
        state = client.wait_for_orchestration_completion("s1", timeout=20)
        shown = world.over_http("s1")
        assert state is not None
        assert (state.name, state.runtime_status.name) == (shown["name"], "COMPLETED")
        assert (state.get_input(), state.get_output()) == (shown["input"], shown["output"]) == ({"a": 1}, [1])
        assert shown["createdTime"] == f"{state.created_at:%Y-%m-%dT%H:%M:%SZ}"
        told = value_of("durable", "get-runtime-status", "--id", "s1", "--url", world.host.url)
        assert told["Name"] == "near_waiting"
        client.purge_orchestration("s1")
        assert world.host.http.get(f"{INSTANCES}/s1").status_code == 404


def test_the_hub_is_the_apps(world: World) -> None:
    def reached(hub: str) -> bool:
        client = DurableTaskSchedulerClient(
            host_address=world.address, secure_channel=False, taskhub=hub, token_credential=None
        )
        try:
            return client.get_orchestration_state("nothing") is None
        finally:
            client.close()

    assert reached("ShopHub")
    assert reached("shophub")
    with pytest.raises(Exception, match="Task hub not found: default"):
        reached("default")


def test_what_nobody_has_waits_and_says_so(world: World) -> None:
    links = world.host.start_instance("/api/start/near_flow/w1")
    wait_until(lambda: bool(world.over_http("w1", showWaitingOn="true").get("waitingOn")), "it waits")

    def reason() -> str | None:
        [waiting] = world.over_http("w1", showWaitingOn="true")["waitingOn"]
        return waiting.get("reason")

    wait_until(lambda: reason() == "no connected worker has activity 'far_activity'", "it says so", limit=5)
    with world.worker():
        assert world.host.completed(links)["output"][0] == "far near_flow"


def test_the_grpc_port_is_for_this_machine_even_when_http_is_not(tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", APP, host_json=HOST_JSON)
    port = free_port()
    with HostProcess(app, "--host", "0.0.0.0", "--grpc-port", str(port)) as host:
        # Any other address of this machine stands for those of others.
        with socket.create_connection(("127.0.0.2", host.port), timeout=5):
            pass
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), timeout=5)
        assert host.http.get(f"{INSTANCES}/x").status_code == 401
        with TaskHubGrpcClient(host_address=f"localhost:{port}") as client:
            assert client.get_orchestration_state("x") is None


def _status(client: TaskHubGrpcClient, instance_id: str) -> OrchestrationStatus | None:
    state = client.get_orchestration_state(instance_id)
    return None if state is None else state.runtime_status
