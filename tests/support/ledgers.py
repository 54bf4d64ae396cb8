"""What activities wrote down outside their hub, and which fault explains that one of them ran again."""

import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

BEFORE_COMMIT_SECONDS = 3.0
"""So long after its end an activity's result may be without a row, on a machine with much else to do."""


EXCUSE_NOTHING = {"stop", "move", "server stopped"}
"""Whoever stops, or gives a partition to another, lets what runs there end: nothing runs again for it."""


@dataclass(frozen=True)
class Fault:
    """What was done, from when to when (monotonic clock), to the processes of these ids; None: to all."""

    what: str
    begun: float
    ended: float
    pids: frozenset[int] | None = None


@dataclass(frozen=True)
class Run:
    """One run of an activity, by the ledger."""

    pid: int
    begun: float
    done: float | None


def lost_leases(log: str) -> list[Fault]:
    """What a host says of leases that it could not renew in time, as when the machine had too much else to do."""
    now, monotonic = datetime.now(UTC), time.monotonic()
    times = re.findall(r"^\[(\S+)] The lease could not be renewed in time", log, re.M)
    moments = [monotonic - (now - datetime.fromisoformat(text)).total_seconds() for text in times]
    return [Fault("lost lease", moment, moment) for moment in moments]


def read_ledger(text: str) -> dict[str, list[Run]]:
    """Key → its runs in order of their beginnings."""
    runs: dict[str, list[Run]] = defaultdict(list)
    open_: dict[tuple[str, int], int] = {}
    for line in text.splitlines():
        what, key, pid, at = line.split()
        if what == "begun":
            open_[key, int(pid)] = len(runs[key])
            runs[key].append(Run(int(pid), float(at), None))
        else:
            index = open_.pop((key, int(pid)))
            runs[key][index] = Run(int(pid), runs[key][index].begun, float(at))
    return runs


def repeats(
    runs: Mapping[str, Sequence[Run]], keys: Iterable[str], faults: Sequence[Fault], *, lease_seconds: float
) -> Counter[str]:
    """Each of these has run to its end, and again only next to a fault; gives how often next to which."""
    found = Counter[str]()
    alone: list[Any] = []
    for key in keys:
        assert any(run.done is not None for run in runs.get(key, ())), f"{key} never ran"
        for first, second in zip(runs[key], runs[key][1:], strict=False):
            fault = _fault_between(first, second, faults, lease_seconds)
            if fault is None:
                alone.append((key, first, second))
            else:
                found[fault.what] += 1
    assert not alone, f"repeated far from any fault: {alone[:5]}\n{faults}"
    return found


def _fault_between(first: Run, second: Run, faults: Sequence[Fault], lease_seconds: float) -> Fault | None:
    """That which explains why an activity ran again. Faults of processes explain only what these ran.

    Who slept or was cut off may begin, before it knows, what it had in hand and its successor has run.
    """
    ended = second.begun if first.done is None else first.done + BEFORE_COMMIT_SECONDS
    # A process that was cut or paused lost its place at most a lease after the fault ended.
    after = lease_seconds + BEFORE_COMMIT_SECONDS
    near = [
        fault
        for fault in faults
        if fault.what not in EXCUSE_NOTHING
        and fault.begun <= ended
        and fault.begun <= second.begun
        and fault.ended + after >= first.begun
    ]
    own = [fault for fault in near if fault.pids is not None and not fault.pids.isdisjoint({first.pid, second.pid})]
    return next(iter([*own, *(fault for fault in near if fault.pids is None)]), None)
