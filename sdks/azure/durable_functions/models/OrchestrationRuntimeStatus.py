"""Old import path; the code is in status."""

from azure.durable_functions.status import OrchestrationRuntimeStatus

__all__ = ["OrchestrationRuntimeStatus"]
