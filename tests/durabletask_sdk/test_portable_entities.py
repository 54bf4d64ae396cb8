"""Entities of the portable SDK (portable-sdk.md §6)."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from durabletask.entities import DurableEntity, EntityInstanceId, EntityMetadata, EntityOperationFailedException
from durabletask.entities.definition import entity_definition
from durabletask.failures import FailureDetails
from perdure.core.entities.batch import run_batch
from perdure.core.identifiers import EntityId
from perdure.core.registry import EntitySignal, FailedOperations, Operation


@dataclass
class Amount:
    cents: int


class Wallet(DurableEntity):
    currency = "EUR"

    def add(self, amount: Amount):
        balance = self.get_state(int, 0) + amount.cents
        self.set_state(balance)
        return Amount(balance)

    def get(self):
        return self.get_state(int, 0)

    def scale(self, factor=2):
        self.set_state(self.get_state(int, 0) * factor)

    def broken(self):
        self.set_state(999)
        self.signal_entity(EntityInstanceId("log", "k"), "write", "never")
        self.schedule_new_orchestration("never")
        raise ValueError("no")

    def spread(self):
        self.signal_entity(EntityInstanceId("log", "k"), "write", "x", datetime(2027, 1, 1))
        return self.schedule_new_orchestration("report", {"of": str(self.entity_context.entity_id)})

    def unwritable(self):
        self.set_state(object())


def run(entity, state, *operations, failed=FailedOperations.ROLLED_BACK):
    definition = entity_definition(entity, "wallet")
    batch = [Operation(name, input, False) for name, input in operations]
    return run_batch(definition.open(EntityId("wallet", "k"), state), state, batch, failed)


def test_methods_are_operations_and_the_state_stays():
    outcomes = run(Wallet, None, ("add", '{"cents": 5}'), ("scale", None), ("scale", "3"), ("get", None))

    assert [outcome.state for outcome in outcomes] == ["5", "10", "30", "30"]
    assert [outcome.result for outcome in outcomes] == ['{"cents": 5}', None, None, "30"]


def test_a_failed_operation_leaves_no_trace_unless_asked():
    outcomes = run(Wallet, "1", ("broken", None), ("get", None))
    assert (outcomes[0].state, outcomes[0].signals, outcomes[0].starts) == ("1", (), ())
    assert outcomes[0].failure.message == "no"
    assert outcomes[1].result == "1"

    kept = run(Wallet, "1", ("broken", None), ("get", None), failed=FailedOperations.KEPT)
    assert kept[1].result == "999"


def test_signals_and_starts_go_out_with_the_operation():
    (outcome,) = run(Wallet, None, ("spread", None))

    assert outcome.signals == (EntitySignal("@log@k", "write", '"x"', datetime(2027, 1, 1, tzinfo=UTC)),)
    (start,) = outcome.starts
    assert (start.name, start.input) == ("report", '{"of": "@wallet@k"}')
    assert outcome.result == f'"{start.instance_id}"'


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        ("missing", "AttributeError"),
        ("_hidden", "AttributeError"),
        ("set_state", "AttributeError"),
        ("currency", "TypeError"),
        ("unwritable", "TypeError"),
    ],
)
def test_what_is_no_operation(operation, error):
    (outcome,) = run(Wallet, "1", (operation, None))

    assert outcome.failure.error_type == error
    assert outcome.state == "1"


def test_every_class_can_delete_itself():
    assert run(Wallet, "1", ("delete", None))[0].state is None


def test_a_function_gets_context_and_input():
    def counter(context, amount):
        assert (context.orchestration_id, str(context.entity_id)) == ("@wallet@k", "@wallet@k")
        if context.operation == "zero":
            context.set_state(0)
            return None
        first, second = context.get_state(dict, {"n": 0}), context.get_state(dict, {"n": 0})
        assert first is not second or first == {"n": 0}
        context.set_state({"n": first["n"] + amount})
        return context.get_state()["n"]

    outcomes = run(counter, None, ("add", "2"), ("add", "3"), ("zero", None))

    assert [outcome.result for outcome in outcomes] == ["2", "5", None]
    assert outcomes[2].state == "0", "falsy states are kept"


def test_a_state_of_another_type_is_refused():
    def reader(context, _):
        return context.get_state(int)

    assert run(reader, '"text"', ("x", None))[0].failure.error_type == "TypeError"


def test_coroutines_are_refused():
    async def entity(context, _):
        return None

    assert "plain functions" in run(entity, None, ("x", None))[0].failure.message


@pytest.mark.parametrize("wrong", [("", "k"), ("n", ""), ("a@b", "k"), ("n", "a@b")])
def test_ids_that_cannot_be(wrong):
    with pytest.raises(ValueError, match=r"empty|'@'"):
        EntityInstanceId(*wrong)


@pytest.mark.parametrize("wrong", ["n@k", "@n", "@@k", "@n@"])
def test_texts_that_are_no_id(wrong):
    with pytest.raises(ValueError, match=r"(?i)entity"):
        EntityInstanceId.parse(wrong)


def test_ids_are_equal_and_ordered_by_text():
    first, second = EntityInstanceId("Counter", "A"), EntityInstanceId("counter", "a")

    assert str(first) == "@counter@A"
    assert first != second
    assert first < second
    assert EntityInstanceId.parse("@COUNTER@A") == first
    assert len({first, EntityInstanceId.parse("@counter@A")}) == 1


def test_metadata_tells_the_state_as_text_and_as_values():
    at = datetime(2026, 1, 1, tzinfo=UTC)
    metadata = EntityMetadata(EntityInstanceId("c", "k"), at, 0, "", True, '{"cents": 5}')

    assert metadata.get_state() == '{"cents": 5}'
    assert metadata.get_typed_state(Amount) == Amount(5)
    assert metadata.get_locked_by() is None
    with pytest.raises(TypeError, match="get_typed_state"):
        metadata.get_state(int)


@pytest.mark.parametrize(("holder", "shown"), [("@c@k", EntityInstanceId("c", "k")), ("order-1", "order-1")])
def test_a_holder_may_be_an_orchestration(holder, shown):
    metadata = EntityMetadata(EntityInstanceId("c", "k"), datetime(2026, 1, 1, tzinfo=UTC), 0, holder, False, None)

    assert metadata.get_locked_by() == shown


def test_a_failed_operation_names_entity_and_operation():
    error = EntityOperationFailedException(EntityInstanceId("c", "k"), "add", FailureDetails("m", "T", None))

    assert str(error) == "Operation 'add' on entity '@c@k' failed with error: m"
