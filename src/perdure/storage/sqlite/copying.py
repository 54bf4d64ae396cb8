"""A consistent copy of a store's file, also while its holder writes: SQLite's backup API over one snapshot."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress

from perdure.contracts.errors import StoreUnusable
from perdure.storage.sqlite.connections import connect

PAGES_AT_ONCE = 2048
Progress = Callable[[int, int], None]
"""Told how many pages are left, and how many there are."""


def copy_store(path: str, target: str, progress: Progress | None = None) -> int:
    """Copy the store at ``path``, as one commit left it, to the new file ``target``, synced; returns its size.

    The copy is readable by its owner only. Raises StoreUnusable when the target exists, cannot be written, or the
    copy is not whole; then there is no target.
    """
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise StoreUnusable(f"{target} exists; a backup is written to a new file.") from None
    except OSError as error:
        raise StoreUnusable(f"{target} cannot be written: {error.strerror}.") from error
    try:
        return _copy(path, target, progress)
    except (sqlite3.Error, OSError) as error:
        remove_copy(target)
        raise StoreUnusable(f"The store {path} cannot be copied to {target}: {error}.") from error
    except BaseException:
        remove_copy(target)
        raise


def remove_copy(target: str) -> None:
    """Remove a copy and what SQLite keeps beside it."""
    for ending in ("", "-wal", "-shm", "-journal"):
        with suppress(FileNotFoundError):
            os.unlink(target + ending)


def _copy(path: str, target: str, progress: Progress | None) -> int:
    told = None if progress is None else lambda _, left, pages: progress(left, pages)
    with closing(connect(path, "ro", sqlite3.Connection)) as source, closing(sqlite3.connect(target)) as copy:
        # A snapshot held open: commits made meanwhile neither appear in the copy nor make it begin again.
        source.execute("begin")
        source.execute("select count(*) from sqlite_master").fetchone()
        source.backup(copy, pages=PAGES_AT_ONCE, progress=told)
        found = copy.execute("pragma quick_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(f"the copy is damaged, and so is the store: {found}")
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
