"""An official entity handle as the core runs it: batches of one operation, so that a failed one is rolled back."""

from collections.abc import Callable

from perdure.core.failures import FailureDetails, failure_of
from perdure.core.identifiers import EntityId
from perdure.core.registry import EntityDefinition, Operation, OperationOutcome
from perdure.formats.azure_json.answers_read import operation_batch, read_operation_answer

EntityHandle = Callable[[str], str]


class GuestEntity:
    """An official entity over one batch of the engine's."""

    __slots__ = ("_handle", "_id", "_state")

    def __init__(self, handle: EntityHandle, entity_id: EntityId, state: str | None) -> None:
        self._handle = handle
        self._id = entity_id
        self._state = state

    def run(self, operation: Operation) -> OperationOutcome:
        """Run one operation; whatever the code raises is the outcome's failure."""
        batch = operation_batch(
            name=self._id.name,
            key=self._id.key,
            state=self._state,
            operation=operation.name,
            input=operation.input,
            is_signal=operation.is_signal,
        )
        try:
            answer = read_operation_answer(self._handle(batch))
        except BaseException as error:
            return OperationOutcome(state=None, failure=failure_of(error))
        if answer.error is not None:
            return OperationOutcome(state=None, failure=FailureDetails("Exception", answer.error))
        self._state = answer.state
        return OperationOutcome(answer.state, answer.result)

    def roll_back(self, state: str | None) -> None:
        """The state is again this text."""
        self._state = state


def entity_definition(handle: EntityHandle, name: str) -> EntityDefinition:
    """The handle under the name it is registered with."""
    return EntityDefinition(name, lambda entity_id, state: GuestEntity(handle, entity_id, state))
