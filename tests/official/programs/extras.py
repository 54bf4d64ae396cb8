"""A payload store, properties of exceptions, and dataclasses as payloads."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stage import Stage, alone

from durabletask import task
from durabletask.client import TaskHubGrpcClient
from durabletask.payload import LargePayloadStorageOptions, PayloadStore


class DictionaryStore(PayloadStore):
    """Keeps payloads in this process."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    @property
    def options(self) -> LargePayloadStorageOptions:
        return LargePayloadStorageOptions(threshold_bytes=1000, enable_compression=False)

    def upload(self, data: bytes, *, instance_id: str | None = None) -> str:
        token = f"kept:{len(self.kept)}"
        self.kept[token] = data
        return token

    async def upload_async(self, data: bytes, *, instance_id: str | None = None) -> str:
        return await asyncio.to_thread(self.upload, data, instance_id=instance_id)

    def download(self, token: str) -> bytes:
        return self.kept[token]

    async def download_async(self, token: str) -> bytes:
        return await asyncio.to_thread(self.download, token)

    def is_known_token(self, value: str) -> bool:
        return value.startswith("kept:")


def doubled(ctx: task.ActivityContext, text: str) -> str:
    return text * 2


def doubling(ctx: task.OrchestrationContext, text: str) -> Any:
    return (yield ctx.call_activity(doubled, input=text))


@alone
def payloads_in_a_store(stage: Stage) -> Any:
    """What the server keeps is the tokens."""
    store = DictionaryStore()
    client = TaskHubGrpcClient(
        host_address=stage.address,
        metadata=stage.metadata,
        payload_store=store,
        log_handler=logging.NullHandler(),
    )
    with client, stage.worker(orchestrators=[doubling], activities=[doubled], payload_store=store):
        instance_id = client.schedule_new_orchestration(doubling, input="x" * 5000)
        state = client.wait_for_orchestration_completion(instance_id, timeout=30)
        assert state is not None
        plain = stage.client.get_orchestration_state(instance_id)
        assert plain is not None
        tokens = [str(text)[:5] for text in (plain.serialized_input, plain.serialized_output)]
        return [state.get_output() == "x" * 10_000, tokens]


class Refused(Exception):
    """Says more than its text."""

    def __init__(self, code: int) -> None:
        super().__init__(f"refused with {code}")
        self.code = code


class Codes:
    """What is sent of an exception besides its text."""

    def get_exception_properties(self, exception: Exception) -> Mapping[str, Any] | None:
        return {"code": exception.code, "final": True} if isinstance(exception, Refused) else None


def refuses(ctx: task.ActivityContext, code: int) -> None:
    raise Refused(code)


def refused(ctx: task.OrchestrationContext, code: int) -> Any:
    try:
        yield ctx.call_activity(refuses, input=code)
    except task.TaskFailedError as error:
        return [error.details.message, error.details.properties]


@alone
def properties_of_exceptions(stage: Stage) -> Any:
    with stage.worker(orchestrators=[refused], activities=[refuses], exception_properties_provider=Codes()):
        return stage.run(refused, 403)


@dataclass
class Order:
    """What travels as JSON and comes back as itself."""

    id: str
    items: list[str]


def counted(ctx: task.ActivityContext, order: Order) -> Order:
    return Order(order.id, [*order.items, type(order).__name__])


def ordering(ctx: task.OrchestrationContext, order: Order) -> Any:
    return (yield ctx.call_activity(counted, input=order, return_type=Order))


@alone
def dataclasses_as_payloads(stage: Stage) -> Any:
    with stage.worker(orchestrators=[ordering], activities=[counted]):
        state = stage.ended(stage.start(ordering, Order("a", ["x"])))
        return [state.get_output(), state.get_output(Order) == Order("a", ["x", "Order"])]
