"""Floors and goals, and whether they are met. Most are ratios to another engine measured in the same run."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from benchmarks.arguments import OURS
from benchmarks.outcomes import Outcome, spread

REFERENCE = "restate"
BACKEND, BACKEND_LEAN, EMPTY = "memory-official", "memory-lean", "grpc-empty"
ON_POSTGRES, PEER_ON_POSTGRES = "perdure-postgres", "dbos-postgres"


class Basis(Enum):
    """What a figure is held against."""

    ITSELF = "absolute"
    REFERENCE = "x Restate"
    PEER_ON_POSTGRES = "x DBOS, PostgreSQL"
    SQLITE = "x perdure, SQLite"
    SMALLER = "x 1,000"
    """The same figure of ours at B 1,000."""
    BACKEND = "x in-memory backend"
    """The official package's, with its own worker; its figures are lost with its process."""
    BACKEND_LEAN = "x in-memory backend, lean"
    """The same with the lean worker."""
    ABOVE_EMPTY = "above gRPC alone"
    """The difference to a server without an engine."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A floor or a goal: the value, by its basis, must be at least ``least`` or at most ``most``."""

    basis: Basis
    least: float | None = None
    most: float | None = None

    def __str__(self) -> str:
        bound = f"≥ {self.least:,g}" if self.least is not None else f"≤ {self.most:,g}"
        return bound if self.basis is Basis.ITSELF else f"{bound} {self.basis.value}"

    def is_met(self, value: float) -> bool:
        """Whether a value is good enough."""
        if self.least is not None:
            return value >= self.least
        assert self.most is not None
        return value <= self.most


@dataclass(frozen=True, slots=True)
class Target:
    """What is wanted of one figure of one measurement."""

    key: str
    figure: str
    floor: Bar | None
    goal: Bar | None
    engine: str = OURS


def _least(floor: float | None, goal: float | None, basis: Basis = Basis.ITSELF) -> tuple[Bar | None, Bar | None]:
    return tuple(None if bound is None else Bar(basis, least=bound) for bound in (floor, goal))  # type: ignore[return-value]


def _most(floor: float | None, goal: float | None, basis: Basis = Basis.ITSELF) -> tuple[Bar | None, Bar | None]:
    return tuple(None if bound is None else Bar(basis, most=bound) for bound in (floor, goal))  # type: ignore[return-value]


TARGETS = (
    Target("A 3,000", "orchestrations_per_s", *_least(4, 10, Basis.REFERENCE)),
    Target("B 1,000", "activities_per_s", *_least(5, 15, Basis.REFERENCE)),
    Target("B 10,000", "activities_per_s", *_least(0.8, 0.8, Basis.SMALLER)),
    Target("B 100,000", "activities_per_s", *_least(None, 0.8, Basis.SMALLER)),
    Target("B 100,000", "seconds", *_most(None, 10)),
    Target("C 200", "p50_ms", *_most(0.6, 0.2, Basis.REFERENCE)),
    Target("C 200", "p99_to_p50", *_most(None, 5)),
    Target("D 1", "idle_mb", *_most(90, 60)),
    Target("D 1", "first_result_s", *_most(0.6, 0.35)),
    *(Target("D2 60", f"added_{model}_s", *_most(0.3, 0.3)) for model in ("v2", "v1")),
    *(Target("D2 60", f"added_{model}_mb", *_most(15, 15)) for model in ("v2", "v1")),
    Target("E 2,000", "ms_per_step", *_most(0.6, 0.35, Basis.REFERENCE)),
    Target("E 5,000", "ms_per_step", *_most(0.6, 0.35, Basis.REFERENCE)),
    Target("E 5,000", "last_to_first", *_most(1.25, 1.25)),
    Target("E 50,000", "last_to_first", *_most(None, 1.25)),
    Target("F 10,000", "added_mb", Bar(Basis.REFERENCE, most=0.1), Bar(Basis.ITSELF, most=15)),
    Target("F 10,000", "created_per_s", *_least(3000, 10_000)),
    Target("F 10,000", "released_per_s", *_least(3000, 10_000)),
    Target("F 10,000", "cpu_percent", *_most(None, 0.5)),
    Target("crash 10,000", "ready_s", *_most(3, 3)),
    Target("A 3,000", "orchestrations_per_s", *_least(10, 10, Basis.PEER_ON_POSTGRES), engine=ON_POSTGRES),
    Target("A 3,000", "orchestrations_per_s", *_least(0.4, 0.5, Basis.SQLITE), engine=ON_POSTGRES),
    Target("B 1,000", "activities_per_s", *_least(10, 10, Basis.PEER_ON_POSTGRES), engine=ON_POSTGRES),
    Target("C 200", "p50_ms", *_most(0.7, 0.7, Basis.PEER_ON_POSTGRES), engine=ON_POSTGRES),
    Target("A gRPC 1,000", "orchestrations_per_s", *_least(2, 2, Basis.BACKEND), engine="serve-official"),
    Target("A gRPC 1,000", "orchestrations_per_s", *_least(2, 3, Basis.BACKEND_LEAN), engine="serve-lean"),
    Target("A gRPC 1,000", "server_us_per_item", *_most(150, 100, Basis.ABOVE_EMPTY), engine="serve-lean"),
    *(
        target
        for size in ("1,000", "10,000")
        for target in (
            Target(f"B gRPC {size}", "activities_per_s", *_least(3, 3, Basis.BACKEND), engine="serve-official"),
            Target(f"B gRPC {size}", "activities_per_s", *_least(3, 3, Basis.BACKEND_LEAN), engine="serve-lean"),
            Target(f"B gRPC {size}", "server_us_per_item", *_most(150, 100, Basis.ABOVE_EMPTY), engine="serve-lean"),
        )
    ),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target against what was measured. ``met`` is None when there is nothing to hold it against."""

    target: Target
    bar: Bar
    is_goal: bool
    measured: float
    value: float | None
    met: bool | None


def judge(outcomes: Sequence[Outcome]) -> list[Verdict]:
    """All targets whose figure was measured."""
    verdicts: list[Verdict] = []
    for target in TARGETS:
        ours = spread(outcomes, target.key, target.engine, target.figure)
        if ours is None:
            continue
        for bar, is_goal in ((target.floor, False), (target.goal, True)):
            if bar is None:
                continue
            basis = _basis(outcomes, target, bar.basis)
            value = None if basis is None or basis == 0 else _by(bar.basis, ours.median, basis)
            met = None if value is None else bar.is_met(value)
            verdicts.append(Verdict(target, bar, is_goal, ours.median, value, met))
    return verdicts


def _basis(outcomes: Sequence[Outcome], target: Target, basis: Basis) -> float | None:
    if basis is Basis.ITSELF:
        return 1.0
    key, engine = ("B 1,000", OURS) if basis is Basis.SMALLER else (target.key, _ENGINES[basis])
    found = spread(outcomes, key, engine, target.figure)
    return None if found is None else found.median


def _by(basis: Basis, value: float, reference: float) -> float:
    return value - reference if basis is Basis.ABOVE_EMPTY else value / reference


_ENGINES = {
    Basis.REFERENCE: REFERENCE,
    Basis.PEER_ON_POSTGRES: PEER_ON_POSTGRES,
    Basis.SQLITE: OURS,
    Basis.BACKEND: BACKEND,
    Basis.BACKEND_LEAN: BACKEND_LEAN,
    Basis.ABOVE_EMPTY: EMPTY,
}
