"""What one commit costs by its shape, for 1, 8, 64 and 512 checkpoints: latency, rows a second, processor time.

``python -m benchmarks.prototypes.postgres.commit_shapes [SHAPE ...]``; shapes take turns, figures are medians of the
rounds.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import asyncpg
import uvloop

from benchmarks.prototypes.postgres.server import running
from benchmarks.prototypes.postgres.shapes import (
    GENERIC,
    GUARDED,
    Bracketed,
    Copied,
    Function,
    GuardedFunction,
    OneStatement,
    Separate,
)
from benchmarks.prototypes.postgres.traffic import SCHEMA, Traffic

ROWS = 6
SHAPES: dict[str, tuple[Callable[[], Any], dict[str, str]]] = {
    "separate": (Separate, {}),
    "separate, generic": (Separate, GENERIC),
    "separate, guarded": (Separate, GUARDED),
    "one statement": (OneStatement, {}),
    "one statement, generic": (OneStatement, GENERIC),
    "one statement, guarded": (OneStatement, GUARDED),
    "... unfenced": (lambda: OneStatement("no lock"), GUARDED),
    "... for key share": (lambda: OneStatement("for key share"), GUARDED),
    "... in BEGIN, COMMIT": (Bracketed, GUARDED),
    "... counting rounds": (lambda: OneStatement().counting(), GUARDED),
    "one function": (Function, {}),
    "one function, guarded": (Function, GUARDED),
    "... by its own settings": (GuardedFunction, {}),
    "inserts by COPY, guarded": (Copied, GUARDED),
}


def backend_seconds(pid: int) -> float:
    """Processor time of one server process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(url: str, names: list[str], *, rounds: int, seconds: float) -> None:
    traffic = Traffic(1, 4_000)
    shapes: dict[str, Any] = {}
    pids: dict[str, int] = {}
    for name in names:
        make, settings = SHAPES[name]
        connection = await asyncpg.connect(url, server_settings=settings)
        if not shapes:
            await connection.execute(SCHEMA)
            await traffic.create(connection)
            await connection.execute("analyze")
        shapes[name] = await make().prepare(connection)
        pids[name] = connection.get_server_pid()
    for size in (1, 8, 64, 512):
        found: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in shapes}
        for _ in range(rounds):
            for name, shape in shapes.items():
                for _ in range(8):
                    await shape.write(traffic.batch(size))
                times: list[float] = []
                making = 0.0
                begin, own, server = time.perf_counter(), time.process_time(), backend_seconds(pids[name])
                while time.perf_counter() - begin < seconds:
                    start, start_own = time.perf_counter(), time.process_time()
                    batch = traffic.batch(size)
                    making += time.process_time() - start_own
                    start = time.perf_counter()
                    await shape.write(batch)
                    times.append(time.perf_counter() - start)
                done = len(times) * size
                found[name].append(
                    (
                        median(times),
                        quantiles(times, n=20)[-1] if len(times) > 1 else times[0],
                        (time.process_time() - own - making) / done,
                        (backend_seconds(pids[name]) - server) / done,
                    )
                )
        print(f"\n{size} checkpoints a commit ({ROWS * size} rows)")
        for name, values in found.items():
            p50, p95, own, server = (median(column) for column in zip(*values, strict=True))
            print(
                f"  {name:26} p50 {p50 * 1e3:7.2f} ms  p95 {p95 * 1e3:7.2f} ms  {size / p50:8,.0f} checkpoints/s"
                f"  {size * ROWS / p50:8,.0f} rows/s  Python {own * 1e6:6.1f} us  backend {server * 1e6:6.1f} us each"
            )


def main() -> None:
    with running() as cluster:
        print(f"PostgreSQL {cluster.version()}, settings untouched")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(measure(cluster.url, sys.argv[1:] or list(SHAPES), rounds=5, seconds=0.4))


if __name__ == "__main__":
    main()
