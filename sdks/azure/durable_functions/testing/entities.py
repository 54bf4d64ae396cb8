"""Running one operation of an entity in a unit test, with nothing around it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from azure.functions.decorators.function_app import FunctionBuilder

from azure.durable_functions.entity_context import DurableEntityContext
from azure.durable_functions.generations import is_native_entity
from azure.durable_functions.names import registered_name
from azure.durable_functions.native_payloads import NATIVE_CONVERTER
from azure.durable_functions.serialization import to_optional_text
from durabletask.entities import EntityContext, EntityInstanceId
from durabletask.entities.definition import operation_runner
from durabletask.markers import get_entity_name
from perdure.core.identifiers import EntityId, entity_id_of
from perdure.core.registry import EntitySignal, EntityStart, Operation


@dataclass(frozen=True)
class EntitySignalAction:
    """A signal that the operation sent."""

    entity_id: EntityInstanceId
    operation: str
    serialized_input: str | None
    scheduled_time: datetime | None

    def get_input(self, expected_type: Any = None) -> Any:
        """The signal's input, as ``expected_type`` if given."""
        return NATIVE_CONVERTER.deserialize(self.serialized_input, expected_type)


@dataclass(frozen=True)
class OrchestrationStartAction:
    """An orchestration that the operation started."""

    name: str
    instance_id: str
    serialized_input: str | None

    def get_input(self, expected_type: Any = None) -> Any:
        """The orchestration's input, as ``expected_type`` if given."""
        return NATIVE_CONVERTER.deserialize(self.serialized_input, expected_type)


EntityAction = EntitySignalAction | OrchestrationStartAction


@dataclass(frozen=True)
class EntityTestResult:
    """What the operation brought about."""

    serialized_result: str | None
    serialized_state: str | None
    actions: list[EntityAction] = field(default_factory=list[EntityAction])

    def get_result(self, expected_type: Any = None) -> Any:
        """The result, as ``expected_type`` if given."""
        return NATIVE_CONVERTER.deserialize(self.serialized_result, expected_type)

    def get_state(self, expected_type: Any = None) -> Any:
        """The state after the operation, as ``expected_type`` if given; None when the entity does not exist."""
        return NATIVE_CONVERTER.deserialize(self.serialized_state, expected_type)


def execute_entity(
    entity: Any,
    operation: str,
    input: Any = None,
    state: Any = None,
    *,
    entity_name: str | None = None,
    entity_key: str = "test",
) -> EntityTestResult:
    """Run one operation over a state. ``entity``: the function or DurableEntity class, decorated or not.

    What the operation raises is raised here; the state and the actions before it are lost then, as they are in a host.
    """
    code, name = _code_of(entity)
    address = entity_id_of(entity_name or name, entity_key)
    # Each generation's values are written as its own code would have written them.
    is_native = is_native_entity(code)
    write = NATIVE_CONVERTER.serialize if is_native else to_optional_text
    run = _run_native if is_native else _run_classic
    return run(code, address, Operation(operation, write(input), False), write(state))


def _code_of(entity: Any) -> tuple[Any, str]:
    if isinstance(entity, FunctionBuilder):
        code: Any = entity.build().get_user_function()
        return code.entity_function, registered_name(entity)
    code = getattr(entity, "entity_function", entity)
    return code, get_entity_name(code)


def _run_native(code: Any, address: EntityId, asked: Operation, state: str | None) -> EntityTestResult:
    entity_id = EntityInstanceId.parse(str(address))
    context = EntityContext(str(address), asked.name, state, entity_id, NATIVE_CONVERTER)
    returned = operation_runner(code, address.name, NATIVE_CONVERTER)(context, asked.input)
    result = NATIVE_CONVERTER.serialize(returned)
    return EntityTestResult(result, context.state_text, _actions(context.signals, context.starts))


def _run_classic(code: Any, address: EntityId, asked: Operation, state: str | None) -> EntityTestResult:
    context = DurableEntityContext(address, state)
    context.begin(asked)
    returned = code(context)
    result = context.result_text if context.has_result else to_optional_text(returned)
    return EntityTestResult(result, context.written_state(), _actions(context.take_signals(), ()))


def _actions(signals: Any, starts: Any) -> list[EntityAction]:
    sent: list[EntityAction] = [_sent(signal) for signal in signals]
    return sent + [_started(start) for start in starts]


def _sent(signal: EntitySignal) -> EntitySignalAction:
    return EntitySignalAction(EntityInstanceId.parse(signal.entity_id), signal.operation, signal.input, signal.due_at)


def _started(start: EntityStart) -> OrchestrationStartAction:
    return OrchestrationStartAction(start.name, start.instance_id, start.input)
