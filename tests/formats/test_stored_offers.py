"""Offered work and what came of it, as text: everything comes back, and what cannot be read says so."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.contracts.records import PendingActivity
from perdure.core import actions as ac
from perdure.core import events as ev
from perdure.core.instance import Origin
from perdure.core.registry import Operation, OperationOutcome
from perdure.formats import stored_offers as so
from perdure.formats.stored import UnreadableText
from support.struct_strategies import TEXT, structs


@settings(max_examples=200)
@given(structs(ac.TurnResult))
def test_whatever_a_turn_asks_for_comes_back(result: ac.TurnResult) -> None:
    assert so.read_answer(so.write_answer(so.Ran(result))) == so.Ran(result)


@given(st.lists(structs(OperationOutcome), max_size=4))
def test_outcomes_come_back(outcomes: list[OperationOutcome]) -> None:
    assert so.read_answer(so.write_answer(so.RanBatch(outcomes))) == so.RanBatch(outcomes)


@given(structs(Origin), st.lists(structs(ev.EventRaised), max_size=3), TEXT | st.none())
def test_turns_come_back(origin: Origin, events: list[Any], entity: str | None) -> None:
    turn = so.OfferedTurn(origin, events, len(events), so.end_of(events), None if entity is None else events)
    assert so.read_offered_turn(so.write_offer(turn)) == turn


@given(structs(PendingActivity), st.lists(structs(Operation), max_size=3), TEXT | st.none())
def test_activities_and_batches_come_back(
    activity: PendingActivity, operations: list[Operation], state: str | None
) -> None:
    assert so.read_offered_activity(so.write_offer(activity)) == activity
    batch = so.OfferedBatch("@counter@a", state, operations)
    assert so.read_offered_batch(so.write_offer(batch)) == batch


def test_what_a_newer_version_adds_is_passed_over_and_what_it_asks_for_is_not() -> None:
    text = so.write_answer(so.Ran(ac.TurnResult((ac.StartChild(1, "bill"),))))
    assert so.read_answer(text.replace('"task_id":1', '"task_id":1,"newer":true')) == so.read_answer(text)
    for unknown in (text.replace("StartChild", "StartFriend"), text.replace("Ran", "Walked"), "", "{}"):
        with pytest.raises(UnreadableText):
            so.read_answer(unknown)


def test_histories_of_one_length_are_told_from_each_other() -> None:
    first, second = ev.EventRaised("a"), ev.EventRaised("b")
    assert so.end_of([]) == 0
    assert so.end_of([first, second]) == so.end_of([second, second]) != so.end_of([second, first])
