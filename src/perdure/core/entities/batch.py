"""Run a batch of operations over an entity's state; a failed one leaves no trace."""

from collections.abc import Sequence

from perdure.core.registry import EntityProgram, Operation, OperationOutcome


def run_batch(program: EntityProgram, state: str | None, operations: Sequence[Operation]) -> list[OperationOutcome]:
    """Run the operations in order; one outcome each, as if each had been a batch of its own.

    The state and the signals of a failed operation are rolled back, and the next one sees the state before it.
    """
    outcomes: list[OperationOutcome] = []
    for operation in operations:
        outcome = program.run(operation)
        if outcome.failure is None:
            state = outcome.state
        else:
            program.roll_back(state)
            outcome = OperationOutcome(state, failure=outcome.failure)
        outcomes.append(outcome)
    return outcomes
