"""Instances as clients are told of them, and what clients ask for (grpc.md §8.3, §8.4, §11.4)."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from perdure.contracts.records import InstanceFilter
from perdure.core.decisions import failed_output
from perdure.core.instance import InstanceKind, InstanceRecord
from perdure.core.status import TERMINAL, RuntimeStatus
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.failures import write_failure
from perdure.formats.protobuf.times import read_time, write_time

_MICROSECOND = timedelta(microseconds=1)
_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)

_SHOWN = {RuntimeStatus.ContinuedAsNew: RuntimeStatus.Running, RuntimeStatus.Canceled: RuntimeStatus.Terminated}
"""Statuses that clients do not know as those of an instance → what they are told."""


def write_state(record: InstanceRecord, *, with_payloads: bool) -> pb.OrchestrationState:
    """One orchestration; input and output only with payloads, as the protocol has it."""
    origin, progress = record.origin, record.progress
    status = _SHOWN.get(progress.status, progress.status)
    state = pb.OrchestrationState(
        instanceId=origin.instance_id,
        name=origin.name,
        orchestrationStatus=status.value,  # type: ignore[arg-type]  # the numbers are those of the protocol
        createdTimestamp=write_time(origin.created_at),
        lastUpdatedTimestamp=write_time(progress.updated_at),
        tags=origin.tags or {},
    )
    _put(state.version, origin.version)
    _put(state.executionId, origin.execution_id)
    _put(state.customStatus, progress.custom_status)
    if origin.parent is not None:
        _put(state.parentInstanceId, origin.parent.instance_id)
    if origin.scheduled_start_at is not None:
        state.scheduledStartTimestamp.CopyFrom(write_time(origin.scheduled_start_at))
    if progress.completed_at is not None:
        state.completedTimestamp.CopyFrom(write_time(progress.completed_at))
    if progress.failure is not None:
        state.failureDetails.CopyFrom(write_failure(progress.failure))
    if with_payloads:
        _put(state.input, origin.input)
        _put(state.output, _output(record))
    return state


def _output(record: InstanceRecord) -> str | None:
    """The output; not the text that stands for a failure, which these clients are told in full."""
    output, failure = record.progress.output, record.progress.failure
    return None if failure is not None and output == failed_output(record.origin.name, failure) else output


def write_entity(record: InstanceRecord, waiting: int, *, with_state: bool) -> pb.EntityMetadata:
    """One entity; ``waiting``: how many messages it has not taken yet."""
    progress = record.progress
    entity = pb.EntityMetadata(
        instanceId=record.origin.instance_id,
        lastModifiedTime=write_time(progress.updated_at),
        backlogQueueSize=waiting,
    )
    if progress.locked_by is not None:
        _put(entity.lockedBy, progress.locked_by.instance_id)
    if with_state:
        _put(entity.serializedState, progress.state)
    return entity


def read_instance_query(query: pb.InstanceQuery) -> InstanceFilter:
    """Which orchestrations. Raises ValueError for a time or a status that is none."""
    return InstanceFilter(
        created_from=_from(query.createdTimeFrom) if query.HasField("createdTimeFrom") else None,
        created_to=_before(query.createdTimeTo) if query.HasField("createdTimeTo") else None,
        statuses=_statuses(query.runtimeStatus) or None,
        id_prefix=query.instanceIdPrefix.value or None,
    )


def read_purge_filter(filter_: pb.PurgeInstanceFilter) -> InstanceFilter:
    """Which ended orchestrations; others are never purged. Raises ValueError for a time or a status that is none."""
    statuses = _statuses(filter_.runtimeStatus)
    return InstanceFilter(
        created_from=_from(filter_.createdTimeFrom) if filter_.HasField("createdTimeFrom") else None,
        created_to=_before(filter_.createdTimeTo) if filter_.HasField("createdTimeTo") else None,
        statuses=statuses & TERMINAL if statuses else TERMINAL,
    )


def read_entity_query(query: pb.EntityQuery) -> InstanceFilter:
    """Which entities. Raises ValueError for a time that is none."""
    name, at, key = query.instanceIdStartsWith.value.removeprefix("@").partition("@")
    return InstanceFilter(
        kind=InstanceKind.ENTITY,
        updated_from=_from(query.lastModifiedFrom) if query.HasField("lastModifiedFrom") else None,
        updated_to=_before(query.lastModifiedTo) if query.HasField("lastModifiedTo") else None,
        id_prefix=f"@{name.lower()}{at}{key}" if query.instanceIdStartsWith.value else None,
        existing_entities_only=not query.includeTransient,
    )


def _statuses(numbers: Iterable[int]) -> frozenset[RuntimeStatus]:
    try:
        return frozenset(map(RuntimeStatus, numbers))
    except ValueError as error:
        raise ValueError(f"No orchestration has such a status: {error}.") from None


def _from(stamp: pb.Timestamp) -> datetime:
    """The first moment of a window, to the microsecond that is kept."""
    at = read_time(stamp, "begin of the window")
    return at + _MICROSECOND if stamp.nanos % 1000 and at < _LAST else at


def _before(stamp: pb.Timestamp) -> datetime:
    """The last moment before the end of a window, which does not belong to it."""
    at = read_time(stamp, "end of the window")
    return at if stamp.nanos % 1000 or at == _FIRST else at - _MICROSECOND


def _put(wrapper: pb.StringValue, value: str | None) -> None:
    """Set a nullable text of a message; present when empty, absent when None."""
    if value is not None:
        wrapper.value = value
        wrapper.SetInParent()
