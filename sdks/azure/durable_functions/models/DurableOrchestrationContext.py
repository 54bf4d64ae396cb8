"""Old import path; the code is in orchestration_context."""

from azure.durable_functions.orchestration_context import DurableOrchestrationContext

__all__ = ["DurableOrchestrationContext"]
