"""A worker that speaks the protocol by hand: the test says what it answers."""

import asyncio
import uuid
from typing import Any, Self

from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.service import RPCS
from support.scheduler_server import RawClient, text

SECONDS_MAX = 10


class Worker:
    """One stream of work items. Items are answered by the test, in any order."""

    def __init__(self, client: RawClient, **terms: Any) -> None:
        self.client = client.to(workerid=str(uuid.uuid4()))
        self._terms = pb.GetWorkItemsRequest(**terms)
        self._items: asyncio.Queue[Any] = asyncio.Queue()
        self._reading: asyncio.Task[None] | None = None
        self.call: Any = None

    async def __aenter__(self) -> Self:
        rpc = RPCS["GetWorkItems"]
        metadata = tuple(self.client.headers.items())
        call = self.client.channel.unary_stream(rpc.path)(self._terms.SerializeToString(), metadata=metadata)
        self.call = call
        self._reading = asyncio.ensure_future(self._read(call))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._reading is not None
        self.call.cancel()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def next_item(self) -> Any:
        async with asyncio.timeout(SECONDS_MAX):
            return await self._items.get()

    def waiting(self) -> list[Any]:
        """All items that have come and were not taken yet."""
        return [self._items.get_nowait() for _ in range(self._items.qsize())]

    async def next_entity(self) -> Any:
        """The next item, which is a batch of operations."""
        item = await self.next_item()
        assert item.WhichOneof("request") == "entityRequestV2", item
        return item

    async def next_turn(self) -> Any:
        """The next item, which is a turn."""
        item = await self.next_item()
        assert item.WhichOneof("request") == "orchestratorRequest", item
        return item

    async def complete_entity(self, item: Any, *, state: str) -> None:
        """All operations succeed; an empty state is none."""
        result = pb.EntityBatchResult(completionToken=item.completionToken)
        for _ in item.entityRequestV2.operationRequests:
            result.results.add().success.SetInParent()
        if state:
            result.entityState.CopyFrom(text(state))
        await self.client.CompleteEntityTask(result)

    async def complete_turn(self, item: Any, *actions: Any) -> None:
        """The orchestrator asks for these."""
        await self.client.CompleteOrchestratorTask(
            instanceId=item.orchestratorRequest.instanceId, completionToken=item.completionToken, actions=actions
        )

    async def _read(self, call: Any) -> None:
        async for raw in call:
            self._items.put_nowait(pb.WorkItem.FromString(raw))


def starts_child(task_id: int, instance_id: str) -> Any:
    """An orchestrator asks for a child."""
    action = pb.OrchestratorAction(id=task_id)
    action.createSubOrchestration.instanceId = instance_id
    action.createSubOrchestration.name = "child"
    return action


def completes(task_id: int, result: str | None = None, status: Any = pb.ORCHESTRATION_STATUS_COMPLETED) -> Any:
    """An orchestrator ends."""
    action = pb.OrchestratorAction(id=task_id)
    action.completeOrchestration.orchestrationStatus = status
    if result is not None:
        action.completeOrchestration.result.CopyFrom(text(result))
    return action
