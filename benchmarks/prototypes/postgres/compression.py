"""What compressing history rows of 5 KB costs and saves: none, pglz, and lz4 where the server has it.

``python -m benchmarks.prototypes.postgres.compression``
"""

import asyncio
import random
import time
from statistics import median

import asyncpg
import uvloop
from asyncpg.prepared_stmt import PreparedStatement

from benchmarks.prototypes.postgres.commit_shapes import backend_seconds
from benchmarks.prototypes.postgres.server import running

ROWS = 64
CASES = {
    "none": "storage external",
    "pglz": "compression pglz",
    "lz4": "compression lz4",
}


def episode(dice: random.Random) -> str:
    """Events as they are: the same names again and again, values that differ."""
    events = [
        f'{{"t":"TaskCompleted","seq":{n},"task":{n},"result":"{{\\"id\\":\\"{dice.getrandbits(64):016x}\\"}}"}}'
        for n in range(62)
    ]
    return "[" + ",".join(events) + "]"


async def measure(url: str) -> None:
    connection = await asyncpg.connect(url)
    dice = random.Random(7)
    texts = [episode(dice) for _ in range(ROWS)]
    print(f"rows of {len(texts[0])} characters, {ROWS} a commit")
    cases: dict[str, PreparedStatement] = {}
    for name, setting in CASES.items():
        await connection.execute(f"create table history_{name} (number bigserial primary key, events text)")
        try:
            await connection.execute(f"alter table history_{name} alter column events set {setting}")
        except asyncpg.FeatureNotSupportedError as error:
            print(f"  {name}: {error}")
            continue
        text = f"insert into history_{name} (events) select * from unnest($1::text[])"
        cases[name] = await connection.prepare(text)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for _ in range(5):
        for name, statement in cases.items():
            times: list[float] = []
            before, end = backend_seconds(connection.get_server_pid()), time.perf_counter() + 1.0
            while (begin := time.perf_counter()) < end:
                await statement.fetch(texts)
                times.append(time.perf_counter() - begin)
            spent = backend_seconds(connection.get_server_pid()) - before
            found[name].append((median(times), spent / len(times) / ROWS))
    for name, values in found.items():
        p50, spent = (median(column) for column in zip(*values, strict=True))
        size = await connection.fetchval(
            f"select pg_table_size('history_{name}') / (select count(*) from history_{name})"
        )
        print(f"  {name:5} p50 {p50 * 1e3:6.2f} ms, backend {spent * 1e6:5.1f} us a row, {size:5.0f} bytes a row kept")
    await connection.close()


def main() -> None:
    with running() as cluster, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(f"PostgreSQL {cluster.version()}, settings untouched")
        runner.run(measure(cluster.url))


if __name__ == "__main__":
    main()
