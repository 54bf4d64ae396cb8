"""Reading instances: one, its history, what it waits for, many."""

from perdure.contracts.clock import Clock
from perdure.contracts.errors import InvalidInput
from perdure.contracts.records import InstanceFilter, Page, PageKey
from perdure.contracts.storage import Storage
from perdure.core.instance import InstanceKind, InstanceRecord
from perdure.core.waiting_on import WaitingOn, waiting_on

PAGE_SIZE_MAX = 1000


async def query(storage: Storage, filter_: InstanceFilter, limit: int, after: PageKey | None) -> Page:
    """One page. Raises InvalidInput for a page size out of 1..1000."""
    if not 1 <= limit <= PAGE_SIZE_MAX:
        raise InvalidInput(f"A page holds 1 to {PAGE_SIZE_MAX} instances, not {limit}.")
    return await storage.query(filter_, limit, after)


async def reasons_for_waiting(storage: Storage, clock: Clock, record: InstanceRecord) -> list[WaitingOn]:
    """Why the instance is not moving; empty when it has ended or is an idle entity."""
    if record.progress.status.is_terminal:
        return []
    history = [] if record.origin.kind is InstanceKind.ENTITY else await storage.history(record.origin.instance_id)
    return waiting_on(record, history, clock.now())
