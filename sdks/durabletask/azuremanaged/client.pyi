# The types of a client's two styles: its calls block (Sync) or are awaited (Async), as the constructor's form says.
# A test compares the methods with those of client.py.
# pyright: reportIncompatibleMethodOverride=false
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Generic, Literal, Self, overload

import grpc
import grpc.aio
from typing_extensions import TypeVar

from durabletask.async_calls import AsyncCalls
from durabletask.azuremanaged.connection_string import ConnectionString
from durabletask.azuremanaged.credentials import AsyncTokenCredential, TokenCredential
from durabletask.blocking_calls import BlockingCalls
from durabletask.client import AsyncTaskHubGrpcClient, TaskHubGrpcClient
from durabletask.entities.instance_id import EntityInstanceId
from durabletask.entities.metadata import EntityMetadata
from durabletask.grpc_options import GrpcChannelOptions, GrpcClientResiliencyOptions
from durabletask.history import HistoryEvent
from durabletask.internal.shared import AsyncClientInterceptor, ClientInterceptor
from durabletask.payload import PayloadStore
from durabletask.serialization import DataConverter
from durabletask.states import (
    CleanEntityStorageResult,
    EntityQuery,
    IdReusePolicy,
    OrchestrationQuery,
    OrchestrationState,
    OrchestrationStatus,
    Page,
    PurgeInstancesResult,
)
from perdure.formats.protobuf.messages import OrchestrationIdReusePolicy

class Sync: ...
class Async: ...

Style = TypeVar("Style", bound=Sync | Async, default=Sync)

class SyncClientView(BlockingCalls): ...
class AsyncClientView(AsyncCalls): ...

class DurableTaskSchedulerClient(TaskHubGrpcClient, Generic[Style]):
    @overload
    def __init__(
        self: DurableTaskSchedulerClient[Async],
        connection_string: str | ConnectionString,
        /,
        *,
        mode: Literal["async"] | None = None,
        resource_id: str | None = None,
        channel: grpc.Channel | None = None,
        interceptors: Sequence[ClientInterceptor | AsyncClientInterceptor] | None = None,
        channel_options: GrpcChannelOptions | None = None,
        resiliency_options: GrpcClientResiliencyOptions | None = None,
        default_version: str | None = None,
        payload_store: PayloadStore | None = None,
        data_converter: DataConverter | None = None,
        log_handler: logging.Handler | None = None,
        log_formatter: logging.Formatter | None = None,
        logger: logging.Logger | None = None,
        emit_trace_spans: bool = True,
    ) -> None: ...
    @overload
    def __init__(
        self: DurableTaskSchedulerClient[Sync],
        connection_string: str | ConnectionString,
        /,
        *,
        mode: Literal["sync"],
        resource_id: str | None = None,
        channel: grpc.Channel | None = None,
        interceptors: Sequence[ClientInterceptor] | None = None,
        channel_options: GrpcChannelOptions | None = None,
        resiliency_options: GrpcClientResiliencyOptions | None = None,
        default_version: str | None = None,
        payload_store: PayloadStore | None = None,
        data_converter: DataConverter | None = None,
        log_handler: logging.Handler | None = None,
        log_formatter: logging.Formatter | None = None,
        logger: logging.Logger | None = None,
        emit_trace_spans: bool = True,
    ) -> None: ...
    @overload
    def __init__(
        self: DurableTaskSchedulerClient[Sync],
        *,
        host_address: str,
        taskhub: str,
        token_credential: TokenCredential | None,
        secure_channel: bool = True,
        resource_id: str | None = None,
        channel: grpc.Channel | None = None,
        interceptors: Sequence[ClientInterceptor] | None = None,
        channel_options: GrpcChannelOptions | None = None,
        resiliency_options: GrpcClientResiliencyOptions | None = None,
        default_version: str | None = None,
        payload_store: PayloadStore | None = None,
        data_converter: DataConverter | None = None,
        log_handler: logging.Handler | None = None,
        log_formatter: logging.Formatter | None = None,
        logger: logging.Logger | None = None,
        emit_trace_spans: bool = True,
    ) -> None: ...
    @property
    def sync(self) -> SyncClientView: ...
    @property
    def aio(self) -> AsyncClientView: ...
    @overload
    def schedule_new_orchestration(
        self: DurableTaskSchedulerClient[Async],
        orchestrator: Callable[..., Any] | str,
        *,
        input: Any | None = None,
        instance_id: str | None = None,
        start_at: datetime | None = None,
        reuse_id_policy: IdReusePolicy | OrchestrationIdReusePolicy | None = None,
        tags: dict[str, str] | None = None,
        version: str | None = None,
    ) -> Coroutine[Any, Any, str]: ...
    @overload
    def schedule_new_orchestration(
        self: DurableTaskSchedulerClient[Sync],
        orchestrator: Callable[..., Any] | str,
        *,
        input: Any | None = None,
        instance_id: str | None = None,
        start_at: datetime | None = None,
        reuse_id_policy: IdReusePolicy | OrchestrationIdReusePolicy | None = None,
        tags: dict[str, str] | None = None,
        version: str | None = None,
    ) -> str: ...
    @overload
    def get_orchestration_state(
        self: DurableTaskSchedulerClient[Async], instance_id: str, *, fetch_payloads: bool = True
    ) -> Coroutine[Any, Any, OrchestrationState | None]: ...
    @overload
    def get_orchestration_state(
        self: DurableTaskSchedulerClient[Sync], instance_id: str, *, fetch_payloads: bool = True
    ) -> OrchestrationState | None: ...
    @overload
    def get_orchestration_history(
        self: DurableTaskSchedulerClient[Async],
        instance_id: str,
        *,
        execution_id: str | None = None,
        for_work_item_processing: bool = False,
    ) -> Coroutine[Any, Any, list[HistoryEvent]]: ...
    @overload
    def get_orchestration_history(
        self: DurableTaskSchedulerClient[Sync],
        instance_id: str,
        *,
        execution_id: str | None = None,
        for_work_item_processing: bool = False,
    ) -> list[HistoryEvent]: ...
    @overload
    def list_instance_ids(
        self: DurableTaskSchedulerClient[Async],
        runtime_status: list[OrchestrationStatus] | None = None,
        completed_time_from: datetime | None = None,
        completed_time_to: datetime | None = None,
        page_size: int | None = None,
        continuation_token: str | None = None,
    ) -> Coroutine[Any, Any, Page[str]]: ...
    @overload
    def list_instance_ids(
        self: DurableTaskSchedulerClient[Sync],
        runtime_status: list[OrchestrationStatus] | None = None,
        completed_time_from: datetime | None = None,
        completed_time_to: datetime | None = None,
        page_size: int | None = None,
        continuation_token: str | None = None,
    ) -> Page[str]: ...
    @overload
    def get_all_orchestration_states(
        self: DurableTaskSchedulerClient[Async], orchestration_query: OrchestrationQuery | None = None
    ) -> Coroutine[Any, Any, list[OrchestrationState]]: ...
    @overload
    def get_all_orchestration_states(
        self: DurableTaskSchedulerClient[Sync], orchestration_query: OrchestrationQuery | None = None
    ) -> list[OrchestrationState]: ...
    @overload
    def iter_orchestration_states(
        self: DurableTaskSchedulerClient[Async], orchestration_query: OrchestrationQuery | None = None
    ) -> AsyncIterator[OrchestrationState]: ...
    @overload
    def iter_orchestration_states(
        self: DurableTaskSchedulerClient[Sync], orchestration_query: OrchestrationQuery | None = None
    ) -> Iterator[OrchestrationState]: ...
    @overload
    def wait_for_orchestration_start(
        self: DurableTaskSchedulerClient[Async],
        instance_id: str,
        *,
        fetch_payloads: bool = False,
        timeout: float | None = 60,
    ) -> Coroutine[Any, Any, OrchestrationState | None]: ...
    @overload
    def wait_for_orchestration_start(
        self: DurableTaskSchedulerClient[Sync],
        instance_id: str,
        *,
        fetch_payloads: bool = False,
        timeout: float | None = 60,
    ) -> OrchestrationState | None: ...
    @overload
    def wait_for_orchestration_completion(
        self: DurableTaskSchedulerClient[Async],
        instance_id: str,
        *,
        fetch_payloads: bool = True,
        timeout: float | None = 60,
    ) -> Coroutine[Any, Any, OrchestrationState | None]: ...
    @overload
    def wait_for_orchestration_completion(
        self: DurableTaskSchedulerClient[Sync],
        instance_id: str,
        *,
        fetch_payloads: bool = True,
        timeout: float | None = 60,
    ) -> OrchestrationState | None: ...
    @overload
    def raise_orchestration_event(
        self: DurableTaskSchedulerClient[Async], instance_id: str, event_name: str, *, data: Any | None = None
    ) -> Coroutine[Any, Any, None]: ...
    @overload
    def raise_orchestration_event(
        self: DurableTaskSchedulerClient[Sync], instance_id: str, event_name: str, *, data: Any | None = None
    ) -> None: ...
    @overload
    def terminate_orchestration(
        self: DurableTaskSchedulerClient[Async], instance_id: str, *, output: Any | None = None, recursive: bool = True
    ) -> Coroutine[Any, Any, None]: ...
    @overload
    def terminate_orchestration(
        self: DurableTaskSchedulerClient[Sync], instance_id: str, *, output: Any | None = None, recursive: bool = True
    ) -> None: ...
    @overload
    def suspend_orchestration(
        self: DurableTaskSchedulerClient[Async], instance_id: str, *, reason: str | None = None
    ) -> Coroutine[Any, Any, None]: ...
    @overload
    def suspend_orchestration(
        self: DurableTaskSchedulerClient[Sync], instance_id: str, *, reason: str | None = None
    ) -> None: ...
    @overload
    def resume_orchestration(
        self: DurableTaskSchedulerClient[Async], instance_id: str, *, reason: str | None = None
    ) -> Coroutine[Any, Any, None]: ...
    @overload
    def resume_orchestration(
        self: DurableTaskSchedulerClient[Sync], instance_id: str, *, reason: str | None = None
    ) -> None: ...
    @overload
    def rewind_orchestration(
        self: DurableTaskSchedulerClient[Async], instance_id: str, *, reason: str | None = None
    ) -> Coroutine[Any, Any, None]: ...
    @overload
    def rewind_orchestration(
        self: DurableTaskSchedulerClient[Sync], instance_id: str, *, reason: str | None = None
    ) -> None: ...
    @overload
    def restart_orchestration(
        self: DurableTaskSchedulerClient[Async], instance_id: str, *, restart_with_new_instance_id: bool = False
    ) -> Coroutine[Any, Any, str]: ...
    @overload
    def restart_orchestration(
        self: DurableTaskSchedulerClient[Sync], instance_id: str, *, restart_with_new_instance_id: bool = False
    ) -> str: ...
    @overload
    def purge_orchestration(
        self: DurableTaskSchedulerClient[Async], instance_id: str, recursive: bool = True
    ) -> Coroutine[Any, Any, PurgeInstancesResult]: ...
    @overload
    def purge_orchestration(
        self: DurableTaskSchedulerClient[Sync], instance_id: str, recursive: bool = True
    ) -> PurgeInstancesResult: ...
    @overload
    def purge_orchestrations_by(
        self: DurableTaskSchedulerClient[Async],
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: list[OrchestrationStatus] | None = None,
        recursive: bool = False,
        timeout: timedelta | None = None,
    ) -> Coroutine[Any, Any, PurgeInstancesResult]: ...
    @overload
    def purge_orchestrations_by(
        self: DurableTaskSchedulerClient[Sync],
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: list[OrchestrationStatus] | None = None,
        recursive: bool = False,
        timeout: timedelta | None = None,
    ) -> PurgeInstancesResult: ...
    @overload
    def signal_entity(
        self: DurableTaskSchedulerClient[Async],
        entity_instance_id: EntityInstanceId,
        operation_name: str,
        input: Any | None = None,
        signal_time: datetime | None = None,
    ) -> Coroutine[Any, Any, None]: ...
    @overload
    def signal_entity(
        self: DurableTaskSchedulerClient[Sync],
        entity_instance_id: EntityInstanceId,
        operation_name: str,
        input: Any | None = None,
        signal_time: datetime | None = None,
    ) -> None: ...
    @overload
    def get_entity(
        self: DurableTaskSchedulerClient[Async], entity_instance_id: EntityInstanceId, include_state: bool = True
    ) -> Coroutine[Any, Any, EntityMetadata | None]: ...
    @overload
    def get_entity(
        self: DurableTaskSchedulerClient[Sync], entity_instance_id: EntityInstanceId, include_state: bool = True
    ) -> EntityMetadata | None: ...
    @overload
    def get_all_entities(
        self: DurableTaskSchedulerClient[Async], entity_query: EntityQuery | None = None
    ) -> Coroutine[Any, Any, list[EntityMetadata]]: ...
    @overload
    def get_all_entities(
        self: DurableTaskSchedulerClient[Sync], entity_query: EntityQuery | None = None
    ) -> list[EntityMetadata]: ...
    @overload
    def clean_entity_storage(
        self: DurableTaskSchedulerClient[Async], remove_empty_entities: bool = True, release_orphaned_locks: bool = True
    ) -> Coroutine[Any, Any, CleanEntityStorageResult]: ...
    @overload
    def clean_entity_storage(
        self: DurableTaskSchedulerClient[Sync], remove_empty_entities: bool = True, release_orphaned_locks: bool = True
    ) -> CleanEntityStorageResult: ...
    @overload
    def close(self: DurableTaskSchedulerClient[Async]) -> Coroutine[Any, Any, None]: ...
    @overload
    def close(self: DurableTaskSchedulerClient[Sync]) -> None: ...
    def __enter__(self) -> Self: ...
    async def __aenter__(self) -> Self: ...

class AsyncDurableTaskSchedulerClient(AsyncTaskHubGrpcClient):
    @overload
    def __init__(
        self,
        connection_string: str | ConnectionString,
        /,
        *,
        resource_id: str | None = None,
        channel: grpc.aio.Channel | None = None,
        interceptors: Sequence[AsyncClientInterceptor] | None = None,
        channel_options: GrpcChannelOptions | None = None,
        resiliency_options: GrpcClientResiliencyOptions | None = None,
        default_version: str | None = None,
        payload_store: PayloadStore | None = None,
        data_converter: DataConverter | None = None,
        log_handler: logging.Handler | None = None,
        log_formatter: logging.Formatter | None = None,
        logger: logging.Logger | None = None,
        emit_trace_spans: bool = True,
    ) -> None: ...
    @overload
    def __init__(
        self,
        *,
        host_address: str,
        taskhub: str,
        token_credential: AsyncTokenCredential | TokenCredential | None,
        secure_channel: bool = True,
        resource_id: str | None = None,
        channel: grpc.aio.Channel | None = None,
        interceptors: Sequence[AsyncClientInterceptor] | None = None,
        channel_options: GrpcChannelOptions | None = None,
        resiliency_options: GrpcClientResiliencyOptions | None = None,
        default_version: str | None = None,
        payload_store: PayloadStore | None = None,
        data_converter: DataConverter | None = None,
        log_handler: logging.Handler | None = None,
        log_formatter: logging.Formatter | None = None,
        logger: logging.Logger | None = None,
        emit_trace_spans: bool = True,
    ) -> None: ...
