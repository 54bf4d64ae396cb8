"""A scheduler server in the test's own loop, and a client that speaks the protocol to it without any SDK."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from perdure.contracts.clock import Clock
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.backend_service import RPCS as BACKEND_RPCS
from perdure.formats.protobuf.service import RPCS
from perdure.grpc_api.access import Doorkeeper
from perdure.grpc_api.calls import Door
from perdure.grpc_api.health_service import Health
from perdure.grpc_api.hub_choice import HubChoice
from perdure.grpc_api.server import GrpcServer
from perdure.host.hub_directory import HubDirectory
from perdure.host.serve_options import ServeOptions
from perdure.storage.system_clock import SystemClock

SECONDS_MAX = 30
HOST = "127.0.0.1"


class RawClient:
    """Calls by name: ``await client.StartInstance(name="x")`` gives the answer message."""

    def __init__(self, channel: grpc.aio.Channel, headers: dict[str, str]) -> None:
        self.channel = channel
        self.headers = headers

    def to(self, **headers: str) -> "RawClient":
        """The same channel with other headers."""
        return RawClient(self.channel, {**self.headers, **headers})

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        rpc = RPCS.get(name) or BACKEND_RPCS[name]

        async def call(request: Any = None, *, seconds: float | None = SECONDS_MAX, **fields: Any) -> Any:
            message = rpc.request(**fields) if request is None else request
            raw = message if isinstance(message, bytes) else message.SerializeToString()
            metadata = tuple(self.headers.items())
            if rpc.answers_stream:
                stream = self.channel.unary_stream(rpc.path)(raw, timeout=seconds, metadata=metadata)
                return [rpc.answer.FromString(item) async for item in stream]
            return rpc.answer.FromString(
                await self.channel.unary_unary(rpc.path)(raw, timeout=seconds, metadata=metadata)
            )

        return call


@dataclass
class Scheduler:
    """A running server."""

    hubs: HubDirectory
    door: Door
    server: GrpcServer
    port: int
    client: RawClient
    channels: list[grpc.aio.Channel] = field(default_factory=list)


@asynccontextmanager
async def scheduler(
    store_url: str,
    *,
    doorkeeper: Doorkeeper | None = None,
    clock: Clock | None = None,
    port: int = 0,
    **options: Any,
) -> AsyncIterator[Scheduler]:
    """A server on a port of this machine, a free one by default."""
    chosen = replace(ServeOptions(store_url=store_url), **options)
    hubs = HubDirectory(chosen, SystemClock() if clock is None else clock)
    await hubs.open()
    door = Door(HubChoice(hubs, doorkeeper))
    server = GrpcServer(chosen.receive_bytes_max)
    server.mount_door(door)
    server.mount_health(Health(lambda: True, door.stopping).handlers())
    port = server.listen(HOST, port)
    await server.start()
    channel = grpc.aio.insecure_channel(
        f"{HOST}:{port}", options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    )
    try:
        yield Scheduler(hubs, door, server, port, RawClient(channel, {}))
    finally:
        door.stopping.set()
        await channel.close()
        await hubs.stop(0)
        await server.stop(1)


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """A test's coroutine on a loop of its own, within its time."""

    async def limited() -> None:
        async with asyncio.timeout(SECONDS_MAX):
            await scenario()

    asyncio.run(limited())


def text(value: str) -> Any:
    """A nullable text that is there."""
    return pb.StringValue(value=value)


def store_in(folder: Path, kind: str) -> str:
    """The URL of an empty store."""
    return "memory:" if kind == "memory" else f"sqlite:{folder / 'hub.db'}"


async def code_of(call: Awaitable[Any]) -> tuple[grpc.StatusCode, str]:
    """How a call ends that is refused."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details() or ""
    raise AssertionError("the call was not refused")
