"""What each session is set to, whatever server, database and role have set for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg


def session_settings(statement_seconds: float, commit: str | None, version: int) -> dict[str, str]:
    """Of a session that is ours alone. ``commit``: None leaves synchronous_commit; ``version``: 0 when not known yet.

    Limits that an operator has set for others are off or our own: a wait for a lock ends with the statement's limit,
    and a connection that rests is not ended.
    """
    settings = {
        "jit": "off",
        "statement_timeout": str(int(statement_seconds * 1000)),
        "lock_timeout": "0",
        "idle_in_transaction_session_timeout": "60000",
        "default_transaction_isolation": "read committed",
        "default_transaction_read_only": "off",
    }
    if version >= 14:
        settings["idle_session_timeout"] = "0"
    if version >= 17:
        settings["transaction_timeout"] = "0"
    if commit is not None:
        settings["synchronous_commit"] = commit
    return settings


def as_statements(settings: dict[str, str]) -> str:
    """To be run in a session that has begun."""
    return "; ".join(f"set {name} = '{value}'" for name, value in settings.items())


def opening(statement_seconds: float, commit: str | None) -> str:
    """What begins a transaction behind a pooler, where a session keeps no settings for us."""
    local = {
        "jit": "off",
        "statement_timeout": str(int(statement_seconds * 1000)),
        "lock_timeout": "0",
        "idle_in_transaction_session_timeout": "5000",
    }
    if commit is not None:
        local["synchronous_commit"] = commit
    settings = (f"set local {name} = '{value}'" for name, value in local.items())
    return "; ".join(["begin isolation level read committed", *settings])


class SteadyConnection(asyncpg.Connection):
    """Whatever is asked outside of a transaction gets one of its own.

    The driver asks in two steps, and behind a pooler the second one may reach another session.
    """

    __slots__ = ()

    async def fetch(self, query: str, *args: Any, **options: Any) -> list[Any]:
        async with self._steady():
            return await super().fetch(query, *args, **options)

    async def fetchrow(self, query: str, *args: Any, **options: Any) -> Any:
        async with self._steady():
            return await super().fetchrow(query, *args, **options)

    async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
        async with self._steady():
            return await super().fetchval(query, *args, **options)

    async def execute(self, query: str, *args: Any, **options: Any) -> str:
        # Without arguments it is one step, and what begins and ends transactions itself.
        if not args:
            return await super().execute(query, **options)
        async with self._steady():
            return await super().execute(query, *args, **options)

    @asynccontextmanager
    async def _steady(self) -> AsyncIterator[None]:
        if self.is_in_transaction():
            yield
        else:
            async with self.transaction():
                yield
