"""Nothing reads a whole table but who asks for all of it: rows are found by their keys, pages by what is asked for."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from perdure.contracts.records import EndedFilter, EndedKey, InstanceFilter, PageKey
from perdure.core.instance import InstanceKind
from perdure.core.status import RuntimeStatus
from perdure.storage.changes import Changes
from perdure.storage.options import StorageOptions
from perdure.storage.postgres.pages import ended_query, page_query, prefix_bounds, purge_query
from perdure.storage.postgres.schema import Schema
from perdure.storage.rows import micros
from support.postgres_server import looking_at
from support.shared_tables_stage import Parties, PostgresHub
from support.stored_instances import T0, creation, later, raised

AFTER = PageKey(datetime(2026, 1, 1, tzinfo=UTC), "x")
RARE = frozenset({RuntimeStatus.Failed, RuntimeStatus.Suspended})
COMPLETED = frozenset({RuntimeStatus.Completed})
FEW = prefix_bounds("few")
ROWS = 20_000
FIRST = micros(AFTER.created_at) - ROWS * 500_000
"""When the first was made, one each second: half of them before ``AFTER``."""


def in_hub(scenario: Callable[[asyncpg.Connection, PostgresHub], Awaitable[Any]], hub: PostgresHub) -> Any:
    async def connected() -> Any:
        async with looking_at(hub.url) as outside:
            return await scenario(outside, hub)

    return asyncio.run(connected())


@pytest.fixture(scope="module")
def grown() -> Iterator[PostgresHub]:
    """A hub of many instances, nearly all completed."""
    hub = PostgresHub(options=StorageOptions(partitions=4))

    async def fill(outside: asyncpg.Connection, hub: PostgresHub) -> None:
        tables = hub.tables()
        await tables.open()
        await tables.close()
        place = Schema(hub.name).placed
        await outside.execute(
            place(
                f"""
                insert into hub.instance (
                    number, id, kind, name, execution_id, created_at, generation, origin_crc, status, updated_at,
                    last_seq, completed_at, progress_crc, partition
                )
                select n, 'many' || n, 0, 'flow', 'x', {FIRST} + n::bigint * 1000000, 0, 0,
                    case when n % 5000 = 0 then 3 else 1 end, n, 0, {FIRST} + n::bigint * 1000000, 0, n % 4
                from generate_series(1, {ROWS}) n;
                insert into hub.history (instance, first_seq, count, format, events, crc)
                select n, 0, 1, 1, '[]', 0 from generate_series(1, {ROWS}) n;
                insert into hub.inbox (position, partition, target, due_at, format, message, crc, xid)
                select n, n % 4, 'other' || n, nullif(n % 2, 0) * n, 1, '', 0, nullif(n % 3, 0)
                from generate_series(1, {ROWS}) n;
                insert into hub.activity (number, instance, execution_id, seq, task_id, name, crc, partition)
                select n, n, 'x', 0, 0, 'work', 0, n % 4 from generate_series(1, {ROWS}) n;
                """
            )
        )
        for table in ("instance", "history", "inbox", "activity"):
            await outside.execute(place(f"analyze hub.{table}"))

    in_hub(fill, hub)
    yield hub
    in_hub(lambda outside, hub: outside.execute(f'drop schema "perdure_{hub.name}" cascade'), hub)


def scans(hub: PostgresHub, text: str, parameters: list[Any]) -> list[dict[str, Any]]:
    """How a statement reads its tables, part by part."""

    async def explain(outside: asyncpg.Connection, hub: PostgresHub) -> Any:
        # Parameters as a driver sends them: by a prepared statement, planned for these values.
        statement = await outside.prepare(f"explain (format json) {text}")
        return await statement.fetchval(*parameters)

    plan = json.loads(in_hub(explain, hub))[0]["Plan"]
    found: list[dict[str, Any]] = []

    def walk(node: dict[str, Any]) -> None:
        if "Scan" in node["Node Type"] and node["Node Type"] not in ("Function Scan", "Subquery Scan"):
            found.append(node)
        for part in node.get("Plans", ()):
            walk(part)

    walk(plan)
    return found


@pytest.mark.parametrize("after", [None, AFTER], ids=["first", "next"])
@pytest.mark.parametrize(
    ("filter_", "few", "index"),
    [
        (InstanceFilter(), None, "instance_by_creation"),
        (InstanceFilter(created_from=AFTER.created_at), None, "instance_by_creation"),
        (InstanceFilter(statuses=COMPLETED), None, "instance_by_creation"),
        (InstanceFilter(statuses=RARE), None, "instance_by_status"),
        (InstanceFilter(statuses=RARE, name="order", created_from=AFTER.created_at), None, "instance_by_status"),
        (InstanceFilter(statuses=RARE, id_prefix="many"), None, "instance_by_status"),
        (InstanceFilter(id_prefix="many"), None, "instance_by_creation"),
        (InstanceFilter(id_prefix="few"), FEW, "instance_id_key"),
        (InstanceFilter(id_prefix="few", statuses=RARE), FEW, "instance_id_key"),
        (InstanceFilter(InstanceKind.ENTITY, id_prefix="@few@"), prefix_bounds("@few@"), "instance_id_key"),
        (InstanceFilter(InstanceKind.ENTITY, statuses=RARE), None, "instance_by_creation"),
    ],
)
def test_a_page_is_read_by_the_index_of_what_is_asked_for(
    grown: PostgresHub,
    filter_: InstanceFilter,
    few: tuple[str, str] | None,
    index: str,
    after: PageKey | None,
) -> None:
    text, parameters = page_query(Schema(grown.name).sql, filter_, 100, after, few)
    for scan in (found := scans(grown, text, parameters)):
        assert scan.get("Index Name") == index, found


@pytest.mark.parametrize("after", [None, EndedKey(AFTER.created_at, "x")], ids=["first", "next"])
def test_what_has_ended_is_listed_by_when(grown: PostgresHub, after: EndedKey | None) -> None:
    text, parameters = ended_query(Schema(grown.name).sql["ended"], EndedFilter(statuses=COMPLETED), 100, after)
    assert [scan.get("Index Name") for scan in scans(grown, text, parameters)] == ["instance_by_completion"]


def test_what_may_be_purged_is_walked_over_in_its_order(grown: PostgresHub) -> None:
    narrowed = InstanceFilter(statuses=COMPLETED)
    text, parameters = purge_query(Schema(grown.name).sql["purgeable"], narrowed, 100, (5, "x"))
    assert [scan.get("Index Name") for scan in scans(grown, text, parameters)] == ["instance_by_creation"]


def test_what_names_its_rows_reads_no_table_whole(grown: PostgresHub) -> None:
    """By the server's own count, over everything that a process does while it runs."""

    async def scenario() -> dict[str, int]:
        parties = Parties(grown)
        owner = await parties.join(range(4))
        before = await counted()
        begun = await owner.start("a")
        pending = owner.activity(begun)
        begun = await owner.advance(begun, activities=[pending])
        await owner.send(raised("a"), raised("b", due_at=later(5)))
        await owner.create(creation("c"))
        children = [owner.numbered(creation(each, if_taken=raised("a"))) for each in ("c", "d", "many7")]
        await owner.write(Changes(children=children), "c", "d", "many7", "a")
        await owner.write(Changes(ended_activities=[pending.number], discarded=[5, 7]))
        await owner.advance(begun, status=RuntimeStatus.Completed)
        again = owner.numbered(creation("a", created_at=later(9)))
        await owner.write(Changes(replaced=["a"], replaced_if_ended=["a"], created=[again]), "a")
        await owner.write(Changes(purged=["many9", "a"]))
        tables = owner.tables
        await tables.load(["a", "c"])
        await tables.statuses_of(["a", "many3"])
        await tables.get("a")
        await tables.read_inbox("a", T0)
        await tables.backlog_sizes(["a", "other5"])
        await tables.arrivals([1], 1 << 40)
        await tables.read_due([1], T0, later(60))
        await tables.renew(owner.process, 60, runs=True)
        # What a session has counted is known when it ends.
        await parties.close()
        after = await counted()
        return {table: after[table] - before[table] for table in after}

    async def counted() -> dict[str, int]:
        async with looking_at(grown.url) as outside:
            rows = await outside.fetch(
                "select relname, seq_scan from pg_stat_user_tables where schemaname = $1 and relname = any($2)",
                f"perdure_{grown.name}",
                ["instance", "history", "inbox", "activity"],
            )
            return {row["relname"]: row["seq_scan"] for row in rows}

    assert asyncio.run(scenario()) == dict.fromkeys(["activity", "history", "inbox", "instance"], 0)


def test_ids_in_one_partition_are_found_by_their_partition(grown: PostgresHub) -> None:
    sql = Schema(grown.name).sql
    expected = {
        "messages_to": ([1, "a", 5], {"inbox_by_target"}),
        "due_messages": ([[1], 5, 9], {"inbox_by_due"}),
        "arrivals": ([[1], 1 << 40], {"inbox_by_xid"}),
        "statuses_of": ([["a"]], {"instance_id_key"}),
        "instances_by_id": ([["a"]], {"instance_id_key"}),
        "backlog_sizes": ([[1], ["a"]], {"inbox_by_target"}),
        "activities_of": ([1, 5], {"activity_by_instance"}),
    }
    for name, (parameters, indexes) in expected.items():
        found = {scan.get("Index Name") for scan in scans(grown, sql[name], parameters)}
        assert indexes <= found, (name, found)
