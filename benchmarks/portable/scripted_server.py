"""``scripted_server PORT [IN_FLIGHT_MAX]``: gives a worker the items of A and B by script, without engine and store.

No server can be faster with that worker: each answer is acknowledged at once, the next item is ready at once, histories
are put together from parts written beforehand. It believes the worker: what it answers is not read but for its place.
"""

import asyncio
import sys
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import uvloop

from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.service import RPCS, SERVICE
from perdure.grpc_api.server import GrpcServer
from perdure.grpc_api.server_calls import Handler

_ACKNOWLEDGED = pb.CompleteTaskResponse().SerializeToString()


@dataclass(slots=True)
class _Instance:
    instance_id: str
    name: str
    given: str
    asked: int = 0
    ended: int = 0
    past: bytes = b""
    """Events that the worker has seen, as fields of a request."""
    new: bytes = b""
    output: str = ""
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def activities(self) -> int:
        return int(self.given)

    @property
    def at_once(self) -> int:
        """How many activities run side by side."""
        return self.activities if self.name == "fan_out" else 1


class Script:
    """All instances, and the items that wait."""

    def __init__(self, in_flight_max: int) -> None:
        self._instances: dict[str, _Instance] = {}
        self._items: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._in_flight_max = in_flight_max
        self._in_flight = 0

    async def hello(self, request: bytes, context: Any) -> bytes:
        return b""

    async def start(self, request: bytes, context: Any) -> bytes:
        asked: Any = pb.CreateInstanceRequest.FromString(request)
        instance = _Instance(asked.instanceId, asked.name, asked.input.value)
        self._instances[instance.instance_id] = instance
        started = pb.HistoryEvent(eventId=-1)
        started.timestamp.GetCurrentTime()
        started.executionStarted.name = instance.name
        started.executionStarted.input.value = instance.given
        started.executionStarted.orchestrationInstance.instanceId = instance.instance_id
        started.executionStarted.orchestrationInstance.executionId.value = "e"
        instance.new = _new(started)
        self._turn(instance)
        return pb.CreateInstanceResponse(instanceId=instance.instance_id).SerializeToString()

    async def wait(self, request: bytes, context: Any) -> bytes:
        asked: Any = pb.GetInstanceRequest.FromString(request)
        instance = self._instances[asked.instanceId]
        await instance.done.wait()
        answer = pb.GetInstanceResponse(exists=True)
        answer.orchestrationState.instanceId = instance.instance_id
        answer.orchestrationState.orchestrationStatus = pb.ORCHESTRATION_STATUS_COMPLETED
        answer.orchestrationState.output.value = instance.output
        return answer.SerializeToString()

    async def items(self, request: bytes, context: Any) -> None:
        while True:
            while self._items and self._in_flight < self._in_flight_max:
                self._in_flight += 1
                await context.write(self._items.popleft())
            self._wake.clear()
            await self._wake.wait()

    async def turn_done(self, request: bytes, context: Any) -> bytes:
        answer: Any = pb.OrchestratorResponse.FromString(request)
        instance = self._instances[answer.instanceId]
        for action in answer.actions:
            if action.HasField("completeOrchestration"):
                instance.output = action.completeOrchestration.result.value
                instance.done.set()
                break
            self._ask(instance, action)
        self._took_back()
        return _ACKNOWLEDGED

    async def activity_done(self, request: bytes, context: Any) -> bytes:
        answer: Any = pb.ActivityResponse.FromString(request)
        instance = self._instances[answer.instanceId]
        completed = pb.HistoryEvent(eventId=-1)
        completed.timestamp.GetCurrentTime()
        completed.taskCompleted.taskScheduledId = answer.taskId
        completed.taskCompleted.result.value = answer.result.value
        instance.new += _new(completed)
        instance.ended += 1
        if instance.ended == instance.asked:
            self._turn(instance)
        self._took_back()
        return _ACKNOWLEDGED

    def _ask(self, instance: _Instance, action: Any) -> None:
        instance.asked += 1
        task = action.scheduleTask
        scheduled = pb.HistoryEvent(eventId=action.id)
        scheduled.timestamp.GetCurrentTime()
        scheduled.taskScheduled.name = task.name
        scheduled.taskScheduled.input.value = task.input.value
        instance.past += _past(scheduled)
        item = pb.WorkItem(completionToken="t")
        item.activityRequest.name = task.name
        item.activityRequest.input.value = task.input.value
        item.activityRequest.taskId = action.id
        item.activityRequest.orchestrationInstance.instanceId = instance.instance_id
        self._give(item.SerializeToString())

    def _turn(self, instance: _Instance) -> None:
        began = pb.HistoryEvent(eventId=-1)
        began.timestamp.GetCurrentTime()
        began.orchestratorStarted.SetInParent()
        new = _new(began) + instance.new
        request = pb.OrchestratorRequest(instanceId=instance.instance_id).SerializeToString() + instance.past + new
        parsed: Any = pb.OrchestratorRequest.FromString(request)
        instance.past += _past(*parsed.newEvents)
        instance.new = b""
        item = pb.WorkItem(completionToken="t")
        item.orchestratorRequest.CopyFrom(parsed)
        self._give(item.SerializeToString())

    def _give(self, item: bytes) -> None:
        self._items.append(item)
        self._wake.set()

    def _took_back(self) -> None:
        self._in_flight -= 1
        self._wake.set()


def _past(*events: Any) -> bytes:
    return pb.OrchestratorRequest(pastEvents=events).SerializeToString()


def _new(*events: Any) -> bytes:
    return pb.OrchestratorRequest(newEvents=events).SerializeToString()


async def serve(port: int, in_flight_max: int) -> None:
    """Until the process is ended."""
    script = Script(in_flight_max)
    answers = {
        "Hello": script.hello,
        "StartInstance": script.start,
        "WaitForInstanceCompletion": script.wait,
        "CompleteOrchestratorTask": script.turn_done,
        "CompleteActivityTask": script.activity_done,
    }
    handlers = {name: Handler(answer) for name, answer in answers.items()}
    server = GrpcServer()
    server.mount({**handlers, RPCS["GetWorkItems"].name: Handler(script.items, streams=True)}, SERVICE)
    server.listen("127.0.0.1", port)
    await server.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000))
