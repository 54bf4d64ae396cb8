"""The way to the server: connections made alike, and whether it can be reached at all."""

import asyncio
import random
from contextlib import suppress
from typing import TypeAlias

import asyncpg

from perdure.contracts.errors import StoreUnusable, Unavailable
from perdure.storage.options import Durability
from perdure.storage.postgres.address import Address, Pooler
from perdure.storage.postgres.meanings import LOST_ERRORS, REFUSES_SETTINGS, meaning, unusable
from perdure.storage.postgres.pooling import pooler_between
from perdure.storage.postgres.sessions import SteadyConnection, as_statements, opening, session_settings

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
        self._sets_up = address.pooler in (None, Pooler.NONE)
        """Whether a session can begin with settings of ours."""
        self._away: BaseException | None = None
        self._back = asyncio.Event()
        self._trying: asyncio.Task[None] | None = None

    @property
    def is_pooled(self) -> bool:
        """Whether each transaction may run in another session."""
        return self.pooler is Pooler.TRANSACTION

    async def first_connections(self, first_seconds: float, second_seconds: float) -> tuple[Connection, Connection]:
        """Two, whose statements may take so long; as at a start: what stands between us and the server, and the
        server itself, are looked at. Raises StoreUnusable.
        """
        pair: list[Connection] = []
        try:
            try:
                await self._connect_both(pair, first_seconds, second_seconds)
            except asyncpg.ProtocolViolationError as error:
                if REFUSES_SETTINGS not in str(error) or self.pooler is not None:
                    raise
                self._sets_up = False
                await self._connect_both(pair, first_seconds, second_seconds)
            if self.pooler is None:
                self.pooler = await pooler_between(*pair)
                if self.pooler is not Pooler.NONE:
                    # Made as for sessions of their own, or not set up at all.
                    self._sets_up = False
                    await self._connect_both(pair, first_seconds, second_seconds)
            await self._look(pair[0])
            for connection, seconds in zip(pair, (first_seconds, second_seconds), strict=True):
                await self._set_up(connection, seconds)
        except (asyncpg.PostgresError, *LOST_ERRORS, ValueError) as error:
            _terminate(pair)
            raise unusable(error, self.place) from error
        except BaseException:
            _terminate(pair)
            raise
        return pair[0], pair[1]

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

    def opening(self, statement_seconds: float) -> str:
        """What begins a transaction behind a pooler, where a session keeps no settings for us."""
        return opening(statement_seconds, self._commit)

    def close(self) -> None:
        if self._trying is not None:
            self._trying.cancel()

    async def _connect(self, statement_seconds: float) -> Connection:
        settings = {"application_name": self._name}
        if self._sets_up:
            settings |= session_settings(statement_seconds, self._commit, self.version)
        connection = await asyncpg.connect(
            self._address.dsn,
            timeout=CONNECT_SECONDS_MAX,
            statement_cache_size=0 if self.is_pooled else 200,
            max_cached_statement_lifetime=0,
            server_settings=settings,
            connection_class=SteadyConnection if self.is_pooled else asyncpg.Connection,
        )
        if not self._sets_up and self.version:
            try:
                await self._set_up(connection, statement_seconds)
            except BaseException:
                connection.terminate()
                raise
        return connection

    async def _connect_both(self, pair: list[Connection], first_seconds: float, second_seconds: float) -> None:
        """Anew."""
        _terminate(pair)
        for seconds in (first_seconds, second_seconds):
            pair.append(await self._connect(seconds))

    async def _set_up(self, connection: Connection, statement_seconds: float) -> None:
        """What could not be said when it began: not to a pooler, nor before the server's version was known."""
        if self.is_pooled:
            return
        settings = session_settings(statement_seconds, self._commit, self.version)
        await connection.execute(as_statements(settings), timeout=CONNECT_SECONDS_MAX)

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
        if self.is_pooled and row["read_only"] == "on":
            raise StoreUnusable(
                f"The sessions of {self.place} only read (default_transaction_read_only), and behind a pooler in "
                "transaction mode that is not ours to change; set it off for the user, or go to the server."
            )
        if self._commit is None and row["synchronous_commit"] == "off":
            self._commit = "on"
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


def _terminate(connections: list[Connection]) -> None:
    for connection in connections:
        connection.terminate()
    connections.clear()


_LOOK = """
select current_setting('server_version_num')::int as number, current_setting('server_version') as version,
    current_setting('server_encoding') as encoding, pg_is_in_recovery() as standby,
    current_setting('fsync') as fsync, current_setting('full_page_writes') as full_page_writes,
    current_setting('synchronous_commit') as synchronous_commit,
    current_setting('default_transaction_read_only') as read_only
"""
_DURABLE = ("fsync", "full_page_writes")
_DAMAGED = "a power cut may damage the database"
