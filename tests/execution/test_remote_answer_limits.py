"""Answers of workers that are too large to be kept fail their task or instance, with size and limit."""

import pytest

from perdure.contracts.executor import EntityTurn
from perdure.core import actions as ac
from perdure.core.failures import FailureDetails
from perdure.core.identifiers import EntityId
from perdure.core.registry import EntitySignal, EntityStart, Operation, OperationOutcome
from perdure.execution.answer_limits import FAILURE_TEXT_MAX, kept_failure, kept_outcomes, kept_result, kept_turn

LIMIT = 100
FITS = "é" * 50
LARGE = "é" * 50 + "x"
TURN = EntityTurn(EntityId("counter", "k"), "before", [Operation("add", None, True), Operation("get", None, False)])


def failure(what: str) -> FailureDetails:
    text = f"The {what} has 101 bytes; at most 100 are allowed."
    return FailureDetails("PayloadTooLarge", text, is_non_retriable=True)


def test_results_of_activities() -> None:
    assert kept_result("charge", None, LIMIT) is None
    assert kept_result("charge", FITS, LIMIT) is None
    assert kept_result("charge", LARGE, LIMIT) == failure("result of activity 'charge'")


def test_turns_that_fit() -> None:
    turn = ac.TurnResult(
        (ac.ScheduleActivity(1, "a", FITS), ac.UnlockEntity(2, "s", "@e@k")),
        ac.ContinueAsNew(FITS, carried=(ac.CarriedEvent("e", FITS),)),
        ac.NewStatus(FITS),
    )
    assert kept_turn(turn, LIMIT) is turn


@pytest.mark.parametrize(
    ("turn", "what"),
    [
        (ac.TurnResult((ac.ScheduleActivity(1, "a", LARGE),)), "input of action 1 (ScheduleActivity)"),
        (ac.TurnResult((ac.StartChild(2, "a", LARGE),)), "input of action 2 (StartChild)"),
        (ac.TurnResult((ac.SendEvent(3, "a", "e", LARGE),)), "input of action 3 (SendEvent)"),
        (ac.TurnResult((ac.SignalEntity(4, "@e@k", "add", LARGE),)), "input of action 4 (SignalEntity)"),
        (ac.TurnResult(custom_status=ac.NewStatus(LARGE)), "custom status"),
        (
            ac.TurnResult(ending=ac.ContinueAsNew(LARGE)),
            "input of the next execution, or of an event it carries,",
        ),
        (
            ac.TurnResult(ending=ac.ContinueAsNew(None, carried=(ac.CarriedEvent("e", LARGE),))),
            "input of the next execution, or of an event it carries,",
        ),
    ],
)
def test_turns_that_do_not(turn: ac.TurnResult, what: str) -> None:
    assert kept_turn(turn, LIMIT) == ac.TurnResult(ending=ac.Fail(failure(what)))


def test_batches_that_fit() -> None:
    outcomes = [OperationOutcome(FITS, FITS), OperationOutcome(None)]
    assert kept_outcomes(TURN, outcomes, LIMIT) == outcomes


@pytest.mark.parametrize(
    ("outcome", "what"),
    [
        (OperationOutcome(LARGE), "state after operation 'get' of entity '@counter@k'"),
        (OperationOutcome("1", LARGE), "result of operation 'get' of entity '@counter@k'"),
        (
            OperationOutcome("1", signals=(EntitySignal("@e@k", "add", LARGE),)),
            "input of what was sent by operation 'get' of entity '@counter@k'",
        ),
        (
            OperationOutcome("1", starts=(EntityStart("a", "id", "execution", LARGE),)),
            "input of what was sent by operation 'get' of entity '@counter@k'",
        ),
    ],
)
def test_batches_that_do_not(outcome: OperationOutcome, what: str) -> None:
    refused = OperationOutcome("before", failure=failure(what))
    assert kept_outcomes(TURN, [OperationOutcome("1"), outcome], LIMIT) == [refused, refused]


LONG = "x" * (FAILURE_TEXT_MAX + 5)
CUT = "x" * FAILURE_TEXT_MAX + "… (5 more characters)"
WORDY = FailureDetails("E", LONG, LONG, FailureDetails(LONG, "why"), True, {"a": LONG})
CUT_SHORT = FailureDetails(
    "E", CUT, CUT, FailureDetails(CUT, "why"), True, {"omitted": f"The properties have {len(LONG) + 8} bytes as JSON."}
)


def test_a_failure_is_cut_to_what_every_client_can_read() -> None:
    assert kept_failure(WORDY) == CUT_SHORT
    short = FailureDetails("E", LONG[5:], LONG[5:], None, False, {"a": [1]})
    assert kept_failure(short) == short


def test_the_failures_of_turns_and_operations_are_cut() -> None:
    assert kept_turn(ac.TurnResult(ending=ac.Fail(WORDY, FITS)), LIMIT).ending == ac.Fail(CUT_SHORT, FITS)
    outcomes = [OperationOutcome("s", "r"), OperationOutcome("s", failure=WORDY)]
    assert kept_outcomes(TURN, outcomes, LIMIT) == [outcomes[0], OperationOutcome("s", failure=CUT_SHORT)]
