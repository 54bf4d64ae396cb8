"""Functions called by the host of the official package: JSON text in, JSON text out (replay-protocol.md).

The code runs on the same replayer as on our own host, over a past that comes whole with each call.
"""

import dataclasses
import json
import time
from collections.abc import Sequence
from typing import Any

from azure.durable_functions.errors import TaskFailedError
from azure.durable_functions.failed_calls import FailedCalls
from azure.durable_functions.protocol_recorder import ProtocolRecorder
from perdure.core.actions import Complete, ContinueAsNew, Ending, Fail
from perdure.core.failures import FailureDetails
from perdure.core.registry import (
    EntityDefinition,
    EntityProgram,
    EntitySignal,
    FailedOperations,
    Operation,
    OperationOutcome,
    OrchestratorDefinition,
)
from perdure.core.replay.policy import FailedKind
from perdure.core.replay.replayer import Replayer
from perdure.core.replay.watched_program import NOTHING, WatchedProgram
from perdure.formats.azure_json.answers import Answer, write_answer, write_failure
from perdure.formats.azure_json.contexts import OrchestratorContext, Part, ShortHistory
from perdure.formats.azure_json.entity_batches import EntityBatch, OperationResult, write_batch_answer


def body_of(context: Any) -> str:
    """The text that a worker hands over: the argument itself, or the ``body`` of what it comes in.

    Raises TypeError for anything else, as for a call by hand.
    """
    body = getattr(context, "body", None)
    text = context if body is None else body
    if isinstance(text, bytes | bytearray):
        return text.decode("utf-8")
    if isinstance(text, str):
        return text
    raise TypeError(
        f"This function takes the JSON context of a host, not a {type(text).__name__}: `perdure start` runs it. "
        "A unit test takes the undecorated function from the attribute 'orchestrator_function' or 'entity_function'."
    )


def answer_orchestrator(definition: OrchestratorDefinition, call: OrchestratorContext) -> str:
    """Run an orchestrator over its whole past; returns the answer.

    An orchestrator that fails raises Exception, from the original one, with the answer in its text. A history without
    its beginning raises without one.
    """
    try:
        parts = call.parts()
    except ShortHistory as error:
        # Its text is known to users of the official package, and so is its type.
        raise Exception(str(error)) from None
    definition = _as_the_host_expects(definition)
    watched = WatchedProgram(definition)
    recorder = ProtocolRecorder(call, definition.policy, definition.tasks)
    replayer = Replayer(watched.definition(), call.instance_id, recorder)
    try:
        ending = _run(replayer, watched, parts)
        answer = Answer(
            schema=call.schema,
            steps=recorder.steps(),
            is_done=_is_done(ending, recorder, watched),
            output=_output(ending, watched),
            custom_status=recorder.custom_status,
        )
    finally:
        replayer.close()
    if isinstance(ending, Fail):
        message, error = _texts(ending, watched)
        raise Exception(write_failure(message, dataclasses.replace(answer, error=error))) from watched.error
    return write_answer(answer)


def answer_entity(definition: EntityDefinition, batch: EntityBatch) -> str:
    """Run an entity's operations, each with its own outcome; returns the answer."""
    run = _BatchRun(definition, definition.open(batch.entity_id, batch.state), batch.state)
    for operation in batch.operations:
        run.run(operation)
    return write_batch_answer(state=run.state, results=run.results, signals=run.signals)


def _as_the_host_expects(definition: OrchestratorDefinition) -> OrchestratorDefinition:
    def write_output(value: Any) -> str | None:
        try:
            return definition.write_output(value)
        except TypeError:
            # What the json module says of such a value is what users of the official package read.
            json.dumps(value)
            raise

    policy = definition.policy
    if isinstance(policy.make_error, FailedCalls):
        policy = dataclasses.replace(policy, make_error=_failed_call)
    return dataclasses.replace(definition, policy=policy, write_output=write_output)


def _failed_call(kind: FailedKind, name: str, failure: FailureDetails) -> TaskFailedError:
    """The host has composed the text already."""
    return TaskFailedError(failure.message, failure)


def _run(replayer: Replayer, watched: WatchedProgram, parts: Sequence[Part]) -> Ending | None:
    for part in parts:
        if part.was_seen:
            replayer.replay(part.events)
        else:
            ending = replayer.advance(part.events).ending
            if ending is not None:
                return ending
        watched.end_part(was_seen=part.was_seen)
        if replayer.is_over:
            break
    return replayer.advance(()).ending


def _is_done(ending: Ending | None, recorder: ProtocolRecorder, watched: WatchedProgram) -> bool:
    if isinstance(ending, Fail):
        # An output that cannot be written leaves the code returned, and what failed later has continued before.
        return watched.has_returned or recorder.will_continue_as_new
    return ending is not None


def _output(ending: Ending | None, watched: WatchedProgram) -> str | None:
    if isinstance(ending, Complete):
        return None if ending.output == "null" else ending.output
    if not isinstance(ending, ContinueAsNew) or watched.value is NOTHING:
        return None
    try:
        return watched.write_output(watched.value)
    except (TypeError, ValueError):
        return None  # the next execution counts, not what this one returned


def _texts(ending: Fail, watched: WatchedProgram) -> tuple[str, str]:
    """The text before the label, and the ``error`` in the answer, which is never empty."""
    error, text = watched.error, ending.failure.message
    if error is None:
        return text, text
    kind = Exception if isinstance(error, TaskFailedError) else type(error)
    if text in ("", str(type(error))) and not _has_text(error):
        return "", str(kind)
    return text, text


def _has_text(error: BaseException) -> bool:
    try:
        return bool(str(error))
    except Exception:
        return False


class _BatchRun:
    """The operations of one batch, one after the other, over one state."""

    def __init__(self, definition: EntityDefinition, program: EntityProgram, state: str | None) -> None:
        self.state = state
        self.results: list[OperationResult] = []
        self.signals: list[EntitySignal] = []
        self._keeps_failed = definition.failed is FailedOperations.KEPT
        self._program = program

    def run(self, operation: Operation) -> None:
        """Run one; whatever its code raises is its result."""
        started_at = time.time_ns()
        began = time.monotonic_ns()
        outcome = self._program.run(operation)
        error = _error_of(outcome)
        if error is None or self._keeps_failed:
            self.state = outcome.state
            self.signals.extend(outcome.signals)
        else:
            self._program.roll_back(self.state)
        duration = (time.monotonic_ns() - began) // 1_000_000
        self.results.append(OperationResult(outcome.result, error, started_at // 1_000_000, duration))


def _error_of(outcome: OperationOutcome) -> str | None:
    failure = outcome.failure
    if failure is not None:
        # In place of an empty text our failures have the class; on this wire the empty text goes as it is.
        stands_for_nothing = failure.message.startswith("<class '") and failure.message.endswith(
            f"{failure.error_type}'>"
        )
        return "" if stands_for_nothing else failure.message
    if outcome.starts:
        return "An entity cannot start orchestrations where another host runs it; `perdure start` can."
    return None
