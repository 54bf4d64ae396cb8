"""What the samples are asked for under faults, and what must come of it whatever happens meanwhile."""

from collections import Counter
from collections.abc import Callable, Mapping
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
    left: Callable[[Mapping[int, Any], Callable[[str], Any]], None] = lambda outputs, state: None
    """Asserts what all have left behind together: outputs by number, and the state of an entity by name and key."""
    ends_as: str = "Completed"


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


def counters_left(outputs: Mapping[int, Any], state: Callable[[str], Any]) -> None:
    """Each call has counted once."""
    for key, count in Counter(number % COUNTERS for number in outputs).items():
        assert state(f"counter_entity/k{key}")["__data__"] == {"value": count}


def shelf_left(outputs: Mapping[int, Any], state: Callable[[str], Any]) -> None:
    """Each order took one apple, and saw how many were left then."""
    lefts = sorted((output["left"] for output in outputs.values()), reverse=True)
    assert lefts == [SHELF - 1 - n for n in range(len(lefts))]


def money(number: int) -> int:
    return number % 3 + 1


def money_left(outputs: Mapping[int, Any], state: Callable[[str], Any]) -> None:
    """What one account lost the other has."""
    moved = sum(money(number) for number in outputs)
    assert (state("account/savings"), state("account/wallet") or 0) == (SHELF - moved, moved)


def pictures(number: int) -> list[str]:
    return [f"cat{number}.png", f"dog{number}.png", f"missing{number}.png"]


def thumbnails_right(number: int, output: Any) -> bool:
    """Attempts are counted in the memory of whichever worker it was, so a picture may run out of them."""
    cat, dog, missing = pictures(number)
    lacking = {*output["missing"]}
    size = sum(100 * len(picture) for picture in (cat, dog) if picture not in lacking)
    return missing in lacking and (output["shrunk"], output["bytes"]) == (3 - len(lacking), size)


def rendering(jobs_url: str) -> Play:
    """The outside service is another host of the sample, which nobody kills."""
    return Play(
        "http_polling", "render", lambda n: {"scene": f"scene{n}", "jobs_url": jobs_url},
        lambda n, output: output == f"scene{n}.png",
    )  # fmt: skip


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
        lambda n, output: output >= 1, left=counters_left,
    ),
    Play(
        "native_functions", "buy", lambda n: {"item": "apple", "quantity": 1},
        lambda n, output: output["order"] == {"item": "apple", "quantity": 1, "price": 50},
        signal=("Shelf/apple", "fill", SHELF), left=shelf_left,
    ),
]  # fmt: skip

ENDLESS = Play(
    "eternal", "periodic_cleanup", lambda n: {"interval_seconds": 3}, lambda n, output: output == "enough",
    ends_as="Terminated",
)  # fmt: skip
"""Each goes on until it is terminated."""

PORTABLE = [
    Play(
        "portable_order", "process_order", lambda n: {"id": f"{n}", "items": ["one"] * (n % 2)},
        lambda n, output: output == ({"success": True, "payment_id": f"payment-{n}"} if n % 2 else
                                     {"success": False, "reason": "Invalid order"}),
    ),
    Play("portable_thumbnails", "shrink_all", pictures, thumbnails_right),
    Play(
        "portable_accounts", "move_money", money, lambda n, output: output == "moved",
        signal=("account/savings", "add", SHELF), left=money_left,
    ),
]  # fmt: skip
"""Their functions run in workers, and servers are killed."""
