"""Opening a hub on a server: what a URL may say, what is made, what is refused, and what is only warned of."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from benchmarks.postgres_cluster import Cluster

from perdure.contracts.errors import StoreUnusable
from perdure.storage.options import Access, Durability, StorageOptions
from perdure.storage.postgres import schema
from perdure.storage.postgres.address import Pooler, read_address
from perdure.storage.postgres.hubs import PostgresHubs
from perdure.storage.postgres.tables import PostgresTables
from support.postgres_server import looking_at, quick_folder, shared_server
from support.shared_tables_stage import PostgresHub

SECRET = "s3cret"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://db.example/app", "postgresql://db.example/app"),
        (f"postgres://me:{SECRET}@db.example:5433/app", "postgresql://me@db.example:5433/app"),
        (f"postgresql:///app?host=/run/pg&user=me&password={SECRET}", "postgresql://me@/run/pg/app"),
        (f"postgresql://m%40e:{SECRET}%23@one,two/app?target_session_attrs=primary", "postgresql://m@e@one,two/app"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    address = read_address(url)
    assert address.shown == shown
    assert address.pooler is None


def test_what_is_between_us_and_the_server_is_not_told_to_the_driver() -> None:
    address = read_address("postgresql://db.example/app?sslmode=require&pooler=transaction")
    assert address.pooler is Pooler.TRANSACTION
    assert address.dsn == "postgresql://db.example/app?sslmode=require"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (f"mysql://me:{SECRET}@db/app", "begins with 'mysql:'"),
        (f"postgresql://me:{SECRET}@db:port/app", "cannot be read"),
        (f"postgresql://me:{SECRET}@db:99999/app", "cannot be read"),
        (f"postgresql://me:{SECRET}@db/app?sslmod=require", "'sslmod' that is not known; did you mean 'sslmode'?"),
        (f"postgresql://me:{SECRET}@db/app?anything=1", "'anything' that is not known; there are: "),
        (f"postgresql://me:{SECRET}@db/app?sslmode", "write NAME=VALUE"),
        (f"postgresql://me:{SECRET}@db/app?pooler=sessions", "'transaction', 'session' or 'none'"),
        (f"postgresql://me:{SECRET}#@db/app", "write it as %23"),
    ],
)
def test_a_url_that_cannot_be_read_is_refused_without_its_password(url: str, says: str) -> None:
    with pytest.raises(StoreUnusable) as refused:
        read_address(url)
    assert says in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("hub", ["", "a b", "ü", 'x"; drop schema public; --', "a" * 46])
def test_a_name_that_can_be_no_hubs_is_refused(hub: str) -> None:
    with pytest.raises(StoreUnusable, match="cannot name a task hub"):
        PostgresTables("postgresql://db/app", hub, StorageOptions())


def refusal(url: str, hub: str | None = None, **options: object) -> str:
    """Why the hub cannot be opened: one line."""

    async def scenario() -> None:
        made = PostgresHub(url, StorageOptions(**options), name=hub)  # type: ignore[arg-type]
        await made.tables().open()

    with pytest.raises(StoreUnusable) as refused:
        asyncio.run(scenario())
    assert "\n" not in str(refused.value)
    assert SECRET not in str(refused.value)
    return str(refused.value)


def altered(*, user: str = f"postgres:{SECRET}", database: str = "postgres") -> str:
    """The URL of the test run's server, with other names in it."""
    parts = urlsplit(shared_server())
    return parts._replace(netloc=f"{user}@{parts.hostname}:{parts.port}", path=f"/{database}").geturl()


def execute(*statements: str) -> None:
    async def scenario() -> None:
        async with looking_at(shared_server()) as outside:
            for statement in statements:
                await outside.execute(statement)

    asyncio.run(scenario())


def test_a_server_that_is_not_there_is_named() -> None:
    assert "postgresql://me@127.0.0.1:1/app, hub 't" in (said := refusal(f"postgresql://me:{SECRET}@127.0.0.1:1/app"))
    assert said.endswith("Start it, or check the URL.")


def test_an_unknown_user_is_named() -> None:
    assert 'role "nobody here" does not exist' in (said := refusal(altered(user=f"nobody%20here:{SECRET}")))
    assert said.endswith("Check user name and password.")


def test_an_unknown_database_is_named() -> None:
    assert 'database "missing" does not exist' in (said := refusal(altered(database="missing")))
    assert said.endswith("Create the database, or name another one.")


def test_a_tls_mode_that_is_none_is_named() -> None:
    assert "cannot be used" in refusal(altered() + "?sslmode=maybe")


def test_a_server_without_tls_is_told_of_when_the_url_demands_it() -> None:
    assert "rejected SSL upgrade" in refusal(altered() + "?sslmode=require")


def test_who_may_not_make_schemas_is_told_what_the_owner_must_do() -> None:
    execute("drop role if exists small", "create role small login")
    said = refusal(altered(user=f"small:{SECRET}"), hub="small")
    assert said.endswith('grant create on database "postgres" to "small".')


def test_who_may_not_make_schemas_may_use_one_that_is_there() -> None:
    execute("drop role if exists modest", "create role modest login", "create schema perdure_m authorization modest")

    async def scenario() -> None:
        tables = PostgresTables(altered(user="modest"), "m", StorageOptions())
        await tables.open()
        await tables.announce("x", 1)
        await tables.close()

    asyncio.run(scenario())


def test_a_database_of_another_encoding_is_refused() -> None:
    execute("drop database if exists latin", "create database latin encoding 'LATIN1' template template0 locale 'C'")
    assert "has the encoding LATIN1; make one with: createdb -E UTF8" in refusal(altered(database="latin"))


def test_a_hub_is_made_once_by_many_who_come_at_once() -> None:
    async def scenario() -> None:
        hub = PostgresHub(options=StorageOptions(partitions=5))
        several = [hub.tables() for _ in range(4)]
        await asyncio.gather(*(tables.open() for tables in several))
        assert [tables.partition_count for tables in several] == [5] * 4
        assert len({await tables.announce("x", 10) for tables in several}) == 4
        assert all("5 partitions" in tables.describe() for tables in several)
        await asyncio.gather(*(tables.close() for tables in several))

    asyncio.run(scenario())


def test_hubs_of_one_database_know_nothing_of_each_other() -> None:
    async def scenario() -> None:
        first, second = PostgresHub().tables(), PostgresHub().tables()
        await asyncio.gather(first.open(), second.open())
        assert await first.announce("x", 10) == await second.announce("x", 10) == 1
        await asyncio.gather(first.close(), second.close())

    asyncio.run(scenario())


def test_another_count_of_partitions_is_refused() -> None:
    hub = PostgresHub(options=StorageOptions(partitions=5))

    async def scenario() -> None:
        tables = hub.tables()
        await tables.open()
        await tables.close()

    asyncio.run(scenario())
    assert "made with 5 partitions, for ever, and 6 are asked for" in refusal(hub.url, hub.name, partitions=6)


def test_who_only_reads_makes_nothing() -> None:
    hub = PostgresHub()
    assert "There is no hub at" in refusal(hub.url, hub.name, access=Access.READ_ONLY)

    async def scenario() -> object:
        async with looking_at(hub.url) as outside:
            return await outside.fetchval("select to_regnamespace($1)", f"perdure_{hub.name}")

    assert asyncio.run(scenario()) is None


def test_a_newer_hub_is_refused_with_its_version_unless_it_says_that_we_may_use_it() -> None:
    hub = PostgresHub()

    async def scenario() -> None:
        tables = hub.tables()
        await tables.open()
        await tables.close()
        async with looking_at(hub.url) as outside:
            set_ = f"update perdure_{hub.name}.setting set value = 99 where name"
            await outside.execute(f"{set_} = 'version'")
            await tables.open()
            await tables.close()
            hubs = PostgresHubs(hub.url)
            assert (await hubs.status(hub.name)).version == 99
            assert await hubs.upgrade(hub.name) == (99, 99)
            await outside.execute(f"{set_} = 'usable_from'")
            for asked in (hubs.status(hub.name), hubs.upgrade(hub.name)):
                with pytest.raises(StoreUnusable, match="has schema version 99; this program knows versions up to"):
                    await asked

    asyncio.run(scenario())
    known = len(schema.read_steps())
    assert f"has schema version 99; this program knows versions up to {known}" in refusal(hub.url, hub.name)


def test_a_hub_whose_making_was_cut_short_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = schema.read_steps()

    async def scenario() -> None:
        hub = PostgresHub()
        for done in range(len(steps)):
            # The next step fails at its end, as if it were killed there, and leaves nothing.
            broken = schema.Step(done + 1, steps[done].text + "\nselect 1 / 0;")
            monkeypatch.setattr(schema, "read_steps", lambda cut=[*steps[:done], broken]: cut)
            with pytest.raises(StoreUnusable, match="division by zero"):
                await hub.tables().open()
            monkeypatch.setattr(schema, "read_steps", lambda cut=steps[: done + 1]: cut)
            tables = hub.tables()
            await tables.open()
            await tables.close()
        tables = hub.tables()
        await tables.open()
        assert tables.partition_count == schema.DEFAULT_PARTITIONS
        assert await tables.announce("x", 10) == 1
        await tables.close()

    asyncio.run(scenario())


def test_a_server_that_knows_no_word_for_compression_gets_a_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """As PostgreSQL 13: the statements are of no language it has."""
    steps = schema.read_steps()
    first = schema.Step(1, steps[0].text.replace("set compression", "set nothing_known"))
    assert first != steps[0]
    monkeypatch.setattr(schema, "read_steps", lambda: [first, *steps[1:]])

    async def scenario() -> None:
        tables = PostgresHub().tables()
        await tables.open()
        assert await tables.announce("x", 10) == 1
        await tables.close()

    asyncio.run(scenario())


@contextmanager
def server_with(*settings: str) -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="perdure-pg-", dir=quick_folder()))
    cluster = Cluster(folder)
    try:
        cluster.create()
        cluster.start(*settings)
        yield cluster.url
    finally:
        cluster.stop()
        shutil.rmtree(folder)


def test_a_server_that_may_lose_what_it_has_acknowledged_is_warned_of() -> None:
    async def scenario(url: str, durability: Durability) -> str:
        tables = PostgresHub(url, StorageOptions(durability=durability)).tables()
        await tables.open()
        described = tables.describe()
        await tables.close()
        return described

    with server_with("fsync=off", "synchronous_commit=off") as url:
        full = asyncio.run(scenario(url, Durability.FULL))
        relaxed = asyncio.run(scenario(url, Durability.RELAXED))
    assert "WARNING: fsync is off on the server: a power cut may damage the database" in full
    assert "WARNING: synchronous_commit is off on the server; it is on for this store's connections" in full
    assert "durability relaxed" in relaxed
    assert "synchronous_commit" not in relaxed
    assert "WARNING" not in asyncio.run(scenario(shared_server(), Durability.FULL))


def test_a_server_that_takes_no_more_connections_says_so() -> None:
    with server_with("max_connections=4", "superuser_reserved_connections=0") as url:

        async def scenario() -> None:
            held = [await asyncpg.connect(url) for _ in range(4)]
            try:
                with pytest.raises(StoreUnusable, match=r"takes no more connections.*Raise max_connections"):
                    await PostgresHub(url).tables().open()
            finally:
                await asyncio.gather(*(connection.close() for connection in held))

        asyncio.run(scenario())
