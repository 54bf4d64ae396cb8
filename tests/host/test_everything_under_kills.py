"""An app that uses everything, under a stream of starts, its host ended by ``kill -9`` at random moments, for minutes.

At the end each accepted start has ended as its number says, entity sums are exact and the store is sound. The figures
are printed. PERDURE_CRASH_MINUTES says for how long (default 10), PERDURE_KILL_SEED which moments.
"""

import os
import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.host_apps import run_perdure
from support.host_process import REPOSITORY, HostProcess, wait_until

APPS = REPOSITORY / "tests" / "support"
DURABLE = "/runtime/webhooks/durabletask"
STARTERS = 3
PAUSE_SECONDS = 0.3
DOWN_SECONDS = 1
ACCOUNTS = 5


@dataclass
class Started:
    """One start and what is known about it."""

    instance_id: str
    number: int
    accepted: bool


def accounts_of(number: int) -> list[str]:
    giver = number % ACCOUNTS
    return [f"account-{giver}", f"account-{(giver + 1 + number // ACCOUNTS % (ACCOUNTS - 1)) % ACCOUNTS}"]


def grand_output(start: Started) -> dict[str, Any]:
    """What the instance gives, whatever was repeated on the way."""
    number = start.number
    return {
        "chain": number * 6,
        "spread": [(number + each) * factor for each in range(3) for factor in (2, 3)],
        "retried": f"{start.instance_id} worked",
        "refused": f"Activity function 'refuses' failed: {number} is refused",
        "decided": {"for": number},
        "rounds": 6,
        "moved": {"alone": True, "told": [str(number), *accounts_of(number)]},
        "written": [1, number],
        "echoed": [200, str(number)],
    }


@dataclass
class Traffic:
    """Starts from several threads, whatever happens to the host, and what was answered."""

    host: HostProcess
    doors: tuple[str, ...]
    starts: list[Started] = field(default_factory=list[Started])
    refused: Counter[int] = field(default_factory=Counter[int])
    over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def keep_starting(self) -> None:
        while not self.over.wait(PAUSE_SECONDS):
            with self._lock:
                number = len(self.starts)
                start = Started(f"grand-{number:05}", number, accepted=False)
                self.starts.append(start)
            door = self.doors[number % len(self.doors)]
            body = {"number": number, "url": self.host.url, "accounts": accounts_of(number)}
            start.accepted = self._sent(f"/api/{door}/{start.instance_id}", body)
            if not start.accepted:
                self.over.wait(DOWN_SECONDS)
            elif len(self.doors) > 1:
                self.go(start)

    def go(self, start: Started) -> bool:
        return self._sent(f"/api/go/{start.instance_id}", {"for": start.number})

    def _sent(self, path: str, body: Any) -> bool:
        try:
            answer = self.host.http.post(path, json=body)
        except httpx.TransportError:
            return False
        if answer.status_code != 202:
            self.refused[answer.status_code] += 1
        return answer.status_code == 202


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


def unfinished(host: HostProcess) -> list[dict[str, Any]]:
    return [
        each
        for each in listed(host, runtimeStatus="Pending,Running")
        if not each["instanceId"].startswith(("beat-", "@"))
    ]


def entity(host: HostProcess, name: str, key: str) -> Any:
    answer = host.http.get(f"{DURABLE}/entities/{name}/{key}")
    return answer.json() if answer.status_code == 200 else None


def came(traffic: Traffic) -> list[Started]:
    """The starts that were accepted, and those of the unanswered ones that arrived."""
    return [
        start
        for start in traffic.starts
        if start.accepted or traffic.host.http.get(f"{DURABLE}/instances/{start.instance_id}").status_code != 404
    ]


@dataclass
class Kills:
    """What the kills did."""

    count: int = 0
    while_starting: int = 0
    found_work: int = 0
    slowest_start: float = 0

    def until(self, end: float, hosts: tuple[HostProcess, ...], dice: random.Random) -> None:
        """Kill one host or both, again and again; some of them once more while they start."""
        while time.monotonic() < end:
            time.sleep(dice.uniform(0.2, 4))  # when the kill comes is what is random here
            chosen = [host for host in hosts if dice.random() < 0.6] or [hosts[0]]
            for host in chosen:
                host.kill()
                self.count += 1
            if dice.random() < 0.2:
                for host in chosen:
                    host.launch()
                time.sleep(dice.uniform(0.2, 3))
                for host in chosen:
                    host.kill()
                    self.while_starting += 1
            began = time.monotonic()
            for host in chosen:
                host.launch()
            for host in chosen:
                host.wait_ready()
            self.slowest_start = max(self.slowest_start, time.monotonic() - began)
            self.found_work += sum(bool(unfinished(host)) for host in chosen)


def all_end(traffic: Traffic, starts: list[Started]) -> None:
    """Everything must end, once the events whose sending a kill swallowed are sent again."""

    def none_left() -> bool:
        waiting = {each["instanceId"] for each in unfinished(traffic.host)}
        if len(traffic.doors) > 1:
            for start in starts:
                if start.instance_id in waiting:
                    traffic.go(start)  # refused when it ended in this moment
        return not waiting

    wait_until(none_left, "all have ended", limit=180, pause=1, about=traffic.host.log)


def statuses(host: HostProcess, starts: list[Started]) -> dict[str, dict[str, Any]]:
    newest = {each["instanceId"]: each for each in listed(host, instanceIdPrefix="grand-", showInput="false")}
    missing = [start.instance_id for start in starts if start.accepted and start.instance_id not in newest]
    assert missing == [], f"accepted and lost: {missing}"
    return newest


def check_grand(host: HostProcess, starts: list[Started]) -> None:
    found = statuses(host, starts)
    balances = Counter[str]()
    for start in starts:
        status = found[start.instance_id]
        assert (status["runtimeStatus"], status["output"]) == ("Completed", grand_output(start)), status
        assert status["customStatus"] == {"step": "done"}
        giver, taker = accounts_of(start.number)
        balances[giver] -= start.number
        balances[taker] += start.number
    expected = {"grand": 2 * len(starts), "rounds": 3 * len(starts), "written": len(starts)}
    wait_until(lambda: {key: entity(host, "tally", key) for key in expected} == expected, f"{expected}", about=host.log)
    assert {key: entity(host, "Account", key) for key in balances} == dict(balances)

    for key, prefix in (("beats", "beat-"), ("sweeps", "sweeps-")):
        wait_until(lambda key=key, prefix=prefix: counts_its_runs(host, key, prefix), f"{key} agree", about=host.log)


def counts_its_runs(host: HostProcess, key: str, prefix: str) -> bool:
    """Whether each run that the clock or the schedule started counted once."""
    runs = list(listed(host, instanceIdPrefix=prefix))
    assert {each["runtimeStatus"] for each in runs} <= {"Completed", "Running", "Pending"}, runs
    return len(runs) == entity(host, "tally", key)


def check_grand_v1(host: HostProcess, starts: list[Started]) -> None:
    found = statuses(host, starts)
    for start in starts:
        status, number = found[start.instance_id], start.number
        expected = [number * 3, 18, number + 6, number]
        assert (status["runtimeStatus"], status["output"]) == ("Completed", expected), status
    wait_until(lambda: entity(host, "Tally", "grand") == 2 * len(starts), "the tally agrees", about=host.log)


def kill_for(seconds: float, folder: Path, seed: int) -> str:
    """The whole test; gives its figures in one line."""
    kills = Kills()
    apps = [folder / "grand_app", folder / "grand_app_v1"]
    for app in apps:
        shutil.copytree(APPS / app.name, app, ignore=shutil.ignore_patterns(".perdure", "__pycache__"))
    with HostProcess(apps[0]) as grand, HostProcess(apps[1]) as folders, ThreadPoolExecutor(2 * STARTERS) as threads:
        assert grand.http.post("/api/sweeps").status_code == 200, grand.log()
        both = (Traffic(grand, ("grand", "plainly")), Traffic(folders, ("grand",)))
        streams: list[Future[None]] = [threads.submit(each.keep_starting) for each in both for _ in range(STARTERS)]
        try:
            kills.until(time.monotonic() + seconds, (grand, folders), random.Random(seed))
        finally:
            for traffic in both:
                traffic.over.set()
        for stream in streams:
            stream.result()

        ending = time.monotonic()
        arrived = [came(traffic) for traffic in both]
        assert grand.http.delete("/api/sweeps").status_code == 204, grand.log()
        refused = dict(both[0].refused + both[1].refused)
        for traffic, starts in zip(both, arrived, strict=True):
            all_end(traffic, starts)
        ending = time.monotonic() - ending
        check_grand(grand, arrived[0])
        check_grand_v1(folders, arrived[1])

    for app in apps:
        ended = run_perdure("verify", app, "--liveness", limit=300)
        assert (ended.code, ended.out.strip()) == (0, "The store is sound."), ended
    accepted = sum(start.accepted for starts in arrived for start in starts)
    unanswered = sum(map(len, arrived)) - accepted
    lost = sum(len(traffic.starts) for traffic in both) - accepted - unanswered
    return (
        f"seed {seed}: {seconds:.0f} s, {kills.count} kills and {kills.while_starting} more during a start, "
        f"{kills.found_work} left instances under way; slowest start after a kill {kills.slowest_start:.1f} s, "
        f"all ended {ending:.0f} s after the last; {accepted} starts accepted, {unanswered} arrived without an "
        f"answer, {lost} did not arrive; refused {refused}"
    )


@pytest.mark.slow
@pytest.mark.timeout(0)  # it is told how long
def test_everything_ends_right_under_kills(tmp_path: Path):
    minutes = float(os.environ.get("PERDURE_CRASH_MINUTES", "10"))
    seed = int(os.environ.get("PERDURE_KILL_SEED", time.time_ns() % 1_000_000))

    print(kill_for(minutes * 60, tmp_path, seed))
