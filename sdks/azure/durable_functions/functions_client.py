"""DurableFunctionsClient: the client of two-argument functions, which answers all names of one-argument ones too."""

from datetime import datetime, timedelta
from typing import Any

from azure.functions import HttpRequest, HttpResponse

from azure.durable_functions.client import DurableOrchestrationClient
from azure.durable_functions.entity_id import EntityId, address_of
from azure.durable_functions.names import plain
from azure.durable_functions.native_payloads import NATIVE_CONVERTER
from azure.durable_functions.portable_answers import utc
from azure.durable_functions.status import DurableOrchestrationStatus, EntityStateResponse
from durabletask.entities import EntityInstanceId


class DurableFunctionsClient(DurableOrchestrationClient):
    """As DurableOrchestrationClient, with the newer defaults: inputs are shown on request, reasons may be left out."""

    async def get_status(
        self, instance_id: str, show_history: bool = False, show_history_output: bool = False, show_input: bool = False
    ) -> DurableOrchestrationStatus:
        """The status of one instance, false when there is none; its input only with ``show_input``."""
        status = await super().get_status(instance_id, show_history, show_history_output, show_input)
        return status if show_input else status.without_input()

    async def terminate(self, instance_id: str, reason: Any = None, *, recursive: bool = False) -> None:
        """End an orchestration; ``reason``, any JSON value, becomes its output."""
        text = reason if isinstance(reason, str) else NATIVE_CONVERTER.serialize(reason)
        await super().terminate(instance_id, text or "", recursive=recursive)

    async def suspend(self, instance_id: str, reason: str | None = None) -> None:
        """Hold an orchestration back until it is resumed."""
        await super().suspend(instance_id, reason or "")

    async def resume(self, instance_id: str, reason: str | None = None) -> None:
        """Let a suspended orchestration go on."""
        await super().resume(instance_id, reason or "")

    async def signal_entity(  # pyright: ignore[reportIncompatibleMethodOverride] - the two generations' names in one
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
        address = address_of(entityId if entity_instance_id is None else entity_instance_id)
        if not operation_name:
            raise ValueError("signal_entity needs the name of an operation.")
        text = NATIVE_CONVERTER.serialize(operation_input if input is None else input)
        if task_hub_name is None and connection_name is None:
            await self.attached.signal_entity(address, plain(operation_name), text, due_at=utc(signal_time))
        elif signal_time is None:
            entity_id, value = EntityId.of_address(address), NATIVE_CONVERTER.deserialize(text)
            await super().signal_entity(entity_id, operation_name, value, task_hub_name, connection_name)
        else:
            raise ValueError("signal_time is for entities of this host: leave out task_hub_name and connection_name.")

    async def read_entity_state(  # pyright: ignore[reportIncompatibleMethodOverride] - as above
        self,
        entity_instance_id: EntityInstanceId | None = None,
        task_hub_name: str | None = None,
        connection_name: str | None = None,
        *,
        entityId: EntityInstanceId | None = None,
    ) -> EntityStateResponse:
        """An entity's last committed state."""
        address = address_of(entityId if entity_instance_id is None else entity_instance_id)
        return await super().read_entity_state(EntityId.of_address(address), task_hub_name, connection_name)

    async def wait_for_completion_or_create_check_status_response(
        self,
        request: HttpRequest | None,
        instance_id: str,
        timeout_in_milliseconds: int = 10000,
        retry_interval_in_milliseconds: int = 1000,
        *,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - the published signature
        retry_interval: timedelta | None = None,
        return_internal_server_error_on_failure: bool = False,
    ) -> HttpResponse:
        """The output once the instance has ended, or after the time-out the check-status answer; a failure is 200."""
        return await super().wait_for_completion_or_create_check_status_response(
            request,
            instance_id,
            timeout_in_milliseconds,
            retry_interval_in_milliseconds,
            timeout=timeout,
            retry_interval=retry_interval,
            return_internal_server_error_on_failure=return_internal_server_error_on_failure,
        )
