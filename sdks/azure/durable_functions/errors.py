"""Exceptions that user code sees."""

import traceback

from perdure.core.failures import FailureDetails
from perdure.core.replay.policy import FailedKind


class TaskFailedError(Exception):
    """A called activity, sub-orchestration or entity operation failed; ``details`` tells how."""

    def __init__(self, message: str, details: FailureDetails) -> None:
        super().__init__(message)
        self.details = details

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


def failed_call(kind: FailedKind, name: str, failure: FailureDetails) -> TaskFailedError:
    """The exception raised where the failed call is yielded, with the official text (functions-sdk.md §12)."""
    if kind is FailedKind.ENTITY:
        return TaskFailedError(failure.message, failure)
    reason = f"{kind.value} function '{name}' failed: {failure.message}"
    return TaskFailedError(f"{reason} \n {_details_of(failure)}", failure)


def _details_of(failure: FailureDetails) -> str:
    text = f"{failure.error_type}: {failure.message}"
    return f"{text}\n{failure.stack_trace}" if failure.stack_trace else text
