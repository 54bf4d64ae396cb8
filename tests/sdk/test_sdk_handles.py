"""What stands in the app in place of a durable function, as the official worker looks at it and calls it."""

import inspect
import json
import typing

import pytest

import azure.durable_functions as df

BATCH = json.dumps({"self": {"name": "e", "key": "k"}, "exists": False, "state": None, "batch": []})


def handles():
    app = df.DFApp()

    @app.orchestration_trigger(context_name="ctx")
    def orchestrate(ctx):
        return None

    @app.entity_trigger(context_name="ctx")
    def entity(ctx):
        return None

    return [orchestrate.build().get_user_function(), entity.build().get_user_function()]


@pytest.mark.parametrize("handle", handles())
def test_the_worker_finds_the_binding_and_no_annotation_to_check(handle):
    assert list(inspect.signature(handle).parameters) == ["ctx"]
    assert typing.get_type_hints(handle) == {"return": str}
    assert not inspect.iscoroutinefunction(handle)
    assert callable(handle)


def test_the_parameter_is_named_context_unless_a_decorator_says_otherwise():
    assert list(inspect.signature(df.Orchestrator.create(lambda anything: None)).parameters) == ["context"]


def test_the_worker_passes_the_context_by_name():
    _, entity = handles()

    assert json.loads(entity(ctx=BATCH)) == {"entityExists": False, "entityState": "null", "results": [], "signals": []}
    with pytest.raises(TypeError, match="ctx"):
        entity(context=BATCH)
    with pytest.raises(TypeError):
        entity()
