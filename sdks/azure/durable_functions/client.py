"""DurableOrchestrationClient: starts, steers and asks about orchestrations and entities of the host it runs in."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.functions import HttpRequest, HttpResponse

from azure.durable_functions.bindings import DurableOrchestrationBindings
from azure.durable_functions.entity_id import EntityId, address_of
from azure.durable_functions.names import plain
from azure.durable_functions.serialization import to_optional_text, to_text
from azure.durable_functions.status import (
    DurableOrchestrationStatus,
    EntityStateResponse,
    OrchestrationRuntimeStatus,
    PurgeHistoryResult,
)
from perdure.client import (
    AttachedClient,
    InstanceFilter,
    InstanceFinished,
    InstanceNotFound,
    InstanceRecord,
    PageKey,
    RuntimeStatus,
    attached,
)
from perdure.formats.http_json import history_rows, plain_value

_PAGE = 1000
_JSON = "application/json"


class DurableOrchestrationClient:
    """The client that a function gets through its ``durable_client_input`` binding.

    Every method that does something is a coroutine. Unknown instances raise InstanceNotFound; finished ones are
    left in peace by terminate, suspend and resume, and raise InstanceFinished for events.
    """

    def __init__(self, context: str, function_invocation_id: str | None = None) -> None:
        self._orchestration_bindings = DurableOrchestrationBindings.from_json(context)
        self._function_invocation_id = function_invocation_id

    @property
    def task_hub(self) -> str | None:
        """The name of the task hub."""
        return self._orchestration_bindings.task_hub_name

    @property
    def attached(self) -> AttachedClient:
        """The client of this process. Raises RuntimeError outside functions run by the host."""
        token = self._orchestration_bindings.client_token
        found = attached.find(token) if token else None
        if found is None:
            raise RuntimeError(
                "This durable client works inside functions that `perdure start` runs: "
                + (
                    "its binding names no client of this process."
                    if not token
                    else "the host it came from has stopped."
                )
            )
        return found

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
        return await self.attached.start(
            plain(orchestration_function_name),
            instance_id=str(instance_id) if instance_id else None,
            input=to_optional_text(client_input),
            version=version or None,
        )

    async def get_status(
        self, instance_id: str, show_history: bool = False, show_history_output: bool = False, show_input: bool = False
    ) -> DurableOrchestrationStatus:
        """The status of one instance, false when there is none. The input is always there, whatever ``show_input``."""
        client = self.attached
        record = await client.get(instance_id)
        if record is None:
            return DurableOrchestrationStatus()
        if not show_history:
            return _status_of(record)
        events = await client.history(instance_id)
        return _status_of(record, history_rows(events, show_input=True, show_output=show_history_output))

    async def get_status_all(self) -> list[DurableOrchestrationStatus]:
        """The status of every orchestration."""
        return await self._query(InstanceFilter())

    async def get_status_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Sequence[OrchestrationRuntimeStatus] | None = None,
        instance_id_prefix: str | None = None,
    ) -> list[DurableOrchestrationStatus]:
        """The status of every orchestration that fits all that is given. Times without a zone are UTC."""
        return await self._query(
            InstanceFilter(
                created_from=_utc(created_time_from),
                created_to=_utc(created_time_to),
                statuses=_statuses(runtime_status),
                id_prefix=instance_id_prefix or None,
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
        await self.attached.raise_event(instance_id, plain(event_name), to_optional_text(event_data))

    async def terminate(self, instance_id: str, reason: str, *, recursive: bool = False) -> None:
        """End an orchestration, with ``recursive`` its sub-orchestrations too. Raises InstanceNotFound."""
        try:
            await self.attached.terminate(instance_id, reason, recursive)
        except InstanceFinished:
            return  # it has ended: what was asked for is so

    async def suspend(self, instance_id: str, reason: str) -> None:
        """Hold an orchestration back until it is resumed. Raises InstanceNotFound."""
        try:
            await self.attached.suspend(instance_id, reason)
        except InstanceFinished:
            return  # as the official client: nothing is left to hold back

    async def resume(self, instance_id: str, reason: str) -> None:
        """Let a suspended orchestration go on. Raises InstanceNotFound."""
        try:
            await self.attached.resume(instance_id, reason)
        except InstanceFinished:
            return  # as the official client: nothing is left to go on

    async def purge_instance_history(self, instance_id: str) -> PurgeHistoryResult:
        """Remove a finished instance. Raises InstanceRunning for one that has not ended."""
        try:
            return PurgeHistoryResult(await self.attached.purge(instance_id))
        except InstanceNotFound:
            return PurgeHistoryResult(0)

    async def purge_instance_history_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Sequence[OrchestrationRuntimeStatus] | None = None,
    ) -> PurgeHistoryResult:
        """Remove the finished instances created in a span of time, up to now unless said. The beginning is required."""
        if created_time_from is None:
            raise ValueError("created_time_from is required: a purge without it would reach every instance.")
        filter_ = InstanceFilter(
            created_from=_utc(created_time_from),
            created_to=_utc(created_time_to) or datetime.now(UTC),
            statuses=_statuses(runtime_status),
        )
        return PurgeHistoryResult(await self.attached.purge_matching(filter_))

    async def read_entity_state(
        self, entityId: EntityId, task_hub_name: str | None = None, connection_name: str | None = None
    ) -> EntityStateResponse:
        """An entity's last committed state."""
        text = await self.attached.read_entity(address_of(entityId))
        return EntityStateResponse(text is not None, plain_value(text))

    async def signal_entity(
        self,
        entityId: EntityId,
        operation_name: str,
        operation_input: Any = None,
        task_hub_name: str | None = None,
        connection_name: str | None = None,
    ) -> None:
        """Ask for an entity's operation, without an answer; returns once the request is stored."""
        await self.attached.signal_entity(
            address_of(entityId), plain(operation_name), to_optional_text(operation_input)
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
        record = await self.attached.wait_for_completion(instance_id, limit.total_seconds())
        if record is None:
            return self.create_check_status_response(request, instance_id)
        return _ended_response(_status_of(record), return_internal_server_error_on_failure)

    async def _query(self, filter_: InstanceFilter) -> list[DurableOrchestrationStatus]:
        client = self.attached
        found: list[DurableOrchestrationStatus] = []
        after: PageKey | None = None
        while True:
            page = await client.query(filter_, _PAGE, after)
            found += [_status_of(record) for record in page.records]
            after = page.next_key
            if after is None:
                return found


def _status_of(record: InstanceRecord, history: list[dict[str, Any]] | None = None) -> DurableOrchestrationStatus:
    origin, progress = record.origin, record.progress
    return DurableOrchestrationStatus(
        name=origin.name,
        instanceId=origin.instance_id,
        createdTime=origin.created_at,
        lastUpdatedTime=progress.updated_at,
        input=plain_value(origin.input),
        output=plain_value(progress.output),
        runtimeStatus=progress.status.name,
        customStatus=plain_value(progress.custom_status),
        history=history,
    )


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


def _statuses(given: Sequence[OrchestrationRuntimeStatus] | None) -> frozenset[RuntimeStatus] | None:
    return frozenset(RuntimeStatus[status.name] for status in given) if given else None
