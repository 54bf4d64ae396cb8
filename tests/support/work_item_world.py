"""A hub behind a gRPC server on a loopback port, and workers that speak nothing but the protocol's messages."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio

from perdure.client import ClientOptions, TaskHubClient
from perdure.contracts.storage import Storage
from perdure.core.decisions import DecisionLimits
from perdure.core.versioning import Versioning
from perdure.engine.options import EngineOptions
from perdure.engine.worker import TaskHubWorker
from perdure.execution.remote import RemoteExecutor
from perdure.execution.remote_items import RemoteOptions
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.service import RPCS
from perdure.grpc_api.calls import Door
from perdure.grpc_api.hub_choice import HubChoice, ServedHub
from perdure.grpc_api.item_format import ProtocolItems
from perdure.grpc_api.server import GrpcServer
from perdure.grpc_api.work_item_service import WorkItemService
from perdure.storage.opening import open_storage
from perdure.storage.system_clock import SystemClock

Decide = Callable[[pb.OrchestratorRequest], list[pb.OrchestratorAction]]
"""What an orchestrator asks for, from all it has seen."""


class _OneHub:
    default_name = "default"

    def __init__(self, hub: ServedHub) -> None:
        self._hub = hub

    async def find(self, name: str) -> ServedHub | None:
        return self._hub if name == self._hub.name else None

    async def create(self, name: str, *, recreate: bool) -> None:
        raise NotImplementedError

    async def drop(self, name: str) -> None:
        raise NotImplementedError


class WorkItemWorld:
    """One hub and its server. ``kill`` and ``start`` again: the store is what stays."""

    def __init__(self, url: str, options: RemoteOptions | None = None, silent_seconds: float = 20.0) -> None:
        self._url = url
        self._silent_seconds = silent_seconds
        self._options = options or RemoteOptions()
        self._opened: Storage | None = None
        self.port = 0

    async def start(self) -> None:
        """Open the store and serve."""
        clock = SystemClock()
        storage = open_storage(self._url, clock)
        await storage.open()
        self.storage = storage
        self.executor = RemoteExecutor(ProtocolItems(), self._options)
        engine = EngineOptions(DecisionLimits(), Versioning())
        self.worker = TaskHubWorker(storage, self.executor, clock, engine, "test")
        await self.worker.start()
        self.client = TaskHubClient(storage, clock, ClientOptions())
        hub = ServedHub("default", self.client, WorkItemService(self.executor))
        self.door = Door(HubChoice(_OneHub(hub)))
        self._server = GrpcServer(receive_bytes_max=8 * 1024 * 1024, silent_seconds=self._silent_seconds)
        self._server.mount_door(self.door)
        self.port = self._server.listen("127.0.0.1", self.port)
        await self._server.start()

    async def stop(self, grace_seconds: float = 1.0) -> None:
        """Stop as on SIGTERM."""
        await self.worker.stop(grace_seconds)
        await self._server.stop(grace_seconds)
        await self.storage.close()

    async def status(self, instance_id: str) -> str:
        """The instance's status."""
        record = await self.client.get(instance_id)
        assert record is not None
        return record.progress.status.name

    async def ended(self, instance_id: str) -> Any:
        """Wait for its end; its record."""
        async with asyncio.timeout(20):
            return await self.client.wait_for_completion(instance_id)


@asynccontextmanager
async def serving(
    url: str = "memory:", options: RemoteOptions | None = None, silent_seconds: float = 20.0
) -> AsyncIterator[WorkItemWorld]:
    """A world that is stopped at the end."""
    world = WorkItemWorld(url, options, silent_seconds)
    await world.start()
    try:
        yield world
    finally:
        await world.stop()


class RawWorker:
    """A connection of its own, and one stream of work items at a time."""

    def __init__(self, port: int, worker_id: str | None = None, **channel_options: int) -> None:
        options = [(f"grpc.{name}", value) for name, value in channel_options.items()]
        # Two workers of one process would otherwise share a connection.
        options.append(("grpc.use_local_subchannel_pool", 1))
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options)
        self.metadata = (("workerid", worker_id),) if worker_id else ()
        self._stream: Any = None

    async def connect(self, **request: Any) -> None:
        """Open the stream."""
        call = self.channel.unary_stream(
            RPCS["GetWorkItems"].path,
            response_deserializer=pb.WorkItem.FromString,
        )
        self._stream = call(pb.GetWorkItemsRequest(**request).SerializeToString(), metadata=self.metadata)

    async def take(self) -> pb.WorkItem:
        """The next item; pings are passed over."""
        async with asyncio.timeout(15):
            while True:
                item = await self._stream.read()
                assert isinstance(item, pb.WorkItem), f"the stream has ended: {item}"
                if not item.HasField("healthPing"):
                    return item

    async def read(self) -> Any:
        """Whatever the stream gives next."""
        async with asyncio.timeout(15):
            return await self._stream.read()

    async def call(self, name: str, request: Any) -> Any:
        """One unary call; ``request`` is a message or bytes."""
        rpc = RPCS[name]
        raw = request if isinstance(request, bytes) else request.SerializeToString()
        call = self.channel.unary_unary(rpc.path, response_deserializer=rpc.answer.FromString)
        async with asyncio.timeout(15):
            return await call(raw, metadata=self.metadata)

    async def history(self, **request: Any) -> list[pb.HistoryChunk]:
        """The past of a turn that came without it."""
        rpc = RPCS["StreamInstanceHistory"]
        call = self.channel.unary_stream(rpc.path, response_deserializer=pb.HistoryChunk.FromString)
        message = pb.StreamInstanceHistoryRequest(forWorkItemProcessing=True, **request)
        async with asyncio.timeout(15):
            return [chunk async for chunk in call(message.SerializeToString(), metadata=self.metadata)]

    async def answer_turn(self, item: pb.WorkItem, *actions: pb.OrchestratorAction, **fields: Any) -> None:
        """Complete a turn."""
        request = item.orchestratorRequest
        response = pb.OrchestratorResponse(
            instanceId=request.instanceId, completionToken=item.completionToken, actions=actions, **fields
        )
        await self.call("CompleteOrchestratorTask", response)

    async def answer_activity(self, item: pb.WorkItem, result: str | None = None, **fields: Any) -> None:
        """Complete an activity."""
        request = item.activityRequest
        response = pb.ActivityResponse(
            instanceId=request.orchestrationInstance.instanceId,
            taskId=request.taskId,
            completionToken=item.completionToken,
            **fields,
        )
        if result is not None:
            response.result.value = result
        await self.call("CompleteActivityTask", response)

    async def answer_batch(self, item: pb.WorkItem, *results: pb.OperationResult, **fields: Any) -> None:
        """Complete a batch of operations."""
        await self.call(
            "CompleteEntityTask", pb.EntityBatchResult(completionToken=item.completionToken, results=results, **fields)
        )

    async def close_stream(self) -> None:
        """Let the stream go and keep the connection."""
        self._stream.cancel()

    async def close(self) -> None:
        """End the connection, as when the worker's process ends."""
        if self._stream is not None:
            self._stream.cancel()
        await self.channel.close()

    async def serve(self, decide: Decide) -> None:
        """Answer every turn by ``decide`` and every activity with its input, until the stream ends."""
        async for item in self._stream:
            kind = item.WhichOneof("request")
            if kind == "orchestratorRequest":
                await self.answer_turn(item, *decide(item.orchestratorRequest))
            elif kind == "activityRequest":
                await self.answer_activity(item, item.activityRequest.input.value)


def seen(request: pb.OrchestratorRequest, kind: str) -> list[Any]:
    """All events of a kind, past and new."""
    events = [*request.pastEvents, *request.newEvents]
    return [getattr(event, kind) for event in events if event.WhichOneof("eventType") == kind]


def sequence(steps: int, name: str = "step") -> Decide:
    """An orchestrator that calls so many activities, one after the other, and returns how many it called."""

    def decide(request: pb.OrchestratorRequest) -> list[pb.OrchestratorAction]:
        done = len(seen(request, "taskCompleted"))
        if done == steps:
            return [completed(str(steps))]
        return [schedule(done + 1, name)] if len(seen(request, "taskScheduled")) == done else []

    return decide


def schedule(id: int, name: str = "step", input: str | None = None) -> pb.OrchestratorAction:
    """Run an activity."""
    action = pb.OrchestratorAction(id=id, scheduleTask=pb.ScheduleTaskAction(name=name))
    if input is not None:
        action.scheduleTask.input.value = input
    return action


def completed(result: str | None = None) -> pb.OrchestratorAction:
    """The orchestration has ended."""
    action = pb.OrchestratorAction(id=-1)
    action.completeOrchestration.orchestrationStatus = pb.ORCHESTRATION_STATUS_COMPLETED
    if result is not None:
        action.completeOrchestration.result.value = result
    return action


def done(result: str) -> pb.OperationResult:
    """An operation went well."""
    return pb.OperationResult(success=pb.OperationResultSuccess(result=pb.StringValue(value=result)))


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run a scenario on a loop of its own."""
    asyncio.run(scenario())  # type: ignore[arg-type]
