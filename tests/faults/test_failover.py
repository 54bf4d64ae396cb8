"""The primary dies and its standby takes its place, with all that was acknowledged or without the last of it."""

import asyncio
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from benchmarks.postgres_cluster import Cluster

from support.host_crew import HostCrew, answers_again
from support.host_process import wait_until
from support.journeys import Journeys, listed, tally, unfinished
from support.postgres_server import own_server, standby_of

LEASE = 3.0
RESUME_SECONDS_MAX = 15.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]


def url_of(*servers: Cluster) -> str:
    """One that finds whichever of them takes writes."""
    hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    return f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write"


def say(server: Cluster, *statements: str) -> list[Any]:
    async def scenario() -> list[Any]:
        connection = await asyncpg.connect(server.url)
        try:
            return [await connection.fetchval(statement) for statement in statements]
        finally:
            await connection.close()

    return asyncio.run(scenario())


def fail_over(crew: HostCrew, primary: Cluster, standby: Cluster) -> float:
    """Seconds until all hosts take starts again."""
    with crew.fault("failover"):
        primary.stop(signal.SIGQUIT)
        say(standby, "select pg_promote()")
    return max(answers_again(host, RESUME_SECONDS_MAX, crew.about) for host in crew.hosts)


def test_a_failover_that_loses_nothing(tmp_path: Path) -> None:
    with (
        own_server() as primary,
        standby_of(primary, "synchronous_standby_names=*") as standby,
        HostCrew(tmp_path, url_of(primary, standby), lease_seconds=LEASE) as crew,
    ):
        journeys = Journeys(crew)
        with journeys.under_way():
            wait_until(lambda: len(journeys.starts) > 40, "some have started")
            took = fail_over(crew, primary, standby)
            crew.wait_shared()
        figures = journeys.check()
    print(f"\nresumed after {took:.1f} s; {figures}")


def test_a_failover_that_loses_commits(tmp_path: Path) -> None:
    """Hosts that have in memory what is no longer so find it out, and go on from what there is."""
    with (
        own_server() as primary,
        standby_of(primary) as standby,
        HostCrew(tmp_path, url_of(primary, standby), lease_seconds=LEASE) as crew,
    ):
        journeys = Journeys(crew, pause_seconds=0.02)
        with journeys.under_way():
            wait_until(lambda: len(journeys.starts) > 60, "some have started")
            say(standby, "alter system set primary_conninfo = ''", "select pg_reload_conf()")
            lost_from = len(journeys.starts)
            time.sleep(1.5)  # so much is lost
            lost_to = len(journeys.starts)
            took = fail_over(crew, primary, standby)
            crew.wait_shared()
            time.sleep(5)  # and so long all goes on
        one = crew.hosts[0]
        wait_until(lambda: not unfinished(one), "all have ended", limit=60, about=crew.about)
        found = {each["instanceId"]: each for each in listed(one, instanceIdPrefix="journey-")}
        told: Counter[int] = Counter()
        missing: list[int] = []
        for start in journeys.starts:
            n = start.number
            if start.instance_id not in found:
                if start.accepted:
                    missing.append(n)
                continue
            status = found[start.instance_id]
            expected = [n + 1, [n + 2, n + 3, n + 4], (n + 1) * 2, (n + 1) * 2 + 1]
            assert (status["runtimeStatus"], status["output"]) == ("Completed", expected), status
            told[n % 5] += 1
        for number, count in told.items():
            for key in (f"told-{number}", f"asked-{number}"):
                wait_until(lambda key=key, count=count: tally(one, key) == count, f"{key} is {count}", limit=10)
        crew.verify()
        assert missing
        # Lost is what was committed while nobody followed, and nothing else.
        assert lost_from - 5 <= min(missing), missing
        assert max(missing) <= lost_to + 40, missing
    print(f"\nresumed after {took:.1f} s; {len(missing)} starts of numbers {min(missing)} to {max(missing)} lost")
