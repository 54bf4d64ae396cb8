"""The reference of the Functions package, block by block, through HTTP."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from support.host_process import HostProcess, wait_until
from support.web_server import Asked, Reply, WebServer

ORCHESTRATORS = "/runtime/webhooks/durabletask/orchestrators"


@pytest.fixture(scope="module")
def host(start_app) -> HostProcess:
    return start_app("functions_reference")


@pytest.fixture
def echo_server() -> Iterator[WebServer]:
    def echo(asked: Asked) -> Reply:
        told = {"method": asked.method, "type": asked.headers.get("content-type")}
        return Reply(200, json.dumps(told).encode(), {"Content-Type": "application/json"})

    with WebServer(echo) as server:
        yield server


def start(host: HostProcess, name: str, given: Any = None) -> dict[str, str]:
    return host.start_instance(f"{ORCHESTRATORS}/{name}", given)


def output(host: HostProcess, name: str, given: Any = None) -> Any:
    return host.completed(start(host, name, given))["output"]


def ask(host: HostProcess, path: str, body: Any = None) -> Any:
    """POST to one of the client fragments, or GET without a body; gives its JSON."""
    answer = host.http.get(f"/api/client/{path}") if body is None else host.http.post(f"/api/client/{path}", json=body)
    assert answer.status_code == 200, f"{answer.status_code} {answer.text}\n{host.log()}"
    return answer.json()


def begin(host: HostProcess, instance_id: str, given: Any) -> dict[str, str]:
    return host.start_instance(f"/api/client/begin/{instance_id}", given)


def reaches(host: HostProcess, links: dict[str, str], status: str) -> dict[str, Any]:
    return host.wait_for(links, lambda newest: newest["runtimeStatus"] == status, status)


def raise_event(host: HostProcess, links: dict[str, str], name: str, value: Any) -> None:
    answer = host.http.post(links["sendEventPostUri"].replace("{eventName}", name), json=value)
    assert answer.status_code == 202, answer.text


def test_the_app_and_its_decorators(host):
    links = host.start_instance("/api/start")

    assert host.completed(links)["output"] == [{"seen": {"a": 1}}, 'did "what the orchestrator hands on"']


def test_an_empty_entity_takes_any_operation(host):
    answer = host.http.post("/runtime/webhooks/durabletask/entities/my_entity/one?op=anything", json=1)

    assert answer.status_code == 202


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("reads_its_input", {"a": [1, None]}, "{'a': [1, None]}"),
        ("calls_activities", [1], "did null"),
        ("retries_activities", [1], "did [1]"),
        ("waits_for_all", [3, 1, 2], [30, 10, 20]),
        ("waits_for_all", [], []),
        ("waits_for_any", 0.05, "too late"),
        ("begins_anew", 0, 4),
        ("calls_an_entity", None, 5),
    ],
)
def test_what_the_context_can_do(host, name, given, expected):
    assert output(host, name, given) == expected


def test_sub_orchestrations_with_and_without_an_id(host):
    links = start(host, "calls_sub_orchestrators", "x")

    assert host.completed(links)["output"] == ["sub-123", links["id"], False, "x"]


def test_a_sub_orchestration_with_retries(host):
    links = start(host, "retries_sub_orchestrators", "x")

    child, parent, replaying, given = host.completed(links)["output"]
    assert (parent, replaying, given) == (links["id"], False, "x")
    assert child not in ("sub-123", links["id"])


def test_a_timer_of_an_hour(host):
    links = start(host, "sleeps_an_hour")
    reaches(host, links, "Running")

    [began, timer] = [
        event
        for event in host.status(links, showHistory="true")["historyEvents"]
        if event["EventType"] in ("ExecutionStarted", "TimerCreated")
    ]
    fires_in = datetime.fromisoformat(timer["FireAt"]) - datetime.fromisoformat(began["Timestamp"])
    assert timedelta(hours=1) <= fires_in < timedelta(hours=1, minutes=1)


@pytest.mark.parametrize("name", ["EventName", "EVENTNAME"])
def test_an_event_by_any_case_of_its_name(host, name):
    links = start(host, "waits_for_an_event")

    raise_event(host, links, name, {"k": 1})

    assert host.completed(links)["output"] == {"k": 1}


def test_an_event_before_the_timer(host):
    links = start(host, "waits_for_any", 3600)

    raise_event(host, links, "ApprovalEvent", "in time")

    assert host.completed(links)["output"] == "in time"


def test_the_custom_status_is_seen(host):
    links = start(host, "shows_its_status")

    status = host.wait_for(links, lambda newest: newest["customStatus"] is not None, "a custom status")

    assert status["customStatus"] == {"progress": 50, "stage": "processing"}


def test_http_calls_with_headers_and_content(host, echo_server):
    assert output(host, "calls_http", echo_server.url) == [200, {"method": "POST", "type": "application/json"}]
    assert [asked.method for asked in echo_server.asked] == ["GET", "POST"]
    assert echo_server.asked[1].headers["content-type"] == "application/json"


def test_start_new_with_and_without_an_id(host):
    assert ask(host, "start", {"n": 1}) == "my-id"

    def ended() -> list[str]:
        return sorted((each["id"] for each in ask(host, "all") if each["output"] == {"n": 1}), key=len)

    wait_until(lambda: len(ended()) == 2, "both have ended", about=host.log)
    named, unnamed = ended()
    assert (named, len(unnamed)) == ("my-id", 32)


def test_the_status_has_every_field_of_the_table(host):
    host.completed(begin(host, "told", {"n": 2}))

    assert ask(host, "status/told") == {
        "id": "told",
        "name": "orchestrator_name",
        "status": "Completed",
        "input": {"n": 2},
        "output": {"n": 2},
        "custom_status": None,
        "created": True,
        "updated": True,
        "history": ["ExecutionStarted", "ExecutionCompleted"],
    }


def test_lists_by_time_and_status(host):
    reaches(host, begin(host, "listed", "wait"), "Running")
    host.completed(begin(host, "listed-done", 1))

    found = {each["id"]: each["status"] for each in ask(host, "by")}

    assert found["listed"] == "Running"
    assert "listed-done" not in found
    assert {"listed", "listed-done"} <= {each["id"] for each in ask(host, "all")}


def test_an_event_of_the_client(host):
    links = begin(host, "raised", "wait")

    assert ask(host, "raise/raised", {"k": 2}) == "raised"

    assert host.completed(links)["output"] == {"k": 2}


def test_terminate(host):
    links = begin(host, "ended", "wait")
    reaches(host, links, "Running")

    ask(host, "terminate/ended", {})

    assert reaches(host, links, "Terminated")["output"] == "Reason for termination"


def test_suspend_and_resume(host):
    links = begin(host, "paused", "wait")
    reaches(host, links, "Running")

    ask(host, "suspend/paused", {})
    reaches(host, links, "Suspended")
    ask(host, "raise/paused", "kept")
    assert host.status(links)["runtimeStatus"] == "Suspended"
    ask(host, "resume/paused", {})

    assert host.completed(links)["output"] == "kept"


def test_rewind(host):
    links = begin(host, "again", "fail")
    reaches(host, links, "Failed")
    failures = host.log().count("ValueError: there is no flag")

    ask(host, "rewind/again", {})

    # What was wrong is still wrong: it runs again and fails again.
    wait_until(lambda: host.log().count("ValueError: there is no flag") > failures, "it failed again", about=host.log)
    reaches(host, links, "Failed")


def test_purge_one(host):
    host.completed(begin(host, "gone", 1))

    ask(host, "purge/gone", {})

    assert host.http.get("/runtime/webhooks/durabletask/instances/gone").status_code == 404


def test_purge_many(host):
    host.completed(begin(host, "gone-too", 1))
    reaches(host, begin(host, "kept", "wait"), "Running")

    assert ask(host, "purge", {}) >= 1

    left = {each["id"]: each["status"] for each in ask(host, "all")}
    assert left["kept"] == "Running"
    assert "Completed" not in left.values()


def test_the_management_links(host):
    begin(host, "linked", "wait")

    payload = ask(host, "payload/linked")

    assert payload["id"] == "linked"
    assert {"statusQueryGetUri", "sendEventPostUri", "terminatePostUri", "purgeHistoryDeleteUri"} <= set(payload)
    assert host.http.get(payload["statusQueryGetUri"]).json()["instanceId"] == "linked"


def test_wait_for_completion_with_a_timedelta(host):
    answer = host.http.post("/api/client/wait/quick", json={"n": 3})

    assert (answer.status_code, answer.json()) == (200, {"n": 3})


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("first", ["first", "@entityname@entityKey", True, 1, "a"]),
        ("tell", ["tell", "@entityname@entityKey", True, 2, "a"]),
    ],
)
def test_what_the_entity_context_can_do(host, operation, expected):
    assert output(host, "asks_entity_name", [operation, "a"]) == expected
    if operation == "tell":
        other = "/runtime/webhooks/durabletask/entities/OtherEntity/key"
        wait_until(lambda: host.http.get(other).text == '"a"', "the signal arrived")


@pytest.mark.parametrize(("approved", "outcome"), [(True, "Approved"), (False, "Rejected")])
def test_the_approval_workflow(host, approved, outcome):
    links = start(host, "approval_workflow", {"amount": 10})

    raise_event(host, links, "ApprovalReceived", {"approved": approved})

    assert host.completed(links)["output"] == outcome


def test_parallel_processing(host):
    assert output(host, "parallel_processor", [1, 2, 3, 4]) == 30


def test_the_monitor_pattern(host):
    # 0.001 minutes between checks: the third finds the condition met; an hour of nothing is not waited for.
    config = {"checks": 3, "polling_interval": 0.001}
    assert output(host, "monitor_workflow", config) == "Condition met"
    assert output(host, "monitor_workflow", {"checks": 9, "duration_hours": 0}) == "Expired"
