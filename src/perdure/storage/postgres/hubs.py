"""The hubs of a PostgreSQL database, for operators: each method connects for its own length."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import asyncpg

from perdure.contracts.errors import StoreInUse
from perdure.core.status import RuntimeStatus
from perdure.storage.options import Access
from perdure.storage.postgres.address import read_address
from perdure.storage.postgres.meanings import LOST_ERRORS, REFUSES_SETTINGS, meaning, unusable
from perdure.storage.postgres.notes import PostgresNotes
from perdure.storage.postgres.schema import PREFIX, Schema
from perdure.storage.postgres.sessions import SteadyConnection, session_settings
from perdure.storage.server_hubs import HostRow, HubEntry, HubStatus, NoSuchHub
from perdure.storage.sql_files import named_statements, read_text

CONNECT_SECONDS_MAX = 10
STATEMENT_SECONDS_MAX = 300
"""A hub's backlog may be long."""
SERVED = "perdure task hub, run by servers"
"""The comment of a schema whose hub servers run unasked: it is read without a look into the schema."""
LOCK_SECONDS_MAX = 10
"""How long a drop waits for who is just reading the hub."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SQL = named_statements(read_text("perdure.storage.postgres", "hubs.sql"))


class PostgresHubs:
    """See ``storage.server_hubs.HubServer``."""

    def __init__(self, url: str) -> None:
        """Raises StoreUnusable for a URL that cannot be read."""
        self._address = read_address(url)

    async def entries(self) -> list[HubEntry]:
        """See ``HubServer``."""
        async with self._connected() as connection:
            found: list[HubEntry] = []
            for row in await connection.fetch(_SQL["entries"]):
                hub = row["schema"].removeprefix(PREFIX)
                schema = Schema(hub)
                try:
                    version = await connection.fetchval(schema.placed(_SQL["version"]))
                    hosts = await connection.fetchval(schema.placed(_SQL["hosts_count"]))
                except asyncpg.UndefinedTableError:
                    continue  # dropped a moment ago
                found.append(
                    HubEntry(
                        name=hub, schema=schema.name, version=version or 0, size=row["size"] or 0, hosts=hosts or 0
                    )
                )
            return found

    async def names(self) -> dict[str, bool]:
        """See ``HubServer``."""
        async with self._connected() as connection:
            rows = await connection.fetch(_SQL["names"])
            return {row["schema"].removeprefix(PREFIX): row["comment"] == SERVED for row in rows}

    async def mark_served(self, hub: str) -> None:
        """See ``HubServer``."""
        schema = Schema(hub)
        async with self._connected() as connection:
            await self._version(connection, schema)
            await connection.execute(f"comment on schema \"{schema.name}\" is '{SERVED}'")

    async def exists(self, hub: str) -> bool:
        """See ``HubServer``."""
        schema = Schema(hub)
        async with self._connected() as connection:
            return await self._is_there(connection, schema)

    async def create(self, hub: str, partitions: int | None) -> bool:
        """See ``HubServer``."""
        schema = Schema(hub)
        async with self._connected() as connection:
            was_there = await self._is_there(connection, schema)
            await schema.ready(connection, self._place(schema), Access.HOLD, partitions)
            return not was_there

    async def upgrade(self, hub: str) -> tuple[int, int]:
        """See ``HubServer``."""
        schema = Schema(hub)
        async with self._connected() as connection:
            before = await self._version(connection, schema)
            await schema.ready(connection, self._place(schema), Access.HOLD, None)
            return before, await self._version(connection, schema)

    async def drop(self, hub: str) -> None:
        """See ``HubServer``."""
        schema = Schema(hub)
        async with self._connected() as connection:
            await self._version(connection, schema)
            async with connection.transaction():
                await connection.execute(f"set local lock_timeout = '{LOCK_SECONDS_MAX}s'")
                # Nobody comes between the look and the deed: to announce itself a host needs this table.
                await connection.execute(schema.placed("lock table hub.process in access exclusive mode"))
                working = [row["name"] for row in await connection.fetch(schema.placed(_SQL["working_hosts"]))]
                if working:
                    raise StoreInUse(_at_work(hub, self._address.shown, working))
                await connection.execute(f'drop schema "{schema.name}" cascade')

    def notes(self, hub: str) -> PostgresNotes:
        """See ``HubServer``."""
        return PostgresNotes(self._connected, Schema(hub).placed)

    async def status(self, hub: str) -> HubStatus:
        """See ``HubServer``."""
        schema = Schema(hub)
        async with self._connected() as connection:
            await self._version(connection, schema)
            version, _ = await schema.versions(connection, self._place(schema))
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                size = await connection.fetchval(_SQL["size"], schema.name)
                partitions = await connection.fetch(schema.placed(_SQL["partitions"]))
                hosts = await connection.fetch(schema.placed(_SQL["hosts"]))
                backlog = await connection.fetchrow(schema.placed(_SQL["backlog"]), RuntimeStatus.Pending.value)
                connections = await connection.fetchrow(_SQL["connections"])
            assert backlog is not None
            assert connections is not None
            return HubStatus(
                name=hub.lower(),
                schema=schema.name,
                version=version,
                size=size or 0,
                now=_moment(backlog["now"]),
                partition_count=len(partitions),
                free=tuple(row["number"] for row in partitions if row["owner"] is None),
                hosts=tuple(_host(row) for row in hosts),
                messages=backlog["messages"],
                oldest_at=None if backlog["oldest"] is None else _moment(backlog["oldest"]),
                activities=backlog["activities"],
                connections=connections["used"],
                connections_max=connections["most"],
            )

    async def _is_there(self, connection: asyncpg.Connection, schema: Schema) -> bool:
        name = f'"{schema.name}".setting'
        return bool(await connection.fetchval("select to_regclass($1) is not null", name))

    async def _version(self, connection: asyncpg.Connection, schema: Schema) -> int:
        if not await self._is_there(connection, schema):
            hub = schema.name.removeprefix(PREFIX)
            raise NoSuchHub(f"There is no task hub '{hub}' at {self._address.shown}.")
        return int(await connection.fetchval(schema.placed(_SQL["version"])) or 0)

    def _place(self, schema: Schema) -> str:
        return f"{self._address.shown} (task hub '{schema.name.removeprefix(PREFIX)}')"

    async def _connect(self) -> asyncpg.Connection:
        """As for a pooler in transaction mode, which may be there."""
        connect = partial(
            asyncpg.connect,
            self._address.dsn,
            timeout=CONNECT_SECONDS_MAX,
            statement_cache_size=0,
            connection_class=SteadyConnection,
        )
        try:
            return await connect(server_settings=session_settings(STATEMENT_SECONDS_MAX, None, 0))
        except asyncpg.ProtocolViolationError as error:
            if REFUSES_SETTINGS not in str(error):
                raise
        return await connect()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[asyncpg.Connection]:
        place = self._address.shown
        try:
            connection = await self._connect()
        except (asyncpg.PostgresError, *LOST_ERRORS, ValueError) as error:
            raise unusable(error, place) from error
        try:
            yield connection
        except (asyncpg.PostgresError, *LOST_ERRORS) as error:
            raise meaning(error, place) from error
        finally:
            try:
                await connection.close(timeout=5)
            except (TimeoutError, asyncpg.PostgresError, *LOST_ERRORS):
                connection.terminate()


def _host(row: asyncpg.Record) -> HostRow:
    return HostRow(
        number=row["number"],
        name=row["name"],
        is_alive=row["is_alive"],
        partitions=tuple(row["partitions"]),
        lease_ends_at=row["expires_at"],
    )


def _at_work(hub: str, place: str, working: list[str]) -> str:
    others = f" and {len(working) - 1} more" if len(working) > 1 else ""
    return (
        f"The task hub '{hub}' at {place} is being worked on by {working[0]}{others}. Stop them first; one that was "
        "killed is off the list when its lease has ended, after 10 seconds."
    )


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
