"""Old import path; the code is in status."""

from azure.durable_functions.status import DurableOrchestrationStatus

__all__ = ["DurableOrchestrationStatus"]
