"""The server's messages as clients show them. Importing this needs protobuf."""

from datetime import datetime
from typing import Any

from durabletask.entities.metadata import EntityMetadata
from durabletask.failures import shown_failure
from durabletask.serialization import DEFAULT_DATA_CONVERTER, DataConverter
from durabletask.states import OrchestrationState, OrchestrationStatus, PurgeInstancesResult
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.failures import read_failure
from perdure.formats.protobuf.times import read_time


def state_of(state: pb.OrchestrationState, converter: DataConverter = DEFAULT_DATA_CONVERTER) -> OrchestrationState:
    """One orchestration."""
    return OrchestrationState(
        instance_id=state.instanceId,
        name=state.name,
        runtime_status=OrchestrationStatus(state.orchestrationStatus),
        created_at=read_time(state.createdTimestamp).replace(tzinfo=None),
        last_updated_at=read_time(state.lastUpdatedTimestamp).replace(tzinfo=None),
        serialized_input=text_of(state, "input"),
        serialized_output=text_of(state, "output"),
        serialized_custom_status=text_of(state, "customStatus"),
        failure_details=_failure_of(state),
        data_converter=converter,
        version=text_of(state, "version"),
        tags=dict(state.tags) or None,
        parent_instance_id=text_of(state, "parentInstanceId"),
        execution_id=text_of(state, "executionId"),
        completed_at=_time_of(state, "completedTimestamp"),
        scheduled_start_at=_time_of(state, "scheduledStartTimestamp"),
    )


def answered_state(
    answer: pb.GetInstanceResponse, converter: DataConverter = DEFAULT_DATA_CONVERTER
) -> OrchestrationState | None:
    """The orchestration of an answer; None when it says that there is none."""
    return state_of(answer.orchestrationState, converter) if answer.exists else None


def metadata_of(
    entity: pb.EntityMetadata, *, with_state: bool, converter: DataConverter = DEFAULT_DATA_CONVERTER
) -> EntityMetadata:
    """One entity. Raises ValueError when its id cannot be read."""
    return EntityMetadata.from_entity_metadata(entity, with_state, converter)


def purge_result(answer: pb.PurgeInstancesResponse) -> PurgeInstancesResult:
    """What a purge did."""
    return PurgeInstancesResult(
        answer.deletedInstanceCount, answer.isComplete.value if answer.HasField("isComplete") else None
    )


def text_of(message: Any, field: str) -> str | None:
    """A nullable text; an empty one counts as none, as servers send both."""
    return (getattr(message, field).value or None) if message.HasField(field) else None


def _failure_of(state: pb.OrchestrationState) -> Any:
    details = state.failureDetails
    if not state.HasField("failureDetails") or not (details.errorMessage or details.errorType):
        return None
    return shown_failure(read_failure(details))


def _time_of(state: pb.OrchestrationState, field: str) -> datetime | None:
    return read_time(getattr(state, field)) if state.HasField(field) else None  # pyright: ignore[reportArgumentType]
