"""The samples written for the 1.x generation, on our SDK and on the official one: the same outputs and histories."""

import json
from typing import Any

import pytest

from support.both_sdks import masked, shown
from support.host_process import REPOSITORY, TERMINAL, HostProcess

SAMPLES: dict[str, list[tuple[str, Any]]] = {
    "hello_cities": [("orchestrators/hello_orchestrator", None)],
    "hello_cities_v1": [("orchestrators/HelloOrchestrator", None)],
    "unit_testing": [("baskets/b1", ["tea", "cake"]), ("baskets/b2", ["x" * 101])],
    "fan_out_fan_in": [("totals", [{"quantity": n, "unit_price": 3} for n in range(4)])],
    "sub_orchestrations": [("rollouts", ["north", "atlantis"])],
    "monitor": [
        ("monitors", {"job": "backup", "interval_seconds": 0.05, "duration_seconds": 60}),
        ("monitors", {"job": "endless", "interval_seconds": 0.2, "duration_seconds": 0.1}),
    ],
    "retries_and_errors": [
        ("bookings", {"id": "t1", "seat_failures": 2}),
        ("bookings", {"id": "t2", "hotel": "full"}),
    ],
    "approval": [("expenses", {"purpose": "car", "amount": 400, "wait_seconds": 0.1})],
    "eternal": [("cleanups", {"interval_seconds": 0.02})],
    "v1_function_chaining": [
        ("orchestrators/FunctionChaining", None),
        ("orchestrators/FanOutFanIn", ["to be or", "not"]),
        ("orchestrators/ExternalEvents", {"what": "a car", "seconds": 0.1}),
        ("orchestrators/DurableActivity", None),
    ],
    "cpu_bound_fan_out": [("languages", ["Where is the railway station, please?"]), ("languages", ["..."])],
}
NOT_THERE = {"native_functions", "counter_entity", "http_polling", "blueprint_quickstart"}
"""What the official package has not: two-argument functions, ``EntityContext``, 202 followed up, its own decorators."""


@pytest.mark.slow
def test_every_sample_of_the_1x_generation_is_compared():
    found = {folder.name for folder in (REPOSITORY / "samples").iterdir() if (folder / "host.json").exists()}
    assert found - NOT_THERE == set(SAMPLES)


def test_the_first_sample_runs_on_both(start_both):
    compare(start_both, "hello_cities")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SAMPLES if name != "hello_cities"])
def test_a_sample_runs_on_both(start_both, name):
    compare(start_both, name)


def compare(start_both: Any, name: str) -> None:
    both = start_both(REPOSITORY / "samples" / name)

    def play(host: HostProcess) -> list[Any]:
        seen: list[Any] = []
        for path, input in SAMPLES[name]:
            answer = host.http.post(f"/api/{path}", **({} if input is None else {"json": input}))
            if answer.status_code != 202:
                seen.append(answer.status_code)
                continue
            links = answer.json()
            if name == "eternal":
                host.wait_for(links, lambda status: (status["customStatus"] or {}).get("rounds", 0) > 3, "some rounds")
                host.http.post(links["terminatePostUri"].replace("{text}", "enough"))
                seen.append([host.finished(links)["runtimeStatus"]])
                continue
            host.wait_for(links, lambda status: status["runtimeStatus"] in TERMINAL, "it has ended")
            status = shown(host, links)
            status["historyEvents"].sort(key=lambda event: json.dumps(masked(event), sort_keys=True))
            seen.append(status)
        return seen

    assert both.compare(play)
