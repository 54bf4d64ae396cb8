"""Durable Functions for Python: orchestrations, activities and entities in an Azure Functions app."""

from azure.durable_functions.client import DurableOrchestrationClient
from azure.durable_functions.decorators import Blueprint, DFApp
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

EntityContext = DurableEntityContext

__all__ = [
    "Blueprint",
    "DFApp",
    "DurableEntityContext",
    "DurableFunctionsCompatibilityWarning",
    "DurableOrchestrationClient",
    "DurableOrchestrationContext",
    "DurableOrchestrationStatus",
    "Entity",
    "EntityContext",
    "EntityId",
    "EntityStateResponse",
    "NonDeterministicOrchestrationException",
    "OrchestrationRuntimeStatus",
    "Orchestrator",
    "PurgeHistoryResult",
    "RetryOptions",
    "TaskFailedError",
]
