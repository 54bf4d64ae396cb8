"""Spans of a running host, as an OTLP collector gets them (functions-host.md §5)."""

import gzip
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from perdure.host.options import StartOptions
from perdure.host.settings import read_settings
from perdure.host.tracing_setup import open_tracing
from support.host_apps import write_app
from support.host_process import HostProcess, checkout_environment

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HOST_JSON = {
    "version": "2.0",
    "telemetryMode": "OpenTelemetry",
    "extensions": {
        "durableTask": {"tracing": {"distributedTracingEnabled": True, "version": "V2"}, "defaultVersion": "1.0"}
    },
}
INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = 1, 2, 3, 4, 5
SOURCE = """
import datetime
import azure.functions as func
import azure.durable_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route(route="begin/{name}/{id}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def begin(req, client, context: func.Context):
    await client.start_new(req.route_params["name"], req.route_params["id"])
    return context.trace_context.trace_parent

@app.orchestration_trigger(context_name="context")
def everything(context):
    first = yield context.call_activity("plain", "a")
    second = yield context.call_activity("on_loop", "b")
    third = yield context.call_sub_orchestrator("child")
    yield context.create_timer(context.current_utc_datetime + datetime.timedelta(milliseconds=20))
    entity = df.EntityId("counter", "one")
    context.signal_entity(entity, "add", 1)
    fourth = yield context.call_entity(entity, "get")
    try:
        yield context.call_activity("failing", None)
    except Exception:
        pass
    event = yield context.wait_for_external_event("go")
    return [first, second, third, fourth, event]

@app.orchestration_trigger(context_name="context")
def child(context):
    return (yield context.call_activity("plain", "in the child"))

@app.activity_trigger(input_name="text")
def plain(text: str, context: func.Context):
    return context.trace_context.trace_parent

@app.activity_trigger(input_name="text")
async def on_loop(text: str):
    from opentelemetry import trace
    with trace.get_tracer("the app").start_as_current_span("the app's own"):
        return text

@app.activity_trigger(input_name="nothing")
def failing(nothing):
    raise ValueError("always")

@app.entity_trigger(context_name="context")
def counter(context):
    context.set_state((context.get_state(lambda: 0) or 0) + 1)
    context.set_result(context.get_state())
"""


@dataclass
class Collector:
    """An OTLP collector of one test."""

    url: str = ""
    spans: list[Any] = field(default_factory=list)

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str, kind: int) -> Any:
        found = [span for span in self.named(name) if span.kind == kind]
        assert len(found) == 1, (name, kind, [(span.name, span.kind) for span in self.spans])
        return found[0]


@pytest.fixture
def collector() -> Iterator[Collector]:
    collected = Collector()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            request = ExportTraceServiceRequest.FromString(body)
            collected.spans += [s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans]
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        collected.url = f"http://127.0.0.1:{server.server_port}"
        yield collected
        server.shutdown()
        thread.join()


def traced_to(collector: Collector) -> dict[str, str]:
    """Spans are sent at once, so that little is left to send while the host stops."""
    sent = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}
    return {**checkout_environment(), **sent}


def attributes(span: Any) -> dict[str, Any]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


def test_everything_an_orchestration_does_is_one_trace(tmp_path: Path, collector: Collector):
    app = write_app(tmp_path / "app", SOURCE, head="", host_json=json.dumps(HOST_JSON))
    environment = traced_to(collector)
    with HostProcess(app, environment=environment) as host:
        sent = f"00-{TRACE}-{CALLER}-01"
        answer = host.http.post("/api/begin/everything/one", headers={"traceparent": sent})
        assert answer.text == sent
        links = {"statusQueryGetUri": f"{host.url}/runtime/webhooks/durabletask/instances/one"}
        host.wait_for(
            links, lambda status: (host.status(links, showWaitingOn="true").get("waitingOn") or [{}])[0].get("kind")
            == "event", "the event is awaited",
        )  # fmt: skip
        # From here on the whole history is replayed; nothing of it makes a span again.
        host.stop()
        host.start()
        host.http.post(
            "/runtime/webhooks/durabletask/instances/one/raiseEvent/go", json="gone", headers={"traceparent": sent}
        )
        output = host.finished(links)["output"]
    for name in ("activity:plain", "activity:on_loop", "orchestration:child@(1.0)", "entity:counter:add"):
        assert len({(span.name, span.kind, span.span_id) for span in collector.named(name)}) == len(
            collector.named(name)
        )
    assert len([span for span in collector.named("activity:on_loop") if span.kind == CLIENT]) == 1
    trace_of = {span.trace_id.hex() for span in collector.spans if not span.name.startswith("entity:counter")}
    assert trace_of == {TRACE}
    created = collector.one("create_orchestration:everything@(1.0)", PRODUCER)
    assert created.parent_span_id.hex() == CALLER
    own = collector.one("orchestration:everything@(1.0)", SERVER)
    assert own.parent_span_id == created.span_id
    shown = attributes(own)
    assert shown["durabletask.type"] == "orchestration"
    assert shown["durabletask.task.instance_id"] == "one"
    assert shown["durabletask.task.status"] == "Completed"
    assert shown["durabletask.task.version"] == "1.0"
    assert collector.one("orchestration_event:go", PRODUCER).parent_span_id.hex() == CALLER
    assert output[0].startswith(f"00-{TRACE}-")


def test_each_kind_of_step_has_its_spans_once(tmp_path: Path, collector: Collector):
    app = write_app(tmp_path / "app", SOURCE, head="", host_json=json.dumps(HOST_JSON))
    environment = traced_to(collector)
    with HostProcess(app, environment=environment) as host:
        host.http.post("/api/begin/everything/one")
        links = {"statusQueryGetUri": f"{host.url}/runtime/webhooks/durabletask/instances/one"}
        host.http.post("/runtime/webhooks/durabletask/instances/one/raiseEvent/go", json="gone")
        output = host.finished(links)["output"]
    own = collector.one("orchestration:everything@(1.0)", SERVER)
    asked_child = collector.one("orchestration:child@(1.0)", CLIENT)
    ran_child = collector.one("orchestration:child@(1.0)", SERVER)
    assert asked_child.parent_span_id == own.span_id
    assert ran_child.parent_span_id == asked_child.span_id
    asked = {span.span_id: span for span in collector.named("activity:plain") if span.kind == CLIENT}
    ran = [span for span in collector.named("activity:plain") if span.kind == SERVER]
    assert {span.parent_span_id for span in asked.values()} == {own.span_id, ran_child.span_id}
    assert {span.parent_span_id for span in ran} == set(asked)
    # What the function was told is its own span.
    assert output[0].split("-")[2] in {span.span_id.hex() for span in ran}
    on_loop = collector.one("activity:on_loop", SERVER)
    assert collector.one("the app's own", INTERNAL).parent_span_id == on_loop.span_id
    assert collector.one("orchestration:everything@(1.0):timer", INTERNAL).parent_span_id == own.span_id
    failing = collector.one("activity:failing", CLIENT)
    assert failing.status.code == 2
    assert "always" in failing.status.message
    called = collector.one("entity:counter:get", CLIENT)
    assert collector.one("entity:counter:get", SERVER).parent_span_id == called.span_id
    assert collector.one("entity:counter:add", PRODUCER).parent_span_id == own.span_id
    assert len([span for span in collector.named("entity:counter:add") if span.kind == CONSUMER]) == 1
    for span in collector.spans:
        assert span.start_time_unix_nano <= span.end_time_unix_nano
    ids = [span.span_id for span in collector.spans]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("changes", "endpoint", "says"),
    [
        ({"telemetryMode": "ApplicationInsights"}, "http://127.0.0.1:9", "telemetryMode"),
        ({}, "", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    ],
)
def test_tracing_that_leads_nowhere_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, changes: dict[str, str],
    endpoint: str, says: str,
):  # fmt: skip
    app = write_app(tmp_path / "app", SOURCE, head="", host_json=json.dumps(HOST_JSON | changes))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    assert open_tracing(read_settings(StartOptions(app), {})) is None
    assert says in caplog.text


def test_without_tracing_nothing_of_it_is_imported(tmp_path: Path):
    loaded = """
import sys
import azure.functions as func
app = func.FunctionApp()

@app.route(route="loaded", auth_level=func.AuthLevel.ANONYMOUS)
def loaded(req):
    return str([name for name in sys.modules if name.startswith(("opentelemetry", "perdure.telemetry."))])
"""
    with HostProcess(write_app(tmp_path / "app", loaded, head="")) as host:
        assert host.http.get("/api/loaded").text == "[]"
