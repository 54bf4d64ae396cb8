"""A stream of starts at hosts that come and go, and what must be true of it afterwards."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from support.host_crew import DURABLE, HostCrew
from support.host_process import HostProcess, refusals_tell_nothing_inside, wait_until
from support.ledgers import lost_leases, read_ledger, repeats

STEPS = ("first", "spread0", "spread1", "spread2", "leg", "last")
EXPECTED_REFUSALS = {429, 503, 507}
ANSWER_SECONDS = 10.0


@dataclass
class Start:
    """One start and what is known about it."""

    instance_id: str
    number: int
    accepted: bool = False


@dataclass
class Journeys:
    """Starts from several threads at hosts by chance."""

    crew: HostCrew
    seed: int = 0
    threads: int = 2
    pause_seconds: float = 0.1
    starts: list[Start] = field(default_factory=list[Start])
    refused: Counter[int] = field(default_factory=Counter[int])
    unanswered: int = 0
    slowest_seconds: float = 0.0
    repeats: Counter[str] = field(default_factory=Counter[str])
    _over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def under_way(self) -> Iterator["Journeys"]:
        """Start journeys meanwhile."""
        with ThreadPoolExecutor(self.threads) as pool:
            streams: list[Future[None]] = [pool.submit(self._keep_starting, n) for n in range(self.threads)]
            try:
                yield self
            finally:
                self._over.set()
            for stream in streams:
                stream.result()

    def _keep_starting(self, thread: int) -> None:
        dice = random.Random(f"{self.seed} {thread}")
        hooks = {"response": [refusals_tell_nothing_inside]}
        with httpx.Client(timeout=ANSWER_SECONDS, event_hooks=hooks) as http:
            while not self._over.wait(self.pause_seconds):
                with self._lock:
                    number = len(self.starts)
                    start = Start(f"journey-{number:05}", number)
                    self.starts.append(start)
                self._send(http, dice.choice(self.crew.hosts), start)

    def _send(self, http: httpx.Client, host: HostProcess, start: Start) -> None:
        began = time.monotonic()
        try:
            answer = http.post(f"{host.url}/api/start/journey/{start.instance_id}", json=start.number)
        except httpx.TransportError:
            with self._lock:
                self.unanswered += 1
            return
        with self._lock:
            self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - began)
            start.accepted = answer.status_code == 202
            if not start.accepted:
                self.refused[answer.status_code] += 1

    def check(self, limit: float = 60) -> str:
        """Nothing lost, nothing doubled; gives the figures in one line. All hosts run, all faults are over."""
        host = self.crew.hosts[0]
        assert self.refused.keys() <= EXPECTED_REFUSALS, self.refused
        wait_until(lambda: not unfinished(host), "all have ended", limit=limit, pause=0.1, about=self.crew.about)
        found = {each["instanceId"]: each for each in listed(host, instanceIdPrefix="journey-")}
        lost = [start.instance_id for start in self.starts if start.accepted and start.instance_id not in found]
        assert not lost, f"accepted and lost: {lost}"
        arrived = [start for start in self.starts if start.instance_id in found]
        for start in arrived:
            status, n = found[start.instance_id], start.number
            expected = [n + 1, [n + 2, n + 3, n + 4], (n + 1) * 2, (n + 1) * 2 + 1]
            assert (status["runtimeStatus"], status["output"]) == ("Completed", expected), status
            assert f"{start.instance_id}:leg" in found
        self._check_counts(host, arrived)
        self._check_ledger(arrived)
        self.crew.verify()
        accepted = sum(start.accepted for start in self.starts)
        faults = Counter(fault.what for fault in self.crew.faults)
        return (
            f"{accepted} starts accepted, {len(arrived) - accepted} arrived without an answer, "
            f"{len(self.starts) - len(arrived)} did not arrive; refused {dict(self.refused)}, unanswered "
            f"{self.unanswered}, slowest answer {self.slowest_seconds:.1f} s; {dict(faults)}; "
            f"activities run again next to {dict(self.repeats)} of {len(arrived) * len(STEPS)}"
        )

    def _check_counts(self, host: HostProcess, arrived: list[Start]) -> None:
        expected = Counter(start.number % 5 for start in arrived)
        for number, count in expected.items():
            for key in (f"told-{number}", f"asked-{number}"):
                wait_until(lambda key=key, count=count: tally(host, key) == count, f"{key} is {count}", limit=10)

    def _check_ledger(self, arrived: list[Start]) -> None:
        keys = [
            f"{start.instance_id}:leg/leg" if step == "leg" else f"{start.instance_id}/{step}"
            for start in arrived
            for step in STEPS
        ]
        runs = read_ledger(self.crew.ledger.read_text(encoding="utf-8"))
        faults = [*self.crew.faults, *(lost for host in self.crew.hosts for lost in lost_leases(host.log()))]
        self.repeats = repeats(runs, keys, faults, lease_seconds=self.crew.lease_seconds)


def listed(host: HostProcess, **query: str) -> Iterator[dict[str, Any]]:
    """Every instance the management API lists, page by page."""
    headers: dict[str, str] = {}
    while True:
        page = host.http.get(f"{DURABLE}/instances", params={"top": "500", **query}, headers=headers)
        assert page.status_code == 200, page.text
        yield from page.json()
        token = page.headers.get("x-ms-continuation-token")
        if not token:
            return
        headers = {"x-ms-continuation-token": token}


def unfinished(host: HostProcess) -> list[str]:
    """Journeys that have not ended."""
    found = listed(host, runtimeStatus="Pending,Running", instanceIdPrefix="journey-")
    return [each["instanceId"] for each in found]


def tally(host: HostProcess, key: str) -> Any:
    """The count of an entity."""
    answer = host.http.get(f"{DURABLE}/entities/tally/{key}")
    return answer.json() if answer.status_code == 200 else None
