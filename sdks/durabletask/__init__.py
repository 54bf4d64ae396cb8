"""Durable Task programs in Python. Importing this imports nothing else: what is named is loaded when it is."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from durabletask.exception_properties import ExceptionPropertiesProvider
    from durabletask.grpc_options import GrpcChannelOptions, GrpcRetryPolicyOptions
    from durabletask.payload import LargePayloadStorageOptions, PayloadStore
    from durabletask.worker import (
        ActivityWorkItemFilter,
        ConcurrencyOptions,
        EntityWorkItemFilter,
        OrchestrationWorkItemFilter,
        VersioningOptions,
        WorkItemFilters,
    )

PACKAGE_NAME = "durabletask"

__all__ = [
    "PACKAGE_NAME",
    "ActivityWorkItemFilter",
    "ConcurrencyOptions",
    "EntityWorkItemFilter",
    "ExceptionPropertiesProvider",
    "GrpcChannelOptions",
    "GrpcRetryPolicyOptions",
    "LargePayloadStorageOptions",
    "OrchestrationWorkItemFilter",
    "PayloadStore",
    "VersioningOptions",
    "WorkItemFilters",
]

_PLACES = {
    "ActivityWorkItemFilter": "worker",
    "ConcurrencyOptions": "worker",
    "EntityWorkItemFilter": "worker",
    "ExceptionPropertiesProvider": "exception_properties",
    "GrpcChannelOptions": "grpc_options",
    "GrpcRetryPolicyOptions": "grpc_options",
    "LargePayloadStorageOptions": "payload",
    "OrchestrationWorkItemFilter": "worker",
    "PayloadStore": "payload",
    "VersioningOptions": "worker",
    "WorkItemFilters": "worker",
}

_SUBMODULES = frozenset(
    {
        "azuremanaged",
        "client",
        "entities",
        "exception_properties",
        "extensions",
        "grpc_options",
        "history",
        "internal",
        "payload",
        "scheduled",
        "serialization",
        "task",
        "testing",
        "worker",
    }
)


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{place}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_SUBMODULES, *__all__})
