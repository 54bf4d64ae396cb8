"""The worker of the hosted scheduler, of our server, and of an engine in this process."""

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from durabletask.azuremanaged.connection_string import ConnectionString
from durabletask.azuremanaged.scheduler_target import UNSET, new_worker_id, target_of
from durabletask.grpc_options import GrpcChannelOptions, GrpcWorkerResiliencyOptions
from durabletask.serialization import DataConverter
from durabletask.worker import ConcurrencyOptions, TaskHubGrpcWorker
from durabletask.working.described_failures import ExceptionPropertiesProvider
from durabletask.working.functions import Definitions
from durabletask.working.runtime import Runtime
from durabletask.working.user_loop import UserLoop

if TYPE_CHECKING:
    import grpc

    from durabletask.payload import PayloadStore

__all__ = ["DurableTaskSchedulerWorker"]


class DurableTaskSchedulerWorker(TaskHubGrpcWorker):
    """Given a connection string, or ``host_address``, ``taskhub`` and ``token_credential``.

    Raises TypeError for a mixture of both forms, ValueError for a string that cannot be read or an empty hub.
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
        channel: "grpc.Channel | None" = None,
        interceptors: Sequence[Any] | None = None,
        channel_options: GrpcChannelOptions | None = None,
        resiliency_options: GrpcWorkerResiliencyOptions | None = None,
        concurrency_options: ConcurrencyOptions | None = None,
        maximum_timer_interval: timedelta | None = None,
        payload_store: "PayloadStore | None" = None,
        data_converter: DataConverter | None = None,
        log_handler: logging.Handler | None = None,
        log_formatter: logging.Formatter | None = None,
        logger: logging.Logger | None = None,
        emit_trace_spans: bool = True,
        exception_properties_provider: ExceptionPropertiesProvider | None = None,
    ) -> None:
        target = self._target = target_of(
            connection_string,
            host_address=host_address,
            taskhub=taskhub,
            token_credential=token_credential,
            secure_channel=secure_channel,
            resource_id=resource_id,
            worker_id=new_worker_id(),
        )
        if target.is_embedded and (channel is not None or interceptors):
            raise ValueError("An embedded hub is reached without gRPC: leave out channel and interceptors.")
        super().__init__(
            host_address=target.address,
            log_handler=log_handler,
            log_formatter=log_formatter,
            logger=logger,
            channel=channel,
            secure_channel=target.is_secure,
            interceptors=interceptors,
            channel_options=channel_options,
            resiliency_options=resiliency_options,
            concurrency_options=concurrency_options,
            maximum_timer_interval=maximum_timer_interval,
            payload_store=payload_store,
            data_converter=data_converter,
            emit_trace_spans=emit_trace_spans,
            exception_properties_provider=exception_properties_provider,
        )
        self._headers = target.headers_now
        self._ca_file = target.ca_file

    def _make_runtime(self, definitions: Definitions, user_loop: UserLoop) -> Runtime:
        if not self._target.is_embedded:
            return self._grpc_runtime(definitions, user_loop)
        from durabletask.working.embedded_runtime import EmbeddedRuntime
        from durabletask.working.spans import WorkerSpans
        from durabletask.working.watching import Watching

        return EmbeddedRuntime(
            self._target.address,
            self._target.task_hub,
            definitions,
            versioning=self._versioning,
            concurrency=self._concurrency,
            user_loop=user_loop,
            logger=self._logger,
            watching=Watching(WorkerSpans(emits=self._emit_trace_spans), self._activity_hooks()),
        )
