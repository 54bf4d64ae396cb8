"""Contexts with parts missing or wrong: an answer, or an error that says so; never a fault of ours."""

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest

import azure.durable_functions as df

FIXTURES = sorted((Path(__file__).parent / "fixtures" / "replay").glob("*.json"))
WRONG: list[Any] = [None, 0, -1, 5, "x", "", [], {}, True, 1e9, "2026", "null", '{"id": 5}', [1], {"a": 1}]


def broken(context: Any, rng: random.Random) -> Any:
    """A copy in which one to three places hold something else, or nothing."""
    context = copy.deepcopy(context)
    for _ in range(rng.randint(1, 3)):
        holder, key = rng.choice(places(context))
        if rng.random() < 0.3:
            del holder[key]
        else:
            holder[key] = rng.choice(WRONG)
    return context


def places(value: Any) -> list[tuple[Any, Any]]:
    if not isinstance(value, dict | list):
        return []
    keys = list(value) if isinstance(value, dict) else range(len(value))
    return [place for key in keys for place in [(value, key), *places(value[key])]] or [({"empty": 0}, "empty")]


def orchestrator(context):
    options = df.RetryOptions(1000, 2)
    calls = [context.call_activity_with_retry("a", options), context.call_entity(df.EntityId("e", "k"), "get")]
    yield context.task_any([*calls, context.wait_for_external_event("go")])
    yield context.create_timer(context.current_utc_datetime)
    return (yield context.call_sub_orchestrator("child", context.get_input()))


def entity(context):
    context.set_state(context.get_input())
    context.set_result(context.get_state())


@pytest.mark.parametrize("path", FIXTURES, ids=[path.stem for path in FIXTURES])
def test_broken_context(path):
    fixture = json.loads(path.read_text("utf-8"))
    handle: Any = df.Entity.create(entity) if fixture["kind"] == "entity" else df.Orchestrator.create(orchestrator)
    rng = random.Random(path.stem)

    for _ in range(20):
        text = json.dumps(broken(fixture["context"], rng))
        assert is_told_or_answered(handle, text), text


def is_told_or_answered(handle: Any, text: str) -> bool:
    try:
        return bool(json.loads(handle(text)))
    except ValueError as error:
        return bool(str(error))
    except Exception as error:
        return "$OutOfProcData$:{" in str(error) or "minimum size of 2" in str(error)
