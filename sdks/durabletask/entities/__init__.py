"""Entities: small named states with operations, addressed by name and key. Names are imported when they are used."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from durabletask.entities.context import EntityContext
    from durabletask.entities.durable_entity import DurableEntity
    from durabletask.entities.instance_id import EntityInstanceId
    from durabletask.entities.metadata import EntityMetadata, EntityOperationFailedException
    from perdure.core.replay.critical_section import EntityLock

__all__ = [
    "DurableEntity",
    "EntityContext",
    "EntityInstanceId",
    "EntityLock",
    "EntityMetadata",
    "EntityOperationFailedException",
]

_PLACES = {
    "DurableEntity": "durabletask.entities.durable_entity",
    "EntityContext": "durabletask.entities.context",
    "EntityInstanceId": "durabletask.entities.instance_id",
    "EntityLock": "perdure.core.replay.critical_section",
    "EntityMetadata": "durabletask.entities.metadata",
    "EntityOperationFailedException": "durabletask.entities.metadata",
}


def __getattr__(name: str) -> Any:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(place), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
