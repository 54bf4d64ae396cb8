"""Entities: small named states with operations, addressed by name and key."""

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
