"""Figures out of raw values. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.measuring import percentile

BACKLOG_SECONDS_MAX = 1.0
"""A rate is sustained when no request waits longer than this for its turn or its answer."""


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of times in milliseconds; 0 of no values."""

    p50: float
    p95: float
    p99: float
    most: float


def percentiles_ms(seconds: Sequence[float]) -> Percentiles:
    """The usual ones."""
    if not seconds:
        return Percentiles(0.0, 0.0, 0.0, 0.0)
    p50, p95, p99 = (percentile(seconds, percent) * 1e3 for percent in (50, 95, 99))
    return Percentiles(round(p50, 2), round(p95, 2), round(p99, 2), round(max(seconds) * 1e3, 2))


def arrivals(rate: float, seconds: float) -> list[float]:
    """When each request is due, in seconds from the begin: evenly spread."""
    return [number / rate for number in range(max(1, int(rate * seconds)))]


def is_sustained(*, start_p99_ms: float, completion_p99_ms: float, errors: int, lost: int) -> bool:
    """Whether a host kept up with a rate: what it took it finished, and nobody queued."""
    late = max(start_p99_ms, completion_p99_ms) / 1e3
    return not errors and not lost and late <= BACKLOG_SECONDS_MAX


def slope_per_minute(samples: Sequence[tuple[float, float]]) -> float:
    """Of (seconds, value), by least squares. Raises ValueError for fewer than two moments."""
    count = len(samples)
    mean_time = sum(moment for moment, _ in samples) / max(count, 1)
    mean_value = sum(value for _, value in samples) / max(count, 1)
    spread = sum((moment - mean_time) ** 2 for moment, _ in samples)
    if not spread:
        raise ValueError("A slope needs values of at least two moments.")
    return sum((moment - mean_time) * (value - mean_value) for moment, value in samples) / spread * 60


def last_part(samples: Sequence[tuple[float, float]], seconds: float) -> list[tuple[float, float]]:
    """The samples of the last so many seconds."""
    end = samples[-1][0] if samples else 0.0
    return [sample for sample in samples if sample[0] >= end - seconds]
