"""Entities: signal, read, list, clean (grpc.md §11.4)."""

from typing import Any

from perdure.client import InstanceKind, InvalidInput, PageKey
from perdure.client.queries import PAGE_SIZE_MAX
from perdure.core.identifiers import EntityId, read_entity_id
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.instances import read_entity_query, write_entity
from perdure.formats.protobuf.times import read_time
from perdure.formats.protobuf.traces import read_trace
from perdure.grpc_api.calls import Call, Unary
from perdure.grpc_api.page_tokens import read_page_token, write_page_token
from perdure.grpc_api.query_service import PAGE_BYTES_MAX, PAGE_SIZE
from perdure.grpc_api.recent_requests import RecentRequests
from perdure.grpc_api.requests import checked_name, said


class EntityCalls:
    """The calls about entities. A signal that is sent again within minutes is taken once."""

    def __init__(self) -> None:
        self._signals = RecentRequests()

    def calls(self) -> dict[str, Unary]:
        """By name."""
        return {
            "SignalEntity": self.signal_entity,
            "GetEntity": get_entity,
            "QueryEntities": query_entities,
            "CleanEntityStorage": clean_entity_storage,
        }

    async def signal_entity(self, request: Any, call: Call) -> Any:
        """Ask an entity for an operation, later when a time is given."""
        entity_id = _entity_id(request.instanceId)
        operation = checked_name(request.name, "operation name")
        due_at = read_time(request.scheduledTime, "scheduled time") if request.HasField("scheduledTime") else None
        request_id: str = request.requestId

        async def signal() -> None:
            await call.client.signal_entity(
                entity_id,
                operation,
                said(request, "input"),
                due_at=due_at,
                request_id=request_id or None,
                trace_context=read_trace(request),
            )

        if request_id:
            await self._signals.once((call.hub_name.lower(), str(entity_id), request_id), signal)
        else:
            await signal()
        return pb.SignalEntityResponse()


async def get_entity(request: Any, call: Call) -> Any:
    """What is known of an entity that has a state."""
    entity_id = str(_entity_id(request.instanceId))
    record = await call.client.get(entity_id)
    answer = pb.GetEntityResponse()
    if record is not None and record.origin.kind is InstanceKind.ENTITY and record.progress.state is not None:
        waiting = (await call.client.backlog_sizes([entity_id])).get(entity_id, 0)
        answer.exists = True
        answer.entity.CopyFrom(write_entity(record, waiting, with_state=request.includeState))
    return answer


async def query_entities(request: Any, call: Call) -> Any:
    """One page of entities."""
    query = request.query
    token = said(query, "continuationToken")
    after = None if token is None else read_page_token(token)
    asked = query.pageSize.value if query.HasField("pageSize") else 0
    size_max = min(asked, PAGE_SIZE_MAX) if asked > 0 else PAGE_SIZE
    page = await call.client.query(read_entity_query(query), size_max, after)
    sizes = await call.client.backlog_sizes([record.origin.instance_id for record in page.records])
    answer = pb.QueryEntitiesResponse()
    size = 0
    next_key = page.next_key
    for number, record in enumerate(page.records):
        found = write_entity(record, sizes.get(record.origin.instance_id, 0), with_state=query.includeState)
        size += found.ByteSize()
        if number and size > PAGE_BYTES_MAX:
            last = page.records[number - 1].origin
            next_key = PageKey(last.created_at, last.instance_id)
            break
        answer.entities.append(found)
    if next_key is not None:
        answer.continuationToken.value = write_page_token(next_key)
    return answer


async def clean_entity_storage(request: Any, call: Call) -> Any:
    """Forget empty entities and release orphaned locks, for one page of entities."""
    token = said(request, "continuationToken")
    cleaned, next_key = await call.client.clean_some_entities(
        remove_empty_entities=request.removeEmptyEntities,
        release_orphaned_locks=request.releaseOrphanedLocks,
        after=None if token is None else read_page_token(token),
    )
    answer = pb.CleanEntityStorageResponse(
        emptyEntitiesRemoved=cleaned.empty_entities_removed, orphanedLocksReleased=cleaned.orphaned_locks_released
    )
    if next_key is not None:
        answer.continuationToken.value = write_page_token(next_key)
    return answer


def _entity_id(text: str) -> EntityId:
    """Raises InvalidIdentifier, InvalidInput."""
    entity_id = read_entity_id(text)
    if not entity_id.key:
        raise InvalidInput(f"The entity id '{text}' has no key; expected '@name@key'.")
    return entity_id
