import pytest

from support.host_process import HostProcess


@pytest.fixture(scope="module")
def host(start_sample) -> HostProcess:
    return start_sample("approval")


@pytest.mark.parametrize(("approved", "outcome"), [(True, "train: 80 paid"), (False, "train: rejected")])
def test_the_decision_ends_the_waiting(host, approved, outcome):
    links = host.start_instance("/api/expenses", {"purpose": "train", "amount": 80})

    answer = host.http.post(f"/api/expenses/{links['id']}/decision", json={"approved": approved})

    assert answer.status_code == 202
    assert host.completed(links)["output"] == outcome


def test_the_management_api_raises_the_same_event_by_another_case_of_its_name(host):
    links = host.start_instance("/api/expenses", {"purpose": "hotel", "amount": 120})

    answer = host.http.post(
        links["sendEventPostUri"].replace("{eventName}", "approvalreceived"), json={"approved": True}
    )

    assert (answer.status_code, answer.content) == (202, b"")
    assert host.completed(links)["output"] == "hotel: 120 paid"


def test_without_a_decision_the_deadline_escalates(host):
    links = host.start_instance("/api/expenses", {"purpose": "car", "amount": 400, "wait_seconds": 0.2})

    assert host.completed(links)["output"] == "car: escalated"


def test_a_decision_after_the_end_is_gone(host):
    links = host.start_instance("/api/expenses", {"purpose": "bus", "amount": 3, "wait_seconds": 0})
    host.completed(links)

    answer = host.http.post(links["sendEventPostUri"].replace("{eventName}", "ApprovalReceived"), json={})

    assert answer.status_code == 410


def test_a_waiting_instance_survives_kill_9(host):
    links = host.start_instance("/api/expenses", {"purpose": "boat", "amount": 9})
    host.wait_for(links, lambda status: status["runtimeStatus"] == "Running", "it runs")

    host.kill()
    host.start()

    assert host.status(links)["runtimeStatus"] == "Running"
    host.http.post(f"/api/expenses/{links['id']}/decision", json={"approved": True})
    assert host.completed(links)["output"] == "boat: 9 paid"
