"""``make soak``: half of the highest rate for a long time; memory must not grow."""

import statistics
import threading
import time
from pathlib import Path

from benchmarks.load.arithmetic import last_part, slope_per_minute
from benchmarks.load.hosts import LoadedHost, running_host
from benchmarks.load.runs import Run, run_order
from benchmarks.load.workloads import Order

SAMPLE_SECONDS = 5.0
CEILING_SECONDS = 8.0


def soak(folder: Path, *, minutes: float, rate: float | None) -> Run:
    """The one run. Without a rate, half of what the host answers when asked without pause. Raises HostFailed."""
    with running_host(folder) as host:
        kept = rate if rate is not None else _half(host)
        samples: list[tuple[float, float]] = []
        end = threading.Event()
        sampler = threading.Thread(target=_sample, args=(host, samples, end), daemon=True)
        sampler.start()
        try:
            run = run_order(host, Order("chain", host.port, "soak-", rate=kept, seconds=minutes * 60))
        finally:
            end.set()
            sampler.join()
    return {**run, "minutes": minutes, **memory_figures(samples, minutes), "samples": samples}


def memory_figures(samples: list[tuple[float, float]], minutes: float) -> dict[str, float]:
    """The slope of the last third, and how memory began and ended."""
    tail = last_part(samples, minutes * 20)
    ends = [statistics.median(value for _, value in part) for part in (samples[:12], samples[-12:])]
    return {"slope_mb_per_minute": slope_per_minute(tail), "rss_first_mb": ends[0], "rss_last_mb": ends[1]}


def _half(host: LoadedHost) -> float:
    run = run_order(host, Order("closed", host.port, "ceiling-", seconds=CEILING_SECONDS))
    return round(float(run["completed_per_s"]) / 2)


def _sample(host: LoadedHost, samples: list[tuple[float, float]], end: threading.Event) -> None:
    begun = time.monotonic()
    while not end.wait(SAMPLE_SECONDS):
        samples.append((time.monotonic() - begun, host.rss_mb()))
