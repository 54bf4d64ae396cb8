"""The files of a store in SQLite: found and deleted."""

import os
from contextlib import suppress
from pathlib import Path

from perdure.storage.sqlite.lock_file import LockFile

BESIDE = ("", "-wal", "-shm", ".box", ".suspects")
"""What belongs to a store; its lock file stays, since to remove it would let two processes hold one each."""
HELD_SECONDS_MAX = 0.2


async def delete_store(file: Path) -> None:
    """Delete a store that no process holds. Raises StoreInUse, OSError."""
    # Only the lock, not the store: one that is damaged can be deleted too.
    lock = LockFile(f"{file}.lock", f"sqlite:{file}")
    await lock.hold(HELD_SECONDS_MAX, "deleting")
    try:
        for ending in BESIDE:
            with suppress(FileNotFoundError):
                os.unlink(f"{file}{ending}")
    finally:
        lock.release()
