"""Reading instances: one, waiting for one, its history, many (grpc.md §8.3, §8.4)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from perdure.client import EndedFilter, InstanceKind, InstanceRecord, PageKey, RuntimeStatus
from perdure.client.queries import PAGE_SIZE_MAX
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.events import HistoryWriter, history_chunks
from perdure.formats.protobuf.instances import read_instance_query, write_state
from perdure.formats.protobuf.times import read_time
from perdure.grpc_api.calls import Call, Streaming, Unary
from perdure.grpc_api.page_tokens import read_ended_token, read_page_token, write_ended_token, write_page_token
from perdure.grpc_api.requests import said, statuses_of
from perdure.grpc_api.statuses import Code, Refused

PAGE_SIZE = 100
PAGE_BYTES_MAX = 3 * 1024 * 1024
"""Clients take messages of 4 MiB unless they say more."""
APPEARS_SECONDS_MAX = 30.0
"""How long an instance that is not there yet is waited for when the caller sets no deadline."""
SWEEP_SECONDS = 30.0
"""So often a waiter looks whether what it waits for still exists."""
ANSWER_SECONDS = 0.25
"""So long before the caller's deadline it is told that there is no such instance."""
EVENTS_IN_TURN_MAX = 1_000


async def get_instance(request: Any, call: Call) -> Any:
    """What is known of an orchestration."""
    return _answer(await _orchestration(call, request.instanceId), request)


async def wait_for_start(request: Any, call: Call) -> Any:
    """What is known of an orchestration once it is no longer Pending."""
    return await _wait(request, call, call.client.wait_for_start)


async def wait_for_completion(request: Any, call: Call) -> Any:
    """What is known of an orchestration once it has ended."""
    return await _wait(request, call, call.client.wait_for_completion)


async def _wait(request: Any, call: Call, wait: Callable[[str, float | None], Awaitable[InstanceRecord | None]]) -> Any:
    """Wait as long as the caller does; for an instance to appear, until just before that."""

    async def reached() -> InstanceRecord | None:
        if await _orchestration(call, request.instanceId) is None:
            left = call.seconds_left()
            seconds = APPEARS_SECONDS_MAX if left is None else max(left - ANSWER_SECONDS, left / 2)
            if await call.client.wait_for_any_status(request.instanceId, seconds) is None:
                return None
        while await _orchestration(call, request.instanceId) is not None:
            record = await wait(request.instanceId, SWEEP_SECONDS)
            if record is not None:
                return record
        return None

    return _answer(await call.unless_stopping(reached()), request)


async def _orchestration(call: Call, instance_id: str) -> InstanceRecord | None:
    record = await call.client.get(instance_id)
    return record if record is not None and record.origin.kind is InstanceKind.ORCHESTRATION else None


def _answer(record: InstanceRecord | None, request: Any) -> Any:
    answer = pb.GetInstanceResponse(exists=record is not None)
    if record is not None:
        answer.orchestrationState.CopyFrom(write_state(record, with_payloads=request.getInputsAndOutputs))
    return answer


async def query_instances(request: Any, call: Call) -> Any:
    """One page of orchestrations by creation time, then id."""
    query = request.query
    answer = pb.QueryInstancesResponse()
    names = [name.value.lower() for name in query.taskHubNames]
    if names and call.hub_name.lower() not in names:
        return answer
    token = said(query, "continuationToken")
    after = None if token is None else read_page_token(token)
    page = await call.client.query(read_instance_query(query), _page_size(query.maxInstanceCount), after)
    size = 0
    next_key = page.next_key
    for number, record in enumerate(page.records):
        state = write_state(record, with_payloads=query.fetchInputsAndOutputs)
        size += state.ByteSize()
        if number and size > PAGE_BYTES_MAX:
            last = page.records[number - 1].origin
            next_key = PageKey(last.created_at, last.instance_id)
            break
        answer.orchestrationState.append(state)
    if next_key is not None:
        answer.continuationToken.value = write_page_token(next_key)
    return answer


async def list_instance_ids(request: Any, call: Call) -> Any:
    """One page of ids of ended orchestrations by when they ended, then id."""
    statuses: frozenset[RuntimeStatus] | None = statuses_of(request.runtimeStatus) or None
    filter_ = EndedFilter(
        read_time(request.completedTimeFrom) if request.HasField("completedTimeFrom") else None,
        read_time(request.completedTimeTo) if request.HasField("completedTimeTo") else None,
        statuses,
    )
    token = said(request, "lastInstanceKey")
    after = None if token is None else read_ended_token(token)
    page = await call.client.list_ended(filter_, _page_size(request.pageSize), after)
    answer = pb.ListInstanceIdsResponse(instanceIds=page.instance_ids)
    if page.next_key is not None:
        answer.lastInstanceKey.value = write_ended_token(page.next_key)
    return answer


def _page_size(asked: int) -> int:
    return min(asked, PAGE_SIZE_MAX) if asked > 0 else PAGE_SIZE


async def stream_history(request: Any, call: Call) -> None:
    """To a worker the past of the turn it has; to a client all that is committed of an execution."""
    if request.forWorkItemProcessing:
        await call.hub.work_items.stream_past(request, call.context)
        return
    instance_id: str = request.instanceId
    record = await _orchestration(call, instance_id)
    execution_id = said(request, "executionId")
    if record is None or execution_id not in (None, record.origin.execution_id):
        of = "" if record is None else f" with the execution '{execution_id}'"
        raise Refused(Code.NOT_FOUND, f"There is no orchestration instance with the id '{instance_id}'{of}.")
    history = await call.client.history(instance_id)

    def chunks() -> list[bytes]:
        return list(history_chunks(HistoryWriter(instance_id, record.origin.execution_id).whole(history)))

    # A long history is encoded beside the engine's loop, not in its turn.
    encoded = chunks() if len(history) <= EVENTS_IN_TURN_MAX else await asyncio.to_thread(chunks)
    for chunk in encoded:
        await call.write(chunk)


QUERY_CALLS: dict[str, Unary] = {
    "GetInstance": get_instance,
    "WaitForInstanceStart": wait_for_start,
    "WaitForInstanceCompletion": wait_for_completion,
    "QueryInstances": query_instances,
    "ListInstanceIds": list_instance_ids,
}
QUERY_STREAMS: dict[str, Streaming] = {"StreamInstanceHistory": stream_history}
