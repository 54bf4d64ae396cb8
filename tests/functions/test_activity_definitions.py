"""Activities as the engine calls them, with the SDK's own converter."""

import asyncio
import dataclasses
import json
import logging
from collections.abc import Callable
from typing import Any

import azure.functions as func
import pytest

from azure.durable_functions import serialization
from perdure.core.registry import ActivityCall, ActivityDefinition, ActivityMode
from perdure.formats.http_json import LinkTerms
from perdure.functions.activities import ActivityExited, activity_definition
from perdure.functions.bindings import ClientTexts, MissingBinding
from perdure.functions.descriptions import ActivityFunction, ClientArgument, OutputArgument, UserFunction
from perdure.functions.invocations import running_function

CLIENTS = ClientTexts(LinkTerms("http://localhost:7071/base", "Hub", "AzureWebJobsStorage"), "tok")


@dataclasses.dataclass
class Order:
    number: int


def define(code: Callable[..., Any], **call: Any) -> ActivityDefinition:
    is_async = asyncio.iscoroutinefunction(code)
    described = UserFunction("act", code, "x", "/app", is_async=is_async, **call)
    return activity_definition(ActivityFunction(described, "Registered"), serialization, CLIENTS)


def run(definition: ActivityDefinition, text: str | None) -> Any:
    result = definition.run(ActivityCall("instance", 3, "Registered", text))
    return asyncio.run(result) if definition.mode is ActivityMode.LOOP else result


@pytest.mark.parametrize("lane", [ActivityMode.THREAD, ActivityMode.LOOP])
def test_text_in_text_out(lane: ActivityMode) -> None:
    def plain(x: Any) -> Any:
        return {"got": x}

    async def on_loop(x: Any) -> Any:
        return {"got": x}

    definition = define(plain if lane is ActivityMode.THREAD else on_loop)
    assert (definition.name, definition.mode) == ("Registered", lane)
    assert run(definition, '{"a": [1, "é"]}') == '{"got": {"a": [1, "\\u00e9"]}}'
    assert run(definition, None) == '{"got": null}'
    assert run(definition, "bare text") == '{"got": "bare text"}'


def test_the_annotation_rebuilds_classes() -> None:
    definition = define(lambda x: type(x).__name__, expected_type=Order)
    assert run(definition, serialization.to_text(Order(7))) == '"Order"'
    assert json.loads(run(define(lambda x: Order(x)), "7"))["__class__"] == "Order"


def test_what_cannot_be_written_fails_the_activity() -> None:
    with pytest.raises(TypeError):
        run(define(lambda x: object()), "1")


def test_context_and_client() -> None:
    def code(x: Any, context: func.Context, client: str) -> Any:
        return [x, context.function_name, len(context.invocation_id), json.loads(client)["perdureClient"]]

    definition = define(code, wants_context=True, clients=(ClientArgument("client"),))
    assert json.loads(run(definition, "1")) == [1, "act", 36, "tok"]


def test_missing_and_logged_bindings(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(MissingBinding, match="blob input"):
        run(define(lambda x, blob: None, missing=("blob input",)), "1")
    outputs = (OutputArgument("$return", "queue"),)
    assert run(define(lambda x: "message", outputs=outputs), "1") == '"message"'
    assert "set its queue output '$return', which is only logged: 'message'" in caplog.text


def test_a_failure_is_raised_with_the_users_frames_only(caplog: pytest.LogCaptureFixture) -> None:
    def code(x: Any) -> None:
        raise ValueError("bad city")

    with pytest.raises(ValueError, match="bad city"):
        run(define(code), "1")
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "Executed 'Functions.act' (Failed" in record.getMessage()
    assert "ValueError: bad city" in record.getMessage()
    assert record.exc_info
    assert "activities.py" not in logging.Formatter().formatException(record.exc_info).replace("test_", "")


def test_a_success_is_silent_at_the_usual_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    run(define(lambda x: x), "1")
    assert not caplog.records


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_a_coroutine_cannot_end_the_loop_it_shares(error: BaseException) -> None:
    async def code(x: Any) -> None:
        raise error

    with pytest.raises(ActivityExited, match=type(error).__name__):
        run(define(code), "1")


def test_log_records_of_the_activity_know_it() -> None:
    assert run(define(lambda x: running_function.get()), "1") == '"act"'
    assert running_function.get() is None


def test_debug_logging_shows_every_call(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert run(define(lambda x: x), "1") == "1"
    began, ended = (record.getMessage() for record in caplog.records)
    assert began.startswith("Executing 'Functions.act' (Reason='Activity', Id=")
    assert ended.startswith("Executed 'Functions.act' (Succeeded, Id=")
