"""Reason and details of a failed call, as code of the 1.x generation sees them (functions-sdk.md §12)."""

from perdure.core.failures import FailureDetails
from perdure.core.replay.policy import FailedKind


def reason_of(kind: FailedKind, name: str, failure: FailureDetails) -> str:
    """``Activity function 'ship' failed: out of stock``."""
    return f"{kind.value} function '{name}' failed: {failure.message}"


def details_of(failure: FailureDetails) -> str:
    """Type, message and stack, as one text."""
    text = f"{failure.error_type}: {failure.message}"
    return f"{text}\n{failure.stack_trace}" if failure.stack_trace else text
