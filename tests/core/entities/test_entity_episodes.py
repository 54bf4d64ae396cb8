"""What an entity takes from its queue, and what the outcome of a batch commits."""

from datetime import UTC, datetime, timedelta

import pytest

from perdure.core import messages as ms
from perdure.core.checkpoint import HistoryChange
from perdure.core.entities.decisions import decide_batch
from perdure.core.entities.scheduling import Batch, next_batch
from perdure.core.failures import FailureDetails
from perdure.core.instance import InstanceKind, LockHolder, Origin, Progress
from perdure.core.registry import EntitySignal, Operation, OperationOutcome
from perdure.core.status import RuntimeStatus

T0 = datetime(2026, 1, 1, tzinfo=UTC)
ENTITY = "@counter@x"
ORIGIN = Origin(ENTITY, InstanceKind.ENTITY, "counter", "", T0)
PROGRESS = Progress(RuntimeStatus.Running, T0, state="3")
BROKEN = FailureDetails("ValueError", "broken")


def _call(operation: str, caller: str = "order-1", seq: int = 4) -> ms.Envelope:
    return ms.Envelope(ENTITY, ms.OperationRequest(operation, "1", ms.ReplyTo(caller, "e1", seq)))


def _signal(operation: str) -> ms.Envelope:
    return ms.Envelope(ENTITY, ms.OperationRequest(operation, "2"))


def _batch(taken: list[ms.Envelope]) -> Batch:
    return next_batch(taken, None, len(taken))


def test_operations_are_taken_first_come_first_served() -> None:
    queue = [_signal("a"), _call("b"), _signal("c")]
    batch = next_batch(queue, None, 5000)
    assert batch.taken == queue
    call = Operation("b", "1", False, caller="order-1", caller_execution="e1")
    assert batch.operations == [Operation("a", "2", True), call, Operation("c", "2", True)]
    assert (batch.held, batch.dropped) == ([], [])


def test_a_batch_has_a_largest_size() -> None:
    queue = [_signal(str(n)) for n in range(5)]
    batch = next_batch(queue, None, 2)
    assert (batch.taken, batch.held) == (queue[:2], queue[2:])


def test_what_is_no_operation_is_dropped() -> None:
    event = ms.Envelope(ENTITY, ms.RaiseEvent("Go"))
    signal = _signal("a")
    batch = next_batch([event, signal], None, 1)
    assert (batch.taken, batch.dropped) == ([signal], [event])


def test_a_locked_entity_takes_calls_of_the_holder_only() -> None:
    queue = [_signal("a"), _call("b", "other"), _call("c", "holder"), _signal("d")]
    batch = next_batch(queue, LockHolder("holder", "e1", "s1"), 5000)
    assert batch.taken == [queue[2]]
    assert batch.held == [queue[0], queue[1], queue[3]]


def test_every_call_gets_exactly_one_answer_and_signals_get_none() -> None:
    taken = [_call("get"), _signal("add"), _call("break", "order-2", 9), _signal("break")]
    outcomes = [
        OperationOutcome("3", "3"),
        OperationOutcome("5"),
        OperationOutcome("5", failure=BROKEN),
        OperationOutcome("5", failure=BROKEN),
    ]
    checkpoint = decide_batch(ORIGIN, PROGRESS, _batch(taken), outcomes, T0 + timedelta(seconds=1))
    assert [(e.target, e.message) for e in checkpoint.outbox] == [
        ("order-1", ms.OperationCompleted("e1", 4, "3")),
        ("order-2", ms.OperationFailed("e1", 9, BROKEN)),
    ]
    assert checkpoint.consumed == taken
    assert checkpoint.origin is ORIGIN
    assert (checkpoint.events, checkpoint.history) == ([], HistoryChange.APPEND)
    assert checkpoint.expected_last_seq == -1
    assert checkpoint.progress == Progress(RuntimeStatus.Running, T0 + timedelta(seconds=1), state="5")


def test_signals_of_what_succeeded_are_sent_in_order() -> None:
    due = T0 + timedelta(hours=1)
    outcomes = [
        OperationOutcome("4", signals=(EntitySignal("@log@x", "one", "1"), EntitySignal(ENTITY, "self", None, due))),
        OperationOutcome("4", failure=BROKEN),
        OperationOutcome("5", signals=(EntitySignal("@log@x", "two"),)),
    ]
    checkpoint = decide_batch(ORIGIN, PROGRESS, _batch([_signal("a"), _signal("b"), _signal("c")]), outcomes, T0)
    assert [(e.target, e.message, e.due_at) for e in checkpoint.outbox] == [
        ("@log@x", ms.OperationRequest("one", "1"), None),
        (ENTITY, ms.OperationRequest("self"), due),
        ("@log@x", ms.OperationRequest("two"), None),
    ]


def test_a_deleted_entity_has_no_state() -> None:
    checkpoint = decide_batch(ORIGIN, PROGRESS, _batch([_signal("delete")]), [OperationOutcome(None)], T0)
    assert checkpoint.progress.state is None
    assert checkpoint.progress.status is RuntimeStatus.Running


def test_an_entity_without_a_function_answers_every_call_with_the_failure() -> None:
    missing = FailureDetails("NotRegistered", "No entity named 'counter' is registered; this app has none.")
    taken = [_call("get"), _signal("add"), _call("get", "order-2")]
    checkpoint = decide_batch(ORIGIN, PROGRESS, _batch(taken), [OperationOutcome("3", failure=missing)] * 3, T0)
    assert [e.message for e in checkpoint.outbox] == [ms.OperationFailed("e1", 4, missing)] * 2
    assert checkpoint.progress.state == "3"


def test_time_never_goes_back() -> None:
    earlier = T0 - timedelta(days=1)
    checkpoint = decide_batch(ORIGIN, PROGRESS, _batch([_signal("a")]), [OperationOutcome("1")], earlier)
    assert checkpoint.progress.updated_at == T0


def test_outcomes_and_operations_must_correspond() -> None:
    with pytest.raises(ValueError, match="zip"):
        decide_batch(ORIGIN, PROGRESS, _batch([_signal("a"), _signal("b")]), [OperationOutcome("1")], T0)
