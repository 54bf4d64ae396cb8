"""Recorded calls of the out-of-process protocol: ours answers as the official package does, or better on purpose."""

import json
import sys
import types
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import azure.durable_functions as df
from perdure.core.actions import Complete
from perdure.core.replay.replayer import Replayer
from perdure.formats.azure_json.contexts import read_context

FIXTURES = {
    fixture["name"]: fixture
    for path in sorted((Path(__file__).parent / "fixtures" / "replay").glob("*.json"))
    for fixture in [json.loads(path.read_text("utf-8"))]
}
MUST = [name for name, fixture in FIXTURES.items() if fixture["conformance"] == "must"]

OURS: dict[str, dict[str, Any]] = {
    "custom_status_falsy_omitted": {"customStatus": 0},
    "external_event_two_buffered": {"output": [1, 2]},
    "external_event_two_waiters": {"output": [1, 2]},
    "external_event_case": {"isDone": True, "output": 1},
    "task_all_empty": {"output": {"r": []}},
    "entity_error": {
        "entityState": "10",
        "results": [
            {"isError": True, "duration": "<any int>", "startTime": "<any int>", "result": '"bad op"'},
            {"isError": False, "duration": "<any int>", "startTime": "<any int>", "result": "10"},
        ],
    },
    "entity_result_leak": {
        "results": [
            {"isError": False, "duration": "<any int>", "startTime": "<any int>", "result": '"one"'},
            {"isError": False, "duration": "<any int>", "startTime": "<any int>", "result": "null"},
        ]
    },
}
"""Fixture of a quirk → where our answer differs from the one recorded."""


@pytest.fixture
def handle_of(monkeypatch):
    """A fixture's function, made into a handle."""

    def build(fixture: dict[str, Any]) -> Any:
        names: dict[str, Any] = {
            "df": df,
            "json": json,
            "datetime": datetime,
            "timedelta": timedelta,
            "timezone": timezone,
        }
        for name, source in (fixture.get("modules") or {}).items():
            module = types.ModuleType(name)
            monkeypatch.setitem(sys.modules, name, module)
            exec(source, vars(module))
            names |= {key: value for key, value in vars(module).items() if not key.startswith("_")}
        exec(fixture["code"], names)
        if fixture["kind"] == "entity":
            return df.Entity.create(names["entity"])
        return df.Orchestrator.create(names["orchestrator"])

    return build


def answer_of(handle: Any, context: Any) -> Any:
    answer = json.loads(handle(context))
    for result in answer.get("results", []):
        assert type(result["duration"]) is int
        assert type(result["startTime"]) is int
        result |= {"duration": "<any int>", "startTime": "<any int>"}
    return answer


def test_there_are_the_recorded_fixtures():
    assert len(FIXTURES) == 84
    assert {name for name, fixture in FIXTURES.items() if fixture["conformance"] == "quirk"} == set(OURS)


@pytest.mark.parametrize("name", MUST)
def test_recorded_answer(name, handle_of):
    fixture = FIXTURES[name]
    handle, context = handle_of(fixture), json.dumps(fixture["context"])

    if not fixture["raises"]:
        assert answer_of(handle, context) == fixture["expected"]
        return
    with pytest.raises(Exception) as raised:  # noqa: PT011 - the text is compared below
        handle(context)
    assert type(raised.value).__name__ == fixture["exception_type"]
    assert str(raised.value) == fixture["exception_message"]


@pytest.mark.parametrize("name", OURS)
def test_quirk_that_is_mended(name, handle_of):
    fixture = FIXTURES[name]

    assert answer_of(handle_of(fixture), json.dumps(fixture["context"])) == fixture["expected"] | OURS[name]


@pytest.mark.parametrize("name", [name for name in OURS if "output" in OURS[name]])
def test_quirk_that_is_mended_on_our_host(name, handle_of):
    fixture = FIXTURES[name]
    replayer = Replayer(handle_of(fixture).definition("orch"), fixture["context"]["instanceId"])
    *seen, new = read_context(json.dumps(fixture["context"])).parts()
    for part in seen:
        replayer.replay(part.events)

    ending = replayer.advance(new.events).ending

    assert isinstance(ending, Complete)
    assert json.loads(ending.output or "null") == OURS[name]["output"]


@pytest.mark.parametrize("wrap", [lambda text: text, str.encode], ids=["text", "bytes"])
def test_context_in_a_body(wrap, handle_of):
    fixture = FIXTURES["sequence_middle"]
    context = types.SimpleNamespace(body=wrap(json.dumps(fixture["context"])))

    assert answer_of(handle_of(fixture), context) == fixture["expected"]


def test_a_decorated_function_answers_as_its_host_calls_it():
    app = df.DFApp()

    @app.orchestration_trigger(context_name="context")
    def greet(context):
        return (yield context.call_activity("hello", "Tokyo"))

    @app.entity_trigger(context_name="context")
    def counter(context):
        context.set_result(context.get_input())

    called = greet.build().get_user_function()(json.dumps(FIXTURES["sequence_first_step"]["context"]))
    batch = FIXTURES["entity_create"]["context"]
    run = json.loads(counter.build().get_user_function()(json.dumps(batch)))

    assert json.loads(called) == FIXTURES["sequence_first_step"]["expected"]
    assert run["results"][0]["result"] == "5"


def test_the_original_exception_is_the_cause(handle_of):
    fixture = FIXTURES["user_exception"]

    with pytest.raises(Exception, match="wrong") as raised:
        handle_of(fixture)(json.dumps(fixture["context"]))

    assert isinstance(raised.value.__cause__, ValueError)


def test_times_are_read_with_a_zone():
    context = FIXTURES["sequence_first_step"]["context"]
    (part,) = read_context(json.dumps(context)).parts()

    assert part.events[0].at == datetime(2026, 1, 1, tzinfo=UTC)
