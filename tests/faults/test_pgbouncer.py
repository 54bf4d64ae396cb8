"""Behind a real PgBouncer (Debian's package), in each mode that works: suites of stores, and hosts that are killed."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from benchmarks.postgres_cluster import Cluster

from support.host_apps import run_perdure
from support.host_crew import HostCrew, answers_again
from support.host_process import REPOSITORY
from support.journeys import Journeys
from support.pgbouncer import pgbouncer

MODES = {"transaction": {"default_pool_size": "8"}, "session": {"default_pool_size": "60"}}
"""Mode → its settings. Sessions are kept by who has them; transactions are short."""
LEASE = 3.0
RESUME_SECONDS_MAX = 15.0
"""Of reliability.md O6, and the time in which the pooler finds its server again."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]


@dataclass
class PooledCrew(HostCrew):
    """Hosts that go by the pooler; the test looks at the server itself."""

    pooler_url: str = ""

    def store_of(self, number: int) -> str:
        return self.pooler_url


@pytest.mark.parametrize("mode", MODES)
def test_hosts_that_are_killed_behind_it(tmp_path: Path, server: Cluster, mode: str) -> None:
    with (
        pgbouncer(server.url, mode, **MODES[mode]) as pooler,
        PooledCrew(tmp_path, server.url, lease_seconds=LEASE, pooler_url=pooler.url) as crew,
    ):
        journeys = Journeys(crew)
        with journeys.under_way():
            first, second, third = crew.hosts
            probes = crew.probe(first)
            crew.kill(first)
            killed = crew.taken_over(probes, second, LEASE + 5)
            crew.start(first)
            probes = crew.probe(second)
            crew.stop(second)
            stopped = crew.taken_over(probes, third, 3.0)
            crew.start(second)
            crew.wait_shared()
            resumed: list[float] = []
            with crew.fault("pooler restarted"):
                pooler.kill()
                pooler.start()
            resumed.append(max(answers_again(host, RESUME_SECONDS_MAX, crew.about) for host in crew.hosts))
            with crew.fault("server restarted"):
                server.stop(signal.SIGQUIT)
                server.start()
            resumed.append(max(answers_again(host, RESUME_SECONDS_MAX, crew.about) for host in crew.hosts))
            crew.wait_shared()
        figures = journeys.check()
        for command in (("hub", "status", crew.hub), ("hub", "list"), ("verify", "--task-hub-name", crew.hub)):
            ended = run_perdure(*command, "--store", pooler.url)
            assert ended.code == 0, (command, ended)
        says = "behind a transaction pooler" if mode == "transaction" else "behind a pooler that keeps sessions"
        assert all(says in host.log() for host in crew.hosts)
    print(f"\n{mode}: takeover {killed:.1f} s, hand-over {stopped:.1f} s, resumed after {resumed} s; {figures}")


@pytest.mark.parametrize("mode", MODES)
def test_the_suites_of_stores_behind_it(server: Cluster, mode: str) -> None:
    with pgbouncer(server.url, mode, **MODES[mode]) as pooler:
        command = [sys.executable, "-m", "pytest", "-q", "-n0", "-k", "postgres", "tests/contract/storage"]
        command += ["tests/contract/shared_tables", "--timeout", "120"]
        environment = {**os.environ, "PERDURE_POSTGRES_URL": pooler.url}
        done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:]
    print(f"\n{mode}: {done.stdout.splitlines()[-1]}")


def test_statement_mode_is_refused_in_one_line(tmp_path: Path, server: Cluster) -> None:
    with pgbouncer(server.url, "statement") as pooler:
        crew = PooledCrew(tmp_path, server.url)
        ended = run_perdure("start", crew.place(0), "--store", pooler.url, environment=crew.host_environment())
        assert (ended.code, len(ended.error_lines)) == (3, 1), ended
        assert "a pooler in statement mode" in ended.err
