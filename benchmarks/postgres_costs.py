"""``python -m benchmarks.postgres_costs [--keep]``: what one process asks of its PostgreSQL server, by workload.

Statements, rows, dead rows and write-ahead log are counted by the server itself, locks and connections by looking at
it meanwhile. What a process that does nothing asks is counted first, and taken off. Two minutes, of which most is
waiting: a server publishes what a connection did ten seconds after its last statement.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import asyncpg

from benchmarks.engines.perdure import PerdureOnPostgres
from benchmarks.machine import read_machine, read_source
from benchmarks.measuring import cpu_seconds

PUBLISHED_SECONDS = 11.0
IDLE_SECONDS = 30.0
LOOK_SECONDS = 0.1
WORK = Path(__file__).resolve().parent / ".runs"

_TOTALS = """
select d.xact_commit + d.xact_rollback as statements, pg_current_wal_insert_lsn() - '0/0' as wal,
    t.inserted, t.updated, t.deleted, t.hot, t.dead
from pg_stat_database d, (
    select sum(n_tup_ins) as inserted, sum(n_tup_upd) as updated, sum(n_tup_del) as deleted, sum(n_tup_hot_upd) as hot,
        sum(n_tup_upd + n_tup_del) as dead
    from pg_stat_user_tables where schemaname like 'perdure%'
) t where d.datname = current_database()
"""
_LOCKS = """
select count(*) from pg_locks where pid <> pg_backend_pid() and fastpath is not null
group by pid order by 1 desc limit 1
"""
_WAITING = "select count(*) from pg_locks where not granted"
_CONNECTIONS = """
select count(*) from pg_stat_activity
where datname <> current_database() and backend_type = 'client backend'
"""


@dataclass(frozen=True, slots=True)
class Step:
    """One workload and the unit by which its costs are told."""

    title: str
    unit: str
    units: int
    run: Callable[[PerdureOnPostgres], Awaitable[object]]


async def _singles(engine: PerdureOnPostgres, count: int) -> None:
    for _ in range(count):
        await engine.single()


STEPS = (
    Step("A, 3,000 at once", "orchestration of 5 activities", 3000, lambda engine: engine.sequences(3000)),
    Step("A, 10 at once", "orchestration of 5 activities", 500, lambda engine: _by_tens(engine, 50)),
    Step("B, 10,000 parallel", "activity", 10_000, lambda engine: engine.fan_out(10_000)),
    Step("C, one at a time", "orchestration of 1 activity", 300, lambda engine: _singles(engine, 300)),
    Step("E, 1,000 in a row", "step", 1000, lambda engine: engine.long(1000)),
    Step("F, 2,000 created", "waiting instance", 2000, lambda engine: engine.create_waiting(2000)),
    Step("F, 2,000 released", "released instance", 2000, lambda engine: engine.release_waiting(2000)),
)


async def _by_tens(engine: PerdureOnPostgres, times: int) -> None:
    for _ in range(times):
        await engine.sequences(10)


class Looks:
    """While it is entered, looks at locks and connections; what was most stays."""

    def __init__(self, watcher: asyncpg.Connection) -> None:
        self._watcher = watcher
        self.locks = self.waiting = self.connections = 0

    async def __aenter__(self) -> "Looks":
        self._looking = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._looking.cancel()
        await asyncio.wait([self._looking])

    async def _look(self) -> None:
        while True:
            self.locks = max(self.locks, await self._watcher.fetchval(_LOCKS) or 0)
            self.waiting = max(self.waiting, await self._watcher.fetchval(_WAITING) or 0)
            self.connections = max(self.connections, await self._watcher.fetchval(_CONNECTIONS) or 0)
            await asyncio.sleep(LOOK_SECONDS)


class Counter:
    """Differences of the server's totals, without what the counting itself adds."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._own = 0
        self._before: dict[str, float] = {}

    async def begin(self) -> None:
        """From here on."""
        self._before = await self._totals()

    async def end(self) -> dict[str, float]:
        """Up to here, once everything is published."""
        now = await self._totals()
        return {name: value - self._before[name] for name, value in now.items()}

    async def _totals(self) -> dict[str, float]:
        await asyncio.sleep(PUBLISHED_SECONDS)
        connection = await asyncpg.connect(self._url)
        try:
            row = await connection.fetchrow(_TOTALS)
        finally:
            await connection.close()
        assert row is not None
        self._own += 1
        # Each look before this one was one statement.
        return {name: float(value or 0) for name, value in row.items()} | {
            "statements": float(row["statements"]) - self._own + 1
        }


async def measure(folder: Path) -> tuple[dict[str, float], list[dict[str, float | str]]]:
    """What idling costs a second, and a row for each step."""
    engine = PerdureOnPostgres(folder)
    await engine.start()
    try:
        # The looks go to another database of the server: their statements are not counted.
        watcher = await asyncpg.connect(engine.url.rpartition("/")[0] + "/postgres")
        counter = Counter(engine.url)
        await engine.sequences(100)
        await counter.begin()
        await asyncio.sleep(IDLE_SECONDS)
        idle = await counter.end()
        idle = {name: value / (IDLE_SECONDS + PUBLISHED_SECONDS) for name, value in idle.items()}
        rows = [await _measure(engine, step, counter, watcher, idle) for step in STEPS]
        await watcher.close()
        return idle, rows
    finally:
        await engine.stop()


async def _measure(
    engine: PerdureOnPostgres, step: Step, counter: Counter, watcher: asyncpg.Connection, idle: dict[str, float]
) -> dict[str, float | str]:
    servers = [server.pid for server in engine.servers]
    await counter.begin()
    loop = asyncio.get_running_loop()
    begun, all_before, before = loop.time(), cpu_seconds(engine.pids()), cpu_seconds(servers)
    async with Looks(watcher) as looks:
        await step.run(engine)
    seconds = loop.time() - begun
    server = cpu_seconds(servers) - before
    process = cpu_seconds(engine.pids()) - all_before - server
    counted = await counter.end()
    elapsed = seconds + PUBLISHED_SECONDS
    each = {name: (value - idle[name] * elapsed) / step.units for name, value in counted.items()}
    return {
        "title": step.title,
        "unit": step.unit,
        **each,
        "process_us": process / step.units * 1e6,
        "server_us": server / step.units * 1e6,
        "locks": looks.locks,
        "waiting": looks.waiting,
        "connections": looks.connections,
    }


COLUMNS = (
    ("statements", "statements", 3),
    ("inserted", "rows in", 1),
    ("updated", "changed", 1),
    ("hot", "of them HOT", 1),
    ("deleted", "out", 1),
    ("dead", "dead rows", 1),
    ("wal", "log bytes", 0),
    ("process_us", "µs process", 0),
    ("server_us", "µs server", 0),
    ("locks", "locks at most", 0),
    ("waiting", "waited for", 0),
    ("connections", "connections", 0),
)


def report(command: str, source: str, idle: dict[str, float], rows: Sequence[dict[str, float | str]]) -> str:
    """As Markdown."""
    machine = read_machine(WORK)
    head = ["workload", "for each", *(title for _, title, _ in COLUMNS)]
    lines = [
        f"# What a process asks of PostgreSQL, {date.today().isoformat()}",
        "",
        f"Commit {source}; `{command}`. {machine['cores']} x {machine['processor']}, load "
        f"{machine['load_1m_at_start']}. PostgreSQL with default settings, 32 partitions, one process.",
        "",
        f"A process that does nothing: {idle['statements']:.2f} statements a second, "
        f"{idle['updated']:.2f} rows changed, {idle['wal']:,.0f} bytes of log.",
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
    ]
    for row in rows:
        cells = [f"{float(row[name]):,.{digits}f}" for name, _, digits in COLUMNS]
        lines.append("| " + " | ".join([str(row["title"]), str(row["unit"]), *cells]) + " |")
    lines += [
        "",
        "Log bytes contain the images of whole pages that the server writes once after each of its checkpoints. Locks "
        "are those of one transaction, tables and indexes included; nobody waits for them (waited for: 0).",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.postgres_costs", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep the report in benchmarks/results/")
    given = parser.parse_args()
    WORK.mkdir(exist_ok=True)
    source = read_source()
    with (
        tempfile.TemporaryDirectory(dir=WORK, ignore_cleanup_errors=True) as folder,
        asyncio.Runner(loop_factory=PerdureOnPostgres(Path(folder)).new_loop) as runner,
    ):
        idle, rows = runner.run(measure(Path(folder)))
    command = "python -m benchmarks.postgres_costs"
    text = report(command, source.short + (" with changes" if source.changed else ""), idle, rows)
    print(text)
    if given.keep:
        path = Path(__file__).parent / "results" / f"postgres-costs-{date.today().isoformat()}-{source.short}.md"
        path.write_text(text)
        print(f"kept: {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
