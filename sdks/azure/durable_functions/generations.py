"""Which generation of the programming model a function belongs to: its parameters tell (functions-sdk.md §18)."""

import inspect
import sys
import warnings
from collections.abc import Callable
from typing import Any

import azure.functions as func

from azure.durable_functions.errors import DurableFunctionsCompatibilityWarning
from durabletask.annotations import hints_of

_POSITIONAL = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
)


def is_native_orchestrator(function: Callable[..., Any]) -> bool:
    """Whether an orchestrator takes its input as second argument, so that its context is the portable one."""
    parameters = positional(function)
    is_native = len(parameters) > 1 or any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)
    if is_native and len(parameters) > 1 and parameters[1].default is not inspect.Parameter.empty:
        _warn_of_default(function, parameters)
    return is_native


def is_native_entity(entity: Callable[..., Any]) -> bool:
    """Whether an entity is a DurableEntity class, or a function that takes the input as second argument."""
    if isinstance(entity, type):
        return _is_of(entity, "durabletask.entities.durable_entity", "DurableEntity")
    return len(positional(entity)) > 1


def is_native_activity(function: Callable[..., Any], input_name: str) -> bool:
    """Whether an activity takes a context before its input.

    A first parameter that carries the binding's name, or is annotated as the host's own context, is none.
    """
    parameters = positional(function)
    if len(parameters) != 2:
        return False
    first = parameters[0].name
    annotation = hints_of(function).get(first)
    if _is_of(annotation, "durabletask.activity_context", "ActivityContext"):
        return True
    return first != input_name and annotation is not func.Context


def says_native_activity(function: Callable[..., Any], input_name: str) -> bool:
    """The same for a function that nobody decorated, in a folder with a function.json.

    There a first parameter 'context' is the invocation's own unless its annotation says otherwise, and one of another
    name goes before a second that has the binding's.
    """
    if not is_native_activity(function, input_name):
        return False
    first, second = positional(function)
    annotation = hints_of(function).get(first.name)
    return _is_of(annotation, "durabletask.activity_context", "ActivityContext") or (
        first.name != "context" and second.name == input_name
    )


def positional(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters that arguments without a name can reach."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # what has no signature to be read
        return []
    return [parameter for parameter in parameters if parameter.kind in _POSITIONAL]


def _is_of(annotation: Any, module: str, name: str) -> bool:
    """Whether it is a class of that name or made from it. What was never imported, nothing was made from."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(annotation, type) and issubclass(annotation, getattr(loaded, name))


def _warn_of_default(function: Callable[..., Any], parameters: list[inspect.Parameter]) -> None:
    annotation = hints_of(function).get(parameters[0].name)
    if _is_of(annotation, "durabletask.orchestration_context", "OrchestrationContext"):
        return
    name = getattr(function, "__name__", str(function))
    warnings.warn(
        f"The orchestrator '{name}' has a second parameter with a default ('{parameters[1].name}'), so it runs with "
        "the context of durabletask and gets its input there. Leave the parameter out, or make it keyword-only, to "
        "run it with DurableOrchestrationContext; annotate the first one as OrchestrationContext to say that this is "
        "meant.",
        DurableFunctionsCompatibilityWarning,
        stacklevel=6,
    )
