"""What both kinds of clients make of the answers they get."""

from durabletask.client import EntityQuery, OrchestrationState, OrchestrationStatus
from durabletask.entities import EntityMetadata
from durabletask.scheduled.options import PAGE_SIZE_DEFAULT, ScheduleDescription, ScheduleQuery, aware
from durabletask.scheduled.schedule_entity import ENTITY_NAME
from durabletask.scheduled.state import ScheduleState


def check_done(schedule_id: str, operation: str, state: OrchestrationState | None) -> None:
    """Raise RuntimeError when the operation did not complete."""
    if state is not None and state.runtime_status is OrchestrationStatus.COMPLETED:
        return
    if state is None:
        reason = "its orchestration is gone"
    elif state.failure_details is not None:
        reason = state.failure_details.message
    else:
        reason = f"its orchestration is {state.runtime_status}"
    raise RuntimeError(f"The operation '{operation}' of the schedule '{schedule_id}' failed: {reason}")


def description_of(metadata: EntityMetadata | None) -> ScheduleDescription | None:
    """The schedule that the entity keeps; None when it keeps none."""
    state = None if metadata is None else _state_of(metadata)
    return None if metadata is None or state is None else state.describe(metadata.id.key)


def entity_query(query: ScheduleQuery | None) -> EntityQuery:
    """The entities to look at."""
    prefix = (query.schedule_id_prefix if query else None) or ""
    page_size = (query.page_size if query else None) or PAGE_SIZE_DEFAULT
    return EntityQuery(instance_id_starts_with=f"@{ENTITY_NAME}@{prefix}", page_size=page_size)


def matching(found: list[EntityMetadata], query: ScheduleQuery | None) -> list[ScheduleDescription]:
    """The schedules among them that fit."""
    states = [(metadata, _state_of(metadata)) for metadata in found]
    return [state.describe(metadata.id.key) for metadata, state in states if state is not None and _fits(state, query)]


def _state_of(metadata: EntityMetadata) -> ScheduleState | None:
    kept = metadata.get_typed_state()
    state = ScheduleState.from_json(kept) if isinstance(kept, dict) else None
    return None if state is None or state.configuration is None else state


def _fits(state: ScheduleState, query: ScheduleQuery | None) -> bool:
    if query is None:
        return True
    if query.status is not None and state.status is not query.status:
        return False
    created_at = state.created_at
    if query.created_from is not None and (created_at is None or created_at <= aware(query.created_from)):
        return False
    return query.created_to is None or (created_at is not None and created_at < aware(query.created_to))
