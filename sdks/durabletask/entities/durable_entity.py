"""DurableEntity: an entity as a class whose public methods are its operations."""

from datetime import datetime
from typing import Any, TypeVar, overload

from durabletask.entities.context import EntityContext
from durabletask.entities.instance_id import EntityInstanceId

TState = TypeVar("TState")


class DurableEntity:
    """A new object is made for each operation: what it keeps in attributes is not the entity's state."""

    entity_context: EntityContext
    """The operation that runs; set before the method is called."""

    @overload
    def get_state(self, intended_type: type[TState], default: TState) -> TState: ...
    @overload
    def get_state(self, intended_type: type[TState], default: None = None) -> TState | None: ...
    @overload
    def get_state(self, intended_type: None = None, default: Any = None) -> Any: ...
    def get_state(self, intended_type: Any = None, default: Any = None) -> Any:
        """A copy of the state; see ``EntityContext.get_state``."""
        return self.entity_context.get_state(intended_type, default)

    def set_state(self, state: Any) -> None:
        """Keep a state; None ends the entity."""
        self.entity_context.set_state(state)

    def signal_entity(
        self,
        entity_instance_id: EntityInstanceId,
        operation: str,
        input: Any | None = None,
        signal_time: datetime | None = None,
    ) -> None:
        """Ask another entity for an operation; see ``EntityContext.signal_entity``."""
        self.entity_context.signal_entity(entity_instance_id, operation, input, signal_time)

    def schedule_new_orchestration(
        self, orchestration_name: str, input: Any | None = None, instance_id: str | None = None
    ) -> str:
        """Start an orchestration; see ``EntityContext.schedule_new_orchestration``."""
        return self.entity_context.schedule_new_orchestration(orchestration_name, input, instance_id)

    def delete(self, input: Any = None) -> None:
        """End the entity."""
        self.set_state(None)


INHERITED = frozenset(name for name in vars(DurableEntity) if name != "delete")
"""What every entity has and no caller may ask for as an operation."""
