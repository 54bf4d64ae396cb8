"""``make load``: the highest sustained rate of the chain, half of it for a minute, then the other workloads."""

from pathlib import Path

from benchmarks.load.arithmetic import is_sustained
from benchmarks.load.hosts import LoadedHost, StoreKind, running_host
from benchmarks.load.runs import Run, run_order
from benchmarks.load.workloads import Order

WARM_UP_SECONDS = 10.0
SEARCH_SECONDS = 8.0
FRACTIONS = (1.2, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
"""Of what the host answers when asked without pause: where the search looks, highest first."""
TIMERS, WAITING, SIGNALS = 10_000, 10_000, 1_000
CARRY_SHARE = 0.1
"""100 KB payloads at this share of the chain's rate: they are bound by the disk."""


def measure_load(folder: Path, *, seconds: float, rounds: int, only_chain: bool, kind: StoreKind) -> list[Run]:
    """All runs, each on a fresh host. Raises HostFailed."""
    search, highest = _highest_rate(folder / "search", kind)
    runs = list(search)
    half = highest / 2
    warm_up = min(WARM_UP_SECONDS, seconds / 3)
    for round_ in range(1, rounds + 1):
        paced = [("chain of 3", Order("chain", 0, "", rate=half, seconds=seconds, warm_up=warm_up))]
        if not only_chain:
            paced += [
                (f"fan-out of {size:,}", Order("fan_out", 0, "", rate=half * 3 / size, seconds=seconds,
                                              warm_up=warm_up, size=size))
                for size in (10, 100, 1000)
            ]  # fmt: skip
            carried = Order("carry", 0, "", rate=half * CARRY_SHARE, seconds=seconds, warm_up=warm_up)
            paced += [
                ("payload of 100 KB", carried),
                (f"{TIMERS:,} timers due together", Order("timers", 0, "", count=TIMERS)),
                (f"{SIGNALS:,} signals to one entity", Order("signals", 0, "", count=SIGNALS)),
                (f"{WAITING:,} waiting, an event each", Order("events", 0, "", count=WAITING)),
            ]
        for number, (title, order) in enumerate(paced):
            place = folder / f"{round_}-{number}"
            place.mkdir(parents=True)
            with running_host(place, kind=kind) as host:
                run = run_order(host, _addressed(order, host, f"r{round_}-"))
            runs.append({**run, "title": title, "round": round_, "is_gate": order.workload == "chain"})
            print(f"round {round_}  {title:28} start p99 {run['start_p99_ms']:8.1f} ms", flush=True)
    return runs


def _highest_rate(folder: Path, kind: StoreKind) -> tuple[list[Run], float]:
    folder.mkdir(parents=True)
    with running_host(folder, kind=kind) as host:
        run_order(host, Order("closed", host.port, "warm-", seconds=2))
        ceiling = run_order(host, Order("closed", host.port, "ceiling-", seconds=SEARCH_SECONDS))
        asked = float(ceiling["completed_per_s"])
        looked: list[Run] = [{**ceiling, "title": "64 callers without pause", "round": 1, "is_gate": False}]
        for fraction in FRACTIONS:
            rate = asked * fraction
            run = run_order(host, Order("chain", host.port, f"s{fraction}-", rate=rate, seconds=SEARCH_SECONDS))
            looked.append({**run, "title": f"search at {rate:.0f}/s", "round": 1, "is_gate": False})
            print(f"search  {rate:6.0f}/s  start p99 {run['start_p99_ms']:8.1f} ms", flush=True)
            if is_sustained(
                start_p99_ms=run["start"]["p99"],
                completion_p99_ms=run["completion"]["p99"],
                errors=run["errors"],
                lost=run["lost"],
            ):
                return looked, rate
    return looked, asked * FRACTIONS[-1]


def _addressed(order: Order, host: LoadedHost, prefix: str) -> Order:
    return Order(
        order.workload,
        host.port,
        prefix,
        rate=order.rate,
        seconds=order.seconds,
        warm_up=order.warm_up,
        count=order.count,
        size=order.size,
    )
