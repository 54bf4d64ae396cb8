"""Functions run by hand, whatever their trigger."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import azure.functions as func
import pytest

from perdure.formats.http_json import LinkTerms
from perdure.functions.bindings import ClientTexts
from perdure.functions.descriptions import (
    ActivityFunction,
    BrokenFunction,
    DisabledFunction,
    ForeignFunction,
    HttpFunction,
    LoadedApp,
    TimerFunction,
    UserFunction,
)
from perdure.functions.manual_runs import ManualRuns, NoSuchFunction, UnusableInput
from perdure.functions.schedules import read_schedule

T = TypeVar("T")
CLIENTS = ClientTexts(LinkTerms("http://localhost:7071/base", "Hub", "AzureWebJobsStorage"), "tok")
EVENT = {
    "id": "1",
    "topic": "t",
    "subject": "s",
    "eventType": "e",
    "eventTime": "2026-01-01T00:00:00Z",
    "data": {"n": 1},
}


class InPlace:
    """Lanes that run in place."""

    async def run_sync(self, job: Callable[[], T]) -> T:
        return job()

    def run_async(self, begin: Callable[[], Coroutine[Any, Any, T]]) -> Awaitable[T]:
        return begin()


def run(app: LoadedApp, name: str, input: Any) -> None:
    async def main() -> None:
        runs = ManualRuns(app, InPlace(), CLIENTS)
        runs.run_by_hand(name, input)
        await runs.stop()

    asyncio.run(main())


def call(code: Callable[..., Any], **described: Any) -> UserFunction:
    return UserFunction("fn", code, "x", "/app", **described)


def app(**functions: Any) -> LoadedApp:
    return LoadedApp(Path("/app"), None, **functions)


def foreign(trigger: str, code: Callable[..., Any], **described: Any) -> LoadedApp:
    return app(foreign=(ForeignFunction(call(code, **described), trigger),))


@pytest.mark.parametrize(
    ("trigger", "input", "kind", "seen"),
    [
        ("queueTrigger", "hello", func.QueueMessage, lambda m: m.get_body() == b"hello"),
        ("QUEUETRIGGER", {"a": 1}, func.QueueMessage, lambda m: m.get_json() == {"a": 1}),
        ("blobTrigger", "content", func.InputStream, lambda m: m.read() == b"content"),
        ("serviceBusTrigger", "hello", func.ServiceBusMessage, lambda m: m.get_body() == b"hello"),
        ("eventHubTrigger", {"a": 1}, func.EventHubEvent, lambda m: m.get_body() == b'{"a": 1}'),
        ("eventGridTrigger", EVENT, func.EventGridEvent, lambda m: m.get_json() == {"n": 1}),
        ("cosmosDBTrigger", [{"id": "7"}], func.DocumentList, lambda m: m[0]["id"] == "7"),
        ("kafkaTrigger", "hello", func.KafkaEvent, lambda m: m.get_body() == b"hello"),
    ],
)
def test_foreign_triggers_get_their_object(trigger: str, input: Any, kind: type, seen: Callable[[Any], bool]) -> None:
    given: list[Any] = []
    run(foreign(trigger, lambda x: given.append(x)), "FN", input)
    (value,) = given
    assert isinstance(value, kind)
    assert seen(value)


def test_text_and_bytes_are_given_as_they_are() -> None:
    given: list[Any] = []
    run(foreign("strangeTrigger", lambda x: given.append(x), expected_type=str), "fn", {"a": 1})
    run(foreign("strangeTrigger", lambda x: given.append(x), expected_type=bytes), "fn", "é")
    assert given == ['{"a": 1}', "é".encode()]


@pytest.mark.parametrize(
    ("trigger", "input", "reason"),
    [
        ("strangeTrigger", "x", "A strangeTrigger cannot be run by hand"),
        ("eventGridTrigger", "no json", "makes no eventGridTrigger of this input"),
    ],
)
def test_what_the_library_cannot_make_is_refused(trigger: str, input: Any, reason: str) -> None:
    with pytest.raises(UnusableInput, match=reason):
        run(foreign(trigger, lambda x: None), "fn", input)


def test_timers_activities_and_http_functions() -> None:
    given: list[Any] = []
    note = lambda x: given.append(x)  # noqa: E731 - one word of glue
    schedule = read_schedule("0 0 0 1 1 *", ZoneInfo("UTC"))
    run(app(timers=(TimerFunction(call(note), "0 0 0 1 1 *", schedule),)), "fn", "")
    run(app(activities=(ActivityFunction(call(note), "Other"),)), "fn", {"a": 1})

    async def on_loop(x: func.HttpRequest) -> None:
        given.append(x)

    run(app(http=(HttpFunction(call(on_loop, is_async=True), "orders"),)), "fn", {"b": 2})
    timer, activity, request = given
    assert timer.past_due is False
    assert activity == {"a": 1}
    assert (request.method, request.get_json()) == ("POST", {"b": 2})


def test_a_failure_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def code(x: Any) -> None:
        raise SystemExit("by hand")

    run(foreign("queueTrigger", code), "fn", "x")
    assert "Executed 'Functions.fn' (Failed" in caplog.text
    assert caplog.records[-1].levelno == logging.ERROR


def test_disabled_functions_run_by_hand_and_broken_ones_do_not() -> None:
    given: list[Any] = []
    inner = ForeignFunction(call(lambda x: given.append(x)), "queueTrigger")
    run(app(disabled=(DisabledFunction("fn", "queueTrigger", inner),)), "fn", "x")
    assert len(given) == 1
    with pytest.raises(UnusableInput, match="is disabled, and something is wrong"):
        run(app(disabled=(DisabledFunction("fn", "queueTrigger"),)), "fn", "x")
    with pytest.raises(UnusableInput, match="no scriptFile"):
        run(app(broken=(BrokenFunction("fn", "Function 'fn' has no scriptFile."),)), "fn", "x")


def test_never_with_a_missing_binding() -> None:
    with pytest.raises(UnusableInput, match="blob input"):
        run(foreign("queueTrigger", lambda x: None, missing=("blob input",)), "fn", "x")


def test_unknown_names() -> None:
    with pytest.raises(NoSuchFunction, match="'nobody'"):
        run(app(), "nobody", "x")
