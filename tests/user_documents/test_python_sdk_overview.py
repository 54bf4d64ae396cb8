"""The overview of the Python SDK, block by block, through HTTP."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from support.host_process import HostProcess, wait_until

ORCHESTRATORS = "/runtime/webhooks/durabletask/orchestrators"


@pytest.fixture(scope="module")
def host(start_app) -> HostProcess:
    return start_app("python_sdk_overview")


@pytest.fixture(scope="module")
def retrying(host: HostProcess) -> dict[str, str]:
    """Started first and looked at last: its retry waits for five seconds."""
    return start(host, "retry_orchestrator")


def start(host: HostProcess, name: str, given: Any = None) -> dict[str, str]:
    return host.start_instance(f"{ORCHESTRATORS}/{name}", given)


def reaches(host: HostProcess, links: dict[str, str], status: str) -> dict[str, Any]:
    return host.wait_for(links, lambda newest: newest["runtimeStatus"] == status, status)


def fires_after(host: HostProcess, links: dict[str, str]) -> timedelta:
    """How long after its start the instance's only timer fires."""
    timers: list[str] = []

    def has_timer() -> bool:
        history = host.status(links, showHistory="true")["historyEvents"]
        timers[:] = [event["FireAt"] for event in history if event["EventType"] == "TimerCreated"]
        return bool(timers)

    wait_until(has_timer, "it has a timer", about=host.log)
    [fire_at] = timers
    return datetime.fromisoformat(fire_at) - datetime.fromisoformat(host.status(links)["createdTime"])


def test_the_retries_begin(retrying):
    assert retrying["id"]


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("my_orchestrator", None, 120),
        ("calls_the_activities", None, [{"number": 14}, "completed"]),
        ("parent_orchestrator", None, "child result"),
        ("entity_orchestrator", None, 5),
        ("fan_out_fan_in", [1, 2, 3], 14),
        ("fan_out_fan_in", [], 0),
    ],
)
def test_the_orchestrators(host, retrying, name, given, expected):
    assert host.completed(start(host, name, given))["output"] == expected


def test_a_failed_activity_is_caught(host):
    output = host.completed(start(host, "error_handling_orchestrator"))["output"]

    assert output["success"] is False
    assert "the risk came true" in output["error"]
    assert "logged: " + output["error"].splitlines()[0] in host.log()


@pytest.mark.parametrize(
    ("name", "hours", "given"),
    [("timer_orchestrator", 1, None), ("timer_with_cancellation", 24, None), ("eternal_orchestrator", 1, 3)],
)
def test_timers_of_hours(host, name, hours, given):
    after = fires_after(host, start(host, name, given))

    assert timedelta(hours=hours) <= after < timedelta(hours=hours, minutes=1)


def test_the_event_before_the_timer_cancels_it(host):
    links = start(host, "timer_with_cancellation")

    host.http.post(links["sendEventPostUri"].replace("{eventName}", "ApprovalEvent"), json=1)

    assert host.completed(links)["output"] == "Approved"


def test_the_approval_through_the_apps_own_function(host):
    links = start(host, "approval_workflow")

    answer = host.http.post(f"/api/approve/{links['id']}", json={"approver": "Kim"})

    assert (answer.status_code, answer.text) == (202, "Event raised")
    host.completed(links)
    assert "approved by Kim" in host.log()


def test_the_counter_of_a_plain_class_keeps_its_fields(host):
    counter = "/runtime/webhooks/durabletask/entities/counter_entity/mine"

    def kept() -> dict[str, int] | None:
        answer = host.http.get(counter)
        return answer.json()["__data__"] if answer.status_code == 200 else None

    host.http.post(f"{counter}?op=add", json=5)
    host.http.post(f"{counter}?op=add", json=2)
    wait_until(lambda: kept() == {"value": 7}, "7", about=host.log)

    host.http.post(f"{counter}?op=reset")

    wait_until(lambda: kept() == {"value": 0}, "0", about=host.log)


def test_the_client_functions(host):
    links = host.start_instance("/api/start")
    host.completed(links)
    answer = host.http.get("/api/status/my-custom-id")
    waiting = start(host, "approval_workflow")
    reaches(host, waiting, "Running")
    ended = host.http.get(f"/api/terminate/{waiting['id']}")

    assert links["id"] == "my-custom-id"
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json() == {"instanceId": "my-custom-id", "runtimeStatus": "Completed", "output": 120}
    assert (ended.status_code, ended.text) == (202, "Terminated")
    assert reaches(host, waiting, "Terminated")["output"] == "Terminated by user"


def test_the_retry_policy_waited_and_tried_again(host, retrying):
    status = host.completed(retrying)

    took = datetime.fromisoformat(status["lastUpdatedTime"]) - datetime.fromisoformat(status["createdTime"])
    assert status["output"] == "worked at last"
    assert timedelta(seconds=5) <= took < timedelta(seconds=15)
