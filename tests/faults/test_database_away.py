"""The server restarts, has no connection or no space left, is slow, rolls transactions back: hosts go on afterwards.

PERDURE_FAULT_CYCLES / 5 restarts (20), and PERDURE_AWAY_SECONDS for the long outage (300).
"""

import asyncio
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import asyncpg
import pytest
from benchmarks.postgres_cluster import ACCOUNT, Cluster

from support.host_crew import DURABLE, HostCrew, answers_again, check_is_root
from support.host_process import wait_until
from support.journeys import Journeys
from support.postgres_server import own_server, quick_folder

RESTARTS = max(int(os.environ.get("PERDURE_FAULT_CYCLES", "100")) // 5, 1)
AWAY_SECONDS = float(os.environ.get("PERDURE_AWAY_SECONDS", "300"))
RESUME_SECONDS_MAX = 10.0
"""reliability.md O6, P2."""
SLOW_SECONDS = 0.2

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]


def resumed(crew: HostCrew) -> float:
    """Each host takes starts again, in time; the seconds of the slowest."""
    began = time.monotonic()
    for host in crew.hosts:
        answers_again(host, RESUME_SECONDS_MAX - (time.monotonic() - began), crew.about)
    return time.monotonic() - began


def test_restarts(tmp_path: Path, server: Cluster) -> None:
    """Of 0 to 30 seconds, fast and immediate by turns."""
    dice = random.Random(4)
    took: list[float] = []
    with HostCrew(tmp_path, server.url) as crew:
        journeys = Journeys(crew)
        with journeys.under_way():
            for number in range(RESTARTS):
                with crew.fault("restart"):
                    server.stop((signal.SIGINT, signal.SIGQUIT)[number % 2])
                    time.sleep(dice.uniform(0, 30) if number % 5 == 3 else dice.uniform(0, 2))  # so long it is away
                    server.start()
                took.append(resumed(crew))
                crew.wait_shared()
        assert journeys.refused[503]
        figures = journeys.check()
    print(f"\n{len(took)} restarts: resumed after {max(took):.1f} s at most; {figures}")


def test_a_long_outage(tmp_path: Path, server: Cluster) -> None:
    """Everything is refused and no host ends; what came due meanwhile happens at once, and no memory grows."""
    with HostCrew(tmp_path, server.url) as crew:
        sleepers = [f"sleeper-{number}" for number in range(20)]
        for name in sleepers:
            crew.hosts[0].start_instance(f"/api/start/sleeps/{name}", AWAY_SECONDS / 2)
        journeys = Journeys(crew)
        with journeys.under_way():
            wait_until(lambda: len(journeys.starts) > 20, "some have started")
            with crew.fault("outage"):
                server.stop(signal.SIGQUIT)
                wait_until(lambda: journeys.refused[503] > 20, "starts are refused", about=crew.about)
                before, refused, memory = len(journeys.starts), journeys.refused.copy(), resident(crew)
                time.sleep(AWAY_SECONDS)  # so long it is away
                asked, told = len(journeys.starts) - before, journeys.refused - refused
                grown = [now - then for now, then in zip(resident(crew), memory, strict=True)]
                server.start()
            took = resumed(crew)
            crew.wait_shared()
            for name in sleepers:
                wait_until(lambda name=name: crew.status(crew.hosts[0], name) == "Completed", name, about=crew.about)
        assert told.keys() == {503}
        # Each of the two that ask may have one on the way at either end.
        assert told[503] >= asked - 4
        assert max(grown) < 20, grown
        figures = journeys.check()
    print(f"\naway for {AWAY_SECONDS} s: resumed after {took:.1f} s, memory grew by {grown} MiB; {figures}")


def resident(crew: HostCrew) -> list[int]:
    """Mebibytes of memory of each host."""
    return [int(Path(f"/proc/{host.pid}/statm").read_text().split()[1]) * 4 // 1024 for host in crew.hosts]


def test_waiting_for_the_server_costs_nothing(tmp_path: Path, server: Cluster) -> None:
    """Less than 5 % of a processor, and the pauses between two tries stay short enough."""
    with HostCrew(tmp_path, server.url, count=2) as crew:
        server.stop()
        time.sleep(8)  # until every hold is over and every try has its longest pause
        before = [processor_seconds(host.pid) for host in crew.hosts]
        time.sleep(20)  # what is measured
        after = [processor_seconds(host.pid) for host in crew.hosts]
        spent = [now - then for now, then in zip(after, before, strict=True)]
        assert max(spent) < 0.05 * 20, spent
        assert all(host.http.get("/health").status_code == 503 for host in crew.hosts)
        server.start()
        took = resumed(crew)
        crew.wait_shared()
    print(f"\nprocessor while away {[f'{each / 20:.1%}' for each in spent]}, resumed after {took:.1f} s")


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_no_connection_is_left(tmp_path: Path) -> None:
    """Others take all, and those of the hosts are ended: they come back when there is room."""
    with own_server("max_connections=50") as server, HostCrew(tmp_path, server.url) as crew:
        journeys = Journeys(crew)
        with journeys.under_way():
            with crew.fault("no connection"), all_connections(server, seconds=8):
                pass
            took = resumed(crew)
            crew.wait_shared()
        assert journeys.refused[503]
        figures = journeys.check()
    print(f"\nresumed after {took:.1f} s; {figures}")


@contextmanager
def all_connections(server: Cluster, *, seconds: float) -> Iterator[None]:
    """All that the server gives, those of others too."""

    async def take() -> None:
        taken: list[asyncpg.Connection] = []
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                try:
                    taken.append(await asyncpg.connect(server.url))
                except (asyncpg.PostgresError, OSError):
                    await taken[0].execute(
                        "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'perdure %'"
                    )
                    await asyncio.sleep(0.01)
        finally:
            for connection in taken:
                connection.terminate()

    asyncio.run(take())
    yield


@pytest.mark.parametrize("state", ["40001", "40P01"])
def test_transactions_that_are_rolled_back(tmp_path: Path, server: Cluster, state: str) -> None:
    """Each tenth insert of a message: nobody is told, nothing runs twice."""
    with HostCrew(tmp_path, server.url) as crew:
        journeys = Journeys(crew)
        with journeys.under_way():
            for statement in (
                "create sequence hub.tries",
                f"""create function hub.fail() returns trigger language plpgsql as $$
                begin
                    if nextval('hub.tries') % 10 = 0 then
                        raise exception 'injected' using errcode = '{state}';
                    end if;
                    return new;
                end $$""",
                "create trigger fail before insert on hub.inbox for each row execute function hub.fail()",
            ):
                crew.ask(statement)
            time.sleep(15)  # so long it goes on
            crew.ask("drop trigger fail on hub.inbox")
        [[tries]] = crew.ask("select last_value from hub.tries")
        assert tries > 100
        assert not journeys.refused
        figures = journeys.check()
    assert not journeys.repeats
    print(f"\n{tries // 10} transactions rolled back with {state}; {figures}")


def test_a_slow_server(tmp_path: Path, server: Cluster) -> None:
    """Each answer 0.2 s late: nobody loses its place, and everything ends."""
    with HostCrew(tmp_path, server.url, proxied=True) as crew:
        places = crew.ask("select number from hub.process order by number")
        journeys = Journeys(crew)
        with journeys.under_way():
            for proxy in crew.proxies:
                proxy.delay(SLOW_SECONDS)
            time.sleep(30)  # three leases
            for proxy in crew.proxies:
                proxy.delay(0)
        assert crew.ask("select number from hub.process order by number") == places
        assert not journeys.refused
        assert journeys.slowest_seconds < 5
        figures = journeys.check()
    assert not journeys.repeats
    print(f"\n{figures}")


def test_a_full_disk(tmp_path: Path) -> None:
    """Starts are refused with 507 or 503, reads go on, and work goes on when there is space."""
    with small_server(48) as (server, space), HostCrew(tmp_path, server.url) as crew:
        journeys = Journeys(crew, pause_seconds=0.02)
        with journeys.under_way():
            wait_until(lambda: len(journeys.starts) > 50, "some have started")
            with crew.fault("full disk"):
                filler = space / "filler"
                fill(filler)
                wait_until(lambda: journeys.refused[507] > 20, "starts are refused", limit=30, about=crew.about)
                fill(filler)
                answers = [host.http.get(f"{DURABLE}/instances/journey-00000") for host in crew.hosts]
                assert {answer.status_code for answer in answers} <= {200, 202}
                filler.unlink()
            took = resumed(crew)
            crew.wait_shared()
        figures = journeys.check()
    print(f"\nresumed after {took:.1f} s; {figures}")


def fill(file: Path) -> None:
    """Until there is no room for one more page."""
    with file.open("ab", buffering=0) as filling:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    filling.write(bytes(size))
            except OSError:
                continue


@contextmanager
def small_server(mebibytes: int) -> Iterator[tuple[Cluster, Path]]:
    """A server whose tables lie on a disk of so much; and that disk. Its log lies elsewhere: without that it stops."""
    check_is_root("a small disk is mounted")
    folder = Path(tempfile.mkdtemp(prefix="perdure-pg-", dir=quick_folder()))
    with ExitStack() as ends:
        ends.callback(shutil.rmtree, folder)
        cluster = Cluster(folder)
        cluster.create()
        tables, space = folder / "data" / "base", folder / "space"
        space.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(space)], check=True)
        ends.callback(subprocess.run, ["umount", str(space)], check=True)
        shutil.copytree(tables, space / "base")
        shutil.rmtree(tables)
        tables.symlink_to(space / "base")
        for each in [space, *space.rglob("*")]:
            shutil.chown(each, ACCOUNT)
        cluster.start()
        ends.callback(cluster.stop)
        yield cluster, space
