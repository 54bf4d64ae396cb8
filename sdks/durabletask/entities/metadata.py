"""What a client tells about an entity, and the error of a failed operation."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, overload

from durabletask.entities.instance_id import EntityInstanceId
from durabletask.failures import FailureDetails
from durabletask.serialization import DEFAULT_DATA_CONVERTER, DataConverter

if TYPE_CHECKING:
    from perdure.formats.protobuf import messages as pb

TState = TypeVar("TState")


class EntityMetadata:
    """One entity as it was committed last. ``last_modified`` is aware, UTC."""

    def __init__(
        self,
        id: EntityInstanceId,
        last_modified: datetime,
        backlog_queue_size: int,
        locked_by: str,
        includes_state: bool,
        state: str | None,
        data_converter: DataConverter = DEFAULT_DATA_CONVERTER,
    ) -> None:
        self.id = id
        self.last_modified = last_modified
        self.backlog_queue_size = backlog_queue_size
        self.includes_state = includes_state
        self._locked_by = locked_by
        self._state = state
        self._converter = data_converter

    @staticmethod
    def from_entity_metadata(
        entity: "pb.EntityMetadata", includes_state: bool, data_converter: DataConverter = DEFAULT_DATA_CONVERTER
    ) -> "EntityMetadata":
        """An entity in a server's words. Raises ValueError when its id cannot be read."""
        # Here and not above: whoever never speaks gRPC has no protobuf.
        from perdure.formats.protobuf.times import read_time

        if entity.HasField("lastModifiedTime"):
            modified_at = read_time(entity.lastModifiedTime)
        else:
            modified_at = datetime.min.replace(tzinfo=UTC)
        # An empty text counts as none, as servers send both.
        has_state = includes_state and entity.HasField("serializedState")
        return EntityMetadata(
            id=EntityInstanceId.parse(entity.instanceId),
            last_modified=modified_at,
            backlog_queue_size=entity.backlogQueueSize,
            locked_by=entity.lockedBy.value,
            includes_state=includes_state,
            state=(entity.serializedState.value or None) if has_state else None,
            data_converter=data_converter,
        )

    @staticmethod
    def from_entity_response(
        entity_response: "pb.GetEntityResponse",
        includes_state: bool,
        data_converter: DataConverter = DEFAULT_DATA_CONVERTER,
    ) -> "EntityMetadata":
        """The entity in a server's answer, which says that it exists."""
        return EntityMetadata.from_entity_metadata(entity_response.entity, includes_state, data_converter)

    @overload
    def get_state(self, intended_type: type[TState]) -> TState | None: ...
    @overload
    def get_state(self, intended_type: None = None) -> Any: ...
    def get_state(self, intended_type: Any = None) -> Any:
        """The state's JSON text, or what ``intended_type`` makes of the text. Raises TypeError when it cannot."""
        if self._state is None or intended_type is None or isinstance(self._state, intended_type):
            return self._state
        try:
            return intended_type(self._state)
        except Exception as error:
            raise TypeError(
                f"The state text of {self.id} cannot become a {intended_type.__name__}; "
                "get_typed_state reads it as JSON."
            ) from error

    @overload
    def get_typed_state(self, intended_type: type[TState]) -> TState | None: ...
    @overload
    def get_typed_state(self, intended_type: None = None) -> Any: ...
    def get_typed_state(self, intended_type: Any = None) -> Any:
        """The state, read as JSON and as ``intended_type`` if given."""
        return self._converter.deserialize(self._state, intended_type)

    def get_locked_by(self) -> EntityInstanceId | str | None:
        """Who holds the entity: an entity's id, an orchestration's as text, or None."""
        if not self._locked_by:
            return None
        try:
            return EntityInstanceId.parse(self._locked_by)
        except ValueError:
            return self._locked_by


class EntityOperationFailedException(Exception):
    """An operation of an entity failed."""

    def __init__(
        self, entity_instance_id: EntityInstanceId, operation_name: str, failure_details: FailureDetails
    ) -> None:
        super().__init__(
            f"Operation '{operation_name}' on entity '{entity_instance_id}' failed with error: "
            f"{failure_details.message}"
        )
        self.entity_instance_id = entity_instance_id
        self.operation_name = operation_name
        self.failure_details = failure_details
