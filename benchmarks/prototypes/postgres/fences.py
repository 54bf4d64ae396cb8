"""Whether a fence by a share lock keeps zombies out, and what it costs beside the alternatives.

First the rules, each shown with real connections; then costs. ``python -m benchmarks.prototypes.postgres.fences``
"""

import asyncio
import time
from statistics import median
from typing import Any

import asyncpg
import uvloop

from benchmarks.prototypes.postgres.server import running, until
from benchmarks.prototypes.postgres.shapes import FENCE, GUARDED, OneStatement, arguments, numbered
from benchmarks.prototypes.postgres.traffic import PARTITIONS, SCHEMA, Traffic

TAKE = "update partition set epoch = epoch + 1, owner = $2 where number = any($1::smallint[]) returning epoch"
RENEW = """with mine as (select number from partition where number = any($1::smallint[]) and owner = 'me'
    order by number for update) update partition p set expires_at = now() + interval '10 s' from mine
    where p.number = mine.number"""
WAITS = "select count(*) > 0 from pg_stat_activity where wait_event_type = 'Lock'"
LOCKS = {
    "none (commit of one row)": None,
    "for share": numbered(FENCE, 2, 2) + " order by p.number for share of p",
    "for key share": numbered(FENCE, 2, 2) + " order by p.number for key share of p",
    "advisory, shared": numbered(FENCE, 2, 2) + " and pg_try_advisory_xact_lock_shared(17, p.number)",
    "no lock": numbered(FENCE, 2, 2),
}


async def show_rules(url: str) -> None:
    """A commit begun before the takeover makes the takeover wait; one begun after it writes nothing."""
    old, new, watcher = [await asyncpg.connect(url) for _ in range(3)]
    traffic = Traffic(1, 64)
    await traffic.create(old)
    shape = await OneStatement().prepare(old)
    await old.execute("begin")
    await shape.write(traffic.batch(8))
    taking = asyncio.create_task(new.fetch(TAKE, list(range(PARTITIONS)), "new"))
    await until(watcher, WAITS)
    print("takeover waits for a commit that holds the share lock:", not taking.done())
    await old.execute("commit")
    await taking
    await old.execute("begin")
    await old.fetch(numbered(FENCE, 1, 2) + " for key share of p", [0], [2])
    await new.fetch("update partition set epoch = epoch where number = 0")
    await old.execute("rollback")
    print("takeover does not wait for a commit that holds the key share lock: that lock is no fence")
    rows = await new.fetchval("select count(*) from history")
    print(f"after it the new owner sees what the old one committed: {rows} of 8 history rows")

    await new.execute("begin")
    await new.fetch(TAKE, list(range(PARTITIONS)), "newer")
    zombie = asyncio.create_task(shape.statement.fetch(*_with_epoch(traffic, 2)))
    await until(watcher, WAITS)
    await new.execute("commit")
    _, held, updated, _ = (await zombie)[0]
    messages = await new.fetchval("select count(*) from inbox")
    print(f"a zombie's commit that waited for the takeover holds {held}, updates {updated}, has sent {messages - 8}")

    await new.execute("update partition set epoch = 1 where number % 2 = 0")
    _, held, updated, _ = (await shape.statement.fetch(*_with_epoch(traffic, 1)))[0]
    print(f"half of the partitions lost: {len(held)} held, {updated} of 32 instances updated, in one commit")
    for connection in (old, new, watcher):
        await connection.close()


def _with_epoch(traffic: Traffic, epoch: int) -> list[list[Any]]:
    batch = traffic.batch(8 if epoch == 2 else 32)
    batch.epochs = [epoch] * len(batch.epochs)
    return arguments(batch)


async def show_costs(url: str, *, seconds: float, rounds: int) -> None:
    """A commit of one row with each kind of lock on 1 and on 32 partitions: time and write-ahead log."""
    connection = await asyncpg.connect(url, server_settings=GUARDED)
    await connection.execute("create table if not exists ledger (n bigint); update partition set epoch = 1")
    texts: dict[str, str] = {}
    for name, fence in LOCKS.items():
        guard = "" if fence is None else f"with fence as materialized ({fence})"
        source = "select $1::bigint" + (
            "" if fence is None else " where (select count(*) from fence) = cardinality($2)"
        )
        texts[name] = f"{guard} insert into ledger {source}"
    for touched in (1, PARTITIONS):
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in texts}
        for _ in range(rounds):
            for name, text in texts.items():
                statement = await connection.prepare(text)
                given = [] if LOCKS[name] is None else [list(range(touched)), [1] * touched]
                before = await connection.fetchval("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
                times: list[float] = []
                end = time.perf_counter() + seconds
                while (begin := time.perf_counter()) < end:
                    await statement.fetch(1, *given)
                    times.append(time.perf_counter() - begin)
                log = await connection.fetchval("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn") - before
                found[name].append((median(times), float(log) / len(times)))
        print(f"fence over {touched} partitions")
        for name, values in found.items():
            p50, log = (median(column) for column in zip(*values, strict=True))
            print(f"  {name:26} p50 {p50 * 1e3:.3f} ms  {log:6,.0f} bytes of log a commit")
    await connection.close()


async def show_contention(url: str, *, seconds: float) -> None:
    """Two owners commit without pause while both renew: what a renewal waits, and that nothing deadlocks.

    Renewals come every 50 ms instead of every 3 s, so that there are enough of them.
    """
    waits: list[float] = []
    commits = 0
    end = time.perf_counter() + seconds

    async def commit(first: int, mine: range) -> None:
        nonlocal commits
        connection = await asyncpg.connect(url, server_settings=GUARDED)
        traffic = Traffic(first, 2_000, mine)
        await traffic.create(connection)
        shape = await OneStatement().prepare(connection)
        while time.perf_counter() < end:
            await shape.write(traffic.batch(64))
            commits += 1
        await connection.close()

    async def renew(mine: range) -> None:
        connection = await asyncpg.connect(url)
        statement = await connection.prepare(RENEW)
        while (begin := time.perf_counter()) < end:
            await statement.fetch(list(mine))
            waits.append(time.perf_counter() - begin)
            await asyncio.sleep(0.05)
        await connection.close()

    async with asyncio.TaskGroup() as group:
        for first, mine in ((10_000_001, range(16)), (20_000_001, range(16, 32))):
            group.create_task(commit(first, mine))
            group.create_task(commit(first + 1_000_000, mine))
            group.create_task(renew(mine))
    print(
        f"two owners, two writers each, renewing every 50 ms: {commits} commits of 64, {len(waits)} renewals,"
        f" p50 {median(waits) * 1e3:.1f} ms, longest {max(waits) * 1e3:.1f} ms; no deadlock"
    )


async def measure(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(SCHEMA)
    await connection.close()
    await show_rules(url)
    await show_costs(url, seconds=0.3, rounds=9)
    await give_back(url)
    await show_contention(url, seconds=5.0)


async def give_back(url: str) -> None:
    """Give all partitions back to the first owner."""
    connection = await asyncpg.connect(url)
    await connection.execute("update partition set epoch = 1, owner = 'me'")
    await connection.close()


def main() -> None:
    with running() as cluster, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(f"PostgreSQL {cluster.version()}, settings untouched")
        runner.run(measure(cluster.url))


if __name__ == "__main__":
    main()
