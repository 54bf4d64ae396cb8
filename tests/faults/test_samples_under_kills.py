"""The samples, each on three hosts that are killed by chance, one sample after the other, for so many minutes.

PERDURE_CRASH_MINUTES says how long altogether (10), PERDURE_KILL_SEED which moments, PERDURE_SAMPLES which samples
(all); PERDURE_FIGURES names a folder where the figures are kept.
"""

import json
import os
import platform
import random
import shutil
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from benchmarks.postgres_cluster import Cluster

from support.host_crew import DURABLE, HostCrew
from support.host_process import REPOSITORY, HostProcess, refusals_tell_nothing_inside, wait_until
from support.journeys import EXPECTED_REFUSALS, listed
from support.official_environments import ours
from support.official_play import Program
from support.sample_plays import ENDLESS, PLAYS, PORTABLE, Play, rendering
from support.serve_process import ServeProcess

LEASE = 3.0
PAUSE_SECONDS = 0.15


@dataclass
class Show:
    """One play on a crew, and what was answered."""

    crew: HostCrew
    play: Play
    dice: random.Random
    accepted: dict[int, bool] = field(default_factory=dict[int, bool])
    refused: Counter[int] = field(default_factory=Counter[int])
    kills: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def keep_starting(self) -> None:
        """Starts at hosts by chance, each with its event soon after."""
        dice = random.Random(self.dice.random())
        with httpx.Client(timeout=10, event_hooks={"response": [refusals_tell_nothing_inside]}) as http:
            while not self.over.wait(PAUSE_SECONDS):
                number = len(self.accepted)
                urls = [host.url for host in self.crew.hosts]
                path = f"orchestrators/{self.play.orchestrator}/{self.id_of(number)}"
                self.accepted[number] = self._sent(http, dice.choice(urls), path, self.play.ask(number))
                if self.accepted[number]:
                    self._send_event(http, dice.choice(urls), number)

    def id_of(self, number: int) -> str:
        return f"play-{number:05}"

    def _send_event(self, http: httpx.Client, url: str, number: int) -> None:
        if self.play.event is not None and self.play.waits(number):
            name, content = self.play.event
            self._sent(http, url, f"instances/{self.id_of(number)}/raiseEvent/{name}", content(number))

    def _sent(self, http: httpx.Client, url: str, path: str, body: Any) -> bool:
        try:
            answer = http.post(f"{url}{DURABLE}/{path}", json=body)
        except httpx.TransportError:
            return False
        if answer.status_code != 202:
            self.refused[answer.status_code] += 1
        return answer.status_code == 202

    def kill_until(self, end: float) -> None:
        """One, two or all of them at a time."""
        while time.monotonic() < end:
            time.sleep(self.dice.uniform(0.5, 5))  # when the kill comes is what is by chance here
            chosen = self.dice.sample(self.crew.hosts, self.dice.choice([1, 1, 1, 2, 2, 3]))
            for host in chosen:
                self.crew.kill(host)
                self.kills += 1
            time.sleep(self.dice.uniform(0, 4))
            self.crew.start(*chosen)

    def end(self) -> float:
        """Everything must end, once events whose sending a kill swallowed are sent again; seconds that took."""
        host = self.crew.hosts[0]
        began = time.monotonic()

        def none_left() -> bool:
            left = [
                each["instanceId"]
                for each in listed(host, runtimeStatus="Pending,Running", instanceIdPrefix="play-")
            ]  # fmt: skip
            for instance_id in left:
                if ":" not in instance_id:
                    self._send_event(host.http, host.url, int(instance_id.removeprefix("play-")))
            return not left

        wait_until(none_left, "all have ended", limit=120, pause=0.5, about=self.crew.about)
        return time.monotonic() - began

    def check(self) -> int:
        """Nothing lost, nothing wrong, nothing doubled; gives how many arrived."""
        host = self.crew.hosts[0]
        # 404 and 410: an event sent once more than was needed.
        assert self.refused.keys() <= EXPECTED_REFUSALS | {404, 410}, self.refused
        found = {each["instanceId"]: each for each in listed(host, instanceIdPrefix="play-")}
        arrived = [number for number in self.accepted if self.id_of(number) in found]
        lost = [number for number, accepted in self.accepted.items() if accepted and number not in arrived]
        assert not lost, f"accepted and lost: {lost}"
        for number in arrived:
            status = found[self.id_of(number)]
            assert status["runtimeStatus"] == self.play.ends_as, status
            assert self.play.right(number, status["output"]), status
        self.play.left({number: found[self.id_of(number)]["output"] for number in arrived}, self._entity_state)
        self.crew.verify()
        return len(arrived)

    def _entity_state(self, entity: str) -> Any:
        answer = self.crew.hosts[0].http.get(f"{DURABLE}/entities/{entity}")
        assert answer.status_code == 200, (entity, answer.text)
        return answer.json()


class EndlessShow(Show):
    """Instances that never end by themselves."""

    def end(self) -> float:
        """Each goes on from where it was; then it is terminated."""
        host, began = self.crew.hosts[0], time.monotonic()
        before = self._rounds()
        wait_until(
            lambda: all(rounds > before[name] for name, rounds in self._rounds().items()),
            "all go on", limit=120, pause=0.5, about=self.crew.about,
        )  # fmt: skip
        took = time.monotonic() - began
        for name in before:
            answer = host.http.post(f"{DURABLE}/instances/{name}/terminate", params={"reason": "enough"})
            assert answer.status_code == 202, answer.text
        super().end()
        self._rounds()
        return took

    def _rounds(self) -> dict[str, int]:
        """By instance; each round has counted once."""
        rounds: dict[str, int] = {}
        for each in listed(self.crew.hosts[0], instanceIdPrefix="play-"):
            status = each["customStatus"] or {"rounds": 0, "removed": 0}
            assert status["removed"] == 2 * status["rounds"], each
            rounds[each["instanceId"]] = status["rounds"]
        return rounds


@dataclass
class PortableCrew(HostCrew):
    """Servers instead of hosts, with a worker at each that has the sample's functions and outlives its server."""

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            for host in self.hosts:
                assert isinstance(host, ServeProcess)
                place = (f"localhost:{host.grpc_port}", self.hub, str(host.app / "app.py"))
                worker = self._ends.enter_context(Program(ours(), "of_sample.py", *place))
                assert worker.line() == "started"
        except BaseException:
            self.kill_all()
            self._ends.close()
            raise
        return self

    def _made(self, number: int) -> HostProcess:
        options = ["--store", self.store_of(number), "--hubs", self.hub]
        return ServeProcess(self.place(number), *options, environment=self.host_environment())


def run_play(play: Play, folder: Path, server: Cluster, *, seconds: float, dice: random.Random) -> dict[str, Any]:
    """The whole life of one sample; its figures."""
    new_crew = PortableCrew if play in PORTABLE else HostCrew
    new_show = EndlessShow if play is ENDLESS else Show
    app = REPOSITORY / "samples" / play.sample
    with new_crew(folder / play.sample, server.url, app=app, lease_seconds=LEASE) as crew:
        show = new_show(crew, play, dice)
        if play.signal is not None:
            entity, operation, content = play.signal
            path, http = f"{DURABLE}/entities/{entity}", crew.hosts[0].http
            assert http.post(path, params={"op": operation}, json=content).status_code == 202
            wait_until(lambda: http.get(path).status_code == 200, "the entity is there", about=crew.about)
        with ThreadPoolExecutor(1) as thread:
            starting = thread.submit(show.keep_starting)
            try:
                show.kill_until(time.monotonic() + seconds)
            finally:
                show.over.set()
            starting.result()
        ended = show.end()
        arrived = show.check()
    accepted = sum(show.accepted.values())
    return {
        "sample": play.sample,
        "kills": show.kills,
        "accepted": accepted,
        "arrived without an answer": arrived - accepted,
        "did not arrive": len(show.accepted) - arrived,
        "refused": dict(show.refused),
        "all ended after (s)": round(ended, 1),
    }


@pytest.mark.slow
@pytest.mark.timeout(0)  # it is told how long
def test_the_samples_end_right_while_hosts_are_killed(tmp_path: Path, server: Cluster) -> None:
    minutes = float(os.environ.get("PERDURE_CRASH_MINUTES", "10"))
    seed = int(os.environ.get("PERDURE_KILL_SEED", time.time_ns() % 1_000_000))
    print(f"\nseed {seed}")
    figures: list[dict[str, Any]] = []
    service = tmp_path / "outside"
    shutil.copytree(REPOSITORY / "samples" / "http_polling", service, ignore=shutil.ignore_patterns(".perdure"))
    with HostProcess(service) as outside:
        plays = [rendering(f"{outside.url}/api/jobs"), ENDLESS, *PORTABLE, *PLAYS]
        wanted = os.environ.get("PERDURE_SAMPLES", "").split()
        plays = [play for play in plays if not wanted or play.sample in wanted]
        for play in plays:
            dice = random.Random(f"{seed} {play.sample}")
            figures.append(run_play(play, tmp_path, server, seconds=minutes * 60 / len(plays), dice=dice))
            print(figures[-1])
    if folder := os.environ.get("PERDURE_FIGURES"):
        kept = {
            "what": f"the samples on three hosts that are killed by chance, {minutes:g} minutes, lease {LEASE:g} s",
            "seed": seed,
            "python": platform.python_version(),
            "samples": figures,
        }
        (Path(folder) / f"endure-postgres-{time.strftime('%Y-%m-%d')}.json").write_text(
            json.dumps(kept, indent=1) + "\n", encoding="utf-8"
        )
