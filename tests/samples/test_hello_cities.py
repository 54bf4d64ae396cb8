import re

import pytest

from support.host_process import HostProcess

UTC_SECOND = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@pytest.fixture(scope="module")
def host(start_sample) -> HostProcess:
    return start_sample("hello_cities")


def test_the_quickstart_answers_as_the_documentation_shows(host):
    links = host.start_instance("/api/orchestrators/hello_orchestrator")
    status = host.completed(links)

    assert re.fullmatch("[0-9a-f]{32}", links["id"])
    assert UTC_SECOND.fullmatch(status["createdTime"])
    assert UTC_SECOND.fullmatch(status["lastUpdatedTime"])
    assert list(status.items()) == [
        ("name", "hello_orchestrator"),
        ("instanceId", links["id"]),
        ("runtimeStatus", "Completed"),
        ("input", None),
        ("customStatus", None),
        ("output", ["Hello Seattle", "Hello Tokyo", "Hello London"]),
        ("createdTime", status["createdTime"]),
        ("lastUpdatedTime", status["lastUpdatedTime"]),
    ]


def test_the_starter_also_answers_to_get_and_its_links_lead_back_to_this_host(host):
    answer = host.http.get("/api/orchestrators/hello_orchestrator")

    assert answer.status_code == 202
    assert answer.headers["Retry-After"] == "10"
    links = answer.json()
    assert {name for name, link in links.items() if not link.startswith(host.url)} == {"id"}
    host.completed(links)


def test_the_history_tells_each_step_once(host):
    links = host.start_instance("/api/orchestrators/hello_orchestrator")
    host.completed(links)

    status = host.status(links, showHistory="true", showHistoryOutput="true")

    steps = [event for event in status["historyEvents"] if event["EventType"] == "TaskCompleted"]
    assert [step["FunctionName"] for step in steps] == ["hello"] * 3
    assert [step["Result"] for step in steps] == ["Hello Seattle", "Hello Tokyo", "Hello London"]


def test_an_unknown_orchestrator_is_refused_with_the_known_names(host):
    answer = host.http.post("/runtime/webhooks/durabletask/orchestrators/helo_orchestrator")

    assert answer.status_code == 400
    assert "hello_orchestrator" in answer.json()["ExceptionMessage"]


def test_the_start_lists_the_functions_with_their_urls_and_names_the_sdk(host):
    log = host.log()

    assert f"http://localhost:{host.port}/api/orchestrators/{{functionName}}" in log
    assert "hello_orchestrator: orchestrationTrigger" in log
    assert "hello: activityTrigger" in log
    assert re.search(r"SDK: perdure \S+ serves azure\.durable_functions", log)


def test_the_store_lies_under_the_app_and_keeps_itself_out_of_git(host):
    assert (host.app / ".perdure" / "hub.db").is_file()
    assert (host.app / ".perdure" / ".gitignore").read_text().strip() == "*"
