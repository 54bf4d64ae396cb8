"""HubCalls over gRPC: every question as its message, every answer back. Importing this imports gRPC."""

import time
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from durabletask.call_errors import OrchestrationAlreadyExistsError
from durabletask.entities.instance_id import EntityInstanceId
from durabletask.entities.metadata import EntityMetadata
from durabletask.history import HistoryEvent
from durabletask.hub_calls import EndedQuery, PurgeQuery, SignalRequest, StartRequest
from durabletask.serialization import DataConverter
from durabletask.states import (
    INSTANCES_MAX,
    CleanEntityStorageResult,
    EntityQuery,
    OrchestrationQuery,
    OrchestrationState,
    OrchestrationStatus,
    Page,
    PurgeInstancesResult,
)
from durabletask.transports.rpc_callers import RpcCaller
from durabletask.transports.wire_answers import answered_state, metadata_of, purge_result, state_of, text_of
from durabletask.transports.wire_payloads import PayloadDoor
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.service import RPCS
from perdure.formats.protobuf.times import write_duration, write_time
from perdure.formats.protobuf.traces import write_trace

import grpc  # isort: skip - after rpc_callers, whose error says what is missing

LONG_POLL_SECONDS = 300.0
"""A wait without an end is asked for anew after this time."""


class GrpcHubCalls:
    """See ``durabletask.hub_calls.HubCalls``. Errors of gRPC pass as they are, but for the two that have names."""

    def __init__(self, caller: RpcCaller, converter: DataConverter, payloads: PayloadDoor) -> None:
        self._caller = caller
        self._converter = converter
        self._payloads = payloads

    async def start(self, request: StartRequest) -> str:
        """See ``HubCalls``."""
        message = pb.CreateInstanceRequest(
            instanceId=request.instance_id,
            name=request.name,
            version=_text(request.version),
            input=_text(request.input),
            tags=dict(request.tags or {}),
            requestTime=write_time(datetime.now(UTC)),
        )
        if request.start_at is not None:
            message.scheduledStartTimestamp.CopyFrom(write_time(request.start_at))
        if request.replaceable is not None:
            message.orchestrationIdReusePolicy.replaceableStatus.extend(_statuses(request.replaceable))
            message.orchestrationIdReusePolicy.SetInParent()
        if request.trace is not None:
            message.parentTraceContext.CopyFrom(write_trace(request.trace))
        try:
            answer = await self._ask("StartInstance", message, instance_id=request.instance_id)
        except grpc.RpcError as error:
            if _code(error) is grpc.StatusCode.ALREADY_EXISTS:
                raise OrchestrationAlreadyExistsError(_details(error)) from error
            raise
        return answer.instanceId

    async def get(self, instance_id: str, *, with_payloads: bool) -> OrchestrationState | None:
        """See ``HubCalls``."""
        request = pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=with_payloads)
        return answered_state(await self._ask("GetInstance", request), self._converter)

    async def wait_for_start(
        self, instance_id: str, *, with_payloads: bool, seconds: float | None
    ) -> OrchestrationState | None:
        """See ``HubCalls``."""
        return await self._wait("WaitForInstanceStart", instance_id, with_payloads, seconds)

    async def wait_for_completion(
        self, instance_id: str, *, with_payloads: bool, seconds: float | None
    ) -> OrchestrationState | None:
        """See ``HubCalls``."""
        return await self._wait("WaitForInstanceCompletion", instance_id, with_payloads, seconds)

    async def _wait(
        self, rpc: str, instance_id: str, with_payloads: bool, seconds: float | None
    ) -> OrchestrationState | None:
        request = pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=with_payloads)
        ends_at = None if seconds is None else time.monotonic() + seconds
        while True:
            left = LONG_POLL_SECONDS if ends_at is None else max(0.0, ends_at - time.monotonic())
            try:
                return answered_state(await self._ask(rpc, request, seconds=left), self._converter)
            except grpc.RpcError as error:
                if _code(error) is not grpc.StatusCode.DEADLINE_EXCEEDED:
                    raise
                if ends_at is not None:
                    what = "started" if rpc == "WaitForInstanceStart" else "ended"
                    raise TimeoutError(
                        f"The orchestration '{instance_id}' has not {what} in the {seconds:g} s given."
                    ) from error

    async def query(self, query: OrchestrationQuery, token: str | None) -> Page[OrchestrationState]:
        """See ``HubCalls``."""
        count_max = query.max_instance_count
        message = pb.InstanceQuery(
            runtimeStatus=_statuses(query.runtime_status or ()),
            maxInstanceCount=INSTANCES_MAX if count_max is None else min(count_max, INSTANCES_MAX),
            continuationToken=_text(token),
            instanceIdPrefix=_text(query.instance_id_prefix or None),
            fetchInputsAndOutputs=query.fetch_inputs_and_outputs,
        )
        _set_time(message.createdTimeFrom, query.created_time_from)
        _set_time(message.createdTimeTo, query.created_time_to)
        answer = await self._ask("QueryInstances", pb.QueryInstancesRequest(query=message))
        return Page(
            [state_of(state, self._converter) for state in answer.orchestrationState],
            _next_token(text_of(answer, "continuationToken"), token),
        )

    async def list_ended(self, query: EndedQuery, token: str | None) -> Page[str]:
        """See ``HubCalls``."""
        message = pb.ListInstanceIdsRequest(
            runtimeStatus=_statuses(query.runtime_status or ()),
            pageSize=query.page_size or 0,
            lastInstanceKey=_text(token),
        )
        _set_time(message.completedTimeFrom, query.completed_from)
        _set_time(message.completedTimeTo, query.completed_to)
        answer = await self._ask("ListInstanceIds", message)
        return Page(list(answer.instanceIds), text_of(answer, "lastInstanceKey"))

    async def history(
        self, instance_id: str, *, execution_id: str | None, for_work_item_processing: bool
    ) -> list[HistoryEvent]:
        """See ``HubCalls``."""
        from durabletask.transports.wire_history import shown_event

        request = pb.StreamInstanceHistoryRequest(
            instanceId=instance_id,
            executionId=_text(execution_id),
            forWorkItemProcessing=for_work_item_processing,
        )
        chunks = await self._caller.stream(RPCS["StreamInstanceHistory"], request)
        for chunk in chunks:
            await self._payloads.fetch(chunk)
        return [shown_event(event) for chunk in chunks for event in chunk.events]

    async def raise_event(self, instance_id: str, name: str, data: str | None) -> None:
        """See ``HubCalls``."""
        request = pb.RaiseEventRequest(instanceId=instance_id, name=name, input=_text(data))
        await self._ask("RaiseEvent", request, instance_id=instance_id)

    async def terminate(self, instance_id: str, output: str | None, *, recursive: bool) -> None:
        """See ``HubCalls``."""
        request = pb.TerminateRequest(instanceId=instance_id, output=_text(output), recursive=recursive)
        await self._ask("TerminateInstance", request, instance_id=instance_id)

    async def suspend(self, instance_id: str, reason: str | None) -> None:
        """See ``HubCalls``."""
        await self._ask("SuspendInstance", pb.SuspendRequest(instanceId=instance_id, reason=_text(reason)))

    async def resume(self, instance_id: str, reason: str | None) -> None:
        """See ``HubCalls``."""
        await self._ask("ResumeInstance", pb.ResumeRequest(instanceId=instance_id, reason=_text(reason)))

    async def rewind(self, instance_id: str, reason: str | None) -> None:
        """See ``HubCalls``."""
        await self._ask("RewindInstance", pb.RewindInstanceRequest(instanceId=instance_id, reason=_text(reason)))

    async def restart(self, instance_id: str, *, with_new_id: bool) -> str:
        """See ``HubCalls``."""
        request = pb.RestartInstanceRequest(instanceId=instance_id, restartWithNewInstanceId=with_new_id)
        return (await self._ask("RestartInstance", request)).instanceId

    async def purge(self, instance_id: str, *, recursive: bool) -> PurgeInstancesResult:
        """See ``HubCalls``."""
        request = pb.PurgeInstancesRequest(instanceId=instance_id, recursive=recursive)
        return purge_result(await self._ask("PurgeInstances", request))

    async def purge_matching(self, query: PurgeQuery) -> PurgeInstancesResult:
        """See ``HubCalls``."""
        filter_ = pb.PurgeInstanceFilter(runtimeStatus=_statuses(query.runtime_status or ()))
        _set_time(filter_.createdTimeFrom, query.created_from)
        _set_time(filter_.createdTimeTo, query.created_to)
        if query.timeout is not None:
            filter_.timeout.CopyFrom(write_duration(query.timeout))
        request = pb.PurgeInstancesRequest(purgeInstanceFilter=filter_, recursive=query.recursive)
        return purge_result(await self._ask("PurgeInstances", request))

    async def signal_entity(self, request: SignalRequest) -> None:
        """See ``HubCalls``."""
        message = pb.SignalEntityRequest(
            instanceId=str(request.entity_id),
            name=request.operation,
            input=_text(request.input),
            requestId=request.request_id,
            requestTime=write_time(datetime.now(UTC)),
        )
        _set_time(message.scheduledTime, request.due_at)
        if request.trace is not None:
            message.parentTraceContext.CopyFrom(write_trace(request.trace))
        await self._ask("SignalEntity", message, instance_id=str(request.entity_id))

    async def get_entity(self, entity_id: EntityInstanceId, *, with_state: bool) -> EntityMetadata | None:
        """See ``HubCalls``."""
        request = pb.GetEntityRequest(instanceId=str(entity_id), includeState=with_state)
        answer = await self._ask("GetEntity", request)
        if not answer.exists:
            return None
        return metadata_of(answer.entity, with_state=with_state, converter=self._converter)

    async def query_entities(self, query: EntityQuery, token: str | None) -> Page[EntityMetadata]:
        """See ``HubCalls``."""
        message = pb.EntityQuery(
            instanceIdStartsWith=_text(query.instance_id_starts_with),
            includeState=query.include_state,
            includeTransient=query.include_transient,
            continuationToken=_text(token),
        )
        if query.page_size is not None:
            message.pageSize.value = query.page_size
        _set_time(message.lastModifiedFrom, query.last_modified_from)
        _set_time(message.lastModifiedTo, query.last_modified_to)
        answer = await self._ask("QueryEntities", pb.QueryEntitiesRequest(query=message))
        return Page(
            [metadata_of(e, with_state=query.include_state, converter=self._converter) for e in answer.entities],
            _next_token(text_of(answer, "continuationToken"), token),
        )

    async def clean_entities(
        self, *, remove_empty: bool, release_locks: bool, token: str | None
    ) -> tuple[CleanEntityStorageResult, str | None]:
        """See ``HubCalls``."""
        request = pb.CleanEntityStorageRequest(
            continuationToken=_text(token), removeEmptyEntities=remove_empty, releaseOrphanedLocks=release_locks
        )
        answer = await self._ask("CleanEntityStorage", request)
        result = CleanEntityStorageResult(answer.emptyEntitiesRemoved, answer.orphanedLocksReleased)
        return result, _next_token(text_of(answer, "continuationToken"), token)

    async def close(self) -> None:
        """See ``HubCalls``."""
        await self._caller.close()

    async def _ask(
        self, name: str, request: Any, *, seconds: float | None = None, instance_id: str | None = None
    ) -> Any:
        await self._payloads.put(request, instance_id)
        answer = await self._caller.unary(RPCS[name], request, seconds)
        await self._payloads.fetch(answer)
        return answer


def _text(value: str | None) -> pb.StringValue | None:
    return None if value is None else pb.StringValue(value=value)


def _statuses(statuses: Collection[OrchestrationStatus]) -> list[Any]:
    return [status.value for status in statuses]


def _set_time(field: pb.Timestamp, at: datetime | None) -> None:
    if at is not None:
        field.CopyFrom(write_time(at))


def _next_token(token: str | None, before: str | None) -> str | None:
    """None on the last page: some servers say so with "0", or with the same token once more."""
    return None if token in ("0", before) else token


def _code(error: grpc.RpcError) -> Any:
    return error.code() if isinstance(error, grpc.Call | grpc.aio.AioRpcError) else None


def _details(error: grpc.RpcError) -> str:
    return (error.details() if isinstance(error, grpc.Call | grpc.aio.AioRpcError) else None) or str(error)
