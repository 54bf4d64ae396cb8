"""The way to the server: connections made alike, and whether it can be reached at all."""

import asyncio
import random
from contextlib import suppress
from typing import TypeAlias

import asyncpg

from perdure.contracts.errors import StoreUnusable, Unavailable
from perdure.storage.options import Durability
from perdure.storage.postgres.address import Address, Pooler
from perdure.storage.postgres.meanings import LOST_ERRORS, meaning, unusable

Connection: TypeAlias = asyncpg.Connection

CONNECT_SECONDS_MAX = 5
PAUSE_SECONDS_MIN = 0.05
PAUSE_SECONDS_MAX = 5.0
"""Between two tries to reach a server that is away."""
VERSION_MIN = 13


class Server:
    """One database of a server, as one process reaches it.

    While it is known to be away, whoever wants a connection is refused at once, and one task tries to reach it.
    """

    def __init__(self, address: Address, place: str, name: str, durability: Durability) -> None:
        self.place = place
        self.pooler = address.pooler
        self.version = 0
        self.warnings: list[str] = []
        self._address = address
        self._name = name
        self._commit = "off" if durability is Durability.RELAXED else None
        """What synchronous_commit is set to; None leaves it as the server has it."""
        self._away: BaseException | None = None
        self._back = asyncio.Event()
        self._trying: asyncio.Task[None] | None = None

    @property
    def is_pooled(self) -> bool:
        return self.pooler is Pooler.TRANSACTION

    async def first_connection(self, statement_seconds: float) -> Connection:
        """As at a start: look at the server, too. Raises StoreUnusable."""
        try:
            try:
                connection = await self._connect(statement_seconds)
            except asyncpg.ProtocolViolationError as error:
                if _POOLER_SAYS not in str(error) or self.pooler is not None:
                    raise
                self.pooler = Pooler.TRANSACTION
                connection = await self._connect(statement_seconds)
            try:
                await self._look(connection)
            except BaseException:
                connection.terminate()
                raise
        except (asyncpg.PostgresError, *LOST_ERRORS, ValueError) as error:
            raise unusable(error, self.place) from error
        return connection

    async def connection(self, statement_seconds: float) -> Connection:
        """A new connection whose statements may take so long. Raises Unavailable."""
        if self._away is not None:
            raise meaning(self._away, self.place)
        try:
            return await self._connect(statement_seconds)
        except (asyncpg.PostgresError, *LOST_ERRORS) as error:
            self._went_away(error)
            raise Unavailable(
                f"The store at {self.place} cannot be reached: {error or type(error).__name__}."
            ) from error

    async def reachable(self) -> None:
        """Wait until it is not known to be away."""
        while self._away is not None:
            await self._back.wait()

    async def second_connection(self, first: Connection, statement_seconds: float) -> Connection | None:
        """None when it ends in the session of the first one: then each transaction may run anywhere.

        What is known of a pooler is settled by it. Raises StoreUnusable.
        """
        try:
            second = await self._connect(statement_seconds)
            if self.pooler is None:
                is_one = await first.fetchval(_SESSION) == await second.fetchval(_SESSION)
                self.pooler = Pooler.TRANSACTION if is_one else Pooler.NONE
                if is_one:
                    second.terminate()
                    return None
        except (asyncpg.PostgresError, *LOST_ERRORS) as error:
            raise unusable(error, self.place) from error
        return second

    def opening(self, statement_seconds: float) -> str:
        """What begins a transaction behind a pooler, where a session keeps no settings for us."""
        commit = "" if self._commit is None else f"; set local synchronous_commit = {self._commit}"
        milliseconds = int(statement_seconds * 1000)
        return (
            f"begin isolation level read committed; set local jit = off; set local statement_timeout = {milliseconds}; "
            f"set local idle_in_transaction_session_timeout = 5000{commit}"
        )

    def close(self) -> None:
        if self._trying is not None:
            self._trying.cancel()

    async def _connect(self, statement_seconds: float) -> Connection:
        settings: dict[str, str] = {"application_name": self._name}
        if not self.is_pooled:
            settings |= {
                "jit": "off",
                "statement_timeout": str(int(statement_seconds * 1000)),
                "default_transaction_isolation": "read committed",
                "default_transaction_read_only": "off",
                "idle_in_transaction_session_timeout": "60000",
            }
            if self._commit is not None:
                settings["synchronous_commit"] = self._commit
        return await asyncpg.connect(
            self._address.dsn,
            timeout=CONNECT_SECONDS_MAX,
            statement_cache_size=0 if self.is_pooled else 200,
            max_cached_statement_lifetime=0,
            server_settings=settings,
        )

    async def _look(self, connection: Connection) -> None:
        [row] = await connection.fetch(_LOOK)
        self.version = row["number"] // 10_000
        if self.version < VERSION_MIN:
            raise StoreUnusable(
                f"The server of {self.place} is PostgreSQL {row['version']}; {VERSION_MIN} or newer is needed."
            )
        if row["encoding"] != "UTF8":
            raise StoreUnusable(
                f"The database of {self.place} has the encoding {row['encoding']}; "
                "make one with: createdb -E UTF8 -T template0."
            )
        if row["standby"]:
            raise StoreUnusable(f"The server of {self.place} is a standby, which takes no writes; name the primary.")
        self.warnings = [f"{name} is off on the server: {_DAMAGED}" for name in _DURABLE if row[name] == "off"]
        if self._commit is None and row["synchronous_commit"] == "off":
            self._commit = "on"
            await connection.execute("set synchronous_commit = on")
            self.warnings.append("synchronous_commit is off on the server; it is on for this store's connections")

    def _went_away(self, error: BaseException) -> None:
        if self._away is None:
            self._away = error
            self._back.clear()
            self._trying = asyncio.get_running_loop().create_task(self._try_again())

    async def _try_again(self) -> None:
        pause = PAUSE_SECONDS_MIN
        while self._away is not None:
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, PAUSE_SECONDS_MAX)
            with suppress(asyncpg.PostgresError, *LOST_ERRORS):
                connection = await self._connect(CONNECT_SECONDS_MAX)
                self._away = None
                self._back.set()
                connection.terminate()


_SESSION = "select pg_backend_pid()"
_POOLER_SAYS = "unsupported startup parameter"
"""PgBouncer lets nobody set up a session."""
_LOOK = """
select current_setting('server_version_num')::int as number, current_setting('server_version') as version,
    current_setting('server_encoding') as encoding, pg_is_in_recovery() as standby,
    current_setting('fsync') as fsync, current_setting('full_page_writes') as full_page_writes,
    current_setting('synchronous_commit') as synchronous_commit
"""
_DURABLE = ("fsync", "full_page_writes")
_DAMAGED = "a power cut may damage the database"
