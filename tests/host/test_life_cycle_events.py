"""Life-cycle events of orchestrations, as a web hook gets them (host.json ``notifications.eventGrid``)."""

import json
from pathlib import Path

from support.host_apps import HEAD, run_perdure, write_app
from support.host_process import HostProcess, checkout_environment, wait_until
from support.web_server import Asked, Reply, WebServer

SOURCE = """
@app.orchestration_trigger(context_name="context")
def quick(context):
    return "done"
    yield

@app.orchestration_trigger(context_name="context")
def failing(context):
    raise ValueError("always")
    yield

@app.orchestration_trigger(context_name="context")
def waiting(context):
    yield context.wait_for_external_event("go")
"""


def settings(**grid: object) -> str:
    notifications = {"eventGrid": grid}
    return json.dumps(
        {"version": "2.0", "extensions": {"durableTask": {"hubName": "Shop", "notifications": notifications}}}
    )


def test_events_are_posted_in_order_and_tried_again(tmp_path: Path):
    def answer(asked: Asked) -> Reply:
        return Reply(503 if len(hook.asked) == 1 else 200)

    with WebServer(answer) as hook:
        grid = {
            "topicEndpoint": "%HOOK%", "keySettingName": "HOOK_KEY", "publishRetryCount": 2,
            "publishRetryInterval": "00:00:00",
        }  # fmt: skip
        app = write_app(tmp_path / "app", SOURCE, head=HEAD, host_json=settings(**grid))
        environment = {**checkout_environment(), "HOOK": hook.url, "HOOK_KEY": "the key"}
        with HostProcess(app, environment=environment) as host:
            host.finished(host.start_instance("/api/start/quick/a"))
            host.finished(host.start_instance("/api/start/failing/b"))
            links = host.start_instance("/api/start/waiting/c")
            host.wait_for(links, lambda status: status["runtimeStatus"] == "Running", "it runs")
            host.http.post(links["terminatePostUri"].replace("{text}", "enough"))
            host.finished(links)
            wait_until(lambda: len(hook.asked) == 7, "all events have come", about=host.log)
        posted = [json.loads(asked.body)[0] for asked in hook.asked]
        assert posted[0] == posted[1], "the first one was refused and came again"
        assert {asked.headers["aeg-sas-key"] for asked in hook.asked} == {"the key"}
        assert [(each["data"]["InstanceId"], each["subject"], each["data"]["EventType"]) for each in posted[1:]] == [
            ("a", "durable/orchestrator/Running", 0), ("a", "durable/orchestrator/Completed", 1),
            ("b", "durable/orchestrator/Running", 0), ("b", "durable/orchestrator/Failed", 2),
            ("c", "durable/orchestrator/Running", 0), ("c", "durable/orchestrator/Terminated", 3),
        ]  # fmt: skip
        assert posted[1]["data"]["HubName"] == "Shop"
        assert posted[4]["data"]["FunctionName"] == "failing"
        assert "always" in posted[4]["data"]["Reason"]
        assert posted[6]["data"]["Reason"] == "enough"


def test_only_the_statuses_named_are_tried_again(tmp_path: Path):
    statuses = iter([503, 429, 200, 500, 200])
    with WebServer(lambda asked: Reply(next(statuses))) as hook:
        grid = {
            "topicEndpoint": hook.url, "publishRetryCount": 5, "publishRetryInterval": "00:00:00",
            "publishRetryHttpStatus": [429, 503], "publishEventTypes": ["Completed"],
        }  # fmt: skip
        app = write_app(tmp_path / "app", SOURCE, head=HEAD, host_json=settings(**grid))
        with HostProcess(app) as host:
            for name in ("a", "b", "c"):
                host.finished(host.start_instance(f"/api/start/quick/{name}"))
            wait_until(lambda: len(hook.asked) == 5, "all events have come", about=host.log)
            assert "The event of instance 'b' was not published: HTTP 500" in host.log()
        named = [json.loads(asked.body)[0]["data"]["InstanceId"] for asked in hook.asked]
        assert named == ["a", "a", "a", "b", "c"]


def test_a_key_that_is_not_there_stops_the_start(tmp_path: Path):
    grid = {"topicEndpoint": "https://hook.example", "keySettingName": "NOWHERE"}
    app = write_app(tmp_path / "app", SOURCE, head=HEAD, host_json=settings(**grid))
    ended = run_perdure("start", app, "--store", "memory:")
    assert ended.code == 1
    assert "'NOWHERE'" in ended.err
