"""Durable Functions for Python: orchestrations, activities and entities in an Azure Functions app."""

import importlib
from typing import TYPE_CHECKING, Any

import azure.durable_functions.portable_family  # noqa: F401 - first: what follows imports durabletask

# isort: split
from azure.durable_functions.bundle_check import warn_of_first_bundle
from azure.durable_functions.client import DurableOrchestrationClient
from azure.durable_functions.decorators import Blueprint, DFApp
from azure.durable_functions.decorators.default_blueprint import (
    activity_trigger,
    default_blueprint,
    durable_client_input,
    entity_trigger,
    orchestration_trigger,
)
from azure.durable_functions.durable_http import (
    DurableHttpRequest,
    DurableHttpResponse,
    ManagedIdentityTokenSource,
    TokenSource,
)
from azure.durable_functions.entity import Entity
from azure.durable_functions.entity_context import DurableEntityContext
from azure.durable_functions.entity_id import EntityId
from azure.durable_functions.errors import (
    DurableFunctionsCompatibilityWarning,
    NonDeterministicOrchestrationException,
    TaskFailedError,
)
from azure.durable_functions.orchestration_context import DurableOrchestrationContext
from azure.durable_functions.orchestrator import Orchestrator
from azure.durable_functions.retry_options import RetryOptions
from azure.durable_functions.status import (
    DurableOrchestrationStatus,
    EntityStateResponse,
    OrchestrationRuntimeStatus,
    PurgeHistoryResult,
)
from durabletask.retry import RetryPolicy

if TYPE_CHECKING:
    from azure.durable_functions.functions_client import DurableFunctionsClient
    from azure.durable_functions.sync_functions_client import SyncDurableFunctionsClient

EntityContext = DurableEntityContext

_LATE = {"DurableFunctionsClient": "functions_client", "SyncDurableFunctionsClient": "sync_functions_client"}
"""What an app of one-argument functions does not pay for: name → module."""

warn_of_first_bundle()


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_LATE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATE})


__all__ = [
    "Blueprint",
    "DFApp",
    "DurableEntityContext",
    "DurableFunctionsClient",
    "DurableFunctionsCompatibilityWarning",
    "DurableHttpRequest",
    "DurableHttpResponse",
    "DurableOrchestrationClient",
    "DurableOrchestrationContext",
    "DurableOrchestrationStatus",
    "Entity",
    "EntityContext",
    "EntityId",
    "EntityStateResponse",
    "ManagedIdentityTokenSource",
    "NonDeterministicOrchestrationException",
    "OrchestrationRuntimeStatus",
    "Orchestrator",
    "PurgeHistoryResult",
    "RetryOptions",
    "RetryPolicy",
    "SyncDurableFunctionsClient",
    "TaskFailedError",
    "TokenSource",
    "activity_trigger",
    "default_blueprint",
    "durable_client_input",
    "entity_trigger",
    "orchestration_trigger",
]
