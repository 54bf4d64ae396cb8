"""For unit tests of orchestrators and entities."""

from azure.durable_functions.testing.generators import orchestrator_generator_wrapper

__all__ = ["orchestrator_generator_wrapper"]
