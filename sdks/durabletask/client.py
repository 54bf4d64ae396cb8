"""Clients of a gRPC server, and the public names of their questions and answers (portable-sdk.md §5).

gRPC is imported when a client is made, not before.
"""

import asyncio
import logging
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from durabletask.async_calls import AsyncCalls
from durabletask.blocking_calls import BlockingCalls
from durabletask.client_logging import client_logger
from durabletask.driving import InCallersThread
from durabletask.grpc_options import GrpcChannelOptions, GrpcClientResiliencyOptions
from durabletask.serialization import DEFAULT_DATA_CONVERTER, DataConverter
from durabletask.states import (
    CleanEntityStorageResult,
    EntityQuery,
    IdReusePolicy,
    OrchestrationFailedError,
    OrchestrationQuery,
    OrchestrationState,
    OrchestrationStatus,
    Page,
    PurgeInstancesResult,
)

if TYPE_CHECKING:
    import grpc
    import grpc.aio

    from durabletask.call_errors import OrchestrationAlreadyExistsError
    from durabletask.internal.shared import AsyncClientInterceptor, ClientInterceptor
    from durabletask.payload import PayloadStore
    from perdure.formats.protobuf import messages as pb

__all__ = [
    "AsyncTaskHubGrpcClient",
    "CleanEntityStorageResult",
    "EntityQuery",
    "GrpcChannelOptions",
    "GrpcClientResiliencyOptions",
    "IdReusePolicy",
    "OrchestrationAlreadyExistsError",
    "OrchestrationFailedError",
    "OrchestrationQuery",
    "OrchestrationState",
    "OrchestrationStatus",
    "Page",
    "PurgeInstancesResult",
    "TaskHubGrpcClient",
    "new_orchestration_state",
    "new_purge_instances_result",
    "parse_orchestration_state",
]

C = TypeVar("C")


def __getattr__(name: str) -> Any:
    if name == "OrchestrationAlreadyExistsError":
        from durabletask.call_errors import OrchestrationAlreadyExistsError

        return OrchestrationAlreadyExistsError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class ClosedAtExit:
    """A client for ``with`` and for ``async with``."""

    def __enter__(self: C) -> C:
        return self

    async def __aenter__(self: C) -> C:
        return self


class TaskHubGrpcClient(BlockingCalls, ClosedAtExit):
    """A client whose calls block; usable from any thread.

    A ``channel`` that is given stays its owner's: it is never closed or replaced. ``metadata`` goes with every call.
    The address is ``localhost:4001`` by default; a scheme of it (``https://``, ``grpcs://``, ``http://``, ``grpc://``)
    says more than ``secure_channel``. Raises ImportError when gRPC is not installed.
    """

    def __init__(
        self,
        *,
        host_address: str | None = None,
        metadata: Sequence[tuple[str, str]] | None = None,
        log_handler: logging.Handler | None = None,
        log_formatter: logging.Formatter | None = None,
        logger: logging.Logger | None = None,
        channel: "grpc.Channel | None" = None,
        secure_channel: bool = False,
        interceptors: "Sequence[ClientInterceptor] | None" = None,
        channel_options: GrpcChannelOptions | None = None,
        resiliency_options: GrpcClientResiliencyOptions | None = None,
        default_version: str | None = None,
        payload_store: "PayloadStore | None" = None,
        data_converter: DataConverter | None = None,
        emit_trace_spans: bool = True,
    ) -> None:
        from durabletask.transports.opening import GrpcTerms, blocking_and_awaited, fixed_headers

        log = client_logger("client", log_handler, log_formatter, logger)
        converter = data_converter or DEFAULT_DATA_CONVERTER
        terms = GrpcTerms(
            address=host_address,
            is_secure=secure_channel,
            converter=converter,
            logger=log,
            headers=fixed_headers(metadata),
            channel=channel,
            interceptors=interceptors,
            channel_options=channel_options,
            resiliency=resiliency_options or GrpcClientResiliencyOptions(),
            payload_store=payload_store,
        )
        hub, _ = blocking_and_awaited(terms)
        calls = AsyncCalls(
            hub, converter=converter, logger=log, default_version=default_version, emit_trace_spans=emit_trace_spans
        )
        super().__init__(calls, InCallersThread())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._driver.block(self._calls.close)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._driver.block, self._calls.close)


class AsyncTaskHubGrpcClient(AsyncCalls, ClosedAtExit):
    """A client whose calls are awaited, on the loop of the first one. Options as ``TaskHubGrpcClient``."""

    def __init__(
        self,
        *,
        host_address: str | None = None,
        metadata: Sequence[tuple[str, str]] | None = None,
        log_handler: logging.Handler | None = None,
        log_formatter: logging.Formatter | None = None,
        logger: logging.Logger | None = None,
        channel: "grpc.aio.Channel | None" = None,
        secure_channel: bool = False,
        interceptors: "Sequence[AsyncClientInterceptor] | None" = None,
        channel_options: GrpcChannelOptions | None = None,
        resiliency_options: GrpcClientResiliencyOptions | None = None,
        default_version: str | None = None,
        payload_store: "PayloadStore | None" = None,
        data_converter: DataConverter | None = None,
        emit_trace_spans: bool = True,
    ) -> None:
        from durabletask.transports.opening import GrpcTerms, asynchronous, fixed_headers

        log = client_logger("async_client", log_handler, log_formatter, logger)
        converter = data_converter or DEFAULT_DATA_CONVERTER
        terms = GrpcTerms(
            address=host_address,
            is_secure=secure_channel,
            converter=converter,
            logger=log,
            headers=fixed_headers(metadata),
            channel=channel,
            interceptors=interceptors,
            channel_options=channel_options,
            resiliency=resiliency_options or GrpcClientResiliencyOptions(),
            payload_store=payload_store,
        )
        super().__init__(
            asynchronous(terms),
            converter=converter,
            logger=log,
            default_version=default_version,
            emit_trace_spans=emit_trace_spans,
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        close_from_here(self)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


_closing: set["asyncio.Task[None]"] = set()


def close_from_here(client: AsyncCalls) -> None:
    """Close where nothing can be awaited: on the running loop as soon as it turns, else at once."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(client.close())
        return
    task = loop.create_task(client.close())
    _closing.add(task)
    task.add_done_callback(_closing.discard)


def new_orchestration_state(
    instance_id: str, res: "pb.GetInstanceResponse", data_converter: DataConverter | None = None
) -> OrchestrationState | None:
    """The orchestration in a server's answer; None when it says that there is none."""
    from durabletask.transports.wire_answers import answered_state

    return answered_state(res, data_converter or DEFAULT_DATA_CONVERTER)


def parse_orchestration_state(
    state: "pb.OrchestrationState", data_converter: DataConverter | None = None
) -> OrchestrationState:
    """An orchestration in a server's words."""
    from durabletask.transports.wire_answers import state_of

    return state_of(state, data_converter or DEFAULT_DATA_CONVERTER)


def new_purge_instances_result(response: "pb.PurgeInstancesResponse") -> PurgeInstancesResult:
    """What a server's answer says that a purge did."""
    from durabletask.transports.wire_answers import purge_result

    return purge_result(response)
