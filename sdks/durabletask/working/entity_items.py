"""One entity work item, a batch of operations → their outcomes (grpc.md §11.2)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from durabletask.working.functions import Definitions
from durabletask.working.options import EntityNotRegisteredError
from perdure.core.entities.batch import run_batch
from perdure.core.identifiers import read_entity_id
from perdure.core.registry import EntityDefinition, Operation, OperationOutcome, not_registered_text


@dataclass(frozen=True)
class Entities:
    """Runs work items with these definitions; safe to use from several threads."""

    definitions: Definitions

    def run(
        self,
        instance_id: str,
        state: str | None,
        operations: Sequence[Operation],
        observed: Callable[[EntityDefinition], EntityDefinition] = lambda definition: definition,
    ) -> list[OperationOutcome]:
        """Run the operations in order; one outcome each. ``observed`` may put something round the entity."""
        entity_id = read_entity_id(instance_id)
        definition = self.definitions.entities.get(entity_id.name)
        if definition is None:
            text = not_registered_text("entity", entity_id.name, list(self.definitions.entities))
            failure = self.definitions.describe(EntityNotRegisteredError(text))
            return [OperationOutcome(state, failure=failure) for _ in operations]
        definition = observed(definition)
        return run_batch(definition.open(entity_id, state), state, operations, definition.failed)
