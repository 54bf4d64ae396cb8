"""Old import path; the code is in history_event."""

from azure.durable_functions.history_event import FunctionContext

__all__ = ["FunctionContext"]
