"""What the samples are asked for under faults, and what must come of it whatever happens meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

CITIES_V1 = ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]
TEXTS = {
    "Where is the railway station, please?": "en",
    "Wo ist bitte der nächste Bahnhof?": "de",
    "Où se trouve la gare, s'il vous plaît ?": "fr",
}
COUNTERS = 3
SHELF = 100_000


@dataclass(frozen=True)
class Play:
    """One orchestration of a sample, started by number."""

    sample: str
    orchestrator: str
    ask: Callable[[int], Any]
    right: Callable[[int, Any], bool]
    event: tuple[str, Callable[[int], Any]] | None = None
    """A name and its content by number; the instances that get it are those for which ``waits`` says so."""
    waits: Callable[[int], bool] = lambda number: True
    signal: tuple[str, str, Any] | None = None
    """Sent once before: entity (name and key), operation, content."""


def orders(number: int) -> list[dict[str, int]]:
    return [{"quantity": quantity, "unit_price": number} for quantity in range(number % 12)]


def seat_right(number: int, output: Any) -> bool:
    """Which attempt it was is counted in the memory of whichever host it was."""
    if number % 3 == 0:
        return not output["booked"] and output["reason"].startswith("Activity function 'book_room' failed:")
    return bool(output["booked"]) and output["seat"].startswith("seat 12A at attempt") and output["room"] == "room 7"


def rollout_right(number: int, output: Any) -> bool:
    return (
        output["north"] == "north-machine ready"
        and output[f"r{number}"] == f"r{number}-machine ready"
        and output["atlantis"].startswith("failed: Orchestrator function 'set_up_region' failed:")
    )


def approval_outcome(number: int) -> str:
    return ("train: escalated", f"train: {number} paid", "train: rejected")[number % 3]


PLAYS = [
    Play(
        "hello_cities", "hello_orchestrator", lambda n: None,
        lambda n, output: output == ["Hello Seattle", "Hello Tokyo", "Hello London"],
    ),
    Play("hello_cities_v1", "HelloOrchestrator", lambda n: None, lambda n, output: output == CITIES_V1),
    Play(
        "blueprint_quickstart", "count_letters", lambda n: ["one", "x" * (n % 20 + 4)],
        lambda n, output: output == {"one": 3, "x" * (n % 20 + 4): n % 20 + 4},
    ),
    Play(
        "fan_out_fan_in", "totals", orders,
        lambda n, output: output == {"orders": n % 12, "total": n * sum(range(n % 12))},
    ),
    Play("sub_orchestrations", "roll_out", lambda n: ["north", f"r{n}", "atlantis"], rollout_right),
    Play(
        "retries_and_errors", "book_trip",
        lambda n: {"id": f"t{n}", "seat_failures": n % 2, "hotel": "full" if n % 3 == 0 else "free"}, seat_right,
    ),
    Play(
        "monitor", "monitor", lambda n: {"job": f"j{n}", "interval_seconds": 0.2, "duration_seconds": 3600},
        lambda n, output: output == f"j{n} done after 3 checks",
    ),
    Play(
        "approval", "approval_workflow",
        lambda n: {"purpose": "train", "amount": n, "wait_seconds": 1 if n % 3 == 0 else 3600},
        lambda n, output: output == approval_outcome(n),
        event=("ApprovalReceived", lambda n: {"approved": n % 3 == 1}),
        waits=lambda n: n % 3 != 0,
    ),
    Play(
        "v1_function_chaining", "ExternalEvents", lambda n: {"what": f"{n}", "seconds": 3600},
        lambda n, output: output == ("approved" if n % 2 else "rejected"),
        event=("Approval", lambda n: n % 2 == 1),
    ),
    Play("cpu_bound_fan_out", "FanOut", lambda n: list(TEXTS), lambda n, output: output == TEXTS),
    Play(
        "counter_entity", "add_and_read", lambda n: {"key": f"k{n % COUNTERS}", "amount": 1},
        lambda n, output: output >= 1,
    ),
    Play(
        "native_functions", "buy", lambda n: {"item": "apple", "quantity": 1},
        lambda n, output: output["order"] == {"item": "apple", "quantity": 1, "price": 50},
        signal=("Shelf/apple", "fill", SHELF),
    ),
]  # fmt: skip
"""Not here: http_polling, whose outside service lives in the host that is killed; eternal, which never ends."""
