"""A commit whose answer is lost: what the transaction's own id says afterwards, and what asking for it costs.

A proxy cuts the connection after the statement went to the server (then it commits, unheard) or before (then it never
ran). ``python -m benchmarks.prototypes.postgres.lost_answers``
"""

import asyncio
import time
from contextlib import suppress
from statistics import median

import asyncpg
import uvloop

from benchmarks.prototypes.postgres.server import Cluster, running, until
from benchmarks.prototypes.postgres.traffic import SCHEMA

LOST = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)


class Proxy:
    """Passes bytes on; ``mute`` drops the server's, ``cut`` ends both sides."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._writers: list[asyncio.StreamWriter] = []
        self.mute = False

    async def serve(self) -> int:
        self.server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        port: int = self.server.sockets[0].getsockname()[1]
        return port

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._cluster.port)
        self._writers += [writer, far_writer]
        await asyncio.gather(self._pass(reader, far_writer, False), self._pass(far_reader, writer, True))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: bool) -> None:
        with suppress(OSError):
            while piece := await reader.read(65_536):
                if not (answers and self.mute):
                    writer.write(piece)
            writer.close()


async def lose(cluster: Cluster, *, two_steps: bool) -> None:
    """Commit through a proxy that swallows the answer, then look the transaction up."""
    proxy = Proxy(cluster)
    port = await proxy.serve()
    through = await asyncpg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres")
    direct = await asyncpg.connect(cluster.url)
    insert = await through.prepare("insert into ledger values ($1) returning pg_current_xact_id()::text")
    number = await direct.fetchval("select count(*) from ledger")
    known = None
    if two_steps:
        await through.execute("begin")
        known = (await insert.fetch(number))[0][0]
        last = asyncio.create_task(through.execute("commit"))
        proxy.mute = True
    else:
        proxy.mute = True
        last = asyncio.create_task(insert.fetch(number))
    await until(direct, "select count(*) > $1 from ledger", number)
    proxy.cut()
    with suppress(*LOST):
        await last
    there = await direct.fetchval("select count(*) from ledger") > number
    said = None if known is None else await direct.fetchval("select pg_xact_status($1::text::xid8)", known)
    way = "BEGIN, write, COMMIT" if two_steps else "one statement"
    print(f"{way}: answer lost, committed: {there}, id known: {known is not None}, pg_xact_status: {said}")
    await direct.close()
    proxy.server.close()


async def measure(cluster: Cluster) -> None:
    connection = await asyncpg.connect(cluster.url)
    await connection.execute(SCHEMA + "create table ledger (n bigint); create table round (owner int, n bigint);")
    await lose(cluster, two_steps=True)
    await lose(cluster, two_steps=False)
    other = await asyncpg.connect(cluster.url)
    await other.execute("begin")
    known = (await other.fetch("insert into ledger values (-1) returning pg_current_xact_id()::text"))[0][0]
    print("in progress:", await connection.fetchval("select pg_xact_status($1::text::xid8)", known))
    other.terminate()
    await until(connection, "select pg_xact_status($1::text::xid8) <> 'in progress'", known)
    said = await connection.fetchval("select pg_xact_status($1::text::xid8)", known)
    print("after its connection was cut:", said)
    texts = {
        "an insert": ("insert into ledger values ($1)", 1),
        "... returning its id": ("insert into ledger values ($1) returning pg_current_xact_id()::text", 1),
        "... and a row of its own": (
            "with r as (update round set n = $1 where owner = 1) insert into ledger values ($1)",
            1,
        ),
        "pg_xact_status": ("select pg_xact_status($1::text::xid8)", known),
    }
    await connection.execute("insert into round values (1, 0)")
    statements = {name: (await connection.prepare(text), value) for name, (text, value) in texts.items()}
    found: dict[str, list[float]] = {name: [] for name in texts}
    for _ in range(1_500):
        for name, (statement, value) in statements.items():
            begin = time.perf_counter()
            await statement.fetch(value)
            found[name].append(time.perf_counter() - begin)
    for name, times in found.items():
        print(f"  {name:26} p50 {median(times) * 1e3:.3f} ms")
    await connection.close()


def main() -> None:
    with running() as cluster, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(f"PostgreSQL {cluster.version()}, settings untouched")
        runner.run(measure(cluster))


if __name__ == "__main__":
    main()
