"""DurableOrchestrationClient: starts, steers and asks about orchestrations and entities of the host it runs in."""

import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.functions import HttpRequest, HttpResponse

from azure.durable_functions.attached_transport import AttachedTransport
from azure.durable_functions.bindings import DurableOrchestrationBindings
from azure.durable_functions.entity_id import EntityId, address_of
from azure.durable_functions.names import plain
from azure.durable_functions.portable_calls import PortableCalls
from azure.durable_functions.serialization import to_optional_text, to_text
from azure.durable_functions.status import (
    DurableOrchestrationStatus,
    EntityStateResponse,
    OrchestrationRuntimeStatus,
    PurgeHistoryResult,
)
from azure.durable_functions.transport import Place, Shown, StatusFilter, Transport
from azure.durable_functions.web_requests import delete_request, get_request, post_request
from perdure.client import AttachedClient, attached

NO_HOST = (
    "This durable client works inside functions that `perdure start` runs, and with a binding that says where its "
    "host listens: this binding has neither a client of this process nor an rpcBaseUrl or baseUrl."
)
_JSON = "application/json"


class DurableOrchestrationClient(PortableCalls):
    """The client that a function gets through its ``durable_client_input`` binding.

    Every method that does something is a coroutine. Unknown instances raise InstanceNotFound; finished ones are
    left in peace by terminate, suspend and resume, and raise InstanceFinished for events.
    """

    def __init__(self, context: str, function_invocation_id: str | None = None) -> None:
        self._orchestration_bindings = DurableOrchestrationBindings.from_json(context)
        self._function_invocation_id = function_invocation_id
        # Over HTTP every request goes through one of these, which tests replace.
        self._post_async_request: Callable[..., Awaitable[Any]] = post_request
        self._get_async_request: Callable[..., Awaitable[Any]] = get_request
        self._delete_async_request: Callable[..., Awaitable[Any]] = delete_request

    @property
    def task_hub(self) -> str | None:
        """The name of the task hub."""
        return self._orchestration_bindings.task_hub_name

    @property
    def attached(self) -> AttachedClient:
        """The client of this process. Raises RuntimeError outside functions run by the host."""
        found = self._find_attached()
        if found is None:
            raise RuntimeError(NO_HOST)
        return found

    @property
    def transport(self) -> Transport:
        """The way to the hub: in this process where its host runs here, else over HTTP.

        Raises RuntimeError when the binding names neither.
        """
        found = self._find_attached()
        if found is not None:
            return AttachedTransport(found)
        # Here and not at the top: inside a host it is never needed.
        from azure.durable_functions.http_transport import HttpTransport, base_of

        base = base_of(self._orchestration_bindings)
        if base is None:
            raise RuntimeError(NO_HOST)
        return HttpTransport(self, base, self._function_invocation_id)

    def _find_attached(self) -> AttachedClient | None:
        token = self._orchestration_bindings.client_token
        return attached.find(token) if token else None

    async def start_new(
        self,
        orchestration_function_name: str,
        instance_id: str | None = None,
        client_input: Any = None,
        version: str | None = None,
    ) -> str:
        """Start an orchestration and give its id, once the start is stored.

        Raises NotRegistered, listing what there is; ValueError for an id or input that cannot be;
        InstanceExists when an instance of that id has not ended.
        """
        return await self.transport.start(
            plain(orchestration_function_name),
            instance_id=str(instance_id) if instance_id else None,
            input=to_optional_text(client_input),
            version=version or None,
        )

    async def get_status(
        self, instance_id: str, show_history: bool = False, show_history_output: bool = False, show_input: bool = False
    ) -> DurableOrchestrationStatus:
        """The status of one instance, false when there is none. The input is always there, whatever ``show_input``."""
        shown = Shown(history=show_history, history_outputs=show_history_output, input=show_input)
        return await self.transport.status(str(instance_id), shown)

    async def get_status_all(self) -> list[DurableOrchestrationStatus]:
        """The status of every orchestration."""
        return await self.transport.statuses(StatusFilter())

    async def get_status_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Sequence[OrchestrationRuntimeStatus] | None = None,
        instance_id_prefix: str | None = None,
    ) -> list[DurableOrchestrationStatus]:
        """The status of every orchestration that fits all that is given. Times without a zone are UTC."""
        return await self.transport.statuses(
            StatusFilter(
                _utc(created_time_from), _utc(created_time_to), tuple(runtime_status or ()), instance_id_prefix or None
            )
        )

    async def raise_event(
        self,
        instance_id: str,
        event_name: str,
        event_data: Any = None,
        task_hub_name: str | None = None,
        connection_name: str | None = None,
    ) -> None:
        """Give an orchestration a named event. Raises InstanceNotFound, InstanceFinished, ValueError for no name."""
        if not event_name:
            raise ValueError("event_name must be a valid string.")
        await self.transport.raise_event(
            str(instance_id),
            plain(event_name),
            input=to_optional_text(event_data),
            place=Place(task_hub_name, connection_name),
        )

    async def terminate(self, instance_id: str, reason: str, *, recursive: bool = False) -> None:
        """End an orchestration, with ``recursive`` its sub-orchestrations too. Raises InstanceNotFound."""
        await self.transport.terminate(str(instance_id), reason, recursive)

    async def suspend(self, instance_id: str, reason: str) -> None:
        """Hold an orchestration back until it is resumed. Raises InstanceNotFound."""
        await self.transport.suspend(str(instance_id), reason)

    async def resume(self, instance_id: str, reason: str) -> None:
        """Let a suspended orchestration go on. Raises InstanceNotFound."""
        await self.transport.resume(str(instance_id), reason)

    async def rewind(
        self,
        instance_id: str,
        reason: str,
        task_hub_name: str | None = None,
        connection_name: str | None = None,
    ) -> None:
        """Run a failed orchestration again from where it failed. Raises InstanceNotFound, InstanceFinished."""
        await self.transport.rewind(str(instance_id), reason, Place(task_hub_name, connection_name))

    async def restart(self, instance_id: str, restart_with_new_instance_id: bool = True) -> str:
        """Start an orchestration again with its input, under a new id or its own; returns that id.

        Raises InstanceNotFound; InstanceExists when its own id is asked for and it has not ended.
        """
        return await self.transport.restart(str(instance_id), restart_with_new_instance_id)

    async def purge_instance_history(self, instance_id: str) -> PurgeHistoryResult:
        """Remove a finished instance. Raises InstanceRunning for one that has not ended."""
        return PurgeHistoryResult(await self.transport.purge(str(instance_id)))

    async def purge_instance_history_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Sequence[OrchestrationRuntimeStatus] | None = None,
    ) -> PurgeHistoryResult:
        """Remove the finished instances created in a span of time, up to now unless said. The beginning is required."""
        if created_time_from is None:
            raise ValueError("created_time_from is required: a purge without it would reach every instance.")
        end = _utc(created_time_to) or datetime.now(UTC)
        return PurgeHistoryResult(
            await self.transport.purge_matching(StatusFilter(_utc(created_time_from), end, tuple(runtime_status or ())))
        )

    async def read_entity_state(
        self, entityId: EntityId, task_hub_name: str | None = None, connection_name: str | None = None
    ) -> EntityStateResponse:
        """An entity's last committed state."""
        address_of(entityId)
        return await self.transport.read_entity(entityId, Place(task_hub_name, connection_name))

    async def signal_entity(
        self,
        entityId: EntityId,
        operation_name: str,
        operation_input: Any = None,
        task_hub_name: str | None = None,
        connection_name: str | None = None,
    ) -> None:
        """Ask for an entity's operation, without an answer; returns once the request is stored."""
        address_of(entityId)
        await self.transport.signal_entity(
            entityId,
            plain(operation_name),
            input=to_optional_text(operation_input),
            place=Place(task_hub_name, connection_name),
        )

    def create_check_status_response(
        self, request: HttpRequest | None, instance_id: str, return_internal_server_error_on_failure: bool = False
    ) -> HttpResponse:
        """The 202 answer whose body and headers tell where to follow and steer the instance."""
        links = self.get_client_response_links(request, instance_id)
        if return_internal_server_error_on_failure and "statusQueryGetUri" in links:
            links["statusQueryGetUri"] += "&returnInternalServerErrorOnFailure=true"
        headers = {"Content-Type": _JSON, "Location": links.get("statusQueryGetUri", ""), "Retry-After": "10"}
        return HttpResponse(json.dumps(links), status_code=202, headers=headers)

    def create_http_management_payload(
        self, request: HttpRequest | str | None, instance_id: str | None = None
    ) -> dict[str, str]:
        """The links of an instance; called with the id alone, or with the request whose origin the links take."""
        if instance_id is None:
            if not isinstance(request, str):
                raise TypeError("create_http_management_payload needs an instance id.")
            return self.get_client_response_links(None, request)
        return self.get_client_response_links(None if isinstance(request, str) else request, instance_id)

    def get_client_response_links(self, request: HttpRequest | None, instance_id: str) -> dict[str, str]:
        """The links of an instance, with the origin of the request when there is one."""
        return self._orchestration_bindings.links(instance_id, None if request is None else request.url)

    async def wait_for_completion_or_create_check_status_response(
        self,
        request: HttpRequest | None,
        instance_id: str,
        timeout_in_milliseconds: int = 10000,
        retry_interval_in_milliseconds: int = 1000,
        *,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - the published signature
        retry_interval: timedelta | None = None,
        return_internal_server_error_on_failure: bool = True,
    ) -> HttpResponse:
        """The instance's output once it has ended, or after the time-out the check-status answer.

        The host tells when it ends, so the interval is only checked: it must not exceed the time-out.
        """
        limit = timedelta(milliseconds=timeout_in_milliseconds) if timeout is None else timeout
        interval = retry_interval
        if interval is None:
            interval = timedelta(milliseconds=retry_interval_in_milliseconds)
            interval = interval if timeout is None else min(interval, limit)
        if interval > limit:
            raise ValueError(
                f"Total timeout {limit.total_seconds():g} s should be bigger than "
                f"retry interval {interval.total_seconds():g} s."
            )
        status = await self.transport.ended(str(instance_id), limit=limit, interval=interval)
        if status is None:
            return self.create_check_status_response(request, instance_id)
        return _ended_response(status, return_internal_server_error_on_failure)


def _ended_response(status: DurableOrchestrationStatus, failure_is_500: bool) -> HttpResponse:
    if status.runtime_status is OrchestrationRuntimeStatus.Completed:
        output = status.output
        return HttpResponse(output if isinstance(output, str) else to_text(output), status_code=200, mimetype=_JSON)
    failed = status.runtime_status is OrchestrationRuntimeStatus.Failed
    return HttpResponse(
        to_text(status.to_json()), status_code=500 if failed and failure_is_500 else 200, mimetype=_JSON
    )


def _utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
