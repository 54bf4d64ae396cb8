"""Workers: they run orchestrations, activities and entities for a task hub (portable-sdk.md §4)."""

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from durabletask.client_logging import client_logger
from durabletask.grpc_options import GrpcChannelOptions, GrpcWorkerResiliencyOptions
from durabletask.serialization import DataConverter
from durabletask.working.described_failures import ExceptionPropertiesProvider
from durabletask.working.functions import Definitions
from durabletask.working.options import (
    DEFAULT_MAXIMUM_TIMER_INTERVAL,
    ActivityNotRegisteredError,
    ActivityWorkItemFilter,
    ConcurrencyOptions,
    EntityNotRegisteredError,
    EntityWorkItemFilter,
    OrchestrationWorkItemFilter,
    OrchestratorNotRegisteredError,
    VersionFailureStrategy,
    VersioningOptions,
    VersionMatchStrategy,
    WorkItemFilters,
)
from durabletask.working.runtime import Runtime
from durabletask.working.start import WorkerStart
from durabletask.working.user_loop import UserLoop
from durabletask.working.worker_base import LARGE_PAYLOADS, WorkerBase

if TYPE_CHECKING:
    import grpc

    from durabletask.payload import PayloadStore
    from durabletask.working.activity_hooks import ActivityHooks

__all__ = [
    "DEFAULT_MAXIMUM_TIMER_INTERVAL",
    "ActivityNotRegisteredError",
    "ActivityWorkItemFilter",
    "ConcurrencyOptions",
    "EntityNotRegisteredError",
    "EntityWorkItemFilter",
    "ExceptionPropertiesProvider",
    "GrpcWorkerResiliencyOptions",
    "OrchestrationWorkItemFilter",
    "OrchestratorNotRegisteredError",
    "TaskHubGrpcWorker",
    "VersionFailureStrategy",
    "VersionMatchStrategy",
    "VersioningOptions",
    "WorkItemFilters",
    "WorkerStart",
]


class TaskHubGrpcWorker(WorkerBase):
    """A worker of a gRPC server.

    Options as ``TaskHubGrpcClient``. A ``channel`` that is given stays its owner's: it is never closed or replaced.
    Timers beyond ``maximum_timer_interval`` are made of several; None: of one.
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
        interceptors: Sequence[Any] | None = None,
        channel_options: GrpcChannelOptions | None = None,
        resiliency_options: GrpcWorkerResiliencyOptions | None = None,
        concurrency_options: ConcurrencyOptions | None = None,
        maximum_timer_interval: timedelta | None = DEFAULT_MAXIMUM_TIMER_INTERVAL,
        payload_store: "PayloadStore | None" = None,
        data_converter: DataConverter | None = None,
        emit_trace_spans: bool = True,
        exception_properties_provider: ExceptionPropertiesProvider | None = None,
    ) -> None:
        super().__init__(
            concurrency_options=concurrency_options,
            maximum_timer_interval=maximum_timer_interval,
            data_converter=data_converter,
            emit_trace_spans=emit_trace_spans,
            exception_properties_provider=exception_properties_provider,
            logger=client_logger("worker", log_handler, log_formatter, logger),
        )
        self._host_address = host_address
        said = None if metadata is None else list(metadata)
        self._headers: Callable[[], Sequence[tuple[str, str]] | None] = lambda: said
        self._ca_file: str | None = None
        self._channel = channel
        self._secure_channel = secure_channel
        self._interceptors = list(interceptors or ())
        self._channel_options = channel_options
        self._resiliency = resiliency_options or GrpcWorkerResiliencyOptions()
        self._payload_store = payload_store
        if payload_store is not None:
            self.add_capability(LARGE_PAYLOADS)

    def _on_activity_execution_started(self, req: Any) -> None:
        """For subclasses: an activity is about to run, on the thread of the call."""

    def _on_activity_execution_completed(self, req: Any) -> None:
        """For subclasses: an activity has ended."""

    def _activity_hooks(self) -> "ActivityHooks | None":
        """Those of a subclass; None when there are none."""
        from durabletask.working.activity_hooks import ActivityHooks

        kind, base = type(self), TaskHubGrpcWorker
        if (
            kind._on_activity_execution_started is base._on_activity_execution_started
            and kind._on_activity_execution_completed is base._on_activity_execution_completed
        ):
            return None
        return ActivityHooks(self._on_activity_execution_started, self._on_activity_execution_completed)

    def _make_runtime(self, definitions: Definitions, user_loop: UserLoop) -> Runtime:
        return self._grpc_runtime(definitions, user_loop)

    def _grpc_runtime(self, definitions: Definitions, user_loop: UserLoop) -> Runtime:
        from durabletask.transports.channels import ChannelTerms, blocking_channel
        from durabletask.working.activity_hooks import ActivityHooks
        from durabletask.working.grpc_runtime import GrpcRuntime, GrpcTerms
        from durabletask.working.payload_transfer import NoTransfer, StoreTransfer
        from durabletask.working.spans import WorkerSpans

        channel = self._channel
        terms = ChannelTerms.of(self._host_address, self._secure_channel, self._channel_options, self._ca_file)
        store = self._payload_store
        return GrpcRuntime(
            GrpcTerms(
                open_channel=lambda: channel or blocking_channel(terms, self._interceptors),
                owns_channel=channel is None,
                headers=self._headers,
                resiliency=self._resiliency,
                concurrency=self._concurrency,
                versioning=self._versioning or VersioningOptions(),
                filters=self._work_item_filters(),
                capabilities=sorted(self._capabilities),
                logger=self._logger,
                payloads=NoTransfer() if store is None else StoreTransfer(store),
                hooks=self._activity_hooks() or ActivityHooks(),
                spans=WorkerSpans(emits=self._emit_trace_spans),
            ),
            definitions,
            user_loop,
        )
