"""Entities of the SDK in batches of the core: state, results, signals, rollback."""

import json
from dataclasses import dataclass

import pytest

from azure import durable_functions as df
from perdure.core.entities.batch import run_batch
from perdure.core.identifiers import EntityId
from perdure.core.registry import EntitySignal, Operation


def run(function, state, *operations):
    """Run one batch; operations are names or (name, input)."""
    definition = df.Entity.create(function).definition("counter")
    program = definition.open(EntityId("counter", "k1"), state)
    given = [o if isinstance(o, tuple) else (o, None) for o in operations]
    return run_batch(program, state, [Operation(n, None if i is None else json.dumps(i), False) for n, i in given])


def states(outcomes):
    return [outcome.state for outcome in outcomes]


def results(outcomes):
    return [outcome.result if outcome.failure is None else outcome.failure.message for outcome in outcomes]


def counter(context):
    value = context.get_state(lambda: 0)
    match context.operation_name:
        case "add":
            value += context.get_input()
        case "reset":
            value = 0
        case "fail":
            context.signal_entity(df.EntityId("log", "all"), "write", "never")
            context.set_state(999)
            raise ValueError("bad op")
        case "delete":
            context.destruct_on_exit()
            return
    context.set_state(value)
    context.set_result(value)


def test_a_batch_runs_in_order_over_one_state():
    outcomes = run(counter, None, ("add", 5), ("add", 2), "get", "reset")

    assert states(outcomes) == ["5", "7", "7", "0"]
    assert results(outcomes) == ["5", "7", "7", "0"]


def test_a_failed_operation_leaves_no_trace():
    outcomes = run(counter, "10", ("add", 1), "fail", "get")

    assert states(outcomes) == ["11", "11", "11"]
    assert results(outcomes) == ["11", "bad op", "11"]
    assert outcomes[1].signals == ()
    assert outcomes[1].failure.error_type == "ValueError"


def test_an_error_without_a_text_is_told_by_its_type():
    def fail(context):
        raise KeyError

    assert results(run(fail, None, "any")) == ["<class 'KeyError'>"]


def test_an_entity_ends_and_may_begin_again():
    assert states(run(counter, "10", "delete", ("add", 3), "delete")) == [None, "3", None]


def test_in_place_changes_of_a_failed_operation_are_rolled_back_too():
    def append(context):
        items = context.get_state(list)
        items.append(context.operation_name)
        if context.operation_name == "fail":
            raise RuntimeError("no")
        context.set_state(items)

    assert states(run(append, '["x"]', "a", "fail", "b")) == ['["x", "a"]', '["x", "a"]', '["x", "a", "b"]']


def test_in_place_changes_are_kept_without_set_state_as_officially():
    def append(context):
        context.get_state(list).append(1)

    assert states(run(append, "[]", "a", "b")) == ["[1]", "[1, 1]"]
    assert states(run(append, None, "a")) == [None]


def test_the_state_stays_the_same_object_in_a_batch():
    seen = []

    def look(context):
        seen.append(context.get_state())

    run(look, '{"a": 1}', "a", "b")

    assert seen[0] is seen[1]


def test_untouched_state_keeps_its_text():
    text = '{"a":   1}'

    assert states(run(lambda context: None, text, "who")) == [text]


@pytest.mark.parametrize("state", ["0", '""', "false", "[]", "{}"])
def test_falsy_states_are_states(state):
    seen = []

    def look(context):
        seen.append(context.get_state(lambda: "initial"))

    run(look, state, "look")

    assert seen == [json.loads(state)]


def test_a_null_state_takes_the_initializer_and_exists():
    def look(context):
        return context.get_state(lambda: "initial")

    assert (results(run(look, "null", "look")), states(run(look, "null", "look"))) == (['"initial"'], ["null"])


def test_set_state_of_none_lets_the_entity_exist():
    assert states(run(lambda context: context.set_state(None), None, "any")) == ["null"]


def test_set_result_lets_the_entity_exist_and_a_returned_value_does_not():
    outcome = run(lambda context: context.set_result(1), None, "any")[0]
    assert (outcome.state, outcome.result) == ("null", "1")
    outcome = run(lambda context: 1, None, "any")[0]
    assert (outcome.state, outcome.result) == (None, "1")


def test_set_result_goes_before_the_returned_value_and_does_not_leak():
    def answer(context):
        if context.operation_name == "first":
            context.set_result(None)
        return "returned" if context.operation_name != "third" else None

    assert results(run(answer, "1", "first", "second", "third")) == [None, '"returned"', None]


def test_a_wrong_initializer_is_refused_when_it_is_needed():
    def look(context):
        return context.get_state("not callable")

    assert "must be callable" in results(run(look, None, "look"))[0]
    assert results(run(look, "5", "look")) == ["5"]


@pytest.mark.parametrize("bad", [object(), {1}, float("nan")])
def test_what_has_no_json_form_fails_that_operation_only(bad):
    def keep(context):
        match context.operation_name:
            case "state":
                context.set_state(bad)
            case "result":
                context.set_result(bad)
            case "signal":
                context.signal_entity(df.EntityId("n", "k"), "op", bad)
        context.get_state()

    outcomes = run(keep, "1", "state", "result", "signal", "fine")

    assert [outcome.failure is None for outcome in outcomes] == [False, False, False, True]
    assert states(outcomes) == ["1"] * 4


class Counter:
    def __init__(self):
        self.value = 0

    def add(self, amount):
        self.value += amount


@dataclass
class Account:
    balance: int = 0


def test_plain_classes_can_be_states():
    def entity(context):
        state = context.get_state(Counter) or Counter()
        if context.operation_name == "add":
            state.add(context.get_input())
        elif context.operation_name == "get":
            context.set_result(state.value)
        context.set_state(state)

    first = run(entity, None, ("add", 5), ("add", 1))
    assert results(run(entity, first[-1].state, ("add", 4), "get")) == [None, "10"]


def test_declared_types_of_states_and_inputs():
    def entity(context):
        account = context.get_state(Account, expected_type=Account)
        account.balance += context.get_input(Account).balance
        context.set_state(account)
        return account.balance

    first = run(entity, None, ("add", {"balance": 5}))
    assert results(run(entity, first[0].state, ("add", {"balance": 1}))) == ["6"]


def test_the_context_tells_whom_it_serves():
    def who(context):
        return [
            context.entity_name,
            context.entity_key,
            str(context.entity_id),
            context.operation_name,
            context.is_newly_constructed,
            context.get_input(),
        ]

    assert results(run(who, None, "ask")) == ['["counter", "k1", "@counter@k1", "ask", false, null]']


def test_signals_go_out_with_the_operation_that_sent_them():
    def send(context):
        if context.operation_name == "send":
            context.signal_entity(df.EntityId("Log", "All"), "write", {"a": 1})
            context.signal_entity(df.EntityId("Log", "All"), "flush")

    outcomes = run(send, None, "send", "other")

    assert outcomes[0].signals == (
        EntitySignal("@log@All", "write", '{"a": 1}'),
        EntitySignal("@log@All", "flush"),
    )
    assert outcomes[1].signals == ()


def test_generators_and_coroutines_are_no_entities():
    def generator(context):
        yield

    async def coroutine(context):
        return None

    for function in (generator, coroutine):
        assert "plain functions" in results(run(function, None, "any"))[0]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_nothing_that_user_code_raises_leaves(error):
    def fail(context):
        raise error("out")

    assert run(fail, "1", "any")[0].failure.error_type == error.__name__


def test_a_context_outside_a_batch_says_so():
    context = df.DurableEntityContext(EntityId("counter", "k1"), None)

    with pytest.raises(RuntimeError, match="no operation"):
        _ = context.operation_name
