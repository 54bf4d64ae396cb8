"""Errors of the core, by who must act on them."""

from perdure.core.failures import FailureDetails


class NonDeterminism(Exception):
    """The orchestrator's code no longer matches its recorded history."""


class NotRegistered(Exception):
    """No function of that name and kind is registered. ``failure_details``: how a failure of it is to be written."""

    def __init__(self, message: str, failure_details: FailureDetails | None = None) -> None:
        super().__init__(message)
        self.failure_details = failure_details


class InvalidIdentifier(ValueError):
    """An instance id, entity id or event name breaks the naming rules."""


class OrchestratorMisuse(TypeError):
    """Orchestrator code did something that can never work, such as yielding what is not a task."""
