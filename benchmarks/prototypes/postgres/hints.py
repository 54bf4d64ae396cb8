"""What NOTIFY costs inside the commit and after it, with 1 and 4 committing processes, and how fast it arrives.

``python -m benchmarks.prototypes.postgres.hints``
"""

import asyncio
import time
from statistics import median, quantiles

import asyncpg
import uvloop

from benchmarks.prototypes.postgres.committing import Load, in_processes, told
from benchmarks.prototypes.postgres.server import running

ROUNDS = 3


async def listen(url: str, listeners: int) -> list[asyncpg.Connection]:
    connections = [await asyncpg.connect(url) for _ in range(listeners)]
    for connection in connections:
        await connection.add_listener("hub", lambda *_: None)
    return connections


async def latency(url: str, *, count: int) -> None:
    """From just before the NOTIFY is sent to the listener's callback, one a millisecond."""
    times: list[float] = []
    listener, sender = await asyncpg.connect(url), await asyncpg.connect(url)
    await listener.add_listener("clock", lambda *a: times.append(time.perf_counter() - float(a[3])))
    statement = await sender.prepare("select pg_notify('clock', $1)")
    own, calls = time.process_time(), []
    for _ in range(count):
        begin = time.perf_counter()
        await statement.fetch(str(begin))
        calls.append(time.perf_counter() - begin)
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.1)
    print(
        f"hint to callback: p50 {median(times) * 1e3:.2f} ms, p99 {quantiles(times, n=100)[-1] * 1e3:.2f} ms;"
        f" the NOTIFY itself p50 {median(calls) * 1e3:.2f} ms; {len(times)} of {count} came;"
        f" both ends {(time.process_time() - own) / count * 1e6:.0f} us of processor"
    )
    await listener.close()
    await sender.close()


def main() -> None:
    with running() as cluster:
        print(f"PostgreSQL {cluster.version()}, settings untouched")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(latency(cluster.url, count=2_000))
            connections = runner.run(listen(cluster.url, 4))
            for processes, clients in ((1, 16), (4, 1), (4, 16)):
                for _ in range(ROUNDS):
                    for hints in ("none", "inside", "after"):
                        load = Load(cluster.url, clients, seconds=1.5, hints=hints)
                        line = told(in_processes(load, processes))
                        print(f"{processes} processes of {clients:2} clients, hints {hints:6}: {line}", flush=True)
            for connection in connections:
                connection.terminate()


if __name__ == "__main__":
    main()
