"""Run a batch of operations over an entity's state."""

from collections.abc import Sequence

from perdure.core.registry import EntityProgram, FailedOperations, Operation, OperationOutcome


def run_batch(
    program: EntityProgram,
    state: str | None,
    operations: Sequence[Operation],
    failed: FailedOperations = FailedOperations.ROLLED_BACK,
) -> list[OperationOutcome]:
    """Run the operations in order; one outcome each, as if each had been a batch of its own.

    Rolled back, a failed operation leaves no trace: its state and its signals are gone, and the next one sees the
    state before it. Kept, they count as if it had succeeded; its caller gets the failure either way.
    """
    outcomes: list[OperationOutcome] = []
    for operation in operations:
        outcome = program.run(operation)
        if outcome.failure is None or failed is FailedOperations.KEPT:
            state = outcome.state
        else:
            program.roll_back(state)
            outcome = OperationOutcome(state, failure=outcome.failure)
        outcomes.append(outcome)
    return outcomes
