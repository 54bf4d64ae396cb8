"""Old import paths; the code is in history_event."""

from azure.durable_functions.models.history.HistoryEvent import HistoryEvent
from azure.durable_functions.models.history.HistoryEventType import HistoryEventType

__all__ = ["HistoryEvent", "HistoryEventType"]
