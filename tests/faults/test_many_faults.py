"""One of three hosts is killed, stopped or paused, many times over: how long its work stands still, and what is left.

PERDURE_FAULT_CYCLES says how many times (100).
"""

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from benchmarks.postgres_cluster import Cluster

from support.host_crew import PARTITIONS, HostCrew
from support.journeys import Journeys

CYCLES = int(os.environ.get("PERDURE_FAULT_CYCLES", "100"))
SHORT_LEASE = 2.0
LEASE = 10.0
HAND_OVER_SECONDS_MAX = 2.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]


@pytest.mark.parametrize(("lease", "cycles"), [(SHORT_LEASE, CYCLES), (LEASE, max(CYCLES // 5, 1))])
def test_killed_hosts(tmp_path: Path, server: Cluster, lease: float, cycles: int) -> None:
    """Takeover within lease + 5 s, each time."""
    dice = random.Random(1)
    took: list[float] = []
    with HostCrew(tmp_path, server.url, lease_seconds=lease) as crew:
        journeys = Journeys(crew, pause_seconds=0.15)
        with journeys.under_way():
            for _ in range(cycles):
                killed, other = dice.sample(crew.hosts, 2)
                probes = crew.probe(killed, 4)
                crew.kill(killed)
                took.append(crew.taken_over(probes, other, lease + 5))
                crew.start(killed)
                crew.wait_shared()
        figures = journeys.check()
    print(f"\n{cycles} kills, lease {lease} s: takeover {spread(took)}; {figures}")


def test_stopped_hosts(tmp_path: Path, server: Cluster) -> None:
    """Hand-over within 2 s of the signal, each time."""
    dice = random.Random(2)
    took: list[float] = []
    with HostCrew(tmp_path, server.url, lease_seconds=LEASE) as crew:
        journeys = Journeys(crew, pause_seconds=0.15)
        with journeys.under_way():
            for _ in range(max(CYCLES // 5, 1)):
                stopped, other = dice.sample(crew.hosts, 2)
                probes = crew.probe(stopped, 4)
                with crew.stopping(stopped):
                    took.append(crew.taken_over(probes, other, HAND_OVER_SECONDS_MAX))
                crew.start(stopped)
                crew.wait_shared()
        figures = journeys.check()
    print(f"\n{len(took)} stops: hand-over {spread(took)}; {figures}")


def test_paused_hosts(tmp_path: Path, server: Cluster) -> None:
    """Who sleeps for three leases does no harm when it wakes, and is given partitions again."""
    dice = random.Random(3)
    took: list[float] = []
    with HostCrew(tmp_path, server.url, lease_seconds=SHORT_LEASE) as crew:
        journeys = Journeys(crew, pause_seconds=0.15)
        with journeys.under_way():
            for _ in range(max(CYCLES // 5, 1)):
                paused = dice.choice(crew.hosts)
                crew.pause(paused, 3 * SHORT_LEASE)
                took.append(crew.wait_shared())
        figures = journeys.check()
    print(f"\n{len(took)} pauses of {3 * SHORT_LEASE} s: balanced again after {spread(took)}; {figures}")


def test_balance(tmp_path: Path, server: Cluster) -> None:
    """From three hosts to four and back: even within three leases, and nothing moves more than twice."""
    with HostCrew(tmp_path, server.url, count=4, lease_seconds=LEASE) as crew:
        fourth = crew.hosts[-1]
        journeys = Journeys(crew, pause_seconds=0.15)
        with journeys.under_way():
            left = moves(crew, lambda: crew.stop(fourth), 3)
            came = moves(crew, lambda: crew.start(fourth), 4)
            killed = moves(crew, lambda: crew.kill(fourth), 3)
            crew.start(fourth)
            crew.wait_shared()
        figures = journeys.check()
    print(f"\nleaves {left}, joins {came}, killed {killed}; {figures}")


def moves(crew: HostCrew, change: Callable[[], None], count: int) -> str:
    """Watch who holds what while the crew changes; it must be even among so many within three leases."""
    holder = {partition: pid for pid, partitions in crew.owners().items() for partition in partitions}
    moved = Counter[int]()

    def look() -> None:
        for pid, partitions in crew.owners().items():
            for partition in partitions:
                moved[partition] += holder.get(partition) != pid
                holder[partition] = pid

    with ThreadPoolExecutor(1) as other:
        changing = other.submit(change)
        began = time.monotonic()
        while not changing.done() or not crew.shared_by([host for host in crew.hosts if host.is_running]):
            assert time.monotonic() - began < 3 * LEASE + 5, crew.about()
            look()
        changing.result()
    look()
    seconds = time.monotonic() - began
    assert len(crew.owners()) == count
    assert max(moved.values()) <= 2
    return f"{seconds:.1f} s, {sum(moved.values())} of {PARTITIONS} moved"


def spread(seconds: list[float]) -> str:
    """Median and worst."""
    ordered = sorted(seconds)
    return f"median {ordered[len(ordered) // 2]:.2f} s, worst {ordered[-1]:.2f} s"
