"""The host's side of the out-of-process protocol: pasts written, answers read."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from perdure.core import events as ev
from perdure.core.failures import FailureDetails
from perdure.core.replay import asked
from perdure.core.retry import RetryPolicy
from perdure.formats.azure_json.answers_read import (
    BadAnswer,
    operation_batch,
    read_answer,
    read_failed_answer,
    read_operation_answer,
)
from perdure.formats.azure_json.contexts_written import WrittenPast

GOLDEN = Path(__file__).parent / "golden" / "guest_context_1.json"
T0 = datetime(2026, 1, 1, tzinfo=UTC)
FAILURE = FailureDetails("ValueError", "wrong", "  File x")
PAST: list[ev.HistoryEvent] = [
    ev.OrchestratorStarted(T0),
    ev.ExecutionStarted("ship", "e1", input='{"a":1}'),
    ev.TaskScheduled(0, "pack", "1"),
    ev.SubOrchestrationCreated(1, "bill", "bill-1", "2", "1.0"),
    ev.TimerCreated(2, T0 + timedelta(hours=1)),
    ev.EntityCalled(3, "@counter@a", "get", None),
    ev.EntitySignaled(4, "@counter@a", "add", "5", T0),
    ev.TaskScheduled(5, "fail", None),
    ev.SubOrchestrationCreated(6, "broken", "b-1", None, None),
    ev.EntityCalled(7, "@counter@a", "fail", '"x"'),
    ev.OrchestratorStarted(T0 + timedelta(seconds=1)),
    ev.TaskCompleted(0, 2, '"packed"'),
    ev.SubOrchestrationCompleted(1, 3, None),
    ev.TimerFired(2, 4, T0 + timedelta(hours=1)),
    ev.EntityOperationCompleted(3, 5, "42"),
    ev.TaskFailed(5, 7, FAILURE),
    ev.SubOrchestrationFailed(6, 8, FAILURE),
    ev.EntityOperationFailed(7, 9, FAILURE),
    ev.EventRaised("Go", '"now"'),
    ev.ExecutionSuspended("a rest"),
    ev.ExecutionResumed("go on"),
]


def test_a_past_with_every_kind_of_event():
    past = WrittenPast("order-1")
    past.tell(PAST)
    assert json.loads(past.context()) == json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_a_past_told_in_parts_is_the_same():
    parts, whole = WrittenPast("order-1"), WrittenPast("order-1")
    for event in PAST:
        parts.tell([event])
    whole.tell(PAST)
    assert parts.context() == whole.context()


def answer(*actions: dict[str, Any], **more: Any) -> str:
    return json.dumps({"isDone": False, "actions": [list(actions)], **more})


OPTIONS = {"firstRetryIntervalInMilliseconds": 1500, "maxNumberOfAttempts": 3}
RETRY = RetryPolicy(timedelta(seconds=1.5), 3, max_interval=timedelta(days=6))
ENTITY = {"instanceId": "@counter@a", "operation": "add", "input": "5"}


@pytest.mark.parametrize(
    ("action", "read"),
    [
        ({"actionType": 0, "functionName": "a", "input": "1"}, asked.AskedActivity("a", "1")),
        (
            {"actionType": 1, "functionName": "a", "input": "1", "retryOptions": OPTIONS},
            asked.AskedActivity("a", "1", RETRY),
        ),
        (
            {"actionType": 2, "functionName": "c", "input": "1", "instanceId": "", "version": None},
            asked.AskedChild("c", "1", None, None),
        ),
        (
            {"actionType": 3, "functionName": "c", "input": "1", "instanceId": "i", "retryOptions": OPTIONS},
            asked.AskedChild("c", "1", "i", None, RETRY),
        ),
        ({"actionType": 4, "input": "2"}, asked.AskedContinuation("2")),
        ({"actionType": 5, "fireAt": "2026-01-01T00:00:00.000000Z", "isCanceled": True}, asked.AskedTimer(T0, True)),
        ({"actionType": 6, "externalEventName": "Go", "reason": "ExternalEvent"}, asked.AskedEvent("Go")),
        ({"actionType": 7, **ENTITY}, asked.AskedCall("@counter@a", "add", "5")),
        ({"actionType": 8, "httpRequest": {"method": "GET"}}, asked.AskedHttp('{"method":"GET"}')),
        ({"actionType": 9, **ENTITY}, asked.AskedSignal("@counter@a", "add", "5")),
        (
            {"actionType": 10, **ENTITY, "fireAt": "2026-01-01T02:00:00+02:00"},
            asked.AskedSignal("@counter@a", "add", "5", T0),
        ),
    ],
)
def test_every_kind_of_action(action, read):
    assert read_answer(answer(action)).actions == (read,)


def test_groups_are_flat_in_order_in_both_layouts():
    a, b, c = ({"actionType": 0, "functionName": name, "input": "1"} for name in "abc")
    inner = {"actionType": 11, "compoundActions": [b]}
    nested = answer({"actionType": 12, "compoundActions": [a, inner]}, c)
    first_layout = json.dumps({"isDone": False, "actions": [[a, b], [c]]})
    assert read_answer(nested).actions == read_answer(first_layout).actions
    assert [action.name for action in read_answer(nested).actions] == ["a", "b", "c"]  # type: ignore[union-attr]


def test_outputs_and_statuses_stay_the_text_that_the_code_wrote():
    text = '{"isDone": true, "actions": [[]], "output": [1, 1180591620717411303424], "customStatus": {"p": 0.10}}'
    read = read_answer(text)
    assert (read.is_done, read.output, read.custom_status) == (True, "[1, 1180591620717411303424]", '{"p": 0.10}')
    assert read_answer('{"isDone": true, "output": null}') == asked.Asked((), is_done=True)


def test_a_failure_carries_its_answer():
    try:
        raise Exception("wrong\n\n$OutOfProcData$:" + answer(error="wrong")) from KeyError("wrong")
    except Exception as error:
        read = read_failed_answer(error)
    assert read is not None
    assert read.failure is not None
    assert (read.failure.error_type, read.failure.message) == ("KeyError", "wrong")
    assert read_failed_answer(ValueError("another")) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nothing", "is not JSON"),
        ("[]", "is not laid out"),
        ('{"actions": [1]}', "is not laid out"),
        (answer({"actionType": 99}), "unknown type 99"),
        (answer({}), "unknown type None"),
        (answer({"actionType": 0}), "cannot be read"),
        (answer({"actionType": 5, "fireAt": "soon"}), "cannot be read"),
    ],
)
def test_bad_answers_say_what_is_wrong(text, says):
    with pytest.raises(BadAnswer, match=says):
        read_answer(text)


def test_an_operation_and_its_answers():
    batch = operation_batch(name="counter", key="a", state="1", operation="add", input="5", is_signal=True)
    assert json.loads(batch) == {
        "self": {"name": "counter", "key": "a"},
        "exists": True,
        "state": "1",
        "batch": [{"name": "add", "input": '"5"', "isSignal": True}],
    }
    result = {"isError": False, "duration": 1, "startTime": 2, "result": "6"}
    done = {"entityExists": True, "entityState": "6", "results": [result], "signals": []}
    assert read_operation_answer(json.dumps(done)).state == "6"
    failed = {**done, "results": [{**result, "isError": True, "result": '"bad"'}]}
    assert read_operation_answer(json.dumps(failed)).error == "bad"
    with pytest.raises(BadAnswer):
        read_operation_answer("{}")
