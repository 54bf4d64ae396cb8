"""Which registered function a call means, and how its result is read: by its declared return type."""

import weakref
from collections.abc import Callable
from typing import Any

from azure.functions.decorators.core import Trigger
from azure.functions.decorators.function_app import FunctionBuilder

from azure.durable_functions.constants import ACTIVITY_TRIGGER, ENTITY_TRIGGER, ORCHESTRATION_TRIGGER
from azure.durable_functions.declared_types import hints_of
from azure.durable_functions.serialization import Decode, decode_annotated, from_text
from durabletask.annotations import declared_return_type
from durabletask.markers import ENTITY_NAME, NAME

NAME_FIELDS = {ORCHESTRATION_TRIGGER: "orchestration", ACTIVITY_TRIGGER: "activity", ENTITY_TRIGGER: "entity_name"}
"""Where each trigger keeps the name its function is registered under, when that is not the function's own."""


def name_of(function: str | Callable[..., Any] | None, trigger_type: str) -> str:
    """The name under which a function given by name, or by itself, is registered.

    Raises ValueError for an undecorated function, one with another trigger, or an empty name.
    """
    if isinstance(function, str) and function:
        return plain(function)
    if isinstance(function, FunctionBuilder):
        return _name_of_builder(function, trigger_type)
    if callable(function):
        raise ValueError(
            f"The function '{getattr(function, '__name__', function)}' has no {trigger_type} decorator. "
            "Decorate it, or pass the name of a registered function."
        )
    if function:
        raise ValueError(f"A function is called by its name or by itself, not by a {type(function).__name__}.")
    raise ValueError("function_name cannot be empty")


def plain(text: str) -> str:
    """The text itself for members of a string enumeration and the like."""
    return text if type(text) is str else str.__str__(text)


def _name_of_builder(builder: FunctionBuilder, trigger_type: str) -> str:
    function = builder.build()
    trigger = _trigger_of(builder)
    if trigger.type != trigger_type:
        raise ValueError(
            f"The function '{function.get_function_name()}' has the trigger {trigger.type}, "
            f"but a function with the trigger {trigger_type} is expected here."
        )
    name = registered_name(builder)
    if not name:
        raise ValueError("function_name cannot be empty")
    return name


def registered_name(builder: FunctionBuilder) -> str:
    """The name a durable function is registered under. Raises ValueError when it has no trigger."""
    trigger = _trigger_of(builder)
    field = NAME_FIELDS.get(str(trigger.type), "")
    return getattr(trigger, field, None) or builder.build().get_function_name() or ""


def _trigger_of(builder: FunctionBuilder) -> Trigger:
    trigger = builder.build().get_trigger()
    assert trigger is not None, "a function that could be built has a trigger"
    return trigger


def marked_name(function: Callable[..., Any]) -> str | None:
    """The name that a decorator of ``durabletask.task`` gave the function, if any."""
    return getattr(function, NAME, None) or getattr(function, ENTITY_NAME, None)


class DeclaredResults:
    """Return types of decorated functions of one kind, by name whatever its case; the function declared last counts."""

    def __init__(self) -> None:
        # Names are settled only when all decorators of a function have run, so they are looked up late.
        self._functions: weakref.WeakKeyDictionary[FunctionBuilder, Callable[..., Any]] = weakref.WeakKeyDictionary()
        self._decoders: dict[str, Decode] | None = None
        self._annotations: dict[str, Any] | None = None

    def declare(self, builder: FunctionBuilder, function: Callable[..., Any]) -> None:
        """Take a function into account from now on."""
        self._functions[builder] = function
        self._decoders = None
        self._annotations = None

    def decoder(self, name: str) -> Decode:
        """How to read the result of the function of that name."""
        decoders = self._decoders
        if decoders is None:
            decoders = self._decoders = self._read_annotations()
        return decoders.get(name) or decoders.get(name.lower(), from_text)

    def annotation(self, name: str) -> Any:
        """What the function of that name says that it returns; None when it says nothing."""
        annotations = self._annotations
        if annotations is None:
            annotations = self._annotations = {
                registered_name(builder).lower(): declared_return_type(function)
                for builder, function in self._functions.items()
            }
        return annotations.get(name.lower())

    def _read_annotations(self) -> dict[str, Decode]:
        decoders: dict[str, Decode] = {}
        for builder, function in self._functions.items():
            name = registered_name(builder)
            decoders[name] = decoders[name.lower()] = decode_annotated(hints_of(function).get("return"))
        return decoders


activity_results = DeclaredResults()
orchestrator_results = DeclaredResults()
