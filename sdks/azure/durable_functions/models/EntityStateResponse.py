"""Old import path; the code is in status."""

from azure.durable_functions.status import EntityStateResponse

__all__ = ["EntityStateResponse"]
