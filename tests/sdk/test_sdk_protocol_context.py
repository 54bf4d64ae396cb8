"""What an orchestrator sees of the host's JSON: history, extra fields, and a context made of it in a test."""

import json

import pytest

import azure.durable_functions as df
from azure.durable_functions.models.history import HistoryEvent, HistoryEventType
from perdure.core.actions import Fail
from perdure.core.replay.replayer import Replayer
from perdure.formats.azure_json.contexts import read_context

AT = "2026-01-01T00:00:00.1234567Z"


def context_of(**more):
    history = [
        {"EventType": 12, "EventId": -1, "IsPlayed": False, "Timestamp": AT},
        {
            "EventType": 0,
            "EventId": -1,
            "IsPlayed": False,
            "Timestamp": AT,
            "Name": "orch",
            "Version": "1.1",
            "Input": "3",
        },
    ]
    return json.dumps(
        {"history": history, "input": "3", "instanceId": "i1", "isReplaying": False, "parentInstanceId": "p1"} | more
    )


def test_context_from_json():
    context = df.DurableOrchestrationContext.from_json(context_of())

    assert (context.instance_id, context.parent_instance_id, context.version) == ("i1", "p1", "1.1")
    assert context.get_input() == 3
    assert context.current_utc_datetime.isoformat() == "2026-01-01T00:00:00.123456+00:00"
    assert context.is_replaying is False
    assert not context.call_activity("a", 1).is_completed


def test_histories():
    @df.Orchestrator.create
    def orchestrator(context):
        events = context.histories
        first, started = events
        assert all(isinstance(event, HistoryEvent) for event in events)
        return [
            first.event_type == HistoryEventType.ORCHESTRATOR_STARTED,
            started.Name,
            started.Reason,
            started.event_id,
        ]

    assert json.loads(orchestrator(context_of()))["output"] == [True, "orch", None, -1]


def test_unknown_fields_of_the_host_are_at_hand():
    context = df.DurableOrchestrationContext.from_json(context_of(traceparent="00-1", retries=2))

    assert (context.function_context.traceparent, context.function_context.retries) == ("00-1", 2)
    with pytest.raises(AttributeError, match="the_moon"):
        _ = context.function_context.the_moon


def test_our_host_hands_over_no_history():
    found = []

    @df.Orchestrator.create
    def orchestrator(context):
        found.append(vars(context.function_context))
        return context.histories

    replayer = Replayer(orchestrator.definition("orch"), "i1")
    (part,) = read_context(context_of()).parts()
    ending = replayer.advance(part.events).ending

    assert found == [{}]
    assert isinstance(ending, Fail)
    assert "show_history=True" in ending.failure.message
