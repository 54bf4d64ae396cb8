"""EntityContext: what an operation of an entity may ask for and do."""

import uuid
from datetime import UTC, datetime
from typing import Any, TypeVar, overload

from durabletask.entities.instance_id import EntityInstanceId
from durabletask.serialization import DataConverter
from perdure.core.registry import EntitySignal, EntityStart

TState = TypeVar("TState")


class EntityContext:
    """One operation of one entity. The state is kept as text: each read gives a new object, each write is checked."""

    def __init__(
        self,
        orchestration_id: str,
        operation: str,
        state: str | None,
        entity_id: EntityInstanceId,
        data_converter: DataConverter,
    ) -> None:
        self._orchestration_id = orchestration_id
        self._operation = operation
        self._entity_id = entity_id
        self._converter = data_converter
        self.state_text = state
        self.signals: list[EntitySignal] = []
        self.starts: list[EntityStart] = []

    @property
    def orchestration_id(self) -> str:
        """The id under which the entity runs: ``@name@key``."""
        return self._orchestration_id

    @property
    def operation(self) -> str:
        """The operation to run."""
        return self._operation

    @property
    def entity_id(self) -> EntityInstanceId:
        """The entity's address."""
        return self._entity_id

    @overload
    def get_state(self, intended_type: type[TState], default: TState) -> TState: ...
    @overload
    def get_state(self, intended_type: type[TState], default: None = None) -> TState | None: ...
    @overload
    def get_state(self, intended_type: None = None, default: Any = None) -> Any: ...
    def get_state(self, intended_type: Any = None, default: Any = None) -> Any:
        """A copy of the state, as ``intended_type`` if given; ``default`` when there is none.

        Raises TypeError for a state that cannot become of that type.
        """
        if self.state_text is None:
            return default
        value = self._converter.deserialize(self.state_text, intended_type)
        if not isinstance(intended_type, type) or isinstance(value, intended_type):
            return value
        if intended_type is float and isinstance(value, int):
            return float(value)
        raise TypeError(
            f"The state of {self._entity_id} is a {type(value).__name__} and cannot become a {intended_type.__name__}."
        )

    def set_state(self, new_state: Any) -> None:
        """Keep a state; None ends the entity. Raises TypeError for what cannot be written."""
        self.state_text = self._converter.serialize(new_state)

    def signal_entity(
        self,
        entity_instance_id: EntityInstanceId,
        operation: str,
        input: Any | None = None,
        signal_time: datetime | None = None,
    ) -> None:
        """Ask another entity for an operation once this one is committed, not before ``signal_time`` if given."""
        due_at = signal_time
        if due_at is not None:
            due_at = due_at.replace(tzinfo=UTC) if due_at.tzinfo is None else due_at.astimezone(UTC)
        text = self._converter.serialize(input)
        self.signals.append(EntitySignal(str(entity_instance_id), operation, text, due_at))

    def schedule_new_orchestration(
        self, orchestration_name: str, input: Any | None = None, instance_id: str | None = None
    ) -> str:
        """Start an orchestration once this operation is committed; gives its id."""
        started_id = instance_id or uuid.uuid4().hex
        text = self._converter.serialize(input)
        self.starts.append(EntityStart(orchestration_name, started_id, str(uuid.uuid4()), text))
        return started_id
