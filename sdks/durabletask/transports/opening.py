"""gRPC transports made from what clients are constructed with. Importing this imports gRPC."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from durabletask.grpc_options import GrpcChannelOptions, GrpcClientResiliencyOptions
from durabletask.serialization import DataConverter
from durabletask.transports.channels import ChannelTerms
from durabletask.transports.grpc_calls import GrpcHubCalls
from durabletask.transports.rpc_callers import (
    AsyncCaller,
    AwaitedCaller,
    BlockingCaller,
    Headers,
    IoThreadCaller,
    SharedChannel,
)
from durabletask.transports.wire_payloads import payload_door

import grpc.aio  # isort: skip - after channels, whose error says what is missing


@dataclass(frozen=True)
class GrpcTerms:
    """Where a server is and how it is spoken to. ``async_headers`` None: ``headers`` never block."""

    address: str | None
    is_secure: bool
    converter: DataConverter
    logger: logging.Logger
    headers: Headers
    async_headers: Headers | None = None
    channel: Any = None
    interceptors: Sequence[Any] | None = None
    channel_options: GrpcChannelOptions | None = None
    resiliency: GrpcClientResiliencyOptions = field(default_factory=GrpcClientResiliencyOptions)
    payload_store: Any = None
    ca_file: str | None = None

    def channel_terms(self) -> ChannelTerms:
        """What a channel is opened with. Raises ValueError."""
        return ChannelTerms.of(self.address, self.is_secure, self.channel_options, self.ca_file)


def blocking_and_awaited(terms: GrpcTerms) -> tuple[GrpcHubCalls, GrpcHubCalls]:
    """Calls that block the caller's thread, and the same to be awaited, over one channel."""
    channel = SharedChannel(
        terms.channel_terms(),
        terms.resiliency,
        terms.logger,
        interceptors=tuple(terms.interceptors or ()),
        channel=terms.channel,
    )
    blocking = GrpcHubCalls(
        BlockingCaller(channel, terms.headers), terms.converter, payload_door(terms.payload_store, blocking=True)
    )
    awaited = GrpcHubCalls(
        AwaitedCaller(channel, terms.async_headers or terms.headers), terms.converter, payload_door(terms.payload_store)
    )
    return blocking, awaited


def asynchronous(terms: GrpcTerms) -> GrpcHubCalls:
    """Calls of one loop: the one that makes the first of them."""
    caller = AsyncCaller(
        terms.channel_terms(),
        terms.async_headers or terms.headers,
        terms.resiliency,
        terms.logger,
        interceptors=tuple(terms.interceptors or ()),
        channel=terms.channel,
    )
    return GrpcHubCalls(caller, terms.converter, payload_door(terms.payload_store))


def is_asynchronous(terms: GrpcTerms) -> bool:
    """Whether the interceptors are those of ``grpc.aio``. Raises TypeError for a channel of ``grpc.aio``."""
    if isinstance(terms.channel, grpc.aio.Channel):
        raise TypeError(
            "A channel of grpc.aio belongs to one loop; give it to AsyncDurableTaskSchedulerClient, or give a "
            "grpc.Channel, which serves calls that are awaited, too."
        )
    return any(isinstance(interceptor, grpc.aio.ClientInterceptor) for interceptor in terms.interceptors or ())


def on_io_thread(terms: GrpcTerms) -> GrpcHubCalls:
    """The same for any loop: the calls are made on the clients' own thread."""
    caller = AsyncCaller(
        terms.channel_terms(),
        terms.async_headers or terms.headers,
        terms.resiliency,
        terms.logger,
        interceptors=tuple(terms.interceptors or ()),
    )
    return GrpcHubCalls(IoThreadCaller(caller), terms.converter, payload_door(terms.payload_store))


def fixed_headers(metadata: Sequence[tuple[str, str]] | None) -> Headers:
    """The same metadata for every call."""
    fixed = tuple(metadata or ())

    async def headers() -> Sequence[tuple[str, str]]:
        return fixed

    return headers
