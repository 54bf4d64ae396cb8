"""Claiming offered work: rows a second with 1 and 4 claimers and 10,000 open offers, by the way of claiming.

A claimer takes up to K offers it can serve, then completes each batch: offers deleted by token, messages inserted, in
one statement. ``python -m benchmarks.prototypes.postgres.offers``
"""

import asyncio
import time
from collections.abc import Sequence
from statistics import median

import asyncpg
import uvloop

from benchmarks.prototypes.postgres.server import running
from benchmarks.prototypes.postgres.shapes import GUARDED
from benchmarks.prototypes.postgres.traffic import EXECUTION, SCHEMA

OFFERS = 10_000
TABLE = """drop table if exists offer; create table offer (
    number bigint primary key, partition smallint not null, target text not null, kind smallint not null,
    name text collate "C" not null, task text not null, token bigint, claimed_until timestamptz
) with (fillfactor = 80);
create index offer_open on offer (name, number) where token is null;"""
FILL = (
    """insert into offer select n, n % 32, 'order-' || n, 0, 'name-' || n % 5, $1 from generate_series(1, $2::int) n"""
)
CLAIMS = {
    "update by join": """with taken as materialized (select number from offer
        where name = any($1::text[]) and token is null order by number limit $2 for update skip locked)
        update offer o set token = $3, claimed_until = now() + interval '30 s' from taken
        where o.number = taken.number returning o.number, o.target, o.task""",
    "update by array of keys": """update offer o set token = $3, claimed_until = now() + interval '30 s'
        where number = any(array(select number from offer where name = any($1::text[]) and token is null
        order by number limit $2 for update skip locked)) returning o.number, o.target, o.task""",
    "... without order": """update offer o set token = $3, claimed_until = now() + interval '30 s'
        where number = any(array(select number from offer where name = any($1::text[]) and token is null
        limit $2 for update skip locked)) returning o.number, o.target, o.task""",
    "update by ctid": """update offer o set token = $3, claimed_until = now() + interval '30 s'
        where ctid = any(array(select ctid from offer where name = any($1::text[]) and token is null
        limit $2 for update skip locked)) returning o.number, o.target, o.task""",
}
COMPLETE = """with ended as (delete from offer where number = any($1::bigint[]) and token = $2
        returning number, partition, target)
    insert into inbox select number, partition, target, null, 1, $3, 7 from ended returning position"""
NAMES = [f"name-{n}" for n in range(5)]


async def one_round(claimers: Sequence[asyncpg.Connection], claim: str, size: int) -> tuple[float, float, float]:
    """Claim and complete all; returns seconds, median of a claim and of a completion."""
    first = claimers[0]
    await first.execute(TABLE + "truncate inbox;")
    await first.execute(FILL, '{"input":"' + EXECUTION * 4 + '"}', OFFERS)
    await first.execute("analyze offer")
    claims: list[float] = []
    completions: list[float] = []
    done: list[int] = []

    async def work(connection: asyncpg.Connection, token: int) -> None:
        claiming, completing = await connection.prepare(claim), await connection.prepare(COMPLETE)
        begin = time.perf_counter()
        while taken := [row[0] for row in await claiming.fetch(NAMES, size, token)]:
            claims.append(time.perf_counter() - begin)
            begin = time.perf_counter()
            done.extend(row[0] for row in await completing.fetch(taken, token, '"Hello Tokyo!"'))
            completions.append(time.perf_counter() - begin)
            begin = time.perf_counter()

    begin = time.perf_counter()
    await asyncio.gather(*(work(connection, token) for token, connection in enumerate(claimers, 1)))
    seconds = time.perf_counter() - begin
    if sorted(done) != list(range(1, OFFERS + 1)):
        raise RuntimeError(f"{OFFERS} offers, {len(done)} completions of {len(set(done))} different ones")
    return seconds, median(claims), median(completions)


async def measure(url: str, *, rounds: int) -> None:
    connections = [await asyncpg.connect(url, server_settings=GUARDED) for _ in range(4)]
    await connections[0].execute(SCHEMA)
    for claimers in (1, 4):
        for size in (10, 100):
            found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in CLAIMS}
            for _ in range(rounds):
                for name, claim in CLAIMS.items():
                    found[name].append(await one_round(connections[:claimers], claim, size))
            for name, values in found.items():
                seconds, claim_p50, complete_p50 = (median(column) for column in zip(*values, strict=True))
                print(
                    f"{claimers} claimers, {size:3} at a time, {name:24} {OFFERS / seconds:7,.0f} offers/s, each once;"
                    f" claim p50 {claim_p50 * 1e3:.2f} ms, completion p50 {complete_p50 * 1e3:.2f} ms",
                    flush=True,
                )
    for connection in connections:
        await connection.close()


def main() -> None:
    with running() as cluster, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(f"PostgreSQL {cluster.version()}, settings untouched")
        runner.run(measure(cluster.url, rounds=3))


if __name__ == "__main__":
    main()
