"""``python -m perdure.testing.simulate``: repeat one seed byte for byte, or run many."""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import msgspec

from perdure.testing.simulation.hosts.run import HostsOutcome, run_hosts_seed
from perdure.testing.simulation.run import Outcome, memory_store, run_seed, sqlite_store

PROGRESS_EVERY_SECONDS = 2.0
_SUMS = (
    "commits",
    "answers",
    "unknown_answers",
    "activity_runs",
    "crashes",
    "stops",
    "store_errors",
    "late_turns",
    "stuck_turns",
    "recalls",
    "lost_results",
    "takeovers",
    "pauses",
    "cuts",
    "outages",
    "lost_answers",
    "offers",
    "claims",
    "claimed_turns",
    "handed_over",
    "repeated_activities",
)
"""Some are counted only on one store, or only where several processes share one."""


def run_on(storage: str, seed: int, hosts: int | None = None) -> Outcome | HostsOutcome:
    """Run one seed on ``memory`` or ``sqlite``, or of several hosts that share one store."""
    if storage == "shared":
        return run_hosts_seed(seed, hosts)
    if storage == "memory":
        return run_seed(seed, memory_store)
    with tempfile.TemporaryDirectory(prefix="perdure-simulation-") as folder:
        return run_seed(seed, sqlite_store(str(Path(folder) / "hub.db")))


class Totals:
    """What many runs came to."""

    def __init__(self) -> None:
        self.seeds = 0
        self.sums: Counter[str] = Counter()
        self.violations: list[Outcome | HostsOutcome] = []

    def add(self, outcome: Outcome | HostsOutcome) -> None:
        self.seeds += 1
        for name in _SUMS:
            self.sums[name] += getattr(outcome, name, 0)
        if outcome.violation is not None:
            self.violations.append(outcome)

    def __str__(self) -> str:
        sums = ", ".join(f"{name.replace('_', ' ')} {self.sums[name]:,}" for name in _SUMS if self.sums[name])
        return f"{self.seeds:,} seeds, {len(self.violations)} violations; {sums}"


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m perdure.testing.simulate", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, one after the other")
    parser.add_argument("--storage", choices=["memory", "sqlite", "shared"], default="memory")
    parser.add_argument("--hosts", type=int, help="how many hosts share the store at the beginning; else the seed says")
    given = parser.parse_args(arguments)
    totals = Totals()
    shown_at = time.monotonic()
    for seed in range(given.seed, given.seed + given.seeds):
        outcome = run_on(given.storage, seed, given.hosts)
        totals.add(outcome)
        if given.seeds == 1 or outcome.violation is not None:
            print(_picture(outcome), flush=True)
        if time.monotonic() - shown_at > PROGRESS_EVERY_SECONDS:
            shown_at = time.monotonic()
            print(f"\r{totals}", end="", file=sys.stderr, flush=True)
    if given.seeds > 1:
        print(f"\r{totals}")
    return 1 if totals.violations else 0


def _picture(outcome: Outcome | HostsOutcome) -> str:
    kinds = ", ".join(outcome.fault_kinds) or "none"
    verdict = "all promises held" if outcome.violation is None else f"BROKEN: {outcome.violation}"
    counts = [
        f"{value:,} {name.replace('_', ' ')}"
        for name, value in msgspec.structs.asdict(outcome).items()
        if isinstance(value, int) and name != "seed"
    ]
    return (
        f"seed {outcome.seed}: {verdict}\n"
        f"  trace {outcome.trace}, {', '.join(counts)}, {outcome.virtual_seconds:,.0f} virtual seconds\n"
        f"  faults: {kinds}"
    )


if __name__ == "__main__":
    sys.exit(main())
