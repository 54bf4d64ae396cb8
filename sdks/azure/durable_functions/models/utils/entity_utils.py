"""Old import path; the code is in entity_id."""

from azure.durable_functions.entity_id import EntityId

__all__ = ["EntityId"]
