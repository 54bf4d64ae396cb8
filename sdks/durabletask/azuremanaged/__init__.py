"""Clients and workers of the hosted scheduler, of our server, and of an engine in this process.

The names are imported when they are used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from durabletask.azuremanaged.client import AsyncDurableTaskSchedulerClient, DurableTaskSchedulerClient
    from durabletask.azuremanaged.connection_string import ConnectionString
    from durabletask.azuremanaged.worker import DurableTaskSchedulerWorker

__all__ = [
    "AsyncDurableTaskSchedulerClient",
    "ConnectionString",
    "DurableTaskSchedulerClient",
    "DurableTaskSchedulerWorker",
]

_PLACES = {
    "AsyncDurableTaskSchedulerClient": "client",
    "ConnectionString": "connection_string",
    "DurableTaskSchedulerClient": "client",
    "DurableTaskSchedulerWorker": "worker",
}


def __getattr__(name: str) -> Any:
    if name in ("client", "worker", "connection_string", "preview"):
        return importlib.import_module(f"{__name__}.{name}")
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{place}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
