"""Whatever well-formed messages clients and workers send, each gets a status that says why, and all stays readable."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor import FieldDescriptor

from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.service import RPCS
from support.grpc_worker import Worker
from support.scheduler_server import run, scheduler

CALLS_AT_ONCE, ROUNDS = 20, 25
DEEPEST = 5
SECONDS_MAX = 5.0
TEXTS = [
    "", "a", "i1", "i2", "@e@k", "@E@", "@", "@@", "x" * 300, "é", "\0", "a\nb", "'; drop table instance;--", "%", "..",
    "flow", "{", '"1"', "null", "00000000-0000-0000-0000-000000000001", f"00-{'a' * 32}-{'b' * 16}-01", "\U0001f600",
    "Y3wxfHg",
]  # fmt: skip
NUMBERS = [0, 1, -1, 2, 3, 7, 8, 99, 500, 2**31 - 1, -(2**31)]
LONG_NUMBERS = [*NUMBERS, 2**62, -(2**62), 1_800_000_000, 253_402_300_800]
FLOATS = [0.0, -1.5, 1e308, float("nan"), float("inf")]
HUBS = {"CreateTaskHub", "DeleteTaskHub", "GetWorkItems"}
UNEXPECTED = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}


class RandomMessages:
    """Messages of any kind with values that somebody might send."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        choose = self.random.choice
        self._values: dict[int, Callable[[], Any]] = {
            FieldDescriptor.CPPTYPE_STRING: lambda: choose(TEXTS),
            FieldDescriptor.CPPTYPE_INT32: lambda: choose(NUMBERS),
            FieldDescriptor.CPPTYPE_INT64: lambda: choose(LONG_NUMBERS),
            FieldDescriptor.CPPTYPE_BOOL: lambda: choose([False, True]),
            FieldDescriptor.CPPTYPE_ENUM: lambda: choose(range(8)),
            FieldDescriptor.CPPTYPE_DOUBLE: lambda: choose(FLOATS),
        }

    def fill(self, message: Any, depth: int = 0) -> None:
        for field in message.DESCRIPTOR.fields:
            if self.random.random() < 0.3 or (field.message_type is not None and depth > DEEPEST):
                continue
            found = getattr(message, field.name)
            if field.message_type is not None and field.message_type.GetOptions().map_entry:
                self._fill_map(found, field.message_type.fields_by_name["value"], depth)
            elif hasattr(found, "SetInParent"):
                found.SetInParent()
                self.fill(found, depth + 1)
            elif hasattr(found, "add"):
                for _ in range(self.random.randrange(3)):
                    self.fill(found.add(), depth + 1)
            elif hasattr(found, "append"):
                found.extend(self._values[field.cpp_type]() for _ in range(self.random.randrange(3)))
            elif self._takes(message, field):
                setattr(message, field.name, self._values[field.cpp_type]())

    def _fill_map(self, found: Any, value: Any, depth: int) -> None:
        key = self.random.choice(TEXTS)
        if value.message_type is None:
            found[key] = self.random.choice(TEXTS)
        else:
            self.fill(found[key], depth + 1)

    def _takes(self, message: Any, field: Any) -> bool:
        """Of a group of which one may be there the first often stays."""
        group = field.containing_oneof
        return group is None or message.WhichOneof(group.name) is None or self.random.random() < 0.3


@pytest.mark.parametrize("seed", [1, 2])
def test_random_calls_get_their_status_and_leave_everything_readable(seed: int, store_url: str) -> None:
    made, refused = RandomMessages(seed), list[str]()
    names = sorted(set(RPCS) - HUBS)

    async def call_once(worker: Worker, items: list[Any]) -> None:
        name = made.random.choice([*names, "StartInstance", "SignalEntity", "CompleteOrchestratorTask"])
        request: Any = RPCS[name].request()
        made.fill(request)
        if hasattr(request, "completionToken") and items:
            _answer(request, made.random.choice(items[-8:]))
        elif name == "StartInstance":
            request.name, request.instanceId = "flow", f"i{made.random.randrange(30)}"
        elif name == "SignalEntity":
            request.name, request.instanceId = "op", f"@e@{made.random.randrange(3)}"
        waits = name.startswith("WaitFor")
        try:
            await getattr(worker.client, name)(request, seconds=0.05 if waits else SECONDS_MAX)
        except grpc.aio.AioRpcError as error:
            is_late = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and not waits
            if is_late or error.code() in UNEXPECTED:
                refused.append(f"{name}: {error.code()} {error.details()} for {request}")

    async def scenario() -> None:
        async with scheduler(store_url) as server, Worker(server.client) as worker:
            items = list[Any]()
            for _ in range(ROUNDS):
                items += worker.waiting()
                await asyncio.gather(*(call_once(worker, items) for _ in range(CALLS_AT_ONCE)))
            assert not refused
            page = await server.client.QueryInstances(query={"maxInstanceCount": 1000, "fetchInputsAndOutputs": True})
            assert page.orchestrationState
            for state in page.orchestrationState:
                assert await server.client.StreamInstanceHistory(instanceId=state.instanceId) is not None
            await server.client.QueryEntities(query={"includeState": True, "includeTransient": True})

    run(scenario)


def _answer(request: Any, item: Any) -> None:
    """Make it one about an item that a worker has, or had."""
    request.completionToken = item.completionToken
    if isinstance(request, pb.OrchestratorResponse):
        request.instanceId = item.orchestratorRequest.instanceId
        request.ClearField("isPartial")
        request.ClearField("chunkIndex")
    elif isinstance(request, pb.ActivityResponse):
        request.instanceId = item.activityRequest.orchestrationInstance.instanceId
        request.taskId = item.activityRequest.taskId
