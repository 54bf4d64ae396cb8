"""A batch is as good as its operations one by one; a failed one leaves no trace."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from perdure.core.entities.batch import run_batch
from perdure.core.failures import FailureDetails
from perdure.core.registry import EntitySignal, FailedOperations, Operation, OperationOutcome


class Counter:
    """An entity that keeps its state live between operations and breaks after it has changed everything it can."""

    def __init__(self, state: str | None) -> None:
        self.value = None if state is None else int(state)

    def run(self, operation: Operation) -> OperationOutcome:
        signals = [EntitySignal("@log@x", operation.name, operation.input)]
        match operation.name:
            case "add" | "break":
                self.value = (self.value or 0) + int(operation.input or "1")
            case "delete":
                self.value = None
            case "get":
                signals = []
            case _:
                raise AssertionError(operation)
        state = None if self.value is None else str(self.value)
        failure = FailureDetails("ValueError", "broken") if operation.name == "break" else None
        return OperationOutcome(state, state, tuple(signals), failure)

    def roll_back(self, state: str | None) -> None:
        self.value = None if state is None else int(state)


OPERATIONS = st.builds(
    Operation,
    st.sampled_from(["add", "break", "get", "delete"]),
    st.sampled_from([None, "1", "5"]),
    st.booleans(),
)


def _operation(name: str, input: str | None = None) -> Operation:
    return Operation(name, input, is_signal=False)


@given(state=st.sampled_from([None, "3"]), operations=st.lists(OPERATIONS, max_size=12), data=st.data())
def test_a_batch_equals_its_operations_one_by_one(state: str | None, operations: list[Operation], data: Any) -> None:
    """And equals any cut into smaller batches, each opened anew on the stored state."""
    whole = run_batch(Counter(state), state, operations)
    parts: list[OperationOutcome] = []
    rest, left = operations, state
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        parts += run_batch(Counter(left), left, rest[:size])
        left, rest = parts[-1].state, rest[size:]
    assert whole == parts


def test_a_failed_operation_is_rolled_back_with_its_signals() -> None:
    added, broken, got = run_batch(
        Counter("10"), "10", [_operation("add", "5"), _operation("break", "100"), _operation("get")]
    )
    assert added == OperationOutcome("15", "15", (EntitySignal("@log@x", "add", "5"),))
    assert broken == OperationOutcome("15", failure=FailureDetails("ValueError", "broken"))
    assert got == OperationOutcome("15", "15")


def test_an_entity_that_failed_at_its_first_operation_does_not_exist() -> None:
    (outcome,) = run_batch(Counter(None), None, [_operation("break")])
    assert outcome.state is None


def test_an_entity_may_be_deleted_and_made_again_in_one_batch() -> None:
    outcomes = run_batch(Counter("1"), "1", [_operation("delete"), _operation("get"), _operation("add", "5")])
    assert [o.state for o in outcomes] == [None, None, "5"]


def test_a_failed_operation_may_be_kept_with_its_signals() -> None:
    added, broken, got = run_batch(
        Counter("10"),
        "10",
        [_operation("add", "5"), _operation("break", "100"), _operation("get")],
        FailedOperations.KEPT,
    )
    assert added.state == "15"
    assert broken == OperationOutcome(
        "115", "115", (EntitySignal("@log@x", "break", "100"),), FailureDetails("ValueError", "broken")
    )
    assert got == OperationOutcome("115", "115")


def test_an_empty_batch() -> None:
    assert run_batch(Counter("1"), "1", []) == []
