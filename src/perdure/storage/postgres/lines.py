"""Connections in use: one that is made anew when it breaks, and a bounded number of them for readers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from perdure.contracts.errors import Unavailable
from perdure.storage.postgres.meanings import LOST_ERRORS, is_cut, meaning
from perdure.storage.postgres.server import Connection, Server

Rows = Sequence[Any]
"""Of a query: each is a sequence of its columns, and knows their names."""

ANSWER_SECONDS = 1.0
"""How much longer than the server's own limit an answer is waited for."""
ROOM_SECONDS_MAX = 5.0
"""How long a reader waits for a free connection."""


class Line:
    """One connection, for one call at a time; made at the first call and after it broke."""

    def __init__(self, server: Server, statement_seconds: float, connection: Connection | None = None) -> None:
        """``connection``: one that is there already."""
        self._server = server
        self._statement_seconds = statement_seconds
        self._connection = connection
        self.lock = asyncio.Lock()
        self.made = 0
        """How many connections it has made."""

    async def connected(self) -> Connection:
        """Raises Unavailable."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._server.connection(self._statement_seconds)
            self.made += 1
        return self._connection

    async def ask(self, text: str, *arguments: Any) -> Rows:
        """One transaction. Raises what the driver raises; after an error that tells of a cut the line is down.

        ``lock`` must be held.
        """
        connection = await self.connected()
        limit = self._statement_seconds + ANSWER_SECONDS
        try:
            if not self._server.is_pooled:
                return await connection.fetch(text, *arguments, timeout=limit)
            await connection.execute(self._server.opening(self._statement_seconds), timeout=limit)
            rows = await connection.fetch(text, *arguments, timeout=limit)
            await connection.execute("commit", timeout=limit)
            return rows
        except asyncpg.PostgresError as error:
            if is_cut(error):
                self.drop()
            elif self._server.is_pooled:
                await self._roll_back(connection)
            raise
        except BaseException:
            # Also when the caller was cancelled: what is on the way belongs to nobody.
            self.drop()
            raise

    async def ask_twice(self, text: str, *arguments: Any) -> Rows:
        """For what may be done twice: when the connection is broken, once more over a new one. Raises StorageError."""
        async with self.lock:
            try:
                return await self.ask(text, *arguments)
            except (asyncpg.PostgresError, *LOST_ERRORS) as error:
                # What came to no end in its time would not the second time either.
                if not is_cut(error) or isinstance(error, TimeoutError):
                    raise meaning(error, self._server.place) from error
            try:
                return await self.ask(text, *arguments)
            except (asyncpg.PostgresError, *LOST_ERRORS) as error:
                raise meaning(error, self._server.place) from error

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """All that is read within is of one moment. Raises StorageError."""
        async with self.lock:
            try:
                connection = await self.connected()
                async with connection.transaction(isolation="repeatable_read", readonly=True):
                    yield connection
            except (asyncpg.PostgresError, *LOST_ERRORS) as error:
                self.drop()
                raise meaning(error, self._server.place) from error
            except BaseException:
                self.drop()
                raise

    def drop(self) -> None:
        """Cut it; the next call makes a new one."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def close(self) -> None:
        """Say good-bye to the server, within a second. Twice-safe."""
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed():
            try:
                await connection.close(timeout=1.0)
            except (asyncpg.PostgresError, *LOST_ERRORS):
                connection.terminate()

    async def _roll_back(self, connection: Connection) -> None:
        try:
            await connection.execute("rollback", timeout=ANSWER_SECONDS)
        except (asyncpg.PostgresError, *LOST_ERRORS):
            self.drop()


class Lines:
    """So many connections at most; the one used last is used first, so that few are open when there is little to do."""

    def __init__(self, server: Server, count: int, statement_seconds: float) -> None:
        self._place = server.place
        self._lines = [Line(server, statement_seconds) for _ in range(count)]
        self._free = list(self._lines)
        self._room = asyncio.Semaphore(count)

    async def ask(self, text: str, *arguments: Any) -> Rows:
        """Read. Raises StorageError."""
        async with self.line() as line:
            return await line.ask_twice(text, *arguments)

    @asynccontextmanager
    async def line(self) -> AsyncIterator[Line]:
        """One of them, for a while. Raises Unavailable when all are in use for too long."""
        try:
            async with asyncio.timeout(ROOM_SECONDS_MAX):
                await self._room.acquire()
        except TimeoutError as error:
            count = len(self._lines)
            raise Unavailable(f"All {count} connections that read the store at {self._place} are in use.") from error
        line = self._free.pop()
        try:
            yield line
        finally:
            self._free.append(line)
            self._room.release()

    async def close(self) -> None:
        for line in self._lines:
            await line.close()
