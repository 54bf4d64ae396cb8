"""``make growth``: a store with a million finished instances beside one with a thousand, asked in turns."""

import http.client
import json
import statistics
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.load.arithmetic import percentiles_ms
from benchmarks.load.filling import FilledStore, fill
from benchmarks.load.hosts import LoadedHost, running_host
from benchmarks.load.runs import Run, run_order
from benchmarks.load.workloads import BASE, Order

MODELS = 1_000
"""Instances that the engine really ran; the others are their copies under other ids and times."""
QUESTIONS = 2_000
PAGES = 100
PAGE_SIZE = 100
PING_PAUSE_SECONDS = 0.01


def grow(folder: Path, *, instances: int, purged: int) -> Run:
    """All figures. Raises HostFailed."""
    few, many = folder / "few", folder / "many"
    few.mkdir(parents=True)
    many.mkdir(parents=True)
    with running_host(few) as host:
        run_order(host, Order("chain", host.port, "model-", rate=500, seconds=MODELS / 500))
        store = host.store
    begun = time.monotonic()
    filled = fill(store, many / "hub.db", count=instances)
    filling = time.monotonic() - begun
    print(f"filled: {instances:,} instances, {filled.bytes / 1e6:,.0f} MB, in {filling:.0f} s", flush=True)
    begun = time.monotonic()
    with running_host(many, store=many / "hub.db") as full:
        ready = time.monotonic() - begun
        with running_host(few) as empty:
            figures = _compare(empty, full, filled)
        figures |= _purge(full, filled, purged)
        memory = full.rss_mb()
    return {
        "instances": instances,
        "store_mb": filled.bytes / 1e6,
        "filling_s": filling,
        "ready_s": ready,
        "rss_mb": memory,
        **figures,
    }


def _compare(empty: LoadedHost, full: LoadedHost, filled: FilledStore) -> Run:
    """Each question to both, one after the other, so that whatever else the machine does meets both."""
    asked = [_Asked(empty.port), _Asked(full.port)]
    step = max(1, filled.count // QUESTIONS)
    known: list[Callable[[int], str]] = [lambda n: f"model-{n % MODELS}", lambda n: filled.id_of(n * step)]
    for number in range(QUESTIONS):
        for host, name in zip(asked if number % 2 else asked[::-1], known if number % 2 else known[::-1], strict=True):
            host.time("start", "POST", f"{BASE}/orchestrators/chain", expected=202)
            host.time("status", "GET", f"{BASE}/instances/{name(number)}", expected=200)
    for _ in range(PAGES):
        for host in asked:
            host.next_page()
    figures: Run = {"errors": sum(host.errors for host in asked)}
    for host, store in zip(asked, ("empty", "full"), strict=True):
        for what in ("start", "status"):
            figures[f"{what}_{store}_p50_ms"] = percentiles_ms(host.seconds[what]).p50
            figures[f"{what}_{store}_p99_ms"] = percentiles_ms(host.seconds[what]).p99
        figures[f"page_{store}_ms"] = statistics.median(host.seconds["page"]) * 1e3
        host.close()
    for what in ("start", "status"):
        figures[f"{what}_p99_ratio"] = figures[f"{what}_full_p99_ms"] / figures[f"{what}_empty_p99_ms"]
    figures["paging_ratio"] = figures["page_full_ms"] / figures["page_empty_ms"]
    return figures


def _purge(host: LoadedHost, filled: FilledStore, purged: int) -> Run:
    """Purge the oldest so many in one request; others ask for a sign of life meanwhile."""
    end = threading.Event()
    pings: list[float] = []
    pinger = threading.Thread(target=_ping, args=(host.port, pings, end), daemon=True)
    asked = _Asked(host.port)
    until = filled.created_at(min(purged, filled.count) - 1)
    path = f"{BASE}/instances?createdTimeFrom={_time(filled.created_at(0))}&createdTimeTo={_time(until)}"
    pinger.start()
    begun = time.monotonic()
    try:
        body = asked.time("purge", "DELETE", path, expected=200)
    finally:
        took = time.monotonic() - begun
        end.set()
        pinger.join()
        asked.close()
    return {
        "purged": json.loads(body)["instancesDeleted"],
        "purge_s": took,
        "purge_pings": len(pings),
        "purge_ping_p99_ms": percentiles_ms(pings).p99,
        "purge_ping_max_ms": max(pings, default=0.0) * 1e3,
    }


def _ping(port: int, pings: list[float], end: threading.Event) -> None:
    asked = _Asked(port)
    while not end.is_set():
        asked.time("ping", "GET", "/admin/host/ping", expected=200)
        time.sleep(PING_PAUSE_SECONDS)
    pings += asked.seconds["ping"]
    asked.close()


class _Asked:
    """One caller of one host, and how long it waited for what."""

    def __init__(self, port: int) -> None:
        self.seconds: dict[str, list[float]] = {}
        self.errors = 0
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        self._token = ""

    def time(self, what: str, method: str, path: str, *, expected: int) -> bytes:
        """The body; an unexpected status counts as an error."""
        return self._time(what, method, path, expected, {})[0]

    def next_page(self) -> None:
        """One page of the list, from the last one's end on; from the begin again after the last."""
        headers = {"x-ms-continuation-token": self._token} if self._token else {}
        _, answered = self._time("page", "GET", f"{BASE}/instances?top={PAGE_SIZE}", 200, headers)
        self._token = answered.get("x-ms-continuation-token", "")

    def _time(
        self, what: str, method: str, path: str, expected: int, headers: dict[str, str]
    ) -> tuple[bytes, dict[str, Any]]:
        begun = time.perf_counter()
        self._connection.request(method, path, headers=headers)
        answer = self._connection.getresponse()
        body = answer.read()
        self.seconds.setdefault(what, []).append(time.perf_counter() - begun)
        self.errors += answer.status != expected
        return body, {name.lower(): value for name, value in answer.getheaders()}

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _time(micros: int) -> str:
    return quote(datetime.fromtimestamp(micros / 1e6, UTC).isoformat().replace("+00:00", "Z"))
