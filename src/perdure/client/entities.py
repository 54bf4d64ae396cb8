"""Signalling, reading and cleaning entities."""

from datetime import datetime

import msgspec

from perdure.client.options import ClientOptions, FunctionKind
from perdure.client.payloads import check_payload
from perdure.contracts.clock import Clock
from perdure.contracts.errors import InvalidInput
from perdure.contracts.records import InstanceFilter, PageKey
from perdure.contracts.storage import Storage
from perdure.core.identifiers import EntityId, entity_id_of
from perdure.core.instance import InstanceKind, LockHolder
from perdure.core.messages import Envelope, LockRelease, OperationRequest, RemoveWhenEmpty

CLEANED_AT_ONCE = 500


class CleanedEntities(msgspec.Struct, frozen=True):
    """What a clean-up of the entities brought: how many were removed, how many locks released."""

    empty_entities_removed: int = 0
    orphaned_locks_released: int = 0


async def signal(
    storage: Storage,
    clock: Clock,
    options: ClientOptions,
    entity_id: EntityId,
    operation: str,
    *,
    input: str | None,
    due_at: datetime | None,
    request_id: str | None,
    trace_context: str | None = None,
) -> None:
    """Ask for an operation without an answer; returns once the request is durable."""
    entity_id = entity_id_of(entity_id.name, entity_id.key)
    if options.known is not None:
        options.known(FunctionKind.ENTITY, entity_id.name)
    check_payload(operation, "operation name", options.payload_bytes_max)
    check_payload(input, "input", options.payload_bytes_max)
    if due_at is not None:
        if due_at.tzinfo is None:
            raise InvalidInput("The signal's due time has no time zone.")
        due_at = due_at if due_at > clock.now() else None
    request = OperationRequest(operation, input, request_id=request_id, trace_context=trace_context)
    await storage.send(Envelope(target=str(entity_id), message=request, due_at=due_at))


async def purge(storage: Storage, entity_id: EntityId) -> bool:
    """Forget an entity with its state, unless it is locked or has something to do; whether it went."""
    target = str(entity_id)
    if (await storage.get(target)) is None:
        return False
    await storage.send(Envelope(target=target, message=RemoveWhenEmpty(despite_state=True)))
    return (await storage.get(target)) is None


async def read_state(storage: Storage, entity_id: EntityId) -> str | None:
    """The last committed state; None when the entity does not exist."""
    record = await storage.get(str(entity_id))
    if record is None or record.origin.kind is not InstanceKind.ENTITY:
        return None
    return record.progress.state


async def clean(storage: Storage, *, remove_empty_entities: bool, release_orphaned_locks: bool) -> CleanedEntities:
    """Ask every entity without state and lock to go, and every lock whose holder does not run to be released.

    An entity that gets work meanwhile stays, and is counted all the same.
    """
    removed = released = 0
    after: PageKey | None = None
    while True:
        cleaned, after = await clean_page(
            storage,
            remove_empty_entities=remove_empty_entities,
            release_orphaned_locks=release_orphaned_locks,
            after=after,
        )
        removed += cleaned.empty_entities_removed
        released += cleaned.orphaned_locks_released
        if after is None:
            return CleanedEntities(removed, released)


async def clean_page(
    storage: Storage, *, remove_empty_entities: bool, release_orphaned_locks: bool, after: PageKey | None
) -> tuple[CleanedEntities, PageKey | None]:
    """As ``clean``, for the entities of one page; the key is that of the next page."""
    removed = released = 0
    page = await storage.query(InstanceFilter(kind=InstanceKind.ENTITY), CLEANED_AT_ONCE, after)
    for record in page.records:
        entity_id, progress = record.origin.instance_id, record.progress
        holder = progress.locked_by
        if holder is not None:
            if release_orphaned_locks and not await _runs(storage, holder):
                await storage.send(Envelope(entity_id, LockRelease(holder.instance_id, holder.section_id)))
                released += 1
        elif remove_empty_entities and progress.state is None:
            await storage.send(Envelope(entity_id, RemoveWhenEmpty()))
            removed += 1
    return CleanedEntities(removed, released), page.next_key


async def _runs(storage: Storage, holder: LockHolder) -> bool:
    record = await storage.get(holder.instance_id)
    return (
        record is not None
        and record.origin.execution_id == holder.execution_id
        and not record.progress.status.is_terminal
    )
