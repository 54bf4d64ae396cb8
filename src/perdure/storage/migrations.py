"""Numbered .sql files, applied once each, in order, forward only."""

import sqlite3
from collections.abc import Sequence
from importlib.resources import files

import msgspec

from perdure.contracts.errors import StoreUnusable
from perdure.storage.sql_files import script_statements


class Migration(msgspec.Struct, frozen=True):
    """One step of the schema; ``version`` is the schema's after it."""

    version: int
    name: str
    statements: tuple[str, ...]


def read_migrations(package: str) -> list[Migration]:
    """The files ``NNNN_name.sql`` of a folder of a package, in order without a gap."""
    found: list[Migration] = []
    for file in sorted(files(package).iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".sql"):
            version, _, name = file.name.removesuffix(".sql").partition("_")
            found.append(Migration(int(version), name, tuple(script_statements(file.read_text(encoding="utf-8")))))
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"the migrations of {package} are not numbered 1, 2, 3 …")
    return found


def check_version(place: str, found: int, known: int) -> None:
    """Raise StoreUnusable for a store that a newer program wrote."""
    if found > known:
        raise StoreUnusable(
            f"The store {place} has schema version {found}; this program knows versions up to {known}. "
            "Use the perdure version that wrote it, or a newer one."
        )


def migrate_sqlite(connection: sqlite3.Connection, place: str, migrations: Sequence[Migration], mark: int) -> None:
    """Bring a SQLite file to the newest version: one transaction a step, so a kill leaves a whole version.

    ``mark`` is the application id that tells our files from others.
    Raises StoreUnusable for a newer schema and for a database of something else.
    """
    cursor = connection.cursor()
    while True:
        cursor.execute("begin immediate")
        try:
            version = _pragma(cursor, "user_version")
            check_version(place, version, len(migrations))
            _check_mark(cursor, place, mark)
            if version == len(migrations):
                return
            for statement in migrations[version].statements:
                cursor.execute(statement)
            cursor.execute(f"pragma application_id = {mark}")
            cursor.execute(f"pragma user_version = {version + 1}")
            cursor.execute("commit")
        finally:
            if connection.in_transaction:
                cursor.execute("rollback")


def _check_mark(cursor: sqlite3.Cursor, place: str, mark: int) -> None:
    found = _pragma(cursor, "application_id")
    if found == mark:
        return
    if found != 0 or cursor.execute("select count(*) from sqlite_master").fetchone()[0]:
        raise StoreUnusable(f"{place} is a SQLite database of another program; name another file for the store.")


def _pragma(cursor: sqlite3.Cursor, name: str) -> int:
    return int(cursor.execute(f"pragma {name}").fetchone()[0])
