"""call_http in an orchestrator: the request asked for, polling by recorded answers, what the code gets."""

import json
from datetime import timedelta

import pytest

from azure import durable_functions as df
from perdure.core import actions as ac
from support.host_apps import write_app
from support.host_process import HostProcess
from support.replay_world import T0
from support.sdk_world import SdkWorld
from support.web_server import Asked, Reply, WebServer

ACTIVITY = "BuiltIn::HttpActivity"
SECRETS = {"Authorization": "Bearer mine", "Cookie": "a=b", "proxy-authorization": "p", "X-Functions-Key": "k"}


def asking(method="GET", uri="https://shop.example/orders", **options):
    def code(context):
        response = yield context.call_http(method, uri, **options)
        return [response["statusCode"], response.headers, response.content]

    world = SdkWorld(code)
    world.start()
    return world


def request_of(world):
    (action,) = world.last.actions
    assert isinstance(action, ac.ScheduleActivity)
    assert action.name == ACTIVITY
    return json.loads(action.input)


def answer(status, content="", headers=None, **more):
    return json.dumps({"statusCode": status, "headers": headers or {}, "content": content, **more})


def accepted(location="/status/1", **headers):
    return answer(202, headers={"Location": location, **headers}, pollAfterMilliseconds=30_000)


def test_the_request_is_an_activity_call():
    world = asking(
        "POST", content={"a": 1}, headers={"h": "v"}, token_source=df.ManagedIdentityTokenSource("https://m")
    )

    assert request_of(world) == {
        "method": "POST",
        "uri": "https://shop.example/orders",
        "content": '{"a": 1}',
        "headers": {"h": "v"},
        "tokenSource": {"resource": "https://m", "kind": "AzureManagedIdentity"},
    }


def test_d11_text_is_written_as_json_unless_it_is_raw():
    assert request_of(asking("POST", content='{"a": 1}'))["content"] == '"{\\"a\\": 1}"'
    assert request_of(asking("POST", content='{"a": 1}', is_raw_str=True))["content"] == '{"a": 1}'
    assert request_of(asking("POST", content=[1, None], is_raw_str=False))["content"] == "[1, null]"
    assert request_of(asking())["content"] is None
    assert "tokenSource" not in request_of(asking())


def test_what_cannot_be_sent_is_refused_at_the_call():
    assert asking("POST", content={"a": 1}, is_raw_str=True).failed_with.error_type == "TypeError"
    assert asking("POST", content=object()).failed_with.error_type == "TypeError"
    for uri in ("ftp://h/x", "/relative", "file:///etc/passwd"):
        assert "http or https" in asking(uri=uri).failed_with.message


@pytest.mark.parametrize("status", [200, 204, 400, 404, 500, 202])
def test_any_final_status_is_a_success(status):
    world = asking()
    world.complete(0, answer(status, "body", {"Content-Type": "text/plain"}))

    assert json.loads(world.output) == [status, {"Content-Type": "text/plain"}, "body"]


def test_the_response_is_read_by_key_and_by_attribute():
    def code(context):
        response = yield context.call_http("GET", "http://h")
        assert isinstance(response, dict | df.DurableHttpResponse)
        assert response["statusCode"] == response.status_code == 200
        assert response["headers"]["content-type"] == response.headers.get("Content-Type") == "text/plain"
        assert "CONTENT-TYPE" in response.headers
        assert response.headers.get("x") is None
        assert response["content"] == response.content == "body"
        return response

    world = SdkWorld(code)
    world.start()
    world.complete(0, answer(200, "body", {"Content-Type": "text/plain"}))

    assert json.loads(world.output) == {"statusCode": 200, "headers": {"Content-Type": "text/plain"}, "content": "body"}


def test_a_transport_failure_fails_the_task():
    def code(context):
        try:
            yield context.call_http("GET", "http://h")
        except Exception as error:
            return str(error)

    world = SdkWorld(code)
    world.start()
    world.fail(0, "GET http://h failed: ConnectError")

    assert f"Activity function '{ACTIVITY}' failed: GET http://h failed" in world.output


def test_an_accepted_request_is_asked_about_until_it_is_final():
    source = df.ManagedIdentityTokenSource("https://m")
    world = asking("POST", content="x", headers={**SECRETS, "X-Kept": "1"}, token_source=source)

    world.complete(0, accepted(location="status/1"))
    (timer,) = world.last.actions
    assert timer == ac.CreateTimer(1, T0 + timedelta(seconds=30))
    world.complete(1)
    polling = request_of(world)
    assert polling == {
        "method": "GET",
        "uri": "https://shop.example/status/1",
        "content": None,
        "headers": {n: v for n, v in {**SECRETS, "X-Kept": "1"}.items() if n != "X-Functions-Key"},
        "tokenSource": {"resource": "https://m", "kind": "AzureManagedIdentity"},
    }
    world.complete(2, accepted(location="../2", **{"retry-after": "5"}))
    assert world.last.actions[0].fire_at == world.now + timedelta(seconds=5)
    world.complete(3)
    assert request_of(world)["uri"] == "https://shop.example/2"
    world.complete(4, answer(200, "done"))

    assert json.loads(world.output) == [200, {}, "done"]


def test_polling_is_the_same_at_every_replay():
    world = asking("POST", headers={"a": "b"})
    for task_id, completion in [(0, accepted()), (1, None), (2, accepted(**{"Retry-After": "1"})), (3, None)]:
        world.complete(task_id, completion)
        world.reload()
        assert not world.replayer.advance([]).actions
    world.complete(4, answer(200))

    assert json.loads(world.output)[0] == 200


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("0", 0),
        ("Thu, 01 Jan 2026 00:00:07 GMT", 7),
        ("Wed, 31 Dec 2025 23:00:00 GMT", 0),
        ("soon", 30),
        ("-5", 30),
        ("1.5", 30),
        ("9" * 30, 30),
        ("", 30),
    ],
)
def test_retry_after_is_seconds_or_a_date(retry_after, seconds):
    world = asking()
    world.complete(0, accepted(**{"Retry-After": retry_after}))

    assert world.last.actions[0].fire_at == T0 + timedelta(seconds=seconds)


def test_the_host_interval_stands_in_the_history():
    world = asking()
    world.complete(0, answer(202, headers={"location": "/s"}, pollAfterMilliseconds=1500))
    assert world.last.actions[0].fire_at == T0 + timedelta(seconds=1.5)

    world = asking()
    world.complete(0, answer(202, headers={"Location": ["/s"], "Retry-After": ["2"]}))
    assert world.last.actions[0].fire_at == T0 + timedelta(seconds=2)


@pytest.mark.parametrize(
    "location",
    ["https://other.example/s", "http://shop.example/s", "https://shop.example:8443/s", "//evil.example/s"],
)
def test_polling_another_origin_takes_no_credentials_there(location):
    world = asking(headers={**SECRETS, "X-Kept": "1"}, token_source=df.ManagedIdentityTokenSource("https://m"))
    world.complete(0, accepted(location=location))
    world.complete(1)

    polling = request_of(world)
    assert polling["headers"] == {"X-Kept": "1"}
    assert "tokenSource" not in polling


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://h/x", "javascript:1"])
def test_polling_elsewhere_than_http_is_refused(location):
    world = asking()
    world.complete(0, accepted(location=location))

    assert "http or https" in world.failed_with.message


def test_an_http_task_takes_part_in_groups():
    def code(context):
        late = context.call_http("GET", "http://late")
        quick = context.call_http("GET", "http://quick")
        winner = yield context.task_any([late, quick])
        both = yield context.task_all([late, quick])
        return [winner is quick, [response.content for response in both]]

    world = SdkWorld(code)
    world.start()
    world.complete(0, accepted())
    world.complete(1, answer(200, "quick"))
    world.complete(2)
    world.complete(3, answer(200, "late"))

    assert json.loads(world.output) == [True, ["late", "quick"]]


def test_requests_are_values():
    request = df.DurableHttpRequest("GET", "http://h", token_source=df.ManagedIdentityTokenSource("r"))

    assert (request.method, request.uri, request.content, request.headers) == ("GET", "http://h", None, None)
    assert request.token_source.resource == "r"
    assert isinstance(request.token_source, df.TokenSource)
    assert request.to_json()["tokenSource"] == {"resource": "r", "kind": "AzureManagedIdentity"}
    assert "tokenSource" not in df.DurableHttpRequest("GET", "http://h").to_json()
    with pytest.raises(AttributeError):
        request.method = "POST"


APP = """
    @app.orchestration_trigger(context_name="context")
    def fetch(context):
        key = {"x-functions-key": "k"}
        response = yield context.call_http("POST", context.get_input(), content={"n": 1}, headers=key)
        return [response.status_code, response.content]
"""


def test_a_running_host_sends_polls_and_hides_its_activity(tmp_path):
    polls = []

    def answer_polls(asked: Asked) -> Reply:
        polls.append(asked)
        done = len(polls) == 3
        return Reply(200, b"ready") if done else Reply(202, b"", {"Location": "/status", "Retry-After": "0"})

    with WebServer(answer_polls) as server, HostProcess(write_app(tmp_path, APP)) as host:
        links = host.start_instance("/api/start/fetch/f1", f"{server.url}/jobs")
        status = host.completed(links)
        log = host.log()

    assert status["output"] == [200, "ready"]
    assert [(asked.method, asked.path, asked.body) for asked in polls] == [
        ("POST", "/jobs", '{"n": 1}'),
        ("GET", "/status", ""),
        ("GET", "/status", ""),
    ]
    assert ["x-functions-key" in asked.headers for asked in polls] == [True, False, False]
    assert ACTIVITY not in log
