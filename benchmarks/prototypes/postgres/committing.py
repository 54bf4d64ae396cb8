"""Processes that commit in a closed loop: so many clients, each waiting for its checkpoint, and writers that take all
that waits into their next commit. The group commit of a store, with the engine left out.
"""

import asyncio
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from statistics import median, quantiles

import asyncpg
import uvloop

from benchmarks.prototypes.postgres.shapes import GUARDED, OneStatement
from benchmarks.prototypes.postgres.traffic import PARTITIONS, SCHEMA, Traffic


@dataclass(frozen=True)
class Load:
    """What each process does."""

    url: str
    clients: int
    writers: int = 1
    seconds: float = 1.5
    batch_max: int = 512
    work: float = 0.0
    """Seconds of the loop that each client takes before its next checkpoint, for the engine's part."""
    hints: str = "none"
    """``none``; ``inside``: NOTIFY in each commit; ``after``: at most one a millisecond on another connection."""


@dataclass(frozen=True)
class Outcome:
    """What one process reached."""

    done: int
    commits: int
    seconds: float
    p50: float
    p95: float
    processor: float


async def commit_loop(load: Load, process: int, processes: int) -> Outcome:
    """One process's part."""
    mine = range(process * PARTITIONS // processes, (process + 1) * PARTITIONS // processes)
    traffic = Traffic(1 + process * 1_000_000, 4_000, mine)
    waiting: asyncio.Queue[asyncio.Future[None]] = asyncio.Queue()
    hinter = await asyncpg.connect(load.url)
    await traffic.create(hinter)
    due = asyncio.Event()
    commits = 0
    end = 0.0

    async def write() -> None:
        nonlocal commits
        connection = await asyncpg.connect(load.url, server_settings=GUARDED)
        shape = OneStatement(hint=load.hints == "inside")
        await shape.prepare(connection)
        while True:
            taken = [await waiting.get()]
            while not waiting.empty() and len(taken) < load.batch_max:
                taken.append(waiting.get_nowait())
            await shape.write(traffic.batch(len(taken)))
            commits += 1
            due.set()
            for future in taken:
                future.set_result(None)

    async def hint() -> None:
        statement = await hinter.prepare("select pg_notify('hub', '7')")
        while True:
            await due.wait()
            due.clear()
            await statement.fetch()
            await asyncio.sleep(0.001)

    async def ask() -> list[float]:
        times: list[float] = []
        while (begin := time.perf_counter()) < end:
            future = asyncio.get_running_loop().create_future()
            waiting.put_nowait(future)
            await future
            times.append(time.perf_counter() - begin)
            busy_until = time.perf_counter() + load.work
            while time.perf_counter() < busy_until:
                pass
        return times

    tasks = [asyncio.create_task(write()) for _ in range(load.writers)]
    if load.hints == "after":
        tasks.append(asyncio.create_task(hint()))
    await asyncio.sleep(0.5)
    begin, own = time.perf_counter(), time.process_time()
    end = begin + load.seconds
    found = [t for times in await asyncio.gather(*(ask() for _ in range(load.clients))) for t in times]
    seconds, processor = time.perf_counter() - begin, time.process_time() - own
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return Outcome(len(found), commits, seconds, median(found), quantiles(found, n=20)[-1], processor)


def one_process(load: Load, process: int, processes: int) -> Outcome:
    """Run one process's part to its end."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(commit_loop(load, process, processes))


def in_processes(load: Load, processes: int) -> Sequence[Outcome]:
    """The load in as many processes, at the same time."""
    asyncio.run(lay_out(load.url))
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        running = [pool.submit(one_process, load, number, processes) for number in range(processes)]
        return [each.result() for each in running]


def told(outcomes: Sequence[Outcome]) -> str:
    """One line about them together."""
    done, commits = sum(o.done for o in outcomes), sum(o.commits for o in outcomes)
    seconds = max(o.seconds for o in outcomes)
    return (
        f"{done / seconds:7,.0f} checkpoints/s  {commits / seconds:6,.0f} commits/s of {done / max(commits, 1):5.1f}"
        f"  p50 {median(o.p50 for o in outcomes) * 1e3:6.2f} ms  p95 {max(o.p95 for o in outcomes) * 1e3:6.2f} ms"
        f"  Python {sum(o.processor for o in outcomes) / done * 1e6:5.1f} us each"
    )


async def lay_out(url: str) -> None:
    """Make the tables anew."""
    connection = await asyncpg.connect(url)
    await connection.execute("drop schema public cascade; create schema public;" + SCHEMA)
    await connection.close()
