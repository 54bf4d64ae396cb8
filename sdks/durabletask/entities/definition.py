"""An entity function of two arguments, or a DurableEntity class → its definition for the core."""

import inspect
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from durabletask.annotations import annotated_type
from durabletask.entities.context import EntityContext
from durabletask.entities.durable_entity import INHERITED, DurableEntity
from durabletask.entities.instance_id import EntityInstanceId
from durabletask.serialization import DEFAULT_DATA_CONVERTER, DataConverter
from perdure.core import identifiers
from perdure.core.failures import FailureDetails, failure_of
from perdure.core.registry import EntityDefinition, Operation, OperationOutcome

RunOperation = Callable[[EntityContext, str | None], Any]
"""Runs one operation with the text of its input; returns its result."""

RunCoroutine = Callable[[Coroutine[Any, Any, Any]], Any]
"""Runs a coroutine to its end and gives what it returns; called on a thread without a loop."""


@dataclass(frozen=True, slots=True)
class EntityConventions:
    """How the host of an entity writes values and describes failures.

    ``run_coroutine`` None: ``async def`` entities are refused.
    """

    converter: DataConverter = DEFAULT_DATA_CONVERTER
    describe: Callable[[BaseException], FailureDetails] = failure_of
    run_coroutine: RunCoroutine | None = None


def entity_definition(
    entity: Callable[..., Any] | type[DurableEntity],
    name: str,
    converter: DataConverter = DEFAULT_DATA_CONVERTER,
    conventions: EntityConventions | None = None,
) -> EntityDefinition:
    """The entity as the core runs it."""
    conventions = conventions or EntityConventions(converter)
    run = operation_runner(entity, name, conventions.converter)

    def open_batch(entity_id: identifiers.EntityId, state: str | None) -> PortableEntity:
        return PortableEntity(run, entity_id, state, conventions)

    return EntityDefinition(name, open_batch)


def operation_runner(entity: Any, name: str, converter: DataConverter) -> RunOperation:
    """How one operation of the entity is run."""
    if isinstance(entity, type) and issubclass(entity, DurableEntity):
        return _class_runner(entity, name, converter)
    takes_input = len(inspect.signature(entity).parameters) > 1
    input_type = _type_of_parameter(entity, 1, converter)

    def run(context: EntityContext, input: str | None) -> Any:
        if not takes_input:
            return entity(context)
        return entity(context, converter.deserialize(input, input_type))

    return run


def _class_runner(entity: type[DurableEntity], name: str, converter: DataConverter) -> RunOperation:
    def run(context: EntityContext, input: str | None) -> Any:
        made = entity()
        made.entity_context = context
        operation = context.operation
        method = None if operation.startswith("_") or operation in INHERITED else getattr(made, operation, None)
        if method is None:
            raise AttributeError(f"The entity '{name}' has no operation '{operation}'.")
        if not callable(method):
            raise TypeError(f"'{operation}' of the entity '{name}' is no operation: it cannot be called.")
        return _call(method, input, converter)

    return run


def _call(method: Callable[..., Any], input: str | None, converter: DataConverter) -> Any:
    """Call with the input when the method needs one or one was given, if the method takes any."""
    parameters = list(inspect.signature(method).parameters.values())
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)]
    if not positional:
        return method()
    first = positional[0]
    is_required = first.default is inspect.Parameter.empty and first.kind is not inspect.Parameter.VAR_POSITIONAL
    if not is_required and input is None:
        return method()
    return method(converter.deserialize(input, _type_of_parameter(method, 0, converter)))


def _type_of_parameter(function: Callable[..., Any], number: int, converter: DataConverter) -> Any:
    names = list(inspect.signature(function).parameters)
    return annotated_type(function, names[number], converter) if number < len(names) else None


class PortableEntity:
    """An entity's code over one batch; nothing but the state's text lives from operation to operation."""

    __slots__ = ("_conventions", "_id", "_run", "_state")

    def __init__(
        self, run: RunOperation, entity_id: identifiers.EntityId, state: str | None, conventions: EntityConventions
    ) -> None:
        self._run = run
        self._id = entity_id
        self._state = state
        self._conventions = conventions

    def run(self, operation: Operation) -> OperationOutcome:
        """Run one operation; whatever the code raises is the outcome's failure."""
        entity_id = EntityInstanceId.__new__(EntityInstanceId)
        entity_id.entity, entity_id.key = self._id.name, self._id.key  # it exists: no rule is to be checked again
        converter = self._conventions.converter
        context = EntityContext(str(self._id), operation.name, self._state, entity_id, converter)
        try:
            result, failure = converter.serialize(self._returned(context, operation)), None
        except BaseException as error:
            result, failure = None, self._conventions.describe(error)
        self._state = context.state_text
        return OperationOutcome(self._state, result, tuple(context.signals), failure, tuple(context.starts))

    def roll_back(self, state: str | None) -> None:
        """The state is again this text."""
        self._state = state

    def _returned(self, context: EntityContext, operation: Operation) -> Any:
        returned = self._run(context, operation.input)
        run_coroutine = self._conventions.run_coroutine
        if inspect.iscoroutine(returned) and run_coroutine is not None:
            return run_coroutine(returned)
        if inspect.isgenerator(returned) or inspect.iscoroutine(returned):
            returned.close()
            raise TypeError(
                f"The entity '{self._id.name}' is a generator or 'async def'; entities are plain functions."
            )
        return returned
