"""The durable client over HTTP: addresses, answers and errors of each call; the same answers as in the process."""

import asyncio
import json
import sys
import types
from datetime import UTC, datetime, timedelta, timezone

import azure.functions as func
import pytest

from azure import durable_functions as df
from azure.durable_functions.blocking_client import BlockingDurableOrchestrationClient
from azure.durable_functions.http_transport import UnexpectedAnswer
from azure.durable_functions.web_requests import HostUnreachable
from perdure.client import (
    InstanceExists,
    InstanceFinished,
    InstanceNotFailed,
    InstanceNotFound,
    InstanceRunning,
    NotRegistered,
)
from support.host_apps import write_app
from support.host_process import HostProcess, free_port, wait_until
from support.sdk_world import BINDING
from support.web_server import Asked, Reply, WebServer

RPC = BINDING["rpcBaseUrl"]
OURS = {"perdureClient": "of another process", "baseUrl": "http://h/w", "requiredQueryStringParameters": "code=k"}
NONE = object()
STATUS = {"name": "flow", "instanceId": "i1", "runtimeStatus": "Running", "createdTime": "2026-01-01T00:00:00Z"}


class Host:
    """Stands in the place of a client's requests, as tests of users' apps do."""

    def __init__(self, status, body=None, **binding):
        self.client = df.DurableOrchestrationClient(json.dumps({**BINDING, **binding}), "invocation-1")
        self.requests = []
        self.answers = [[status, body]]
        self.client._get_async_request = self.get
        self.client._post_async_request = self.post
        self.client._delete_async_request = self.delete

    def answer(self):
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def get(self, url):
        self.requests.append(("GET", url))
        return self.answer()

    async def delete(self, url):
        self.requests.append(("DELETE", url))
        return self.answer()

    async def post(self, url, data=None, trace_parent=None, trace_state=None, function_invocation_id=None):
        self.requests.append(("POST", url, data))
        assert function_invocation_id == "invocation-1"
        return self.answer()

    def call(self, method, *args, **kwargs):
        return asyncio.run(getattr(self.client, method)(*args, **kwargs))


ENTITY = df.EntityId("Counter", "k 1")
WHEN = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
DONE = [df.OrchestrationRuntimeStatus.Completed, df.OrchestrationRuntimeStatus.Failed]
PURGED = {"instancesDeleted": 2}

REQUESTS = [
    (202, {"id": "x"}, "start_new", ("flow",), {}, "POST", "orchestrators/flow", None),
    (202, {"id": "x"}, "start_new", ("flow", "a b"), {}, "POST", "orchestrators/flow/a%20b", None),
    (202, {"id": "x"}, "start_new", ("flow", None, {"a": 1}), {}, "POST", "orchestrators/flow", '{"a": 1}'),
    (202, {"id": "x"}, "start_new", ("flow",), {"version": "1 0"}, "POST", "orchestrators/flow?version=1%200", None),
    (202, {"id": "x"}, "start_new", ("flow", "i", ""), {}, "POST", "orchestrators/flow/i", '""'),
    (200, STATUS, "get_status", ("i1",), {}, "GET", "instances/i1", NONE),
    (200, STATUS, "get_status", ("i1", True), {}, "GET", "instances/i1?showHistory=True", NONE),
    (
        200,
        STATUS,
        "get_status",
        ("i1",),
        {"show_history": True, "show_history_output": True},
        "GET",
        "instances/i1?showHistory=True&showHistoryOutput=True",
        NONE,
    ),
    (200, STATUS, "get_status", ("i1",), {"show_input": True}, "GET", "instances/i1?showInput=True", NONE),
    (200, [], "get_status_all", (), {}, "GET", "instances/", NONE),
    (200, [], "get_status_by", (), {"runtime_status": []}, "GET", "instances/", NONE),
    (
        200,
        [],
        "get_status_by",
        (WHEN, WHEN.astimezone(timezone(timedelta(hours=2))), DONE, "order-"),
        {},
        "GET",
        "instances/?createdTimeFrom=2026-01-02T03:04:05.000006Z&createdTimeTo=2026-01-02T03:04:05.000006Z"
        "&instanceIdPrefix=order-&runtimeStatus=Completed,Failed",
        NONE,
    ),
    (202, None, "raise_event", ("i1", "A b", {"ok": 1}), {}, "POST", "instances/i1/raiseEvent/A%20b", '{"ok": 1}'),
    (202, None, "raise_event", ("i1", "e"), {}, "POST", "instances/i1/raiseEvent/e", "null"),
    (
        202,
        None,
        "raise_event",
        ("i1", "e", 0, "Hub", "Store"),
        {},
        "POST",
        "instances/i1/raiseEvent/e?taskHub=Hub&connection=Store",
        "0",
    ),
    (202, None, "terminate", ("i1", "no more"), {}, "POST", "instances/i1/terminate?reason=no%20more", None),
    (
        202,
        None,
        "terminate",
        ("i1", "r"),
        {"recursive": True},
        "POST",
        "instances/i1/terminate?reason=r&recursive=true",
        None,
    ),
    (202, None, "suspend", ("i1", "r"), {}, "POST", "instances/i1/suspend?reason=r", None),
    (202, None, "resume", ("i1", "r"), {}, "POST", "instances/i1/resume?reason=r", None),
    (202, None, "rewind", ("i1", "a b"), {}, "POST", "instances/i1/rewind?reason=a%20b", None),
    (200, None, "rewind", ("i1", "r", "Hub"), {}, "POST", "instances/i1/rewind?reason=r&taskHub=Hub", None),
    (202, {"id": "n"}, "restart", ("i1",), {}, "POST", "instances/i1/restart?restartWithNewInstanceId=true", None),
    (202, "n", "restart", ("i1", False), {}, "POST", "instances/i1/restart?restartWithNewInstanceId=false", None),
    (200, PURGED, "purge_instance_history", ("i1",), {}, "DELETE", "instances/i1", NONE),
    (
        200,
        PURGED,
        "purge_instance_history_by",
        (WHEN, WHEN, DONE[:1]),
        {},
        "DELETE",
        "instances/?createdTimeFrom=2026-01-02T03:04:05.000006Z&createdTimeTo=2026-01-02T03:04:05.000006Z"
        "&runtimeStatus=Completed",
        NONE,
    ),
    (200, 5, "read_entity_state", (ENTITY,), {}, "GET", "entities/Counter/k%201", NONE),
    (
        200,
        5,
        "read_entity_state",
        (ENTITY, "Hub", "Store"),
        {},
        "GET",
        "entities/Counter/k%201?taskHub=Hub&connection=Store",
        NONE,
    ),
    (202, None, "signal_entity", (ENTITY, "add"), {}, "POST", "entities/Counter/k%201?op=add", None),
    (202, None, "signal_entity", (ENTITY, "add", 0), {}, "POST", "entities/Counter/k%201?op=add", "0"),
]


@pytest.mark.parametrize(("status", "body", "method", "args", "kwargs", "verb", "path", "data"), REQUESTS)
def test_every_call_has_its_request(status, body, method, args, kwargs, verb, path, data):
    host = Host(status, body)
    host.call(method, *args, **kwargs)

    assert host.requests == [(verb, RPC + path) if data is NONE else (verb, RPC + path, data)]


@pytest.mark.parametrize(("status", "body", "method", "args", "kwargs", "verb", "path", "data"), REQUESTS)
def test_a_host_of_ours_is_asked_at_its_public_address_with_its_key(
    status, body, method, args, kwargs, verb, path, data
):
    host = Host(status, body, **OURS)
    host.call(method, *args, **kwargs)

    (request,) = host.requests
    assert request[1] == f"http://h/w/{path}{'&' if '?' in path else '?'}code=k"


def test_inputs_are_texts_that_hold_json_for_official_hosts_only():
    with WebServer(lambda asked: Reply(202, b'{"id": "i1"}')) as server:
        official = df.DurableOrchestrationClient(json.dumps({"rpcBaseUrl": f"{server.url}/rpc"}))
        ours = df.DurableOrchestrationClient(json.dumps({**OURS, "baseUrl": f"{server.url}/w"}), "invocation-7")

        async def ask():
            for client in (official, ours):
                await client.start_new("flow", "i1", {"a": 1})
                await client.signal_entity(ENTITY, "add", 5)
                await client.raise_event("i1", "go", {"b": 2})
                await client.terminate("i1", "r")

        asyncio.run(ask())

    bodies = [asked.body for asked in server.asked]
    assert bodies == ['"{\\"a\\": 1}"', '"5"', '{"b": 2}', "", '{"a": 1}', "5", '{"b": 2}', ""]
    assert server.asked[0].path == "/rpc/orchestrators/flow/i1"
    assert server.asked[4].path == "/w/orchestrators/flow/i1?code=k"
    assert server.asked[4].headers["x-azure-functions-invocationid"] == "invocation-7"
    assert [asked.headers.get("content-type") for asked in server.asked[:4]] == ["application/json"] * 3 + [None]


ERRORS = [
    (400, {"ExceptionMessage": "No such function"}, "start_new", ("f",), UnexpectedAnswer, "^No such function$"),
    (400, {"ExceptionMessage": "m", "ExceptionType": "NotRegistered"}, "start_new", ("f",), NotRegistered, "^m$"),
    (409, {"ExceptionMessage": "m", "ExceptionType": "InstanceExists"}, "start_new", ("f",), InstanceExists, "^m$"),
    (500, "broken", "start_new", ("f",), UnexpectedAnswer, "^broken$"),
    (500, None, "start_new", ("f",), UnexpectedAnswer, "500"),
    (401, None, "get_status", ("i1",), UnexpectedAnswer, "unexpected status code 401"),
    (500, None, "get_status_all", (), UnexpectedAnswer, "unexpected status code 500"),
    (404, None, "raise_event", ("i1", "e"), InstanceNotFound, "'i1'"),
    (410, None, "raise_event", ("i1", "e"), InstanceFinished, "'i1'"),
    (400, {"Message": "JSON only"}, "raise_event", ("i1", "e"), UnexpectedAnswer, "400: JSON only"),
    (418, None, "raise_event", ("i1", "e"), UnexpectedAnswer, "418"),
    (404, None, "terminate", ("i1", "r"), InstanceNotFound, "'i1'"),
    (404, None, "suspend", ("i1", "r"), InstanceNotFound, "'i1'"),
    (404, None, "resume", ("i1", "r"), InstanceNotFound, "'i1'"),
    (500, None, "terminate", ("i1", "r"), UnexpectedAnswer, "500"),
    (404, None, "rewind", ("i1", "r"), InstanceNotFound, "'i1'"),
    (410, None, "rewind", ("i1", "r"), InstanceFinished, "only supported on failed"),
    (
        409,
        {"ExceptionMessage": "m", "ExceptionType": "InstanceNotFailed"},
        "rewind",
        ("i1", "r"),
        InstanceNotFailed,
        "m",
    ),
    (500, "payload", "rewind", ("i1", "r"), UnexpectedAnswer, "payload"),
    (404, None, "restart", ("i1",), InstanceNotFound, "'i1'"),
    (400, {"ExceptionMessage": "m", "ExceptionType": "InstanceNotFound"}, "restart", ("i1",), InstanceNotFound, "m"),
    (409, {"ExceptionMessage": "m", "ExceptionType": "InstanceExists"}, "restart", ("i1",), InstanceExists, "m"),
    (500, None, "restart", ("i1",), UnexpectedAnswer, "500"),
    (409, {"Message": "still running"}, "purge_instance_history", ("i1",), InstanceRunning, "still running"),
    (500, None, "purge_instance_history", ("i1",), UnexpectedAnswer, "500"),
    (500, None, "purge_instance_history_by", (WHEN,), UnexpectedAnswer, "500"),
    (500, None, "read_entity_state", (ENTITY,), UnexpectedAnswer, "500"),
    (200, None, "signal_entity", (ENTITY, "o"), UnexpectedAnswer, "200"),
    (400, {"Message": "unknown entity"}, "signal_entity", (ENTITY, "o"), UnexpectedAnswer, "unknown entity"),
]


@pytest.mark.parametrize(("status", "body", "method", "args", "error", "match"), ERRORS)
def test_refusals_are_exceptions(status, body, method, args, error, match):
    with pytest.raises(error, match=match):
        Host(status, body).call(method, *args)


def test_calls_that_cannot_be_are_refused_before_any_request():
    host = Host(500)
    for method, args in [
        ("raise_event", ("i1", "")),
        ("purge_instance_history_by", ()),
        ("signal_entity", (None, "o")),
    ]:
        with pytest.raises(ValueError, match=r"event_name|created_time_from|entity id"):
            host.call(method, *args)
    assert host.requests == []


@pytest.mark.parametrize("method", ["terminate", "suspend", "resume"])
def test_steering_what_has_ended_is_silent(method):
    assert Host(410).call(method, "i1", "r") is None


@pytest.mark.parametrize(
    ("status", "body", "new_id"),
    [(202, {"id": "new"}, "new"), (202, "new", "new"), (202, None, "i1"), (410, None, "i1"), (410, "new", "new")],
)
def test_restart_gives_the_id_that_runs_now(status, body, new_id):
    assert Host(status, body).call("restart", "i1") == new_id


def test_what_is_not_there_is_no_error_where_the_answer_says_so():
    assert not Host(404, "").call("get_status", "i1")
    assert Host(404).call("purge_instance_history", "i1").instances_deleted == 0
    assert Host(404).call("purge_instance_history_by", WHEN).instances_deleted == 0
    assert Host(200, PURGED).call("purge_instance_history_by", WHEN).instances_deleted == 2
    absent = Host(404).call("read_entity_state", ENTITY)
    assert (absent.entity_exists, absent.entity_state) == (False, None)
    there = Host(200, {"n": 5}).call("read_entity_state", ENTITY)
    assert (there.entity_exists, there.entity_state) == (True, {"n": 5})


@pytest.mark.parametrize("code", [200, 202, 500])
def test_a_status_is_read_whatever_its_code(code):
    status = Host(code, {**STATUS, "input": [1], "historyEvents": [{"EventType": "ExecutionStarted"}]}).call(
        "get_status", "i1"
    )
    assert (status.name, status.input, status.runtime_status.name) == ("flow", [1], "Running")
    assert status.history == [{"EventType": "ExecutionStarted"}]


REQUEST = func.HttpRequest("POST", "https://shop.example/api/start", body=b"")


def test_the_waiting_helper_polls_until_the_end():
    host = Host(202, STATUS)
    host.answers = [[404, ""], [202, STATUS], [200, {**STATUS, "runtimeStatus": "Completed", "output": [1]}]]

    response = host.call("wait_for_completion_or_create_check_status_response", REQUEST, "i1", 1000, 1)

    assert (response.status_code, response.get_body()) == (200, b"[1]")
    assert len(host.requests) == 3


@pytest.mark.parametrize(("ending", "code"), [("Failed", 500), ("Terminated", 200), ("Canceled", 200)])
def test_the_waiting_helper_shows_other_endings_as_their_status(ending, code):
    host = Host(200, {**STATUS, "runtimeStatus": ending})
    response = host.call("wait_for_completion_or_create_check_status_response", REQUEST, "i1")

    assert response.status_code == code
    assert json.loads(response.get_body())["runtimeStatus"] == ending


def test_the_waiting_helper_gives_the_links_after_the_timeout():
    wait = "wait_for_completion_or_create_check_status_response"
    assert Host(202, STATUS).call(wait, REQUEST, "i1", 5, 1).status_code == 202
    assert Host(202, STATUS).call(wait, REQUEST, "i1", timeout=timedelta(milliseconds=5)).status_code == 202


def test_pages_are_followed_to_the_end():
    def pages(asked: Asked) -> Reply:
        page = int(asked.headers.get("x-ms-continuation-token") or 0)
        rows = [{**STATUS, "instanceId": f"i{page}"}]
        return Reply(200, json.dumps(rows).encode(), {"x-ms-continuation-token": str(page + 1) if page < 3 else ""})

    with WebServer(pages) as server:
        client = df.DurableOrchestrationClient(json.dumps({"rpcBaseUrl": server.url}))
        assert [s.instance_id for s in asyncio.run(client.get_status_all())] == ["i0", "i1", "i2", "i3"]


def test_a_host_that_does_not_answer_is_named():
    url = f"http://127.0.0.1:{free_port()}"
    client = df.DurableOrchestrationClient(json.dumps({"rpcBaseUrl": f"{url}/d/"}))

    with pytest.raises(HostUnreachable, match=url):
        asyncio.run(client.get_status("i1"))


def test_starts_and_signals_carry_the_trace_under_way(monkeypatch):
    state = types.SimpleNamespace(to_header=lambda: "vendor=1")
    context = types.SimpleNamespace(is_valid=True, trace_id=0xAB, span_id=0xCD, trace_flags=1, trace_state=state)
    span = types.SimpleNamespace(get_span_context=lambda: context)
    trace = types.SimpleNamespace(get_current_span=lambda: span)
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", trace)
    with WebServer(lambda asked: Reply(202, b'{"id": "i1"}')) as server:
        client = df.DurableOrchestrationClient(json.dumps({"rpcBaseUrl": server.url}))

        async def ask():
            await client.start_new("flow")
            await client.signal_entity(ENTITY, "add")
            await client.terminate("i1", "r")

        asyncio.run(ask())

    expected = f"00-{'ab':0>32}-{'cd':0>16}-01"
    assert [asked.headers.get("traceparent") for asked in server.asked] == [expected, expected, None]
    assert server.asked[0].headers["tracestate"] == "vendor=1"


APP = """
    import json

    @app.orchestration_trigger(context_name="context")
    def flow(context):
        context.set_custom_status({"at": "work"})
        if context.get_input() == "wait":
            return (yield context.wait_for_external_event("go"))
        done = yield context.call_activity("work", context.get_input())
        if done == "fail":
            raise ValueError("no good")
        return done

    @app.activity_trigger(input_name="what")
    def work(what):
        return what

    @app.entity_trigger(context_name="context")
    def counter(context):
        context.set_state((context.get_state(lambda: 0)) + (context.get_input() or 0))

    @app.orchestration_trigger(context_name="context")
    def shaky(context):
        return (yield context.call_activity("flaky"))

    tries = []

    @app.activity_trigger(input_name="nothing")
    def flaky(nothing):
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionError("not yet")
        return len(tries)

    @app.route(route="binding")
    @app.durable_client_input(client_name="client")
    async def binding(req, client):
        b = client._orchestration_bindings
        return json.dumps({"baseUrl": b.client_data["baseUrl"], "managementUrls": b.management_urls,
                           "requiredQueryStringParameters": "", "perdureClient": "elsewhere"})

    @app.route(route="statuses")
    @app.durable_client_input(client_name="client")
    async def statuses(req, client):
        shown = [await client.get_status(s.instance_id, True, True) for s in await client.get_status_all()]
        entity = await client.read_entity_state(df.EntityId("counter", "k"))
        return json.dumps({"statuses": [s.to_json() for s in shown],
                           "entity": [entity.entity_exists, entity.entity_state],
                           "links": client.create_http_management_payload("x")})
"""


def in_whole_seconds(status):
    return {**status, **{name: status[name][:19] for name in ("createdTime", "lastUpdatedTime")}}


def test_both_ways_give_equal_objects_of_a_running_host(tmp_path):
    with HostProcess(write_app(tmp_path, APP)) as host:
        client = df.DurableOrchestrationClient(host.http.get("/api/binding").text)
        blocking = BlockingDurableOrchestrationClient(client)
        for instance_id, given in {"text": "ok", "list": [1, {"a": None}], "bad": "fail", "open": "wait"}.items():
            assert blocking.start_new("flow", instance_id, given) == instance_id
        with pytest.raises(NotRegistered, match="'flow'"):
            blocking.start_new("flwo")
        with pytest.raises(InstanceExists):
            blocking.start_new("flow", "open")
        with pytest.raises(InstanceRunning):
            blocking.purge_instance_history("open")
        with pytest.raises(InstanceNotFound):
            blocking.raise_event("nobody", "go")
        wait = blocking.wait_for_completion_or_create_check_status_response
        for instance_id, body in (("text", b"ok"), ("list", b'[1, {"a": null}]')):
            assert wait(REQUEST, instance_id, 10_000, 20).get_body() == body
        assert wait(REQUEST, "bad", 10_000, 20).status_code == 500
        blocking.signal_entity(df.EntityId("Counter", "k"), "add", 5)
        blocking.suspend("open", "hold")
        blocking.resume("open", "go on")
        blocking.raise_event("open", "GO", {"by": "me"})
        assert json.loads(wait(REQUEST, "open", 10_000, 20).get_body()) == {"by": "me"}
        with pytest.raises(InstanceFinished):
            blocking.raise_event("open", "go")

        async def both():
            shown = [await client.get_status(s.instance_id, True, True) for s in await client.get_status_all()]
            entity = await client.read_entity_state(df.EntityId("counter", "k"))
            return [s.to_json() for s in shown], [entity.entity_exists, entity.entity_state]

        over_http, entity = asyncio.run(both())
        attached = host.http.get("/api/statuses").json()
        assert [in_whole_seconds(s) for s in over_http] == [in_whole_seconds(s) for s in attached["statuses"]]
        assert [s["instanceId"] for s in over_http] == ["text", "list", "bad", "open"]
        assert entity == attached["entity"] == [True, 5]
        assert client.create_http_management_payload("x") == attached["links"]
        blocking.start_new("shaky", "again")
        assert wait(REQUEST, "again", 10_000, 20).status_code == 500
        blocking.rewind("again", "the service is back")
        wait_until(lambda: blocking.get_status("again").output == 2, "the rewound instance has completed")
        with pytest.raises(InstanceFinished):
            blocking.rewind("again", "once more")
        assert wait(REQUEST, blocking.restart("text"), 10_000, 20).get_body() == b"ok"
        assert blocking.restart("text", restart_with_new_instance_id=False) == "text"
        assert wait(REQUEST, "text", 10_000, 20).get_body() == b"ok"
        with pytest.raises(InstanceNotFound):
            blocking.restart("nobody")
        assert blocking.purge_instance_history("open").instances_deleted == 1
        assert blocking.purge_instance_history_by(datetime(2020, 1, 1)).instances_deleted == 5
        assert not blocking.get_status("open")
