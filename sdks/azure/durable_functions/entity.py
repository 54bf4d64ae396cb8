"""Entity.create: a user's one-argument entity function → its definition for the core."""

import inspect
from collections.abc import Callable
from typing import Any

from azure.durable_functions.entity_context import DurableEntityContext
from azure.durable_functions.generations import is_native_entity
from azure.durable_functions.handles import Handle
from azure.durable_functions.serialization import to_optional_text
from perdure.core import identifiers
from perdure.core.failures import failure_of
from perdure.core.registry import EntityDefinition, Operation, OperationOutcome


class EntityHandle(Handle):
    """An entity as it stands in a function app."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self.entity_function = function

    def definition(self, name: str) -> EntityDefinition:
        """The entity as the core runs it, under the name it is registered with."""
        function = self.entity_function
        if is_native_entity(function):
            from azure.durable_functions.native_payloads import NATIVE_CONVERTER
            from durabletask.entities.definition import entity_definition

            return entity_definition(function, name, NATIVE_CONVERTER)

        def open_batch(entity_id: identifiers.EntityId, state: str | None) -> FunctionEntity:
            return FunctionEntity(function, entity_id, state)

        return EntityDefinition(name, open_batch)

    def answer(self, text: str) -> str:
        """Run the batch of operations that another host hands over; returns its JSON answer."""
        from azure.durable_functions.protocol import answer_entity
        from perdure.formats.azure_json.entity_batches import read_batch

        return answer_entity(self.definition(self.__name__), read_batch(text))


class Entity:
    """The 1.x way to make an entity of a function that gets a DurableEntityContext."""

    def __init__(self, entity_func: Callable[[DurableEntityContext], Any]) -> None:
        self.fn = entity_func

    def handle(self, context: DurableEntityContext, batch: list[dict[str, Any]]) -> str:
        """Run the operations of a context made by ``from_json``; returns the JSON answer."""
        from azure.durable_functions.protocol import answer_entity
        from perdure.formats.azure_json.entity_batches import batch_of

        handle = EntityHandle(self.fn)
        address = identifiers.EntityId(context.entity_name, context.entity_key)
        return answer_entity(handle.definition(handle.__name__), batch_of(address, context.written_state(), batch))

    @classmethod
    def create(cls, fn: Callable[..., Any]) -> EntityHandle:
        """The handle to export as ``main`` or to register; it carries ``fn`` as ``entity_function``."""
        return EntityHandle(fn)


class FunctionEntity:
    """An entity function over one batch; the decoded state lives from operation to operation."""

    __slots__ = ("_context", "_function", "_id", "_text")

    def __init__(self, function: Callable[..., Any], entity_id: identifiers.EntityId, state: str | None) -> None:
        self._function = function
        self._id = entity_id
        self._text = state
        self._context = DurableEntityContext(entity_id, state)

    def run(self, operation: Operation) -> OperationOutcome:
        """Run one operation; whatever the code raises is the outcome's failure."""
        context = self._context
        context.begin(operation)
        try:
            returned = self._function(context)
            if inspect.isgenerator(returned) or inspect.iscoroutine(returned):
                returned.close()
                raise TypeError(
                    f"The entity function for '{self._id.name}' is a generator or 'async def'; "
                    "entity functions are plain functions."
                )
            result = context.result_text if context.has_result else to_optional_text(returned)
            self._text = context.written_state()
            return OperationOutcome(self._text, result, context.take_signals())
        except BaseException as error:
            return OperationOutcome(self._left_behind(), signals=context.take_signals(), failure=failure_of(error))

    def _left_behind(self) -> str | None:
        """What a failed operation makes of the state; what has no JSON form leaves the state before it."""
        try:
            return self._context.written_state()
        except Exception:
            return self._text

    def roll_back(self, state: str | None) -> None:
        """Forget the decoded state; the state is again this text."""
        self._text = state
        self._context = DurableEntityContext(self._id, state)
