"""Old import path; the code is in orchestrator_state."""

from azure.durable_functions.orchestrator_state import OrchestratorState

__all__ = ["OrchestratorState"]
