"""Memory, processor time and percentiles. Needs psutil; runs in every environment."""

import threading
from collections.abc import Iterable, Sequence
from types import TracebackType

import psutil

SAMPLE_EVERY_SECONDS = 0.2


def memory_mb(pids: Iterable[int]) -> float:
    """Resident memory of these processes and all below them, in MB (10^6 bytes)."""
    return round(_resident(pids) / 1e6, 1)


def cpu_seconds(pids: Iterable[int]) -> float:
    """Processor time used so far by these processes and all below them."""
    total = 0.0
    for process in _with_children(pids):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which so many percent of the values lie; nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(percent / 100 * (len(ordered) - 1)))]


class PeakMemory:
    """``with PeakMemory(pids) as peak``: the largest resident memory seen meanwhile, in ``peak.mb`` afterwards."""

    def __init__(self, pids: Sequence[int]) -> None:
        self.mb = 0.0
        self._pids = pids
        self._largest = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
        self._largest = max(self._largest, _resident(self._pids))
        self.mb = round(self._largest / 1e6, 1)

    def _sample(self) -> None:
        while not self._end.wait(SAMPLE_EVERY_SECONDS):
            self._largest = max(self._largest, _resident(self._pids))


def _resident(pids: Iterable[int]) -> int:
    total = 0
    for process in _with_children(pids):
        try:
            total += process.memory_info().rss
        except psutil.Error:
            # It ended between the listing and the look.
            continue
    return total


def _with_children(pids: Iterable[int]) -> list[psutil.Process]:
    found: dict[int, psutil.Process] = {}
    for pid in pids:
        try:
            process = psutil.Process(pid)
            for each in (process, *process.children(recursive=True)):
                found[each.pid] = each
        except psutil.Error:
            continue
    return list(found.values())
