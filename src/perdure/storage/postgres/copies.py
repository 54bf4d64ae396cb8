"""A hub that is half of a copy: marked as such, and used by nobody but who copies."""

import asyncpg

from perdure.contracts.errors import StoreUnusable
from perdure.storage.postgres.schema import Schema

FINGERPRINT, PART, AFTER = "copy_fingerprint", "copy_part", "copy_after"
"""Settings that a hub has until it is whole."""
_READ = "select name, value from hub.setting where starts_with(name, 'copy_')"


async def read_copy(connection: asyncpg.Connection, schema: Schema) -> dict[str, int]:
    """The settings of a copy under way; empty for a whole hub."""
    return {row["name"]: row["value"] for row in await connection.fetch(schema.placed(_READ))}


async def refuse_half(connection: asyncpg.Connection, schema: Schema, place: str) -> None:
    """Raise StoreUnusable for a hub that is not whole."""
    if await read_copy(connection, schema):
        raise StoreUnusable(
            f"The hub at {place} is half of a copy that was broken off: run 'perdure hub copy' once more, or drop it."
        )
