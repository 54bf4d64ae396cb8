"""The notes of a hub in PostgreSQL."""

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager

import asyncpg

from perdure.storage.sql_files import named_statements, read_text

_SQL = named_statements(read_text("perdure.storage.postgres", "notes.sql"))


class PostgresNotes:
    """See ``storage.notes.Notes``.

    ``connected`` lends a connection and gives the driver's errors their meaning; ``placed`` names the hub's schema.
    """

    def __init__(
        self,
        connected: Callable[[], AbstractAsyncContextManager[asyncpg.Connection]],
        placed: Callable[[str], str],
    ) -> None:
        self._connected = connected
        self._sql = {name: placed(text) for name, text in _SQL.items()}

    async def read(self, prefix: str) -> dict[str, str]:
        """See ``Notes``."""
        async with self._connected() as connection:
            return {row["name"]: row["text"] for row in await connection.fetch(self._sql["read"], prefix)}

    async def add(self, notes: Mapping[str, str]) -> None:
        """See ``Notes``."""
        async with self._connected() as connection:
            await connection.execute(self._sql["add"], list(notes), list(notes.values()))

    async def put(self, notes: Mapping[str, str]) -> None:
        """See ``Notes``."""
        async with self._connected() as connection:
            await connection.execute(self._sql["put"], list(notes), list(notes.values()))

    async def remove(self, names: Collection[str]) -> None:
        """See ``Notes``."""
        async with self._connected() as connection:
            await connection.execute(self._sql["remove"], list(names))
