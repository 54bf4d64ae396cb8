"""One hub with a worker that runs small portable programs, reached in process or over gRPC."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from durabletask import task
from durabletask.azuremanaged import AsyncDurableTaskSchedulerClient, DurableTaskSchedulerClient
from durabletask.client import AsyncTaskHubGrpcClient, TaskHubGrpcClient
from durabletask.context import orchestrator_definition
from durabletask.embedded import EmbeddedHub, open_hub
from durabletask.entities import EntityContext
from durabletask.entities.definition import entity_definition
from durabletask.scheduled.operation import execute_schedule_operation_orchestrator
from durabletask.scheduled.schedule_entity import ENTITY_NAME, Schedule
from perdure.core.registry import ActivityDefinition
from perdure.execution.remote import RemoteExecutor
from perdure.execution.remote_items import RemoteOptions
from perdure.grpc_api.calls import Door
from perdure.grpc_api.entity_service import EntityCalls
from perdure.grpc_api.hub_choice import HubChoice, ServedHub
from perdure.grpc_api.item_format import ProtocolItems
from perdure.grpc_api.management_service import MANAGEMENT_CALLS
from perdure.grpc_api.query_service import QUERY_CALLS, QUERY_STREAMS
from perdure.grpc_api.server import GrpcServer
from perdure.grpc_api.work_item_service import WorkItemService

HUB = "tests"


def echo(ctx: task.OrchestrationContext, value: Any) -> Any:
    """Gives its input to an activity and returns what that returned."""
    return (yield ctx.call_activity("echoed", input=value))


def waits(ctx: task.OrchestrationContext, value: Any) -> Any:
    """Tells its input as its status, then waits for an event and returns what came with it."""
    ctx.set_custom_status(value)
    return (yield ctx.wait_for_external_event("go"))


def fails(ctx: task.OrchestrationContext, value: Any) -> Any:
    """Raises."""
    raise ValueError(f"no {value}")


def parent(ctx: task.OrchestrationContext, value: Any) -> Any:
    """Runs a child."""
    return (yield ctx.call_sub_orchestrator("echo", input=value, instance_id=f"{ctx.instance_id}-child"))


def counter(ctx: EntityContext, value: Any) -> Any:
    """Adds."""
    if ctx.operation == "add":
        ctx.set_state(ctx.get_state(int, 0) + value)
    elif ctx.operation == "clear":
        ctx.set_state(None)
    return ctx.get_state()


@dataclass
class Place:
    """A hub, and how its clients are made."""

    endpoint: str
    hub: EmbeddedHub

    @property
    def is_grpc(self) -> bool:
        """Whether its clients speak gRPC."""
        return self.endpoint.startswith("http")

    @property
    def text(self) -> str:
        """Its connection string."""
        return f"Endpoint={self.endpoint};TaskHub={HUB};Authentication=None"

    def blocking(self, **options: Any) -> TaskHubGrpcClient:
        """A client whose calls block."""
        return DurableTaskSchedulerClient(self.text, mode="sync", **options)

    def awaited(self, **options: Any) -> AsyncTaskHubGrpcClient:
        """A client whose calls are awaited."""
        return AsyncDurableTaskSchedulerClient(self.text, **options)


@contextmanager
def served(kind: str, folder: Path) -> Iterator[Place]:
    """A hub of a kind: ``memory`` and ``sqlite`` are asked in process, ``grpc`` over a server beside the worker."""
    endpoint = f"embedded://{folder.name}" if kind == "memory" else f"embedded://{folder}"
    hub = open_hub(endpoint, HUB)
    serving = hub.serve(
        [
            *(orchestrator_definition(code, code.__name__) for code in (echo, waits, fails, parent)),
            orchestrator_definition(
                execute_schedule_operation_orchestrator, execute_schedule_operation_orchestrator.__name__
            ),
        ],
        [ActivityDefinition("echoed", lambda call: call.input)],
        [entity_definition(counter, "counter"), entity_definition(Schedule, ENTITY_NAME)],
    )
    try:
        if kind == "grpc":
            with grpc_door(hub) as port:
                yield Place(f"http://127.0.0.1:{port}", hub)
        else:
            yield Place(endpoint, hub)
    finally:
        serving.stop()
        hub.close()


class _OneHub:
    default_name = HUB

    def __init__(self, hub: ServedHub) -> None:
        self._hub = hub

    async def find(self, name: str) -> ServedHub | None:
        return self._hub if name == HUB else None

    async def create(self, name: str, *, recreate: bool) -> None:
        raise NotImplementedError

    async def drop(self, name: str) -> None:
        raise NotImplementedError


@contextmanager
def grpc_door(
    hub: EmbeddedHub,
    see: Callable[[str, dict[str, str]], None] = lambda name, headers: None,
    *,
    tls: ssl.SSLContext | None = None,
) -> Iterator[int]:
    """The calls of clients, on the engine's loop; ``see`` is told of each call and its metadata."""
    server: GrpcServer | None = None

    def watched(name: str, answer: Any) -> Any:
        async def serve(request: Any, call: Any) -> Any:
            see(name, call.headers)
            return await answer(request, call)

        return serve

    async def open_door() -> int:
        nonlocal server
        server = GrpcServer()
        work = WorkItemService(RemoteExecutor(ProtocolItems(), RemoteOptions()))
        door = Door(HubChoice(_OneHub(ServedHub(HUB, hub.task_hub, work))))
        calls = {**QUERY_CALLS, **MANAGEMENT_CALLS, **EntityCalls().calls()}
        handlers: dict[str, Any] = {name: door.unary(name, watched(name, call)) for name, call in calls.items()}
        handlers |= {name: door.stream(name, stream) for name, stream in QUERY_STREAMS.items()}
        server.mount(handlers)
        port = server.listen("127.0.0.1", 0, tls)
        await server.start()
        return port

    async def close_door() -> None:
        assert server is not None
        await server.stop(0.5)
        await asyncio.sleep(0)

    port = hub.client.blocking(open_door)
    try:
        yield port
    finally:
        hub.client.blocking(close_door)
