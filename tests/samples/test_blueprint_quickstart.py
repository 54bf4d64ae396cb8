import pytest

from support.host_process import HostProcess


@pytest.fixture(scope="module")
def host(start_sample) -> HostProcess:
    return start_sample("blueprint_quickstart")


def test_the_blueprints_functions(host):
    links = host.start_instance("/api/startOrchestrator")

    assert host.completed(links)["output"] == ["Hello Tokyo!", "Hello Seattle!", "Hello World!"]


def test_the_functions_of_the_packages_own_decorators(host):
    links = host.start_instance("/runtime/webhooks/durabletask/orchestrators/count_letters", ["one", "three"])

    assert host.completed(links)["output"] == {"one": 3, "three": 5}
