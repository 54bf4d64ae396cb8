import pytest

from support.host_process import HostProcess


@pytest.fixture(scope="module")
def host(start_sample) -> HostProcess:
    return start_sample("eternal")


def rounds_at_least(count):
    return lambda status: (status["customStatus"] or {}).get("rounds", 0) >= count


def test_it_goes_on_for_ever_with_a_history_that_does_not_grow(host):
    links = host.start_instance("/api/cleanups", {"interval_seconds": 0.02})

    early = host.wait_for(links, rounds_at_least(3), "three rounds")
    host.wait_for(links, rounds_at_least(20), "twenty rounds")
    # Between two executions there is no history to show.
    late = host.wait_for(
        {**links, "statusQueryGetUri": links["statusQueryGetUri"] + "&showHistory=true"},
        lambda status: "historyEvents" in status,
        "a history",
    )

    assert early["runtimeStatus"] == late["runtimeStatus"] == "Running"
    assert late["instanceId"] == links["id"]
    assert late["customStatus"]["removed"] == 2 * late["customStatus"]["rounds"]
    assert len(late["historyEvents"]) < 12
    assert sum(event["EventType"] == "ExecutionStarted" for event in late["historyEvents"]) == 1

    assert host.http.post(links["terminatePostUri"].replace("{text}", "enough")).status_code == 202
    status = host.finished(links)
    assert (status["runtimeStatus"], status["output"]) == ("Terminated", "enough")


def test_it_goes_on_where_it_was_after_kill_9(host):
    links = host.start_instance("/api/cleanups", {"interval_seconds": 0.02})
    before = host.wait_for(links, rounds_at_least(5), "five rounds")["customStatus"]["rounds"]

    host.kill()
    host.start()

    after = host.wait_for(links, rounds_at_least(before + 3), "more rounds")
    assert after["customStatus"]["removed"] == 2 * after["customStatus"]["rounds"]
    host.http.post(links["terminatePostUri"])
    host.finished(links)
