"""Text that no store can hold: a lone surrogate is legal in a Python string and nowhere else. Nobody else is harmed."""

from collections.abc import Iterator
from typing import Any

import pytest

from support.host_apps import write_app
from support.host_process import HostProcess

DURABLE = "/runtime/webhooks/durabletask"
APP = r"""
@app.orchestration_trigger(context_name="context")
def raises(context):
    yield context.call_activity("echo", 1)
    raise ValueError("\ud800")

@app.orchestration_trigger(context_name="context")
def raises_class(context):
    raise type("Wrong\ud800", (Exception,), {})("text")
    yield

@app.orchestration_trigger(context_name="context")
def activity_raises(context):
    yield context.call_activity("fail", 1)

@app.orchestration_trigger(context_name="context")
def activity_name(context):
    yield context.call_activity("\ud800", 1)

@app.orchestration_trigger(context_name="context")
def child_name(context):
    yield context.call_sub_orchestrator("\ud800", 1)

@app.orchestration_trigger(context_name="context")
def child_id(context):
    yield context.call_sub_orchestrator("returns", None, "\ud800")

@app.orchestration_trigger(context_name="context")
def entity_key(context):
    yield context.call_entity(df.EntityId("thing", "\ud800"), "set", 1)

@app.orchestration_trigger(context_name="context")
def entity_operation(context):
    yield context.call_entity(df.EntityId("thing", "k"), "\ud800", 1)

@app.orchestration_trigger(context_name="context")
def signal_operation(context):
    context.signal_entity(df.EntityId("thing", "k"), "\ud800", 1)
    yield context.call_activity("echo", 1)

@app.orchestration_trigger(context_name="context")
def event_name(context):
    yield context.wait_for_external_event("\ud800")

@app.orchestration_trigger(context_name="context")
def waits(context):
    yield context.wait_for_external_event("go")

@app.orchestration_trigger(context_name="context")
def activity_input(context):
    return (yield context.call_activity("echo", "\ud800"))

@app.orchestration_trigger(context_name="context")
def custom_status(context):
    context.set_custom_status({"\ud800": "\udfff"})
    return (yield context.call_activity("echo", 1))

@app.orchestration_trigger(context_name="context")
def returns(context):
    return "\ud800"
    yield

@app.orchestration_trigger(context_name="context")
def again(context):
    if context.get_input() is None:
        context.continue_as_new("\ud800")
        return
    return context.get_input()
    yield

@app.orchestration_trigger(context_name="context")
def ordinary(context):
    return (yield context.call_activity("echo", context.get_input()))

@app.activity_trigger(input_name="value")
def echo(value):
    return value

@app.activity_trigger(input_name="value")
def fail(value):
    raise ValueError("\ud800")

@app.entity_trigger(context_name="context")
def thing(context):
    if context.operation_name == "fail":
        raise ValueError("\ud800")
    context.set_state("\ud800")
    context.set_result(context.operation_name)

@app.route(route="client/{what}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def call_client(req: func.HttpRequest, client):
    what = req.route_params["what"]
    try:
        if what == "id":
            await client.start_new("ordinary", "\ud800", 1)
        elif what == "event":
            await client.raise_event("waiting", "\ud800", 1)
        elif what == "reason":
            await client.terminate("waiting", "\ud800")
        elif what == "entity":
            await client.signal_entity(df.EntityId("thing", "\ud800"), "set", 1)
        elif what == "operation":
            await client.signal_entity(df.EntityId("thing", "k"), "\ud800", 1)
    except Exception as error:
        return func.HttpResponse(type(error).__name__, status_code=400)
    return func.HttpResponse(status_code=200)
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostProcess]:
    with HostProcess(write_app(tmp_path_factory.mktemp("surrogates") / "app", APP)) as host:
        yield host


count = iter(range(10_000))


def run(host: HostProcess, name: str, value: Any = None) -> dict[str, Any]:
    return host.finished(host.start_instance(f"/api/start/{name}/{name}-{next(count)}", value))


@pytest.mark.parametrize(
    "orchestrator",
    [
        "raises",
        "raises_class",
        "activity_raises",
        "activity_name",
        "child_name",
        "child_id",
        "entity_key",
        "event_name",
    ],
)
def test_text_that_cannot_be_stored_fails_only_its_instance(host: HostProcess, orchestrator: str):
    neighbours = [host.start_instance(f"/api/start/ordinary/beside-{orchestrator}-{n}", n) for n in range(10)]
    status = run(host, orchestrator)
    assert status["runtimeStatus"] == "Failed", status
    assert "\\ud800" in status["output"] or "lone surrogate" in status["output"], status
    assert [host.completed(links)["output"] for links in neighbours] == list(range(10))


@pytest.mark.parametrize("orchestrator", ["entity_operation", "signal_operation"])
def test_operation_name_that_cannot_be_stored_ends_one_way_or_the_other(host: HostProcess, orchestrator: str):
    assert run(host, orchestrator)["runtimeStatus"] in ("Failed", "Completed")
    assert run(host, "ordinary", 7)["output"] == 7


@pytest.mark.parametrize(
    ("orchestrator", "output"),
    [("activity_input", "\ud800"), ("returns", "\ud800"), ("again", "\ud800"), ("custom_status", 1)],
)
def test_payloads_carry_it_as_an_escape(host: HostProcess, orchestrator: str, output: Any):
    assert run(host, orchestrator)["output"] == output


@pytest.mark.parametrize("what", ["id", "event", "reason", "entity", "operation"])
def test_client_calls_with_such_text_are_refused_or_done(host: HostProcess, what: str):
    if host.http.get(f"{DURABLE}/instances/waiting").status_code == 404:
        host.start_instance("/api/start/waits/waiting")
    assert host.http.post(f"/api/client/{what}").status_code in (200, 400)
    assert run(host, "ordinary", 7)["output"] == 7


def test_nothing_is_lost_by_a_restart_after_all_that(host: HostProcess):
    host.kill()
    host.start()
    assert run(host, "ordinary", 8)["output"] == 8
