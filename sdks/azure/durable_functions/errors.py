"""Exceptions that user code sees."""

import traceback

from perdure.core.failures import FailureDetails


class TaskFailedError(Exception):
    """A called activity, sub-orchestration or entity operation failed; ``details`` tells how.

    What is raised at a yield is also of the type that the called function raised, where the code knows that type; the
    attributes of the original exception stay where it was raised.
    """

    def __init__(self, message: str, details: FailureDetails) -> None:
        # Not super(): the type joined to this one may want other arguments.
        Exception.__init__(self, message)
        self.details = details

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def failure_details(self) -> FailureDetails:
        """This exception as a failure of the code that let it pass; the called function's failure is its cause."""
        return FailureDetails(
            error_type=type(self).__name__,
            message=str(self),
            stack_trace="".join(traceback.format_tb(self.__traceback__)) or None,
            cause=self.details,
        )


class NonDeterministicOrchestrationException(Exception):
    """The orchestrator's code no longer matches its recorded history."""


class DurableFunctionsCompatibilityWarning(UserWarning):
    """Something about this app that another generation of the package takes differently."""
