"""Connections to the file: made alike, their pragmas read back."""

import os
import sqlite3
import stat
from urllib.parse import quote

from perdure.contracts.errors import StoreUnusable
from perdure.storage.options import Durability

_SYNCHRONOUS = {Durability.FULL: ("full", 2), Durability.RELAXED: ("normal", 1)}
STATEMENTS_KEPT = 512
LOG_BYTES_KEPT = 16 * 1024 * 1024
"""A log that has begun anew keeps so much of its file."""


def prepare_file(path: str) -> None:
    """Make folder and file, readable only by their owner; the folder ``.perdure`` keeps itself out of git.

    Raises StoreUnusable.
    """
    folder = os.path.dirname(path)
    try:
        if os.path.islink(path):
            # The lock lies beside the name, so two names for one file would be two locks.
            raise StoreUnusable(f"{path} is a symbolic link; name the file itself.")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if os.path.basename(folder) == ".perdure" and not os.path.exists(os.path.join(folder, ".gitignore")):
            with open(os.path.join(folder, ".gitignore"), "x", encoding="utf-8") as file:
                file.write("*\n")
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise StoreUnusable(f"{path} is no regular file.")
    except OSError as error:
        raise StoreUnusable(f"The store {path} cannot be opened: {error.strerror}.") from error


def require_file(path: str) -> None:
    """Raise StoreUnusable when there is no such file."""
    if not os.path.isfile(path):
        raise StoreUnusable(f"There is no store {path}.")


def connect(path: str, mode: str, factory: type[sqlite3.Connection]) -> sqlite3.Connection:
    """A connection in autocommit; ``mode`` is rw, ro or immutable. It never waits for a lock."""
    query = "immutable=1" if mode == "immutable" else f"mode={mode}"
    return sqlite3.connect(
        f"file:{quote(path)}?{query}",
        uri=True,
        timeout=0,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=STATEMENTS_KEPT,
        factory=factory,
    )


def set_durable(connection: sqlite3.Connection, durability: Durability, place: str) -> None:
    """Write-ahead log and syncs as promised, read back (reliability.md D5). Raises StoreUnusable."""
    set_pragma(connection, place, "journal_mode", "wal", "wal")
    word, number = _SYNCHRONOUS[durability]
    set_pragma(connection, place, "synchronous", word, number)
    # The writer folds the log into the file itself: SQLite would keep an error there to itself.
    set_pragma(connection, place, "wal_autocheckpoint", 0, 0)
    set_pragma(connection, place, "journal_size_limit", LOG_BYTES_KEPT, LOG_BYTES_KEPT)


def check_durable(connection: sqlite3.Connection, durability: Durability, place: str) -> None:
    """Whether it still holds once something was written. Raises StoreUnusable.

    A new file's journal mode becomes true with its first transaction; what it says before that is a wish.
    """
    check_pragma(connection, place, "journal_mode", "wal")
    check_pragma(connection, place, "synchronous", _SYNCHRONOUS[durability][1])


def set_pragma(connection: sqlite3.Connection, place: str, name: str, value: object, expected: object) -> None:
    """Set a pragma and read it back. SQLite takes an unknown value without an error. Raises StoreUnusable."""
    # To its end: the row comes before the change is on the disk, and an error after it is only told to who asks.
    connection.execute(f"pragma {name} = {value}").fetchall()
    check_pragma(connection, place, name, expected)


def check_pragma(connection: sqlite3.Connection, place: str, name: str, expected: object) -> None:
    """Read a pragma. Raises StoreUnusable."""
    found = connection.execute(f"pragma {name}").fetchone()[0]
    if found != expected:
        raise StoreUnusable(f"The store {place} does not accept {name} = {expected}: it answers {found!r}.")


def read_tolerantly(connection: sqlite3.Connection) -> None:
    """Let damaged UTF-8 through as lone surrogates, so that one bad row does not hide the others."""
    connection.text_factory = _decode


def _decode(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
