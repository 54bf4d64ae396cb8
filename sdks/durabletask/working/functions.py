"""What a worker was given to run: functions by name, and their definitions for the core."""

import inspect
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from durabletask.activity_context import ActivityContext
from durabletask.annotations import annotated_type
from durabletask.context import POLICY, Conventions, orchestrator_definition
from durabletask.entities.definition import EntityConventions, RunCoroutine, entity_definition
from durabletask.entities.instance_id import EntityInstanceId
from durabletask.markers import FunctionKind, get_entity_name, get_name, kind_of
from durabletask.serialization import DEFAULT_DATA_CONVERTER, DataConverter
from durabletask.working.described_failures import Describe, describer
from perdure.core.registry import (
    ActivityCall,
    ActivityDefinition,
    ActivityMode,
    EntityDefinition,
    OrchestratorDefinition,
)

_WORDS = {
    FunctionKind.ORCHESTRATION: ("an orchestration", "add_orchestrator"),
    FunctionKind.ACTIVITY: ("an activity", "add_activity"),
    FunctionKind.ENTITY: ("an entity", "add_entity"),
}


@dataclass
class Functions:
    """Functions by name. Names of entities are lower-case."""

    orchestrators: dict[str, Callable[..., Any]] = field(default_factory=dict[str, Callable[..., Any]])
    activities: dict[str, Callable[..., Any]] = field(default_factory=dict[str, Callable[..., Any]])
    entities: dict[str, Any] = field(default_factory=dict[str, Any])

    def add_orchestrator(self, function: Any, name: str | None = None) -> str:
        """Register. Raises ValueError for a name that is taken or a function of another kind, TypeError."""
        _check_function(function, FunctionKind.ORCHESTRATION)
        if inspect.isasyncgenfunction(function):
            raise TypeError(
                f"The orchestrator '{get_name(function)}' is an async generator; use 'async def' with 'await', or "
                "'def' with 'yield'."
            )
        return _add(self.orchestrators, name or get_name(function), function, "orchestrator")

    def add_activity(self, function: Any, name: str | None = None) -> str:
        """Register. Raises ValueError for a name that is taken or a function of another kind, TypeError."""
        _check_function(function, FunctionKind.ACTIVITY)
        return _add(self.activities, name or get_name(function), function, "activity")

    def add_entity(self, entity: Any, name: str | None = None) -> str:
        """Register; returns the name as given. Raises ValueError, TypeError."""
        _check_function(entity, FunctionKind.ENTITY)
        given = name or get_entity_name(entity)
        _add(self.entities, EntityInstanceId(given, "key").entity, entity, "entity")
        return given

    def add_marked(self, given: Iterable[Any]) -> None:
        """Register marked functions, and those of modules. Raises ValueError for what is not marked."""
        adders = {
            FunctionKind.ORCHESTRATION: self.add_orchestrator,
            FunctionKind.ACTIVITY: self.add_activity,
            FunctionKind.ENTITY: self.add_entity,
        }
        for item in given:
            if isinstance(item, types.ModuleType):
                # What a module only imports is registered by whoever owns it.
                own = [value for value in vars(item).values() if getattr(value, "__module__", None) == item.__name__]
                self.add_marked(value for value in dict.fromkeys(filter(callable, own)) if kind_of(value) is not None)
                continue
            kind = kind_of(item)
            if kind is None:
                raise ValueError(
                    f"{getattr(item, '__name__', item)!r} is not marked; decorate it with @task.orchestration, "
                    "@task.activity or @task.entity, or add it by add_orchestrator, add_activity or add_entity."
                )
            adders[kind](item)


def _check_function(function: Any, kind: FunctionKind) -> None:
    if not callable(function):
        raise TypeError(f"{_WORDS[kind][1]} takes a function, not a {type(function).__name__}.")
    marked = kind_of(function)
    if marked is not None and marked is not kind:
        raise ValueError(
            f"'{getattr(function, '__name__', function)}' is marked as {_WORDS[marked][0]}; add it by "
            f"{_WORDS[marked][1]}."
        )


def _add(table: dict[str, Any], name: str, function: Any, kind: str) -> str:
    if not name:
        raise ValueError(f"The name of an {kind} must not be empty.")
    if name in table:
        raise ValueError(f"An {kind} named '{name}' is already registered.")
    table[name] = function
    return name


@dataclass(frozen=True)
class Definitions:
    """Functions as the core runs them, made once when the worker starts."""

    orchestrators: dict[str, OrchestratorDefinition]
    activities: dict[str, ActivityDefinition]
    entities: dict[str, EntityDefinition]
    describe: Describe


def define(
    functions: Functions,
    converter: DataConverter = DEFAULT_DATA_CONVERTER,
    *,
    describe: Describe | None = None,
    longest_timer: timedelta | None = None,
    run_coroutine: RunCoroutine | None = None,
) -> Definitions:
    """Make the definitions. Timers longer than ``longest_timer`` are made of hops of that length."""
    describe = describe or describer()
    conventions = Conventions(converter)
    manners = EntityConventions(converter, describe, run_coroutine)
    policy = replace(POLICY, describe=describe, longest_timer=longest_timer, timer_hop=longest_timer)
    return Definitions(
        {
            name: replace(orchestrator_definition(function, name, conventions), policy=policy)
            for name, function in functions.orchestrators.items()
        },
        {
            name: activity_definition(function, name, converter, run_coroutine)
            for name, function in functions.activities.items()
        },
        {name: entity_definition(entity, name, conventions=manners) for name, entity in functions.entities.items()},
        describe,
    )


def activity_definition(
    function: Callable[..., Any], name: str, converter: DataConverter, run_coroutine: RunCoroutine | None = None
) -> ActivityDefinition:
    """The activity as the core runs it; it takes a context and an input, or a context alone."""
    parameters = list(inspect.signature(function).parameters.values())
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)]
    takes_input = len(positional) != 1 or positional[0].kind is inspect.Parameter.VAR_POSITIONAL
    input_type = annotated_type(function, positional[1].name, converter) if len(positional) > 1 else None

    def begin(call: ActivityCall) -> Any:
        context = ActivityContext(
            call.instance_id, call.task_id, name=call.name, version=call.version, tags=call.tags or {}
        )
        return function(context, converter.deserialize(call.input, input_type)) if takes_input else function(context)

    def run(call: ActivityCall) -> str | None:
        result = begin(call)
        if run_coroutine is not None and isinstance(result, types.CoroutineType):
            # An ``async def`` behind a decorator or an object that does not look like one.
            result = run_coroutine(result)
        return converter.serialize(result)

    async def run_async(call: ActivityCall) -> str | None:
        return converter.serialize(await begin(call))

    if inspect.iscoroutinefunction(inspect.unwrap(function)):
        return ActivityDefinition(name, run_async, ActivityMode.LOOP)
    return ActivityDefinition(name, run)
