"""What the host takes from the SDK that the app runs on: definitions of its handles, and its converter."""

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from perdure.core.registry import EntityDefinition, OrchestratorDefinition, OutsideDefinition
from perdure.functions.activities import PayloadCodec

AnyOrchestrator = OrchestratorDefinition | OutsideDefinition


@dataclass(frozen=True, slots=True)
class SdkSide:
    """One SDK. ``orchestrator`` and ``entity`` get a function's code and its registered name.

    They raise ValueError, saying what to write, for code that the SDK did not make.
    """

    orchestrator: Callable[[Any, str], AnyOrchestrator]
    entity: Callable[[Any, str], EntityDefinition]
    codec: Callable[[], PayloadCodec]
    activity: Callable[[Any, str], Any] = lambda code, _: code
    """An undecorated activity and its binding's name → what the host calls."""


def _own_orchestrator(code: Any, registered: str) -> AnyOrchestrator:
    definition = _own_definition(code, registered)
    if not isinstance(definition, OrchestratorDefinition):
        raise ValueError("has an orchestrationTrigger, yet its code was not made by df.Orchestrator.create")
    return definition


def _own_entity(code: Any, registered: str) -> EntityDefinition:
    definition = _own_definition(code, registered)
    if not isinstance(definition, EntityDefinition):
        raise ValueError("has an entityTrigger, yet its code was not made by df.Entity.create")
    return definition


def _own_definition(code: Any, registered: str) -> Any:
    define = getattr(code, "definition", None)
    if define is None:
        raise ValueError(
            "was not made by the durable SDK of this host: write main = df.Orchestrator.create(orchestrator_function), "
            "or df.Entity.create, with the azure.durable_functions that perdure serves"
        )
    return define(registered)


def _own_activity(code: Any, argument: str) -> Any:
    try:
        has_two = len(inspect.signature(code).parameters) == 2
    except (TypeError, ValueError):
        # It has no signature to be read, which is said when its bindings are looked at.
        has_two = False
    if not has_two:
        return code
    generations = importlib.import_module("azure.durable_functions.generations")
    if not generations.says_native_activity(code, argument):
        return code
    return importlib.import_module("azure.durable_functions.native_activity").native_activity(code, argument)


def _own_codec() -> PayloadCodec:
    return cast(PayloadCodec, importlib.import_module("azure.durable_functions.serialization"))


OWN_SDK = SdkSide(_own_orchestrator, _own_entity, _own_codec, _own_activity)
"""The SDK that perdure serves."""
