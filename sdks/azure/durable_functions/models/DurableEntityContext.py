"""Old import path; the code is in entity_context."""

from azure.durable_functions.entity_context import DurableEntityContext

__all__ = ["DurableEntityContext"]
