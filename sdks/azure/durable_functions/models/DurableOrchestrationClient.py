"""Old import path; the code is in client."""

from azure.durable_functions.client import DurableOrchestrationClient

__all__ = ["DurableOrchestrationClient"]
