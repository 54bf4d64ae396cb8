"""How the hot tables grow under steady traffic, by autovacuum settings, fillfactor and indexes.

5,000 checkpoints a second in batches of 50 over 10,000 instances; each sixth one ends its instance and the next begins
it again. ``python -m benchmarks.prototypes.postgres.dead_rows [seconds [case ...]]``
"""

import asyncio
import sys
import time
from statistics import median

import asyncpg
import uvloop

from benchmarks.prototypes.postgres.commit_shapes import backend_seconds
from benchmarks.prototypes.postgres.server import running
from benchmarks.prototypes.postgres.shapes import GUARDED, OneStatement
from benchmarks.prototypes.postgres.traffic import SCHEMA, Traffic

RATE = 5_000
SIZE = 50
VACUUM = (
    "autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,"
    " autovacuum_vacuum_insert_scale_factor = 0.2"
)
EAGER = "".join(f"alter table {table} set ({VACUUM});" for table in ("inbox", "activity", "instance"))
BY_STATUS = "create index on instance (status, created_at, id) where kind = 0 and status <> 1;"
BY_COMPLETION = "create index on instance (completed_at) where completed_at is not null;"
LOOSE = "alter table instance set (fillfactor = 70);"
CASES: dict[str, tuple[str, float]] = {
    "defaults": ("", 0),
    "eager autovacuum": (EAGER, 0),
    "eager, fillfactor 70": (EAGER + LOOSE, 0),
    "eager, fillfactor 70, index by status": (EAGER + LOOSE + BY_STATUS + BY_COMPLETION, 0),
    "eager, fillfactor 70, index on updated_at": (EAGER + LOOSE + "create index on instance (updated_at);", 0),
    "own VACUUM each 10 s, fillfactor 70, by status": (LOOSE + BY_STATUS + BY_COMPLETION, 10),
}
SIZES = """select relname, n_tup_upd, n_tup_hot_upd, n_dead_tup, autovacuum_count + vacuum_count,
    pg_table_size(relid), pg_indexes_size(relid)
    from pg_stat_user_tables where relname in ('instance', 'inbox', 'activity') order by relname"""


async def measure(url: str, name: str, *, seconds: float) -> None:
    more, pause = CASES[name]
    connection, other = await asyncpg.connect(url, server_settings=GUARDED), await asyncpg.connect(url)
    await connection.execute("drop schema public cascade; create schema public;" + SCHEMA + more)
    traffic = Traffic(1, 10_000)
    await traffic.create(connection)
    await connection.execute("analyze")
    shape = await OneStatement().prepare(connection)
    times: list[float] = []
    begin = time.perf_counter()
    server = backend_seconds(connection.get_server_pid())

    async def vacuum() -> None:
        while pause:
            await asyncio.sleep(pause)
            await other.execute("vacuum (analyze, skip_locked) inbox, activity, instance")

    vacuuming = asyncio.create_task(vacuum())
    for number in range(int(seconds * RATE / SIZE)):
        await asyncio.sleep(max(0.0, begin + number * SIZE / RATE - time.perf_counter()))
        start = time.perf_counter()
        await shape.write(traffic.batch(SIZE))
        times.append(time.perf_counter() - start)
    spent = backend_seconds(connection.get_server_pid()) - server
    vacuuming.cancel()
    await asyncio.gather(vacuuming, return_exceptions=True)
    await connection.execute("select pg_stat_force_next_flush()")
    tenth = len(times) // 10
    print(
        f"{name}: {len(times) * SIZE} checkpoints in {time.perf_counter() - begin:.0f} s, p50 first tenth"
        f" {median(times[:tenth]) * 1e3:.2f} ms, last {median(times[-tenth:]) * 1e3:.2f} ms,"
        f" backend {spent / len(times) / SIZE * 1e6:.0f} us each"
    )
    for table, updated, hot, dead, vacuums, heap, indexes in await other.fetch(SIZES):
        share = f", {hot / updated:.0%} of {updated} updates HOT" if updated else ""
        print(
            f"  {table:9} heap {heap / 1e6:6.1f} MB, indexes {indexes / 1e6:6.1f} MB, {dead:7} dead rows,"
            f" {vacuums} vacuums{share}",
            flush=True,
        )
    await connection.close()
    await other.close()


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    for name in sys.argv[2:] or CASES:
        with running() as cluster, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(measure(cluster.url, name, seconds=seconds))


if __name__ == "__main__":
    main()
