"""Signalling, reading and listing entities."""

from datetime import datetime

from perdure.client.options import ClientOptions, FunctionKind
from perdure.client.payloads import check_payload
from perdure.contracts.clock import Clock
from perdure.contracts.errors import InvalidInput
from perdure.contracts.storage import Storage
from perdure.core.identifiers import EntityId, entity_id_of
from perdure.core.instance import InstanceKind
from perdure.core.messages import Envelope, OperationRequest


async def signal(
    storage: Storage,
    clock: Clock,
    options: ClientOptions,
    entity_id: EntityId,
    operation: str,
    input: str | None,
    due_at: datetime | None,
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
    await storage.send(Envelope(target=str(entity_id), message=OperationRequest(operation, input), due_at=due_at))


async def read_state(storage: Storage, entity_id: EntityId) -> str | None:
    """The last committed state; None when the entity does not exist."""
    record = await storage.get(str(entity_id))
    if record is None or record.origin.kind is not InstanceKind.ENTITY:
        return None
    return record.progress.state
