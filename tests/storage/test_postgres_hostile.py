"""What an operator sets for a role, takes from it or points us at: we work all the same, or say what is wrong."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from perdure.contracts.errors import StoreFailed, StoreUnusable
from perdure.storage.options import Access, StorageOptions
from perdure.storage.postgres.hubs import PostgresHubs
from support.postgres_server import looking_at, own_server, shared_server, standby_of
from support.shared_tables_stage import Parties, PostgresHub, id_in
from support.stored_instances import names, raised

HOSTILE = {
    "statement_timeout": "1ms",
    "lock_timeout": "1ms",
    "idle_in_transaction_session_timeout": "1ms",
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "default_transaction_deferrable": "on",
    "synchronous_commit": "off",
    "jit": "on",
    "jit_above_cost": "0",
    "plan_cache_mode": "force_custom_plan",
    "search_path": "nowhere",
    "TimeZone": "Asia/Kathmandu",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "bytea_output": "escape",
    "array_nulls": "off",
    "extra_float_digits": "-15",
    "standard_conforming_strings": "off",
    "plpgsql.variable_conflict": "use_column",
    "plpgsql.extra_errors": "all",
    "enable_indexscan": "off",
    "row_security": "off",
    "client_min_messages": "debug1",
}
SINCE = {14: {"idle_session_timeout": "250ms"}, 17: {"transaction_timeout": "5s"}}
"""Version → what it brought."""
REST_SECONDS = 0.4
"""Longer than a session of the role may rest."""


@asynccontextmanager
async def role(*statements: str, attributes: str = "login") -> AsyncIterator[str]:
    """A user of the test run's server, of whom these are said ("ROLE"); the URL for it."""
    name = f"u{uuid.uuid4().hex[:12]}"
    async with looking_at(shared_server()) as outside:
        await outside.execute(f"create role {name} {attributes}")
        await outside.execute(f"grant create on database postgres to {name}")
        for statement in statements:
            await outside.execute(statement.replace("ROLE", name))
        parts = urlsplit(shared_server())
        yield parts._replace(netloc=f"{name}@{parts.hostname}:{parts.port}").geturl()
        await outside.execute(f"drop owned by {name} cascade")
        await outside.execute(f"drop role {name}")


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(30):
            await scenario()

    asyncio.run(limited())


async def settings_of(url: str) -> dict[str, str]:
    async with looking_at(url) as outside:
        version = outside.get_server_version().major
    newer = [more for since, more in SINCE.items() if version >= since]
    return HOSTILE | {name: value for more in newer for name, value in more.items()}


async def sessions_of(hub: PostgresHub, server: str) -> set[int]:
    """Which there are of the hub."""
    async with looking_at(server) as outside:
        name = f"perdure {hub.name}"
        return {
            row[0] for row in await outside.fetch("select pid from pg_stat_activity where application_name = $1", name)
        }


async def works(url: str, server: str) -> None:
    """A process of a new hub: all it does but to wait for others. ``server``: seen by who may see everything."""
    hub = PostgresHub(url)
    parties = Parties(hub)
    try:
        owner = await parties.join(range(32))
        sessions = await sessions_of(hub, server)
        target = id_in(owner, range(32))
        await owner.inbox(target)
        await asyncio.sleep(REST_SECONDS)
        for n in range(5):
            await owner.send(raised(target, str(n)))
        assert names(await owner.inbox(target)) == [str(n) for n in range(5)]
        assert sessions < await sessions_of(hub, server)
        assert await owner.tables.renew(owner.process, 10, runs=True) is not None
        assert [finding async for finding in owner.tables.verify(liveness=True)] == []
    finally:
        await parties.close()
    hubs = PostgresHubs(url)
    await hubs.notes(hub.name).put({"a": "1"})
    assert await hubs.notes(hub.name).read("") == {"a": "1"}
    assert (await hubs.status(hub.name)).messages == 5
    assert await hubs.create(f"{hub.name}x", 3)
    await hubs.drop(f"{hub.name}x")


def test_what_is_set_for_a_role_does_not_reach_us() -> None:
    async def scenario() -> None:
        hostile = await settings_of(shared_server())
        said = [f"alter role ROLE set {name} = '{value}'" for name, value in hostile.items()]
        async with role(*said) as url:
            await works(url, shared_server())

    run(scenario)


def test_a_role_whose_commits_do_not_wait_for_the_disk_is_warned_of() -> None:
    async def scenario() -> None:
        async with role("alter role ROLE set synchronous_commit = off") as url:
            for way in ("none", "session", "transaction"):
                tables = PostgresHub(f"{url}?pooler={way}").tables()
                await tables.open()
                assert "WARNING: synchronous_commit is off on the server; it is on for this" in tables.describe()
                await tables.close()

    run(scenario)


def test_behind_a_pooler_a_role_that_only_reads_is_refused() -> None:
    async def scenario() -> None:
        async with role("alter role ROLE set default_transaction_read_only = on") as url:
            with pytest.raises(StoreUnusable, match=r"only read \(default_transaction_read_only\).*set it off"):
                await PostgresHub(f"{url}?pooler=transaction").tables().open()
            await works(f"{url}?pooler=session", shared_server())

    run(scenario)


def test_rights_that_lack_are_named_at_the_start() -> None:
    async def scenario() -> None:
        hub = PostgresHub()
        made = hub.tables()
        await made.open()
        await made.close()
        schema = f"perdure_{hub.name}"
        async with role(f"grant usage on schema {schema} to ROLE") as url:
            await say(f"grant select on {schema}.setting, {schema}.partition to public")
            lacking = PostgresHub(url, name=hub.name)
            with pytest.raises(
                StoreUnusable, match=r"lacks rights in the hub at .*: process \(select, insert, update, delete\), "
            ):
                await lacking.tables().open()
            await say(f"grant all on all tables in schema {schema} to public")
            with pytest.raises(
                StoreUnusable, match=r": arrival \(usage\), number_block \(usage\)\. .*grant all on all seq"
            ):
                await lacking.tables().open()
            await say(f"grant all on all sequences in schema {schema} to public")
            await say(f"revoke delete on {schema}.errand from public")
            with pytest.raises(StoreUnusable, match=r": errand \(delete\)\. Let the schema's owner run: grant usage"):
                await lacking.tables().open()
            reading = PostgresHub(url, StorageOptions(access=Access.READ_ONLY), name=hub.name).tables()
            await reading.open()
            await reading.close()
            await say(f"revoke select on {schema}.setting from public", f"grant delete on {schema}.errand to public")
            with pytest.raises(StoreUnusable, match="lacks a right: permission denied for table setting"):
                await lacking.tables().open()

    run(scenario)


async def say(*statements: str) -> None:
    async with looking_at(shared_server()) as outside:
        for statement in statements:
            await outside.execute(statement)


def test_rights_that_are_taken_away_later_end_the_work() -> None:
    async def scenario() -> None:
        async with role() as url:
            hub = PostgresHub(url)
            parties = Parties(hub)
            owner = await parties.join(range(32))
            name = urlsplit(url).username
            await say(f"alter table perdure_{hub.name}.inbox owner to postgres")
            with pytest.raises(StoreFailed, match="failed for good: permission denied for table inbox"):
                await owner.send(raised("a"))
            assert name
            await parties.close()
            await say(f"drop schema perdure_{hub.name} cascade")

    run(scenario)


def test_a_user_with_too_few_connections_is_told() -> None:
    async def scenario() -> None:
        async with role(attributes="login connection limit 1") as url:
            with pytest.raises(StoreUnusable, match=r"too many connections for role .* or the limit of the user"):
                await PostgresHub(url).tables().open()

    run(scenario)


def test_a_standby_is_refused_and_its_primary_found() -> None:
    async def scenario(standby: str, primary: str) -> None:
        with pytest.raises(StoreUnusable, match="is a standby, which takes no writes; name the primary"):
            await PostgresHub(standby).tables().open()
        ports = [urlsplit(url).port for url in (standby, primary)]
        both = f"postgresql://postgres@127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}/postgres"
        await works(f"{both}?target_session_attrs=read-write", primary)

    with own_server() as primary, standby_of(primary) as standby:
        asyncio.run(scenario(standby.url, primary.url))
