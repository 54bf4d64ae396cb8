"""The official SDK as one side of the host."""

from typing import Any

from perdure.core.registry import EntityDefinition, OutsideDefinition
from perdure.functions.guest.entities import entity_definition
from perdure.functions.guest.orchestrators import orchestrator_definition
from perdure.functions.guest.payloads import GuestPayloads
from perdure.functions.sdk_side import SdkSide


def _orchestrator(code: Any, registered: str) -> OutsideDefinition:
    if not hasattr(code, "orchestrator_function"):
        raise ValueError("has an orchestrationTrigger, yet its code was not made by df.Orchestrator.create")
    return orchestrator_definition(code, registered)


def _entity(code: Any, registered: str) -> EntityDefinition:
    if not hasattr(code, "entity_function"):
        raise ValueError("has an entityTrigger, yet its code was not made by df.Entity.create")
    return entity_definition(code, registered)


GUEST_SDK = SdkSide(_orchestrator, _entity, GuestPayloads)
"""The official 1.x SDK that the environment holds."""
