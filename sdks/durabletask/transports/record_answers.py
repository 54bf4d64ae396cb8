"""Records of the task hub as portable programs see them, and their questions as the task hub takes them."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime

from durabletask.entities.instance_id import EntityInstanceId
from durabletask.entities.metadata import EntityMetadata
from durabletask.failures import shown_failure
from durabletask.serialization import DataConverter
from durabletask.states import EntityQuery, OrchestrationQuery, OrchestrationState, OrchestrationStatus
from perdure.client import InstanceFilter, InstanceKind, InstanceRecord, RuntimeStatus
from perdure.core.decisions import failed_output


def state_of(record: InstanceRecord, *, with_payloads: bool, converter: DataConverter) -> OrchestrationState:
    """One orchestration."""
    origin, progress = record.origin, record.progress
    return OrchestrationState(
        instance_id=origin.instance_id,
        name=origin.name,
        runtime_status=OrchestrationStatus(int(progress.status)),
        created_at=_naive(origin.created_at),
        last_updated_at=_naive(progress.updated_at),
        serialized_input=origin.input if with_payloads else None,
        serialized_output=_output_of(record) if with_payloads else None,
        serialized_custom_status=progress.custom_status if with_payloads else None,
        failure_details=None if progress.failure is None else shown_failure(progress.failure),
        data_converter=converter,
        version=origin.version,
        tags=origin.tags,
        parent_instance_id=None if origin.parent is None else origin.parent.instance_id,
        execution_id=origin.execution_id,
        completed_at=progress.completed_at,
        scheduled_start_at=origin.scheduled_start_at,
    )


def metadata_of(
    record: InstanceRecord, *, with_state: bool, converter: DataConverter, backlog: int = 0
) -> EntityMetadata | None:
    """One entity; None when it neither exists nor is locked nor has work."""
    progress = record.progress
    holder = progress.locked_by
    if progress.state is None and holder is None and not backlog:
        return None
    return EntityMetadata(
        id=EntityInstanceId.parse(record.origin.instance_id),
        last_modified=progress.updated_at,
        backlog_queue_size=backlog,
        locked_by="" if holder is None else holder.instance_id,
        includes_state=with_state,
        state=progress.state if with_state else None,
        data_converter=converter,
    )


def orchestration_filter(query: OrchestrationQuery) -> InstanceFilter:
    """Which orchestrations a query means."""
    return InstanceFilter(
        created_from=utc(query.created_time_from),
        created_to=utc(query.created_time_to),
        statuses=statuses_of(query.runtime_status),
        id_prefix=query.instance_id_prefix or None,
    )


def entity_filter(query: EntityQuery) -> InstanceFilter:
    """Which entities a query means."""
    return InstanceFilter(
        kind=InstanceKind.ENTITY,
        updated_from=utc(query.last_modified_from),
        updated_to=utc(query.last_modified_to),
        id_prefix=_entity_prefix(query.instance_id_starts_with),
        existing_entities_only=not query.include_transient,
    )


def statuses_of(given: Iterable[OrchestrationStatus] | None) -> frozenset[RuntimeStatus] | None:
    """The statuses; None for no condition."""
    found = frozenset(RuntimeStatus(status.value) for status in given or ())
    return found or None


def utc(moment: datetime | None) -> datetime | None:
    """The moment in UTC; without a zone it is UTC already."""
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _output_of(record: InstanceRecord) -> str | None:
    """The output as JSON text; None for the text that stands for a failure, which is told by its details."""
    output, failure = record.progress.output, record.progress.failure
    if failure is not None and output == failed_output(record.origin.name, failure):
        return None
    return as_json(output)


def as_json(output: str | None) -> str | None:
    """The output as JSON text; the reason of a termination may be bare text."""
    if output is None:
        return None
    try:
        json.loads(output)
    except ValueError:
        return json.dumps(output)
    return output


def _entity_prefix(prefix: str | None) -> str | None:
    if not prefix:
        return None
    name, at, key = prefix.removeprefix("@").partition("@")
    return f"@{name.lower()}{at}{key}"
