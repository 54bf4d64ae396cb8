"""A hub that works is dumped, and goes on in another server, whose transactions have other numbers."""

import json
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from benchmarks.postgres_cluster import Cluster, programs

from support.host_crew import DURABLE, HostCrew
from support.host_process import HostProcess, wait_until
from support.journeys import Journeys, listed, tally, unfinished
from support.postgres_server import own_server

DATABASE = "restored"
SUSPENDED = [f"suspended-{n}" for n in range(10)]
NUMBERS = 200_000
"""So many transactions the one server is ahead of the other."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]


def ahead(crew: HostCrew) -> None:
    """Take many numbers of transactions."""
    crew.ask(f"do $$ begin for n in 1..{NUMBERS} loop perform pg_current_xact_id(); commit; end loop; end $$")


def by_pg_dump(server: Cluster, crew: HostCrew, folder: Path) -> Callable[[Cluster], str]:
    """Dump the schema while hosts work on it; what is given back restores it, and tells the URL."""
    dump = folder / "hub.dump"
    call("pg_dump", "--format=custom", f"--schema=perdure_{crew.hub}", f"--file={dump}", server.url)

    def restored(other: Cluster) -> str:
        url = urlsplit(other.url)._replace(path=f"/{DATABASE}").geturl()
        call("createdb", "-h", "127.0.0.1", "-p", str(other.port), "-U", "postgres", DATABASE)
        call("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={url}", str(dump))
        return url

    return restored


def call(program: str, *arguments: str) -> None:
    done = subprocess.run([programs() / program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("first_is_ahead", [True, False], ids=["from larger numbers", "from smaller numbers"])
def test_a_dumped_hub_goes_on_in_another_server(tmp_path: Path, server: Cluster, first_is_ahead: bool) -> None:
    with HostCrew(tmp_path / "first", server.url, count=2, lease_seconds=3) as crew:
        if first_is_ahead:
            ahead(crew)
        host, other_host = crew.hosts
        journeys = Journeys(crew, pause_seconds=0.02)
        waiting = [f"waits-{n}" for n in range(20)]
        with journeys.under_way():
            for name in waiting:
                host.start_instance(f"/api/start/waits/{name}", 1)
            for n in range(20):
                host.start_instance(f"/api/start/sleeps/sleeps-{n}", 15)
            # Rows that stay in the inbox, half of them written by the host that does not hold their partition.
            for name in SUSPENDED:
                host.start_instance(f"/api/start/waits/{name}", 1)
                wait_until(lambda name=name: crew.status(host, name) == "Running", name, about=crew.about)
                tell(host, name, "suspend")
                wait_until(lambda name=name: crew.status(host, name) == "Suspended", name, about=crew.about)
                tell(other_host, name, "raiseEvent/go")
            wait_until(lambda: len(journeys.starts) > 60, "much is under way")
            restore = by_pg_dump(server, crew, tmp_path)
        crew.kill_all()
        crew.hosts.clear()

    with own_server() as second:
        url = restore(second)
        with HostCrew(tmp_path / "second", url, count=2, lease_seconds=3, hub=crew.hub) as crew:
            if not first_is_ahead:
                ahead(crew)
            for name in SUSPENDED:
                assert crew.status(crew.hosts[0], name) == "Suspended"
                tell(crew.hosts[0], name, "resume")
            for name in waiting:
                tell(crew.hosts[1], name, "raiseEvent/go")
            check_goes_on(crew, [*waiting, *SUSPENDED])
            [[foreign]] = crew.ask(
                "select count(*) from hub.inbox where xid >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
            )
            assert foreign == 0


def tell(host: HostProcess, instance_id: str, what: str) -> None:
    answer = host.http.post(f"{DURABLE}/instances/{instance_id}/{what}", json=instance_id)
    assert answer.status_code == 202, answer.text


def check_goes_on(crew: HostCrew, waiting: list[str]) -> None:
    """What the dump holds comes to its end, and new work does."""
    one, two = crew.hosts
    for n in range(20):
        name = f"new-{uuid4().hex}"
        (one, two)[n % 2].start_instance(f"/api/start/sleeps/{name}", 0.1)
        wait_until(lambda name=name: crew.status(one, name) == "Completed", name, about=crew.about)
    for name in waiting:
        wait_until(lambda name=name: crew.status(one, name) == "Completed", name, about=crew.about)
    wait_until(lambda: not unfinished(one), "all journeys have ended", limit=60, about=crew.about)
    for n in range(20):
        wait_until(lambda n=n: crew.status(two, f"sleeps-{n}") == "Completed", "it has slept", about=crew.about)
    found = [each for each in listed(one, instanceIdPrefix="journey-") if not each["instanceId"].endswith(":leg")]
    assert found
    told: Counter[int] = Counter()
    for each in found:
        n = json.loads(each["input"]) if isinstance(each["input"], str) else each["input"]
        expected = [n + 1, [n + 2, n + 3, n + 4], (n + 1) * 2, (n + 1) * 2 + 1]
        assert (each["runtimeStatus"], each["output"]) == ("Completed", expected), each
        told[n % 5] += 1
    for number, count in told.items():
        for key in (f"told-{number}", f"asked-{number}"):
            wait_until(lambda key=key, count=count: tally(one, key) == count, f"{key} is {count}", limit=10)
    crew.verify()
