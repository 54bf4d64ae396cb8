"""What must hold, and whether it did. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gate:
    """A figure must be at most ``most``."""

    figure: str
    most: float
    words: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """A gate and what was measured: the worst run's. ``met`` is None when the figure was not measured."""

    gate: Gate
    measured: float | None
    met: bool | None


LOAD_GATES = (
    Gate("start_p99_ms", 250.0, "start p99 at half of the highest sustained rate, ms"),
    Gate("errors", 0.0, "requests refused or broken"),
    Gate("lost", 0.0, "accepted and not completed"),
)
GROWTH_GATES = (
    Gate("start_p99_ratio", 1.5, "start p99, full store to empty store"),
    Gate("status_p99_ratio", 1.5, "status p99, full store to empty store"),
    Gate("purge_ping_max_ms", 1000.0, "longest ping while 100,000 are purged, ms"),
    Gate("paging_ratio", 1.5, "a page of the list, full store to empty store"),
    Gate("errors", 0.0, "requests refused or broken"),
)
SOAK_GATES = (
    Gate("slope_mb_per_minute", 1.0, "growth of resident memory at the end, MB a minute"),
    Gate("errors", 0.0, "requests refused or broken"),
    Gate("lost", 0.0, "accepted and not completed"),
)


def judge(gates: Sequence[Gate], runs: Sequence[Mapping[str, float]]) -> list[Verdict]:
    """Each gate against the worst of the runs."""
    verdicts: list[Verdict] = []
    for gate in gates:
        values = [run[gate.figure] for run in runs if gate.figure in run]
        worst = max(values) if values else None
        verdicts.append(Verdict(gate, worst, None if worst is None else worst <= gate.most))
    return verdicts


def all_met(verdicts: Sequence[Verdict]) -> bool:
    """Whether every gate was measured and held."""
    return all(verdict.met is True for verdict in verdicts)
