"""What a worker answers may be too large to be kept: the task or instance fails then, with size and limit."""

from collections.abc import Sequence
from typing import Any

import msgspec

from perdure.contracts.executor import EntityTurn
from perdure.core import actions as ac
from perdure.core.failures import FailureDetails
from perdure.core.registry import OperationOutcome

FAILURE_TEXT_MAX = 32 * 1024
"""Characters of each text of a failure. It is sent with every state of its instance, to clients that take 4 MiB."""


def kept_failure(failure: FailureDetails) -> FailureDetails:
    """The failure, its longest texts cut, and without properties that are too large."""
    cause = None if failure.cause is None else kept_failure(failure.cause)
    stack, properties = failure.stack_trace, failure.properties
    return msgspec.structs.replace(
        failure,
        error_type=_cut(failure.error_type),
        message=_cut(failure.message),
        stack_trace=None if stack is None else _cut(stack),
        properties=None if properties is None else _kept_properties(properties),
        cause=cause,
    )


def _cut(text: str) -> str:
    excess = len(text) - FAILURE_TEXT_MAX
    return text if excess <= 0 else f"{text[:FAILURE_TEXT_MAX]}… ({excess} more characters)"


def _kept_properties(properties: dict[str, Any]) -> dict[str, Any]:
    size = len(msgspec.json.encode(properties))
    return properties if size <= FAILURE_TEXT_MAX else {"omitted": f"The properties have {size} bytes as JSON."}


def kept_result(name: str, result: str | None, bytes_max: int) -> FailureDetails | None:
    """How an activity fails whose result is too large; None when it is not."""
    excess = _excess(result, bytes_max)
    return _failure(f"result of activity '{name}'", excess, bytes_max) if excess else None


def kept_turn(result: ac.TurnResult, bytes_max: int) -> ac.TurnResult:
    """The result of a turn, or the failure of an orchestration that asked for something with too large a text."""
    failure = _turn_failure(result, bytes_max)
    if failure is not None:
        return ac.TurnResult(ending=ac.Fail(failure), events_taken=result.events_taken)
    if isinstance(ending := result.ending, ac.Fail):
        ending = msgspec.structs.replace(ending, failure=kept_failure(ending.failure))
        return msgspec.structs.replace(result, ending=ending)
    return result


def kept_outcomes(turn: EntityTurn, outcomes: Sequence[OperationOutcome], bytes_max: int) -> list[OperationOutcome]:
    """The outcomes, or the failure of all of them when something of the batch is too large: its state is as before."""
    for operation, outcome in zip(turn.operations, outcomes, strict=False):
        failure = _outcome_failure(f"operation '{operation.name}' of entity '{turn.entity}'", outcome, bytes_max)
        if failure is not None:
            return [OperationOutcome(turn.state, failure=failure) for _ in outcomes]
    return [
        outcome if outcome.failure is None else msgspec.structs.replace(outcome, failure=kept_failure(outcome.failure))
        for outcome in outcomes
    ]


def _turn_failure(result: ac.TurnResult, bytes_max: int) -> FailureDetails | None:
    for action in result.actions:
        text: str | None = getattr(action, "input", None)
        if text is not None and (excess := _excess(text, bytes_max)):
            return _failure(f"input of action {action.task_id} ({type(action).__name__})", excess, bytes_max)
    if result.custom_status is not None and (excess := _excess(result.custom_status.text, bytes_max)):
        return _failure("custom status", excess, bytes_max)
    if isinstance(result.ending, ac.ContinueAsNew):
        for text in (result.ending.input, *(carried.input for carried in result.ending.carried)):
            if excess := _excess(text, bytes_max):
                return _failure("input of the next execution, or of an event it carries,", excess, bytes_max)
    return None


def _outcome_failure(what: str, outcome: OperationOutcome, bytes_max: int) -> FailureDetails | None:
    if excess := _excess(outcome.state, bytes_max):
        return _failure(f"state after {what}", excess, bytes_max)
    if excess := _excess(outcome.result, bytes_max):
        return _failure(f"result of {what}", excess, bytes_max)
    for sent in (*outcome.signals, *outcome.starts):
        if excess := _excess(sent.input, bytes_max):
            return _failure(f"input of what was sent by {what}", excess, bytes_max)
    return None


def _excess(text: str | None, bytes_max: int) -> int:
    """Its size when that is too large, else 0."""
    # A character has at most four bytes, so most texts need no count.
    if text is None or len(text) * 4 <= bytes_max:
        return 0
    size = len(text.encode("utf-8", "surrogatepass"))
    return size if size > bytes_max else 0


def _failure(what: str, size: int, bytes_max: int) -> FailureDetails:
    text = f"The {what} has {size} bytes; at most {bytes_max} are allowed."
    return FailureDetails("PayloadTooLarge", text, is_non_retriable=True)
