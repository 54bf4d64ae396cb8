"""Errors of the core, by who must act on them."""


class NonDeterminism(Exception):
    """The orchestrator's code no longer matches its recorded history."""


class NotRegistered(Exception):
    """No function of that name and kind is registered."""


class InvalidIdentifier(ValueError):
    """An instance id, entity id or event name breaks the naming rules."""


class OrchestratorMisuse(TypeError):
    """Orchestrator code did something that can never work, such as yielding what is not a task."""
