"""The schema of a hub: its name, its statements, and how it comes to its newest version."""

import re
from importlib.resources import files
from typing import NamedTuple

import asyncpg

from perdure.contracts.errors import StoreUnusable
from perdure.storage.migrations import check_version
from perdure.storage.options import Access
from perdure.storage.sql_files import named_statements, read_text

PREFIX = "perdure_"
HUB_NAME = re.compile(r"[A-Za-z0-9_-]{1,45}")
DEFAULT_PARTITIONS = 32
PARTITIONS_MAX = 1024
_MIGRATIONS = "perdure.storage.postgres.migrations"
_PLACE = re.compile(r"\bhub\.")
# Read from the catalogue itself: a name that was looked for in vain is remembered for the rest of a transaction.
_THERE = """
select exists (
    select from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = 'setting'
)
"""
_WHO = "select current_user, current_database(), exists (select from pg_namespace where nspname = $1)"


class Step(NamedTuple):
    """One step of the schema; ``version`` is the schema's after it."""

    version: int
    text: str


class Schema:
    """The schema of one hub."""

    def __init__(self, hub: str) -> None:
        """Raises StoreUnusable for what can be no hub's name."""
        if HUB_NAME.fullmatch(hub) is None:
            raise StoreUnusable(
                f"'{hub[:60]}' cannot name a task hub: use up to 45 letters, digits, '-' and '_' of ASCII."
            )
        self.name = PREFIX + hub.lower()
        self._quoted = f'"{self.name}".'
        self.sql = {name: self.placed(text) for name, text in named_statements(_QUERIES).items()}
        """Name → text of the statements."""

    def placed(self, text: str) -> str:
        """A text that says "hub." for the schema, for this one."""
        return _PLACE.sub(self._quoted, text)

    async def ready(self, connection: asyncpg.Connection, place: str, access: Access, partitions: int | None) -> int:
        """Make or migrate it, as ``access`` allows, and check it; returns the count of its partitions.

        One transaction a step, under a lock: a kill leaves a whole version, and of two processes one migrates.
        Raises StoreUnusable.
        """
        steps = read_steps()
        while True:
            # Whatever is set for others: what is looked at again under the lock must be seen anew.
            async with connection.transaction(isolation="read_committed"):
                version, usable_from = await self.versions(connection, place)
                if version < len(steps) and access is not Access.HOLD:
                    raise StoreUnusable(_missing(place, version))
                if version >= len(steps):
                    break
                await connection.execute("set local statement_timeout = 0; set local lock_timeout = 0")
                await connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", self.name)
                if await self.versions(connection, place) != (version, usable_from):
                    continue
                await self._step(connection, steps[version], place, partitions)
        found = await connection.fetchval(self.placed("select count(*) from hub.partition")) or 0
        if not found:
            raise StoreUnusable(_half_restored(place))
        if partitions is not None and partitions != found:
            raise StoreUnusable(
                f"The hub at {place} was made with {found} partitions, for ever, and {partitions} are asked for; "
                f"leave the setting out or say {found}."
            )
        return found

    async def versions(self, connection: asyncpg.Connection, place: str) -> tuple[int, int]:
        """Its version, and the lowest version of which a program must know to use it; zeros when there is none.

        Raises StoreUnusable for one that a program must know more of than this one does.
        """
        if not await connection.fetchval(_THERE, self.name):
            return 0, 0
        rows = await connection.fetch(self.placed("select name, value from hub.setting"))
        found = {row["name"]: row["value"] for row in rows}
        if not found:
            raise StoreUnusable(_half_restored(place))
        if found["usable_from"] > len(known := read_steps()):
            check_version(place, found["version"], len(known))
        return found["version"], found["usable_from"]

    async def _step(self, connection: asyncpg.Connection, step: Step, place: str, partitions: int | None) -> None:
        user, database, there = await connection.fetchrow(_WHO, self.name) or ("", "", True)
        try:
            if not there:
                await connection.execute(f'create schema "{self.name}"')
            await connection.execute(self.placed(step.text))
        except asyncpg.InsufficientPrivilegeError as error:
            raise StoreUnusable(
                f"The user '{user}' may not make the hub at {place} ({error}); "
                f'let the owner of the database run: grant create on database "{database}" to "{user}".'
            ) from error
        if step.version == 1:
            count = DEFAULT_PARTITIONS if partitions is None else partitions
            await connection.execute(
                self.placed("insert into hub.partition (number) select generate_series(0, $1::int - 1)"), count
            )
        await connection.execute(self.placed("update hub.setting set value = $1 where name = 'version'"), step.version)


def read_steps() -> list[Step]:
    """The files ``NNNN_name.sql``, in order without a gap."""
    texts: dict[int, str] = {}
    for file in files(_MIGRATIONS).iterdir():
        if file.name.endswith(".sql"):
            texts[int(file.name.partition("_")[0])] = file.read_text(encoding="utf-8")
    if sorted(texts) != list(range(1, len(texts) + 1)):
        raise ValueError("the migrations of the PostgreSQL store are not numbered 1, 2, 3 …")
    return [Step(version, texts[version]) for version in sorted(texts)]


def _half_restored(place: str) -> str:
    return f"The hub at {place} has tables without their rows: it is being restored, or was in part. Restore it anew."


def _missing(place: str, version: int) -> str:
    if version == 0:
        return f"There is no hub at {place}; make it with 'perdure hub create', or start a host on it."
    return f"The hub at {place} has the older schema version {version}; bring it up to date: perdure hub upgrade."


_QUERIES = read_text("perdure.storage.postgres", "queries.sql")
