"""The files of a hub on SQLite: found, measured, deleted."""

import asyncio
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from perdure.cli.confirming import confirm
from perdure.cli.exit_codes import STORE, USAGE
from perdure.cli.output import fail
from perdure.cli.reaching import HubOptions, settings_of

if TYPE_CHECKING:
    from perdure.host.settings import Settings

_BESIDE = ("", "-wal", "-shm", ".box", ".suspects")
"""What belongs to a store; its lock file stays, since to remove it would let two processes hold one each."""


def store_file(settings: "Settings") -> Path:
    """The file of the hub's store. Ends the command with exit code 3 for a store that is no file."""
    from perdure.contracts.errors import StorageError
    from perdure.storage.opening import open_storage
    from perdure.storage.sqlite.storage import SqliteStorage
    from perdure.storage.system_clock import SystemClock

    try:
        storage = open_storage(settings.hub.store_url, SystemClock())
    except StorageError as error:
        fail(str(error), STORE)
    if not isinstance(storage, SqliteStorage):
        fail(f"The store {settings.hub.store_url} has no file.", STORE)
    return storage.path.absolute()


def drop_hub(reach: HubOptions, *, said_yes: bool) -> str:
    """Delete a hub's files; returns its name. Ends the command with exit code 3 while a process holds the store."""
    if reach.url is not None:
        fail("A hub is deleted where its store is, while no host runs; --url does not do it.", USAGE)
    settings = settings_of(reach)
    if reach.hub is not None and reach.hub.lower() != settings.hub_name.lower():
        fail(f"There is no task hub '{reach.hub}' here; the app's hub is '{settings.hub_name}'.", STORE)
    file = store_file(settings)
    if not file.exists():
        fail(f"There is no store {file}.", STORE)
    confirm(f"Delete the task hub '{settings.hub_name}' ({file}) with everything in it?", said_yes=said_yes)
    asyncio.run(_delete(file, settings))
    return settings.hub_name


async def _delete(file: Path, settings: "Settings") -> None:
    from perdure.contracts.errors import StorageError
    from perdure.storage.sqlite.lock_file import LockFile

    # Only the lock, not the store: one that is damaged can be deleted too.
    lock = LockFile(f"{file}.lock", f"sqlite:{file}")
    try:
        await lock.hold(0.2, "deleting")
    except StorageError as error:
        fail(str(error), STORE)
    try:
        for ending in _BESIDE:
            with suppress(FileNotFoundError):
                os.unlink(f"{file}{ending}")
        shutil.rmtree(settings.app_folder / ".perdure" / "timers" / settings.hub_name.lower(), ignore_errors=True)
    except OSError as error:
        fail(f"{error.filename} cannot be deleted: {error.strerror}.", STORE)
    finally:
        lock.release()
