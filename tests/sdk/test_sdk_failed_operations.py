"""What a failed operation of an entity leaves behind, where the host is told to keep it."""

from typing import Any

import pytest

from azure.durable_functions import Entity
from perdure.core.entities.batch import run_batch
from perdure.core.identifiers import EntityId
from perdure.core.registry import FailedOperations, Operation, Registry


def counter(context: Any) -> None:
    """Counts, and fails after it has counted when it is told to."""
    context.set_state(context.get_state(int) + 1 if context.operation_name != "begin" else 0)
    if context.operation_name == "fail":
        raise ValueError("no")
    if context.operation_name == "spoil":
        context.set_state(object())


@pytest.mark.parametrize(("failed", "left"), [(FailedOperations.KEPT, "3"), (FailedOperations.ROLLED_BACK, "2")])
def test_its_state_counts_or_does_not(failed: FailedOperations, left: str) -> None:
    registry = Registry()
    registry.add_entity(Entity.create(counter).definition("counter"))
    if failed is FailedOperations.KEPT:
        registry.keep_failed_operations()
    definition = registry.entity("Counter")
    assert definition.failed is failed
    operations = [Operation(name, None, False) for name in ("begin", "add", "fail", "add")]
    program = definition.open(EntityId("counter", "a"), None)
    outcomes = run_batch(program, None, operations, definition.failed)
    assert [outcome.failure is not None for outcome in outcomes] == [False, False, True, False]
    assert outcomes[-1].state == left


def test_a_state_without_a_json_form_leaves_the_one_before() -> None:
    definition = Entity.create(counter).definition("counter")
    program = definition.open(EntityId("counter", "a"), None)
    begun, spoilt = run_batch(
        program, None, [Operation(name, None, False) for name in ("begin", "spoil")], FailedOperations.KEPT
    )
    assert spoilt.failure is not None
    assert (begun.state, spoilt.state) == ("0", "0")
