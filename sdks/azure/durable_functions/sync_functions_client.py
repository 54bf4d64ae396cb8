"""SyncDurableFunctionsClient: the client of two-argument functions for plain ``def`` functions; each call waits."""

import functools
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from azure.functions import HttpRequest, HttpResponse

from azure.durable_functions.blocking_client import BlockingDurableOrchestrationClient
from azure.durable_functions.functions_client import DurableFunctionsClient
from azure.durable_functions.status import DurableOrchestrationStatus, EntityStateResponse
from durabletask.entities import EntityInstanceId, EntityMetadata
from durabletask.history import HistoryEvent
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

T = TypeVar("T")


class SyncDurableFunctionsClient(BlockingDurableOrchestrationClient):
    """A DurableFunctionsClient whose methods block; the other names of the async one answer here too."""

    _client: DurableFunctionsClient

    def __init__(self, client_as_string: str, function_invocation_id: str | None = None) -> None:
        super().__init__(DurableFunctionsClient(client_as_string, function_invocation_id))

    @staticmethod
    @functools.lru_cache(maxsize=64)
    def get_cached(client_as_string: str) -> "SyncDurableFunctionsClient":
        """The one client for that binding text."""
        return SyncDurableFunctionsClient(client_as_string)

    def create_check_status_response(
        self, request: HttpRequest | None, instance_id: str, return_internal_server_error_on_failure: bool = False
    ) -> HttpResponse:
        """The 202 answer whose body and headers tell where to follow and steer the instance."""
        return self._client.create_check_status_response(request, instance_id, return_internal_server_error_on_failure)

    def schedule_new_orchestration(
        self,
        orchestrator: Callable[..., Any] | str,
        *,
        input: Any | None = None,
        instance_id: str | None = None,
        start_at: datetime | None = None,
        reuse_id_policy: IdReusePolicy | None = None,
        tags: dict[str, str] | None = None,
        version: str | None = None,
    ) -> str:
        """Start an orchestration, at ``start_at`` if given, and give its id once the start is stored."""
        return self._wait(
            lambda: self._client.schedule_new_orchestration(
                orchestrator,
                input=input,
                instance_id=instance_id,
                start_at=start_at,
                reuse_id_policy=reuse_id_policy,
                tags=tags,
                version=version,
            )
        )

    def get_orchestration_state(self, instance_id: str, *, fetch_payloads: bool = True) -> OrchestrationState | None:
        """One orchestration; None when there is none of that id."""
        return self._wait(lambda: self._client.get_orchestration_state(instance_id, fetch_payloads=fetch_payloads))

    def wait_for_orchestration_start(
        self, instance_id: str, *, fetch_payloads: bool = False, timeout: float | None = 60
    ) -> OrchestrationState | None:
        """Wait until the orchestration runs. None: no such instance. Raises TimeoutError; no ``timeout``: for ever."""
        return self._wait(
            lambda: self._client.wait_for_orchestration_start(
                instance_id, fetch_payloads=fetch_payloads, timeout=timeout
            )
        )

    def wait_for_orchestration_completion(
        self, instance_id: str, *, fetch_payloads: bool = True, timeout: float | None = 60
    ) -> OrchestrationState | None:
        """Wait until the orchestration has ended, however. None: no such instance. Raises TimeoutError."""
        return self._wait(
            lambda: self._client.wait_for_orchestration_completion(
                instance_id, fetch_payloads=fetch_payloads, timeout=timeout
            )
        )

    def get_all_orchestration_states(
        self, orchestration_query: OrchestrationQuery | None = None
    ) -> list[OrchestrationState]:
        """Every orchestration that fits the query; asked for in pages of at most ``max_instance_count``."""
        return self._wait(lambda: self._client.get_all_orchestration_states(orchestration_query))

    def list_instance_ids(
        self,
        runtime_status: list[OrchestrationStatus] | None = None,
        completed_time_from: datetime | None = None,
        completed_time_to: datetime | None = None,
        page_size: int | None = None,
        continuation_token: str | None = None,
    ) -> Page[str]:
        """Ids of orchestrations that have ended, in the order of their ends, a page at a time."""
        return self._wait(
            lambda: self._client.list_instance_ids(
                runtime_status, completed_time_from, completed_time_to, page_size, continuation_token
            )
        )

    def get_orchestration_history(
        self, instance_id: str, *, execution_id: str | None = None, for_work_item_processing: bool = False
    ) -> list[HistoryEvent]:
        """The events of an orchestration's current execution. Raises InstanceNotFound, for another execution too."""
        return self._wait(
            lambda: self._client.get_orchestration_history(
                instance_id, execution_id=execution_id, for_work_item_processing=for_work_item_processing
            )
        )

    def raise_orchestration_event(self, instance_id: str, event_name: str, *, data: Any | None = None) -> None:
        """Give an orchestration a named event. Raises InstanceFinished."""
        return self._wait(lambda: self._client.raise_orchestration_event(instance_id, event_name, data=data))

    def terminate_orchestration(self, instance_id: str, *, output: Any | None = None, recursive: bool = True) -> None:
        """End an orchestration and its sub-orchestrations; ``output`` becomes its output."""
        return self._wait(lambda: self._client.terminate_orchestration(instance_id, output=output, recursive=recursive))

    def suspend_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """Hold an orchestration back until it is resumed."""
        return self._wait(lambda: self._client.suspend_orchestration(instance_id, reason=reason))

    def resume_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """Let a suspended orchestration go on."""
        return self._wait(lambda: self._client.resume_orchestration(instance_id, reason=reason))

    def rewind_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """Let a failed orchestration go on from before its failure. Raises InstanceNotFailed, InstanceFinished."""
        return self._wait(lambda: self._client.rewind_orchestration(instance_id, reason=reason))

    def restart_orchestration(self, instance_id: str, *, restart_with_new_instance_id: bool = False) -> str:
        """Start an orchestration again with its input and version, under its own id or a new one; gives that id."""
        return self._wait(
            lambda: self._client.restart_orchestration(
                instance_id, restart_with_new_instance_id=restart_with_new_instance_id
            )
        )

    def purge_orchestration(self, instance_id: str, recursive: bool = True) -> PurgeInstancesResult:
        """Remove an orchestration that has ended; one that has not, or does not exist, counts nothing."""
        return self._wait(lambda: self._client.purge_orchestration(instance_id, recursive))

    def purge_orchestrations_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: list[OrchestrationStatus] | None = None,
        recursive: bool = False,
        timeout: timedelta | None = None,
    ) -> PurgeInstancesResult:
        """Remove the orchestrations that have ended and fit, all of them; ``timeout`` is not needed here."""
        return self._wait(
            lambda: self._client.purge_orchestrations_by(
                created_time_from, created_time_to, runtime_status, recursive, timeout
            )
        )

    def get_entity(self, entity_instance_id: EntityInstanceId, include_state: bool = True) -> EntityMetadata | None:
        """One entity as it was committed last; None when there is none."""
        return self._wait(lambda: self._client.get_entity(entity_instance_id, include_state))

    def get_all_entities(self, entity_query: EntityQuery | None = None) -> list[EntityMetadata]:
        """Every entity that fits the query."""
        return self._wait(lambda: self._client.get_all_entities(entity_query))

    def clean_entity_storage(
        self, remove_empty_entities: bool = True, release_orphaned_locks: bool = True
    ) -> CleanEntityStorageResult:
        """Forget entities without a state, and release locks whose holder has ended."""
        return self._wait(lambda: self._client.clean_entity_storage(remove_empty_entities, release_orphaned_locks))

    def get_status(
        self, instance_id: str, show_history: bool = False, show_history_output: bool = False, show_input: bool = False
    ) -> DurableOrchestrationStatus:
        """The status of one instance, false when there is none; its input only with ``show_input``."""
        return self._wait(lambda: self._client.get_status(instance_id, show_history, show_history_output, show_input))

    def terminate(self, instance_id: str, reason: Any = None, *, recursive: bool = False) -> None:
        """End an orchestration; ``reason``, any JSON value, becomes its output."""
        return self._wait(lambda: self._client.terminate(instance_id, reason, recursive=recursive))

    def suspend(self, instance_id: str, reason: str | None = None) -> None:
        """Hold an orchestration back until it is resumed."""
        return self._wait(lambda: self._client.suspend(instance_id, reason))

    def resume(self, instance_id: str, reason: str | None = None) -> None:
        """Let a suspended orchestration go on."""
        return self._wait(lambda: self._client.resume(instance_id, reason))

    def signal_entity(
        self,
        entity_instance_id: EntityInstanceId | None = None,
        operation_name: str = "",
        input: Any = None,
        signal_time: datetime | None = None,
        *,
        entityId: EntityInstanceId | None = None,
        operation_input: Any = None,
        task_hub_name: str | None = None,
        connection_name: str | None = None,
    ) -> None:
        """Ask for an entity's operation, not before ``signal_time``; returns once the request is stored."""
        return self._wait(
            lambda: self._client.signal_entity(
                entity_instance_id,
                operation_name,
                input,
                signal_time,
                entityId=entityId,
                operation_input=operation_input,
                task_hub_name=task_hub_name,
                connection_name=connection_name,
            )
        )

    def read_entity_state(
        self,
        entity_instance_id: EntityInstanceId | None = None,
        task_hub_name: str | None = None,
        connection_name: str | None = None,
        *,
        entityId: EntityInstanceId | None = None,
    ) -> EntityStateResponse:
        """An entity's last committed state."""
        return self._wait(
            lambda: self._client.read_entity_state(
                entity_instance_id, task_hub_name, connection_name, entityId=entityId
            )
        )

    def wait_for_completion_or_create_check_status_response(
        self,
        request: HttpRequest | None,
        instance_id: str,
        timeout_in_milliseconds: int = 10000,
        retry_interval_in_milliseconds: int = 1000,
        *,
        timeout: timedelta | None = None,
        retry_interval: timedelta | None = None,
        return_internal_server_error_on_failure: bool = False,
    ) -> HttpResponse:
        """The output once the instance has ended, or after the time-out the check-status answer; a failure is 200."""
        return self._wait(
            lambda: self._client.wait_for_completion_or_create_check_status_response(
                request,
                instance_id,
                timeout_in_milliseconds,
                retry_interval_in_milliseconds,
                timeout=timeout,
                retry_interval=retry_interval,
                return_internal_server_error_on_failure=return_internal_server_error_on_failure,
            )
        )

    def _wait(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return self._client.transport.blocking(call)
