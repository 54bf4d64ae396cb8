import pytest

from support.host_process import HostProcess, wait_until

ENTITIES = "/runtime/webhooks/durabletask/entities"


@pytest.fixture(scope="module")
def host(start_sample) -> HostProcess:
    return start_sample("counter_entity")


def value_of(host: HostProcess, key: str, add: int = 0) -> int:
    answer = host.http.get(f"/api/counters/{key}", params={"add": add})
    assert answer.status_code == 200, answer.text
    return int(answer.json())


def test_signals_from_outside_and_calls_from_an_orchestration_meet_in_one_counter(host):
    for _ in range(10):
        assert host.http.post("/api/counters/visits/add", json=5).status_code == 202

    assert value_of(host, "visits") == 50
    assert value_of(host, "visits", add=2) == 52


def test_counters_are_apart_and_can_be_reset(host):
    host.http.post("/api/counters/a/add", json=1)
    host.http.post("/api/counters/b/add", json=2)
    host.http.post("/api/counters/b/reset")

    assert (value_of(host, "a"), value_of(host, "b")) == (1, 0)


def test_the_management_api_signals_and_shows_the_entity(host):
    assert host.http.post(f"{ENTITIES}/counter_entity/shown", params={"op": "add"}, json=7).status_code == 202

    wait_until(
        lambda: host.http.get(f"{ENTITIES}/counter_entity/shown").status_code == 200,
        "the entity exists",
        about=host.log,
    )
    state = host.http.get(f"{ENTITIES}/counter_entity/shown").json()
    assert state["__data__"] == {"value": 7}
    assert host.http.get(f"{ENTITIES}/counter_entity/never").status_code == 404


def test_a_counter_survives_kill_9(host):
    for _ in range(20):
        host.http.post("/api/counters/kept/add", json=1)

    host.kill()
    host.start()

    assert value_of(host, "kept") == 20
