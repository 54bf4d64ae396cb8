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
        self.pooler = address.pooler or Pooler.NONE
        self.version = 0
        self.warnings: list[str] = []
        self._address = address
        self._name = name
        self._relaxed = durability is Durability.RELAXED
        self._away: BaseException | None = None
        self._back = asyncio.Event()
        self._trying: asyncio.Task[None] | None = None

    @property
    def is_pooled(self) -> bool:
        return self.pooler is Pooler.TRANSACTION

    async def first_connection(self) -> Connection:
        """As at a start: look at the server, too. Raises StoreUnusable."""
        try:
            connection = await self._connect(60.0)
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

    def opening(self, statement_seconds: float) -> str:
        """What begins a transaction behind a pooler, where a session keeps no settings for us."""
        relaxed = "; set local synchronous_commit = off" if self._relaxed else ""
        milliseconds = int(statement_seconds * 1000)
        return (
            f"begin isolation level read committed; set local jit = off; set local statement_timeout = {milliseconds}; "
            f"set local idle_in_transaction_session_timeout = 5000{relaxed}"
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
            if self._relaxed:
                settings["synchronous_commit"] = "off"
        return await asyncpg.connect(
            self._address.dsn,
            timeout=CONNECT_SECONDS_MAX,
            statement_cache_size=0 if self.is_pooled else 200,
            max_cached_statement_lifetime=0,
            server_settings=settings,
        )

    async def _look(self, connection: Connection) -> None:
        number = int(str(await connection.fetchval("show server_version_num")))
        self.version = number // 10_000
        if self.version < VERSION_MIN:
            shown = await connection.fetchval("show server_version")
            raise StoreUnusable(f"The server of {self.place} is PostgreSQL {shown}; {VERSION_MIN} or newer is needed.")
        encoding = await connection.fetchval("show server_encoding")
        if encoding != "UTF8":
            raise StoreUnusable(
                f"The database of {self.place} has the encoding {encoding}; "
                "make one with: createdb -E UTF8 -T template0."
            )
        self.warnings = [
            f"{name} is off on the server: {what}"
            for name, what in _DURABLE.items()
            if await connection.fetchval("select current_setting($1)", name) == "off" and not self._is_chosen(name)
        ]
        if await connection.fetchval("select pg_is_in_recovery()"):
            raise StoreUnusable(f"The server of {self.place} is a standby, which takes no writes; name the primary.")

    def _is_chosen(self, name: str) -> bool:
        return name == "synchronous_commit" and self._relaxed

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


_DURABLE = {
    "fsync": "a power cut may damage the database.",
    "full_page_writes": "a power cut may damage the database.",
    "synchronous_commit": "a crash of the server may lose what was acknowledged.",
}


async def is_behind_pooler(server: Server) -> bool:
    """Whether two connections end in the same session of the server: then each transaction may run anywhere."""
    sessions: set[object] = set()
    connections: list[Connection] = []
    try:
        for _ in range(2):
            connections.append(await server.first_connection())
            sessions.add(await connections[-1].fetchval("select pg_backend_pid()"))
    finally:
        for connection in connections:
            connection.terminate()
    return len(sessions) == 1
