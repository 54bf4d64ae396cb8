"""The files of a hub on SQLite: found, measured, brought up to date, deleted."""

import asyncio
import shutil
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from perdure.cli.exit_codes import STORE
from perdure.cli.output import fail
from perdure.cli.reaching import place_of_store

if TYPE_CHECKING:
    from perdure.host.settings import Settings


def store_file(settings: "Settings") -> Path:
    """The file of the hub's store. Ends the command with exit code 3 for a store that is no file."""
    from perdure.storage.places import FilePlace

    place = place_of_store(settings)
    if not isinstance(place, FilePlace):
        fail(f"The store {place.shown} has no file.", STORE)
    return place.path.absolute()


def existing_file(settings: "Settings") -> Path:
    """As ``store_file``; ends the command with exit code 3 when it is not there."""
    file = store_file(settings)
    if not file.exists():
        fail(f"There is no store {file}.", STORE)
    return file


def delete_files(settings: "Settings") -> None:
    """Delete a hub with its files. Ends the command with exit code 3 while a process holds the store."""
    from perdure.contracts.errors import StorageError
    from perdure.host.store_files import delete_store

    try:
        asyncio.run(delete_store(existing_file(settings)))
        shutil.rmtree(settings.app_folder / ".perdure" / "timers" / settings.hub_name.lower(), ignore_errors=True)
    except StorageError as error:
        fail(str(error), STORE)
    except OSError as error:
        fail(f"{error.filename} cannot be deleted: {error.strerror}.", STORE)


def upgrade_file(settings: "Settings") -> tuple[int, int]:
    """Bring a store to this program's version; versions before and after. Ends the command when it cannot be."""
    from perdure.contracts.errors import StorageError
    from perdure.storage.opening import open_storage
    from perdure.storage.options import StorageOptions
    from perdure.storage.system_clock import SystemClock

    file = existing_file(settings)

    async def migrate() -> None:
        storage = open_storage(settings.hub.store_url, SystemClock(), StorageOptions(lock_seconds_max=0.2))
        await storage.open()
        await storage.close()

    try:
        before = _version_of(file)
        asyncio.run(migrate())
        return before, _version_of(file)
    except StorageError as error:
        fail(str(error), STORE)
    except sqlite3.Error as error:
        fail(f"The store {file} cannot be read: {error}.", STORE)


def _version_of(file: Path) -> int:
    connection = sqlite3.connect(file)
    try:
        return int(connection.execute("pragma user_version").fetchone()[0])
    finally:
        connection.close()
