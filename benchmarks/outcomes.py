"""What the runs brought: raw outcomes, and their medians."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.job import Figures


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run of one measurement on one engine. ``failure`` says why there are no figures."""

    key: str
    engine: str
    size: int
    round: int
    wall_seconds: float
    figures: Figures = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over its rounds."""

    median: float
    least: float
    most: float
    count: int


def spread(outcomes: Sequence[Outcome], key: str, engine: str, figure: str) -> Spread | None:
    """The figure's median and range; None when no run has it."""
    values = [o.figures[figure] for o in outcomes if o.key == key and o.engine == engine and figure in o.figures]
    if not values:
        return None
    return Spread(statistics.median(values), min(values), max(values), len(values))


def failures(outcomes: Sequence[Outcome], key: str, engine: str) -> list[str]:
    """Why runs of the measurement on the engine have no figures, each reason once."""
    reasons = [o.failure for o in outcomes if o.key == key and o.engine == engine and o.failure is not None]
    return list(dict.fromkeys(reasons))
