import pytest

from support.host_process import HostProcess, wait_until


@pytest.fixture(scope="module")
def host(start_sample) -> HostProcess:
    return start_sample("native_functions")


def fill(host: HostProcess, item: str, quantity: int) -> None:
    assert host.http.put(f"/api/shelves/{item}", json=quantity).status_code == 202
    wait_until(lambda: host.http.get(f"/api/shelves/{item}").text == str(quantity), "the shelf is filled")


def test_an_order_takes_from_the_shelf_and_is_priced(host):
    fill(host, "apple", 5)

    links = host.start_instance("/api/orders/order-1", {"item": "apple", "quantity": 2})

    assert links["id"] == "order-1"
    assert host.completed(links)["output"] == {
        "order": {"item": "apple", "quantity": 2, "price": 100},
        "left": 3,
        "code": "APPLE FOR ORDER-1",
    }
    assert host.http.get("/api/shelves/apple").text == "3"


def test_a_refused_operation_reaches_the_orchestrator_and_frees_the_shelf(host):
    fill(host, "pear", 1)

    refused = host.completed(host.start_instance("/api/orders/order-2", {"item": "pear", "quantity": 2}))
    sold = host.completed(host.start_instance("/api/orders/order-3", {"item": "pear", "quantity": 1}))

    assert refused["output"] == {"refused": "only 1 left", "by": "ValueError"}
    assert sold["output"]["left"] == 0


def test_a_schedule_runs_until_it_is_deleted(host):
    assert host.http.post("/api/sweeps/1").text == "Active"
    wait_until(lambda: "sweeps-" in host.http.get("/runtime/webhooks/durabletask/instances").text, "a sweep ran")

    assert int(host.http.delete("/api/sweeps").text) >= 1
    entity = host.http.get("/runtime/webhooks/durabletask/entities/schedule/sweeps")
    assert entity.status_code == 404
