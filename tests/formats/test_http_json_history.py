"""History rows: what is folded, what is left out, in which order the keys stand."""

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from perdure.core import events as ev
from perdure.core.failures import FailureDetails
from perdure.core.status import RuntimeStatus
from perdure.formats.http_json import encode, history_rows, raw_value
from perdure.formats.http_json.history import written_events

START = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


def at(milliseconds: int) -> datetime:
    return START + timedelta(milliseconds=milliseconds)


ORDER: list[ev.HistoryEvent] = [
    ev.OrchestratorStarted(at(120)),
    ev.ExecutionStarted("ship_order", "x", '{"sku":"TEA-42","qty":3}'),
    ev.TaskScheduled(0, "reserve", '"TEA-42"'),
    ev.OrchestratorStarted(at(902)),
    ev.TaskCompleted(0, 2, "true"),
    ev.TimerCreated(1, at(5000)),
    ev.OrchestratorStarted(at(5020)),
    ev.TimerFired(1, 5, at(5000)),
    ev.TaskScheduled(2, "notify"),
    ev.OrchestratorStarted(at(5500)),
    ev.TaskFailed(2, 8, FailureDetails("ConnectionError", "mail server down")),
    ev.ExecutionCompleted(RuntimeStatus.Completed, '"sent:TEA-42"'),
]

PRINTED = (
    b'[{"EventType":"ExecutionStarted","FunctionName":"ship_order","Input":"{\\"sku\\":\\"TEA-42\\",\\"qty\\":3}",'
    b'"Timestamp":"2026-02-03T04:05:06.120000Z"},'
    b'{"EventType":"TaskCompleted","FunctionName":"reserve","ScheduledTime":"2026-02-03T04:05:06.120000Z",'
    b'"Input":"\\"TEA-42\\"","Result":true,"Timestamp":"2026-02-03T04:05:06.902000Z"},'
    b'{"EventType":"TimerCreated","FireAt":"2026-02-03T04:05:11.000000Z","Timestamp":"2026-02-03T04:05:06.902000Z"},'
    b'{"EventType":"TimerFired","FireAt":"2026-02-03T04:05:11.000000Z","Timestamp":"2026-02-03T04:05:11.020000Z"},'
    b'{"EventType":"TaskFailed","FunctionName":"notify","ScheduledTime":"2026-02-03T04:05:11.020000Z","Input":null,'
    b'"Reason":"mail server down","Details":null,"FailureDetails":{"ErrorType":"ConnectionError",'
    b'"ErrorMessage":"mail server down","StackTrace":null,"InnerFailure":null,"IsNonRetriable":false},'
    b'"Timestamp":"2026-02-03T04:05:11.500000Z"},'
    b'{"EventType":"ExecutionCompleted","OrchestrationStatus":"Completed","Result":"sent:TEA-42",'
    b'"FailureDetails":null,"Timestamp":"2026-02-03T04:05:11.500000Z"}]'
)


def test_a_whole_history_as_the_specification_prints_it():
    assert encode(history_rows(ORDER, True, True, raw_value)) == PRINTED


def test_results_are_data_for_callers_in_python():
    assert history_rows(ORDER, True, True)[1]["Result"] is True


def test_inputs_and_results_can_be_left_out():
    rows = history_rows(ORDER, show_input=False, show_output=False)
    assert [row["EventType"] for row in rows] == [
        "ExecutionStarted",
        "TaskCompleted",
        "TimerCreated",
        "TimerFired",
        "TaskFailed",
        "ExecutionCompleted",
    ]
    assert not any({"Input", "Result", "Output"} & row.keys() for row in rows)


def test_tags_of_calls_are_shown_where_there_are_any():
    events = [
        ev.OrchestratorStarted(at(0)),
        ev.ExecutionStarted("p", "x", tags={"not": "shown"}),
        ev.TaskScheduled(0, "slow", tags={"team": "a"}),
        ev.SubOrchestrationCreated(1, "child", "p:0001", tags={"team": "b"}),
        ev.TaskScheduled(2, "quick", tags={"team": "c"}),
        ev.TaskScheduled(3, "plain"),
        ev.OrchestratorStarted(at(10)),
        ev.TaskCompleted(2, 4, "1"),
        ev.TaskCompleted(3, 5, "1"),
    ]
    rows = history_rows(events, True, True)
    assert [row.get("Tags") for row in rows] == [None, {"team": "a"}, {"team": "b"}, {"team": "c"}, None]


def test_open_calls_stay_where_they_were_scheduled():
    events = [
        ev.OrchestratorStarted(at(0)),
        ev.ExecutionStarted("p", "x"),
        ev.TaskScheduled(0, "slow", "1"),
        ev.SubOrchestrationCreated(1, "child", "p:0001", "2"),
        ev.SubOrchestrationCreated(2, "other", "p:0002"),
        ev.OrchestratorStarted(at(10)),
        ev.SubOrchestrationFailed(2, 4, FailureDetails("ValueError", "no", "File x", FailureDetails("KeyError", "k"))),
    ]
    rows = history_rows(events, True, True)
    assert rows[1] == {
        "EventType": "TaskScheduled",
        "Name": "slow",
        "Input": "1",
        "Timestamp": "2026-02-03T04:05:06.000000Z",
    }
    assert rows[2]["EventType"] == "SubOrchestrationInstanceCreated"
    assert rows[2]["InstanceId"] == "p:0001"
    assert rows[3]["EventType"] == "SubOrchestrationInstanceFailed"
    assert rows[3]["FunctionName"] == "other"
    assert rows[3]["Details"] == "no\nFile x"
    assert rows[3]["FailureDetails"]["InnerFailure"]["ErrorMessage"] == "k"


@pytest.mark.parametrize(
    ("event", "row"),
    [
        (ev.ExecutionTerminated("enough"), {"EventType": "ExecutionTerminated", "Input": "enough"}),
        (ev.ExecutionSuspended("count"), {"EventType": "ExecutionSuspended", "Reason": "count"}),
        (ev.ExecutionResumed(None), {"EventType": "ExecutionResumed", "Reason": None}),
        (ev.EventRaised("ok", "{}"), {"EventType": "EventRaised", "Name": "ok", "Input": "{}"}),
        (
            ev.EventSent(3, "other", "go", "1"),
            {"EventType": "EventSent", "InstanceId": "other", "Name": "go", "Input": "1"},
        ),
        (
            ev.EntityCalled(3, "@counter@k", "add", "1"),
            {"EventType": "EntityOperationCalled", "EntityId": "@counter@k", "Operation": "add", "Input": "1"},
        ),
        (
            ev.EntitySignaled(3, "@counter@k", "add", "1", START),
            {
                "EventType": "EntityOperationSignaled",
                "EntityId": "@counter@k",
                "Operation": "add",
                "Input": "1",
                "ScheduledTime": "2026-02-03T04:05:06.000000Z",
            },
        ),
        (ev.EntityOperationCompleted(3, 1, "[1]"), {"EventType": "EntityOperationCompleted", "Output": [1]}),
        (
            ev.ExecutionStarted("p", "x", "1", generation=2, scheduled_start_at=START, trace_context="00-t"),
            {
                "EventType": "ExecutionStarted",
                "FunctionName": "p",
                "Input": "1",
                "Generation": 2,
                "ScheduledStartTime": "2026-02-03T04:05:06.000000Z",
                "ParentTraceContext": "00-t",
            },
        ),
    ],
)
def test_each_kind_of_row(event: ev.HistoryEvent, row: dict[str, object]):
    printed = history_rows([ev.OrchestratorStarted(at(0)), event], True, True)
    assert printed == [{**row, "Timestamp": "2026-02-03T04:05:06.000000Z"}]


def test_every_kind_of_event_is_written():
    assert written_events() == set(get_args(ev.HistoryEvent))
