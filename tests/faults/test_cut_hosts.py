"""A host that reaches its callers and not the database: it accepts nothing, and the others do its work.

PERDURE_CUT_SECONDS says for how long (300).
"""

import os
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from benchmarks.postgres_cluster import Cluster

from support.host_crew import DURABLE, HostCrew, answers_again, check_is_root
from support.host_process import HostProcess
from support.journeys import Journeys
from support.network_namespace import Network, network
from support.proxy_thread import ProxyThread

LEASE = 10.0
CUT_SECONDS = float(os.environ.get("PERDURE_CUT_SECONDS", "300"))
RESUME_SECONDS_MAX = 10.0
ANSWER_SECONDS_MAX = 45.0
"""So long at most somebody waits for the answer that nothing was accepted."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]


def test_a_host_whose_database_connection_carries_nothing(tmp_path: Path, server: Cluster) -> None:
    with HostCrew(tmp_path, server.url, lease_seconds=LEASE, proxied=True) as crew:
        print("\n" + cut_off(crew, crew.proxies[0].swallow, crew.proxies[0].carry))


def test_a_host_whose_database_cable_is_pulled(tmp_path: Path, server: Cluster) -> None:
    check_is_root("a host runs in a network namespace")
    with (
        network(tmp_path) as net,
        ProxyThread(server.url, net.database) as way,
        NetworkedCrew(tmp_path, server.url, lease_seconds=LEASE, network=net, way=way) as crew,
    ):
        print("\n" + cut_off(crew, net.pull, net.plug))


@dataclass
class NetworkedCrew(HostCrew):
    """The first host runs in a network of its own."""

    network: Network = field(kw_only=True)
    way: ProxyThread = field(kw_only=True)

    def _made(self, number: int) -> HostProcess:
        if number > 0:
            return super()._made(number)
        options = ["--store", self.way.url, "--host", self.network.address, "--no-auth"]
        return HostProcess(
            self.place(number), *options,
            python=self.network.python, environment=self.host_environment(), address=self.network.address,
        )  # fmt: skip


def cut_off(crew: HostCrew, cut: Callable[[], None], mend: Callable[[], None]) -> str:
    """Cut the first host off; the figures."""
    first, second, _ = crew.hosts
    journeys = Journeys(crew)
    first.start_instance("/api/start/waits/known", 1)
    with journeys.under_way():
        probes = crew.probe(first)
        with crew.fault("cut", [first]):
            cut()
            with ThreadPoolExecutor(3) as pool:
                end = time.monotonic() + CUT_SECONDS
                asking = [pool.submit(asked, first.url, path, end) for path in PATHS]
                took = crew.taken_over(probes, second, LEASE + 5)
                answered = [each.result() for each in asking]
            mend()
        with crew.fault("move"):
            resumed = answers_again(first, RESUME_SECONDS_MAX, crew.about)
        crew.wait_shared()
    answers = sum((counts for counts, _ in answered), Counter[int]())
    assert answers.keys() <= {503, 429}, answers
    figures = journeys.check()
    slowest = max(seconds for _, seconds in answered)
    return (
        f"takeover {took:.1f} s; the cut host answered {dict(answers)}, the slowest after {slowest:.1f} s; "
        f"resumed after {resumed:.1f} s; {figures}"
    )


PATHS: list[Callable[[], str]] = [
    lambda: f"/api/start/waits/cut-{uuid4().hex[:10]}",
    lambda: f"{DURABLE}/orchestrators/waits/cut-{uuid4().hex[:10]}",
    lambda: f"{DURABLE}/instances/known/raiseEvent/other",
]


def asked(url: str, path: Callable[[], str], end: float) -> tuple[Counter[int], float]:
    """What a host answers to these until then, and how long the slowest answer took."""
    answers = Counter[int]()
    slowest = 0.0
    with httpx.Client(timeout=ANSWER_SECONDS_MAX, base_url=url) as http:
        while time.monotonic() < end:
            began = time.monotonic()
            answer = http.post(path(), json=1)
            answers[answer.status_code] += 1
            slowest = max(slowest, time.monotonic() - began)
            assert answer.status_code == 202 or "retry-after" in answer.headers, answer
            time.sleep(0.1)  # so many a second
    return answers, slowest
