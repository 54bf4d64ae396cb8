"""Clients of a scheduler; the types of their two styles are in ``client.pyi``."""

import logging
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any

from durabletask.async_calls import AsyncCalls
from durabletask.azuremanaged.connection_string import ConnectionString
from durabletask.azuremanaged.scheduler_target import UNSET, SchedulerTarget, target_of
from durabletask.blocking_calls import BlockingCalls
from durabletask.client import AsyncTaskHubGrpcClient, TaskHubGrpcClient
from durabletask.client_logging import client_logger
from durabletask.driving import Driver, InCallersThread, OnIoThread
from durabletask.grpc_options import GrpcChannelOptions, GrpcClientResiliencyOptions
from durabletask.hub_calls import HubCalls
from durabletask.serialization import DEFAULT_DATA_CONVERTER, DataConverter
from durabletask.states import OrchestrationQuery

__all__ = ["AsyncClientView", "AsyncDurableTaskSchedulerClient", "DurableTaskSchedulerClient", "SyncClientView"]


class Sync:
    """Marks, for type checkers, a client whose calls block."""


class Async:
    """Marks, for type checkers, a client whose calls are awaited."""


class SyncClientView(BlockingCalls):
    """A client's calls in the style that blocks, over the same connection."""


class AsyncClientView(AsyncCalls):
    """A client's calls in the style that is awaited, on any loop, over the same connection."""


class DurableTaskSchedulerClient(TaskHubGrpcClient):
    """A client of the hosted scheduler, of our server or of an engine in this process.

    Given a connection string, its calls are awaited, on any loop, unless ``mode="sync"`` is said; given
    ``host_address``, ``taskhub`` and ``token_credential``, they block. ``sync`` and ``aio`` have the other style.
    Raises TypeError for a mixture of both forms, ValueError for a string that cannot be read.
    """

    def __class_getitem__(cls, style: Any) -> Any:
        return cls

    def __init__(
        self,
        connection_string: str | ConnectionString | None = None,
        /,
        *,
        mode: str | None = None,
        host_address: Any = UNSET,
        taskhub: Any = UNSET,
        token_credential: Any = UNSET,
        secure_channel: Any = UNSET,
        resource_id: str | None = None,
        channel: Any = None,
        interceptors: Any = None,
        channel_options: GrpcChannelOptions | None = None,
        resiliency_options: GrpcClientResiliencyOptions | None = None,
        default_version: str | None = None,
        payload_store: Any = None,
        data_converter: DataConverter | None = None,
        log_handler: logging.Handler | None = None,
        log_formatter: logging.Formatter | None = None,
        logger: logging.Logger | None = None,
        emit_trace_spans: bool = True,
    ) -> None:
        target = target_of(
            connection_string,
            host_address=host_address,
            taskhub=taskhub,
            token_credential=token_credential,
            secure_channel=secure_channel,
            resource_id=resource_id,
        )
        self._awaits = _awaits(connection_string is not None, mode)
        log = client_logger("client", log_handler, log_formatter, logger)
        converter = data_converter or DEFAULT_DATA_CONVERTER
        blocking, awaited, driver = _hubs(
            target,
            awaits=self._awaits,
            converter=converter,
            logger=log,
            channel=channel,
            interceptors=interceptors,
            channel_options=channel_options,
            resiliency=resiliency_options,
            payload_store=payload_store,
        )
        said: dict[str, Any] = {
            "converter": converter,
            "logger": log,
            "default_version": default_version,
            "emit_trace_spans": emit_trace_spans,
        }
        self._view = AsyncClientView(awaited, **said)
        self._blocking = SyncClientView(AsyncCalls(blocking, **said), driver)
        BlockingCalls.__init__(self, self._view if self._awaits else AsyncCalls(blocking, **said), driver)

    def _run(self, begin: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return begin() if self._awaits else self._driver.block(begin)

    @property
    def sync(self) -> SyncClientView:
        """The same client with calls that block."""
        return self._blocking

    @property
    def aio(self) -> AsyncClientView:
        """The same client with calls that are awaited."""
        return self._view

    def iter_orchestration_states(self, orchestration_query: OrchestrationQuery | None = None) -> Any:
        """Every orchestration that fits the query, a page at a time as they are asked for."""
        if self._awaits:
            return self._view.iter_orchestration_states(orchestration_query)
        return super().iter_orchestration_states(orchestration_query)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._blocking.close()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._view.close()


class AsyncDurableTaskSchedulerClient(AsyncTaskHubGrpcClient):
    """A client whose calls are awaited. Both forms of arguments, as DurableTaskSchedulerClient.

    Over gRPC it belongs to the loop of its first call; ``interceptors`` and ``channel`` are those of ``grpc.aio``.
    """

    def __init__(
        self,
        connection_string: str | ConnectionString | None = None,
        /,
        *,
        host_address: Any = UNSET,
        taskhub: Any = UNSET,
        token_credential: Any = UNSET,
        secure_channel: Any = UNSET,
        resource_id: str | None = None,
        channel: Any = None,
        interceptors: Any = None,
        channel_options: GrpcChannelOptions | None = None,
        resiliency_options: GrpcClientResiliencyOptions | None = None,
        default_version: str | None = None,
        payload_store: Any = None,
        data_converter: DataConverter | None = None,
        log_handler: logging.Handler | None = None,
        log_formatter: logging.Formatter | None = None,
        logger: logging.Logger | None = None,
        emit_trace_spans: bool = True,
    ) -> None:
        target = target_of(
            connection_string,
            host_address=host_address,
            taskhub=taskhub,
            token_credential=token_credential,
            secure_channel=secure_channel,
            resource_id=resource_id,
        )
        log = client_logger("async_client", log_handler, log_formatter, logger)
        converter = data_converter or DEFAULT_DATA_CONVERTER
        if target.is_embedded:
            hub = _embedded(target, converter, channel, interceptors)
        else:
            from durabletask.transports.opening import asynchronous

            hub = asynchronous(
                _terms(
                    target,
                    converter=converter,
                    logger=log,
                    channel=channel,
                    interceptors=interceptors,
                    channel_options=channel_options,
                    resiliency=resiliency_options,
                    payload_store=payload_store,
                )
            )
        AsyncCalls.__init__(
            self,
            hub,
            converter=converter,
            logger=log,
            default_version=default_version,
            emit_trace_spans=emit_trace_spans,
        )


def _awaits(has_string: bool, mode: str | None) -> bool:
    if mode not in (None, "sync", "async"):
        raise ValueError(f"mode is 'sync' or 'async', not {mode!r}.")
    if mode is not None and not has_string:
        raise TypeError(
            "mode goes with a connection string; a client given host_address blocks, and "
            "AsyncDurableTaskSchedulerClient does not."
        )
    return has_string and mode != "sync"


def _hubs(target: SchedulerTarget, *, awaits: bool, **said: Any) -> tuple[HubCalls, HubCalls, Driver]:
    """The calls that block and those that are awaited, and how the first are run."""
    if target.is_embedded:
        hub = _embedded(target, said["converter"], said["channel"], said["interceptors"])
        return hub, hub, OnIoThread()
    from durabletask.transports.opening import blocking_and_awaited, is_asynchronous, on_io_thread

    terms = _terms(target, **said)
    if awaits and is_asynchronous(terms):
        hub = on_io_thread(terms)
        return hub, hub, OnIoThread()
    return *blocking_and_awaited(terms), InCallersThread()


def _terms(target: SchedulerTarget, *, resiliency: GrpcClientResiliencyOptions | None, **said: Any) -> Any:
    from durabletask.transports.opening import GrpcTerms

    return GrpcTerms(
        address=target.address,
        is_secure=target.is_secure,
        headers=target.blocking_headers,
        async_headers=target.headers,
        ca_file=target.ca_file,
        resiliency=resiliency or GrpcClientResiliencyOptions(),
        **said,
    )


def _embedded(target: SchedulerTarget, converter: DataConverter, channel: Any, interceptors: Any) -> HubCalls:
    from durabletask.embedded import place_of
    from durabletask.transports.embedded_calls import EmbeddedHubCalls

    if channel is not None or interceptors:
        raise ValueError("An embedded hub is reached without gRPC: leave out channel and interceptors.")
    place_of(target.address)
    return EmbeddedHubCalls(target.address, target.task_hub, converter)
