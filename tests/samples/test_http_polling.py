import pytest

from support.host_process import HostProcess


@pytest.fixture(scope="module")
def host(start_sample) -> HostProcess:
    return start_sample("http_polling")


def test_the_call_waits_for_the_final_answer(host):
    links = host.start_instance("/api/renderings", {"scene": "beach"})

    assert host.completed(links)["output"] == "beach.png"
    history = host.status(links, showHistory="true")["historyEvents"]
    kinds = [event["EventType"] for event in history]
    assert kinds.count("TaskCompleted") >= 2
    assert kinds.count("TimerFired") == kinds.count("TaskCompleted") - 1


def test_another_answer_is_the_final_one(host):
    links = host.start_instance("/api/renderings", {"scene": ""})

    assert host.completed(links)["output"] == "the service answered 422"
