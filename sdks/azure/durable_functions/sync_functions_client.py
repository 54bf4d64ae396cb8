"""SyncDurableFunctionsClient: the client of two-argument functions for plain ``def`` functions; each call waits."""

import functools
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from azure.functions import HttpRequest, HttpResponse

from azure.durable_functions.blocking_client import BlockingDurableOrchestrationClient
from azure.durable_functions.functions_client import DurableFunctionsClient
from azure.durable_functions.status import DurableOrchestrationStatus, EntityStateResponse
from durabletask.blocking_methods import BlockingMethods
from durabletask.entities import EntityInstanceId

T = TypeVar("T")


class SyncDurableFunctionsClient(BlockingMethods, BlockingDurableOrchestrationClient):
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

    def get_status(
        self, instance_id: str, show_history: bool = False, show_history_output: bool = False, show_input: bool = False
    ) -> DurableOrchestrationStatus:
        """The status of one instance, false when there is none; its input only with ``show_input``."""
        return self._run(lambda: self._client.get_status(instance_id, show_history, show_history_output, show_input))

    def terminate(self, instance_id: str, reason: Any = None, *, recursive: bool = False) -> None:
        """End an orchestration; ``reason``, any JSON value, becomes its output."""
        return self._run(lambda: self._client.terminate(instance_id, reason, recursive=recursive))

    def suspend(self, instance_id: str, reason: str | None = None) -> None:
        """Hold an orchestration back until it is resumed."""
        return self._run(lambda: self._client.suspend(instance_id, reason))

    def resume(self, instance_id: str, reason: str | None = None) -> None:
        """Let a suspended orchestration go on."""
        return self._run(lambda: self._client.resume(instance_id, reason))

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
        return self._run(
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
        return self._run(
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
        return self._run(
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

    @property
    def _calls(self) -> DurableFunctionsClient:
        return self._client

    def _run(self, begin: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return self._client.transport.blocking(begin)
