"""Old import path; the code is in status."""

from azure.durable_functions.status import PurgeHistoryResult

__all__ = ["PurgeHistoryResult"]
