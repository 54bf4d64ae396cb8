"""For unit tests of orchestrators and entities."""

from azure.durable_functions.testing.entities import (
    EntitySignalAction,
    EntityTestResult,
    OrchestrationStartAction,
    execute_entity,
)
from azure.durable_functions.testing.generators import orchestrator_generator_wrapper

__all__ = [
    "EntitySignalAction",
    "EntityTestResult",
    "OrchestrationStartAction",
    "execute_entity",
    "orchestrator_generator_wrapper",
]
