"""Old import path; the code is in bindings."""

from azure.durable_functions.bindings import DurableOrchestrationBindings

__all__ = ["DurableOrchestrationBindings"]
