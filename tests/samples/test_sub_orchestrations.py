import pytest

from support.host_process import HostProcess


@pytest.fixture(scope="module")
def host(start_sample) -> HostProcess:
    return start_sample("sub_orchestrations")


def test_each_region_is_a_child_and_one_that_fails_does_not_stop_the_others(host):
    links = host.start_instance("/api/rollouts", ["north", "south", "atlantis"])
    status = host.completed(links)

    assert status["output"]["north"] == "north-machine ready"
    assert status["output"]["south"] == "south-machine ready"
    assert status["output"]["atlantis"].startswith("failed: Orchestrator function 'set_up_region' failed:")

    children = host.http.get("/runtime/webhooks/durabletask/instances", params={"instanceIdPrefix": links["id"] + ":"})
    assert sorted(child["runtimeStatus"] for child in children.json()) == ["Completed", "Completed", "Failed"]
