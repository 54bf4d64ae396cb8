import pytest

from support.host_process import HostProcess


@pytest.fixture(scope="module")
def host(start_sample) -> HostProcess:
    return start_sample("v1_function_chaining")


def test_one_activity_after_the_other(host):
    links = host.start_instance("/api/orchestrators/FunctionChaining")

    assert host.completed(links)["output"] == [f"Hello Activity: {name}!" for name in ("One", "Two", "Three")]


def test_many_activities_at_once(host):
    links = host.start_instance("/api/orchestrators/FanOutFanIn", ["to be or", "not - to be", ""])

    assert host.completed(links)["output"] == 6


@pytest.mark.parametrize(("decision", "outcome"), [(True, "approved"), (False, "rejected")])
def test_a_person_decides(host, decision, outcome):
    links = host.start_instance("/api/orchestrators/ExternalEvents", {"what": "a bicycle"})

    answer = host.http.post(links["sendEventPostUri"].replace("{eventName}", "Approval"), json=decision)

    assert answer.status_code == 202
    assert host.completed(links)["output"] == outcome


def test_or_time_runs_out(host):
    links = host.start_instance("/api/orchestrators/ExternalEvents", {"what": "a car", "seconds": 0.2})

    assert host.completed(links)["output"] == "timed out"


def test_a_restart_loses_nothing_and_repeats_no_line(host):
    links = host.start_instance("/api/orchestrators/ExternalEvents", {"what": "a boat"})
    host.awaits_event(links)

    host.kill()
    host.start()

    host.http.post(links["sendEventPostUri"].replace("{eventName}", "Approval"), json=True)
    assert host.completed(links)["output"] == "approved"
    assert host.log().count("Please approve: a boat") == 1
